/* Reads /proc/meminfo, opened once, at each tick. */
import { O_RDONLY, open, pread } from '../../native-shims/files.js';
import { cString, fixedBuffer } from '../../native-shims/libc.js';
import {
  emptyMeminfo,
  MEMINFO_ENTRIES,
  MEMINFO_OK,
  type Meminfo,
  parseMeminfo,
  parseMeminfoShmem,
} from '../kernel/meminfo.js';

/* 1,503 bytes on Linux 6.18; room for what the kernel may add. */
const MEMINFO_BYTES_MAX = 8192;

/** Why a sample could not be taken. */
export type SampleFailure =
  | { kind: 'read'; errno: number }
  | { kind: 'missing'; entry: string }
  | { kind: 'no-number'; entry: string };

/** Puts right what the kernel's numbers leave out, in the sample itself. */
export interface Refiner {
  refine(memory: Meminfo): void;
}

export class MemorySampler {
  /** Null: the kernel's numbers are taken as they are. */
  refiner: Refiner | null = null;
  /** The last good sample. */
  readonly memory: Meminfo = emptyMeminfo();
  private readonly buffer = fixedBuffer(MEMINFO_BYTES_MAX);
  private length = 0;

  private constructor(private readonly fd: number) {}

  /** Opens `procfs`/meminfo. Returns the sampler, or -errno. */
  static open(procfs: string): MemorySampler | number {
    const fd = open(cString(`${procfs}/meminfo`), O_RDONLY);
    return fd < 0 ? fd : new MemorySampler(fd);
  }

  /** Refreshes `memory`. Returns null, or why it still holds the sample before. */
  sample(): SampleFailure | null {
    const length = pread(this.fd, this.buffer, 0);
    if (length < 0) return { kind: 'read', errno: -length };
    const result = parseMeminfo(this.buffer, length, this.memory);
    if (result === MEMINFO_OK) {
      this.length = length;
      this.refiner?.refine(this.memory);
      return null;
    }
    const entry = MEMINFO_ENTRIES[Math.abs(result) - 1] as string;
    return { kind: result > 0 ? 'missing' : 'no-number', entry };
  }

  /** Shared memory in the last good sample, tmpfs included, KiB; -1 if it does not say. */
  shmemKib(): number {
    return parseMeminfoShmem(this.buffer, this.length);
  }
}
