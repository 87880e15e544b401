/*
 * The arithmetic and the judgement of a drill: how far the balloon may grow, where its limit lies, and whether all of it
 * worked. Pure.
 *
 *   available now ──┬── the balloon grows ──> half of its size: the drill's limit
 *                   │                         all of its size: it stops
 *                   │                              room that is left, 3 margins at least
 *                   └───────────────────────────────────────────────────> the configured limit: where the real guard acts
 */
import { strerror } from '../../native-shims/errno.js';
import { SIGKILL, SIGTERM } from '../../native-shims/pidfd.js';
import { userMemTotalKib } from '../decide/limits.js';
import type { Limits, MemoryLevels } from '../shared/limits.js';
import type { Reason } from '../shared/selection.js';

const KIB_PER_MIB = 1024;

/** What other processes may take meanwhile is three of these: the drill must not be what brings the real guard to act. */
const MARGIN_KIB = 64 * KIB_PER_MIB;
const MARGINS = 3;

/** Less than this is lost in what a machine's memory moves by itself; more proves nothing more. */
export const SIZE_KIB_MIN = 64 * KIB_PER_MIB;
export const SIZE_KIB_MAX = 2048 * KIB_PER_MIB;

/** Of the size, where the limit is: memory may move by as much either way. */
const LIMIT_SHARE = 0.5;

/** 200 MiB/s, or the whole of a large one in five seconds. */
const KIB_PER_MS_MIN = 200;
const GROWTH_MS_MAX = 5000;

/** Of what the balloon had: others allocate and free meanwhile. */
const BACK_SHARE_MIN = 0.5;

/** What the balloon is told when it is started. */
export interface BalloonOrder {
  sizeKib: number;
  kibPerMs: number;
  /** Then it ends by itself. */
  lifeMs: number;
}

/** What the balloon says. */
export interface BalloonEvent {
  event: 'ready' | 'crossed' | 'full' | 'term';
  atMs: number;
  grownKib: number;
}

export interface SentSignal {
  signal: number;
  atMs: number;
  /** 0 or -errno. */
  result: number;
}

/** What happened; times in CLOCK_MONOTONIC ms. */
export interface DrillFacts {
  sizeKib: number;
  timeoutMs: number;
  wanted: number;
  /** First sight of memory at or below the limit: the balloon's (a look each 0.5 ms) or, where that came first, the guard's. */
  crossed: { atMs: number; seenBy: 'balloon' | 'guard'; balloonKib: number } | null;
  signals: readonly SentSignal[];
  /** When SIGTERM's handler ran in the balloon. */
  termAtMs: number | null;
  exit: { atMs: number; code: number | null; signal: string | null } | null;
  /** AnonPages: MemAvailable lags behind by a second and more. */
  memory: { hadKib: number; backKib: number; atMs: number } | null;
}

/** What is available above the SIGTERM limit, KiB. */
export function roomKib(memory: MemoryLevels, limits: Limits): number {
  return memory.memAvailableKib - (limits.memTermPercent * userMemTotalKib(memory)) / 100;
}

/** Why a drill would bring the machine too near to its real limit, or null. */
export function tooNear(memory: MemoryLevels, limits: Limits, sizeKib: number): string | null {
  const room = roomKib(memory, limits);
  const needed = sizeKib + MARGINS * MARGIN_KIB;
  if (room >= needed) return null;
  return `only ${mib(Math.max(0, room))} are available above the configured limit, and a drill of ${mib(sizeKib)} needs ${mib(needed)}`;
}

/** The drill's own limits: available memory less half of the balloon. Swap does not count. */
export function drillLimits(memory: MemoryLevels, sizeKib: number, signal: number): Limits {
  const termKib = memory.memAvailableKib - LIMIT_SHARE * sizeKib;
  const memTermPercent = (100 * termKib) / userMemTotalKib(memory);
  const memKillPercent = signal === SIGKILL ? memTermPercent : 0;
  return { memTermPercent, memKillPercent, swapTermPercent: 100, swapKillPercent: 100 };
}

export function balloonOrder(sizeKib: number, lifeMs: number): BalloonOrder {
  return { sizeKib, kibPerMs: Math.max(KIB_PER_MS_MIN, Math.ceil(sizeKib / GROWTH_MS_MAX)), lifeMs };
}

/** Whether it was the balloon that took memory below the limit, and not somebody else. */
export function crossedByBalloon({ crossed, sizeKib }: Pick<DrillFacts, 'crossed' | 'sizeKib'>): boolean {
  return crossed !== null && crossed.balloonKib >= (LIMIT_SHARE * sizeKib) / 2;
}

const WHY_NEVER: Partial<Record<Reason, string>> = {
  '--ignore': 'its name, oom-drill, matches the pattern of those that are ignored',
  '--ignore-root-user': "root's processes are never killed, and it is root's: run the drill as an ordinary user",
  '--only-user': "only another user's processes are killed: run the drill as that user",
  unreadable: 'its files in /proc can not be read',
};

/** Why the policy would never choose the balloon, in words. */
export function whyNever(reason: Reason): string {
  return `the configured policy would never choose the balloon: ${WHY_NEVER[reason] ?? reason}`;
}

/** Null if all of it worked, or what did not. */
export function failureOf(facts: DrillFacts): string | null {
  const { signals, exit, wanted } = facts;
  const [first] = signals;
  if (first === undefined) return withoutSignal(facts);
  if (first.result < 0) return `${nameOf(first.signal)} could not be sent: ${strerror(-first.result)}`;
  if (first.signal !== wanted) return `the first signal was ${nameOf(first.signal)} instead of ${nameOf(wanted)}`;
  if (signals.length > 1)
    return `${nameOf(wanted)} was not enough: the guard had to send ${nameOf(signals[1]?.signal ?? 0)}`;
  if (exit === null) return `the balloon got ${nameOf(wanted)} and did not end within ${facts.timeoutMs / 1000} s`;
  const byOurs = wanted === SIGTERM ? facts.termAtMs !== null && exit.signal === null : exit.signal === 'SIGKILL';
  if (!byOurs) return `the balloon ended by ${endOf(exit)}, and not by the guard's signal`;
  return memoryFailure(facts);
}

function withoutSignal({ exit, crossed, sizeKib, timeoutMs }: DrillFacts): string {
  if (exit !== null) {
    return `the balloon ended by ${endOf(exit)} before the guard had chosen it: the kernel's OOM killer, a memory limit of this cgroup, or another daemon`;
  }
  if (crossed !== null) return `the limit was crossed, and the guard signalled nobody within ${timeoutMs / 1000} s`;
  return `the limit was not crossed within ${timeoutMs / 1000} s by a balloon of ${mib(sizeKib)}: others have freed as much, or the time is too short`;
}

function memoryFailure({ memory }: DrillFacts): string | null {
  if (memory === null) return 'it was not seen how much memory came back';
  if (memory.backKib >= BACK_SHARE_MIN * memory.hadKib) return null;
  return `the balloon is dead, but only ${mib(memory.backKib)} of its ${mib(memory.hadKib)} were seen to come back`;
}

function endOf({ code, signal }: { code: number | null; signal: string | null }): string {
  return signal ?? `exit code ${code}`;
}

/** `SIGTERM` */
export function nameOf(signal: number): string {
  return signal === SIGKILL ? 'SIGKILL' : signal === SIGTERM ? 'SIGTERM' : `signal ${signal}`;
}

function mib(kib: number): string {
  return `${Math.floor(kib / KIB_PER_MIB)} MiB`;
}
