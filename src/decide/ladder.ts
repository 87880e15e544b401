/*
 * One kill from the crossing of a limit to the end: which step comes next. Pure: facts and the time
 * in, a step out; guard/ does what the step says.
 *
 *   watching ──limit crossed──> select ──> [pre-hook, at most 200 ms] ──> terminating ──> watching
 *                                                              └────────> killing ────┘      ^
 *                                  SIGKILL limit crossed, or ignored for kill_after ─^       │
 *                                                                    exited, or given up ────┘
 *
 * One kill at a time: nobody else is selected until this one is over.
 */
import { LEVEL_KILL, LEVEL_NONE, type Level } from '../shared/limits.js';

/** How long the -P program may hold up the signal: earlyoom's number. */
export const PRE_HOOK_MS_MAX = 200;

/**
 * How long a victim may ignore SIGTERM while memory stays at the limit, unless the admin says otherwise (kill_after): then
 * SIGKILL. As long as earlyoom waits before it asks the same process once more.
 */
export const DEFAULT_KILL_AFTER_MS = 10_000;

/** How long to wait for a process to end after SIGKILL before it is put aside (it sits in the kernel, in state D). */
export const KILL_MS_MAX = 10_000;

/**
 * A victim that has been found in state D at each look for so long, while memory is low, is put aside sooner: nothing
 * that it waits for (a dead disk or server) is quick. An exit in order passes through D for some ms.
 */
export const STUCK_MS_MAX = 1000;

/** After a failure, in a dry run and after the kernel's OOM killer was called nobody is selected for this long: earlyoom's second. */
export const PAUSE_MS = 1000;

export type Phase = 'watching' | 'pre-hook' | 'terminating' | 'killing';

export type Step =
  | 'wait'
  | 'select'
  /** The pre-hook is over: verify and signal. */
  | 'signal'
  /** Memory has recovered before the signal. */
  | 'let-go'
  /** SIGTERM was sent, and memory has fallen to the SIGKILL limit, or the stall goes on. */
  | 'escalate-by-limit'
  /** SIGTERM was ignored for `killAfterMs`. */
  | 'escalate-by-time'
  | 'exited'
  | 'give-up';

/** What the step depends on, besides the phase. */
export interface LadderFacts {
  level: Level;
  /** The victim has ended. */
  victimGone: boolean;
  /** The pre-hook has ended (or could not be started). */
  preHookDone: boolean;
  /** Since the phase began, ms. */
  elapsedMs: number;
  /** The guard pauses (after a failure, in a dry run, or while memory comes back by itself) and selects nobody now. */
  paused: boolean;
  /** How long SIGTERM may be ignored while memory is low, ms. */
  killAfterMs: number;
  /** For how long each look after SIGKILL has found the victim stuck in the kernel, ms. */
  stuckMs: number;
}

export function nextStep(phase: Phase, facts: LadderFacts): Step {
  if (phase === 'watching') return facts.level !== LEVEL_NONE && !facts.paused ? 'select' : 'wait';
  if (facts.victimGone) return 'exited';
  if (phase === 'pre-hook') return afterPreHook(facts);
  if (phase === 'terminating') return whileTerminating(facts);
  const stuck = isStuck(facts) && facts.level !== LEVEL_NONE;
  return stuck || facts.elapsedMs >= KILL_MS_MAX ? 'give-up' : 'wait';
}

/** Whether the victim has been stuck in the kernel for too long. */
export function isStuck({ stuckMs }: LadderFacts): boolean {
  return stuckMs >= STUCK_MS_MAX;
}

/** Whether a victim gets SIGKILL, and not SIGTERM first: below SIGKILL's limits, or after it has ignored a SIGTERM before. */
export function asksNoMore(level: Level, stubborn: boolean): boolean {
  return level === LEVEL_KILL || stubborn;
}

function afterPreHook(facts: LadderFacts): Step {
  if (facts.level === LEVEL_NONE) return 'let-go';
  return facts.preHookDone || facts.elapsedMs >= PRE_HOOK_MS_MAX ? 'signal' : 'wait';
}

function whileTerminating(facts: LadderFacts): Step {
  if (facts.level === LEVEL_KILL) return 'escalate-by-limit';
  if (facts.elapsedMs < facts.killAfterMs) return 'wait';
  return facts.level === LEVEL_NONE ? 'give-up' : 'escalate-by-time';
}
