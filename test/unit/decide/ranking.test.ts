import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSmall, outranks, pickVictim, rankOrder, scoreBound, scoreOf, whyNot } from '../../../src/decide/ranking.js';
import {
  MARK_AVOIDED,
  MARK_CHILD,
  MARK_IGNORED,
  MARK_NAMED,
  MARK_PREFERRED,
  MARK_SELF,
  MARK_SET_ASIDE,
  MARK_SMALL,
  MARK_UNREADABLE,
  MARK_WAY_IN,
  UNKNOWN,
} from '../../../src/shared/candidates.js';
import { EARLYOOM_SELECTION } from '../../../src/shared/selection.js';
import {
  BY_MEMORY,
  BY_RSS,
  BY_SCORE,
  type Candidate,
  eligibleCandidates,
  mixedCandidates,
  tableOf,
} from './candidates.js';

/* As earlyoom tests its own: lists from the worst to the best, in which each must win against each behind it. */
const BY_SCORE_SORTED: Candidate[] = [
  { pid: 20, oomScore: 700, marks: MARK_PREFERRED }, // 1000
  { pid: 21, oomScore: 999 },
  { pid: 22, oomScore: 800, rssKib: 5 },
  { pid: 24, oomScore: 500, rssKib: 4, marks: MARK_PREFERRED }, // 800 too: by RSS
  { pid: 23, oomScore: 1100, rssKib: 3, marks: MARK_AVOIDED }, // and 800
  { pid: 25, oomScore: 800, rssKib: 2, marks: MARK_PREFERRED | MARK_AVOIDED }, // both: neither
  { pid: 26, oomScore: 800, rssKib: 1 },
  { pid: 27, oomScore: 800, rssKib: 1 }, // all equal: the lower pid
  { pid: 5, oomScore: 799, rssKib: 9_000_000 },
  { pid: 6, oomScore: 666 },
  { pid: 7, oomScore: 966, marks: MARK_AVOIDED }, // 666 too, by pid
  { pid: 8, oomScore: 666, rssKib: 0, state: 'Z', numThreads: 3 },
  { pid: 9, oomScore: 0, rssKib: 5 },
  { pid: 10, oomScore: 299, marks: MARK_AVOIDED }, // -1
];

const BY_RSS_SORTED: Candidate[] = [
  { pid: 20, rssKib: 4_000_000, marks: MARK_PREFERRED }, // 7,145,728
  { pid: 21, rssKib: 7_145_727 },
  { pid: 28, rssKib: 3_145_729, oomScore: 900 },
  { pid: 9, rssKib: 1, oomScore: 8, marks: MARK_PREFERRED }, // as much: by oom_score
  { pid: 24, rssKib: 3_145_728, oomScore: 7 },
  { pid: 25, rssKib: 3_145_728, oomScore: 7 }, // all equal: the lower pid
  { pid: 6, rssKib: 6_000_000, oomScore: 2000, marks: MARK_AVOIDED }, // 2,854,272
  { pid: 7, rssKib: 1000, oomScore: 2000 },
  { pid: 5, rssKib: 3_145_000, oomScore: 2000, marks: MARK_AVOIDED }, // -728
];

describe.each([
  ['by oom_score', BY_SCORE, BY_SCORE_SORTED],
  ['by RSS', BY_RSS, BY_RSS_SORTED],
] as const)('the ranking %s', (_name, policy, sorted) => {
  const table = tableOf(sorted);

  it('puts each before every one behind it, and never the other way round', () => {
    for (let a = 0; a < sorted.length; a++) {
      for (let b = 0; b < sorted.length; b++) {
        expect([sorted[a]?.pid, sorted[b]?.pid, outranks(table, a, b, policy)]).toEqual([
          sorted[a]?.pid,
          sorted[b]?.pid,
          a < b,
        ]);
      }
    }
  });

  it('finds the same order and the same victim, however the list is shuffled', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...sorted], { minLength: 1 }), (shuffled) => {
        const shuffledTable = tableOf(shuffled);
        const expected = sorted.filter((each) => shuffled.includes(each)).map((each) => each.pid);
        expect(rankOrder(shuffledTable, policy).map((row) => shuffledTable.pid[row])).toEqual(expected);
        expect(shuffledTable.pid[pickVictim(shuffledTable, policy)]).toBe(expected[0]);
      }),
    );
  });
});

