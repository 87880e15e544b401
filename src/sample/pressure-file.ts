/* Reads /proc/pressure/memory or a cgroup's memory.pressure, opened once; and how hard the machine reclaims memory. */
import { close, O_RDONLY, open, openat, pread } from '../../native-shims/files.js';
import { cString, fixedBuffer } from '../../native-shims/libc.js';
import { emptyPressure, type Pressure, parsePressure } from '../kernel/pressure.js';
import { parseReclaim, type Reclaim } from '../kernel/vmstat.js';

/* Two lines of 80 bytes at most. */
const PRESSURE_BYTES_MAX = 512;
/* One read gives a page at most (seq_file), which holds what is read of it everywhere: 2,600 of 4,000 bytes here. */
const VMSTAT_BYTES_MAX = 4096;

const bytes = fixedBuffer(PRESSURE_BYTES_MAX);

export class PressureFile {
  /** As of the last good `read`. */
  readonly pressure: Pressure = emptyPressure();
  private fd = -1;

  /** Opens a file (path NUL-terminated, relative to `directoryFd`) instead of what is open. Returns 0 or -errno. */
  openAt(directoryFd: number, path: Uint8Array): number {
    this.close();
    const fd = openat(directoryFd, path, O_RDONLY);
    if (fd >= 0) this.fd = fd;
    return Math.min(fd, 0);
  }

  /** Opens `path` instead of what is open. Returns 0 or -errno. */
  open(path: string): number {
    this.close();
    const fd = open(cString(path), O_RDONLY);
    if (fd >= 0) this.fd = fd;
    return Math.min(fd, 0);
  }

  /** Refreshes `pressure`. Returns false if it can't be read: the cgroup is gone, or PSI is switched off. */
  read(): boolean {
    const length = pread(this.fd, bytes, 0);
    return length > 0 && parsePressure(bytes, length, this.pressure);
  }

  close(): void {
    if (this.fd >= 0) close(this.fd);
    this.fd = -1;
  }
}

/** /proc/vmstat, for refaults. */
export class ReclaimFile {
  /** As of the last good `read`. */
  readonly reclaim: Reclaim = { refaultPages: 0 };
  private readonly bytes = fixedBuffer(VMSTAT_BYTES_MAX);

  private constructor(private readonly fd: number) {}

  /** Opens `procfs`/vmstat. Returns it, or -errno. */
  static open(procfs: string): ReclaimFile | number {
    const fd = open(cString(`${procfs}/vmstat`), O_RDONLY);
    return fd < 0 ? fd : new ReclaimFile(fd);
  }

  read(): boolean {
    const length = pread(this.fd, this.bytes, 0);
    return length > 0 && parseReclaim(this.bytes, length, this.reclaim);
  }

  close(): void {
    close(this.fd);
  }
}
