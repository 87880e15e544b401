/*
 * /proc/PID/statm (Documentation/filesystems/proc.rst): seven numbers, in pages.
 *
 *   55924 448 448 5 0 112 0
 */
import { ByteCursor } from './byte-cursor.js';

export interface PidStatm {
  sizePages: number;
  residentPages: number;
  /** Of the resident ones, those of files and shared memory: a kill does not free them. */
  sharedPages: number;
}

export function emptyPidStatm(): PidStatm {
  return { sizePages: 0, residentPages: 0, sharedPages: 0 };
}

const cursor = new ByteCursor();

/** Reads the first `length` of `bytes` into `out`. Returns false if they are not a statm file. */
export function parsePidStatm(bytes: Uint8Array, length: number, out: PidStatm): boolean {
  cursor.reset(bytes, length);
  out.sizePages = cursor.integer();
  out.residentPages = cursor.integer();
  out.sharedPages = cursor.integer();
  return out.sizePages >= 0 && out.residentPages >= 0 && out.sharedPages >= 0;
}
