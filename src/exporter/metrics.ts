/*
 * The metrics: one table of names, types, help and labels, and where each value comes from. The README's table and the
 * exposition are made from it. Units are Prometheus's base units, labels have few values that are known beforehand: never
 * a pid or a process's name.
 *
 * Where a value is not known there is no series. A counter never falls: without a state page it is absent, not zero. What
 * the guard has sampled goes when its heartbeat is stale, because nobody knows whether it is still so; its counters stay.
 */
import { userMemTotalKib } from '../decide/limits.js';
import { heartbeatAgeMs } from '../observe/health.js';
import type { Look } from '../observe/look.js';
import {
  FAILURES,
  HOOK_RESULTS,
  HOOKS,
  KILL_BOUNDS_MS,
  LAG_BOUNDS_MS,
  LAYOUT_VERSION,
  LEVELS,
  PERSONAS,
  REASONS,
  SIGNALS,
  TICK_BOUNDS_MS,
} from '../state/layout.js';
import type { StatePage } from '../state/page-reader.js';

type Labels = Readonly<Record<string, string>>;

interface Sample {
  labels: Labels;
  value: number;
}

interface HistogramSample {
  /** Upper bounds and their counts, cumulative; without +Inf, which is `count`. */
  buckets: readonly { le: number; count: number }[];
  sum: number;
  count: number;
}

interface Row {
  name: string;
  help: string;
  /** Each with its values, or with words about them. */
  labels: Readonly<Record<string, readonly string[] | string>>;
  /** For the README: as long as there is a page, as long as the guard is up, or always. */
  present: 'page' | 'up' | 'always';
}

interface PlainRow extends Row {
  type: 'counter' | 'gauge';
  read: (look: Look) => Sample[];
}

interface HistogramRow extends Row {
  type: 'histogram';
  read: (look: Look) => HistogramSample | null;
}

export type MetricRow = PlainRow | HistogramRow;

const PREFIX = 'oom_backstop';
const BYTES_PER_KIB = 1024;
const MS_PER_S = 1000;
const US_PER_S = 1_000_000;
const STALLS = ['some', 'full'] as const;

/** One value without labels. */
function single(value: number | null): Sample[] {
  return value === null ? [] : [{ labels: {}, value }];
}

/** Of the page, if there is one. */
function ofPage(read: (page: StatePage) => Sample[]): (look: Look) => Sample[] {
  return ({ page }) => (page === null ? [] : read(page));
}

/** Of the page, while the guard writes it. */
function whileUp(read: (page: StatePage) => Sample[]): (look: Look) => Sample[] {
  return ({ page, health }) => (page === null || !health.up ? [] : read(page));
}

/** A number of the page, in another unit. */
function scaled(page: StatePage, name: string, by: number): number | null {
  const value = page.number(name);
  return value === null ? null : value * by;
}

/** A time of the page, which is in ms. */
function seconds(page: StatePage, name: string): Sample[] {
  const ms = page.number(name);
  return single(ms === null ? null : ms / MS_PER_S);
}

/** A counter of the page for each label's value: `name:value` in the layout. */
function eachOf(label: string, values: readonly string[], name: string): (look: Look) => Sample[] {
  return ofPage((page) => values.flatMap((value) => labelled({ [label]: value }, page.number(`${name}:${value}`))));
}

function labelled(labels: Labels, value: number | null): Sample[] {
  return value === null ? [] : [{ labels, value }];
}

function counter(name: string, help: string, number: string, by = 1): PlainRow {
  const read = ofPage((page) => single(scaled(page, number, by)));
  return { name: `${PREFIX}_${name}`, type: 'counter', help, labels: {}, present: 'page', read };
}

function sampled(name: string, help: string, read: (page: StatePage) => number | null): PlainRow {
  return {
    name: `${PREFIX}_${name}`,
    type: 'gauge',
    help,
    labels: {},
    present: 'up',
    read: whileUp((page) => single(read(page))),
  };
}

function histogram(name: string, help: string, numbers: string, boundsMs: readonly number[]): HistogramRow {
  return {
    name: `${PREFIX}_${name}`,
    type: 'histogram',
    help,
    labels: {},
    present: 'page',
    read: ({ page }) => (page === null ? null : histogramIn(page, numbers, boundsMs)),
  };
}

/** The page counts each bucket for itself; Prometheus wants to know how many are at or below its bound. */
function histogramIn(page: StatePage, name: string, boundsMs: readonly number[]): HistogramSample | null {
  const sumMs = page.number(`${name}SumMs`);
  const beyond = page.number(`${name}BucketInf`);
  const counts = boundsMs.map((_, bucket) => page.number(`${name}Bucket${bucket}`));
  if (sumMs === null || beyond === null || counts.includes(null)) return null;
  let count = 0;
  const buckets = boundsMs.map((boundMs, bucket) => {
    count += counts[bucket] ?? 0;
    return { le: boundMs / MS_PER_S, count };
  });
  return { buckets, sum: sumMs / MS_PER_S, count: count + beyond };
}

