/*
 * incidents.ndjson: a line is added, and nothing else is ever done to it. At its bound it becomes incidents.1.ndjson, whose place the
 * oldest ones had, so that there are never more than two files of that size.
 *
 * It is opened for each line: a file that was taken away comes back, and there is nothing to lose between two kills.
 * In memory (guard/runtime-dir.ts sees to that) none of it waits for a disk.
 */
import { ENOSPC } from '../../native-shims/errno.js';
import { close, openAppend, renameIn, sizeOf, truncate, write } from '../../native-shims/files.js';
import { cString } from '../../native-shims/libc.js';
import { INCIDENT_FILE, OLDER_INCIDENT_FILE } from '../shared/incident.js';

/** Some 300 incidents in each of the two. */
const INCIDENT_FILE_BYTES_MAX = 1024 * 1024;

/** A record holds command lines, which may hold secrets. */
const MODE = 0o640;

export class IncidentFile {
  private readonly older = cString(OLDER_INCIDENT_FILE);

  private constructor(
    private readonly directoryFd: number,
    private readonly name: Uint8Array,
    /** What to tell people. */
    readonly path: string,
    private readonly bytesMax: number,
  ) {}

  static in(directory: { fd: number; path: string }, bytesMax = INCIDENT_FILE_BYTES_MAX): IncidentFile {
    return new IncidentFile(directory.fd, cString(INCIDENT_FILE), `${directory.path}/${INCIDENT_FILE}`, bytesMax);
  }

  /** For the rehearsal: everything happens, and nothing is kept. */
  static nowhere(): IncidentFile {
    return new IncidentFile(-1, cString('/dev/null'), '/dev/null', INCIDENT_FILE_BYTES_MAX);
  }

  /** Adds a whole line, or nothing. Returns 0 or -errno. */
  append(line: Uint8Array, length: number): number {
    let fd = openAppend(this.directoryFd, this.name, MODE);
    if (fd < 0) return fd;
    let size = sizeOf(fd);
    if (size + length > this.bytesMax) {
      close(fd);
      const renamed = renameIn(this.directoryFd, this.name, this.older);
      if (renamed < 0) return renamed;
      fd = openAppend(this.directoryFd, this.name, MODE);
      if (fd < 0) return fd;
      size = 0;
    }
    const written = write(fd, line, length);
    // Half a line would spoil the next one, too.
    if (written >= 0 && written < length) truncate(fd, size);
    close(fd);
    return written < 0 ? written : written < length ? -ENOSPC : 0;
  }
}
