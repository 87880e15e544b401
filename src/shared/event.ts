/*
 * The form of an event: a line of events.ndjson, which the guard appends to, and of whatever else tells of the guard in JSON.
 *
 * Every line has `schema`, `event` and `timeUnixMs`; what else it has depends on `event`. Units are in the names; null: not known.
 * Fields may be added without a new schema: who reads passes over what he does not know.
 */
import type { Outcome } from './incident.js';

/** Raised when an event means something else than before. */
export const EVENT_SCHEMA = 1;

export const EVENT_FILE = 'events.ndjson';
export const OLDER_EVENT_FILE = 'events.1.ndjson';

export type EventName =
  | 'start'
  | 'sealed'
  | 'reload'
  | 'reload-refused'
  | 'crossed'
  | 'signalled'
  | 'ended'
  | 'memory-back'
  | 'nobody'
  | 'kernel-oom'
  | 'hook'
  | 'error'
  | 'stop';

type EventSignal = 'term' | 'kill';
type EventReason = 'limit' | 'rule';

interface EventBase {
  schema: number;
  timeUnixMs: number;
}

/** Memory as the last sample has it. */
interface EventMemory {
  memTotalKib: number;
  memAvailableKib: number;
  anonPagesKib: number;
  swapTotalKib: number;
  swapFreeKib: number;
}

interface EventVictim {
  pid: number;
  uid: number | null;
  name: string;
  rssKib: number | null;
}

/** What the guard could not do. */
export type ErrorName =
  /** /proc/meminfo can't be read: said at most every 10 s. */
  | 'meminfo'
  /** The PSI trigger was lost: memory pressure does not wake the guard any more. */
  | 'trigger'
  /** A system call of a kill has failed. */
  | 'kill'
  /** The kernel's OOM killer could not be called. */
  | 'kernel-oom';

/** Why nobody was killed, though memory was low. */
export type WhyNobody =
  /** There is nobody who may be killed. */
  | 'no candidate'
  /** Shared memory (tmpfs) fills memory: a kill would not help. */
  | 'shared memory';

export type GuardEvent = EventBase &
  (
    | {
        /** The guard watches from now on, though not sealed yet. */
        event: 'start';
        version: string;
        persona: string;
        pid: number;
        dryrun: boolean;
        limits: { memTermPercent: number; memKillPercent: number; swapTermPercent: number; swapKillPercent: number };
      }
    /** Rehearsed, and locked in memory as far as the kernel allows: `errno` is 0 if all of it is. */
    | { event: 'sealed'; lockedKib: number; refusedKib: number; errno: number }
    /** The configuration is good, and the guard starts anew with it: a `start` follows. */
    | { event: 'reload' }
    | { event: 'reload-refused'; why: string }
    | {
        /** Memory is at a limit where it was not before, or a rule asks for a kill. Of several within a second only the first, and whoever is followed by a kill. */
        event: 'crossed';
        level: EventSignal;
        reason: EventReason;
        rule: string | null;
        memory: EventMemory;
      }
    | ({
        event: 'signalled';
        signal: EventSignal;
        /** Since the look that found the reason. */
        sinceCrossedMs: number;
      } & EventVictim)
    | ({
        /** A kill is over. */
        event: 'ended';
        outcome: Outcome;
        errno: number | null;
        /** The last one it got; null: none. */
        signal: EventSignal | null;
        reason: EventReason;
        rule: string | null;
        freedKib: number | null;
        /** From the first signal to this end; null: no signal. */
        killMs: number | null;
      } & EventVictim)
    /** Memory is above the limits again. `backMs`: from the first signal of a kill that has brought this about, else null. */
    | { event: 'memory-back'; backMs: number | null; memory: EventMemory }
    | { event: 'nobody'; why: WhyNobody }
    /** The kernel's OOM killer was called (--kernel-oom). */
    | { event: 'kernel-oom'; reason: EventReason; rule: string | null }
    | { event: 'hook'; hook: string; result: string }
    | { event: 'error'; what: ErrorName; errno: number | null }
    | { event: 'stop'; signal: string }
  );
