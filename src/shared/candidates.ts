/*
 * The candidates: every process that was looked at, one row each, in columns.
 *
 * sample/ fills the rows, decide/ ranks them, and `rank` prints them; none of the three knows the other
 * two. Columns of numbers instead of objects, so that a scan of thousands of processes makes no garbage.
 * A row holds raw facts only; what they mean (score, eligible or not) is decided by decide/ranking.ts.
 */

/** Facts about a row that are not numbers, as bits of `marks`. */
export const MARK_UNREADABLE = 1 << 0;
export const MARK_SELF = 1 << 1;
/** A hook or another child of the guard. */
export const MARK_CHILD = 1 << 2;
export const MARK_PREFERRED = 1 << 3;
export const MARK_AVOIDED = 1 << 4;
export const MARK_IGNORED = 1 << 5;
/** Already signalled without effect; put aside so that it is not asked for ever. */
export const MARK_SET_ASIDE = 1 << 6;
/** Its name was read and matched with the patterns, or can't be. */
export const MARK_NAMED = 1 << 7;
/** It ended while it was looked at. */
export const MARK_GONE = 1 << 8;
/** One of those that the admin needs to come in and repair things. */
export const MARK_WAY_IN = 1 << 9;
/** It would give back less than the floor, and is passed over. */
export const MARK_SMALL = 1 << 10;
/** The matchers that prefer and avoid were asked (sample/matchers.ts). */
export const MARK_BIASED = 1 << 11;
/** Those that protect, and --only-cgroup, were asked. */
export const MARK_CHECKED = 1 << 12;
/** A matcher protects it. */
export const MARK_PROTECTED = 1 << 13;
/** It is in none of the cgroups that may be chosen. */
export const MARK_OUTSIDE = 1 << 14;

/** What a number column holds where the number is not known (or was not needed). */
export const UNKNOWN = -9999;

/** The oom_score_adj of a process that must never be killed. */
export const OOM_SCORE_ADJ_MIN = -1000;

/** Bytes kept for a name: a comm (15) and its NUL. */
export const NAME_BYTES = 16;

/** More processes than nearly any machine has; a bigger one doubles it on its first scan. */
const ROWS_AT_START = 8192;

export class CandidateTable {
  count = 0;
  pid: Int32Array;
  ppid: Int32Array;
  pgrp: Int32Array;
  /** Effective uid: up to 2^32. */
  uid: Float64Array;
  /** The state letter's character code. */
  state: Int32Array;
  numThreads: Int32Array;
  oomScore: Int32Array;
  oomScoreAdj: Int32Array;
  rssKib: Float64Array;
  /** Of the RSS, what belongs to nobody else and to no file: what a kill gives back. */
  anonKib: Float64Array;
  /** In swap. */
  swapKib: Float64Array;
  startTimeTicks: Float64Array;
  marks: Int32Array;
  /** The number of the matcher that has marked it; 0 for none. */
  match: Int32Array;
  /** NAME_BYTES for each row, NUL-terminated; empty where the name was not needed. */
  names: Buffer;

  /** @param rows  room for so many at first */
  constructor(rows = ROWS_AT_START) {
    this.pid = new Int32Array(rows);
    this.ppid = new Int32Array(rows);
    this.pgrp = new Int32Array(rows);
    this.uid = new Float64Array(rows);
    this.state = new Int32Array(rows);
    this.numThreads = new Int32Array(rows);
    this.oomScore = new Int32Array(rows);
    this.oomScoreAdj = new Int32Array(rows);
    this.rssKib = new Float64Array(rows);
    this.anonKib = new Float64Array(rows);
    this.swapKib = new Float64Array(rows);
    this.startTimeTicks = new Float64Array(rows);
    this.marks = new Int32Array(rows);
    this.match = new Int32Array(rows);
    this.names = Buffer.alloc(rows * NAME_BYTES);
  }

  clear(): void {
    this.count = 0;
  }

  /** Appends a row for `pid` with everything else unknown; returns its index. */
  add(pid: number): number {
    if (this.count === this.pid.length) this.grow();
    const row = this.count++;
    this.pid[row] = pid;
    this.ppid[row] = UNKNOWN;
    this.pgrp[row] = UNKNOWN;
    this.uid[row] = UNKNOWN;
    this.state[row] = 0;
    this.numThreads[row] = UNKNOWN;
    this.oomScore[row] = UNKNOWN;
    this.oomScoreAdj[row] = UNKNOWN;
    this.rssKib[row] = UNKNOWN;
    this.anonKib[row] = UNKNOWN;
    this.swapKib[row] = UNKNOWN;
    this.startTimeTicks[row] = UNKNOWN;
    this.marks[row] = 0;
    this.match[row] = 0;
    this.names[row * NAME_BYTES] = 0;
    return row;
  }

  mark(row: number, mark: number): void {
    this.marks[row] = (this.marks[row] as number) | mark;
  }

  hasMark(row: number, mark: number): boolean {
    return ((this.marks[row] as number) & mark) !== 0;
  }

  /** Bytes of the row's name. */
  nameLength(row: number): number {
    const start = row * NAME_BYTES;
    let length = 0;
    while (this.names[start + length] !== 0) length++;
    return length;
  }

  private grow(): void {
    const rows = this.pid.length * 2;
    const wider = <T extends Int32Array | Float64Array>(old: T, out: T): T => {
      out.set(old);
      return out;
    };
    this.pid = wider(this.pid, new Int32Array(rows));
    this.ppid = wider(this.ppid, new Int32Array(rows));
    this.pgrp = wider(this.pgrp, new Int32Array(rows));
    this.uid = wider(this.uid, new Float64Array(rows));
    this.state = wider(this.state, new Int32Array(rows));
    this.numThreads = wider(this.numThreads, new Int32Array(rows));
    this.oomScore = wider(this.oomScore, new Int32Array(rows));
    this.oomScoreAdj = wider(this.oomScoreAdj, new Int32Array(rows));
    this.rssKib = wider(this.rssKib, new Float64Array(rows));
    this.anonKib = wider(this.anonKib, new Float64Array(rows));
    this.swapKib = wider(this.swapKib, new Float64Array(rows));
    this.startTimeTicks = wider(this.startTimeTicks, new Float64Array(rows));
    this.marks = wider(this.marks, new Int32Array(rows));
    this.match = wider(this.match, new Int32Array(rows));
    const names = Buffer.alloc(rows * NAME_BYTES);
    names.set(this.names);
    this.names = names;
  }
}
