import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AT_LIMIT,
  AVAILABLE_LOW,
  emptyReading,
  REFAULTS_RISE,
  RuleWatch,
  SWAP_LOW,
} from '../../../src/decide/pressure-rule.js';
import { DEFAULT_RULE, type PressureRule, rulesInForce } from '../../../src/shared/rules.js';

const TOTAL_KIB = 1_000_000;

/** Memory with so much available, and so much of its swap free, in percent. */
const memory = (availablePercent: number, swapFreePercent = 100) => ({
  memAvailableKib: (TOTAL_KIB * availablePercent) / 100,
  anonPagesKib: TOTAL_KIB - (TOTAL_KIB * availablePercent) / 100,
  swapTotalKib: TOTAL_KIB,
  swapFreeKib: (TOTAL_KIB * swapFreePercent) / 100,
});

/** Quicker than the default one. */
const rule = (more: Partial<PressureRule> = {}): PressureRule => ({ ...DEFAULT_RULE, forMs: 200, ...more });
const inCgroup = (more: Partial<PressureRule> = {}): PressureRule =>
  rule({ cgroup: 'a', availableBelowPercent: null, ...more });

interface Look {
  /** Since the look before, ms. */
  afterMs: number;
  /** Of that time. */
  stallPercent: number;
  availablePercent: number;
  refaults: number;
  atLimit?: boolean;
  swapFreePercent?: number;
}

/** The times, from 1000 on, at which the rule fires; as the guard, it restarts then. */
function fires(looks: readonly Look[], watch = new RuleWatch(rule())): number[] {
  const reading = emptyReading();
  const now = { ms: 1000 };
  const fired: number[] = [];
  for (const look of looks) {
    now.ms += look.afterMs;
    reading.someTotalUs += look.afterMs * 10 * look.stallPercent;
    reading.fullTotalUs = reading.someTotalUs;
    reading.refaultPages += look.refaults;
    reading.atLimit = look.atLimit ?? false;
    if (!watch.look(reading, memory(look.availablePercent, look.swapFreePercent), now)) continue;
    fired.push(now.ms);
    watch.restart(now);
  }
  return fired;
}

/** So many looks, one each 50 ms. */
const looks = (count: number, look: Partial<Look> = {}): Look[] =>
  Array.from({ length: count }, () => ({
    afterMs: 50,
    stallPercent: 100,
    availablePercent: 6,
    refaults: 1000,
    ...look,
  }));

const calm = looks(20, { stallPercent: 0, refaults: 0 });
const CALM_MS = 1000 + 20 * 50;

describe('the default rule', () => {
  const byDefault = (seen: readonly Look[]): number[] => fires(seen, new RuleWatch(DEFAULT_RULE));

  it('fires 1.2 s after a total stall began, and 1.35 s after one of 61 %', () => {
    expect(byDefault([...calm, ...looks(24)])).toEqual([CALM_MS + 1200]);
    expect(byDefault([...calm, ...looks(27, { stallPercent: 61 })])).toEqual([CALM_MS + 1350]);
  });

  it('fires as soon when it begins to look only once the stall is under way', () => {
    expect(byDefault(looks(25))).toEqual([1000 + 50 + 1200]);
  });

  it('is not fired by a burst, which a rule that asks for less than its window is', () => {
    const burst = [...calm, ...looks(10), ...looks(200, { stallPercent: 0 })];
    expect(byDefault(burst)).toEqual([]);
    expect(fires(burst)).toHaveLength(1);
  });

  it('leaves a build alone that reclaims cache: much available, or short bursts', () => {
    expect(fires(looks(200, { availablePercent: 40 }))).toEqual([]);
    const bursts = Array.from({ length: 40 }, () => [...looks(3), ...looks(9, { stallPercent: 2 })]).flat();
    expect(fires(bursts)).toEqual([]);
  });

  it('leaves a cgroup alone that its memory.high holds back: stall, little available, nothing refaulted', () => {
    expect(fires(looks(200, { refaults: 0 }))).toEqual([]);
  });

  it('is not there where it is switched off, and gives way to one of its name', () => {
    const own = rule({ stallPercent: 90 });
    expect(rulesInForce([], true)).toEqual([DEFAULT_RULE]);
    expect(rulesInForce([], false)).toEqual([]);
    expect(rulesInForce([own], true)).toEqual([own]);
    expect(rulesInForce([rule({ name: 'a' })], true).map(({ name }) => name)).toEqual(['thrashing', 'a']);
  });
});

