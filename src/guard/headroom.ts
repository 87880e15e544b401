/*
 * Puts the samples right where MemAvailable or SwapFree says less or more than can be had (decide/headroom.ts). It costs
 * nothing far from the limits, and nothing where there is no ZFS and swap decides nothing.
 */
import { arcCountsKib, countedSwapKib, isNear, zramCostKib } from '../decide/headroom.js';
import { emptyMeminfo, type Meminfo } from '../kernel/meminfo.js';
import { ArcFile, ZramFiles } from '../sample/headroom-files.js';
import type { Refiner } from '../sample/memory-sampler.js';
import type { Limits } from '../shared/limits.js';

/** What it takes of the guard's options; the limits may be replaced while it runs. */
export interface HeadroomPolicy {
  persona: string;
  procfs: string;
  limits: Limits;
  countArc: boolean;
}

const SYSFS = '/sys';
const SWAP_PERCENT_MAX = 100;

/** Runs until V8 has compiled it. */
const REHEARSALS = 500;

export class Headroom implements Refiner {
  private constructor(
    private readonly policy: HeadroomPolicy,
    private readonly arc: ArcFile | null,
    private readonly zram: ZramFiles | null,
  ) {}

  /** Null where the kernel's numbers are all there is: in earlyoom's persona, and where none of it is on this machine. */
  static open(policy: HeadroomPolicy, sysfs = SYSFS): Headroom | null {
    if (policy.persona !== 'oom-backstop') return null;
    const arc = policy.countArc ? ArcFile.open(policy.procfs) : -1;
    const swapDecides = policy.limits.swapTermPercent < SWAP_PERCENT_MAX;
    const zram = swapDecides ? ZramFiles.open(policy.procfs, sysfs) : -1;
    if (typeof arc === 'number' && typeof zram === 'number') return null;
    return new Headroom(policy, typeof arc === 'number' ? null : arc, typeof zram === 'number' ? null : zram);
  }

  /** Whether ZFS's cache counts. */
  get countsArc(): boolean {
    return this.arc !== null;
  }

  refine(memory: Meminfo): void {
    if (!isNear(memory, this.policy.limits)) return;
    if (this.zram !== null && memory.swapFreeKib > 0) this.refineSwap(memory, this.zram);
    if (this.arc?.read()) memory.memAvailableKib += arcCountsKib(this.arc.arc.sizeKib, this.arc.arc.minKib);
  }

  /** Runs all of it, as it will be run when memory is short. */
  rehearse(): void {
    const memory = emptyMeminfo();
    for (let time = 0; time < REHEARSALS; time++) {
      memory.memAvailableKib = 1;
      memory.anonPagesKib = 1024 * 1024;
      memory.swapFreeKib = time;
      this.refine(memory);
    }
  }

  private refineSwap(memory: Meminfo, zram: ZramFiles): void {
    zram.read();
    const { swaps } = zram;
    let costKib = 0;
    for (let area = 0; area < swaps.count; area++) {
      costKib += zramCostKib(swaps.freeKib[area] as number, zram.useOf(area));
    }
    memory.swapFreeKib = countedSwapKib(memory.swapFreeKib, costKib);
  }
}