describe.each([
  ['by oom_score', BY_SCORE, true],
  ['by RSS, where nobody shows RSS 0', BY_RSS, false],
  ['by memory', BY_MEMORY, true],
] as const)('the ranking %s', (_name, policy, zeroRss) => {
  it('is a total order: of two one wins, and whoever wins against the winner wins against the loser', () => {
    fc.assert(
      fc.property(eligibleCandidates({ zeroRss }), (candidates) => {
        const table = tableOf(candidates);
        const rows = candidates.keys();
        const wins = (a: number, b: number): boolean => outranks(table, a, b, policy);
        for (const a of [...rows]) {
          for (let b = 0; b < candidates.length; b++) {
            expect(wins(a, b)).toBe(a !== b && !wins(b, a));
            for (let c = 0; c < candidates.length; c++) if (wins(a, b) && wins(b, c)) expect(wins(a, c)).toBe(true);
          }
        }
      }),
    );
  });
});

describe('the ranking by RSS with processes that show none', () => {
  /* The zombie main thread shows RSS 0: with it, oom_score decides, and RSS between the other two. */
  const zombie: Candidate = { pid: 10, rssKib: 0, oomScore: 700, state: 'Z', numThreads: 4 };
  const big: Candidate = { pid: 11, rssKib: 9000, oomScore: 600 };
  const small: Candidate = { pid: 12, rssKib: 1000, oomScore: 800 };

  it('can go in a circle', () => {
    const table = tableOf([zombie, big, small]);
    expect([outranks(table, 0, 1, BY_RSS), outranks(table, 1, 2, BY_RSS), outranks(table, 2, 0, BY_RSS)]).toEqual([
      true,
      true,
      true,
    ]);
  });

  it.each([
    ['zombie first: it beats the big one and falls to the small one', [zombie, big, small], 12],
    ['zombie in the middle: it beats the big one and falls to the small one', [big, zombie, small], 12],
    ['zombie last: the big one has beaten the small one, and falls to it', [big, small, zombie], 10],
  ])('the victim is who is left standing after one pass. %s', (_case, candidates, pid) => {
    const table = tableOf(candidates);
    expect(table.pid[pickVictim(table, BY_RSS)]).toBe(pid);
  });

  it('compares by oom_score without the bias of --prefer and --avoid, and by RSS where that is equal', () => {
    const table = tableOf([
      { ...zombie, marks: MARK_AVOIDED },
      { ...big, marks: MARK_PREFERRED },
      { ...big, pid: 13, oomScore: 700 },
      { ...zombie, pid: 14, marks: MARK_PREFERRED },
    ]);
    expect(outranks(table, 0, 1, BY_RSS)).toBe(true);
    expect(outranks(table, 2, 0, BY_RSS)).toBe(true);
    expect(outranks(table, 3, 2, BY_RSS)).toBe(true); // 3 GiB of preference against 9,000 KiB
  });

  it('antisymmetric still: of two, one wins', () => {
    fc.assert(
      fc.property(eligibleCandidates({ zeroRss: true }), (candidates) => {
        const table = tableOf(candidates);
        for (let a = 0; a < candidates.length; a++) {
          for (let b = 0; b < a; b++) expect(outranks(table, a, b, BY_RSS)).toBe(!outranks(table, b, a, BY_RSS));
        }
      }),
    );
  });
});

