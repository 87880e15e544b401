/*
 * Files of a cgroup on v2 (Documentation/admin-guide/cgroup-v2.rst; Linux 4.5):
 *
 *   cgroup.procs     the pids in it, one a line, in no order; 0 for a process that this PID namespace does not have
 *   memory.current   bytes, "1073741824"
 *   memory.max       the same, or "max" for no limit; memory.high alike
 */
import { ByteCursor } from './byte-cursor.js';

const NEWLINE = 0x0a;
const ZERO = 0x30;
const NINE = 0x39;
/* PID_MAX_LIMIT is 4,194,304; anything far above is no pid. */
const PID_MAX = 99_999_999;

/** Pids as they are read, one piece of a file after the other; at most so many. */
export class PidList {
  readonly pids: Int32Array;
  count = 0;
  /** There were more than there is room for, or something that is no pid: not everybody is in the list. */
  incomplete = false;
  private pid = 0;
  private digits = 0;

  constructor(room: number) {
    this.pids = new Int32Array(room);
  }

  clear(): void {
    this.count = 0;
    this.incomplete = false;
    this.beginFile();
  }

  /** A line that was not ended, of the file before, is none. */
  beginFile(): void {
    this.pid = 0;
    this.digits = 0;
  }

  /** Takes in the first `length` of `bytes`; a line may go on in the next piece. */
  take(bytes: Uint8Array, length: number): void {
    for (let at = 0; at < length; at++) {
      const byte = bytes[at] as number;
      if (byte === NEWLINE) this.endLine();
      else if (byte >= ZERO && byte <= NINE && this.pid <= PID_MAX) {
        this.pid = this.pid * 10 + (byte - ZERO);
        this.digits++;
      } else this.incomplete = true;
    }
  }

  private endLine(): void {
    if (this.digits > 0) this.add(this.pid);
    this.beginFile();
  }

  private add(pid: number): void {
    if (pid === 0 || this.count === this.pids.length) this.incomplete = true;
    else this.pids[this.count++] = pid;
  }
}

const cursor = new ByteCursor();

/** Bytes that a memory file of a cgroup says; NaN for "max", and for what is no number. */
export function parseCgroupBytes(bytes: Uint8Array, length: number): number {
  cursor.reset(bytes, length);
  return cursor.integer();
}