/** KiB that the limits are shares of: MemAvailable + AnonPages. */
function userTotalKib(page: StatePage): number | null {
  const memAvailableKib = page.number('memAvailableKib');
  const anonPagesKib = page.number('anonPagesKib');
  if (memAvailableKib === null || anonPagesKib === null) return null;
  return userMemTotalKib({ memAvailableKib, anonPagesKib, swapTotalKib: 0, swapFreeKib: 0 });
}

/** Bytes of a share in percent. */
function shareBytes(percent: number | null, ofKib: number | null): number | null {
  return percent === null || ofKib === null ? null : Math.round(((percent * ofKib) / 100) * BYTES_PER_KIB);
}

const LIMIT_NUMBERS: Record<'mem' | 'swap', Record<(typeof LEVELS)[number], string>> = {
  mem: { term: 'memTermPercent', kill: 'memKillPercent' },
  swap: { term: 'swapTermPercent', kill: 'swapKillPercent' },
};

function limits(of: 'mem' | 'swap', totalKib: (page: StatePage) => number | null): (look: Look) => Sample[] {
  return whileUp((page) =>
    LEVELS.flatMap((level) => labelled({ level }, shareBytes(page.number(LIMIT_NUMBERS[of][level]), totalKib(page)))),
  );
}

export const METRICS: readonly MetricRow[] = [
  {
    name: `${PREFIX}_guard_up`,
    type: 'gauge',
    help: '1 while the heartbeat of the guard is fresh, 0 if it is stale or there is no state page that can be read.',
    labels: {},
    present: 'always',
    read: ({ health }) => single(health.up ? 1 : 0),
  },
  {
    name: `${PREFIX}_kills_total`,
    type: 'counter',
    help: 'Victims that have ended, by the last signal that they got (kernel: chosen and killed by the kernel, --kernel-oom) and why they were chosen. Without dry runs.',
    labels: { signal: SIGNALS, reason: REASONS, persona: PERSONAS },
    present: 'page',
    read: ofPage((page) =>
      PERSONAS.flatMap((persona) =>
        REASONS.flatMap((reason) =>
          SIGNALS.flatMap((signal) =>
            labelled({ signal, reason, persona }, page.number(`killsTotal:${persona}:${reason}:${signal}`)),
          ),
        ),
      ),
    ),
  },
  {
    name: `${PREFIX}_last_kill_timestamp_seconds`,
    type: 'gauge',
    help: 'When the last victim was chosen, Unix time. Absent if there was none.',
    labels: {},
    present: 'page',
    read: ofPage((page) => seconds(page, 'lastKillUnixMs')),
  },
  {
    name: `${PREFIX}_kernel_oom_kills_total`,
    type: 'counter',
    help: "Processes killed by the kernel's own OOM killer since boot, as the exporter reads it (oom_kill of /proc/vmstat): there without a guard as well. Counts those at the limits of cgroups (memory.max, containers) too.",
    labels: {},
    present: 'always',
    read: ({ kernelOomKills }) => single(kernelOomKills),
  },
  {
    name: `${PREFIX}_kill_failures_total`,
    type: 'counter',
    help: 'Kills that came to nothing: the victim outlived SIGTERM or SIGKILL, a system call failed, or nobody could be chosen.',
    labels: { reason: FAILURES },
    present: 'page',
    read: eachOf('reason', FAILURES, 'failuresTotal'),
  },
  counter('dryrun_kills_total', 'Kills that a dry run did not do.', 'dryrunKillsTotal'),
  {
    name: `${PREFIX}_limit_crossings_total`,
    type: 'counter',
    help: 'How often memory fell to a limit, or a PSI rule asked for that level; once for each time it was above before.',
    labels: { level: LEVELS },
    present: 'page',
    read: eachOf('level', LEVELS, 'crossingsTotal'),
  },
  histogram('kill_duration_seconds', 'From the first signal until the victim had ended.', 'kill', KILL_BOUNDS_MS),
  histogram(
    'memory_back_seconds',
    'From the first signal until the memory of the victim was back.',
    'back',
    KILL_BOUNDS_MS,
  ),
  counter(
    'freed_bytes_total',
    'Memory that victims gave back, as far as it was measured.',
    'freedKibTotal',
    BYTES_PER_KIB,
  ),
  sampled('mem_available_bytes', 'MemAvailable, with what the guard adds to it, as it was last sampled.', (page) =>
    scaled(page, 'memAvailableKib', BYTES_PER_KIB),
  ),
  sampled('mem_total_bytes', 'MemTotal.', (page) => scaled(page, 'memTotalKib', BYTES_PER_KIB)),
  sampled('user_mem_total_bytes', 'MemAvailable + AnonPages, what the limits on memory are shares of.', (page) => {
    const kib = userTotalKib(page);
    return kib === null ? null : kib * BYTES_PER_KIB;
  }),
  {
    name: `${PREFIX}_mem_limit_bytes`,
    type: 'gauge',
    help: 'At or below so much available memory the guard acts, if free swap is at or below its limit as well.',
    labels: { level: LEVELS },
    present: 'up',
    read: limits('mem', userTotalKib),
  },
  sampled('swap_free_bytes', 'SwapFree, with what the guard adds to it, as it was last sampled.', (page) =>
    scaled(page, 'swapFreeKib', BYTES_PER_KIB),
  ),
  sampled('swap_total_bytes', 'SwapTotal.', (page) => scaled(page, 'swapTotalKib', BYTES_PER_KIB)),
  {
    name: `${PREFIX}_swap_limit_bytes`,
    type: 'gauge',
    help: 'At or below so much free swap the limits on memory count. As large as all swap: swap does not matter.',
    labels: { level: LEVELS },
    present: 'up',
    read: limits('swap', (page) => page.number('swapTotalKib')),
  },
  {
    name: `${PREFIX}_psi_stall_seconds_total`,
    type: 'counter',
    help: 'Time that some task, or all non-idle tasks at once (full), waited for memory since boot, as the exporter reads it (/proc/pressure/memory). Absent without PSI.',
    labels: { kind: STALLS },
    present: 'always',
    read: ({ pressure }) =>
      pressure === null
        ? []
        : STALLS.map((kind) => ({ labels: { kind }, value: pressure[`${kind}TotalUs`] / US_PER_S })),
  },
  {
    name: `${PREFIX}_hook_runs_total`,
    type: 'counter',
    help: 'Runs of hooks and how they went: status 0 (ok), another status or a signal, not started, or longer than they may take.',
    labels: { hook: HOOKS, result: HOOK_RESULTS },
    present: 'page',
    read: ofPage((page) =>
      HOOKS.flatMap((hook) =>
        HOOK_RESULTS.flatMap((result) => labelled({ hook, result }, page.number(`hookRunsTotal:${hook}:${result}`))),
      ),
    ),
  },
  counter('sample_failures_total', 'How often /proc/meminfo could not be read.', 'sampleFailuresTotal'),
  counter('dropped_log_lines_total', 'Log lines that could not be written without waiting.', 'droppedLogLinesTotal'),
  counter('dropped_events_total', 'Events that could not be written to the event log.', 'droppedEventsTotal'),
  counter('ticks_total', 'How often the guard has looked at memory.', 'ticksTotal'),
  histogram('tick_duration_seconds', 'From waking up until waiting again.', 'tick', TICK_BOUNDS_MS),
  histogram('loop_lag_seconds', 'How much later than asked for the guard woke up.', 'lag', LAG_BOUNDS_MS),
  counter('starts_total', 'How often a guard has started with this state page.', 'startsTotal'),
  {
    name: `${PREFIX}_start_time_seconds`,
    type: 'gauge',
    help: 'When the guard was started, Unix time.',
    labels: {},
    present: 'page',
    read: ofPage((page) => seconds(page, 'startedUnixMs')),
  },
  {
    name: `${PREFIX}_heartbeat_timestamp_seconds`,
    type: 'gauge',
    help: 'When the guard last wrote its state page, Unix time.',
    labels: {},
    present: 'page',
    read: ofPage((page) => seconds(page, 'heartbeatUnixMs')),
  },
  {
    name: `${PREFIX}_heartbeat_age_seconds`,
    type: 'gauge',
    help: 'How long ago that was, by the monotonic clock. Negative: the state page is of before a reboot.',
    labels: {},
    present: 'page',
    read: ({ page, monotonicMs }) => {
      const ageMs = page === null ? Number.NaN : heartbeatAgeMs(page, monotonicMs);
      return Number.isFinite(ageMs) ? single(ageMs / MS_PER_S) : [];
    },
  },
  {
    name: `${PREFIX}_dryrun`,
    type: 'gauge',
    help: '1 if the guard runs with --dryrun and kills nobody.',
    labels: {},
    present: 'page',
    read: ofPage((page) => single(page.number('dryrun'))),
  },
  {
    name: `${PREFIX}_build_info`,
    type: 'gauge',
    help: '1, with the version of the guard, as whom it runs and the version of the layout of its state page.',
    labels: { version: 'of the guard', persona: PERSONAS, layout: `${LAYOUT_VERSION}` },
    present: 'page',
    read: ofPage(({ version, persona }) => [{ labels: { version, persona, layout: `${LAYOUT_VERSION}` }, value: 1 }]),
  },
  {
    name: `${PREFIX}_state_page_readable`,
    type: 'gauge',
    help: '1 if the exporter could read the state page of the guard; if not, its log and /healthz say why.',
    labels: {},
    present: 'always',
    read: ({ page }) => single(page === null ? 0 : 1),
  },
];
