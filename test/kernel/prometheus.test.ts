/*
 * A real Prometheus scrapes a real exporter of a real guard while a balloon is killed, the guard is stopped and restarted, and the exporter is
 * killed. All of it happens once, in that order; each test is one thing that must have been seen. Only the guard and the balloon are in a
 * PID namespace: what the others do is no business of a guard.
 */
import { mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { NUMBERS_AT, numberIndex, STATE_FILE } from '../../src/state/layout.js';
import { dashboard, dashboardQueries, substituted } from '../support/dashboard.js';
import { counters, type Exposition, readExposition } from '../support/exposition.js';
import { namespacesWork } from '../support/namespace.js';
import { bin } from '../support/programs.js';
import {
  type Alert,
  eventually,
  MONITORING,
  prometheusIsThere,
  type Series,
  TestExporter,
  TestPrometheus,
} from '../support/prometheus.js';
import { describeIf } from '../support/requires.js';
import { type Balloon, type GuardSeen, Stage } from '../support/stage.js';

const INTERVAL = '500ms';
const HEADROOM_MIB = 260;
const COURSE_MS_MAX = 150_000;
/** Longer than any step of the guard's rehearsal. */
const REST_MS = 3000;
const SHM = '/dev/shm';
const TMPFS_MAGIC = 0x01021994;

/** What Grafana would put in; windows in which the whole test has happened. */
const VARIABLES = { instance: '.+', __rate_interval: '5m', __range: '1h', datasource: 'prometheus' };

/** Queries of the dashboard that show more than zeros after one kill. */
const ABOVE_NOTHING = [
  'Guard: A',
  'Above the SIGTERM limit: A',
  'Last kill: A',
  'Kills, 24 h: A',
  'Guards: A',
  'Available memory and the limits: A',
  'Available memory and the limits: B',
  'Available memory and the limits: C',
  'Available memory and the limits: D',
  'Limits crossed: A',
  'Kills by signal and reason: A',
  'Memory back after: A',
  'Quantiles of all kills in the range: A',
  'Quantiles of all kills in the range: B',
  'Quantiles of all kills in the range: C',
  'Quantiles of all kills in the range: D',
  'Memory given back: A',
  'Duration of a look: A',
  'Duration of a look: B',
  'Woken up late by: A',
  'Woken up late by: B',
  'Looks at memory: A',
  'Age of the heartbeat: A',
  'Running for: A',
  'Running for: B',
  'annotation Kills',
];

const inMemory = ((): boolean => {
  try {
    return statfsSync(SHM).type === TMPFS_MAGIC;
  } catch {
    return false;
  }
})();

const missing = [
  ...(namespacesWork ? [] : ['unshare --pid (root)']),
  ...(prometheusIsThere ? [] : ['Prometheus (apt-get install prometheus)']),
  ...(inMemory ? [] : [`a tmpfs at ${SHM}`]),
].join(', ');

interface Answer {
  status: number;
  body: string;
}

interface Seen {
  balloon: Balloon;
  killsBefore: Series[];
  killsAfter: Series[];
  alertsAfterKill: Alert[];
  healthWhileUp: Answer;
  healthWhileStopped: Answer;
  stoppedUntil503Ms: number;
  alertsWhileStopped: Alert[];
  healthAfterwards: Answer;
  alertsAfterwards: Alert[];
  beforeRestart: Exposition;
  afterRestart: Exposition;
  withExporter: GuardSeen;
  withoutExporter: GuardSeen;
  ticksWithout: { first: number; last: number };
  scrapesFailed: number;
  ticksInPrometheus: { samples: number; resets: number; rise: number };
  answers: Map<string, Series[] | string>;
  instances: string[];
  exposition: Exposition;
}

describeIf(missing === '', `needs ${missing}`, 'Prometheus, the exporter and a guard that kills', () => {
  let seen: Seen;
  const ends: (() => Promise<void> | void)[] = [];

  beforeAll(async () => {
    seen = await course(ends);
  }, COURSE_MS_MAX);

  afterAll(async () => {
    for (const end of ends.reverse()) await end();
  }, 60_000);

  it('the balloon was ended by SIGTERM', () => {
    expect(seen.balloon.events.map(({ event }) => event)).toContain('term');
    expect(seen.balloon.exit).toMatchObject({ code: 0, signal: null });
  });

  it('the kill counter has risen by exactly one, where it belongs', () => {
    const rises = (series: Series[]): [string, number][] =>
      series.map(({ metric, value }) => [
        `${metric['signal']} ${metric['reason']} ${metric['persona']}`,
        Number(value[1]),
      ]);
    expect(rises(seen.killsBefore)).toHaveLength(12);
    expect(rises(seen.killsBefore).every(([, value]) => value === 0)).toBe(true);
    expect(rises(seen.killsAfter).filter(([, value]) => value !== 0)).toEqual([['term limit oom-backstop', 1]]);
  });

  it('the alert "killed something" fires, and no other one', () => {
    // Others may wait: memory is near the limit, which is how the test makes a kill, but for no quarter of an hour.
    const firing = seen.alertsAfterKill.filter(({ state }) => state === 'firing');
    expect(firing.map(({ labels }) => labels['alertname'])).toEqual(['OomBackstopKilled']);
    expect(firing[0]?.annotations['description']).toContain('oom-backstop explain');
  });

  it('/healthz is 503 within seconds of a SIGSTOP, with the reason, and 200 after SIGCONT', () => {
    expect(seen.healthWhileUp).toEqual({ status: 200, body: 'ok\n' });
    expect(seen.healthWhileStopped.status).toBe(503);
    expect(seen.healthWhileStopped.body).toMatch(/^heartbeat is \d+\.\d s old/);
    // Not a matter of speed: the bound is part of what the exporter promises (2 s beyond the guard's own wait of at most 1 s).
    expect(seen.stoppedUntil503Ms).toBeLessThan(10_000);
    expect(seen.healthAfterwards.status).toBe(200);
  });

  it('the alert "guard down" is there while it is stopped, and not afterwards', () => {
    const down = (alerts: Alert[]): string[] =>
      alerts.filter(({ labels }) => labels['alertname'] === 'OomBackstopGuardDown').map(({ state }) => state);
    expect(down(seen.alertsWhileStopped)).toEqual([expect.stringMatching(/^(pending|firing)$/)]);
    expect(down(seen.alertsAfterwards)).toEqual([]);
  });

  it('no counter falls when the guard is restarted', () => {
    const before = counters(seen.beforeRestart);
    const after = counters(seen.afterRestart);
    expect(before.size).toBeGreaterThan(80);
    expect([...before].filter(([sample, value]) => !((after.get(sample) ?? -1) >= value))).toEqual([]);
    expect(after.get('oom_backstop_starts_total')).toBe((before.get('oom_backstop_starts_total') ?? 0) + 1);
  });

  it('the guard does not notice that the exporter is killed', () => {
    expect(seen.scrapesFailed).toBeGreaterThan(0);
    expect(seen.withoutExporter.openFiles).toEqual(seen.withExporter.openFiles);
    expect(seen.withoutExporter.said).toBe(seen.withExporter.said);
    expect(seen.ticksWithout.last).toBeGreaterThan(seen.ticksWithout.first);
  });

  it('the series go on when the exporter is started again', () => {
    expect(seen.ticksInPrometheus.samples).toBeGreaterThan(2);
    expect(seen.ticksInPrometheus).toMatchObject({ resets: 0 });
    expect(seen.ticksInPrometheus.rise).toBeGreaterThan(0);
  });

  it.each(dashboardQueries().map((query) => [query.where, query] as const))(
    'the dashboard’s query is answered: %s',
    (where, { expr, legendFormat }) => {
      const answer = seen.answers.get(where);
      expect(typeof answer === 'string' ? `${expr}: ${answer}` : '').toBe('');
      const series = answer as Series[];
      // There was a kill, so none of them may be empty, nor be without a number.
      expect(series, expr).not.toEqual([]);
      expect(
        series.filter(({ value }) => !Number.isFinite(Number(value[1]))),
        expr,
      ).toEqual([]);
      // What the legend names is there to be named.
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        expect(
          series.every(({ metric }) => metric[label as string] !== undefined),
          `${label}: ${expr}`,
        ).toBe(true);
    },
  );

  it('the dashboard shows the kill, the guard’s work and memory as numbers above nothing', () => {
    const highest = (where: string): number => {
      const answer = seen.answers.get(where);
      return Array.isArray(answer) ? Math.max(...answer.map(({ value }) => Number(value[1]))) : Number.NaN;
    };
    expect(ABOVE_NOTHING.filter((where) => !(highest(where) > 0))).toEqual([]);
    expect(highest('Kills, 24 h: A')).toBe(1);
  });

  it('the dashboard finds the machine', () => {
    expect(seen.instances).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
  });

  it('every metric that the rules name is one of the exporter’s', () => {
    const rules = readFileSync(path.join(MONITORING, 'rules/oom-backstop.yml'), 'utf8').replace(/^\s*#.*$/gm, '');
    const named = new Set(rules.match(/\boom_backstop_\w+/g));
    expect(named.size).toBeGreaterThan(15);
    const { samples, types } = seen.exposition;
    const there = new Set([...types.keys(), ...[...samples.keys()].map((sample) => sample.split('{', 1)[0] as string)]);
    expect([...named].filter((name) => !there.has(name))).toEqual([]);
  });
});

/** All that happens. What is to be ended is added to `ends` as soon as it has begun. */
async function course(ends: (() => Promise<void> | void)[]): Promise<Seen> {
  const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-prometheus-'));
  const runtimeDir = mkdtempSync(path.join(SHM, 'oom-backstop-prometheus-'));
  for (const each of [directory, runtimeDir]) ends.push(() => rmSync(each, { recursive: true, force: true }));

  let exporter = await TestExporter.start(runtimeDir);
  ends.push(() => exporter.end());
  const prometheus = await TestPrometheus.start(directory, exporter.port, INTERVAL);
  ends.push(() => prometheus.end());
  const stage = new Stage();
  ends.push(() => stage.end());
  const startGuard = (...limits: string[]): Promise<{ pid: number }> =>
    stage.start(bin('oom-backstop'), [...limits, '-r', '0', '--runtime-dir', runtimeDir], HEADROOM_MIB);
  const becomes = (status: number): Promise<Answer> =>
    eventually(`/healthz ${status}`, async () => {
      const answer = await exporter.get('/healthz');
      return answer.status === status ? answer : null;
    });
  const scrape = async (): Promise<Exposition> => readExposition((await exporter.get('/metrics')).body);
  const alert = (name: string, there: boolean): Promise<Alert[]> =>
    eventually(`${name} ${there ? 'to come' : 'to go'}`, async () => {
      const alerts = await prometheus.alerts();
      return alerts.some(({ labels }) => labels['alertname'] === name) === there ? alerts : null;
    });

  // A kill.
  await startGuard('-M', 'LIMITS');
  const healthWhileUp = await becomes(200);
  const killsBefore = await eventually('the first scrapes', async () => {
    const scrapes = await prometheus.value('min(count_over_time(oom_backstop_kills_total[1m]))');
    return (scrapes ?? 0) >= 3 ? await prometheus.query('oom_backstop_kills_total') : null;
  });
  // What was true before there was a guard has to be over, or it would be among the alerts below.
  await alert('OomBackstopGuardDown', false);
  await alert('OomBackstopStatePageUnreadable', false);
  const balloon = await stage.balloon({ rateMibPerS: 400, maxMib: 500 });
  const killsAfter = await eventually('the kill in Prometheus', async () => {
    const kills = await prometheus.value('sum(oom_backstop_kills_total)');
    return kills !== null && kills > 0 ? await prometheus.query('oom_backstop_kills_total') : null;
  });
  const alertsAfterKill = await alert('OomBackstopKilled', true);
  // If it doesn't come, others on this machine have taken that memory.
  await eventually('the victim’s memory to be back', async () =>
    ((await prometheus.value('oom_backstop_memory_back_seconds_count')) ?? 0) > 0 ? true : null,
  );

  // A guard that hangs.
  await stage.signal('SIGSTOP');
  const stoppedMs = performance.now();
  const healthWhileStopped = await becomes(503);
  const stoppedUntil503Ms = performance.now() - stoppedMs;
  const alertsWhileStopped = await alert('OomBackstopGuardDown', true);
  await stage.signal('SIGCONT');
  const healthAfterwards = await becomes(200);
  const alertsAfterwards = await alert('OomBackstopGuardDown', false);

  // A guard that is restarted.
  const beforeRestart = await scrape();
  await stage.stop();
  // Far from its limit: what others on this machine do is not to be noticed either.
  await startGuard('-m', '1,1');
  const afterRestart = await eventually('the new guard’s counters', async () => {
    const now = await scrape();
    const starts = (exposition: Exposition): number => exposition.samples.get('oom_backstop_starts_total') ?? 0;
    return starts(now) > starts(beforeRestart) && now.samples.get('oom_backstop_guard_up') === 1 ? now : null;
  });

  // An exporter that is killed.
  await eventually('a scrape of the new guard', async () =>
    (await prometheus.value('oom_backstop_starts_total')) === afterRestart.samples.get('oom_backstop_starts_total')
      ? true
      : null,
  );
  // While it rehearses it opens files and closes them again.
  const withExporter = await eventually('a guard at rest', async () => {
    const { openFiles } = await stage.look();
    await sleep(REST_MS);
    const later = await stage.look();
    return openFiles.join() === later.openFiles.join() ? later : null;
  });
  const sinceS = Date.now() / 1000;
  await exporter.end('SIGKILL');
  const ticks = (): number =>
    readFileSync(path.join(runtimeDir, STATE_FILE)).readDoubleLE(NUMBERS_AT + numberIndex('ticksTotal') * 8);
  const first = ticks();
  const scrapesFailed = await eventually('a scrape that failed', async () => {
    const failed = await prometheus.value('sum(count_over_time((up{job="oom-backstop"} == 0)[1m:500ms]))');
    return (failed ?? 0) > 0 && ticks() > first ? failed : null;
  });
  const ticksWithout = { first, last: ticks() };
  const withoutExporter = await stage.look();
  exporter = await TestExporter.start(runtimeDir, exporter.port);
  const backS = Date.now() / 1000;
  await eventually('the series to go on', async () => {
    const atS = await prometheus.value('timestamp(oom_backstop_ticks_total)');
    return atS !== null && atS > backS ? true : null;
  });
  const window = `${Math.ceil(Date.now() / 1000 - sinceS) + 5}s`;
  const ticksInPrometheus = {
    samples: (await prometheus.value(`count_over_time(oom_backstop_ticks_total[${window}])`)) ?? 0,
    resets: (await prometheus.value(`resets(oom_backstop_ticks_total[${window}])`)) ?? -1,
    rise: (await prometheus.value(`increase(oom_backstop_ticks_total[${window}])`)) ?? 0,
  };

  // The dashboard.
  await sleep(1000); // Two more scrapes, so that there is a rate of everything.
  const answers = new Map<string, Series[] | string>();
  for (const { where, expr } of dashboardQueries()) {
    const answer = await prometheus.query(substituted(expr, VARIABLES)).catch((error: Error) => error.message);
    answers.set(where, answer);
  }
  const definition = dashboard.templating.list.find(({ type }) => type === 'query')?.definition ?? '';
  const [, metric = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(definition) ?? [];
  return {
    balloon,
    killsBefore,
    killsAfter,
    alertsAfterKill,
    healthWhileUp,
    healthWhileStopped,
    stoppedUntil503Ms,
    alertsWhileStopped,
    healthAfterwards,
    alertsAfterwards,
    beforeRestart,
    afterRestart,
    withExporter,
    withoutExporter,
    ticksWithout,
    scrapesFailed,
    ticksInPrometheus,
    answers,
    instances: await prometheus.labelValues(metric, label),
    exposition: await scrape(),
  };
}
