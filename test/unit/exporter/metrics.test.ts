/* The table of metrics, and what is exposed of it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exposition, OPENMETRICS_TYPE, TEXT_TYPE } from '../../../src/exporter/exposition.js';
import { METRICS } from '../../../src/exporter/metrics.js';
import type { Look } from '../../../src/observe/look.js';
import { NUMBERS, TICK_BOUNDS_MS } from '../../../src/state/layout.js';
import { madeLook, staleLook } from './made-look.js';

const text = (look: Look): Promise<string> => exposition(look, TEXT_TYPE);

/** name{labels} -> value, of the text. */
async function series(look: Look): Promise<Map<string, number>> {
  const lines = (await text(look)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

/** The names in the text, without a histogram's endings. */
async function names(look: Look): Promise<Set<string>> {
  const typed = [...(await text(look)).matchAll(/^# TYPE (\S+) /gm)];
  return new Set(typed.map(([, name]) => name as string));
}

const withPresence = (...presences: string[]): Set<string> =>
  new Set(METRICS.filter(({ present }) => presences.includes(present)).map(({ name }) => name));

describe('the table', () => {
  it('names each metric once, in Prometheus’s manner', () => {
    expect(new Set(METRICS.map(({ name }) => name)).size).toBe(METRICS.length);
    for (const { name, type, help } of METRICS) {
      expect(name).toMatch(/^oom_backstop_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      expect(help).toMatch(/\.$/);
      // Base units: never these.
      expect(name).not.toMatch(/_(ms|milliseconds|kib|kilobytes|percent)\b/);
    }
  });

  it('has only the labels that it says, with the values that it says', () => {
    for (const row of METRICS) {
      if (row.type === 'histogram') continue;
      for (const { labels } of row.read(madeLook())) {
        expect(Object.keys(labels)).toEqual(Object.keys(row.labels));
        for (const [label, value] of Object.entries(labels)) {
          const valid = row.labels[label];
          if (Array.isArray(valid)) expect(valid).toContain(value);
        }
      }
    }
  });
});

describe('what is exposed', () => {
  it('is every metric while the guard is up', async () => {
    expect(await names(madeLook())).toEqual(withPresence('always', 'page', 'up'));
  });

  it('of a guard that is stopped is what it has counted, and not what it has sampled', async () => {
    const look = staleLook();
    expect(await names(look)).toEqual(withPresence('always', 'page'));
    expect((await series(look)).get('oom_backstop_guard_up')).toBe(0);
    expect((await series(look)).get('oom_backstop_heartbeat_age_seconds')).toBeGreaterThanOrEqual(60);
  });

  it('without a page is what the exporter knows by itself: no counter falls to zero', async () => {
    const look = madeLook(null);
    expect(await names(look)).toEqual(withPresence('always'));
    expect(await series(look)).toEqual(
      new Map([
        ['oom_backstop_guard_up', 0],
        ['oom_backstop_kernel_oom_kills_total', 3],
        ['oom_backstop_psi_stall_seconds_total{kind="some"}', 1.5],
        ['oom_backstop_psi_stall_seconds_total{kind="full"}', 0.25],
        ['oom_backstop_state_page_readable', 0],
      ]),
    );
  });

  it('has no PSI and no kernel OOM kills where the kernel does not tell', async () => {
    const known = await names(madeLook({}, { pressure: null, kernelOomKills: null }));
    expect(known).not.toContain('oom_backstop_psi_stall_seconds_total');
    expect(known).not.toContain('oom_backstop_kernel_oom_kills_total');
  });

  it('has no last kill where there was none', async () => {
    expect(await names(madeLook({ numbers: { lastKillUnixMs: -1 } }))).not.toContain(
      'oom_backstop_last_kill_timestamp_seconds',
    );
  });

  it('is in base units', async () => {
    const values = await series(
      madeLook({
        numbers: {
          memAvailableKib: 600,
          anonPagesKib: 400,
          memTermPercent: 10,
          memKillPercent: 5,
          swapTotalKib: 200,
          swapTermPercent: 100,
          swapKillPercent: 50,
          freedKibTotal: 2,
          lastKillUnixMs: 1500,
          startedUnixMs: 2500,
        },
      }),
    );
    expect(Object.fromEntries(values)).toMatchObject({
      oom_backstop_mem_available_bytes: 600 * 1024,
      oom_backstop_user_mem_total_bytes: 1000 * 1024,
      'oom_backstop_mem_limit_bytes{level="term"}': 100 * 1024,
      'oom_backstop_mem_limit_bytes{level="kill"}': 50 * 1024,
      'oom_backstop_swap_limit_bytes{level="term"}': 200 * 1024,
      'oom_backstop_swap_limit_bytes{level="kill"}': 100 * 1024,
      oom_backstop_freed_bytes_total: 2048,
      oom_backstop_last_kill_timestamp_seconds: 1.5,
      oom_backstop_start_time_seconds: 2.5,
    });
  });

  it('has cumulative buckets, the sum in seconds and the count', async () => {
    const numbers = Object.fromEntries(TICK_BOUNDS_MS.map((_, bucket) => [`tickBucket${bucket}`, bucket + 1]));
    const values = await series(madeLook({ numbers: { ...numbers, tickBucketInf: 100, tickSumMs: 1234 } }));
    const buckets = [...values].filter(([name]) => name.startsWith('oom_backstop_tick_duration_seconds_bucket'));
    let sum = 0;
    const expected = TICK_BOUNDS_MS.map((boundMs, bucket) => {
      sum += bucket + 1;
      return [`oom_backstop_tick_duration_seconds_bucket{le="${boundMs / 1000}"}`, sum];
    });
    expect(buckets).toEqual([...expected, ['oom_backstop_tick_duration_seconds_bucket{le="+Inf"}', sum + 100]]);
    expect(values.get('oom_backstop_tick_duration_seconds_sum')).toBe(1.234);
    expect(values.get('oom_backstop_tick_duration_seconds_count')).toBe(sum + 100);
  });

  it('shows every number of the page, but for those that are for people', async () => {
    const forPeople = ['pid', 'persona', 'phase', 'waitMs', 'decisionsTotal', 'troublesBefore'];
    // All far from each other, so that no sum of others looks like one.
    const base: Record<string, number> = Object.fromEntries(NUMBERS.map((name, index) => [name, 1000 + index]));
    const fixed = { persona: 0, phase: 0, decisionsTotal: 0, dryrun: 0, waitMs: 10_000 };
    const clock = { monotonicMs: 5000, health: { up: true } as const };
    const before = await text(madeLook({ numbers: { ...base, ...fixed } }, clock));
    for (const name of NUMBERS.filter((each) => !forPeople.includes(each))) {
      const numbers: Record<string, number> = { ...base, ...fixed };
      const after = await text(madeLook({ numbers: { ...numbers, [name]: (numbers[name] ?? 0) + 1 } }, clock));
      expect([name, after]).not.toEqual([name, before]);
    }
  });

  it('escapes what a label may hold', async () => {
    const version = 'a"b\\c\nd';
    expect(await text(madeLook({ version }))).toContain('version="a\\"b\\\\c\\nd"');
  });

  it('as OpenMetrics has counters by their short names, and an end', async () => {
    const openMetrics = await exposition(madeLook(), OPENMETRICS_TYPE);
    expect(openMetrics).toContain('# TYPE oom_backstop_kills counter\noom_backstop_kills_total{');
    expect(openMetrics).not.toContain('total_total');
    expect(openMetrics.endsWith('# EOF\n')).toBe(true);
    expect(openMetrics).not.toContain('\n\n');
  });

  it('is numbers and nothing else, whatever numbers the page holds', async () => {
    const numbers = fc.dictionary(
      fc.constantFrom(...NUMBERS),
      fc.oneof(fc.double({ min: 0, max: 2 ** 53 - 1, noNaN: true }), fc.constant(-1)),
    );
    await fc.assert(
      fc.asyncProperty(numbers, async (made) => {
        const look = madeLook({ numbers: { ...made, persona: 0, phase: 0, decisionsTotal: 0 } });
        expect(look.page).not.toBeNull();
        for (const value of (await series(look)).values()) expect(value).toEqual(expect.any(Number));
        expect(await text(look)).not.toMatch(/ (Nan|NaN|undefined|null|-Inf)$/m);
      }),
      { numRuns: 50 },
    );
  });
});
