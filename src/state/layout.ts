/*
 * The state page: the file `state` in the runtime directory, the contract between the guard, which writes it, and everybody who
 * reads (the exporter, `status`, `top`, a script). This file owns the layout; writer and readers import it and nothing of each other.
 *
 *   0     8   magic       "OOMBSTOP"
 *   8     4   version     u32, LAYOUT_VERSION; another one is refused, never guessed at
 *   12    4   bytes       u32, PAGE_BYTES
 *   16    4   sequence    u32, the seqlock: odd while the page is being written. A reader takes it, copies the page, and takes it
 *                         again: if it was odd or has changed, the copy is torn, and is taken once more
 *   20    4   reserved    0
 *   24    24  program     the guard's version, ASCII, NUL-padded
 *   48    8n  numbers     f64 each, little-endian: NUMBERS below, in that order. Whole numbers up to 2^53 are exact
 *   ...       decisions   a ring of DECISIONS_KEPT records of DECISION_BYTES: numbers (DECISION_NUMBERS), then two names
 *
 * One page of memory, so that it is written by one copy and can be kept in memory whole. All numbers are of one type, because the
 * writer must not allocate: a Float64Array over the page does, a BigInt would not do. Counters (`...Total`) only rise, also across
 * a restart of the guard; a new guard of the same layout goes on from them.
 *
 * Whoever changes NUMBERS, DECISION_NUMBERS or a list that they are made from raises LAYOUT_VERSION.
 */

export const STATE_FILE = 'state';
export const LAYOUT_VERSION = 1;
export const PAGE_BYTES = 4096;
export const MAGIC = 'OOMBSTOP';

export const MAGIC_AT = 0;
export const VERSION_AT = 8;
export const BYTES_AT = 12;
export const SEQUENCE_AT = 16;
export const PROGRAM_AT = 24;
export const PROGRAM_BYTES = 24;
export const NUMBERS_AT = 48;

/** A number that is not known, or never was: no PSI, no kill so far. */
export const NOT_KNOWN = -1;

/** In the order of their numbers in the page. */
export const PERSONAS = ['oom-backstop', 'earlyoom'] as const;
/** Why somebody is killed: the limits, or a PSI rule. */
export const REASONS = ['limit', 'rule'] as const;
/** The last signal that a victim got; `kernel` for --kernel-oom, where the kernel chooses and kills. */
export const SIGNALS = ['term', 'kill', 'kernel'] as const;
/** Of a guard's tick: nothing under way; a hook is waited for; after SIGTERM; after SIGKILL. */
export const PHASES = ['watching', 'pre-hook', 'terminating', 'killing'] as const;
/** The levels that can be crossed. */
export const LEVELS = ['term', 'kill'] as const;
export const HOOKS = ['before-kill', 'after-kill', 'notify'] as const;
/** How a hook's run went: status 0; another status or a signal; not started; longer than it may take. */
export const HOOK_RESULTS = ['ok', 'failed', 'not-started', 'timeout'] as const;
/** How a kill came to nothing: the victim outlived SIGKILL; outlived SIGTERM; a system call failed; nobody could be chosen. */
export const FAILURES = ['outlived-kill', 'outlived-term', 'syscall', 'nobody'] as const;
/** How a kill ended, in the ring. */
export const OUTCOMES = ['under way', 'exited', 'outlived SIGTERM', 'outlived SIGKILL', 'failed', 'dry run'] as const;

/**
 * Upper bounds of a histogram's buckets in ms, the last one (+Inf) not named. In the page: a count for each bucket (not cumulative), one for
 * +Inf, and the sum in ms.
 */
export const TICK_BOUNDS_MS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250] as const;
export const LAG_BOUNDS_MS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000] as const;
export const KILL_BOUNDS_MS = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const;

function histogram<Name extends string>(name: Name, bounds: readonly number[]): `${Name}${string}`[] {
  return [...bounds.map((_, bucket) => `${name}Bucket${bucket}` as const), `${name}BucketInf`, `${name}SumMs`];
}

function each<A extends string>(prefix: string, list: readonly A[]): string[] {
  return list.map((name) => `${prefix}:${name}`);
}

