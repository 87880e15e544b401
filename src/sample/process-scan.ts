/*
 * Walks /proc and fills the table of candidates.
 *
 * Nearly all the time of a scan is the kernel's, for opening, reading and closing files (5 us each), so the
 * art is to read few. There are two walks:
 *
 *   scanScores   one file of each process, oom_score. Who can still win by it is read further, a fact at a time
 *                (readName, readStat, ...), by whoever compares them (guard/selector.ts)
 *   scanMemory   the same with statm, for the ranking by memory
 *   scan         what any ranking may need of each: stat and oom_score, the name if a pattern has to be
 *                matched, the owner if owners matter
 *
 * `complete` reads all the rest of one row: of the victim, or of everybody when `rank` or the debug log shows them.
 *
 * A process may vanish between any two reads, or before the first: then it is not a candidate, and not
 * an error. One that is there but can't be read (hidepid, a broken tree) is kept as unreadable.
 */

import { EIO, ENOENT, ESRCH } from '../../native-shims/errno.js';
import { close } from '../../native-shims/files.js';
import { fixedBuffer } from '../../native-shims/libc.js';
import { pageSize } from '../../native-shims/priority.js';
import type { PosixRegex } from '../../native-shims/regex.js';
import { commLength } from '../kernel/pid-name.js';
import { parseOomNumber } from '../kernel/pid-oom.js';
import { emptyPidStat, isDead, type PidStat, parsePidStat } from '../kernel/pid-stat.js';
import { emptyPidStatm, type PidStatm, parsePidStatm } from '../kernel/pid-statm.js';
import { parsePidStatusSwap, parsePidStatusTgid, parsePidStatusUid } from '../kernel/pid-status.js';
import {
  type CandidateTable,
  MARK_AVOIDED,
  MARK_BIASED,
  MARK_CHECKED,
  MARK_CHILD,
  MARK_GONE,
  MARK_IGNORED,
  MARK_NAMED,
  MARK_PREFERRED,
  MARK_SELF,
  MARK_UNREADABLE,
  MARK_WAY_IN,
  NAME_BYTES,
  UNKNOWN,
} from '../shared/candidates.js';
import type { Matchers } from './matchers.js';
import {
  PID_COMM,
  PID_OOM_SCORE,
  PID_OOM_SCORE_ADJ,
  PID_STAT,
  PID_STATM,
  PID_STATUS,
  type PidFiles,
} from './pid-files.js';
import { PID_MAX, PidWalk } from './pid-walk.js';

/** The admin's patterns on the name; null where there is none. */
export interface NamePatterns {
  prefer: PosixRegex | null;
  avoid: PosixRegex | null;
  ignore: PosixRegex | null;
  /** The admin's way in. */
  wayIn: PosixRegex | null;
}

export interface ScanOptions extends NamePatterns {
  /** The admin's matchers beyond the name; null: none. */
  matchers: Matchers | null;
  /** Read every process's owner (for --ignore-root-user and --only-user). */
  needUid: boolean;
  /** The guard's own pid as this procfs numbers it; null if it does not show the guard. */
  selfPid: number | null;
}

/** Who knows the guard's own children (act/hooks.ts). */
export interface Children {
  /** Whether a pid, or a process group, is that of a hook. */
  isChild(pid: number): boolean;
}

/** Of whoever starts no hooks. */
export const NO_CHILDREN: Children = { isChild: () => false };

/* The largest of the files read here: stat stays below 400 bytes, status below 2,000. */
const FILE_BYTES_MAX = 4096;

const KIB = 1024;
const KTHREADD_PID = 2;
const STATE_ZOMBIE = 0x5a; // Z
const STATE_UNINTERRUPTIBLE = 0x44; // D

export class ProcessScan {
  private readonly pids: PidWalk;
  private readonly bytes = fixedBuffer(FILE_BYTES_MAX);
  private readonly name = fixedBuffer(NAME_BYTES * 2);
  private readonly stat: PidStat = emptyPidStat();
  private readonly statm: PidStatm = emptyPidStatm();
  private readonly threads = new PidWalk(-1);
  private readonly kibPerPage = pageSize() / KIB;
  private readonly prefer: PosixRegex | null;
  private readonly avoid: PosixRegex | null;
  private readonly ignore: PosixRegex | null;
  private readonly wayIn: PosixRegex | null;
  private readonly matchers: Matchers | null;
  private readonly selfPid: number | null;
  /** Whether a pattern that ranks or excludes is to be matched with names. The way in is asked of leaders only. */
  readonly needsName: boolean;
  /** Whether owners exclude somebody. */
  readonly needsUid: boolean;
  /** Whether a matcher ranks. */
  readonly needsBias: boolean;
  /** Whether a matcher, or --only-cgroup, may exclude somebody. */
  readonly needsProtection: boolean;
  /** The marks of what may raise a process's score; see `scoreBound`. */
  readonly preferrers: number;
  /** Of more rows than these, walks take in `onlyPid` alone. */
  private rowsMax = PID_MAX;
  private onlyPid = 0;

