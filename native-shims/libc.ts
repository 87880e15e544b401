/*
 * The door to the kernel: libc, loaded once through koffi.
 *
 * `koffi.load(null)` is the libc the process already runs on, glibc or musl, so nothing is
 * compiled or searched for. Everything else in native-shims/ is a thin, typed wrapper around
 * what is declared with `libc.func`; no file outside this folder imports koffi.
 *
 * One rule for all wrappers: the result is n >= 0, or -errno. They never throw, never log and
 * keep no state but their own fixed buffers, so a caller on the hot path can use them freely
 * (a call costs about 170 ns and leaves nothing on the heap).
 */
// biome-ignore assist/source/organizeImports: has to see the flags before koffi is loaded
import { inheritedFlags } from './inherited-flags.js';
import koffi from 'koffi';

const libc = koffi.load(null);

{
  const F_SETFL = 4;
  const fcntl = libc.func('int fcntl(int fd, int command, long argument)');
  for (const [fd, flags] of inheritedFlags) fcntl(fd, F_SETFL, flags);
}

/** As `declareRaw`, for what not every libc or Node has: null where it is not there. */
export function declareOptional(prototype: string): NativeFunction | null {
  try {
    return declareRaw(prototype);
  } catch {
    return null;
  }
}

{
  // glibc gives each thread an arena of its own, which keeps what V8's compiler threads have freed: 2 MiB (measured).
  const M_ARENA_MAX = -8;
  // And it raises this limit when something large is freed: then what is large comes from the heap and leaves holes in it.
  const M_MMAP_THRESHOLD = -3;
  const LARGE_BYTES = 128 * 1024;
  // The compiler threads have begun in arenas of their own before koffi was there. What is free at the end of such a one malloc_trim leaves
  // alone (glibc trims that of the first only); with these it goes back when it is freed: 0.2 to 0.6 MiB (measured).
  const M_TRIM_THRESHOLD = -1;
  const M_TOP_PAD = -2;
  const KEPT_BYTES_MAX = 64 * 1024;
  const mallopt = declareOptional('int mallopt(int parameter, int value)');
  mallopt?.(M_ARENA_MAX, 1);
  mallopt?.(M_MMAP_THRESHOLD, LARGE_BYTES);
  mallopt?.(M_TRIM_THRESHOLD, KEPT_BYTES_MAX);
  mallopt?.(M_TOP_PAD, 0);
}

/** A C function seen from JavaScript: numbers and Buffers in, a number out. */
export type NativeFunction = (...args: Argument[]) => number;
type Argument = number | bigint | Uint8Array | null;

/** One for all: that a call fails has been seen then, although most of them never do in a rehearsal. */
function checked(result: number): number {
  return result === -1 ? -koffi.errno() : result;
}

/** Declares a libc function that reports failure as -1 and errno; wrapped to return -errno. */
export function declare(prototype: string): NativeFunction {
  const call = libc.func(prototype) as unknown as NativeFunction;
  // Not (...args): an array for each call is garbage until the compiler has seen enough of them.
  const byArity: NativeFunction[] = [
    () => checked(call()),
    (a) => checked(call(a as Argument)),
    (a, b) => checked(call(a as Argument, b as Argument)),
    (a, b, c) => checked(call(a as Argument, b as Argument, c as Argument)),
    (a, b, c, d) => checked(call(a as Argument, b as Argument, c as Argument, d as Argument)),
    (a, b, c, d, e) => checked(call(a as Argument, b as Argument, c as Argument, d as Argument, e as Argument)),
    (a, b, c, d, e, f) =>
      checked(call(a as Argument, b as Argument, c as Argument, d as Argument, e as Argument, f as Argument)),
  ];
  return byArity[arityOf(prototype)] as NativeFunction;
}

/** How many parameters a C prototype has. */
function arityOf(prototype: string): number {
  const parameters = prototype.slice(prototype.indexOf('(') + 1, prototype.lastIndexOf(')')).trim();
  return parameters === '' ? 0 : parameters.split(',').length;
}

