/*
 * The files that say what MemAvailable and SwapFree leave out: ZFS's arcstats, /proc/swaps, and the mm_stat of each zram
 * device. Opened once (a zram device when it is first seen), read into fixed buffers, and only when they are asked for.
 */
import { close, O_RDONLY, open, pread } from '../../native-shims/files.js';
import { cString, fixedBuffer } from '../../native-shims/libc.js';
import { type Arcstats, emptyArcstats, parseArcstats } from '../kernel/arcstats.js';
import { emptyZramSwaps, parseZramSwaps, type ZramSwaps } from '../kernel/swaps.js';
import { emptyZramMmStat, parseZramMmStat, type ZramMmStat } from '../kernel/zram-mm-stat.js';

/* One read of a kstat or a seq_file gives a page, and the rows that matter are in the first half of it (OpenZFS 0.8 to 2.3). */
const ARCSTATS_BYTES_MAX = 16384;
const SWAPS_BYTES_MAX = 4096;
const MM_STAT_BYTES_MAX = 256;

/** zram0 to zram31 are looked into; of others it is assumed what they do. */
const DEVICES = 32;
const NOT_OPENED = -1;
const CANT_OPEN = -2;

const ZERO = 0x30;
const MM_STAT = cString('/mm_stat');

export class ArcFile {
  readonly arc: Arcstats = emptyArcstats();
  private readonly buffer = fixedBuffer(ARCSTATS_BYTES_MAX);

  private constructor(private readonly fd: number) {}

  /** Opens `procfs`/spl/kstat/zfs/arcstats. Returns -errno where there is no ZFS. */
  static open(procfs: string): ArcFile | number {
    const fd = open(cString(`${procfs}/spl/kstat/zfs/arcstats`), O_RDONLY);
    return fd < 0 ? fd : new ArcFile(fd);
  }

  /** Refreshes `arc`. Returns whether it could be read. */
  read(): boolean {
    return parseArcstats(this.buffer, pread(this.fd, this.buffer, 0), this.arc);
  }

  close(): void {
    close(this.fd);
  }
}

export class ZramFiles {
  readonly swaps: ZramSwaps = emptyZramSwaps();
  private readonly mmStat: ZramMmStat = emptyZramMmStat();
  private readonly nothingKnown: ZramMmStat = emptyZramMmStat();
  private readonly swapsBuffer = fixedBuffer(SWAPS_BYTES_MAX);
  private readonly mmStatBuffer = fixedBuffer(MM_STAT_BYTES_MAX);
  private readonly fds = new Int32Array(DEVICES).fill(NOT_OPENED);
  private readonly path: Buffer;
  private readonly digitsAt: number;

  private constructor(
    private readonly swapsFd: number,
    sysfs: string,
  ) {
    const before = `${sysfs}/block/zram`;
    this.path = cString(`${before}00/mm_stat`);
    this.digitsAt = Buffer.byteLength(before);
  }

  /** Opens `procfs`/swaps; the devices are looked for in `sysfs`. Returns -errno where there is none. */
  static open(procfs: string, sysfs: string): ZramFiles | number {
    const fd = open(cString(`${procfs}/swaps`), O_RDONLY);
    return fd < 0 ? fd : new ZramFiles(fd, sysfs);
  }

  /** Refreshes `swaps`. Without a number of areas that can be read there are none. */
  read(): void {
    parseZramSwaps(this.swapsBuffer, pread(this.swapsFd, this.swapsBuffer, 0), this.swaps);
  }

  /** What the device of an area of `swaps` holds and costs; all zero if it does not tell. The same object at each call. */
  useOf(area: number): ZramMmStat {
    const device = this.swaps.device[area] as number;
    const fd = device < DEVICES ? this.fdOf(device) : CANT_OPEN;
    if (fd < 0) return this.nothingKnown;
    const length = pread(fd, this.mmStatBuffer, 0);
    return parseZramMmStat(this.mmStatBuffer, length, this.mmStat) ? this.mmStat : this.nothingKnown;
  }

  close(): void {
    for (const fd of this.fds) if (fd >= 0) close(fd);
    close(this.swapsFd);
  }

  private fdOf(device: number): number {
    if (this.fds[device] === NOT_OPENED) {
      const fd = open(this.pathOf(device), O_RDONLY);
      this.fds[device] = fd < 0 ? CANT_OPEN : fd;
    }
    return this.fds[device] as number;
  }

  /** One digit or two: the rest of the path moves up. */
  private pathOf(device: number): Buffer {
    const { path, digitsAt } = this;
    const digits = device < 10 ? 1 : 2;
    if (digits === 2) path[digitsAt] = ZERO + Math.floor(device / 10);
    path[digitsAt + digits - 1] = ZERO + (device % 10);
    MM_STAT.copy(path, digitsAt + digits);
    return path;
  }
}
