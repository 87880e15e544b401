/*
 * /proc/meminfo (Documentation/filesystems/proc.rst). Values in KiB, though the file says "kB".
 *
 *   MemTotal:       24684092 kB
 *   MemAvailable:   24327460 kB
 *
 * MemAvailable is there since Linux 3.14, and without it nothing here makes sense: it is required.
 */
import { ascii, ByteCursor } from './byte-cursor.js';

export interface Meminfo {
  memTotalKib: number;
  memAvailableKib: number;
  anonPagesKib: number;
  swapTotalKib: number;
  swapFreeKib: number;
}

export function emptyMeminfo(): Meminfo {
  return { memTotalKib: 0, memAvailableKib: 0, anonPagesKib: 0, swapTotalKib: 0, swapFreeKib: 0 };
}

/** The entries that are read, in the order of the file. */
export const MEMINFO_ENTRIES = ['MemTotal:', 'MemAvailable:', 'SwapTotal:', 'SwapFree:', 'AnonPages:'] as const;

const SHMEM = ascii('Shmem:');

const KEYS = MEMINFO_ENTRIES.map(ascii);
/* A plain array: what comes out of a Float64Array is a number with a fraction to V8, and garbage when passed on. */
const values = KEYS.map(() => -1);
const cursor = new ByteCursor();

/** `parseMeminfo`: everything was there. */
export const MEMINFO_OK = 0;

/**
 * Reads the first `length` of `bytes` into `out`.
 * Returns MEMINFO_OK; or n > 0: MEMINFO_ENTRIES[n - 1] is missing; or n < 0: MEMINFO_ENTRIES[-n - 1]
 * has no number. `out` is changed only on MEMINFO_OK.
 */
export function parseMeminfo(bytes: Uint8Array, length: number, out: Meminfo): number {
  cursor.reset(bytes, length);
  for (let key = 0; key < values.length; key++) values[key] = -1;
  let found = 0;
  do {
    for (let key = 0; key < KEYS.length; key++) {
      if (values[key] !== -1 || !cursor.accept(KEYS[key] as Uint8Array)) continue;
      const value = cursor.integer();
      if (!(value >= 0)) return -(key + 1);
      values[key] = value;
      found++;
      break;
    }
  } while (found < KEYS.length && cursor.nextLine());
  if (found < KEYS.length) return values.indexOf(-1) + 1;
  out.memTotalKib = values[0] as number;
  out.memAvailableKib = values[1] as number;
  out.swapTotalKib = values[2] as number;
  out.swapFreeKib = values[3] as number;
  out.anonPagesKib = values[4] as number;
  return MEMINFO_OK;
}

/**
 * Shmem, KiB: memory of tmpfs, memfd, System V segments and shared anonymous mappings. -1 if it does not say. Apart from the
 * others, because it is asked for when memory is short and not at each tick.
 */
export function parseMeminfoShmem(bytes: Uint8Array, length: number): number {
  cursor.reset(bytes, length);
  do {
    if (!cursor.accept(SHMEM)) continue;
    const kib = cursor.integer();
    return kib >= 0 ? kib : -1;
  } while (cursor.nextLine());
  return -1;
}
