/*
 * Which tmpfs mounts hold the most. Asked once when memory is short for no process's sake: mountinfo is read, and each tmpfs
 * is asked by statfs(2), which answers at once. Those that can't be reached without asking a network or FUSE
 * file system are left out (kernel/tmpfs-mounts.ts).
 */
import { close, O_RDONLY, open, pread, usedKibOfFilesystem } from '../../native-shims/files.js';
import { cString, fixedBuffer } from '../../native-shims/libc.js';
import { emptyTmpfsMounts, parseTmpfsMounts, type TmpfsMounts } from '../kernel/tmpfs-mounts.js';

/* 110 bytes a mount: two thousand of them. What is beyond is not looked at. */
const MOUNTINFO_BYTES_MAX = 256 * 1024;
/* One read gives whole lines, a page of them or a line that is longer. */
const READ_BYTES_MAX = 16384;

export class TmpfsUsage {
  readonly mounts: TmpfsMounts = emptyTmpfsMounts(fixedBuffer);
  /** Of each mount. */
  readonly usedKib = new Float64Array(this.mounts.paths.length);
  /** All of them together, KiB. */
  totalKib = 0;
  private readonly path: Buffer;
  private readonly buffer = fixedBuffer(MOUNTINFO_BYTES_MAX);
  private readonly page = fixedBuffer(READ_BYTES_MAX);

  constructor(procfs: string) {
    this.path = cString(`${procfs}/self/mountinfo`);
  }

  /** Looks. Where nothing can be read there are no mounts. */
  read(): void {
    parseTmpfsMounts(this.buffer, this.readMountinfo(), this.mounts);
    this.totalKib = 0;
    for (let mount = 0; mount < this.mounts.count; mount++) {
      const kib = Math.max(0, usedKibOfFilesystem(this.mounts.paths[mount] as Uint8Array));
      this.usedKib[mount] = kib;
      this.totalKib += kib;
    }
  }

  /** The mount that holds the most of those that hold less than `belowKib`; -1 if there is none that holds anything. */
  largest(belowKib: number): number {
    let largest = -1;
    for (let mount = 0; mount < this.mounts.count; mount++) {
      const kib = this.usedKib[mount] as number;
      const larger = largest === -1 || kib > (this.usedKib[largest] as number);
      if (kib > 0 && kib < belowKib && larger) largest = mount;
    }
    return largest;
  }

  /** Fills `buffer`; returns the bytes, 0 if nothing can be read. */
  private readMountinfo(): number {
    const fd = open(this.path, O_RDONLY);
    if (fd < 0) return 0;
    let filled = 0;
    for (;;) {
      const length = pread(fd, this.page, filled);
      if (length <= 0 || length > this.buffer.length - filled) break;
      for (let i = 0; i < length; i++) this.buffer[filled + i] = this.page[i] as number;
      filled += length;
    }
    close(fd);
    return filled;
  }
}
