/*
 * Who is killed: earlyoom's selection, as a function of the candidates' facts. Pure.
 *
 *   1. Some can't be chosen, whatever they use (`whyNot`).
 *   2. By oom_score, --prefer adding 300 and --avoid taking 300; equal scores: the larger RSS.
 *   3. With --sort-by-rss by RSS, +-3 GiB; equal: the higher oom_score. A process that shows RSS 0 (its
 *      main thread is a zombie, other threads live and hold the memory) is compared by oom_score.
 *   4. Still equal: the lower pid, which is the one that a walk through /proc meets first.
 *
 * 2 is a total order. 3 is one only as long as nobody shows RSS 0: with three processes, each can beat
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
  MARK_NAMED,
  MARK_PREFERRED,
  MARK_SELF,
  MARK_SET_ASIDE,
  MARK_UNREADABLE,
  OOM_SCORE_ADJ_MIN,
} from '../shared/candidates.js';
import type { Reason, SelectionPolicy } from '../shared/selection.js';

const OOM_SCORE_BIAS = 300;
const RSS_BIAS_KIB = 3145728;

const BY_OOM_SCORE = { sortByRss: false };

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
  if (policy.ignoreRootUser && table.uid[row] === ROOT_UID) return '--ignore-root-user';
  if (table.state[row] === STATE_ZOMBIE && (table.numThreads[row] as number) <= 1) return 'dead';
  if (table.hasMark(row, MARK_SET_ASIDE)) return 'set aside';
  return null;
}

/** The adjusted score that the policy ranks by: an oom_score, or KiB with --sort-by-rss. */
export function scoreOf(table: CandidateTable, row: number, policy: Pick<SelectionPolicy, 'sortByRss'>): number {
  const bias = policy.sortByRss ? RSS_BIAS_KIB : OOM_SCORE_BIAS;
  let score = policy.sortByRss ? (table.rssKib[row] as number) : (table.oomScore[row] as number);
  if (table.hasMark(row, MARK_PREFERRED)) score += bias;
  if (table.hasMark(row, MARK_AVOIDED)) score -= bias;
  return score;
}

/**
 * The highest score that a row can turn out to have once its name is known: a name can only be preferred where
 * something is (`prefers`). By oom_score only; with --sort-by-rss a row without RSS is compared otherwise.
 */
export function scoreBound(table: CandidateTable, row: number, prefers: boolean): number {
  const score = scoreOf(table, row, BY_OOM_SCORE);
  return prefers && !table.hasMark(row, MARK_NAMED) ? score + OOM_SCORE_BIAS : score;
}

/** Whether row `a` is a better victim than row `b`; both can be chosen. */
export function outranks(table: CandidateTable, a: number, b: number, policy: SelectionPolicy): boolean {
  const rssA = table.rssKib[a] as number;
  const rssB = table.rssKib[b] as number;
  if (policy.sortByRss && (rssA === 0 || rssB === 0)) {
    const oomA = table.oomScore[a] as number;
    const oomB = table.oomScore[b] as number;
    if (oomA !== oomB) return oomA > oomB;
  }
  const scoreA = scoreOf(table, a, policy);
  const scoreB = scoreOf(table, b, policy);
  if (scoreA !== scoreB) return scoreA > scoreB;
  const secondA = policy.sortByRss ? (table.oomScore[a] as number) : rssA;
  const secondB = policy.sortByRss ? (table.oomScore[b] as number) : rssB;
  if (secondA !== secondB) return secondA > secondB;
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
  const circlePossible = policy.sortByRss && rows.some((row) => table.rssKib[row] === 0);
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
