/*
 * /proc/pressure/memory and a cgroup's memory.pressure (Documentation/accounting/psi.rst, Linux 4.20).
 *
 *   some avg10=0.00 avg60=0.00 avg300=0.00 total=0
 *   full avg10=0.00 avg60=0.00 avg300=0.00 total=0
 *
 * `total` is microseconds of stall since boot and live; the averages move every 2 s only, so they are
 * not read. The rate of a stall is the difference of two totals over the time between.
 */
import { ascii, ByteCursor } from './byte-cursor.js';

export interface Pressure {
  /** Time that some task stalled on memory, us since boot. */
  someTotalUs: number;
  /** Time that all non-idle tasks stalled at once, us since boot. */
  fullTotalUs: number;
}

export function emptyPressure(): Pressure {
  return { someTotalUs: 0, fullTotalUs: 0 };
}

const SOME = ascii('some ');
const FULL = ascii('full ');
const TOTAL = ascii('total=');
const cursor = new ByteCursor();

/** Reads the first `length` of `bytes` into `out`. Returns false if either line or its total is missing. */
export function parsePressure(bytes: Uint8Array, length: number, out: Pressure): boolean {
  cursor.reset(bytes, length);
  let some = Number.NaN;
  let full = Number.NaN;
  do {
    if (cursor.accept(SOME)) some = totalOfLine();
    else if (cursor.accept(FULL)) full = totalOfLine();
  } while (cursor.nextLine());
  out.someTotalUs = some;
  out.fullTotalUs = full;
  return some >= 0 && full >= 0;
}

function totalOfLine(): number {
  cursor.skipBlanks();
  while (!cursor.accept(TOTAL)) {
    if (!cursor.skipWord()) return Number.NaN;
    cursor.skipBlanks();
  }
  return cursor.integer();
}