function product(a: readonly string[], b: readonly string[]): string[] {
  return a.flatMap((first) => b.map((second) => `${first}:${second}`));
}

/** The numbers' names in the order in which they stand in the page, each with its unit in its name. */
export const NUMBERS: readonly string[] = [
  // Who writes.
  'pid',
  'persona', // index of PERSONAS
  'dryrun', // 0 or 1
  'startedUnixMs',
  // The heartbeat: when the page was last written. By CLOCK_MONOTONIC a clock that is set does not matter, by Unix time people can read it.
  'heartbeatMonotonicMs',
  'heartbeatUnixMs',
  'waitMs', // until the page is written again, at most; from the heartbeat on
  'phase', // index of PHASES
  // The last sample (/proc/meminfo, with what the headroom adds), and the limits.
  'memTotalKib',
  'memAvailableKib',
  'anonPagesKib',
  'swapTotalKib',
  'swapFreeKib',
  'memTermPercent', // of memAvailableKib + anonPagesKib
  'memKillPercent',
  'swapTermPercent', // of swapTotalKib
  'swapKillPercent',
  'troublesBefore', // TROUBLES of the guards before this one, added up: what is more than that is this one's
  // What has happened.
  'startsTotal',
  'ticksTotal',
  'sampleFailuresTotal',
  ...each('crossingsTotal', LEVELS), // a limit, or a rule that asks for that level; once for each time memory was above before
  ...product(product(['killsTotal'], PERSONAS), product(REASONS, SIGNALS)), // victims that have ended; no dry runs
  'dryrunKillsTotal',
  ...each('failuresTotal', FAILURES),
  'freedKibTotal', // what victims gave back, as far as it was measured
  'droppedLogLinesTotal',
  'droppedEventsTotal',
  ...product(product(['hookRunsTotal'], HOOKS), HOOK_RESULTS),
  ...histogram('tick', TICK_BOUNDS_MS), // from waking up until waiting again
  ...histogram('lag', LAG_BOUNDS_MS), // how much later than asked for a wait ended by its timeout
  ...histogram('kill', KILL_BOUNDS_MS), // from the first signal until the victim had ended
  ...histogram('back', KILL_BOUNDS_MS), // from the first signal until its memory was back
  'lastKillUnixMs', // NOT_KNOWN: none so far
  'decisionsTotal', // how many decisions there ever were; the newest is in the ring at (decisionsTotal - 1) % DECISIONS_KEPT
];

/** Counters that should not rise. A restart of the guard takes note of them: `troublesBefore`. */
export const TROUBLES: readonly string[] = [
  'sampleFailuresTotal',
  'droppedLogLinesTotal',
  'droppedEventsTotal',
  'failuresTotal:syscall',
  'failuresTotal:nobody',
  ...product(product(['hookRunsTotal'], HOOKS), HOOK_RESULTS).filter((name) => !name.endsWith(':ok')),
];

export const DECISIONS_KEPT = 8;
/** For each: numbers (f64), then the victim's name, then the rule's name (empty: a limit), both NUL-padded. */
export const DECISION_NUMBERS = [
  'unixMs',
  'pid',
  'uid',
  'signal', // index of SIGNALS: the last one so far
  'outcome', // index of OUTCOMES
  'rssKib',
  'freedKib', // NOT_KNOWN: not measured
  'killMs', // from the first signal to the end; NOT_KNOWN: not ended
  'backMs', // from the first signal until memory was back; NOT_KNOWN
] as const;
export const DECISION_COMM_BYTES = 16;
export const DECISION_RULE_BYTES = 40;
export const DECISION_BYTES = DECISION_NUMBERS.length * 8 + DECISION_COMM_BYTES + DECISION_RULE_BYTES;
export const DECISIONS_AT = NUMBERS_AT + NUMBERS.length * 8;

/** The index of a number in NUMBERS. @throws RangeError if there is none of that name: a programmer's error */
export function numberIndex(name: string): number {
  const index = NUMBERS.indexOf(name);
  if (index === -1) throw new RangeError(`no number ${name} in the state page`);
  return index;
}

/** Where the `slot`th decision begins, in bytes. */
export function decisionAt(slot: number): number {
  return DECISIONS_AT + slot * DECISION_BYTES;
}
