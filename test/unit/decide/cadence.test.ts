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

const TICK_COST_MS = 0.036;
class UsedCpu {
  ms = 0;
  usedMs = 0;
  update(): void {
    this.ms = this.usedMs;
  }
}
/** For tests in which nothing is measured: they end before. */
const STOPPED = { ms: 0, update: () => undefined };
const LIMITS = { memTermPercent: 10, memKillPercent: 5, swapTermPercent: 10, swapKillPercent: 5 };

/** What `cadence` answers to a sample, with limits of 10 %. */
const waitAfter = (cadence: Cadence, memory: MemoryLevels, nowMs: number): number => {
  cadence.observe(memory, LIMITS, false, { ms: nowMs });
  return cadence.waitMs;
};
const waitMs = (memory: MemoryLevels): number => waitAfter(new Cadence(TICK_COST_MS, STOPPED), memory, 0);

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
    const cadence = new Cadence(TICK_COST_MS, STOPPED);
    const at = (headroomMib: number, nowMs: number): number => waitAfter(cadence, above(headroomMib), nowMs);
    expect(at(1, 0)).toBe(5); // the first sample is no fall
    expect(at(1, 5)).toBe(5);
    expect(at(0.5, 10)).toBe(1);
    expect(at(0.5, 500)).toBe(1);
    expect(at(0.4, 600)).toBe(1); // 100 KiB: noise, the second goes on
    expect(at(0.4, 1009)).toBe(1);
    expect(at(0.4, 1010)).toBe(5);
    expect(at(9, 1020)).toBe(5); // rising
  });

  it('looks as often while processes get memory that was not available: what the CPUs had on their lists', () => {
    const cadence = new Cadence(TICK_COST_MS, STOPPED);
    const stands = above(5);
    const at = (grownMib: number, nowMs: number): number =>
      waitAfter(cadence, { ...stands, anonPagesKib: stands.anonPagesKib + grownMib * MIB }, nowMs);
    expect(at(0, 0)).toBe(5); // the first sample is no rise
    expect(at(0.1, 5)).toBe(5); // noise
    expect(at(0.5, 10)).toBe(1);
    expect(at(0.5, 1009)).toBe(1);
    expect(at(0.5, 1010)).toBe(5);
    expect(at(0, 1020)).toBe(5); // given back
  });

  it('takes what a tick costs once it is known better', () => {
    const cadence = new Cadence(0.6, STOPPED);
    expect(waitAfter(cadence, above(1), 0)).toBe(60);
    cadence.setTickCost(0.09);
    expect(waitAfter(cadence, above(1), 60)).toBe(9);
    expect(waitAfter(cadence, above(0.5), 10_000)).toBe(1);
  });

  it('measures what is added as if ticks had cost it', () => {
    const cadence = new Cadence(TICK_COST_MS, new UsedCpu());
    for (let nowMs = 0; nowMs < 2000; nowMs += 10) {
      cadence.addCost(0.13);
      waitAfter(cadence, above(1), nowMs);
    }
    expect(cadence.waitMs).toBe(13);
  });

  describe('where the admin allows longer waits', () => {
    const waitOf = (headroomMib: number, cpus: number, waitMsMax = 3000): number =>
      waitAfter(new Cadence(TICK_COST_MS, STOPPED, waitMsMax, cpus), above(headroomMib), 0);

    it('waits as long as all CPUs together could not reach the limit in', () => {
      expect(waitOf(12_000, 2)).toBe(2048);
      expect(waitOf(12_000, 1)).toBe(2048); // never less than what all of a small machine's fill
      expect(waitOf(12_000, 4)).toBe(1024);
      expect(waitOf(100_000, 2)).toBe(3000);
      expect(waitOf(100_000, 16)).toBe(2133);
    });

    it('takes a second and less as ever', () => {
      expect(waitOf(6000, 64)).toBe(1000);
      expect(waitOf(600, 2)).toBe(102);
      expect(waitOf(100_000, 2, 1000)).toBe(1000);
    });

    it('takes no more than a second where only swap is far', () => {
      const cadence = new Cadence(TICK_COST_MS, STOPPED, 3000, 2);
      expect(waitAfter(cadence, above(0, 10_000, 10_000), 0)).toBe(1000);
    });
  });

  it('falling far from the limit, it is in no hurry', () => {
    const cadence = new Cadence(TICK_COST_MS, STOPPED);
    waitAfter(cadence, above(15_000), 0);
    expect(waitAfter(cadence, above(14_000), 1000)).toBe(1000);
  });

  it('plans for twice what was measured, where that is more than the usual fastest', () => {
    const cadence = new Cadence(TICK_COST_MS, STOPPED);
    waitAfter(cadence, above(18_000), 0);
    // 10,240 KiB/ms: what is left may be gone in 400 ms, and will be in 800; so a sweep is due, and ticks with it.
    expect([waitAfter(cadence, above(8_000), 1000), cadence.sweepShare]).toEqual([10, 0.1]);
    waitAfter(cadence, above(8_000), 1001); // too soon for another rate
    expect(cadence.sweepShare).toBe(0.1);
    // It stands: the rate is halved with every window, until the usual one is the faster again.
    let halvings = 0;
    for (; waitAfter(cadence, above(8_000), 1100 + halvings * 20) < 1000; halvings++) expect(halvings).toBeLessThan(8);
    expect(halvings).toBeGreaterThan(0);
  });

  it.each([
    // tick's CPU time in ms, the floor while memory stands and while it falls
    [0.036, 5, 1],
    [0.09, 9, 1],
    [0.15, 15, 1],
    [0.16, 16, 2],
    [0.6, 60, 4],
    [30, 1000, 200],
  ])(
    'a tick of %f ms takes at most 1 %% of a core above the limit, and 15 %% while memory falls',
    (cost, standing, falling) => {
      const cadence = new Cadence(cost, STOPPED);
      expect(waitAfter(cadence, above(1), 0)).toBe(standing);
      expect(waitAfter(cadence, above(0.5), 10_000)).toBe(falling);
    },
  );

  describe('while memory stands, the floor is what ticks have cost', () => {
    /**
     * The floor after `seconds` just above the limit, of a machine on which a wake-up and a sample take `sampleMs` and all
     * of a tick `tickMs`, with sweeps of `sweptShare` of a core; and what share of a core went into the last second.
     */
    const settle = (sampleMs: number, tickMs: number, sweptShare: number, headroomMib = 1, seconds = 20) => {
      const cpu = new UsedCpu();
      const cadence = new Cadence(sampleMs, cpu);
      let beforeLastSecondMs = 0;
      for (let nowMs = 0; nowMs < seconds * 1000; nowMs += cadence.waitMs) {
        waitAfter(cadence, above(headroomMib), nowMs);
        cpu.usedMs += tickMs + cadence.waitMs * sweptShare;
        if (nowMs < (seconds - 1) * 1000) beforeLastSecondMs = cpu.usedMs;
      }
      return { waitMs: cadence.waitMs, share: (cpu.usedMs - beforeLastSecondMs) / 1000 };
    };

    it.each([
      // a wake-up and a sample, a tick, sweeps; floor
      [0.036, 0.036, 0, 5],
      [0.036, 0.1295, 0, 13],
      [0.1, 0.1295, 0, 13],
      [0.1, 0.0595, 0, 6], // cheaper than it seemed
      [0.1, 0.104, 0.003, 15],
    ])(
      '%f ms to sample, %f for all of it, sweeps of %f: %i ms, and at most 1 %% of a core',
      (sampleMs, tickMs, swept, floor) => {
        const settled = settle(sampleMs, tickMs, swept);
        expect(settled.waitMs).toBe(floor);
        expect(settled.share).toBeLessThanOrEqual(0.0101);
      },
    );

    it('also where the headroom would ask for a wait that is shorter, but not the shortest', () => {
      const settled = settle(0.1, 0.1295, 0.003, 64);
      expect(settled.waitMs).toBe(19);
      expect(settled.share).toBeLessThanOrEqual(0.0101);
      expect(settle(0.036, 0.036, 0, 64).waitMs).toBe(10);
    });

    it('but 25 ms at most, unless a wake-up alone asks for more', () => {
      expect(settle(0.1, 3, 0).waitMs).toBe(25);
      expect(settle(0.6, 3, 0).waitMs).toBe(60);
    });

    it('and memory that falls is met as fast as ever', () => {
      const cpu = new UsedCpu();
      const cadence = new Cadence(TICK_COST_MS, cpu);
      let nowMs = 0;
      for (; cadence.waitMs !== 13 && nowMs < 10_000; nowMs += 10) {
        waitAfter(cadence, above(1), nowMs);
        cpu.usedMs += 0.1295;
      }
      expect(cadence.waitMs).toBe(13);
      expect(waitAfter(cadence, above(0.5), nowMs)).toBe(1);
    });
  });

  const sweepShare = (...samples: [atMs: number, memory: MemoryLevels][]): number => {
    const cadence = new Cadence(TICK_COST_MS, STOPPED);
    for (const [atMs, memory] of samples) waitAfter(cadence, memory, atMs);
    return cadence.sweepShare;
  };

  it.each<[string, number, [number, MemoryLevels][]]>([
    ['nothing far from the limit', 0, [[0, above(10_000)]]],
    ['nothing while swap is far from its limit', 0, [[0, above(100, 1000, 900)]]],
    ['little where the limit could be reached soon', 0.003, [[0, above(1500)]]],
    [
      'much where it will be, far as it is',
      0.1,
      [
        [0, above(10_000)],
        [1000, above(6_000)],
      ],
    ],
    [
      'most where it will be in no time',
      0.3,
      [
        [0, above(6_000)],
        [1000, above(1_000)],
      ],
    ],
    [
      'little where it falls slowly',
      0.003,
      [
        [0, above(1500)],
        [1000, above(1490)],
      ],
    ],
    ['little at and below the limit, where a guard may have to stay', 0.003, [[0, above(-10)]]],
    [
      'nothing where memory falls but not swap',
      0,
      [
        [0, above(6000, 9000, 9000)],
        [1000, above(10, 9000, 9000)],
      ],
    ],
  ])('sweeps: %s', (_case, share, samples) => {
    expect(sweepShare(...samples)).toBe(share);
  });

  const kib = fc.integer({ min: 0, max: 2 ** 40 });
  const percent = fc.double({ min: 0, max: 100, noNaN: true });

  it('is a whole number from 1 to 1000, whatever it is shown', () => {
    const levels = fc.record({ memAvailableKib: kib, anonPagesKib: kib, swapTotalKib: kib, swapFreeKib: kib });
    fc.assert(
      fc.property(fc.array(levels, { minLength: 1, maxLength: 4 }), percent, percent, (samples, mem, swap) => {
        const cadence = new Cadence(TICK_COST_MS, STOPPED);
        for (const [index, sample] of samples.entries()) {
          const limits = { memTermPercent: mem, memKillPercent: swap, swapTermPercent: swap, swapKillPercent: mem };
          cadence.observe(sample, limits, index % 2 === 1, { ms: index * 3 });
          const wait = cadence.waitMs;
          expect(Number.isInteger(wait) && wait >= 1 && wait <= 1000).toBe(true);
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
