/*
 * Reads /proc/zoneinfo for the free pages that the CPUs keep for themselves, which MemAvailable leaves out. Opened once; a
 * read takes 22 us with 2 CPUs, and more with more: it is asked for after a kill only, and not at each tick.
 */
import { close, O_RDONLY, open, pread } from '../../native-shims/files.js';
import { cString, fixedBuffer } from '../../native-shims/libc.js';
import { pageSize } from '../../native-shims/priority.js';
import { parsePcpPages } from '../kernel/zoneinfo.js';

/* A node is one record, and comes whole if there is room: 5 KiB with 2 CPUs, 90 bytes more for each CPU and zone. */
const ZONEINFO_BYTES_MAX = 256 * 1024;
/** One read for each node, and one that finds the end. */
const READS_MAX = 64;
const KIB = 1024;

export class FreeLists {
  private readonly buffer = fixedBuffer(ZONEINFO_BYTES_MAX);
  private readonly kibPerPage = pageSize() / KIB;

  private constructor(private readonly fd: number) {}

  /** Opens `procfs`/zoneinfo. Returns -errno where there is none. */
  static open(procfs: string): FreeLists | number {
    const fd = open(cString(`${procfs}/zoneinfo`), O_RDONLY);
    return fd < 0 ? fd : new FreeLists(fd);
  }

  /** KiB on the lists of all CPUs; what can't be read is not counted. */
  read(): number {
    let pages = 0;
    let offset = 0;
    for (let reads = 0; reads < READS_MAX; reads++) {
      const length = pread(this.fd, this.buffer, offset);
      if (length <= 0) break;
      pages += parsePcpPages(this.buffer, length);
      offset += length;
    }
    return pages * this.kibPerPage;
  }

  close(): void {
    close(this.fd);
  }
}
