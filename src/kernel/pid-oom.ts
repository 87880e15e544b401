/*
 * /proc/PID/oom_score and /proc/PID/oom_score_adj (Documentation/filesystems/proc.rst, 3.1 and 3.2):
 * one number each. oom_score is 0 to 2000 (since Linux 5.9 an idle process shows 666, not 0);
 * oom_score_adj is -1000 (never kill) to 1000.
 */
import { ByteCursor } from './byte-cursor.js';

const cursor = new ByteCursor();

/** Reads the number in the first `length` of `bytes`; NaN if there is none. */
export function parseOomNumber(bytes: Uint8Array, length: number): number {
  cursor.reset(bytes, length);
  return cursor.integer();
}
