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

/**
 * Has V8 compile these classes' methods at their next call, with what it has seen so far of what they are called with; by itself it
 * would after some hundred calls, which a kill never has. The call waits for it, up to 10 ms for one method.
 *
 * @param part   which part of them, from 0, if not all: one after the other, as they are written
 * @param parts  how many parts there are, of about the same length of source text
 */
export function compileAtNextCall(classes: readonly { prototype: object }[], part = 0, parts = 1): void {
  setEngineFlag('--allow-natives-syntax');
  const mark = new Function('method', '%OptimizeFunctionOnNextCall(method)') as (method: unknown) => void;
  setEngineFlag('--no-allow-natives-syntax');
  const methods = classes.flatMap(methodsOf);
  const wholeLength = methods.reduce((sum, method) => sum + String(method).length, 0);
  let length = 0;
  for (const method of methods) {
    if (Math.floor((length * parts) / wholeLength) === part) mark(method);
    length += String(method).length;
  }
}

/** V8's own bound, in Node 20 to 24. */
const INLINED_BYTES_MAX = 920;

/**
 * How much bytecode of others V8 puts into a function that it compiles from now on; without a number, as much as it does by itself.
 * Less of it is smaller, and slower where much is called.
 */
export function limitInlining(bytesMax = INLINED_BYTES_MAX): void {
  setEngineFlag(`--max-inlined-bytecode-size-cumulative=${bytesMax}`);
}

/** Accessors included. */
function methodsOf({ prototype }: { prototype: object }): object[] {
  const properties = Object.entries(Object.getOwnPropertyDescriptors(prototype) as Record<string, PropertyDescriptor>);
  return properties.flatMap(([name, { value, get }]) => {
    const method: unknown = get ?? value;
    return typeof method === 'function' && name !== 'constructor' ? [method] : [];
  });
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