/** Declares a libc function whose result means what it says (an errno, a pointer, nothing). */
export function declareRaw(prototype: string): NativeFunction {
  return libc.func(prototype) as unknown as NativeFunction;
}

/** A libc function that runs on another thread; `done` gets its result at the event loop's next turn. */
export type ThreadedFunction = (args: (Uint8Array | null)[], done: (result: number) => void) => void;

/**
 * Declares a libc function that is run on one of libuv's threads. Calling it only queues it (80 to
 * 100 us, measured). What it writes to its buffers is visible to the main thread at once, without
 * the event loop.
 */
export function declareThreaded(prototype: string): ThreadedFunction {
  const call = libc.func(prototype);
  return (args, done) => call.async(...args, (_error: unknown, result: number) => done(result));
}

/**
 * The address of a Buffer's bytes, for structures that hold pointers.
 * Only valid for memory that never moves: see `fixedBuffer`.
 */
export function addressOf(buffer: Uint8Array): bigint {
  return koffi.address(buffer);
}

/**
 * The addresses of Buffers as plain numbers, for prototypes that take `uintptr_t`: koffi takes a number in 0.1 us less than it takes
 * a Buffer (measured), and what is asked of thousands of processes is worth it. They stand in a Map because what it returns is
 * the very object that was put in: a number of that size would be garbage each time it is read from a field.
 * Only for memory that never moves; the Map keeps it.
 */
export class Addresses {
  private readonly known = new Map<Uint8Array, number>();

  of(buffer: Uint8Array): number {
    const address = this.known.get(buffer);
    return address === undefined ? this.note(buffer) : address;
  }

  private note(buffer: Uint8Array): number {
    const address = Number(addressOf(buffer));
    this.known.set(buffer, address);
    return address;
  }
}

/** Buffers from this size on are cut from a slab. */
const SLICE_BYTES_MIN = 1024;
/** So large that it is mapped for itself. */
const SLAB_BYTES = 1024 * 1024;
const SLICE_ALIGNMENT = 64;

let slab = new ArrayBuffer(0);
let slabUsed = 0;

/**
 * Zeroed memory, outside V8's heap and outside Node's shared Buffer pool: it never moves. A small one is an ArrayBuffer of its own. Large ones
 * lie side by side in a mapping, of which only those pages take memory that are touched: most hold a file of the kernel's that
 * is a tenth of what it might be. From the heap they would be cleared, and so touched, all of them (0.3 MiB, measured).
 */
export function fixedBuffer(bytes: number): Buffer {
  if (bytes < SLICE_BYTES_MIN) return Buffer.from(new ArrayBuffer(bytes));
  const start = Math.ceil(slabUsed / SLICE_ALIGNMENT) * SLICE_ALIGNMENT;
  if (start + bytes <= slab.byteLength) {
    slabUsed = start + bytes;
    return Buffer.from(slab, start, bytes);
  }
  slab = new ArrayBuffer(Math.max(SLAB_BYTES, bytes));
  slabUsed = bytes;
  return Buffer.from(slab, 0, bytes);
}

/** `text` as a NUL-terminated C string in memory that never moves. */
export function cString(text: string | Uint8Array): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : text;
  const out = fixedBuffer(bytes.length + 1);
  out.set(bytes);
  return out;
}

const SYSCALL_PROTOTYPE = 'long syscall(long number, long a, void *b, long c, long d, long e)';
const SYSCALL_PLAIN_PROTOTYPE = 'long syscall(long number, long a, long b, long c, long d, long e)';

/** syscall(2) with a pointer as second argument. */
export const syscallBuffer: NativeFunction = declare(SYSCALL_PROTOTYPE);
/** syscall(2) with numbers only. */
export const syscallPlain: NativeFunction = declare(SYSCALL_PLAIN_PROTOTYPE);
