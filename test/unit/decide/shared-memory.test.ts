import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { levelOf } from '../../../src/decide/limits.js';
import { killsAreFutile, neededKib } from '../../../src/decide/shared-memory.js';
import { LEVEL_NONE, type MemoryLevels } from '../../../src/shared/limits.js';

const LIMITS = { memTermPercent: 5, memKillPercent: 3, swapTermPercent: 100, swapKillPercent: 100 };
const memory = (memAvailableKib: number, anonPagesKib: number): MemoryLevels => ({
  memAvailableKib,
  anonPagesKib,
  swapTotalKib: 0,
  swapFreeKib: 0,
});

describe('neededKib', () => {
  it('is what lacks to the limit and one percent above', () => {
    expect(neededKib(memory(4_000, 96_000), LIMITS)).toBe(2_000);
    expect(neededKib(memory(6_000, 94_000), LIMITS)).toBe(0);
    expect(neededKib(memory(50_000, 50_000), LIMITS)).toBeLessThan(0);
  });

  it('above a limit of less than 2 % half of it', () => {
    expect(neededKib(memory(0, 100_000), { ...LIMITS, memTermPercent: 1 })).toBe(1_500);
  });

  it('a process that has as much brings memory clear of the limit', () => {
    fc.assert(
      fc.property(fc.nat(1 << 25), fc.nat(1 << 25), fc.integer({ min: 1, max: 60 }), (available, anon, percent) => {
        const limits = { ...LIMITS, memTermPercent: percent, memKillPercent: percent };
        const needed = Math.max(0, neededKib(memory(available, anon), limits));
        if (needed <= anon && available + anon > 0) {
          expect(levelOf(memory(available + needed, anon - needed), limits)).toBe(LEVEL_NONE);
        }
      }),
    );
  });
});

describe('killsAreFutile', () => {
  const NEEDED = 1000;

  it.each<[string, boolean, number, number, number]>([
    ['a full tmpfs beside small processes', true, 9000, 3000, 400],
    ['a process that would do', false, 9000, 3000, 1000],
    ['processes that have more than the shared memory together', false, 9000, 9000, 400],
    ['shared memory that can not be the reason', false, 999, 500, 400],
    ['no shared memory', false, 0, 0, 0],
    ['the kernel does not say', false, -1, 0, 0],
  ])('%s: %j', (_, expected, shmemKib, sumKib, largestKib) => {
    expect(killsAreFutile(NEEDED, shmemKib, { sumKib, largestKib })).toBe(expected);
  });

  it('never while memory is clear of the limit, or a single process would do', () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat(), fc.nat(), fc.nat(), (needed, shmemKib, sumKib, largestKib) => {
        if (needed <= 0 || largestKib >= needed)
          expect(killsAreFutile(needed, shmemKib, { sumKib, largestKib })).toBe(false);
      }),
    );
  });
});
