/*
 * Who is killed, as a function of the candidates' facts. Pure.
 *
 *   1. Some can't be chosen, whatever they use (`whyNot`); some are passed over unless nobody else is left (`isSmall`).
 *   2. By oom_score, --prefer adding 300 and --avoid taking 300; equal scores: the larger RSS.
 *   3. With --sort-by-rss by RSS, +-3 GiB; equal: the higher oom_score. A process that shows RSS 0 (its
 *      main thread is a zombie, other threads live and hold the memory) is compared by oom_score.
 *   4. With --rank-by memory by what a kill would give back, weighed (`weighedKib`); equal: the larger RSS.
 *   5. Still equal: earlyoom's lower pid, which is the one that a walk through /proc meets first; in the own persona
 *      whoever was started last, and has the least to lose.
 *
 * 2 and 4 are total orders. 3 is one only as long as nobody shows RSS 0: with three processes, each can beat
 * the next in a circle. earlyoom's answer is then whoever is left standing after one pass in
 * pid order; that pass is kept (`pickVictim`), and `rankOrder` repeats it, so that the first of the ranking
 * is always the victim.
 */
import {
  type CandidateTable,
  MARK_AVOIDED,
  MARK_CHILD,
  MARK_GONE,
  MARK_IGNORED,
  MARK_OUTSIDE,
  MARK_PREFERRED,
  MARK_PROTECTED,
  MARK_SELF,
  MARK_SET_ASIDE,
  MARK_SMALL,
  MARK_UNREADABLE,
  MARK_WAY_IN,
  OOM_SCORE_ADJ_MIN,
  UNKNOWN,
} from '../shared/candidates.js';
import type { Reason, SelectionPolicy } from '../shared/selection.js';

const OOM_SCORE_BIAS = 300;
const RSS_BIAS_KIB = 3145728;

/** An oom_score_adj is in thousandths. */
const ADJ_RANGE = 1000;
/** --rank-by memory: what --prefer and --avoid do to what a process would give back. */
const PREFERRED_WEIGHT = 2;
const AVOIDED_WEIGHT = 0.5;
/** A positive oom_score_adj at most doubles it. */
const ADJ_WEIGHT_MAX = 2;

const INIT_PID = 1;
const KTHREADD_PID = 2;
const STATE_ZOMBIE = 0x5a; // Z
const ROOT_UID = 0;

/** Why a row can't be chosen, or null if it can. Facts that were not read (UNKNOWN) exclude nobody. */
export function whyNot(table: CandidateTable, row: number, policy: SelectionPolicy): Reason | null {
  const pid = table.pid[row] as number;
  if (policy.onlyPid !== 0 && policy.onlyPid !== pid) return 'not the one';
  if (pid === INIT_PID) return 'init';
  if (pid === KTHREADD_PID || table.ppid[row] === KTHREADD_PID) return 'kernel thread';
  if (table.hasMark(row, MARK_GONE)) return 'dead';
  if (table.hasMark(row, MARK_UNREADABLE)) return 'unreadable';
  if (table.hasMark(row, MARK_SELF)) return 'itself';
  if (table.hasMark(row, MARK_CHILD)) return 'own child';
  if (table.oomScoreAdj[row] === OOM_SCORE_ADJ_MIN) return 'oom_score_adj -1000';
  if (table.hasMark(row, MARK_IGNORED)) return '--ignore';
  if (table.hasMark(row, MARK_WAY_IN)) return 'the way in';
  if (table.hasMark(row, MARK_PROTECTED)) return 'protected';
  if (table.hasMark(row, MARK_OUTSIDE)) return '--only-cgroup';
  const uid = table.uid[row] as number;
  if (policy.onlyUid !== -1 && uid !== UNKNOWN && uid !== policy.onlyUid) return '--only-user';
  if (policy.ignoreRootUser && uid === ROOT_UID) return '--ignore-root-user';
  if (table.state[row] === STATE_ZOMBIE && (table.numThreads[row] as number) <= 1) return 'dead';
  if (table.hasMark(row, MARK_SET_ASIDE)) return 'set aside';
  if (table.hasMark(row, MARK_SMALL)) return 'gives back too little';
  return null;
}

