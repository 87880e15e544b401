/*
 * incidents.ndjson and events.ndjson: lines are added, and nothing else is ever done to them. At its bound a file becomes the older one
 * (`….1.ndjson`), whose place the oldest lines had, so that there are never more than two of that size.
 *
 * It is opened for each addition: a file that was taken away comes back, and there is nothing to lose in between.
 * In memory (guard/runtime-dir.ts sees to that) none of it waits for a disk.
 */
import { ENOSPC } from '../../native-shims/errno.js';
import { close, openAppend, renameIn, sizeOf, truncate, write } from '../../native-shims/files.js';
import { cString } from '../../native-shims/libc.js';
import { EVENT_FILE, OLDER_EVENT_FILE } from '../shared/event.js';
import { INCIDENT_FILE, OLDER_INCIDENT_FILE } from '../shared/incident.js';

/** Some 300 incidents, or 4,000 events, in each of the two. */
const FILE_BYTES_MAX = 1024 * 1024;

/** A kind of records. */
export interface RecordKind {
  name: string;
  olderName: string;
  mode: number;
}

/** They hold command lines, which may hold secrets. */
export const INCIDENTS: RecordKind = { name: INCIDENT_FILE, olderName: OLDER_INCIDENT_FILE, mode: 0o640 };
/** They hold nothing that `ps` does not show to everybody: who reads the state page may read them. */
export const EVENTS: RecordKind = { name: EVENT_FILE, olderName: OLDER_EVENT_FILE, mode: 0o644 };

export class RecordFile {
  private readonly name: Uint8Array;
  private readonly older: Uint8Array;
  private readonly mode: number;

  private constructor(
    private readonly directoryFd: number,
    /** What to tell people. */
    readonly path: string,
    kind: RecordKind,
    private readonly bytesMax: number,
  ) {
    this.name = cString(kind.name);
    this.older = cString(kind.olderName);
    this.mode = kind.mode;
  }

  static in(directory: { fd: number; path: string }, kind: RecordKind, bytesMax = FILE_BYTES_MAX): RecordFile {
    return new RecordFile(directory.fd, `${directory.path}/${kind.name}`, kind, bytesMax);
  }

  /** For the rehearsal: everything happens, and nothing is kept. */
  static nowhere(): RecordFile {
    const kind = { name: '/dev/null', olderName: '/dev/null', mode: 0 };
    return new RecordFile(-1, '/dev/null', kind, FILE_BYTES_MAX);
  }

  /** Adds whole lines, or nothing. Returns 0 or -errno. */
  append(lines: Uint8Array, length: number): number {
    let fd = openAppend(this.directoryFd, this.name, this.mode);
    if (fd < 0) return fd;
    let size = sizeOf(fd);
    if (size + length > this.bytesMax) {
      close(fd);
      const renamed = renameIn(this.directoryFd, this.name, this.older);
      if (renamed < 0) return renamed;
      fd = openAppend(this.directoryFd, this.name, this.mode);
      if (fd < 0) return fd;
      size = 0;
    }
    const written = write(fd, lines, length);
    // Half a line would spoil the next one, too.
    if (written >= 0 && written < length) truncate(fd, size);
    close(fd);
    return written < 0 ? written : written < length ? -ENOSPC : 0;
  }
}
