/*
 * Keeps the guard's working set in memory, and gives back what only start-up needed.
 *
 * When memory runs out, the kernel drops the pages of programs before anything else, the guard's own code included;
 * a guard that has to read itself from a busy disk is late. To be called after the rehearsal, which is to be run again
 * afterwards: it brings in what stays.
 *
 *   drop   MADV_DONTNEED on what is mapped from files, can't be written to and has not been (smaps: no anonymous page):
 *          the file has it all. Relocated data fails that test and is left alone. MADV_PAGEOUT, which would need no such
 *          test, passes over pages that another process maps, a second Node for example (measured: 15 MiB kept), does
 *          nothing at all to files that belong to others, and empties the page cache for everybody else.
 *   narrow For as long as the second rehearsal lasts, each page of what was dropped is made a mapping of its own, by a flag
 *          that changes nothing else (MADV_DONTDUMP on every other page). A read that faults brings in all 16 pages
 *          around it that the page cache has, but never beyond its mapping: so the rehearsal brings in what it uses,
 *          5 to 9 MiB of files instead of 13 to 20 (measured). It takes 23,000 mappings and 0.1 s here, until `widen`
 *          joins them again. Optional.
 *   lock   mlock2(MLOCK_ONFAULT) on every file's mapping, relocated and writable data included: what is in memory
 *          and what is touched from now on stays there.
 *   lock   mlock on the guard's own buffers.
 *
 * Never anonymous memory as a whole, and never mlockall: V8 gives pages of its heap and of its code back by madvise,
 * which fails on locked ones, and V8 aborts (test/kernel/lock-soak.test.ts). Those pages go nowhere but to swap, and the
 * unit keeps them from it (MemorySwapMax=0).
 */
import { readFileSync } from 'node:fs';
import { ENOENT, ENOMEM, EPERM, strerror } from '../../native-shims/errno.js';
import { dropPages, lockBuffer, lockOnFault, memlockLimit, setDumped } from '../../native-shims/memory.js';
import { pageSize } from '../../native-shims/priority.js';
import { type Mapping, parseMappings } from '../kernel/maps.js';

const BYTES_PER_KIB = 1024;
const BYTES_PER_MIB = 1024 * 1024;

/** Mappings split between two looks: some 10 ms. */
const SPLIT_PER_LOOK = 2048;

export interface LockResult {
  /** Address space locked; what has been touched of it is in memory. */
  lockedBytes: number;
  /** Address space that could not be locked. */
  refusedBytes: number;
  /** Why not, for the first that was refused: EPERM, ENOMEM (RLIMIT_MEMLOCK), ENOSYS ... 0 if all is locked. */
  errno: number;
  /** RLIMIT_MEMLOCK, or Infinity. */
  limitBytes: number;
  /** What `widen` has to join again. */
  narrowed: readonly Mapping[];
}

/** What is to be done to which of this process's mappings. */
export interface LockPlan {
  mapped: readonly Mapping[];
  narrowed: readonly Mapping[];
  /** Why the mappings can't be read; 0 if they can. */
  errno: number;
}

/**
 * Reads the mappings, and narrows them if it is asked to. Apart from `lockMemory`, because it makes 1.1 MiB of garbage,
 * which is to be collected before.
 *
 * @param look  called each 10 ms or so while it narrows
 */
export async function planLock(narrow: boolean, look: () => Promise<void>): Promise<LockPlan> {
  const mapped = readOwnMappings();
  if (typeof mapped === 'number') return { mapped: [], narrowed: [], errno: mapped };
  const narrowed = narrow ? mapped.filter(isRestorable) : [];
  for (const mapping of narrowed) await splitIntoPages(mapping, look);
  return { mapped, narrowed, errno: 0 };
}

/**
 * Drops and locks. The buffers must never move (`fixedBuffer`).
 * Never throws; what is refused is in the result.
 */
