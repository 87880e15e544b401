/*
 * What matchers compare: the arguments, the program and the cgroup of one process, each read when it is asked for and kept
 * until another process is begun.
 *
 *   cmdline   /proc/PID/cmdline, its first 4,096 bytes, the arguments joined by blanks
 *   exe       the link /proc/PID/exe, without the ` (deleted)` of a program that was replaced while it runs. Others' can be read
 *             with CAP_SYS_PTRACE only
 *   cgroup    /proc/PID/cgroup, its first 16 KiB
 *
 * A process whose main thread is a zombie shows neither arguments nor program while its other threads live: then one of them is asked.
 *
 * Reading one says:
 *   0         it is known
 *   ABSENT    there is none: a kernel thread, a process that has ended, or a path of more than PATH_MAX, which is made on purpose
 *   DENIED    it may not be read
 *   -errno    it can't be read now (no memory, no more files)
 */
import { EACCES, EINVAL, ENAMETOOLONG, ENOENT, EPERM, ESRCH } from '../../native-shims/errno.js';
import { close } from '../../native-shims/files.js';
import { fixedBuffer } from '../../native-shims/libc.js';
import { CgroupNames } from '../kernel/cgroup-names.js';
import { CgroupPaths } from '../kernel/cgroup-paths.js';
import { joinCmdline } from '../kernel/pid-name.js';
import { PID_CGROUP, PID_CMDLINE, PID_EXE, type PidFiles } from './pid-files.js';
import { PidWalk } from './pid-walk.js';

export const ABSENT = 1;
export const DENIED = 2;
const NOT_READ = 3;

/** A page, as is PATH_MAX. */
const CMDLINE_BYTES_MAX = 4096;
const EXE_BYTES_MAX = 4096;
const CGROUP_BYTES_MAX = 16384;

/** Other threads than the main one are gone once they have ended: the first shows it, unless it ends just now. */
const THREADS_ASKED_MAX = 4;

const DELETED = Buffer.from(' (deleted)');

export class MatchFacts {
  readonly cmdline = fixedBuffer(CMDLINE_BYTES_MAX);
  cmdlineLength = 0;
  readonly exe = fixedBuffer(EXE_BYTES_MAX);
  exeLength = 0;
  readonly cgroup = fixedBuffer(CGROUP_BYTES_MAX);
  readonly cgroupPaths = new CgroupPaths();
  readonly cgroupNames = new CgroupNames();
  private readonly threads = new PidWalk(-1);
  private pid = 0;
  private cmdlineState = NOT_READ;
  private exeState = NOT_READ;
  private cgroupState = NOT_READ;

  constructor(private readonly files: PidFiles) {}

  /** From now on it is about `pid`. */
  begin(pid: number): void {
    this.pid = pid;
    this.cmdlineState = NOT_READ;
    this.exeState = NOT_READ;
    this.cgroupState = NOT_READ;
  }

  readCmdline(): number {
    if (this.cmdlineState !== NOT_READ) return this.cmdlineState;
    let length = this.files.read(this.pid, PID_CMDLINE, this.cmdline);
    if (length === 0) length = this.readOfThread(false);
    this.cmdlineLength = joinCmdline(this.cmdline, Math.max(0, length));
    this.cmdlineState = this.cmdlineLength === 0 && length >= 0 ? ABSENT : stateOf(length);
    return this.cmdlineState;
  }

  readExe(): number {
    if (this.exeState !== NOT_READ) return this.exeState;
    let length = this.files.readLink(this.pid, PID_EXE, this.exe);
    if (length === -ENOENT) length = this.readOfThread(true);
    this.exeLength = withoutDeleted(this.exe, Math.max(0, length));
    this.exeState = stateOf(length);
    return this.exeState;
  }

  readCgroup(): number {
    if (this.cgroupState !== NOT_READ) return this.cgroupState;
    const length = this.files.read(this.pid, PID_CGROUP, this.cgroup);
    this.cgroupPaths.read(this.cgroup, Math.max(0, length));
    this.cgroupState = length >= 0 && this.cgroupPaths.count === 0 ? ABSENT : stateOf(length);
    return this.cgroupState;
  }

  /** Reads the program, or the arguments, of the first other thread that shows any. Returns the number of bytes or -errno. */
  private readOfThread(program: boolean): number {
    const fd = this.files.openThreads(this.pid);
    if (fd < 0) return fd;
    let length = program ? -ENOENT : 0;
    this.threads.enter(fd);
    let asked = 0;
    for (let tid = this.threads.next(); tid > 0 && asked < THREADS_ASKED_MAX; tid = this.threads.next()) {
      if (tid === this.pid) continue;
      asked++;
      length = program
        ? this.files.readLinkOfThread(fd, tid, PID_EXE, this.exe)
        : this.files.readOfThread(fd, tid, PID_CMDLINE, this.cmdline);
      if (length > 0) break;
    }
    close(fd);
    return length;
  }
}

function stateOf(result: number): number {
  if (result >= 0) return 0;
  if (result === -EACCES || result === -EPERM) return DENIED;
  const absent = result === -ENOENT || result === -ESRCH || result === -ENAMETOOLONG || result === -EINVAL;
  return absent ? ABSENT : result;
}

function withoutDeleted(bytes: Uint8Array, length: number): number {
  const start = length - DELETED.length;
  if (start <= 0) return length;
  for (let i = 0; i < DELETED.length; i++) if (bytes[start + i] !== DELETED[i]) return length;
  return start;
}
