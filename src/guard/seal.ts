/*
 * The end of start-up. After it nothing is compiled, nothing becomes garbage and nothing is collected (bench:gate), and
 * what the guard works with stays in memory.
 *
 *   look      at memory, first of all: the guard may be needed already
 *   forget    all that start-up has left, the bytecode of whatever ran once included
 *   compile   the rehearsal, until V8's optimizing compiler is done; then that is switched off: its jobs take
 *             megabytes, and would come when memory is short
 *   collect   what the rehearsal has left, and the half of the young generation that only a collection needs: there will
 *             be none. 4.5 MiB of heap instead of 7 (measured)
 *   lock      guard/lock.ts: drops what is no longer needed, and locks what is touched from then on
 *   touch     the rehearsal once more, briefly: that much of Node is needed. If it shows that V8 has thrown something
 *             compiled away meanwhile, together with the objects that it knew, it is compiled again: at one tick a
 *             second V8 would take an hour for it
 *   settle    the lock's other half
 */
import { collectEverything, setEngineFlag } from '../../native-shims/engine.js';
import { turn } from '../../native-shims/event-loop.js';
import { trimHeap } from '../../native-shims/memory.js';
import { type LockResult, lockMemory, planLock, widen } from './lock.js';

/** The engine's flags have other names since. */
const NODE_MAJOR = Number.parseInt(process.versions.node, 10);

/**
 * Has V8 keep its young generation as small as it begins: grown, it would stay at 16 MiB for garbage that is not made. And
 * has it collect when it must only: by itself, some seconds after start-up, it would mark the heap step by step because it
 * finds itself idle. And has it compile after an eighth of the calls: the rehearsal is shorter, and what a sweep does only
 * once is compiled with the rest of it, where before it was in three rehearsals of four. And has it not put a loop's first round apart: compiled code
 * and what is needed to leave it again are 0.15 MiB smaller. (Less inlining would save as much, but what is not inlined gets its numbers as garbage.)
 * To be called before anything else. What must be set before V8 starts is in bin/.
 */
export function tuneEngine(): void {
  setEngineFlag('--semi-space-growth-factor=1');
  setEngineFlag('--no-incremental-marking');
  setEngineFlag('--no-sparkplug');
  setEngineFlag('--no-turbo-loop-peeling');
  setEngineFlag(NODE_MAJOR >= 22 ? '--invocation-count-for-turbofan=375' : '--interrupt-budget=8000');
}

/** Drops what was only needed once: objects, and the bytecode of every function that is not running. */
async function forgetStart(look: () => Promise<void>): Promise<void> {
  setEngineFlag('--stress-flush-code');
  await collect(look);
  setEngineFlag('--no-stress-flush-code');
}

/**
 * Has V8 keep what it compiles from now on. And has it note from the first call on what a function is called with (by itself
 * it begins after some calls, to save memory): else what runs once or twice, as a kill does, teaches the compiler nothing.
 */
function keepCode(): void {
  setEngineFlag('--no-flush-bytecode');
  setEngineFlag('--no-lazy-feedback-allocation');
}

/**
 * @param compile  runs the hot paths until they are compiled
 * @param touch    runs each of them once
 * @param isDone   returns whether all of it is compiled
 * @param look     has the guard look at memory, in between
 */
export async function seal(
  compile: () => Promise<void>,
  touch: () => Promise<void>,
  isDone: () => Promise<boolean>,
  look: () => Promise<void>,
): Promise<LockResult> {
  // What follows takes 20 ms.
  await look();
  await forgetStart(look);
  keepCode();
  await compile();
  setEngineFlag('--no-opt');
  // Code that was compiled in the background belongs to its function only from the next call on; till then it is garbage.
  await touch();
  const plan = await planLock(true, look);
  await collect(look);
  trimHeap();
  const result = lockMemory([], plan);
  try {
    await look();
    await touch();
    if (!(await isDone())) {
      setEngineFlag('--opt');
      await compile();
      await touch();
      // A guard that has much to do or to say is never done with compiling: then it goes on as it runs.
      if (await isDone()) setEngineFlag('--no-opt');
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

/** Collects, and gives Node's event loop a turn for the finalizers. */
async function collect(look: () => Promise<void>): Promise<void> {
  await collectEverything();
  await look();
  await turn();
}
