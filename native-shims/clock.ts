/* CLOCK_MONOTONIC in milliseconds, the only clock that the guard decides by. */
import { declare, fixedBuffer } from './libc.js';

const CLOCK_MONOTONIC = 1;

const clockGettime = declare('int clock_gettime(int clock, void *ts)');
const timespec = fixedBuffer(16);
const halves = new Uint32Array(timespec.buffer);

/** Milliseconds since boot, with a fraction. */
export function monotonicMs(): number {
  clockGettime(CLOCK_MONOTONIC, timespec);
  // Both words are below 2^32 for the next 136 years of uptime; reading the low halves makes no BigInt.
  return (halves[0] as number) * 1000 + (halves[2] as number) / 1e6;
}
