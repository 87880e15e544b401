/* Tables of candidates from plain objects, and arbitrary ones. */

import fc from 'fast-check';
import {
  CandidateTable,
  MARK_AVOIDED,
  MARK_CHILD,
  MARK_IGNORED,
  MARK_PREFERRED,
  MARK_SELF,
  MARK_SET_ASIDE,
  MARK_UNREADABLE,
} from '../../../src/shared/candidates.js';
import { EARLYOOM_SELECTION } from '../../../src/shared/selection.js';

export interface Candidate {
  pid: number;
  ppid?: number;
  pgrp?: number;
  uid?: number;
  state?: string;
  numThreads?: number;
  oomScore?: number;
  oomScoreAdj?: number;
  rssKib?: number;
  anonKib?: number;
  swapKib?: number;
  startTimeTicks?: number;
  marks?: number;
}

export function tableOf(candidates: readonly Candidate[]): CandidateTable {
  const table = new CandidateTable();
  for (const candidate of candidates) {
    const row = table.add(candidate.pid);
    table.ppid[row] = candidate.ppid ?? 1;
    table.pgrp[row] = candidate.pgrp ?? candidate.pid;
    table.state[row] = (candidate.state ?? 'S').charCodeAt(0);
    table.numThreads[row] = candidate.numThreads ?? 1;
    table.oomScore[row] = candidate.oomScore ?? 600;
    table.rssKib[row] = candidate.rssKib ?? 1000;
    table.anonKib[row] = candidate.anonKib ?? 1000;
    table.swapKib[row] = candidate.swapKib ?? 0;
    table.startTimeTicks[row] = candidate.startTimeTicks ?? candidate.pid;
    // As after a scan: not read for everybody.
    if (candidate.uid !== undefined) table.uid[row] = candidate.uid;
    if (candidate.oomScoreAdj !== undefined) table.oomScoreAdj[row] = candidate.oomScoreAdj;
    table.mark(row, candidate.marks ?? 0);
  }
  return table;
}

export const BY_SCORE = { ...EARLYOOM_SELECTION };
export const BY_RSS = { ...EARLYOOM_SELECTION, rankBy: 'rss' as const };
export const BY_MEMORY = {
  ...EARLYOOM_SELECTION,
  rankBy: 'memory' as const,
  swapCounts: true,
  youngestFirst: true,
  machineKib: 16_000_000,
};

/* Few values, so that ties are common. */
const RANKED = {
  oomScore: fc.oneof(fc.constantFrom(0, 366, 666, 667, 966), fc.nat(2000)),
  anonKib: fc.oneof(fc.constantFrom(0, 1000, 2000, 4000), fc.nat(8_000_000)),
  swapKib: fc.constantFrom(0, 0, 1000, 4_000_000),
  oomScoreAdj: fc.constantFrom(0, 0, 300, 1000, -1, -999),
  startTimeTicks: fc.constantFrom(7, 7, 8),
  marks: fc.constantFrom(0, 0, MARK_PREFERRED, MARK_AVOIDED, MARK_PREFERRED | MARK_AVOIDED),
};
const RSS_KIB = [1, 1000, 1001, 3145728, 3146728, 6291456];
const EXCLUDED = [MARK_IGNORED, MARK_SELF, MARK_CHILD, MARK_UNREADABLE, MARK_SET_ASIDE];

/** Up to 12 processes by rising pid, as /proc lists them, that can all be chosen; with `zeroRss`, some show none. */
export function eligibleCandidates({ zeroRss }: { zeroRss: boolean }): fc.Arbitrary<Candidate[]> {
  const rssKib = fc.oneof(
    fc.constantFrom(...RSS_KIB, ...(zeroRss ? [0, 0, 0] : [])),
    fc.integer({ min: 1, max: 8_000_000 }),
  );
  return fc.array(fc.record({ ...RANKED, rssKib }), { minLength: 1, maxLength: 12 }).map(numbered);
}

/** Likewise, mixed with processes that can't be chosen. */
export const mixedCandidates: fc.Arbitrary<Candidate[]> = fc
  .array(
    fc.record({
      ...RANKED,
      rssKib: fc.constantFrom(...RSS_KIB, 0, 0),
      state: fc.constantFrom('S', 'S', 'Z'),
      ppid: fc.constantFrom(1, 1, 1, 2),
      marks: fc.oneof({ weight: 3, arbitrary: RANKED.marks }, { weight: 1, arbitrary: fc.constantFrom(...EXCLUDED) }),
    }),
    { maxLength: 12 },
  )
  .map(numbered);

function numbered<T extends object>(list: T[]): (T & { pid: number })[] {
  return list.map((each, index) => ({ ...each, pid: 100 + index }));
}
