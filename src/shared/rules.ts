/*
 * PSI rules as the admin sets them, and the one that the own persona has by default.
 *
 * A rule looks at the share of time that tasks stall for memory, of the machine or of each cgroup that matches a pattern. It
 * never goes by that alone: `availableBelowPercent` is a gate, and where evidence is asked for (swap, refaults, and in a cgroup
 * its own limit) at least one piece of it has to be there.
 */

/** `some`: a task stalls; `full`: all that could run do (Documentation/accounting/psi.rst). */
type StallKind = 'some' | 'full';

export interface PressureRule {
  name: string;
  /** Which cgroups it watches, each for itself: a path from the root of cgroup v2, where * and ? match within a name. null: the machine. */
  cgroup: string | null;
  kind: StallKind;
  /** The least share of `windowMs` that is spent stalling. */
  stallPercent: number;
  windowMs: number;
  /** How long it has to hold. */
  forMs: number;
  /** Only while available memory is at or below this share of user mem total; null (of a cgroup's rule only): whatever it is. */
  availableBelowPercent: number | null;
  /** Evidence: free swap is at or below this share of all swap; null: not asked. */
  swapFreeBelowPercent: number | null;
  /** Evidence: pages that had just been dropped are read again, or processes reclaim memory themselves. */
  refaults: boolean;
  /** The first signal. SIGKILL follows SIGTERM when the stall goes on. */
  action: 'term' | 'kill';
  /** Who is signalled: the largest process (by the guard's ranking) of what the rule watches, or a whole cgroup. */
  scope: 'largest' | 'cgroup';
}

/** More of them, over all files, are a mistake. */
export const RULES_MAX = 16;

/**
 * The default rule. A machine without swap showed `some` 5 % at 91 MiB available of 1 GiB and 61 % at 52 MiB, where it hardly
 * got on any more; one that swaps without end shows more, with MemAvailable at or a little above the limits.
 *
 *   some 40 %    between those two. `full` is hidden by one busy task on a whole machine
 *   500 ms       long enough for a burst of reclaim, as a build makes it, to be averaged away
 *   1 s          longer than the window, so that a burst, however hard, is none: what holds for a second goes on. 1.2 s after a total
 *                stall begins, 1.4 s after one of 61 %; the limits, which are quicker, come first where memory falls
 *   15 %         three times the SIGTERM limit: with more than that memory is there to be used, whoever stalls
 *   refaults     a cgroup that is held back by its own memory.high stalls too: that is no reason to kill
 */
export const DEFAULT_RULE: Readonly<PressureRule> = {
  name: 'thrashing',
  cgroup: null,
  kind: 'some',
  stallPercent: 40,
  windowMs: 500,
  forMs: 1000,
  availableBelowPercent: 15,
  swapFreeBelowPercent: null,
  refaults: true,
  action: 'term',
  scope: 'largest',
};

/** The rules in force: the admin's, and the default one unless it is switched off or one of them has its name. */
export function rulesInForce(rules: readonly PressureRule[], defaultRule: boolean): readonly PressureRule[] {
  const replaced = rules.some(({ name }) => name === DEFAULT_RULE.name);
  return defaultRule && !replaced ? [DEFAULT_RULE, ...rules] : rules;
}
