/* The admin's limits, and how far memory has fallen below them. */

/** All in percent: of user mem total (MemAvailable + AnonPages) for memory, of SwapTotal for swap. */
export interface Limits {
  memTermPercent: number;
  memKillPercent: number;
  swapTermPercent: number;
  swapKillPercent: number;
}

/** A copy. What V8 compiles is for objects made in one place: those of the rehearsal and the guard's are made here. */
export function copyLimits({ memTermPercent, memKillPercent, swapTermPercent, swapKillPercent }: Limits): Limits {
  return { memTermPercent, memKillPercent, swapTermPercent, swapKillPercent };
}

export const LEVEL_NONE = 0;
/** At or below the SIGTERM limits. */
export const LEVEL_TERM = 1;
/** At or below the SIGKILL limits. */
export const LEVEL_KILL = 2;

export type Level = typeof LEVEL_NONE | typeof LEVEL_TERM | typeof LEVEL_KILL;

/** Memory at one moment, in KiB as /proc/meminfo has it. */
export interface MemoryLevels {
  memAvailableKib: number;
  anonPagesKib: number;
  swapTotalKib: number;
  swapFreeKib: number;
}
