/*
 * A clock that runs as memory and pids are given out: what lies between two readings bounds how much any one
 * process can have grown, and which pids can be new.
 *
 * Not in the bound, because no page is allocated for it: pages that are there already and get mapped once more
 * (page cache, shared memory), and hugetlb pages and CMA areas, which were set aside before. And the kernel
 * keeps a process's RSS in per-CPU parts (since 6.2), so what oom_score shows may lag behind the allocation by
 * max(32, 2 * CPUs) pages for each CPU and each kind of page (file, anonymous, shared).
 *
 * /proc/vmstat costs the kernel 22 us, nearly all of it the printing of 190 lines, so only its head is read, as
 * far as it was needed last time, in steps of HEAD_STEP_BYTES: 11 us. The counters in front get longer over
 * time; when the head has become too short the parser says so, and it is measured again on the whole file.
 */
import { close, O_RDONLY, open, pread } from '../../native-shims/files.js';
import { cString, fixedBuffer } from '../../native-shims/libc.js';
import { pageSize } from '../../native-shims/priority.js';
import { parseLastPid } from '../kernel/loadavg.js';
import { emptyVmstat, parseVmstat, type Vmstat } from '../kernel/vmstat.js';

/* 4,000 bytes on Linux 6.18; one read gives a page at most (seq_file), which holds the pgalloc_* everywhere. */
const VMSTAT_BYTES_MAX = 8192;
/* Small against the 1,770 bytes that are needed here; and a head once measured lasts until counters have gained some digits. */
const HEAD_STEP_BYTES = 256;
const HEADS = VMSTAT_BYTES_MAX / HEAD_STEP_BYTES;
/* Three averages, two numbers of threads and a pid. */
const LOADAVG_BYTES_MAX = 128;
const KIB = 1024;

export class AllocationClock {
  /** Memory given out on the whole machine since boot (freed since or not), KiB, at the last `read`. */
  allocatedKib = 0;
  /** The last pid given out in the guard's PID namespace, at the last `read`; begins again at 300 after pid_max. */
  lastPid = 0;
  private readonly vmstat: Vmstat = emptyVmstat();
  private readonly kibPerPage = pageSize() / KIB;
  private readonly bytes = fixedBuffer(VMSTAT_BYTES_MAX);
  private readonly loadavgBytes = fixedBuffer(LOADAVG_BYTES_MAX);
  /** Views of `bytes` from its start, made now because making one allocates: the nth has n + 1 steps. */
  private readonly heads: Buffer[] = [];
  /** Which of them is read. */
  private head = HEADS - 1;

  private constructor(
    private readonly vmstatFd: number,
    private readonly loadavgFd: number,
  ) {
    for (let n = 1; n <= HEADS; n++) this.heads.push(this.bytes.subarray(0, n * HEAD_STEP_BYTES));
  }

  /** Opens `procfs`/vmstat and `procfs`/loadavg. Returns the clock, or -errno. */
  static open(procfs: string): AllocationClock | number {
    const vmstatFd = open(cString(`${procfs}/vmstat`), O_RDONLY);
    if (vmstatFd < 0) return vmstatFd;
    const loadavgFd = open(cString(`${procfs}/loadavg`), O_RDONLY);
    if (loadavgFd >= 0) return new AllocationClock(vmstatFd, loadavgFd);
    close(vmstatFd);
    return loadavgFd;
  }

  /**
   * Refreshes `allocatedKib` and `lastPid`. Returns whether both could be read; if not, whichever could not still
   * holds what it held, and nothing may be concluded from it.
   */
  read(): boolean {
    const allocation = this.readVmstat(this.head) || (this.head < HEADS - 1 && this.readVmstat(HEADS - 1));
    const pid = this.readLastPid();
    return allocation && pid;
  }

  /** Gives the files back. */
  close(): void {
    close(this.vmstatFd);
    close(this.loadavgFd);
  }

  private readVmstat(head: number): boolean {
    const length = pread(this.vmstatFd, this.heads[head] as Buffer, 0);
    if (!parseVmstat(this.bytes, length, this.vmstat)) return false;
    this.allocatedKib = this.vmstat.allocatedPages * this.kibPerPage;
    this.head = Math.ceil(this.vmstat.allocatedBytes / HEAD_STEP_BYTES) - 1;
    return true;
  }

  private readLastPid(): boolean {
    const pid = parseLastPid(this.loadavgBytes, pread(this.loadavgFd, this.loadavgBytes, 0));
    if (!(pid >= 0)) return false;
    this.lastPid = pid;
    return true;
  }
}
