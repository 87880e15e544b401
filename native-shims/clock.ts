/* CLOCK_MONOTONIC in milliseconds, the only clock that the guard decides by; and what the thread has cost. */
import { declare, fixedBuffer } from './libc.js';

const CLOCK_MONOTONIC = 1;
const CLOCK_THREAD_CPUTIME_ID = 3;

const clockGettime = declare('int clock_gettime(int clock, void *ts)');
const timespec = fixedBuffer(16);
const halves = new Uint32Array(timespec.buffer);

/**
 * A moment that is passed around: the field of an object, because a number with a fraction that is handed from
 * function to function is garbage each time.
 */
export class Moment {
  /** Milliseconds since boot, with a fraction. */
  ms = 0.5;

  /** Makes it now. */
  update(): void {
    clockGettime(CLOCK_MONOTONIC, timespec);
    this.ms = (halves[0] as number) * 1000 + (halves[2] as number) / 1e6;
  }
}

/** Milliseconds since boot, with a fraction. */
export function monotonicMs(): number {
  return read(CLOCK_MONOTONIC);
}

/** CPU time of the calling thread, in milliseconds with a fraction. */
export function threadCpuMs(): number {
  return read(CLOCK_THREAD_CPUTIME_ID);
}

function read(clock: number): number {
  clockGettime(clock, timespec);
  // Both words are below 2^32 for the next 136 years of uptime; reading the low halves makes no BigInt.
  return (halves[0] as number) * 1000 + (halves[2] as number) / 1e6;
}
