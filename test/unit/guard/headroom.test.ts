import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Headroom, type HeadroomPolicy } from '../../../src/guard/headroom.js';
import { emptyMeminfo, type Meminfo } from '../../../src/kernel/meminfo.js';
import { writeArcstats, writeMmStat, writeSwaps } from '../../support/headroom-tree.js';
import { procTree } from '../../support/proc-tree.js';

const KIB = 1024;
const SWAP_COUNTS = { memTermPercent: 5, memKillPercent: 3, swapTermPercent: 10, swapKillPercent: 5 };
const SWAP_IGNORED = { ...SWAP_COUNTS, swapTermPercent: 100, swapKillPercent: 100 };

function policy(procfs: string, more: Partial<HeadroomPolicy> = {}): HeadroomPolicy {
  return { persona: 'oom-backstop', procfs, limits: SWAP_IGNORED, countArc: true, ...more };
}

/** What a sample becomes. */
function refined(headroom: Headroom | null, availableMib: number, swapFreeMib = 0): [number, number] {
  const memory: Meminfo = {
    ...emptyMeminfo(),
    memAvailableKib: availableMib * KIB,
    anonPagesKib: (10_000 - availableMib) * KIB,
    swapTotalKib: 4096 * KIB,
    swapFreeKib: swapFreeMib * KIB,
  };
  headroom?.refine(memory);
  return [memory.memAvailableKib / KIB, memory.swapFreeKib / KIB];
}

describe('where there is nothing to put right', () => {
  it('nothing is opened without ZFS where swap does not decide, nor for earlyoom', () => {
    const root = procTree([]);
    writeSwaps(root, [['/dev/zram0', 100, 0]]);
    expect(Headroom.open(policy(root))).toBeNull();
    writeArcstats(root, 100, 0);
    expect(Headroom.open(policy(root, { persona: 'earlyoom', limits: SWAP_COUNTS }))).toBeNull();
    expect(Headroom.open(policy(root, { countArc: false }))).toBeNull();
    expect(Headroom.open(policy(root))?.countsArc).toBe(true);
  });
});

describe("ZFS's cache", () => {
  it('is added near the limits, above c_min, as it is now', () => {
    const root = procTree([]);
    writeArcstats(root, 4000, 500);
    const headroom = Headroom.open(policy(root));
    expect(refined(headroom, 400)).toEqual([3900, 0]);
    expect(refined(headroom, 1000)).toEqual([4500, 0]);
    writeArcstats(root, 600, 500);
    expect(refined(headroom, 400)).toEqual([500, 0]);
    writeArcstats(root, 400, 500);
    expect(refined(headroom, 400)).toEqual([400, 0]);
  });

  it('is not asked far from the limits', () => {
    const root = procTree([]);
    writeArcstats(root, 4000, 500);
    expect(refined(Headroom.open(policy(root)), 1001)).toEqual([1001, 0]);
  });
});

describe('swap on zram', () => {
  function machine(areas: readonly [string, number, number][]): { root: string; headroom: Headroom | null } {
    const root = procTree([]);
    mkdirSync(path.join(root, 'sys'));
    writeSwaps(root, areas);
    return { root, headroom: Headroom.open(policy(root, { limits: SWAP_COUNTS }), path.join(root, 'sys')) };
  }

  it('counts by what it wins, at the ratio that is measured now', () => {
    const { root, headroom } = machine([['/dev/zram0', 4096, 1096]]);
    writeMmStat(path.join(root, 'sys'), 0, 1096, 274);
    expect(refined(headroom, 400, 3000)).toEqual([400, 2250]);
    writeMmStat(path.join(root, 'sys'), 0, 1096, 548);
    expect(refined(headroom, 400, 3000)).toEqual([400, 1500]);
  });

  it('a disk beside it counts in full', () => {
    const { root, headroom } = machine([
      ['/dev/sda2', 2096, 96],
      ['/dev/zram12', 2000, 1000],
      ['/dev/zram3', 100, 0],
    ]);
    writeMmStat(path.join(root, 'sys'), 12, 1000, 1000);
    expect(refined(headroom, 400, 3100)).toEqual([400, 2050]); // zram12 wins nothing, the empty zram3 half
  });

  it('without zram it is SwapFree', () => {
    expect(refined(machine([['/dev/sda2', 4096, 0]]).headroom, 400, 4096)).toEqual([400, 4096]);
  });

  it('a device that tells nothing is taken to win half', () => {
    expect(refined(machine([['/dev/zram40', 4096, 0]]).headroom, 400, 4096)).toEqual([400, 2048]);
  });

  it('is not asked far from the limits, nor when swap is full', () => {
    const { headroom } = machine([['/dev/zram0', 4096, 0]]);
    expect([refined(headroom, 2000, 4096), refined(headroom, 400, 0)]).toEqual([
      [2000, 4096],
      [400, 0],
    ]);
  });

  it('can be rehearsed', () => {
    expect(() => machine([['/dev/zram0', 4096, 0]]).headroom?.rehearse()).not.toThrow();
  });
});
