/*
 * Walks /proc and fills the table of candidates.
 *
 * Nearly all the time of a scan is the kernel's, for opening, reading and closing files (5 us each),
 * so a scan reads of each process only what the ranking needs: stat and oom_score, the name if a pattern
 * has to be matched, the owner if owners matter. `complete` reads the rest for one row: for the victim, or
 * for all of them when `rank` or the debug log shows them.
 *
 * A process may vanish between any two reads, or before the first: then it is not a candidate, and not
 * an error. One that is there but can't be read (hidepid, a broken tree) is kept as unreadable.
 */

import { ENOENT, ESRCH } from '../../native-shims/errno.js';
import { getdents64, rewindDirectory } from '../../native-shims/files.js';
import { fixedBuffer } from '../../native-shims/libc.js';
import { pageSize } from '../../native-shims/priority.js';
import type { PosixRegex } from '../../native-shims/regex.js';
import { commLength } from '../kernel/pid-name.js';
import { parseOomNumber } from '../kernel/pid-oom.js';
import { emptyPidStat, isDead, type PidStat, parsePidStat } from '../kernel/pid-stat.js';
import { parsePidStatusUid } from '../kernel/pid-status.js';
import {
  type CandidateTable,
  MARK_AVOIDED,
  MARK_CHILD,
  MARK_IGNORED,
  MARK_PREFERRED,
  MARK_SELF,
  MARK_UNREADABLE,
  NAME_BYTES,
} from '../shared/candidates.js';
import { PID_COMM, PID_OOM_SCORE, PID_OOM_SCORE_ADJ, PID_STAT, PID_STATUS, type PidFiles } from './pid-files.js';

/** The admin's patterns on the name; null where there is none. */
export interface NamePatterns {
  prefer: PosixRegex | null;
  avoid: PosixRegex | null;
  ignore: PosixRegex | null;
}

export interface ScanOptions extends NamePatterns {
  /** Read every process's owner (for --ignore-root-user). */
  needUid: boolean;
  /** The guard's own pid as this procfs numbers it; null if it does not show the guard. */
  selfPid: number | null;
}

/* The largest of the files read here: stat stays below 400 bytes, status below 2,000. */
const FILE_BYTES_MAX = 4096;
const DIRENT_BYTES = 32768;

/* struct linux_dirent64 */
const DIRENT_RECLEN_OFFSET = 16;
const DIRENT_NAME_OFFSET = 19;

const KIB = 1024;
const KTHREADD_PID = 2;
/* PID_MAX_LIMIT is 4,194,304; anything far above is no pid. */
const PID_MAX = 99_999_999;

export class ProcessScan {
  private readonly dirents = fixedBuffer(DIRENT_BYTES);
  private readonly bytes = fixedBuffer(FILE_BYTES_MAX);
  private readonly name = fixedBuffer(NAME_BYTES * 2);
  private readonly stat: PidStat = emptyPidStat();
  private readonly kibPerPage = pageSize() / KIB;
  private readonly needName: boolean;

  constructor(
    private readonly files: PidFiles,
    private readonly options: ScanOptions,
    /** Whether a pid, or a process group, is that of a hook. */
    private readonly isChild: (pid: number) => boolean,
  ) {
    this.needName = options.prefer !== null || options.avoid !== null || options.ignore !== null;
  }

  /** Fills `table` with all processes, in the order of the directory (by pid). Returns 0, or -errno if it can't be listed. */
  scan(table: CandidateTable): number {
    table.clear();
    const rewound = rewindDirectory(this.files.directoryFd);
    if (rewound < 0) return rewound;
    for (;;) {
      const length = getdents64(this.files.directoryFd, this.dirents);
      if (length <= 0) return length;
      let offset = 0;
      while (offset < length) {
        const pid = this.pidOfDirent(offset);
        if (pid > 0) this.addProcess(table, pid);
        offset += this.dirents.readUInt16LE(offset + DIRENT_RECLEN_OFFSET);
      }
    }
  }

  /** Reads what the scan left out for one row: name, owner, oom_score_adj. What can't be read stays unknown. */
  complete(table: CandidateTable, row: number): void {
    const pid = table.pid[row] as number;
    this.readAdj(table, row, pid);
    if (table.names[row * NAME_BYTES] === 0) this.readName(table, row, pid);
    if ((table.uid[row] as number) < 0) this.readUid(table, row, pid);
  }

