/* The admin's limits, and how far memory has fallen below them. */

/** All in percent: of user mem total (MemAvailable + AnonPages) for memory, of SwapTotal for swap. */
export interface Limits {
  memTermPercent: number;
  memKillPercent: number;
  swapTermPercent: number;
  swapKillPercent: number;
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