/** Whether a kill would give back less than the policy's floor. Who does not tell is not small. */
export function isSmall(table: CandidateTable, row: number, policy: SelectionPolicy): boolean {
  return table.anonKib[row] !== UNKNOWN && givesBackKib(table, row, policy) < policy.floorKib;
}

/** The adjusted score that the policy ranks by: an oom_score, or KiB. */
export function scoreOf(table: CandidateTable, row: number, policy: SelectionPolicy): number {
  if (policy.rankBy === 'memory') return weighedKib(table, row, policy);
  const byRss = policy.rankBy === 'rss';
  const bias = byRss ? RSS_BIAS_KIB : OOM_SCORE_BIAS;
  let score = byRss ? (table.rssKib[row] as number) : (table.oomScore[row] as number);
  if (table.hasMark(row, MARK_PREFERRED)) score += bias;
  if (table.hasMark(row, MARK_AVOIDED)) score -= bias;
  return score;
}

/**
 * What a kill would give back, KiB, weighed: --prefer doubles it, --avoid halves it, a positive oom_score_adj takes it up to
 * double; a negative one is subtracted, as the kernel does, in thousandths of the machine. More memory never makes
 * it less. Facts that are not known weigh nothing.
 */
function weighedKib(table: CandidateTable, row: number, policy: SelectionPolicy): number {
  return weighedByAdj(
    givesBackKib(table, row, policy) * weightOf(table, row),
    table.oomScoreAdj[row] as number,
    policy,
  );
}

function weightOf(table: CandidateTable, row: number): number {
  const preferred = table.hasMark(row, MARK_PREFERRED) ? PREFERRED_WEIGHT : 1;
  return table.hasMark(row, MARK_AVOIDED) ? preferred * AVOIDED_WEIGHT : preferred;
}

function weighedByAdj(kib: number, adj: number, policy: SelectionPolicy): number {
  if (adj === UNKNOWN) return kib;
  return adj > 0 ? kib * (1 + adj / ADJ_RANGE) : kib + (adj / ADJ_RANGE) * policy.machineKib;
}

/** What a kill would give back, as far as it is known, KiB. */
function givesBackKib(table: CandidateTable, row: number, policy: SelectionPolicy): number {
  const swapKib = policy.swapCounts ? (table.swapKib[row] as number) : 0;
  return Math.max(0, table.anonKib[row] as number) + Math.max(0, swapKib);
}

/**
 * The highest score that a row can turn out to have once everything is known of it. Not for --sort-by-rss, where a row
 * without RSS is compared otherwise.
 * @param preferrers   the marks (MARK_NAMED, MARK_BIASED) of what a row may be preferred by: as long as it lacks one of them, it may turn out to be
 * @param swapUsedKib  nobody has more in swap
 */
export function scoreBound(
  table: CandidateTable,
  row: number,
  policy: SelectionPolicy,
  preferrers: number,
  swapUsedKib: number,
): number {
  const marks = table.marks[row] as number;
  const mayBePreferred = (preferrers & ~marks) !== 0 && (marks & MARK_PREFERRED) === 0;
  if (policy.rankBy !== 'memory') {
    const score = scoreOf(table, row, policy);
    return mayBePreferred ? score + OOM_SCORE_BIAS : score;
  }
  if (table.anonKib[row] === UNKNOWN) return Number.POSITIVE_INFINITY;
  let kib = givesBackKib(table, row, policy);
  if (policy.swapCounts && table.swapKib[row] === UNKNOWN) kib += swapUsedKib;
  kib *= weightOf(table, row);
  if (mayBePreferred) kib *= PREFERRED_WEIGHT;
  const adj = table.oomScoreAdj[row] as number;
  return adj === UNKNOWN ? kib * ADJ_WEIGHT_MAX : weighedByAdj(kib, adj, policy);
}

