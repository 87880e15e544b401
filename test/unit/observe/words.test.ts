import { describe, expect, it } from 'vitest';
import { complaints, outcomeOf, percent, signalOf, size, span, time } from '../../../src/observe/words.js';
import { HOOK_RESULTS, HOOKS, OUTCOMES } from '../../../src/state/layout.js';
import { type Decision, readStatePage, type StatePage } from '../../../src/state/page-reader.js';
import { type MadePage, statePage } from '../../support/state-page.js';

const GIB = 1024 * 1024;

function pageOf(made: MadePage): StatePage {
  const read = readStatePage(statePage(made));
  if ('refused' in read) throw new Error(read.refused.why);
  return read.page;
}

it.each([
  [null, 'unknown'],
  [0, '0 KiB'],
  [1023, '1023 KiB'],
  [1024, '1 MiB'],
  [1170 * 1024, '1170 MiB'],
  [4 * GIB - 1, '4096 MiB'],
  [4 * GIB, '4.0 GiB'],
  [23.14 * GIB, '23.1 GiB'],
])('size %s: %s', (kib, words) => {
  expect(size(kib)).toBe(words);
});

it.each([
  [null, 'unknown'],
  [0, '0 ms'],
  [999, '999 ms'],
  [3210, '3.2 s'],
  [14_000, '14 s'],
  [99_900, '100 s'],
  [110_000, '2 min'],
  [3 * 3_600_000, '3 h'],
  [50 * 3_600_000, '2 days'],
])('span %s: %s', (ms, words) => {
  expect(span(ms)).toBe(words);
});

it('percent and time', () => {
  expect([percent(4.966), percent(null)]).toEqual(['4.97 %', 'unknown']);
  expect(time(Date.UTC(2026, 10, 21, 18, 42))).toBe('2026-11-21 18:42:00 UTC');
  expect([time(null), time(1e300)]).toEqual(['at an unknown time', 'at an unknown time']);
});

describe('a decision', () => {
  const [, decision] = pageOf({}).decisions as [Decision, Decision];

  it('tells its signal and its outcome', () => {
    expect([signalOf(decision), outcomeOf(decision)]).toEqual(['SIGTERM', 'exited after 12 ms, gave back 2048 MiB']);
  });

  it('leaves out what is not known', () => {
    const unknown: Decision = { ...decision, signal: null, outcome: 'under way', killMs: null, freedKib: null };
    expect([signalOf(unknown), outcomeOf(unknown)]).toEqual(['no signal', 'under way']);
  });
});

describe('complaints', () => {
  it('are none of a guard that has killed and waits', () => {
    expect(complaints(pageOf({}))).toEqual([]);
  });

  it.each<[MadePage, string]>([
    [{ numbers: { sampleFailuresTotal: 1 } }, '1 time: memory could not be read'],
    [{ numbers: { droppedLogLinesTotal: 12 } }, '12 log lines: nobody read'],
    [{ numbers: { droppedEventsTotal: 2 } }, '2 events: could not be written'],
    [{ numbers: { 'failuresTotal:syscall': 1 } }, '1 kill: failed by an error'],
    [{ numbers: { 'failuresTotal:nobody': 3 } }, '3 crossings: found nobody to kill'],
    [
      {
        numbers: { startedUnixMs: 0 },
        decisions: [{ comm: 'stuck', pid: 7, unixMs: 0, outcome: OUTCOMES.indexOf('outlived SIGKILL') }],
      },
      '"stuck" (pid 7) would not die: 1970-01-01 00:00:00 UTC',
    ],
  ])('%j: %s', (made, words) => {
    expect(complaints(pageOf(made))).toEqual([words]);
  });

  it('are none of what went wrong before the guard was started', () => {
    const numbers = { droppedLogLinesTotal: 12, 'hookRunsTotal:notify:timeout': 3, startedUnixMs: 1000 };
    const decisions = [{ unixMs: 999, outcome: OUTCOMES.indexOf('outlived SIGKILL') }];
    expect(complaints(pageOf({ numbers: { ...numbers, troublesBefore: 15 }, decisions }))).toEqual([]);
    expect(complaints(pageOf({ numbers: { ...numbers, troublesBefore: 14 }, decisions }))).toHaveLength(2);
  });

  it('count every hook that did not end well, and none that did', () => {
    const numbers = Object.fromEntries(
      HOOKS.flatMap((hook) => HOOK_RESULTS.map((result) => [`hookRunsTotal:${hook}:${result}`, 1])),
    );
    expect(complaints(pageOf({ numbers }))).toEqual(['9 hook runs: did not end well']);
  });
});
