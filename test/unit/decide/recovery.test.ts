import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { levelOf } from '../../../src/decide/limits.js';
import { COMING_MS_MAX, HIDDEN_MS_MAX, Recovery, RISING_MS } from '../../../src/decide/recovery.js';
import { LEVEL_NONE, type MemoryLevels } from '../../../src/shared/limits.js';
import { type Plan, simulate, TICK_MS } from './simulated-machine.js';

const MIB = 1024;
const LIMITS = { memTermPercent: 10, memKillPercent: 5, swapTermPercent: 100, swapKillPercent: 100 };
const TOTAL_KIB = 10_000 * MIB;

const memory = (availableMib: number, anonMib: number): MemoryLevels => ({
  memAvailableKib: availableMib * MIB,
  anonPagesKib: anonMib * MIB,
  swapTotalKib: 0,
  swapFreeKib: 0,
});

/** A victim of `expectedMib` has ended when 900 of 10,000 MiB were available. */
function afterExit(expectedMib: number, anonMib = 9100) {
  const recovery = new Recovery();
  const now = { ms: 5000 };
  recovery.signalled(memory(900, 9100), expectedMib * MIB);
  recovery.exited(memory(900, anonMib), now);
  return (availableMib: number, nowAnonMib: number, hiddenMib: number, atMs: number): boolean => {
    now.ms = 5000 + atMs;
    return recovery.holdsBack(memory(availableMib, nowAnonMib), LIMITS, hiddenMib * MIB, now);
  };
}

describe('holdsBack', () => {
  it('nobody has died: never', () => {
    expect(new Recovery().holdsBack(memory(900, 9100), LIMITS, 9000 * MIB, { ms: 1e9 })).toBe(false);
  });

  it('as long as the CPUs’ lists hold what lacks, and for a minute at most', () => {
    const holdsBack = afterExit(600, 8500);
    expect([0, 2000, 30_000, HIDDEN_MS_MAX - 1].map((ms) => holdsBack(950, 8500, 550, ms))).toEqual(
      Array(4).fill(true),
    );
    expect(holdsBack(950, 8500, 550, HIDDEN_MS_MAX)).toBe(false);
  });

  it('not any longer when a hog has taken what the lists held', () => {
    const holdsBack = afterExit(600, 8500);
    expect(holdsBack(950, 8500, 550, 10)).toBe(true);
    expect(holdsBack(950, 9000, 20, 20)).toBe(false);
  });

  it('while AnonPages falls, and all of it would do', () => {
    const holdsBack = afterExit(600);
    for (let ms = 0, anon = 9100; ms < 400; ms += 50, anon -= 10) expect(holdsBack(905, anon, 0, ms)).toBe(true);
  });

  it('not where all of it would not do', () => {
    expect(afterExit(90)(905, 9095, 0, 1)).toBe(false);
  });

  it('not for longer than it has stood still, and for good', () => {
    const holdsBack = afterExit(600);
    expect([0, RISING_MS - 1].map((ms) => holdsBack(900, 9100, 0, ms))).toEqual([true, true]);
    expect(holdsBack(900, 9100, 0, RISING_MS)).toBe(false);
    expect(holdsBack(900, 9000, 0, RISING_MS + 1)).toBe(false);
  });

  it('not for longer than 2 s, though it still comes', () => {
    const holdsBack = afterExit(6000);
    let anon = 9100;
    for (let ms = 0; ms < COMING_MS_MAX; ms += 50, anon -= 2) expect(holdsBack(900, anon, 0, ms)).toBe(true);
    expect(holdsBack(900, anon, 0, COMING_MS_MAX)).toBe(false);
  });

  it('not while what can be had falls', () => {
    const holdsBack = afterExit(600);
    expect(holdsBack(900, 9100, 0, 5)).toBe(true);
    expect(holdsBack(893, 9100, 0, 10)).toBe(true);
    expect(holdsBack(892, 9100, 0, 15)).toBe(false);
  });
});

describe('verdict', () => {
  const verdict = (gaveBackMib: number, allocatedMib: number, expectedMib = 600): string => {
    const recovery = new Recovery();
    recovery.signalled(memory(900, 9100), expectedMib * MIB);
    return recovery.verdict(memory(900, 9100 - gaveBackMib), allocatedMib * MIB);
  };

  it.each<[string, number, number, string]>([
    ['all of it', 600, 0, 'enough'],
    ['half of it', 300, 0, 'enough'],
    ['nothing, and nobody could have taken it: it is shared', 0, 20, 'little'],
    ['nothing, but a fork bomb was given as much meanwhile', 0, 2000, 'taken'],
    ['less than nothing', -50, 2000, 'taken'],
  ])('%s', (_, gaveBack, allocated, expected) => {
    expect(verdict(gaveBack, allocated)).toBe(expected);
  });

  it('of whom nobody knew what to expect, whatever came is enough', () => {
    const recovery = new Recovery();
    recovery.signalled(memory(900, 9100), -1);
    expect(recovery.verdict(memory(900, 9100), 0)).toBe('enough');
  });
});

