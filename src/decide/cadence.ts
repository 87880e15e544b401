/*
 * How long to wait until the next sample. Pure: the time is an argument.
 *
 * Memory can't fill faster than the machine can clear pages, so with H of headroom nothing can happen
 * for H / rate: far from the limit once a second is safe, and the closer the limit the shorter the
 * wait. A tick costs about 36 us of CPU here (most of it waking up), so the floor decides what standing
 * right above the limit costs: 5 ms is 0.7 % of a core. While memory is falling the floor is 2 ms: 1.8 %,
 * but only for as long as it falls.
 */
import type { MemoryLevels } from '../shared/limits.js';
import { memAvailablePercent, swapFreePercent, userMemTotalKib } from './limits.js';

/** The fastest filling that is planned for, in KiB/ms (about MiB/s): earlyoom's, seen with `stress -m 4`. */
const MEM_FILL_KIB_PER_MS = 6000;
/** Likewise for swap: earlyoom's, seen on zram. */
const SWAP_FILL_KIB_PER_MS = 800;

export const WAIT_MS_MAX = 1000;
const WAIT_MS_MIN = 5;
const WAIT_FALLING_MS_MIN = 2;

/** A fall between two samples from which on memory counts as falling: 5 ms of 50 MiB/s. */
const FALL_KIB_MIN = 256;
/** For how long it counts after the last fall: longer than a hog pauses between two allocations. */
const FALLING_MS = 1000;

export class Cadence {
  private lastAvailableKib = 0;
  private lastFallMs = Number.NEGATIVE_INFINITY;

  /**
   * The wait before the next sample, in whole ms from 2 to 1000.
   * The two percentages are the limits that come next: SIGTERM's, or SIGKILL's while a victim is asked.
   */
  waitMs(memory: MemoryLevels, memLimitPercent: number, swapLimitPercent: number, nowMs: number): number {
    if (this.lastAvailableKib - memory.memAvailableKib >= FALL_KIB_MIN) this.lastFallMs = nowMs;
    this.lastAvailableKib = memory.memAvailableKib;
    const floor = nowMs - this.lastFallMs < FALLING_MS ? WAIT_FALLING_MS_MIN : WAIT_MS_MIN;
    const wait = Math.floor(headroomMs(memory, memLimitPercent, swapLimitPercent));
    return Math.min(Math.max(wait, floor), WAIT_MS_MAX);
  }
}

/** The shortest time in which both limits can be reached. */
function headroomMs(memory: MemoryLevels, memLimitPercent: number, swapLimitPercent: number): number {
  const memKib = ((memAvailablePercent(memory) - memLimitPercent) * userMemTotalKib(memory)) / 100;
  const swapKib = ((swapFreePercent(memory) - swapLimitPercent) * memory.swapTotalKib) / 100;
  return Math.max(memKib / MEM_FILL_KIB_PER_MS, swapKib / SWAP_FILL_KIB_PER_MS, 0);
}
