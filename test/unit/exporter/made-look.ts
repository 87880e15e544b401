/* What an exporter has seen, without an exporter. */
import { healthOf } from '../../../src/observe/health.js';
import type { Look } from '../../../src/observe/look.js';
import { readStatePage } from '../../../src/state/page-reader.js';
import { type MadePage, monotonicMs, statePage } from '../../support/state-page.js';

const PATH = '/run/oom-backstop/state';
const REFUSED = { kind: 'missing', why: 'is not there', code: 'ENOENT' } as const;

/** @param made  the guard's page; null for none */
export function madeLook(made: MadePage | null = {}, more: Partial<Look> = {}): Look {
  const read = made === null ? { refused: REFUSED } : readStatePage(statePage(made));
  const page = 'page' in read ? read.page : null;
  const refused = 'refused' in read ? read.refused : null;
  const nowMs = monotonicMs();
  return {
    path: PATH,
    page,
    refused,
    health: healthOf(page, refused, PATH, nowMs),
    pressure: { someAvg10Percent: 12.5, fullAvg10Percent: 0.25, someTotalUs: 1_500_000, fullTotalUs: 250_000 },
    kernelOomKills: 3,
    monotonicMs: nowMs,
    unixMs: Date.now(),
    ...more,
  };
}

/** The look at a guard that was stopped a minute ago. */
export const staleLook = (): Look => madeLook({ numbers: { heartbeatMonotonicMs: monotonicMs() - 60_000 } });
