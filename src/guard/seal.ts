/*
 * The end of start-up: what it left behind is collected, and after that nothing is, because nothing becomes garbage
 * (bench:gate).
 *
 * Before the last rehearsal, not after it: compiled code that knew an object which is collected is thrown away
 * with it, and at one tick a second it would take an hour until it is compiled again. For the same reason V8 must not
 * collect on its own when it finds itself idle.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Runs a full garbage collection, and has V8 wait for need from then on. */
export function seal(): void {
  setFlagsFromString('--no-memory-reducer');
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  collect();
}
