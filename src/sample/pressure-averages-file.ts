/* Reads the averages of /proc/pressure/memory, opened once, when a record is to hold them. */
import { O_RDONLY, open, pread } from '../../native-shims/files.js';
import { cString, fixedBuffer } from '../../native-shims/libc.js';
import { emptyPressureAverages, parsePressureAverages } from '../kernel/pressure-averages.js';

/* Two lines of 60 to 100 bytes. */
const BYTES_MAX = 512;

export class PressureAveragesFile {
  /** As of the last `read`. */
  readonly averages = emptyPressureAverages();
  private readonly bytes = fixedBuffer(BYTES_MAX);
  private readonly fd: number;

  /** Where the kernel has no such file, or nobody `wanted` it, every value stays unknown. */
  constructor(procfs: string, wanted: boolean) {
    this.fd = wanted ? open(cString(`${procfs}/pressure/memory`), O_RDONLY) : -1;
  }

  read(): void {
    const length = this.fd < 0 ? 0 : pread(this.fd, this.bytes, 0);
    parsePressureAverages(this.bytes, Math.max(0, length), this.averages);
  }
}