describe('the ranking by memory', () => {
  it.each<[string, Partial<Candidate>, number]>([
    ['as it is', {}, 5000],
    ['with what is in swap', { swapKib: 700 }, 5700],
    ['double, preferred', { marks: MARK_PREFERRED }, 10_000],
    ['half, avoided', { marks: MARK_AVOIDED }, 2500],
    ['as it is, both', { marks: MARK_PREFERRED | MARK_AVOIDED }, 5000],
    ['by a half more at oom_score_adj 500', { oomScoreAdj: 500 }, 7500],
    ['double at oom_score_adj 1000', { oomScoreAdj: 1000, swapKib: 100 }, 10_200],
    ['less by thousandths of the machine at a negative one', { oomScoreAdj: -2 }, 5000 - 32_000],
    ['weighed before that', { oomScoreAdj: -2, marks: MARK_PREFERRED }, 10_000 - 32_000],
  ])('counts what a kill gives back %s', (_case, candidate, score) => {
    expect(scoreOf(tableOf([{ pid: 7, anonKib: 5000, ...candidate }]), 0, BY_MEMORY)).toBe(score);
  });

  it('of equals takes the larger RSS, then whoever was started last, then the lower pid', () => {
    const table = tableOf([
      { pid: 10, rssKib: 9000, startTimeTicks: 1 },
      { pid: 14, rssKib: 8000, startTimeTicks: 4 },
      { pid: 12, rssKib: 8000, startTimeTicks: 3 },
      { pid: 13, rssKib: 8000, startTimeTicks: 3 },
    ]);
    expect(rankOrder(table, BY_MEMORY)).toEqual([0, 1, 2, 3]);
  });

  it('never ranks a process lower because it has more', () => {
    fc.assert(
      fc.property(
        eligibleCandidates({ zeroRss: true }),
        fc.nat(),
        fc.nat(4_000_000),
        fc.boolean(),
        (list, who, kib, swap) => {
          const grown = who % list.length;
          const place = (candidates: readonly Candidate[]): number =>
            rankOrder(tableOf(candidates), BY_MEMORY).indexOf(grown);
          const more = list.map((each, index) => {
            if (index !== grown) return each;
            const rssKib = (each.rssKib ?? 0) + kib;
            return swap
              ? { ...each, swapKib: (each.swapKib ?? 0) + kib }
              : { ...each, rssKib, anonKib: (each.anonKib ?? 0) + kib };
          });
          expect(place(more)).toBeLessThanOrEqual(place(list));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('has a bound that no fact read later can exceed', () => {
    const SWAP_USED_KIB = 4_000_000;
    fc.assert(
      fc.property(eligibleCandidates({ zeroRss: true }), fc.nat(7), fc.boolean(), (list, unknown, prefers) => {
        const table = tableOf(list);
        for (const row of list.keys()) {
          const marks = table.marks[row] as number;
          if (!prefers && (marks & MARK_PREFERRED) !== 0) continue;
          table.marks[row] = marks | MARK_NAMED;
          const score = scoreOf(table, row, BY_MEMORY);
          if (unknown & 1) table.oomScoreAdj[row] = UNKNOWN;
          if (unknown & 2) table.swapKib[row] = UNKNOWN;
          if (unknown & 4) table.marks[row] = 0;
          expect(scoreBound(table, row, BY_MEMORY, prefers ? MARK_NAMED : 0, SWAP_USED_KIB)).toBeGreaterThanOrEqual(
            score,
          );
        }
      }),
      { numRuns: 500 },
    );
    const table = tableOf([{ pid: 7 }]);
    table.anonKib[0] = UNKNOWN;
    expect(scoreBound(table, 0, BY_MEMORY, 0, 0)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('isSmall', () => {
  it.each([
    [{ anonKib: 4095 }, true],
    [{ anonKib: 4096 }, false],
    [{ anonKib: 4000, swapKib: 96 }, false],
    [{ anonKib: UNKNOWN }, false],
  ])('%j: %s', (candidate, small) => {
    expect(isSmall(tableOf([{ pid: 7, ...candidate }]), 0, { ...BY_MEMORY, floorKib: 4096 })).toBe(small);
    expect(isSmall(tableOf([{ pid: 7, ...candidate }]), 0, { ...BY_MEMORY, floorKib: 0 })).toBe(false);
  });
});

describe('rankOrder', () => {
  it.each([
    ['oom_score', BY_SCORE],
    ['RSS', BY_RSS],
    ['memory', BY_MEMORY],
  ] as const)("by %s holds each row once, the victim first, and those who can't be chosen last", (_name, policy) => {
    fc.assert(
      fc.property(mixedCandidates, (candidates) => {
        const table = tableOf(candidates);
        const order = rankOrder(table, policy);
        expect([...order].sort((a, b) => a - b)).toEqual([...candidates.keys()]);
        const eligible = order.map((row) => whyNot(table, row, policy) === null);
        expect(eligible).toEqual([...eligible].sort((a, b) => Number(b) - Number(a)));
        expect(eligible[0] === true ? order[0] : -1).toBe(pickVictim(table, policy));
      }),
      { numRuns: 500 },
    );
  });

  it('of nobody is nobody', () => {
    expect([rankOrder(tableOf([]), BY_SCORE), pickVictim(tableOf([]), BY_SCORE)]).toEqual([[], -1]);
  });
});

describe('scoreOf', () => {
  it.each([
    [0, 600, 1000],
    [MARK_PREFERRED, 900, 3146728],
    [MARK_AVOIDED, 300, -3144728],
    [MARK_PREFERRED | MARK_AVOIDED, 600, 1000],
  ])('with marks %d: oom_score %d, RSS %d', (marks, byScore, byRss) => {
    const table = tableOf([{ pid: 7, oomScore: 600, rssKib: 1000, marks }]);
    expect([scoreOf(table, 0, BY_SCORE), scoreOf(table, 0, BY_RSS)]).toEqual([byScore, byRss]);
  });
});

describe('whyNot', () => {
  const NO_ROOT = { ...EARLYOOM_SELECTION, ignoreRootUser: true };

  it.each([
    ['init', { pid: 1 }],
    ['kernel thread', { pid: 2, ppid: 0 }],
    ['kernel thread', { pid: 40, ppid: 2, marks: MARK_UNREADABLE }],
    ['unreadable', { pid: 40, marks: MARK_UNREADABLE }],
    ['itself', { pid: 40, marks: MARK_SELF }],
    ['own child', { pid: 40, marks: MARK_CHILD }],
    ['oom_score_adj -1000', { pid: 40, oomScoreAdj: -1000 }],
    ['--ignore', { pid: 40, marks: MARK_IGNORED | MARK_PREFERRED }],
    ['--ignore-root-user', { pid: 40, uid: 0 }],
    ['dead', { pid: 40, state: 'Z', numThreads: 1 }],
    ['dead', { pid: 40, state: 'Z', numThreads: 0 }],
    ['set aside', { pid: 40, marks: MARK_SET_ASIDE }],
    ['the way in', { pid: 40, marks: MARK_WAY_IN }],
    ['gives back too little', { pid: 40, marks: MARK_SMALL }],
    [null, { pid: 3 }],
    [null, { pid: 40, ppid: 1, uid: 1000, oomScoreAdj: -999 }],
    [null, { pid: 40, state: 'Z', numThreads: 2, rssKib: 0 }], // its main thread only
    [null, { pid: 40, state: 'D' }],
    [null, { pid: 40, uid: UNKNOWN, oomScoreAdj: UNKNOWN }], // not read
  ] as const)('%s: %j', (reason, candidate) => {
    expect(whyNot(tableOf([candidate]), 0, NO_ROOT)).toBe(reason);
    expect(pickVictim(tableOf([candidate]), NO_ROOT)).toBe(reason === null ? 0 : -1);
  });

  it('with --only-user excludes everybody else, whose owner is known', () => {
    const policy = { ...EARLYOOM_SELECTION, onlyUid: 1000 };
    const table = tableOf([{ pid: 40, uid: 1000 }, { pid: 41, uid: 1001 }, { pid: 42, uid: 0 }, { pid: 43 }]);
    expect([0, 1, 2, 3].map((row) => whyNot(table, row, policy))).toEqual([null, '--only-user', '--only-user', null]);
  });

  it("lets root's processes be chosen unless that was asked for", () => {
    expect(whyNot(tableOf([{ pid: 40, uid: 0 }]), 0, BY_SCORE)).toBeNull();
  });
});
