import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Cadence } from '../../../src/decide/cadence.js';
import type { MemoryLevels } from '../../../src/shared/limits.js';

const MIB = 1024;
const TOTAL_KIB = 20_000 * MIB;

/** 20,000 MiB of user memory, `headroomMib` above a limit of 10 %; no swap unless given. */
const above = (headroomMib: number, swapTotalMib = 0, swapFreeMib = 0): MemoryLevels => {
  const memAvailableKib = TOTAL_KIB / 10 + headroomMib * MIB;
  const swap = { swapTotalKib: swapTotalMib * MIB, swapFreeKib: swapFreeMib * MIB };
  return { memAvailableKib, anonPagesKib: TOTAL_KIB - memAvailableKib, ...swap };
};

const waitMs = (memory: MemoryLevels, swapLimit = 10): number => new Cadence().waitMs(memory, 10, swapLimit, 0);

describe('Cadence', () => {
  it.each([
    ['far away', above(15_000), 1000],
    ['600 MiB: what fills in 102 ms at 6000 KiB/ms', above(600), 102],
    ['6,000 MiB: the longest wait', above(6000), 1000],
    ['at the limit, not falling', above(0), 5],
    ['below it', above(-1000), 5],
    ['10 MiB, not falling', above(10), 5],
    [
      'at the limit of memory, but 80 MiB of swap above the limit of 10 %: what fills in 102 ms',
      above(0, 1000, 180),
      102,
    ],
    ['at the limit of swap, but memory far', above(15_000, 1000, 0), 1000],
  ])('%s', (_case, memory, wait) => {
    expect(waitMs(memory)).toBe(wait);
  });

  it('looks more often while memory is falling, for a second after the last fall', () => {
    const cadence = new Cadence();
    const at = (headroomMib: number, nowMs: number): number => cadence.waitMs(above(headroomMib), 10, 10, nowMs);
    expect(at(1, 0)).toBe(5); // the first sample is no fall
    expect(at(1, 5)).toBe(5);
    expect(at(0.5, 10)).toBe(2);
    expect(at(0.5, 500)).toBe(2);
    expect(at(0.4, 600)).toBe(2); // 100 KiB: noise, the second goes on
    expect(at(0.4, 1009)).toBe(2);
    expect(at(0.4, 1010)).toBe(5);
    expect(at(9, 1020)).toBe(5); // rising
  });

  it('falling far from the limit, it is in no hurry', () => {
    const cadence = new Cadence();
    cadence.waitMs(above(15_000), 10, 10, 0);
    expect(cadence.waitMs(above(14_000), 10, 10, 1000)).toBe(1000);
  });

  const kib = fc.integer({ min: 0, max: 2 ** 40 });
  const percent = fc.double({ min: 0, max: 100, noNaN: true });

  it('is a whole number from 2 to 1000, whatever it is shown', () => {
    const levels = fc.record({ memAvailableKib: kib, anonPagesKib: kib, swapTotalKib: kib, swapFreeKib: kib });
    fc.assert(
      fc.property(fc.array(levels, { minLength: 1, maxLength: 4 }), percent, percent, (samples, mem, swap) => {
        const cadence = new Cadence();
        for (const [index, sample] of samples.entries()) {
          const wait = cadence.waitMs(sample, mem, swap, index * 3);
          expect(Number.isInteger(wait) && wait >= 2 && wait <= 1000).toBe(true);
        }
      }),
    );
  });

  it('is never shorter for more headroom', () => {
    const headroomMib = fc.integer({ min: -2000, max: 18_000 });
    fc.assert(
      fc.property(headroomMib, headroomMib, fc.nat(1000), fc.nat(1000), (a, b, swapA, swapB) => {
        const less = waitMs(above(Math.min(a, b), 1000, Math.min(swapA, swapB)));
        expect(waitMs(above(Math.max(a, b), 1000, Math.max(swapA, swapB)))).toBeGreaterThanOrEqual(less);
      }),
    );
  });

  it('never sleeps through a filling at the planned rate of memory or swap', () => {
    fc.assert(
      fc.property(fc.integer({ min: 31, max: 18_000 }), (headroomMib) => {
        const wait = waitMs(above(headroomMib));
        expect(wait * 6000).toBeLessThanOrEqual(headroomMib * MIB);
      }),
    );
  });
});