  constructor(
    private readonly files: PidFiles,
    { prefer, avoid, ignore, wayIn, matchers, needUid, selfPid }: ScanOptions,
    private readonly children: Children,
  ) {
    this.pids = new PidWalk(files.directoryFd);
    // Fields of its own: objects made in different places are different kinds to V8.
    this.prefer = prefer;
    this.avoid = avoid;
    this.ignore = ignore;
    this.wayIn = wayIn;
    this.matchers = matchers;
    this.needsUid = needUid;
    this.selfPid = selfPid;
    this.needsName = prefer !== null || avoid !== null || ignore !== null;
    this.needsBias = matchers?.biases === true;
    this.needsProtection = matchers?.protects === true;
    this.preferrers = (prefer === null ? 0 : MARK_NAMED) | (matchers?.prefers === true ? MARK_BIASED : 0);
  }

  /** Has walks take in the first few processes and `pid`, and nobody else (for the rehearsal). */
  shorten(rowsMax: number, pid: number): void {
    this.rowsMax = rowsMax;
    this.onlyPid = pid;
  }

  /** Fills `table` with all processes, in the order of the directory (by pid). Returns 0, or -errno if it can't be listed. */
  scan(table: CandidateTable): number {
    return this.walk(table, 'all');
  }

  /** The same with nothing but pid, oom_score and the marks that need no other file. */
  scanScores(table: CandidateTable): number {
    return this.walk(table, 'oom_score');
  }

  /** The same with statm instead of oom_score. */
  scanMemory(table: CandidateTable): number {
    return this.walk(table, 'memory');
  }

  /** Appends a row for `pid` with its oom_score, unless it is gone. Returns its index, or -1. */
  addScore(table: CandidateTable, pid: number): number {
    const row = this.addPid(table, pid);
    if (this.children.isChild(pid)) table.mark(row, MARK_CHILD);
    this.readScore(table, row);
    if (!table.hasMark(row, MARK_GONE)) return row;
    table.dropLast();
    return -1;
  }

  /** The same with what a kill would give back. */
  addMemory(table: CandidateTable, pid: number): number {
    const row = this.addPid(table, pid);
    if (this.children.isChild(pid)) table.mark(row, MARK_CHILD);
    const result = this.readMemory(table, row);
    if (result < 0) this.markUnread(table, row, result);
    if (!table.hasMark(row, MARK_GONE)) return row;
    table.dropLast();
    return -1;
  }

  /** Appends a row for `pid` with all that any ranking needs, unless it is gone. */
  addProcess(table: CandidateTable, pid: number): void {
    const row = this.addPid(table, pid);
    this.readStat(table, row);
    const known = table.startTimeTicks[row] !== UNKNOWN;
    if (known && !isKernelThread(table, row)) this.readRanked(table, row);
    if (table.hasMark(row, MARK_GONE)) table.dropLast();
  }

  /** The RSS, shared memory included, of the row that `addMemory` has added last, if it knows what a kill would give back. */
  get residentKib(): number {
    return this.statm.residentPages * this.kibPerPage;
  }

  /** Whether `pid` is a process, and not one of the other threads of one, which /proc hides but answers for. */
  isProcess(pid: number): boolean {
    const length = this.files.read(pid, PID_STATUS, this.bytes);
    return length >= 0 && parsePidStatusTgid(this.bytes, length) === pid;
  }

  /** Reads all that is missing in one row. What can't be read stays unknown; its memory matters to the ranking by memory only. */
  complete(table: CandidateTable, row: number): void {
    this.readStat(table, row);
    if (table.oomScore[row] === UNKNOWN && !isKernelThread(table, row)) this.readScore(table, row);
    this.readAdj(table, row);
    this.readName(table, row);
    this.readStatus(table, row);
    this.readMemory(table, row);
    if (isKernelThread(table, row)) return;
    this.readBias(table, row);
    this.readProtection(table, row);
  }

