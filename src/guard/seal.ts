/*
 * The end of start-up. After it nothing is compiled, nothing becomes garbage and nothing is collected (bench:gate), and
 * what the guard works with stays in memory.
 *
 *   collect   what start-up has left. Before compiling, because V8 throws compiled code away together with the objects
 *             that it knew, and at one tick a second it would take an hour until it is compiled again
 *   compile   the rehearsal, until V8's optimizing compiler is done; then that is switched off: its jobs take
 *             megabytes, and would come when memory is short
 *   lock      guard/lock.ts: drops what is no longer needed, and locks what is touched from then on
 *   touch     the rehearsal once more, briefly: that much of Node is needed. If it shows that V8 has thrown something
 *             compiled away meanwhile, it is compiled again
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { trimHeap } from '../../native-shims/memory.js';
import { type LockResult, lockMemory, widen } from './lock.js';

/**
 * Has V8 keep what it has compiled, and its young generation as small as it begins: grown, it would stay at 16 MiB for
 * garbage that is not made. And has it collect when it must only: by itself, some seconds after start-up, it would mark
 * the heap step by step because it finds itself idle. To be called before anything else.
 */
export function tuneEngine(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--no-flush-bytecode');
  setFlagsFromString('--no-incremental-marking');
}

/**
 * @param compile  runs the hot paths until they are compiled
 * @param touch    runs each of them once; returns whether all of it is compiled
 * @param look     has the guard look at memory, in between
 */
export function seal(compile: () => void, touch: () => boolean, look: () => void): LockResult {
  const collect = collector();
  // The second takes what the first one's finalizers have let go.
  collect();
  look();
  collect();
  look();
  compile();
  setFlagsFromString('--no-opt');
  trimHeap();
  const result = lockMemory([], true);
  look();
  if (!touch()) {
    setFlagsFromString('--opt');
    compile();
    // A guard that has much to do or to say is never done with compiling: then it goes on as it runs.
    if (touch()) setFlagsFromString('--no-opt');
  }
  widen(result);
  trimHeap();
  return result;
}

/** A function that runs a full garbage collection. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  return collect;
}