describe('what is measured', () => {
  it('is the share of the window, also between looks that are not a window apart', () => {
    const watch = new RuleWatch(rule());
    fires(looks(40, { stallPercent: 30, afterMs: 35 }), watch);
    expect(watch.stallPercent).toBeCloseTo(30);
    expect(watch.refaultsPerS).toBeGreaterThan(20_000);
    expect(watch.availablePercent).toBeCloseTo(6);
  });

  it('is the mean since the last look where that is longer ago than the window', () => {
    const watch = new RuleWatch(rule({ stallPercent: 99 }));
    fires([...looks(1), ...looks(3, { afterMs: 5000, stallPercent: 70 })], watch);
    expect(watch.stallPercent).toBeCloseTo(70);
  });

  it('is not thinned by a long calm in which nobody looked', () => {
    expect(fires([...looks(2, { stallPercent: 0, afterMs: 60_000 }), ...looks(9)])).toHaveLength(1);
  });

  it('is `full` where the rule says so', () => {
    const watch = new RuleWatch(rule({ kind: 'full' }));
    const reading = { ...emptyReading(), someTotalUs: 0, fullTotalUs: 0 };
    const now = { ms: 1 };
    for (let look = 0; look < 20; look++) {
      watch.look(reading, memory(5), now);
      now.ms += 50;
      reading.someTotalUs += 50_000;
      reading.fullTotalUs += 10_000;
    }
    expect(watch.stallPercent).toBeCloseTo(20);
  });

  it('begins anew when the total goes back: that is another cgroup', () => {
    const watch = new RuleWatch(rule());
    const reading = { ...emptyReading(), someTotalUs: 10_000_000 };
    watch.look(reading, memory(5), { ms: 1000 });
    reading.someTotalUs = 5;
    watch.look(reading, memory(5), { ms: 1400 });
    expect(watch.stallPercent).toBe(0);
  });
});

describe('corroboration', () => {
  const EVIDENCE: readonly [string, PressureRule, Partial<Look>, number][] = [
    ['available memory', rule({ refaults: false }), {}, AVAILABLE_LOW],
    ['swap', rule({ refaults: false, swapFreeBelowPercent: 10 }), { swapFreePercent: 10 }, AVAILABLE_LOW | SWAP_LOW],
    ['refaults', rule(), {}, AVAILABLE_LOW | REFAULTS_RISE],
    ["a cgroup's refaults", inCgroup(), { availablePercent: 90 }, REFAULTS_RISE],
    ["a cgroup's limit", inCgroup(), { availablePercent: 90, refaults: 0, atLimit: true }, AT_LIMIT],
    ['a bound alone, of a cgroup', inCgroup({ refaults: false, availableBelowPercent: 15 }), {}, AVAILABLE_LOW],
  ];

  it.each(EVIDENCE)('%s is enough where it is asked for', (_name, of, look, expected) => {
    const watch = new RuleWatch(of);
    expect(fires(looks(9, look), watch)).toHaveLength(1);
    const again = new RuleWatch(of);
    fires(looks(3, look), again);
    expect(again.corroboration).toBe(expected);
  });

  it.each<[string, PressureRule, Partial<Look>]>([
    [
      'available memory above the bound, whatever else is there',
      rule({ swapFreeBelowPercent: 99 }),
      { availablePercent: 15.1, swapFreePercent: 0 },
    ],
    ['swap that is still free', rule({ refaults: false, swapFreeBelowPercent: 10 }), { swapFreePercent: 10.1 }],
    ['a cgroup with nothing but pressure', inCgroup(), { refaults: 0 }],
    ['a cgroup that asks for swap, with refaults', inCgroup({ refaults: false, swapFreeBelowPercent: 10 }), {}],
    ['a cgroup above its bound', inCgroup({ availableBelowPercent: 15 }), { availablePercent: 16 }],
    ['the limit of a cgroup, of a rule on the machine', rule(), { refaults: 0, atLimit: true }],
  ])('%s: it does not fire', (_name, of, look) => {
    expect(fires(looks(100, look), new RuleWatch(of))).toEqual([]);
  });

  it('is looked at once more without a look at pressure', () => {
    const watch = new RuleWatch(rule());
    fires(looks(3), watch);
    expect(watch.isCorroborated).toBe(true);
    watch.recheck(memory(40));
    expect(watch.isCorroborated).toBe(false);
  });

  it('a machine without swap has none that is nearly used up', () => {
    const watch = new RuleWatch(rule({ refaults: false, swapFreeBelowPercent: 10 }));
    watch.look(emptyReading(), { ...memory(5), swapTotalKib: 0, swapFreeKib: 0 }, { ms: 1 });
    expect(watch.isCorroborated).toBe(false);
  });
});