  /** Reads the row's /proc/PID/stat, unless that was done. */
  readStat(table: CandidateTable, row: number): void {
    if (table.startTimeTicks[row] !== UNKNOWN) return;
    const pid = table.pid[row] as number;
    const length = this.files.read(pid, PID_STAT, this.bytes);
    if (length < 0) return this.markUnread(table, row, length);
    if (!parsePidStat(this.bytes, length, this.stat)) return table.mark(row, MARK_UNREADABLE);
    // A hook leads a process group, which holds what the hook started.
    if (this.children.isChild(pid) || this.children.isChild(this.stat.pgrp)) table.mark(row, MARK_CHILD);
    table.ppid[row] = this.stat.ppid;
    table.pgrp[row] = this.stat.pgrp;
    table.state[row] = this.stat.state;
    table.numThreads[row] = this.stat.numThreads;
    table.startTimeTicks[row] = this.stat.startTimeTicks;
    table.rssKib[row] = this.stat.rssPages * this.kibPerPage;
  }

  /** Reads the row's name and matches it with the patterns, unless that was done. */
  readName(table: CandidateTable, row: number): void {
    if (table.hasMark(row, MARK_NAMED)) return;
    table.mark(row, MARK_NAMED);
    const length = this.files.read(table.pid[row] as number, PID_COMM, this.bytes);
    if (length < 0) return this.markUnread(table, row, length);
    this.copyName(table, row, length);
    const { prefer, avoid, ignore, wayIn } = this;
    // regexec wants the name at the start of memory; the table's copy sits in the middle of a buffer.
    if (prefer?.matches(this.name)) table.mark(row, MARK_PREFERRED);
    if (avoid?.matches(this.name)) table.mark(row, MARK_AVOIDED);
    if (ignore?.matches(this.name)) table.mark(row, MARK_IGNORED);
    if (wayIn?.matches(this.name)) table.mark(row, MARK_WAY_IN);
  }

  /** Has the matchers prefer or avoid the row, unless that was done. */
  readBias(table: CandidateTable, row: number): void {
    if (this.matchers === null || table.hasMark(row, MARK_BIASED)) return;
    table.mark(row, MARK_BIASED);
    const result = this.matchers.bias(table, row, this);
    if (result < 0) this.markUnread(table, row, result);
  }

  /** Has the matchers protect the row, and --only-cgroup exclude it, unless that was done. */
  readProtection(table: CandidateTable, row: number): void {
    if (this.matchers === null || table.hasMark(row, MARK_CHECKED)) return;
    table.mark(row, MARK_CHECKED);
    const result = this.matchers.protection(table, row, this);
    if (result < 0) this.markUnread(table, row, result);
  }

  /** The numbers of all matchers that match the row (for `rank`). */
  matchesOf(table: CandidateTable, row: number): number[] {
    return this.matchers === null || isKernelThread(table, row) ? [] : this.matchers.matching(table, row, this);
  }

  /** Reads the row's owner and what it has in swap, unless that was done. Kernel threads have no such line, and nothing there. */
  readStatus(table: CandidateTable, row: number): void {
    if (table.uid[row] !== UNKNOWN) return;
    const length = this.files.read(table.pid[row] as number, PID_STATUS, this.bytes);
    if (length >= 0) table.swapKib[row] = Math.max(0, parsePidStatusSwap(this.bytes, length));
    const uid = length < 0 ? -1 : parsePidStatusUid(this.bytes, length);
    if (uid >= 0) table.uid[row] = uid;
    else if (this.needsUid) this.markUnread(table, row, length);
  }

  /**
   * Reads what a kill of the row would give back, unless that was done. A process whose main thread is a zombie shows
   * nothing while its other threads live and hold the memory: then one of them is asked. Returns 0 or -errno.
   */
  readMemory(table: CandidateTable, row: number): number {
    if (table.anonKib[row] !== UNKNOWN) return 0;
    const length = this.files.read(table.pid[row] as number, PID_STATM, this.bytes);
    if (length < 0) return length;
    if (!parsePidStatm(this.bytes, length, this.statm)) return -EIO;
    if (this.statm.residentPages === 0) this.readMemoryOfThread(table, row);
    table.anonKib[row] = Math.max(0, this.statm.residentPages - this.statm.sharedPages) * this.kibPerPage;
    return 0;
  }

  /** Reads the row's oom_score_adj. */
  readAdj(table: CandidateTable, row: number): void {
    if (table.oomScoreAdj[row] !== UNKNOWN) return;
    const length = this.files.read(table.pid[row] as number, PID_OOM_SCORE_ADJ, this.bytes);
    const adj = length < 0 ? Number.NaN : parseOomNumber(this.bytes, length);
    // Whether it may be killed at all is not known then, so it is not.
    if (Number.isNaN(adj)) this.markUnread(table, row, length);
    else table.oomScoreAdj[row] = adj;
  }

