import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arcCountsKib, countedSwapKib, isNear, type ZramUse, zramCostKib } from '../../../src/decide/headroom.js';

const GIB = 1 << 20;
const LIMITS = { memTermPercent: 5, memKillPercent: 3, swapTermPercent: 10, swapKillPercent: 5 };
const use = (more: Partial<ZramUse> = {}): ZramUse => ({ origDataKib: 0, memUsedTotalKib: 0, memLimitKib: 0, ...more });

const kib = fc.nat(1 << 30);
const anyUse = fc.record({ origDataKib: kib, memUsedTotalKib: kib, memLimitKib: kib });

describe('isNear', () => {
  const at = (percent: number): boolean =>
    isNear(
      { memAvailableKib: percent * 1000, anonPagesKib: (100 - percent) * 1000, swapTotalKib: 0, swapFreeKib: 0 },
      LIMITS,
    );

  it('from twice the SIGTERM limit down', () => {
    expect([100, 50, 11, 10, 5, 0].map(at)).toEqual([false, false, false, true, true, true]);
  });
});

describe('arcCountsKib', () => {
  it('counts what is above c_min, and never less than nothing', () => {
    expect([arcCountsKib(8 * GIB, GIB), arcCountsKib(GIB, GIB), arcCountsKib(0, GIB)]).toEqual([7 * GIB, 0, 0]);
  });
});

describe('zramCostKib', () => {
  it.each<[string, number, ZramUse, number]>([
    ['at a ratio of 4 a quarter is the cost', GIB, use({ origDataKib: 4 * GIB, memUsedTotalKib: GIB }), GIB / 4],
    ['at a ratio of 2 half of it', GIB, use({ origDataKib: 2 * GIB, memUsedTotalKib: GIB }), GIB / 2],
    ['what does not compress wins nothing', GIB, use({ origDataKib: GIB, memUsedTotalKib: GIB }), GIB],
    ['nor what gets larger', GIB, use({ origDataKib: GIB, memUsedTotalKib: 2 * GIB }), GIB],
    ['an empty device: a ratio of 2 is assumed', GIB, use(), GIB / 2],
    ['so little that it means nothing: the same', GIB, use({ origDataKib: 16383, memUsedTotalKib: 16383 }), GIB / 2],
    [
      'under a mem_limit only what it can still take',
      GIB,
      use({ origDataKib: 4 * GIB, memUsedTotalKib: GIB, memLimitKib: GIB + 1024 }),
      GIB - 3 * 1024, // 1 MiB is left, which takes 4 MiB and wins 3
    ],
    [
      'at its mem_limit it takes nothing',
      GIB,
      use({ origDataKib: 4 * GIB, memUsedTotalKib: GIB, memLimitKib: GIB }),
      GIB,
    ],
  ])('%s', (_, freeKib, zram, expected) => {
    expect(zramCostKib(freeKib, zram)).toBe(expected);
  });

  it('is a whole number from nothing to all of it, whatever the device says', () => {
    fc.assert(
      fc.property(kib, anyUse, (freeKib, zram) => {
        const cost = zramCostKib(freeKib, zram);
        expect(Number.isInteger(cost) && cost >= 0 && cost <= freeKib).toBe(true);
      }),
    );
  });

  it('a better ratio never costs more', () => {
    fc.assert(
      fc.property(kib, fc.integer({ min: 1, max: GIB }), fc.nat(GIB), (freeKib, usedKib, lessKib) => {
        const cost = (memUsedTotalKib: number): number =>
          zramCostKib(freeKib, use({ origDataKib: GIB, memUsedTotalKib }));
        expect(cost(Math.max(1, usedKib - lessKib))).toBeLessThanOrEqual(cost(usedKib));
      }),
    );
  });
});

describe('countedSwapKib', () => {
  it('is never more than SwapFree, never negative, and SwapFree without zram', () => {
    fc.assert(
      fc.property(kib, fc.array(fc.tuple(kib, anyUse), { maxLength: 4 }), (swapFreeKib, areas) => {
        const cost = areas.reduce((sum, [freeKib, zram]) => sum + zramCostKib(freeKib, zram), 0);
        const counted = countedSwapKib(swapFreeKib, cost);
        expect(counted >= 0 && counted <= swapFreeKib).toBe(true);
        if (areas.length === 0) expect(counted).toBe(swapFreeKib);
      }),
    );
  });

  it('what is on a disk counts in full beside a zram that wins nothing', () => {
    const cost = zramCostKib(GIB, use({ origDataKib: GIB, memUsedTotalKib: GIB }));
    expect(countedSwapKib(3 * GIB, cost)).toBe(2 * GIB);
  });
});