/**
 * How much a score can rise, at most, while a process gets `kib` of memory.
 * @param oomScoreFactor  how many points of oom_score a process gets for a thousandth of the machine
 */
export function scoreRise(kib: number, policy: SelectionPolicy, oomScoreFactor: number, machineKib: number): number {
  if (policy.rankBy === 'memory') return kib * PREFERRED_WEIGHT * ADJ_WEIGHT_MAX;
  return Math.ceil((kib * ADJ_RANGE * oomScoreFactor) / machineKib) + 1;
}

/** Whether row `a` is a better victim than row `b`; both can be chosen. */
export function outranks(table: CandidateTable, a: number, b: number, policy: SelectionPolicy): boolean {
  const rssA = table.rssKib[a] as number;
  const rssB = table.rssKib[b] as number;
  const byRss = policy.rankBy === 'rss';
  if (byRss && (rssA === 0 || rssB === 0)) {
    const oomA = table.oomScore[a] as number;
    const oomB = table.oomScore[b] as number;
    if (oomA !== oomB) return oomA > oomB;
  }
  const scoreA = scoreOf(table, a, policy);
  const scoreB = scoreOf(table, b, policy);
  if (scoreA !== scoreB) return scoreA > scoreB;
  const secondA = byRss ? (table.oomScore[a] as number) : rssA;
  const secondB = byRss ? (table.oomScore[b] as number) : rssB;
  if (secondA !== secondB) return secondA > secondB;
  const startedA = table.startTimeTicks[a] as number;
  const startedB = table.startTimeTicks[b] as number;
  if (policy.youngestFirst && startedA !== startedB) return startedA > startedB;
  return (table.pid[a] as number) < (table.pid[b] as number);
}

/** The row to kill, or -1 if nobody can be chosen. */
export function pickVictim(table: CandidateTable, policy: SelectionPolicy): number {
  let victim = -1;
  for (let row = 0; row < table.count; row++) {
    if (whyNot(table, row, policy) !== null) continue;
    if (victim === -1 || outranks(table, row, victim, policy)) victim = row;
  }
  return victim;
}

/** As `pickVictim`, of a table in which every fact of everybody is known: who is small is passed over unless nobody else is left. */
export function pickFromWhole(table: CandidateTable, policy: SelectionPolicy): number {
  for (let row = 0; row < table.count; row++) if (isSmall(table, row, policy)) table.mark(row, MARK_SMALL);
  const row = pickVictim(table, policy);
  if (row !== -1 || policy.floorKib === 0) return row;
  for (let each = 0; each < table.count; each++) table.marks[each] = (table.marks[each] as number) & ~MARK_SMALL;
  return pickVictim(table, policy);
}

/** All rows, worst first: those that can be chosen, then those that can't, each in the order of the ranking. */
export function rankOrder(table: CandidateTable, policy: SelectionPolicy): number[] {
  const eligible: number[] = [];
  const excluded: number[] = [];
  for (let row = 0; row < table.count; row++) {
    (whyNot(table, row, policy) === null ? eligible : excluded).push(row);
  }
  return [...inOrder(table, eligible, policy), ...inOrder(table, excluded, policy)];
}

function inOrder(table: CandidateTable, rows: number[], policy: SelectionPolicy): number[] {
  const circlePossible = policy.rankBy === 'rss' && rows.some((row) => table.rssKib[row] === 0);
  if (!circlePossible) return rows.sort((a, b) => (outranks(table, a, b, policy) ? -1 : 1));
  const left = rows.slice();
  const order: number[] = [];
  while (left.length > 0) {
    let first = 0;
    for (let i = 1; i < left.length; i++) {
      if (outranks(table, left[i] as number, left[first] as number, policy)) first = i;
    }
    order.push(...left.splice(first, 1));
  }
  return order;
}
