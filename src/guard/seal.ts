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
 *   settle    the lock's other half
 */
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { trimHeap } from '../../native-shims/memory.js';
import { type LockResult, lockMemory, widen } from './lock.js';

/** The engine's flags have other names since. */
const NODE_MAJOR = Number.parseInt(process.versions.node, 10);

/**
 * Has V8 keep what it has compiled, and its young generation as small as it begins: grown, it would stay at 16 MiB for
 * garbage that is not made. And has it collect when it must only: by itself, some seconds after start-up, it would mark
 * the heap step by step because it finds itself idle. And has it note from the first call on what a function is called
 * with (by itself it begins after some calls, to save memory): else what runs once or twice, as a kill does, teaches the
 * compiler nothing. And has it compile after an eighth of the calls: the rehearsal is shorter, and what a sweep does only
 * once is compiled with the rest of it, where before it was in three rehearsals of four. To be called before anything
 * else.
 */
export function tuneEngine(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--no-flush-bytecode');
  setFlagsFromString('--no-incremental-marking');
  setFlagsFromString('--no-lazy-feedback-allocation');
  setFlagsFromString(NODE_MAJOR >= 22 ? '--invocation-count-for-turbofan=375' : '--interrupt-budget=8000');
}

/** The second takes what the first one's finalizers have let go. */
const COLLECTIONS = 2;

/**
 * @param compile  runs the hot paths until they are compiled
 * @param touch    runs each of them once; returns whether all of it is compiled
 * @param look     has the guard look at memory, in between
 */
export async function seal(
  compile: () => Promise<void>,
  touch: () => Promise<boolean>,
  look: () => Promise<void>,
): Promise<LockResult> {
  for (let collection = 0; collection < COLLECTIONS; collection++) {
    collect();
    await look();
    // Its finalizers run at the event loop's next turn.
    await turn();
  }
  await compile();
  setFlagsFromString('--no-opt');
  trimHeap();
  const result = lockMemory([], true);
  try {
    await look();
    if (!(await touch())) {
      setFlagsFromString('--opt');
      await compile();
      // A guard that has much to do or to say is never done with compiling: then it goes on as it runs.
      if (await touch()) setFlagsFromString('--no-opt');
    }
  } catch (error) {
    settle(result);
    throw error;
  }
  return result;
}

/** To be called when the last thing that is done once has been done: what is touched first from now on takes more memory. */
export function settle(result: LockResult): void {
  widen(result);
  trimHeap();
}

/**
 * Runs a full garbage collection, by the engine's own function for it: the usual gc() has to be fetched from another
 * context (node:vm), which stays and takes half a MiB.
 */
function collect(): void {
  setFlagsFromString('--allow-natives-syntax');
  new Function('%CollectGarbage("")')();
  setFlagsFromString('--no-allow-natives-syntax');
}
