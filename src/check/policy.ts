/* What a command line makes the guard do: as values for programs, and in plain words. Pure. */
import { userMemTotalKib } from '../decide/limits.js';
import type { MemoryLevels } from '../shared/limits.js';
import type { Matching } from '../shared/matching.js';
import type { GuardOptions, PatternTexts, Persona } from '../shared/options.js';
import type { RankBy } from '../shared/selection.js';
import { mibOfKib, percent } from './finding.js';

/** The effective policy, as `check --json` prints it. */
export interface Policy {
  persona: Persona;
  procfs: string;
  dryrun: boolean;
  /** Percent of user mem total, and what that is now. */
  memTermPercent: number;
  memKillPercent: number;
  memTermKib: number;
  memKillKib: number;
  /** Percent of SwapTotal. */
  swapTermPercent: number;
  swapKillPercent: number;
  rankBy: RankBy;
  /** Who would give back less is passed over; 0: nobody. */
  floorKib: number;
  /** The admin's way in is never killed. */
  sparesWayIn: boolean;
  /** Only this user's processes are killed; null: anybody's. */
  onlyUid: number | null;
  patterns: PatternTexts;
  matching: Matching;
  ignoreRootUser: boolean;
  killGroup: boolean;
  kernelOom: boolean;
  beforeKill: string | null;
  afterKill: string | null;
  notifyDbus: boolean;
  raisePriority: boolean;
  /** 0: none. */
  reportIntervalMs: number;
}

/** The policy that `options` make on a machine with this memory. */
export function policyOf(options: GuardOptions, memory: MemoryLevels): Policy {
  const { limits, selection } = options;
  const kib = (limitPercent: number): number => Math.floor((userMemTotalKib(memory) * limitPercent) / 100);
  return {
    persona: options.persona,
    procfs: options.procfs,
    dryrun: options.dryrun,
    memTermPercent: limits.memTermPercent,
    memKillPercent: limits.memKillPercent,
    memTermKib: kib(limits.memTermPercent),
    memKillKib: kib(limits.memKillPercent),
    swapTermPercent: limits.swapTermPercent,
    swapKillPercent: limits.swapKillPercent,
    rankBy: selection.rankBy,
    floorKib: selection.floorKib,
    sparesWayIn: options.sparesWayIn,
    onlyUid: selection.onlyUid === -1 ? null : selection.onlyUid,
    patterns: options.patterns,
    matching: options.matching,
    ignoreRootUser: selection.ignoreRootUser,
    killGroup: options.killGroup,
    kernelOom: options.kernelOom,
    beforeKill: options.beforeKill,
    afterKill: options.afterKill,
    notifyDbus: options.notifyDbus,
    raisePriority: options.raisePriority,
    // JSON has no Infinity; a report that never comes is none.
    reportIntervalMs: Number.isFinite(options.reportIntervalMs) ? options.reportIntervalMs : 0,
  };
}

/** The policy in sentences, one subject each. */
export function policyWords(policy: Policy, swapTotalKib: number): string[] {
  return [
    `Defaults of ${policy.persona}, processes of ${policy.procfs}.`,
    ...(policy.dryrun ? ['Dry run: says what it would do, kills nobody.'] : []),
    `SIGTERM when available memory is at or below ${percent(policy.memTermPercent)} of user memory, ${mibOfKib(policy.memTermKib)} now; SIGKILL at or below ${percent(policy.memKillPercent)}, ${mibOfKib(policy.memKillKib)} now.`,
    swapWords(policy, swapTotalKib),
    ...victimWords(policy),
    ...programWords(policy),
    ...(policy.raisePriority ? ['It sets its own niceness to -20 and its oom_score_adj to -100.'] : []),
    policy.reportIntervalMs === 0
      ? 'No memory reports.'
      : `A memory report every ${policy.reportIntervalMs / 1000} s while memory is above the limits.`,
  ];
}

function swapWords({ swapTermPercent, swapKillPercent }: Policy, swapTotalKib: number): string {
  if (swapTotalKib === 0) return 'There is no swap: memory alone decides.';
  if (swapTermPercent >= 100 && swapKillPercent >= 100) return 'Swap does not count: memory alone decides.';
  const total = mibOfKib(swapTotalKib);
  return `Besides, free swap has to be at or below ${percent(swapTermPercent)} of ${total} for SIGTERM, ${percent(swapKillPercent)} for SIGKILL.`;
}

/** Who is first, and what being preferred and avoided counts. */
const RANKINGS: Record<RankBy, [string, string, string]> = {
  oom_score: ['the highest oom_score', '300 more', '300 less'],
  rss: ['the largest RSS', '3 GiB of RSS more', '3 GiB of RSS less'],
  memory: ['the most memory to give back', 'double', 'half'],
};

function victimWords(policy: Policy): string[] {
  const { prefer, avoid, ignore } = policy.patterns;
  const [first, more, less] = RANKINGS[policy.rankBy];
  const whole = policy.killGroup ? ', with its whole process group' : '';
  return [
    policy.kernelOom ? "The kernel's OOM killer chooses and kills." : `The process with ${first} is killed${whole}.`,
    ...(prefer === null ? [] : [`Names that match '${prefer}' are preferred: they count ${more}.`]),
    ...(avoid === null ? [] : [`Names that match '${avoid}' are avoided: they count ${less}.`]),
    ...(ignore === null ? [] : [`Names that match '${ignore}' are never killed.`]),
    ...(policy.ignoreRootUser ? ['Processes of root are never killed.'] : []),
    ...(policy.onlyUid === null ? [] : [`Only processes of uid ${policy.onlyUid} are killed.`]),
    ...matchWords(policy.matching),
    ...(policy.sparesWayIn ? ["The admin's way in is never killed."] : []),
    ...(policy.floorKib === 0 ? [] : [`Who would give back less than ${mibOfKib(policy.floorKib)} is passed over.`]),
  ];
}

const DONE = { prefer: 'are preferred', avoid: 'are avoided', protect: 'are never killed' };

function matchWords({ tables, onlyCgroup }: Matching): string[] {
  const matchers = tables.map(({ action, conditions }, index) => {
    const words = conditions.map(({ key, pattern }) => `${key} '${pattern}'`).join(' and ');
    return `Processes with ${words} ${DONE[action]} (match ${index + 1}).`;
  });
  return [
    ...matchers,
    ...(onlyCgroup === null ? [] : [`Only processes in cgroup '${onlyCgroup}' and below are killed.`]),
  ];
}

function programWords(policy: Policy): string[] {
  return [
    ...(policy.beforeKill === null ? [] : [`${policy.beforeKill} runs before each kill, which waits 200 ms for it.`]),
    ...(policy.afterKill === null ? [] : [`${policy.afterKill} runs after each kill.`]),
    ...(policy.notifyDbus ? ['Each kill is told on the system D-Bus.'] : []),
  ];
}
