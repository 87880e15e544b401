/*
 * The files of one process, /proc/PID/NAME: opened, read and closed again in one go, relative to the
 * directory's fd. Each kind of file has a path buffer of its own, in which the pid is written from right to left before the name:
 *
 *   | 0 0 0 0 0 0 4 7 1 1 / o o m _ s c o r e NUL
 *                 ^ the path of process 4711 begins here
 *
 * so that there is nothing to copy, and one of ten addresses to hand on. Between `beginMany` and `endMany` some stay open until they can be closed
 * together, which is cheaper.
 */
import { EMFILE, ENFILE, ENOMEM } from '../../native-shims/errno.js';
import { FdBatch } from '../../native-shims/fd-batch.js';
import {
  close,
  O_DIRECTORY,
  O_RDONLY,
  open,
  openat,
  openatAt,
  preadAt,
  readlinkatAt,
} from '../../native-shims/files.js';
import { Addresses, cString, fixedBuffer } from '../../native-shims/libc.js';

/** A path for one kind of file, without its pid. */
export interface PidFile {
  path: Buffer;
  /** Where the path begins, by the number of the pid's digits. The first is none, and keeps the others objects: see `Addresses`. */
  addresses: readonly (number | null)[];
}

/* The longest pid (10 digits), and the longest name below. */
const DIGITS_MAX = 10;
const ZERO = 0x30;
const PATH_BYTES = 64;

function pidFile(name: string): PidFile {
  const path = fixedBuffer(PATH_BYTES);
  path.write(name, DIGITS_MAX, 'latin1');
  const end = new Addresses().of(path) + DIGITS_MAX;
  const addresses: (number | null)[] = [null];
  for (let digits = 1; digits <= DIGITS_MAX; digits++) addresses.push(end - digits);
  return { path, addresses };
}

const PID_ITSELF = pidFile('');
export const PID_STAT = pidFile('/stat');
export const PID_STATM = pidFile('/statm');
export const PID_STATUS = pidFile('/status');
export const PID_OOM_SCORE = pidFile('/oom_score');
export const PID_OOM_SCORE_ADJ = pidFile('/oom_score_adj');
export const PID_COMM = pidFile('/comm');
export const PID_CMDLINE = pidFile('/cmdline');
export const PID_CGROUP = pidFile('/cgroup');
export const PID_EXE = pidFile('/exe');

const PID_TASK = pidFile('/task');

export class PidFiles {
  private readonly addresses = new Addresses();
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
    const fd = this.openFile(pid, file, O_RDONLY);
    if (fd < 0) return fd;
    const address = this.addresses.of(buffer);
    let length = preadAt(fd, address, buffer.length);
    if (length === -ENOMEM && this.makeRoom()) length = preadAt(fd, address, buffer.length);
    if (this.many) this.batch.close(fd);
    else close(fd);
    return length;
  }

  /** Fills `buffer` with where a link of `pid` leads. Returns the number of bytes, or -errno. */
  readLink(pid: number, file: PidFile, buffer: Uint8Array): number {
    return readlinkatAt(this.directoryFd, pathOf(pid, file), buffer);
  }

  /** Opens the directory of a process's threads. Returns an fd for the caller to close, or -errno. */
  openThreads(pid: number): number {
    return this.openFile(pid, PID_TASK, O_RDONLY | O_DIRECTORY);
  }

  /** As `read`, of one of the threads in `threadsFd`. */
  readOfThread(threadsFd: number, tid: number, file: PidFile, buffer: Uint8Array): number {
    const fd = openatAt(threadsFd, pathOf(tid, file), O_RDONLY);
    if (fd < 0) return fd;
    const length = preadAt(fd, this.addresses.of(buffer), buffer.length);
    close(fd);
    return length;
  }

  /** As `readLink`, of one of the threads in `threadsFd`. */
  readLinkOfThread(threadsFd: number, tid: number, file: PidFile, buffer: Uint8Array): number {
    return readlinkatAt(threadsFd, pathOf(tid, file), buffer);
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
    const fd = this.openFile(pid, PID_ITSELF, O_RDONLY | O_DIRECTORY);
    if (fd >= 0) close(fd);
    return fd >= 0;
  }

  /** Opens a file of `pid`; where no more files may be open, or their memory is lacking, after making room. */
  private openFile(pid: number, file: PidFile, flags: number): number {
    const path = pathOf(pid, file);
    const fd = openatAt(this.directoryFd, path, flags);
    const noRoom = fd === -EMFILE || fd === -ENFILE || fd === -ENOMEM;
    return noRoom && this.makeRoom() ? openatAt(this.directoryFd, path, flags) : fd;
  }

  /** Closes the files that wait for it. Returns whether there were any. */
  private makeRoom(): boolean {
    const { isEmpty } = this.batch;
    this.batch.flush();
    return !isEmpty;
  }
}

/** Writes `pid` in decimal before the file's name; returns the path's address. */
function pathOf(pid: number, { path, addresses }: PidFile): number {
  let at = DIGITS_MAX;
  let rest = pid;
  do {
    path[--at] = ZERO + (rest % 10);
    rest = (rest / 10) | 0;
  } while (rest > 0);
  return addresses[DIGITS_MAX - at] as number;
}