describe('a simulated machine', () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  /** One large process, which is enough, and a crowd that is not the cause. */
  const standing = fc.record({
    hogMib: fc.integer({ min: 400, max: 4000 }),
    belowMib: fc.integer({ min: 0, max: 200 }),
    exitTicks: fc.nat(40),
    freeTicks: fc.nat(100),
    hiddenShare: share,
    drainKibPerTick: fc.nat(2 * MIB),
  });

  const planOf = (machine: typeof standing extends fc.Arbitrary<infer T> ? T : never, verifies: boolean): Plan => {
    const usedMib = 9000 + machine.belowMib;
    const crowd = Array.from({ length: 50 }, () => ({ kib: Math.floor(((usedMib - machine.hogMib) * MIB) / 50) }));
    return {
      totalKib: TOTAL_KIB,
      limits: LIMITS,
      processes: [{ kib: machine.hogMib * MIB + 50 }, ...crowd],
      exitTicks: machine.exitTicks,
      freeTicks: machine.freeTicks,
      hiddenShare: machine.hiddenShare,
      drainKibPerTick: machine.drainKibPerTick,
      verifies,
      ticks: 1200,
    };
  };

  it('never two kills where one would do', () => {
    fc.assert(
      fc.property(standing, (machine) => {
        expect(simulate(planOf(machine, true)).kills).toHaveLength(1);
      }),
    );
  });

  it('the control: without verifying, some of the same machines lose a second process', () => {
    let worse = 0;
    fc.assert(
      fc.property(standing, (machine) => {
        if (simulate(planOf(machine, false)).kills.length > 1) worse++;
      }),
      { seed: 309 },
    );
    expect(worse).toBeGreaterThan(0);
  });

  /** A crowd at the limit, and hogs that grow and grow. */
  const growing = fc.record({
    hogs: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
    exitTicks: fc.nat(20),
    freeTicks: fc.nat(40),
    hiddenShare: share,
    drainKibPerTick: fc.nat(2 * MIB),
  });

  const growingPlan = ({ hogs, ...rest }: typeof growing extends fc.Arbitrary<infer T> ? T : never): Plan => ({
    totalKib: TOTAL_KIB,
    limits: LIMITS,
    processes: [
      ...Array.from({ length: 50 }, () => ({ kib: 170 * MIB })),
      ...hogs.map((mib) => ({ kib: 60 * MIB, growsKibPerTick: mib * MIB })),
    ],
    verifies: true,
    ticks: 1200,
    ...rest,
  });

  /** What can be had at a tick, as a level. */
  const realLevel = (kib: number): number =>
    levelOf({ ...memory(0, 0), memAvailableKib: kib, anonPagesKib: TOTAL_KIB - kib }, LIMITS);

  it('never waits while what can be had falls below the limit: at most for what a fall is told by', () => {
    fc.assert(
      fc.property(growing, (machine) => {
        const { held, realKib } = simulate(growingPlan(machine));
        for (let tick = 1; tick < held.length; tick++) {
          if (!held[tick] || !held[tick - 1]) continue;
          const now = realKib[tick] as number;
          const fell = (realKib[tick - 1] as number) - now;
          if (fell >= 8 * MIB) expect(realLevel(now)).toBe(LEVEL_NONE);
        }
      }),
    );
  });

  it('never flaps: below the limit it does not begin to wait again once it has stopped', () => {
    fc.assert(
      fc.property(growing, (machine) => {
        const { held, realKib, kills } = simulate(growingPlan(machine));
        for (let tick = 1; tick < held.length; tick++) {
          const low = realLevel(realKib[tick] as number) !== LEVEL_NONE;
          const begins = held[tick] === true && held[tick - 1] === false;
          if (!low || !begins) continue;
          // Only while a victim's memory is on its way.
          const last = kills.filter((kill) => kill.tick < tick).at(-1)?.tick ?? Number.NEGATIVE_INFINITY;
          expect(tick - last).toBeLessThanOrEqual(machine.exitTicks + machine.freeTicks + 1 + RISING_MS / TICK_MS);
        }
      }),
    );
  });
});
