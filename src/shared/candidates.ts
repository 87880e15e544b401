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
/** Made blank together; all of a machine's would touch memory that a small machine never needs. */
const BLANK_ROWS = 128;

export class CandidateTable {
  count = 0;
  /** The rows from `count` to here hold nothing yet. */
  private blankEnd = 0;
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
    const columns = new Columns(rows);
    this.uid = columns.float64();
    this.rssKib = columns.float64();
    this.anonKib = columns.float64();
    this.swapKib = columns.float64();
    this.startTimeTicks = columns.float64();
    this.pid = columns.int32();
    this.ppid = columns.int32();
    this.pgrp = columns.int32();
    this.state = columns.int32();
    this.numThreads = columns.int32();
    this.oomScore = columns.int32();
    this.oomScoreAdj = columns.int32();
    this.marks = columns.int32();
    this.match = columns.int32();
    this.names = columns.names();
  }

  clear(): void {
    this.count = 0;
    this.blankEnd = 0;
  }

  /** Appends a row for `pid` with everything else unknown; returns its index. */
  add(pid: number): number {
    if (this.count === this.blankEnd) this.blankMore();
    const row = this.count++;
    this.pid[row] = pid;
    return row;
  }

  /** Takes the last row out again. */
  dropLast(): void {
    this.count--;
    this.blankEnd = this.count;
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

  /** Makes the next rows blank. Not within `add`: there it would be half of what V8 makes one piece of code of, and a scan is to be one. */
  private blankMore(): void {
    if (this.count === this.pid.length) this.grow();
    this.blankEnd = Math.min(this.count + BLANK_ROWS, this.pid.length);
    for (let row = this.count; row < this.blankEnd; row++) {
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
    }
  }

  private grow(): void {
    const wider = new CandidateTable(this.pid.length * 2);
    wider.uid.set(this.uid);
    wider.rssKib.set(this.rssKib);
    wider.anonKib.set(this.anonKib);
    wider.swapKib.set(this.swapKib);
    wider.startTimeTicks.set(this.startTimeTicks);
    wider.pid.set(this.pid);
    wider.ppid.set(this.ppid);
    wider.pgrp.set(this.pgrp);
    wider.state.set(this.state);
    wider.numThreads.set(this.numThreads);
    wider.oomScore.set(this.oomScore);
    wider.oomScoreAdj.set(this.oomScoreAdj);
    wider.marks.set(this.marks);
    wider.match.set(this.match);
    wider.names.set(this.names);
    Object.assign(this, wider, { count: this.count, blankEnd: this.blankEnd });
  }
}

/* Five columns of 8 bytes, nine of 4, and the name. */
const ROW_BYTES = 5 * 8 + 9 * 4 + NAME_BYTES;

/**
 * All columns in one piece of memory, so large that it is mapped for itself: of a table that is made for 8,192 rows only
 * those that are used take memory. Smaller pieces come from the heap, where they would be cleared, and so touched.
 */
class Columns {
  private readonly memory: ArrayBuffer;
  private offset = 0;

  constructor(private readonly rows: number) {
    this.memory = new ArrayBuffer(rows * ROW_BYTES);
  }

  float64(): Float64Array {
    return new Float64Array(this.memory, this.take(8), this.rows);
  }

  int32(): Int32Array {
    return new Int32Array(this.memory, this.take(4), this.rows);
  }

  names(): Buffer {
    return Buffer.from(this.memory, this.take(NAME_BYTES), this.rows * NAME_BYTES);
  }

  private take(bytesPerRow: number): number {
    const offset = this.offset;
    this.offset += this.rows * bytesPerRow;
    return offset;
  }
}
