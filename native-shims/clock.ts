/* CLOCK_MONOTONIC in milliseconds, the only clock that the guard decides by; and what the thread has cost. */
import { declare, fixedBuffer } from './libc.js';

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const CLOCK_THREAD_CPUTIME_ID = 3;

const clockGettime = declare('int clock_gettime(int clock, void *ts)');
const timespec = fixedBuffer(16);
const halves = new Uint32Array(timespec.buffer);

/**
 * What a field for a time, or a span of time, holds until there is one to put into it: next to nothing, but not an
 * integer, because a field that has held only integers until then makes V8 throw away the code that knew it as one.
 */
export const A_FRACTION = 0.5;

/**
 * A moment that is passed around: the field of an object, because a number with a fraction that is handed from
 * function to function is garbage each time.
 */
export class Moment {
  /** Milliseconds since boot, with a fraction. */
  ms = A_FRACTION;

  /** Makes it now. */
  update(): void {
    clockGettime(CLOCK_MONOTONIC, timespec);
    this.ms = (halves[0] as number) * 1000 + (halves[2] as number) / 1e6;
  }
}

/** What the calling thread has cost, for the reason that `Moment` gives. */
export class ThreadCpuTime {
  /** Milliseconds, with a fraction. */
  ms = A_FRACTION;

  /** Makes it what it is now. */
  update(): void {
    clockGettime(CLOCK_THREAD_CPUTIME_ID, timespec);
    this.ms = (halves[0] as number) * 1000 + (halves[2] as number) / 1e6;
  }
}

/** The time of day, in whole numbers: for people who read a record, never to decide by. */
export class WallTime {
  /** Since 1970, UTC. */
  seconds = 0;
  milliseconds = 0;

  /** Makes it now. */
  update(): void {
    clockGettime(CLOCK_REALTIME, timespec);
    this.seconds = halves[0] as number;
    this.milliseconds = Math.floor((halves[2] as number) / 1e6);
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
