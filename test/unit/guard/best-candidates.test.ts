import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { outranks } from '../../../src/decide/ranking.js';
import { BEST_MAX, BestCandidates } from '../../../src/guard/best-candidates.js';
import { type CandidateTable, UNKNOWN } from '../../../src/shared/candidates.js';
import { BY_MEMORY, BY_SCORE, type Candidate, tableOf } from '../decide/candidates.js';

const many = (count: number, of: (index: number) => Partial<Candidate> = () => ({})): CandidateTable =>
  tableOf(Array.from({ length: count }, (_, index) => ({ pid: 100 + index, ...of(index) })));

function pids(best: BestCandidates, table: CandidateTable): number[] {
  return Array.from({ length: best.count }, (_, place) => table.pid[best.row(place)] as number);
}

function found(table: CandidateTable, victim: number, policy = BY_SCORE): number[] {
  const best = new BestCandidates();
  best.find(table, policy, victim);
  return pids(best, table);
}

describe('the best candidates', () => {
  it('are the ten that outrank all others, the first one first', () => {
    const table = many(40, (index) => ({ oomScore: (index * 7) % 41 }));
    const expected = Array.from({ length: 40 }, (_, row) => row)
      .sort((a, b) => (outranks(table, a, b, BY_SCORE) ? -1 : 1))
      .slice(0, BEST_MAX)
      .map((row) => table.pid[row]);
    expect(found(table, -1)).toEqual(expected);
  });

  it('are the same ones, whatever the order of the table', () => {
    const facts = fc.record({ oomScore: fc.nat(20), rssKib: fc.nat(3), anonKib: fc.nat(5000) });
    fc.assert(
      fc.property(fc.array(facts, { maxLength: 30 }), fc.constantFrom(BY_SCORE, BY_MEMORY), (rows, policy) => {
        const candidates = rows.map((row, index) => ({ pid: 10 + index, ...row }));
        const forwards = found(tableOf(candidates), -1, policy);
        expect(found(tableOf([...candidates].reverse()), -1, policy)).toEqual(forwards);
        expect(forwards).toHaveLength(Math.min(BEST_MAX, rows.length));
      }),
    );
  });

  it('hold the victim even if ten others, who were passed over, are ahead of it', () => {
    const table = many(20, (index) => ({ oomScore: 900 - index }));
    const best = found(table, 15);
    expect(best).toHaveLength(BEST_MAX);
    expect(best.at(-1)).toBe(115);
  });

  it('hold the victim once', () => {
    const best = found(many(5), 2);
    expect([...best].sort()).toEqual([100, 101, 102, 103, 104]);
  });

  it('leave out kernel threads and those of which nothing is known', () => {
    const table = many(4, (index) => ({ ppid: index === 1 ? 2 : 1, oomScore: index === 2 ? UNKNOWN : 500 }));
    expect(found(table, -1)).toEqual([100, 103]);
  });

  it('are put in order again when more is known of them', () => {
    const table = many(12, (index) => ({ oomScore: 700 - index }));
    const best = new BestCandidates();
    best.find(table, BY_SCORE, 0);
    table.oomScore[9] = 1000;
    best.sort(table, BY_SCORE);
    expect(pids(best, table).slice(0, 3)).toEqual([109, 100, 101]);
    expect(best.count).toBe(BEST_MAX);
  });

  it('of nobody are none', () => {
    expect(found(many(0), -1)).toEqual([]);
  });
});
