/*
 * /proc/loadavg (Documentation/filesystems/proc.rst).
 *
 *   1.41 16.61 13.78 1/10095 3996
 *
 * Three averages, runnable/all threads, and the last pid that was given out in the PID namespace of
 * whoever reads (not of the one that this /proc is mounted for). Threads take pids as well, so it moves
 * by more than the processes that were started, and it begins again at 300 after pid_max. A pid that its
 * maker chose itself (CRIU: clone3's set_tid) does not move it.
 */
import { ByteCursor } from './byte-cursor.js';

const FIELDS_BEFORE = 4;
const NEWLINE = 0x0a;
const cursor = new ByteCursor();

/** The last pid given out, from the first `length` of `bytes`; NaN if it is not there whole. */
export function parseLastPid(bytes: Uint8Array, length: number): number {
  cursor.reset(bytes, length);
  for (let field = 0; field < FIELDS_BEFORE; field++) {
    if (!cursor.skipWord()) return Number.NaN;
  }
  const pid = cursor.integer();
  return pid >= 0 && cursor.peek() === NEWLINE ? pid : Number.NaN;
}
