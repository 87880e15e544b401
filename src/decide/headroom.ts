/*
 * What really can be had, where the kernel's two numbers say more or less than that. Pure: numbers in, KiB out.
 *
 *   ZFS    its cache (ARC) gives back what it holds above c_min when memory is short, and MemAvailable does not know of it:
 *          size - c_min is added.
 *   zram   what is swapped out to it stays in memory, compressed. With F free and R the ratio (what is stored, divided by
 *          what it costs), filling it moves F out of memory and costs F / R: what is won is F * (1 - 1/R), and only that
 *          counts as free swap. At a ratio of 1 nothing is won. Under a mem_limit it takes (limit - cost) * R at most.
 *   zswap  nothing to correct: a page in its pool has a place on the disk, which SwapFree has counted as taken, and the
 *          pool gives its pages to the disk when it is full; its memory is not in MemAvailable. So free swap is
 *          a disk's in the end, whatever the pool holds meanwhile (max_pool_percent, a fifth of memory).
 *
 * Asked for only when memory is near the limits: far from them it decides nothing.
 */
import type { Limits, MemoryLevels } from '../shared/limits.js';

/** From this many times the SIGTERM limit down, memory is near: at the fastest filling that is planned for some ten looks before it. */
const NEAR_FACTOR = 2;

/** Below this much stored, the ratio is what the allocator's first pages make of it, so it is taken to be this. */
const MEASURED_FROM_KIB = 16384;
/** The ratio of lzo and lz4 on ordinary memory is 2 to 3: the lower one, to act rather too early. */
const ASSUMED_RATIO = 2;

/** Whether memory alone is so low that exact numbers may matter. */
export function isNear(memory: MemoryLevels, limits: Limits): boolean {
  const { memAvailableKib, anonPagesKib } = memory;
  return memAvailableKib * 100 <= NEAR_FACTOR * limits.memTermPercent * (memAvailableKib + anonPagesKib);
}

/** What ZFS's cache would give back, KiB. */
export function arcCountsKib(sizeKib: number, minKib: number): number {
  return Math.max(0, sizeKib - minKib);
}

/** What one zram device holds, costs and may cost, KiB. A limit of 0 is none. */
export interface ZramUse {
  origDataKib: number;
  memUsedTotalKib: number;
  memLimitKib: number;
}

/** How much of `freeKib` on a zram device does not count as free swap: a whole number from 0 to `freeKib`. */
export function zramCostKib(freeKib: number, { origDataKib, memUsedTotalKib, memLimitKib }: ZramUse): number {
  const measured = origDataKib >= MEASURED_FROM_KIB && memUsedTotalKib > 0;
  const ratio = measured ? origDataKib / memUsedTotalKib : ASSUMED_RATIO;
  if (ratio <= 1) return freeKib;
  const room = memLimitKib > 0 ? Math.max(0, memLimitKib - memUsedTotalKib) * ratio : freeKib;
  return freeKib - Math.floor(Math.min(freeKib, room) * (1 - 1 / ratio));
}

/** Free swap that counts, of `swapFreeKib` as the kernel says: the two numbers are of different moments. */
export function countedSwapKib(swapFreeKib: number, zramCost: number): number {
  return Math.min(swapFreeKib, Math.max(0, swapFreeKib - zramCost));
}
