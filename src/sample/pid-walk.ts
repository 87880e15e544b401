/* Walks through a directory of processes, pid by pid, as fast or as slowly as its caller asks. */
import { getdents64, rewindDirectory } from '../../native-shims/files.js';
import { fixedBuffer } from '../../native-shims/libc.js';

const DIRENT_BYTES = 32768;

/* struct linux_dirent64 */
const DIRENT_RECLEN_OFFSET = 16;
const DIRENT_NAME_OFFSET = 19;

/* PID_MAX_LIMIT is 4,194,304; anything far above is no pid. */
export const PID_MAX = 99_999_999;

export class PidWalk {
  private readonly dirents = fixedBuffer(DIRENT_BYTES);
  private length = 0;
  private offset = 0;

  /** @param directoryFd  its position in the directory is the walk's: nobody else may read it meanwhile */
  constructor(private directoryFd: number) {}

  /** Starts over in another directory. */
  enter(directoryFd: number): void {
    this.directoryFd = directoryFd;
    this.length = 0;
    this.offset = 0;
  }

  /** Starts over. Returns 0 or -errno. */
  restart(): number {
    this.length = 0;
    this.offset = 0;
    return rewindDirectory(this.directoryFd);
  }

  /** The next pid, in the order of the directory; 0 at the end, -errno if it can't be listed. */
  next(): number {
    for (;;) {
      while (this.offset < this.length) {
        const pid = this.pidAt(this.offset);
        this.offset += this.dirents.readUInt16LE(this.offset + DIRENT_RECLEN_OFFSET);
        if (pid > 0) return pid;
      }
      this.offset = 0;
      this.length = getdents64(this.directoryFd, this.dirents);
      if (this.length <= 0) return this.length;
    }
  }

  /** The pid that a directory entry names, or 0 if its name is not a number. */
  private pidAt(offset: number): number {
    let pid = 0;
    for (let i = offset + DIRENT_NAME_OFFSET; ; i++) {
      const byte = this.dirents[i] as number;
      if (byte === 0) return pid;
      if (byte < 0x30 || byte > 0x39 || pid > PID_MAX) return 0;
      pid = pid * 10 + (byte - 0x30);
    }
  }
}
