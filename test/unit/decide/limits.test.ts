import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { levelOf, memAvailablePercent, swapFreePercent, userMemTotalKib } from '../../../src/decide/limits.js';
import { LEVEL_KILL, LEVEL_NONE, LEVEL_TERM, type MemoryLevels } from '../../../src/shared/limits.js';

/** Memory of 1,000,000 KiB of user total and of swap, so many percent of them available. */
const memory = (memPercent: number, swapPercent: number | null): MemoryLevels => ({
  memAvailableKib: memPercent * 10_000,
  anonPagesKib: 1_000_000 - memPercent * 10_000,
  swapTotalKib: swapPercent === null ? 0 : 1_000_000,
  swapFreeKib: (swapPercent ?? 0) * 10_000,
});

const EARLYOOM = { memTermPercent: 10, memKillPercent: 5, swapTermPercent: 10, swapKillPercent: 5 };
const NO_SWAP_RULE = { ...EARLYOOM, swapTermPercent: 100, swapKillPercent: 100 };

describe('percent', () => {
  it('of memory is of what is available and what is anonymous, so a full tmpfs does not hide the end', () => {
    const full = { memAvailableKib: 1, anonPagesKib: 3, swapTotalKib: 0, swapFreeKib: 0 };
    expect([userMemTotalKib(full), memAvailablePercent(full)]).toEqual([4, 25]);
  });

  it('is 100 of memory and 0 of swap where there is none', () => {
    const nothing = { memAvailableKib: 0, anonPagesKib: 0, swapTotalKib: 0, swapFreeKib: 0 };
    expect([memAvailablePercent(nothing), swapFreePercent(nothing)]).toEqual([100, 0]);
  });
});

describe('levelOf', () => {
  it.each([
    [11, 50, LEVEL_NONE],
    [10, 50, LEVEL_NONE], // swap is left
    [50, 0, LEVEL_NONE], // memory is left
    [10, 10, LEVEL_TERM], // at the limit counts
    [10.0001, 10, LEVEL_NONE],
    [10, 10.0001, LEVEL_NONE],
    [5, 10, LEVEL_TERM],
    [10, 5, LEVEL_TERM],
    [5, 5, LEVEL_KILL],
    [0, 0, LEVEL_KILL],
    [5.0001, 5, LEVEL_TERM],
    [10, null, LEVEL_TERM], // no swap: 0 % free
    [5, null, LEVEL_KILL],
    [11, null, LEVEL_NONE],
  ])("with earlyoom's limits, %d %% of memory and %s %% of swap: level %d", (mem, swap, level) => {
    expect(levelOf(memory(mem, swap), EARLYOOM)).toBe(level);
  });

  it('does not care for swap at 100,100', () => {
    for (const swap of [100, 0, null]) {
      expect([11, 10, 5].map((mem) => levelOf(memory(mem, swap), NO_SWAP_RULE))).toEqual([
        LEVEL_NONE,
        LEVEL_TERM,
        LEVEL_KILL,
      ]);
    }
  });

  it('never rises when there is more, of memory or of swap', () => {
    const percent = fc.double({ min: 0, max: 100, noNaN: true });
    fc.assert(
      fc.property(percent, percent, percent, percent, (mem, swap, moreMem, moreSwap) => {
        const less = levelOf(memory(Math.min(mem, moreMem), Math.min(swap, moreSwap)), EARLYOOM);
        expect(levelOf(memory(Math.max(mem, moreMem), Math.max(swap, moreSwap)), EARLYOOM)).toBeLessThanOrEqual(less);
      }),
    );
  });
});