  /** Whether `pid` is still the process that started at `startTimeTicks`, and alive. */
  isAlive(pid: number, startTimeTicks: number): boolean {
    const length = this.files.read(pid, PID_STAT, this.bytes);
    if (length < 0 || !parsePidStat(this.bytes, length, this.stat)) return false;
    return this.stat.startTimeTicks === startTimeTicks && !isDead(this.stat);
  }

  /** Appends a row for `pid`, unless it is gone. */
  private addProcess(table: CandidateTable, pid: number): void {
    const row = table.add(pid);
    if (pid === this.options.selfPid) table.mark(row, MARK_SELF);
    const statLength = this.files.read(pid, PID_STAT, this.bytes);
    if (statLength < 0) {
      this.dropOrMark(table, row, pid, statLength);
      return;
    }
    if (!parsePidStat(this.bytes, statLength, this.stat)) {
      table.mark(row, MARK_UNREADABLE);
      return;
    }
    // A hook leads a process group, which holds what the hook started.
    if (this.isChild(pid) || this.isChild(this.stat.pgrp)) table.mark(row, MARK_CHILD);
    table.ppid[row] = this.stat.ppid;
    table.pgrp[row] = this.stat.pgrp;
    table.state[row] = this.stat.state;
    table.numThreads[row] = this.stat.numThreads;
    table.startTimeTicks[row] = this.stat.startTimeTicks;
    table.rssKib[row] = this.stat.rssPages * this.kibPerPage;
    if (pid === KTHREADD_PID || this.stat.ppid === KTHREADD_PID) return;
    this.readScore(table, row, pid);
  }

  private readScore(table: CandidateTable, row: number, pid: number): void {
    const length = this.files.read(pid, PID_OOM_SCORE, this.bytes);
    if (length < 0) {
      this.dropOrMark(table, row, pid, length);
      return;
    }
    const oomScore = parseOomNumber(this.bytes, length);
    if (Number.isNaN(oomScore)) table.mark(row, MARK_UNREADABLE);
    else table.oomScore[row] = oomScore;
    if (this.needName) this.matchName(table, row, pid);
    if (this.options.needUid) this.readUid(table, row, pid);
  }

  /** The newest row could not be read: it goes if the process has gone, and stays as unreadable if not. */
  private dropOrMark(table: CandidateTable, row: number, pid: number, error: number): void {
    const gone = (error === -ENOENT || error === -ESRCH) && !this.files.has(pid);
    if (gone) table.count--;
    else table.mark(row, MARK_UNREADABLE);
  }

  private matchName(table: CandidateTable, row: number, pid: number): void {
    this.readName(table, row, pid);
    const { prefer, avoid, ignore } = this.options;
    // regexec wants the name at the start of memory; the table's copy sits in the middle of a buffer.
    if (prefer?.matches(this.name)) table.mark(row, MARK_PREFERRED);
    if (avoid?.matches(this.name)) table.mark(row, MARK_AVOIDED);
    if (ignore?.matches(this.name)) table.mark(row, MARK_IGNORED);
  }

  /** Reads the name into the table and, NUL-terminated, into `this.name`. */
  private readName(table: CandidateTable, row: number, pid: number): void {
    const length = this.files.read(pid, PID_COMM, this.bytes);
    if (length < 0) {
      table.mark(row, MARK_UNREADABLE);
      return;
    }
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

  private readUid(table: CandidateTable, row: number, pid: number): void {
    const length = this.files.read(pid, PID_STATUS, this.bytes);
    const uid = length < 0 ? -1 : parsePidStatusUid(this.bytes, length);
    if (uid >= 0) table.uid[row] = uid;
    else if (this.options.needUid) table.mark(row, MARK_UNREADABLE);
  }

  private readAdj(table: CandidateTable, row: number, pid: number): void {
    const length = this.files.read(pid, PID_OOM_SCORE_ADJ, this.bytes);
    const adj = length < 0 ? Number.NaN : parseOomNumber(this.bytes, length);
    // Whether it may be killed at all is not known then, so it is not.
    if (Number.isNaN(adj)) table.mark(row, MARK_UNREADABLE);
    else table.oomScoreAdj[row] = adj;
  }

  /** The pid that a directory entry names, or 0 if its name is not a number. */
  private pidOfDirent(offset: number): number {
    let pid = 0;
    for (let i = offset + DIRENT_NAME_OFFSET; ; i++) {
      const byte = this.dirents[i] as number;
      if (byte === 0) return pid;
      if (byte < 0x30 || byte > 0x39 || pid > PID_MAX) return 0;
      pid = pid * 10 + (byte - 0x30);
    }
  }
}
