/*
 * Where memory stands against the limits. Pure: numbers in, a level out.
 *
 * Percent of *user mem total*, MemAvailable + AnonPages, is what killing can give back: a tmpfs that
 * fills memory shrinks the total instead of making the limit unreachable (earlyoom 1.8 and later).
 * A limit is crossed when available memory AND free swap are at or below theirs; a machine without
 * swap has 0 % free swap, which is below any limit.
 */
import { LEVEL_KILL, LEVEL_NONE, LEVEL_TERM, type Level, type Limits, type MemoryLevels } from '../shared/limits.js';

export function userMemTotalKib(memory: MemoryLevels): number {
  return memory.memAvailableKib + memory.anonPagesKib;
}

/** Available memory, percent of user mem total. 100 where the total reads 0, which no running machine shows. */
export function memAvailablePercent(memory: MemoryLevels): number {
  const total = userMemTotalKib(memory);
  return total > 0 ? (memory.memAvailableKib * 100) / total : 100;
}

/** Free swap, percent of SwapTotal; 0 without swap. */
export function swapFreePercent(memory: MemoryLevels): number {
  return memory.swapTotalKib > 0 ? (memory.swapFreeKib * 100) / memory.swapTotalKib : 0;
}

/** Called at each tick, so without the two functions above: a number with a fraction that is returned is garbage. */
export function levelOf(memory: MemoryLevels, limits: Limits): Level {
  const total = userMemTotalKib(memory);
  const mem = total > 0 ? (memory.memAvailableKib * 100) / total : 100;
  const swap = memory.swapTotalKib > 0 ? (memory.swapFreeKib * 100) / memory.swapTotalKib : 0;
  if (mem <= limits.memKillPercent && swap <= limits.swapKillPercent) return LEVEL_KILL;
  if (mem <= limits.memTermPercent && swap <= limits.swapTermPercent) return LEVEL_TERM;
  return LEVEL_NONE;
}
