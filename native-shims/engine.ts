/*
 * V8, by its public C++ interface, which Node exports for its addons.
 *
 * Not by node:v8: that module brings all of Node's streams with it, half a MiB that stays.
 */
import { cString, declareOptional } from './libc.js';

const setFlagsNative = declareOptional('void _ZN2v82V818SetFlagsFromStringEPKcm(void *flags, size_t length)');

/** Sets one of V8's flags (`node --v8-options`); an unknown one is ignored, and all are where Node does not export what it takes. */
export function setEngineFlag(flag: string): void {
  setFlagsNative?.(cString(flag), flag.length);
}

/** What is to be compiled: the methods of `prototype`, or any object's functions. */
export interface Compiled {
  readonly prototype: object;
}

/**
 * Has V8 compile these classes' methods at their next call, with what it has seen so far of what they are called with; by itself it
 * would after some hundred calls, which a kill never has. The call waits for it: 5 to 20 ms for a large method.
 */
export function compileAtNextCall(classes: readonly Compiled[]): void {
  const mark = withNatives<void>('%OptimizeFunctionOnNextCall(method)');
  for (const method of methodsOf(classes)) mark(method);
}

/**
 * The same by V8's own thread, from the next call on, which does not wait for it: till it is done the method runs as it is. As many
 * at a time as `--concurrent-recompilation-queue-length` says (bin/): more would be forgotten.
 *
 * @param charsMin  methods of less source text are left out: the compiler takes most of them into the code of who calls them,
 *                  but while that is under way it would compile them for themselves (0.4 MiB)
 */
export function compileFromNextCall(classes: readonly Compiled[], charsMin = LARGE_METHOD_CHARS): void {
  const mark = withNatives<void>('%OptimizeFunctionOnNextCall(method, "concurrent")');
  const methods = methodsOf(classes).filter((method) => String(method).length >= charsMin);
  for (const method of methods) mark(method);
  asked.push(...methods);
}

/** Whether the thread is still at work on what `compileFromNextCall` was asked for. */
export function isCompiling(): boolean {
  status ??= withNatives<number>('return %GetOptimizationStatus(method)');
  const statusOf = status;
  asked = asked.filter((method) => (statusOf(method) & (MARKED_CONCURRENTLY | OPTIMIZING_CONCURRENTLY)) !== 0);
  return asked.some((method) => (statusOf(method) & OPTIMIZING_CONCURRENTLY) !== 0);
}

/** As the bundle has it, minified. With 200 the guard takes 0.2 MiB more, and makes no less garbage. */
const LARGE_METHOD_CHARS = 300;

/** Of V8's `OptimizationStatus` (runtime.h), the same in Node 20 to 24: to be compiled from the next call on; being compiled. */
const MARKED_CONCURRENTLY = 1 << 9;
const OPTIMIZING_CONCURRENTLY = 1 << 10;

/** What the thread was asked for and has not done. */
let asked: object[] = [];

let status: ((method: object) => number) | undefined;

/** A function of a method that uses V8's own syntax. */
function withNatives<T>(body: string): (method: object) => T {
  setEngineFlag('--allow-natives-syntax');
  try {
    return new Function('method', body) as (method: object) => T;
  } finally {
    setEngineFlag('--no-allow-natives-syntax');
  }
}

function methodsOf(classes: readonly Compiled[]): object[] {
  const methods: object[] = [];
  for (const { prototype } of classes) {
    for (const { value, get } of Object.values(Object.getOwnPropertyDescriptors(prototype)) as PropertyDescriptor[]) {
      const method: unknown = get ?? value;
      if (typeof method === 'function' && method !== prototype.constructor) methods.push(method);
    }
  }
  return methods;
}

/**
 * Collects everything: what an embedder has V8 do when memory is short. It collects until nothing more goes, moves what
 * is left together and gives the rest back to the kernel, half of the young generation included, which the usual gc() leaves
 * alone (and that has to be fetched from another context, node:vm, which takes half a MiB and stays). 10 to 30 ms
 * (measured). Nothing happens where Node does not export what it takes.
 *
 * It must not be called through koffi, which runs C functions on a stack of its own: V8 looks for objects on the stack,
 * and crashes. So V8 is asked to interrupt what runs by it: it does so at the next call in JavaScript, on the stack of that,
 * and hands over the isolate, which is all that the method takes. (Nothing that allocates in V8's heap may be called through
 * koffi, for it may collect: Node 24 aborts then. To ask for an interrupt does not; to enqueue a microtask would.)
 */
export async function collectEverything(): Promise<void> {
  const name = cString('_ZN2v87Isolate21LowMemoryNotificationEv');
  const method = declareOptional('uintptr_t dlsym(uintptr_t library, void *name)')?.(0, name);
  const isolate = declareOptional('uintptr_t _ZN2v87Isolate10GetCurrentEv()')?.();
  const interrupt = declareOptional(
    'void _ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_(uintptr_t isolate, uintptr_t method, uintptr_t unused)',
  );
  if (!method || !isolate || interrupt === null) return;
  // What the bundler can't leave out.
  const call = new Function('');
  // From here on none of our callers is running: what runs keeps its bytecode.
  await null;
  interrupt(isolate, method, 0);
  call();
}
