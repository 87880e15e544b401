/*
 * The guard's own memory: giving pages back (madvise), keeping pages (mlock, mlock2), and how much may be kept.
 *
 * Addresses are plain numbers: those of user space are below 2^47 (2^48 on arm64, 2^56 at most), and every mapping
 * starts at a page, so a double holds them exactly.
 */
import { declare, declareOptional, fixedBuffer, syscallPlain } from './libc.js';

const SYS_mlock2 = process.arch === 'arm64' ? 284 : 325;
const MLOCK_ONFAULT = 1;
const MADV_DONTNEED = 4;
const MADV_DONTDUMP = 16;
const MADV_DODUMP = 17;
const RLIMIT_MEMLOCK = 8;

const madviseNative = declare('int madvise(uintptr_t address, size_t length, int advice)');
const mlockNative = declare('int mlock(void *address, size_t length)');
const mallocTrim = declareOptional('int malloc_trim(size_t keep)');
const mmapNative = declare(
  'intptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int fd, int64_t offset)',
);
const mlockAtNative = declare('int mlock(uintptr_t address, size_t length)');
const PROT_READ = 1;
const MAP_SHARED = 1;
const getrlimitNative = declare('int getrlimit(int resource, void *limit)');

/** struct rlimit: two unsigned longs, the limit in force and the one it may be raised to. */
const limit = new BigUint64Array(fixedBuffer(16).buffer);
const limitBytes = Buffer.from(limit.buffer);
const RLIM_INFINITY = 2n ** 64n - 1n;

/**
 * Gives the pages of a mapping back (MADV_DONTNEED): the next access reads the file again, and **what was written to a
 * private mapping is lost**. `start` is the address of a page, `length` in bytes.
 * Returns 0 or -errno: -EINVAL not a page's address, or locked; -ENOMEM not mapped.
 */
export function dropPages(start: number, length: number): number {
  return madviseNative(start, length, MADV_DONTNEED);
}

/**
 * Leaves a mapping's pages out of core dumps, or puts them back (MADV_DONTDUMP, MADV_DODUMP, Linux 3.4). The kernel keeps
 * neighbours that differ in it as mappings apart, and joins those that don't.
 * Returns 0 or -errno: -ENOMEM not mapped, or too many mappings (vm.max_map_count).
 */
export function setDumped(start: number, length: number, dumped: boolean): number {
  return madviseNative(start, length, dumped ? MADV_DODUMP : MADV_DONTDUMP);
}

/**
 * Keeps every page of a mapping in memory from its next access on (mlock2 with MLOCK_ONFAULT, Linux 4.4). All of its
 * `length` bytes count against RLIMIT_MEMLOCK, touched or not.
 * Returns 0 or -errno: -ENOMEM beyond the limit, or not mapped; -EPERM the limit is 0; -ENOSYS.
 */
export function lockOnFault(start: number, length: number): number {
  return syscallPlain(SYS_mlock2, start, length, MLOCK_ONFAULT, 0, 0);
}

/** Brings the pages that `buffer` lies on into memory and keeps them there (mlock(2)). Returns 0 or -errno, as `lockOnFault`. */
export function lockBuffer(buffer: Uint8Array): number {
  return mlockNative(buffer, buffer.length);
}

/**
 * Brings the first `length` bytes of a file into memory and keeps them there for the process's life, by a mapping that nobody reads: who reads
 * through it gets SIGBUS once the file has been cut. Returns 0 or -errno: as `lockOnFault`, and what mmap(2) refuses.
 */
export function keepFileInMemory(fd: number, length: number): number {
  const address = mmapNative(0, length, PROT_READ, MAP_SHARED, fd, 0);
  return address < 0 ? address : mlockAtNative(address, length);
}

/** How many bytes may be locked without CAP_IPC_LOCK (RLIMIT_MEMLOCK); Infinity for no limit. Returns -errno on failure. */
export function memlockLimit(): number {
  const result = getrlimitNative(RLIMIT_MEMLOCK, limitBytes);
  if (result < 0) return result;
  const inForce = limit[0] as bigint;
  return inForce === RLIM_INFINITY ? Number.POSITIVE_INFINITY : Number(inForce);
}

/** Has the allocator give back what it keeps for later (malloc_trim(3); musl has none and keeps little). */
export function trimHeap(): void {
  mallocTrim?.(0);
}