export function lockMemory(buffers: readonly Uint8Array[], plan: LockPlan): LockResult {
  const limitBytes = Math.max(0, memlockLimit());
  const { mapped, narrowed, errno } = plan;
  const result: LockResult = { lockedBytes: 0, refusedBytes: 0, errno, limitBytes, narrowed };
  for (const buffer of buffers) note(result, buffer.length, lockBuffer(buffer));
  for (const mapping of mapped.filter(isRestorable)) dropPages(mapping.start, bytesOf(mapping));
  // The smallest first, so that a low limit goes to as many as it can: libc and koffi before Node's 80 MiB.
  const files = mapped.filter(isOfFile).sort((a, b) => bytesOf(a) - bytesOf(b));
  for (const mapping of files) note(result, bytesOf(mapping), lockOnFault(mapping.start, bytesOf(mapping)));
  return result;
}

/** Address space, in bytes, that `lockMemory` would lock in this process besides its buffers; 0 if the mappings can't be read. */
export function lockableBytes(): number {
  const mapped = readOwnMappings();
  return typeof mapped === 'number' ? 0 : mapped.filter(isOfFile).reduce((sum, mapping) => sum + bytesOf(mapping), 0);
}

/** Ends the narrowing: from now on a fault brings in its neighbours again, and the mappings are as many as before. */
export function widen(result: LockResult): void {
  for (const mapping of result.narrowed) setDumped(mapping.start, bytesOf(mapping), true);
}

/** Makes each page a mapping of its own, as far as the kernel allows. */
async function splitIntoPages(mapping: Mapping, look: () => Promise<void>): Promise<void> {
  const page = pageSize();
  let split = 0;
  for (let start = mapping.start; start < mapping.end; start += 2 * page) {
    if (setDumped(start, page, false) < 0) break;
    split++;
    if (split % SPLIT_PER_LOOK === 0) await look();
  }
}

/** One line about what could not be locked and what would help; null if all is locked. */
export function lockProblem(result: LockResult): string | null {
  if (result.errno === 0) return null;
  const what = result.lockedBytes === 0 ? 'memory not locked' : 'memory only partly locked';
  const why = `${what}: ${strerror(result.errno)}`;
  if (result.errno !== EPERM && result.errno !== ENOMEM) return why;
  const needed = size(result.lockedBytes + result.refusedBytes);
  return `${why} (RLIMIT_MEMLOCK ${size(result.limitBytes)}; needs CAP_IPC_LOCK or LimitMEMLOCK= of ${needed})`;
}

function size(bytes: number): string {
  if (!Number.isFinite(bytes)) return 'unlimited';
  return bytes < BYTES_PER_MIB ? `${Math.ceil(bytes / BYTES_PER_KIB)} KiB` : `${Math.ceil(bytes / BYTES_PER_MIB)} MiB`;
}

function bytesOf(mapping: Mapping): number {
  return mapping.end - mapping.start;
}

/** Mapped from a file, and not there for its addresses only (a linker's gap). */
function isOfFile(mapping: Mapping): boolean {
  return mapping.inode !== 0 && mapping.name.startsWith('/') && mapping.readable;
}

/** Whether the file has every byte of it: nothing was written, nothing can be while it is dropped. */
function isRestorable(mapping: Mapping): boolean {
  return isOfFile(mapping) && !mapping.writable && !mapping.shared && mapping.writtenKib === 0;
}

/** smaps, or where the kernel has none maps, by which nothing is dropped; or an errno. */
function readOwnMappings(): Mapping[] | number {
  const smaps = readMappings('/proc/self/smaps');
  return smaps === ENOENT ? readMappings('/proc/self/maps') : smaps;
}

function readMappings(file: string): Mapping[] | number {
  try {
    const mappings = parseMappings(readFileSync(file, 'latin1'));
    // JavaScript keeps the text that was matched last (RegExp.input): this one is 0.1 MiB.
    /(?:)/.test('');
    return mappings;
  } catch (error) {
    return -((error as NodeJS.ErrnoException).errno ?? -ENOENT);
  }
}

function note(result: LockResult, bytes: number, outcome: number): void {
  if (outcome >= 0) {
    result.lockedBytes += bytes;
    return;
  }
  result.refusedBytes += bytes;
  if (result.errno === 0) result.errno = -outcome;
}
