/* Walks through a directory of processes, pid by pid, as fast or as slowly as its caller asks. */
import { getdents64, rewindDirectory } from '../../native-shims/files.js';
import { fixedBuffer } from '../../native-shims/libc.js';

/* 170 processes, which the kernel lists in 0.1 ms: a walk that goes on little by little is not held up for longer. */
const DIRENT_BYTES = 4096;

/* struct linux_dirent64 */
const DIRENT_RECLEN_OFFSET = 16;
const DIRENT_NAME_OFFSET = 19;
const DIRENT_BYTES_MIN = 24;

/* PID_MAX_LIMIT is 4,194,304; anything far above is no pid. */
export const PID_MAX = 99_999_999;

export class PidWalk {
  private readonly dirents = fixedBuffer(DIRENT_BYTES);
  /** The pids among them, taken out in one go: between two reads of other files each would have to come from memory again. */
  private readonly pids = new Int32Array(Math.ceil(DIRENT_BYTES / DIRENT_BYTES_MIN));
  private count = 0;
  private at = 0;

  /** @param directoryFd  its position in the directory is the walk's: nobody else may read it meanwhile */
  constructor(private directoryFd: number) {}

  /** Starts over in another directory. */
  enter(directoryFd: number): void {
    this.directoryFd = directoryFd;
    this.count = 0;
    this.at = 0;
  }

  /** Starts over. Returns 0 or -errno. */
  restart(): number {
    this.count = 0;
    this.at = 0;
    return rewindDirectory(this.directoryFd);
  }

  /** The next pid, in the order of the directory; 0 at the end, -errno if it can't be listed. */
  next(): number {
    while (this.at === this.count) {
      const length = getdents64(this.directoryFd, this.dirents);
      if (length <= 0) return length;
      this.takePids(length);
    }
    return this.pids[this.at++] as number;
  }

  private takePids(length: number): void {
    const { dirents, pids } = this;
    this.at = 0;
    this.count = 0;
    let offset = 0;
    while (offset < length) {
      const pid = this.pidAt(offset + DIRENT_NAME_OFFSET);
      if (pid > 0) pids[this.count++] = pid;
      offset +=
        (dirents[offset + DIRENT_RECLEN_OFFSET] as number) |
        ((dirents[offset + DIRENT_RECLEN_OFFSET + 1] as number) << 8);
    }
  }

  /** The number that a name is, or 0 if it is none. */
  private pidAt(start: number): number {
    let pid = 0;
    for (let i = start; ; i++) {
      const byte = this.dirents[i] as number;
      if (byte === 0) return pid;
      if (byte < 0x30 || byte > 0x39 || pid > PID_MAX) return 0;
      pid = pid * 10 + (byte - 0x30);
    }
  }
}
