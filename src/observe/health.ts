/* Whether the guard is well, by its heartbeat. Pure: the page and the clock in, a verdict out. */
import type { PageFailure } from '../state/page-file.js';
import type { StatePage } from '../state/page-reader.js';

/** How late a guard may be that has a full machine, a slow disk under Node or a debugger's attention, and is well. */
const LATE_MS_MAX = 2000;

/** The longest that a guard waits is a second. One that announces a day is not believed. */
const WAIT_MS_MAX = 10_000;

/** The heartbeat is a moment in the past; rounded up, it may be a little ahead. */
const AHEAD_MS_MAX = 10;

/** `up`, or why not, in words that follow "the guard is not up: ". */
export type Health = { up: true } | { up: false; why: string };

/** Of CLOCK_MONOTONIC, in ms: the clock of the heartbeat. */
export function heartbeatAgeMs(page: StatePage, monotonicMs: number): number {
  return monotonicMs - (page.number('heartbeatMonotonicMs') ?? Number.NEGATIVE_INFINITY);
}

/** @param path  of the page, for the words */
export function healthOf(
  page: StatePage | null,
  refused: PageFailure | null,
  path: string,
  monotonicMs: number,
): Health {
  if (page === null) return { up: false, why: `the state page ${path} ${refused?.why ?? 'was not read'}` };
  const ageMs = heartbeatAgeMs(page, monotonicMs);
  if (ageMs < -AHEAD_MS_MAX)
    return {
      up: false,
      why: `the state page ${path} is of before a reboot: its heartbeat is ahead of this boot's clock`,
    };
  const dueMs = Math.min(page.number('waitMs') ?? 0, WAIT_MS_MAX) + LATE_MS_MAX;
  if (ageMs <= dueMs) return { up: true };
  const limit = `${(dueMs / 1000).toFixed(1)} s`;
  const age = Number.isFinite(ageMs) ? `is ${(ageMs / 1000).toFixed(1)} s old` : 'was never written';
  return { up: false, why: `heartbeat ${age}, older than ${limit}: pid ${page.number('pid')} is dead or stopped` };
}
