/*
 * Whether killing would help at all, when tmpfs or other shared memory has filled the machine. Pure.
 *
 * Files in a tmpfs and System V segments stay when processes die. If they are what memory is short of, each kill gives back
 * what one process has, the tmpfs goes on to take it, and the innocent die one after another. So killing is
 * futile when all of this holds:
 *
 *   1. Shmem is more than all processes together would give back;
 *   2. Shmem is enough to explain the shortage: without it memory would be clear of the SIGTERM limit;
 *   3. no process would clear the limit, not even with the shared memory that it maps (whoever maps it may be the last one
 *      that keeps it: a memfd, a shared mapping, a deleted file).
 *
 * Clear is not just above: a kill that leaves memory at the limit has to be followed by the next. A reserve of one percent
 * of user mem total has to come with it (half the limit, where that is less).
 */
import type { Limits, MemoryLevels } from '../shared/limits.js';

const RESERVE_PERCENT = 1;

/** What would have to come back to be clear of the SIGTERM limit, KiB; 0 or less: memory is clear of it. */
export function neededKib(memory: MemoryLevels, limits: Limits): number {
  const { memAvailableKib, anonPagesKib } = memory;
  const percent = limits.memTermPercent + Math.min(RESERVE_PERCENT, limits.memTermPercent / 2);
  return Math.ceil((percent * (memAvailableKib + anonPagesKib)) / 100) - memAvailableKib;
}

/** What kills could give back, as a look at all processes has found it, KiB. */
export interface KillYield {
  /** All processes together. */
  sumKib: number;
  /** Whoever of those that may be chosen has the most, shared memory included. */
  largestKib: number;
}

export function killsAreFutile(needed: number, shmemKib: number, { sumKib, largestKib }: KillYield): boolean {
  return shmemKib > sumKib && shmemKib >= needed && largestKib < needed;
}
