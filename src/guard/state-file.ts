/*
 * The state page's file: `state` in the runtime directory, in memory and for everybody to read.
 *
 * One guard has it at a time: who has the lock (native-shims/file-lock.ts) writes, and `events.ndjson` is his as well; a second guard beside it
 * (a dry run, for example) goes on without, and asks again from time to time. The file is never replaced or renamed, so that the lock, the
 * readers' mappings and the name all mean the same one. What can't be taken over is copied to `state.old`.
 *
 *   take    lock; take over what an older guard has counted; write the whole page, so that no later write needs another page of memory;
 *           keep that one in memory (it could go to swap, and a write would wait for the disk). Refused by RLIMIT_MEMLOCK it is
 *           done without: the lock of all mappings (guard/lock.ts) meets this one again, and says so
 *   write   the odd sequence, the numbers, the ring if it has changed, the even sequence: by pwrite(2). Never through the mapping, which
 *           is a SIGBUS to whoever touches it after somebody has cut the file
 *
 * The guard must not read the file by its name: closing it would release the lock.
 */
import { fchmodSync, fstatSync } from 'node:fs';
import { EACCES, EAGAIN, EIO, strerror } from '../../native-shims/errno.js';
import { lockFile, lockHolder } from '../../native-shims/file-lock.js';
import {
  close,
  O_NONBLOCK,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  open,
  openMade,
  pread,
  pwrite,
  truncate,
  write,
} from '../../native-shims/files.js';
import { cString } from '../../native-shims/libc.js';
import { keepFileInMemory } from '../../native-shims/memory.js';
import type { Log } from '../report/log.js';
import { DECISIONS_AT, NUMBERS_AT, PAGE_BYTES, SEQUENCE_AT, STATE_FILE } from '../state/layout.js';
import type { PageWriter } from '../state/page-writer.js';
import type { RuntimeDir } from './runtime-dir.js';

const OLD_FILE = 'state.old';
/** The exporter has no privileges. */
const MODE = 0o644;
/** What is looked at of an older file, and kept of it: more than any layout will have. */
const OLD_BYTES_MAX = 64 * 1024;
const SEQUENCE_BYTES = 4;

export class StateFile {
  /** Whether this guard writes it. */
  isOurs = false;

  private constructor(
    private readonly fd: number,
    /** What to tell people. */
    readonly path: string,
    private readonly directoryFd: number,
  ) {}

  /** Opens it, made if it is missing. Returns it or -errno. */
  static in(directory: RuntimeDir): StateFile | number {
    const fd = openMade(directory.fd, cString(STATE_FILE), O_RDWR | O_NONBLOCK, MODE);
    if (fd < 0) return fd;
    if (!fstatSync(fd).isFile()) {
      close(fd);
      return -EIO;
    }
    return new StateFile(fd, `${directory.path}/${STATE_FILE}`, directory.fd);
  }

  /** For the rehearsal: everything happens, and nothing is kept. */
  static nowhere(): StateFile {
    const file = new StateFile(open(cString('/dev/null'), O_WRONLY), '/dev/null', -1);
    file.isOurs = true;
    return file;
  }

  /**
   * Has the page written here from now on, if no other guard does. Not for the hot path.
   * @param log  null: nothing is said of what was refused
   * @returns 0; the other guard's pid, or 1 if nobody knows it; or -errno
   */
  take(page: PageWriter, log: Log | null): number {
    const locked = lockFile(this.fd);
    if (locked === -EAGAIN || locked === -EACCES) return Math.max(1, lockHolder(this.fd));
    if (locked < 0) return locked;
    this.takeOver(page, log);
    const written = this.begin(page);
    if (written < 0) return written;
    keepFileInMemory(this.fd, PAGE_BYTES);
    this.isOurs = true;
    return 0;
  }

  /** Writes what has changed. Returns 0 or -errno. */
  write(page: PageWriter): number {
    page.beginWrite();
    let result = pwrite(this.fd, page.sequenceBytes, SEQUENCE_BYTES, SEQUENCE_AT);
    if (result !== SEQUENCE_BYTES) return failure(result);
    result = pwrite(this.fd, page.numberBytes, page.numberBytes.length, NUMBERS_AT);
    if (result !== page.numberBytes.length) return failure(result);
    if (page.ringHasChanged) {
      result = pwrite(this.fd, page.ringBytes, page.ringBytes.length, DECISIONS_AT);
      if (result !== page.ringBytes.length) return failure(result);
      page.ringIsWritten();
    }
    page.endWrite();
    result = pwrite(this.fd, page.sequenceBytes, SEQUENCE_BYTES, SEQUENCE_AT);
    return result === SEQUENCE_BYTES ? 0 : failure(result);
  }

  private takeOver(page: PageWriter, log: Log | null): void {
    const buffer = Buffer.alloc(OLD_BYTES_MAX);
    const length = pread(this.fd, buffer, 0);
    if (length === 0) return;
    const old = buffer.subarray(0, Math.max(0, length));
    const why = length < 0 ? `can't be read: ${strerror(-length)}` : page.takeOver(old);
    if (why === null) return;
    const kept = this.putAside(old);
    if (log === null) return;
    log.begin('warn').foreign(this.path).text(` ${why}: refused, and all counters begin at 0`);
    log.end();
    if (!kept) return;
    log.begin('warn').text('it is kept as ').foreign(OLD_FILE);
    log.end();
  }

  private putAside(old: Uint8Array): boolean {
    const fd = openMade(this.directoryFd, cString(OLD_FILE), O_WRONLY | O_TRUNC, MODE);
    if (fd < 0) return false;
    const kept = write(fd, old, old.length) === old.length;
    close(fd);
    return kept;
  }

  /** Writes all of it. */
  private begin(page: PageWriter): number {
    // Whatever the umask is. Not ours, and open to us all the same: then it stays as its owner has it.
    try {
      fchmodSync(this.fd, MODE);
    } catch {}
    truncate(this.fd, PAGE_BYTES);
    page.beginWrite();
    const written = pwrite(this.fd, page.bytes, PAGE_BYTES, 0);
    if (written !== PAGE_BYTES) return failure(written);
    return this.write(page);
  }
}

/** Of a call that should have written more. */
function failure(written: number): number {
  return written < 0 ? written : -EIO;
}
