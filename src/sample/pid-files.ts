/*
 * The files of one process, /proc/PID/NAME: opened, read and closed again in one go, relative to the
 * directory's fd, through one path buffer. Between `beginMany` and `endMany` some stay open until they can be closed
 * together, which is cheaper.
 */
import { EMFILE, ENFILE, ENOMEM } from '../../native-shims/errno.js';
import { FdBatch } from '../../native-shims/fd-batch.js';
import { close, O_DIRECTORY, O_RDONLY, open, openat, pread, readlinkat } from '../../native-shims/files.js';
import { cString, fixedBuffer } from '../../native-shims/libc.js';

/** The part of the path after the pid. */
export type PidFile = Uint8Array;

const pidFile = (name: string): PidFile => cString(`/${name}`);
export const PID_STAT = pidFile('stat');
export const PID_STATM = pidFile('statm');
export const PID_STATUS = pidFile('status');
export const PID_OOM_SCORE = pidFile('oom_score');
export const PID_OOM_SCORE_ADJ = pidFile('oom_score_adj');
export const PID_COMM = pidFile('comm');
export const PID_CMDLINE = pidFile('cmdline');
export const PID_CGROUP = pidFile('cgroup');
export const PID_EXE = pidFile('exe');

const PID_TASK = pidFile('task');

/* Two of the longest pids (10 digits), and the longest name above. */
const PATH_BYTES = 64;

export class PidFiles {
  private readonly path = fixedBuffer(PATH_BYTES);
  private readonly batch = new FdBatch();
  private many = false;

  private constructor(readonly directoryFd: number) {}

  /** Opens the procfs tree at `procfs`. Returns it, or -errno. */
  static open(procfs: string): PidFiles | number {
    const fd = open(cString(procfs), O_RDONLY | O_DIRECTORY);
    return fd < 0 ? fd : new PidFiles(fd);
  }

  /** The same tree once more: a directory fd with a position of its own. Returns it, or -errno. */
  reopen(): PidFiles | number {
    const fd = openat(this.directoryFd, cString('.'), O_RDONLY | O_DIRECTORY);
    return fd < 0 ? fd : new PidFiles(fd);
  }

  /** Fills `buffer` from the start of a file of `pid`. Returns the number of bytes, or -errno (-ENOENT, -ESRCH: it is gone). */
  read(pid: number, file: PidFile, buffer: Uint8Array): number {
    const digits = this.writePid(pid);
    this.path.set(file, digits);
    const fd = this.openPath(O_RDONLY);
    if (fd < 0) return fd;
    let length = pread(fd, buffer, 0);
    if (length === -ENOMEM && this.makeRoom()) length = pread(fd, buffer, 0);
    if (this.many) this.batch.close(fd);
    else close(fd);
    return length;
  }

  /** Fills `buffer` with where a link of `pid` leads. Returns the number of bytes, or -errno. */
  readLink(pid: number, file: PidFile, buffer: Uint8Array): number {
    this.path.set(file, this.writePid(pid));
    return readlinkat(this.directoryFd, this.path, buffer);
  }

  /** Opens the directory of a process's threads. Returns an fd for the caller to close, or -errno. */
  openThreads(pid: number): number {
    this.path.set(PID_TASK, this.writePid(pid));
    return this.openPath(O_RDONLY | O_DIRECTORY);
  }

  /** As `read`, of one of the threads in `threadsFd`. */
  readOfThread(threadsFd: number, tid: number, file: PidFile, buffer: Uint8Array): number {
    this.path.set(file, this.writePid(tid));
    const fd = openat(threadsFd, this.path, O_RDONLY);
    if (fd < 0) return fd;
    const length = pread(fd, buffer, 0);
    close(fd);
    return length;
  }

  /** As `readLink`, of one of the threads in `threadsFd`. */
  readLinkOfThread(threadsFd: number, tid: number, file: PidFile, buffer: Uint8Array): number {
    this.path.set(file, this.writePid(tid));
    return readlinkat(threadsFd, this.path, buffer);
  }

  /** From now on what was read may stay open for a while. */
  beginMany(): void {
    this.many = true;
  }

  /** Closes what is open still. */
  endMany(): void {
    this.many = false;
    this.batch.flush();
  }

  /** Whether the directory has an entry for `pid`. */
  has(pid: number): boolean {
    this.path[this.writePid(pid)] = 0;
    const fd = this.openPath(O_RDONLY | O_DIRECTORY);
    if (fd >= 0) close(fd);
    return fd >= 0;
  }

  /** Opens what `path` names; where no more files may be open, or their memory is lacking, after making room. */
  private openPath(flags: number): number {
    const fd = openat(this.directoryFd, this.path, flags);
    const noRoom = fd === -EMFILE || fd === -ENFILE || fd === -ENOMEM;
    return noRoom && this.makeRoom() ? openat(this.directoryFd, this.path, flags) : fd;
  }

  /** Closes the files that wait for it. Returns whether there were any. */
  private makeRoom(): boolean {
    const { isEmpty } = this.batch;
    this.batch.flush();
    return !isEmpty;
  }

  /** Writes `pid` in decimal to the start of the path; returns how many digits. */
  private writePid(pid: number): number {
    let digits = 1;
    for (let rest = pid; rest >= 10; rest = (rest / 10) | 0) digits++;
    let rest = pid;
    for (let i = digits - 1; i >= 0; i--) {
      this.path[i] = 0x30 + (rest % 10);
      rest = (rest / 10) | 0;
    }
    return digits;
  }
}