  /** Whether `pid` is still the process that started at `startTimeTicks`, and alive. */
  isAlive(pid: number, startTimeTicks: number): boolean {
    const length = this.files.read(pid, PID_STAT, this.bytes);
    if (length < 0 || !parsePidStat(this.bytes, length, this.stat)) return false;
    return this.stat.startTimeTicks === startTimeTicks && !isDead(this.stat);
  }

  /**
   * Whether `pid` sits in the kernel where a signal does not reach it: in state D, or a zombie main thread whose other
   * threads do not end.
   */
  isStuck(pid: number, startTimeTicks: number): boolean {
    const length = this.files.read(pid, PID_STAT, this.bytes);
    if (length < 0 || !parsePidStat(this.bytes, length, this.stat)) return false;
    const { state, numThreads } = this.stat;
    // Compared whether it matters or not: what V8 has never seen compared makes it throw code away.
    const isZombie = state === STATE_ZOMBIE;
    const hasThreads = numThreads > 1;
    const isIt = this.stat.startTimeTicks === startTimeTicks;
    return isIt && (state === STATE_UNINTERRUPTIBLE || (isZombie && hasThreads));
  }

  /** Leaves in `this.statm` what a living thread of the row's process shows, if its main thread is a zombie. */
  private readMemoryOfThread(table: CandidateTable, row: number): void {
    this.readStat(table, row);
    if (table.state[row] !== STATE_ZOMBIE || (table.numThreads[row] as number) <= 1) return;
    const fd = this.files.openThreads(table.pid[row] as number);
    if (fd < 0) return;
    this.threads.enter(fd);
    for (let tid = this.threads.next(); tid > 0; tid = this.threads.next()) {
      const length = this.files.readOfThread(fd, tid, PID_STATM, this.bytes);
      if (length > 0 && parsePidStatm(this.bytes, length, this.statm) && this.statm.residentPages > 0) break;
    }
    close(fd);
  }

  private walk(table: CandidateTable, what: 'oom_score' | 'memory' | 'all'): number {
    table.clear();
    const restarted = this.pids.restart();
    if (restarted < 0) return restarted;
    for (;;) {
      const pid = this.pids.next();
      if (pid <= 0) return pid;
      if (table.count >= this.rowsMax && pid !== this.onlyPid) continue;
      if (what === 'oom_score') this.addScore(table, pid);
      else if (what === 'memory') this.addMemory(table, pid);
      else this.addProcess(table, pid);
    }
  }

  private addPid(table: CandidateTable, pid: number): number {
    const row = table.add(pid);
    if (pid === this.selfPid) table.mark(row, MARK_SELF);
    return row;
  }

  /** What the ranking needs besides stat. */
  private readRanked(table: CandidateTable, row: number): void {
    this.readScore(table, row);
    if (this.needsName) this.readName(table, row);
    if (this.needsUid) this.readStatus(table, row);
    if (this.needsBias) this.readBias(table, row);
    if (this.needsProtection) this.readProtection(table, row);
  }

  private readScore(table: CandidateTable, row: number): void {
    const length = this.files.read(table.pid[row] as number, PID_OOM_SCORE, this.bytes);
    const oomScore = length < 0 ? Number.NaN : parseOomNumber(this.bytes, length);
    if (Number.isNaN(oomScore)) this.markUnread(table, row, length);
    else table.oomScore[row] = oomScore;
  }

  /** A file of the row gave -errno, or nothing that makes sense: the process has gone, or it can't be read. */
  private markUnread(table: CandidateTable, row: number, result: number): void {
    const gone = (result === -ENOENT || result === -ESRCH) && !this.files.has(table.pid[row] as number);
    table.mark(row, gone ? MARK_GONE : MARK_UNREADABLE);
  }

  /** Copies the name just read into the table and, NUL-terminated, into `this.name`. */
  private copyName(table: CandidateTable, row: number, length: number): void {
    const nameLength = Math.min(commLength(this.bytes, length), NAME_BYTES - 1);
    const start = row * NAME_BYTES;
    for (let i = 0; i < nameLength; i++) {
      const byte = this.bytes[i] as number;
      table.names[start + i] = byte;
      this.name[i] = byte;
    }
    table.names[start + nameLength] = 0;
    this.name[nameLength] = 0;
  }
}

function isKernelThread(table: CandidateTable, row: number): boolean {
  return table.pid[row] === KTHREADD_PID || table.ppid[row] === KTHREADD_PID;
}
