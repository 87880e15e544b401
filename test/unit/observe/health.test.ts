import { describe, expect, it } from 'vitest';
import { healthOf, heartbeatAgeMs } from '../../../src/observe/health.js';
import { readStatePage, type StatePage } from '../../../src/state/page-reader.js';
import { statePage } from '../../support/state-page.js';

const PATH = '/run/oom-backstop/state';
const BEAT_MS = 1_000_000;

function beating(waitMs: number, heartbeatMonotonicMs = BEAT_MS): StatePage {
  const read = readStatePage(statePage({ numbers: { waitMs, heartbeatMonotonicMs } }));
  if ('refused' in read) throw new Error(read.refused.why);
  return read.page;
}

const isUp = (page: StatePage, ageMs: number): boolean => healthOf(page, null, PATH, BEAT_MS + ageMs).up;

describe('a guard', () => {
  it.each([
    [0, 2000],
    [2, 2002],
    [1000, 3000],
  ])('that waits for %d ms is up with a heartbeat of %d ms, and not one ms later', (waitMs, ageMs) => {
    expect(isUp(beating(waitMs), ageMs)).toBe(true);
    expect(isUp(beating(waitMs), ageMs + 1)).toBe(false);
  });

  it('that announces a wait of a day is not believed', () => {
    expect(isUp(beating(86_400_000), 12_000)).toBe(true);
    expect(isUp(beating(86_400_000), 12_001)).toBe(false);
  });

  it('whose wait is not known is up as if it did not wait', () => {
    expect(isUp(beating(-1), 2000)).toBe(true);
    expect(isUp(beating(-1), 2001)).toBe(false);
  });

  it('whose heartbeat was rounded up is up; one from the future is of before a reboot', () => {
    expect(isUp(beating(1000), -1)).toBe(true);
    expect(healthOf(beating(1000), null, PATH, BEAT_MS - 5000)).toEqual({
      up: false,
      why: "the state page /run/oom-backstop/state is of before a reboot: its heartbeat is ahead of this boot's clock",
    });
  });

  it('that is late is named with its pid', () => {
    expect(healthOf(beating(1000), null, PATH, BEAT_MS + 12_345)).toEqual({
      up: false,
      why: 'heartbeat is 12.3 s old, older than 3.0 s: pid 812 is dead or stopped',
    });
  });

  it('that has never written a heartbeat is not up', () => {
    const never = beating(1000, -1);
    expect(heartbeatAgeMs(never, BEAT_MS)).toBe(Number.POSITIVE_INFINITY);
    expect(healthOf(never, null, PATH, BEAT_MS)).toMatchObject({
      up: false,
      why: expect.stringContaining('never written'),
    });
  });
});

it('without a page it says why there is none', () => {
  expect(healthOf(null, { kind: 'missing', why: 'is not there', code: 'ENOENT' }, PATH, 0)).toEqual({
    up: false,
    why: 'the state page /run/oom-backstop/state is not there',
  });
});
