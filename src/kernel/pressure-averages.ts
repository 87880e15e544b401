/*
 * The averages of /proc/pressure/memory (Documentation/accounting/psi.rst, Linux 4.20), beside its totals.
 *
 *   some avg10=1.23 avg60=0.40 avg300=0.08 total=123456
 *   full avg10=0.00 avg60=0.00 avg300=0.00 total=0
 *
 * They move every 2 s only, so nothing is decided by them (pressure.ts); but after a kill they tell what the last ten
 * seconds and the last minute were like. Percent with two decimals, held as whole hundredths.
 */
import { ascii, ByteCursor } from './byte-cursor.js';

/** Where a number is in `PressureAverages.values`. */
export const SOME_AVG10 = 0;
export const SOME_AVG60 = 1;
export const SOME_TOTAL_MS = 2;
export const FULL_AVG10 = 3;
/** And those of `full` after it, in the same order. */
const VALUES = 6;

/** What a value is where it was not read. */
export const NO_PRESSURE = -1;

/** Averages in hundredths of a percent, totals in ms of stall since boot (us would not stay small integers). */
export type PressureAverages = Int32Array;

export function emptyPressureAverages(): PressureAverages {
  return new Int32Array(VALUES).fill(NO_PRESSURE);
}

const SOME = ascii('some ');
const FULL = ascii('full ');
const AVG10 = ascii('avg10=');
const AVG60 = ascii('avg60=');
const TOTAL = ascii('total=');
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const US_PER_MS = 1000;
/** What fits: 24 days of stall. */
const INT32_MAX = 0x7fffffff;
const cursor = new ByteCursor();

/** Reads the first `length` of `bytes` into `out`; what is not there is NO_PRESSURE. */
export function parsePressureAverages(bytes: Uint8Array, length: number, out: PressureAverages): void {
  out.fill(NO_PRESSURE);
  cursor.reset(bytes, length);
  do {
    if (cursor.accept(SOME)) readLine(out, SOME_AVG10);
    else if (cursor.accept(FULL)) readLine(out, FULL_AVG10);
  } while (cursor.nextLine());
}

function readLine(out: PressureAverages, first: number): void {
  for (;;) {
    cursor.skipBlanks();
    if (cursor.accept(AVG10)) out[first + SOME_AVG10] = hundredths();
    else if (cursor.accept(AVG60)) out[first + SOME_AVG60] = hundredths();
    else if (cursor.accept(TOTAL)) out[first + SOME_TOTAL_MS] = totalMs();
    else if (!cursor.skipWord()) return;
  }
}

/** The two digits after the point that the kernel always writes. */
function hundredths(): number {
  const whole = cursor.integer();
  if (!(whole >= 0 && whole <= 100) || cursor.peek() !== DOT) return NO_PRESSURE;
  cursor.position++;
  const tens = digit();
  const ones = digit();
  return tens < 0 || ones < 0 ? NO_PRESSURE : whole * 100 + tens * 10 + ones;
}

function digit(): number {
  const byte = cursor.peek();
  if (!(byte >= ZERO && byte <= NINE)) return -1;
  cursor.position++;
  return byte - ZERO;
}

function totalMs(): number {
  const us = cursor.integer();
  return us >= 0 ? Math.min(Math.floor(us / US_PER_MS), INT32_MAX) : NO_PRESSURE;
}