describe('whatever happens', () => {
  const anyLook = fc.record({
    afterMs: fc.double({ min: 0.1, max: 300, noNaN: true }),
    stallPercent: fc.double({ min: 0, max: 100, noNaN: true }),
    availablePercent: fc.double({ min: 0, max: 30, noNaN: true }),
    refaults: fc.integer({ min: 0, max: 500 }),
    atLimit: fc.boolean(),
    swapFreePercent: fc.double({ min: 0, max: 100, noNaN: true }),
  });
  const anyRule = fc.record({
    stallPercent: fc.integer({ min: 1, max: 100 }),
    windowMs: fc.integer({ min: 100, max: 2000 }),
    forMs: fc.integer({ min: 0, max: 1000 }),
    availableBelowPercent: fc.integer({ min: 1, max: 30 }),
    refaults: fc.boolean(),
    swapFreeBelowPercent: fc.option(fc.integer({ min: 1, max: 99 })),
  });
  const anyLooks = fc.array(anyLook, { maxLength: 200 });

  it('it never fires twice within the window and `for`', () => {
    fc.assert(
      fc.property(anyRule, anyLooks, (of, some) => {
        const fired = fires(some, new RuleWatch(rule(of)));
        for (let i = 1; i < fired.length; i++) {
          expect((fired[i] as number) - (fired[i - 1] as number)).toBeGreaterThanOrEqual(of.windowMs + of.forMs);
        }
      }),
    );
  });

  it('it never fires with more memory available than its bound', () => {
    fc.assert(
      fc.property(anyRule, anyLooks, (of, some) => {
        const ample = some.map((look) => ({ ...look, availablePercent: of.availableBelowPercent + 0.01 }));
        expect(fires(ample, new RuleWatch(rule(of)))).toEqual([]);
      }),
    );
  });

  it('it never fires where the stall of no window reaches its share', () => {
    fc.assert(
      fc.property(anyRule, anyLooks, (of, some) => {
        const mild = some.map((look) => ({
          ...look,
          stallPercent: Math.min(look.stallPercent, of.stallPercent - 0.5),
        }));
        expect(fires(mild, new RuleWatch(rule(of)))).toEqual([]);
      }),
    );
  });

  it('it is monotone: what fires first fires no later with more of a stall and less memory', () => {
    fc.assert(
      fc.property(anyRule, anyLooks, (of, some) => {
        const worse = some.map((look) => ({
          ...look,
          stallPercent: Math.min(100, look.stallPercent + 10),
          availablePercent: look.availablePercent / 2,
        }));
        const [first] = fires(some, new RuleWatch(rule(of)));
        const [sooner] = fires(worse, new RuleWatch(rule(of)));
        if (first !== undefined) expect(sooner).toBeLessThanOrEqual(first);
      }),
    );
  });

  it('it does not flap: without a restart it goes on firing for as long as it holds', () => {
    const watch = new RuleWatch(rule());
    const reading = emptyReading();
    const now = { ms: 1000 };
    const fired = Array.from({ length: 40 }, () => {
      now.ms += 50;
      reading.someTotalUs += 50_000;
      reading.refaultPages += 1000;
      return watch.look(reading, memory(6), now);
    });
    const first = fired.indexOf(true);
    expect(fired.slice(first)).not.toContain(false);
    expect(fired.slice(0, first)).not.toContain(true);
  });
});
