import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EPERM } from '../../../native-shims/errno.js';
import { SIGKILL, SIGTERM } from '../../../native-shims/pidfd.js';
import { levelOf } from '../../../src/decide/limits.js';
import {
  balloonOrder,
  crossedByBalloon,
  type DrillFacts,
  drillLimits,
  failureOf,
  roomKib,
  SIZE_KIB_MAX,
  SIZE_KIB_MIN,
  tooNear,
  whyNever,
} from '../../../src/drill/plan.js';
import { LEVEL_KILL, LEVEL_NONE, LEVEL_TERM } from '../../../src/shared/limits.js';

const GIB = 1024 * 1024;
const MIB = 1024;

const memory = (memAvailableKib: number, anonPagesKib: number) => ({
  memAvailableKib,
  anonPagesKib,
  swapTotalKib: 0,
  swapFreeKib: 0,
});

const limits = (memTermPercent: number) => ({
  memTermPercent,
  memKillPercent: 0,
  swapTermPercent: 100,
  swapKillPercent: 100,
});

const sizes = fc.integer({ min: SIZE_KIB_MIN, max: SIZE_KIB_MAX });

describe('room', () => {
  it('is what is available above the SIGTERM limit', () => {
    expect(roomKib(memory(3 * GIB, GIB), limits(25))).toBe(2 * GIB);
  });

  it('a drill needs its size and three margins of 64 MiB', () => {
    const exactly = memory(GIB + (200 + 192) * MIB, 0);
    const limit = limits((100 * GIB) / exactly.memAvailableKib);
    expect(tooNear(exactly, limit, 200 * MIB)).toBeNull();
    expect(tooNear(memory(exactly.memAvailableKib - 10 * MIB, 10 * MIB), limit, 200 * MIB)).toBe(
      'only 382 MiB are available above the configured limit, and a drill of 200 MiB needs 392 MiB',
    );
  });

  it('below the limit there is none, not less', () => {
    expect(tooNear(memory(GIB, 9 * GIB), limits(50), 200 * MIB)).toMatch(/^only 0 MiB/);
  });
});

describe("the drill's limits", () => {
  it('whatever memory is: not crossed now, nor by a third of the balloon, and crossed by two thirds; never near the configured ones', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: GIB, max: 4096 * GIB }),
        fc.integer({ min: 0, max: 4096 * GIB }),
        sizes,
        (available, anon, size) => {
          const now = memory(available, anon);
          fc.pre(tooNear(now, limits(5), size) === null);
          for (const signal of [SIGTERM, SIGKILL]) {
            const drill = drillLimits(now, size, signal);
            const levelAfter = (share: number) => levelOf(memory(available - share * size, anon + share * size), drill);
            expect(levelAfter(0)).toBe(LEVEL_NONE);
            expect(levelAfter(1 / 3)).toBe(LEVEL_NONE);
            expect(levelAfter(2 / 3)).toBe(signal === SIGKILL ? LEVEL_KILL : LEVEL_TERM);
            // All of it grown, the real guard sees nothing yet.
            expect(levelOf(memory(available - size, anon + size), limits(5))).toBe(LEVEL_NONE);
          }
        },
      ),
    );
  });
});

describe('the balloon', () => {
  it('whatever its size: grows within 11 s, and outlives the drill', () => {
    fc.assert(
      fc.property(sizes, (sizeKib) => {
        const order = balloonOrder(sizeKib, 30_000);
        expect(order).toMatchObject({ sizeKib, lifeMs: 30_000 });
        expect(sizeKib / order.kibPerMs).toBeLessThan(11_000);
      }),
    );
  });
});

const WORKED: DrillFacts = {
  sizeKib: 200 * MIB,
  timeoutMs: 30_000,
  wanted: SIGTERM,
  crossed: { atMs: 1000, seenBy: 'balloon', balloonKib: 96 * MIB },
  signals: [{ signal: SIGTERM, atMs: 1002, result: 0 }],
  termAtMs: 1003,
  exit: { atMs: 1020, code: 0, signal: null },
  memory: { hadKib: 110 * MIB, backKib: 108 * MIB, atMs: 1030 },
};

const KILLED: Partial<DrillFacts> = {
  wanted: SIGKILL,
  signals: [{ signal: SIGKILL, atMs: 1002, result: 0 }],
  termAtMs: null,
  exit: { atMs: 1020, code: null, signal: 'SIGKILL' },
};

describe('the verdict', () => {
  it('is good if all of it worked, by either signal', () => {
    expect(failureOf(WORKED)).toBeNull();
    expect(failureOf({ ...WORKED, ...KILLED })).toBeNull();
  });

  it.each<[string, Partial<DrillFacts>]>([
    ['the limit was not crossed within 30 s', { crossed: null, signals: [], exit: null, memory: null }],
    ['the limit was crossed, and the guard signalled nobody', { signals: [], exit: null, memory: null }],
    [
      'ended by SIGKILL before the guard had chosen it',
      { signals: [], exit: { atMs: 1, code: null, signal: 'SIGKILL' }, memory: null },
    ],
    ['ended by exit code 3 before', { signals: [], exit: { atMs: 1, code: 3, signal: null }, memory: null }],
    ['SIGTERM could not be sent: Operation not permitted', { signals: [{ signal: SIGTERM, atMs: 1, result: -EPERM }] }],
    ['the first signal was SIGKILL instead of SIGTERM', { ...KILLED, wanted: SIGTERM }],
    ['the first signal was SIGTERM instead of SIGKILL', { wanted: SIGKILL }],
    [
      'SIGTERM was not enough: the guard had to send SIGKILL',
      { signals: [...WORKED.signals, { signal: SIGKILL, atMs: 2, result: 0 }] },
    ],
    ['got SIGTERM and did not end within 30 s', { exit: null, memory: null }],
    ["ended by SIGKILL, and not by the guard's signal", { exit: { atMs: 1, code: null, signal: 'SIGKILL' } }],
    ["ended by exit code 0, and not by the guard's signal", { termAtMs: null }],
    ["ended by exit code 0, and not by the guard's signal", { ...KILLED, exit: { atMs: 1, code: 0, signal: null } }],
    [
      'only 50 MiB of its 110 MiB were seen to come back',
      { memory: { hadKib: 110 * MIB, backKib: 50 * MIB, atMs: 1 } },
    ],
    ['it was not seen how much memory came back', { memory: null }],
  ])('%s', (words, changed) => {
    expect(failureOf({ ...WORKED, ...changed })).toContain(words);
  });
});

describe('who crossed the limit', () => {
  it.each([
    [96, true],
    [50, true],
    [49, false],
    [0, false],
  ])('with %d of 200 MiB it was the balloon: %j', (grownMib, itWas) => {
    expect(crossedByBalloon({ ...WORKED, crossed: { atMs: 1, seenBy: 'guard', balloonKib: grownMib * MIB } })).toBe(
      itWas,
    );
  });

  it('nobody', () => {
    expect(crossedByBalloon({ ...WORKED, crossed: null })).toBe(false);
  });
});

describe('why the balloon would never be chosen', () => {
  it('in words, or as `rank` has it', () => {
    expect(whyNever('--ignore-root-user')).toContain('run the drill as an ordinary user');
    expect(whyNever('own child')).toBe('the configured policy would never choose the balloon: own child');
  });
});
