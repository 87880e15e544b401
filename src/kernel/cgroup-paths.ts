/*
 * The paths in /proc/PID/cgroup (cgroups(7)) that tell where a process belongs, without a string for each.
 *
 *   4:memory:/user.slice
 *   0::/system.slice/oom-backstop.service
 *
 * It is the path on cgroup v2. Where there is none, or the process is in its root (v1, and hybrids that use v2 for nothing), it is
 * each path on v1 below the root; where there is none of those either, the root.
 * The kernel allows no newline in the name of a cgroup. A line that is cut off (a buffer too small) counts for nothing.
 */

const NEWLINE = 0x0a;
const COLON = 0x3a;
const SLASH = 0x2f;
const ZERO = 0x30;

/** v1 has 14 controllers, and named hierarchies besides. */
const PATHS_MAX = 16;

export class CgroupPaths {
  count = 0;
  readonly starts = new Int32Array(PATHS_MAX);
  readonly ends = new Int32Array(PATHS_MAX);
  /** Of one that is the root; -1: nowhere. */
  private rootAt = -1;
  private hasUnified = false;

  /** Reads the first `length` of `bytes`. */
  read(bytes: Uint8Array, length: number): void {
    this.count = 0;
    this.rootAt = -1;
    this.hasUnified = false;
    for (let start = 0; start < length; ) {
      let end = start;
      while (end < length && bytes[end] !== NEWLINE) end++;
      if (end === length) break;
      this.readLine(bytes, start, end);
      start = end + 1;
    }
    if (this.count === 0 && this.rootAt !== -1) this.add(this.rootAt, this.rootAt + 1);
  }

  private readLine(bytes: Uint8Array, start: number, end: number): void {
    const first = indexOf(bytes, COLON, start, end);
    const second = indexOf(bytes, COLON, first + 1, end);
    const path = second + 1;
    if (first === end || second === end || bytes[path] !== SLASH || path === end) return;
    const isUnified = first === start + 1 && second === first + 1 && bytes[start] === ZERO;
    if (end - path === 1) {
      this.rootAt = path;
      return;
    }
    if (isUnified) {
      this.hasUnified = true;
      this.count = 0;
      this.add(path, end);
    } else if (!this.hasUnified) this.add(path, end);
  }

  private add(start: number, end: number): void {
    if (this.count === PATHS_MAX) return;
    this.starts[this.count] = start;
    this.ends[this.count] = end;
    this.count++;
  }
}

/** Where `byte` is in `bytes[start .. end)`, or `end`. */
function indexOf(bytes: Uint8Array, byte: number, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== byte) at++;
  return Math.min(at, end);
}
