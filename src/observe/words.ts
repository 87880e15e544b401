/* Numbers in words for people: the same in `status` and on the page. Pure. */
import { HOOK_RESULTS, HOOKS, type SIGNALS, TROUBLES } from '../state/layout.js';
import type { Decision, StatePage } from '../state/page-reader.js';

const KIB_PER_MIB = 1024;
const KIB_PER_GIB = 1024 * 1024;
const MS_PER_S = 1000;

/** `512 KiB`, `1170 MiB`, `6.4 GiB` */
export function size(kib: number | null): string {
  if (kib === null) return 'unknown';
  if (kib < KIB_PER_MIB) return `${Math.round(kib)} KiB`;
  if (kib < 4 * KIB_PER_GIB) return `${Math.round(kib / KIB_PER_MIB)} MiB`;
  return `${(kib / KIB_PER_GIB).toFixed(1)} GiB`;
}

/** `4.97 %` */
export function percent(value: number | null): string {
  return value === null ? 'unknown' : `${value.toFixed(2)} %`;
}

/** `2026-11-21 18:42:00 UTC` */
export function time(unixMs: number | null): string {
  const date = new Date(unixMs ?? Number.NaN);
  if (Number.isNaN(date.getTime())) return 'at an unknown time';
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** `43 ms`, `3.2 s`, `14 s`, `7 min`, `5 h`, `12 days` */
export function span(ms: number | null): string {
  if (ms === null) return 'unknown';
  if (ms < MS_PER_S) return `${Math.round(ms)} ms`;
  const s = ms / MS_PER_S;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 100) return `${Math.round(s)} s`;
  if (s < 120 * 60) return `${Math.round(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86_400)} days`;
}

const SIGNAL_WORDS: Record<(typeof SIGNALS)[number], string> = {
  term: 'SIGTERM',
  kill: 'SIGKILL',
  kernel: 'by the kernel',
};

export function signalOf(decision: Decision): string {
  return decision.signal === null ? 'no signal' : SIGNAL_WORDS[decision.signal];
}

/** `exited after 43 ms, gave back 1170 MiB` */
export function outcomeOf({ outcome, killMs, freedKib }: Decision): string {
  const after = killMs === null ? '' : ` after ${span(killMs)}`;
  return `${outcome}${after}${freedKib === null ? '' : `, gave back ${size(freedKib)}`}`;
}

/** All counters whose names begin so, added up; 0 where none is known. */
export function sumOf(page: StatePage, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (page.number(name) ?? 0), 0);
}

/**
 * What is not as it should be since the guard has started, each in words, though it is up; empty: all is well. Counters tell of all guards: where one has
 * risen, they are told as they are.
 */
export function complaints(page: StatePage): string[] {
  const failedHooks = HOOKS.flatMap((hook) =>
    HOOK_RESULTS.filter((result) => result !== 'ok').map((result) => `hookRunsTotal:${hook}:${result}`),
  );
  const stuckOnes = page.decisions
    .filter(({ outcome, unixMs }) => outcome === 'outlived SIGKILL' && unixMs >= (page.number('startedUnixMs') ?? 0))
    .map(({ comm, pid, unixMs }) => `"${comm}" (pid ${pid}) would not die: ${time(unixMs)}`);
  if (sumOf(page, TROUBLES) <= (page.number('troublesBefore') ?? 0)) return stuckOnes;
  return [
    counted(page, ['sampleFailuresTotal'], 'memory could not be read', 'time'),
    counted(page, ['droppedLogLinesTotal'], 'nobody read', 'log line'),
    counted(page, ['droppedEventsTotal'], 'could not be written', 'event'),
    counted(page, failedHooks, 'did not end well', 'hook run'),
    counted(page, ['failuresTotal:syscall'], 'failed by an error', 'kill'),
    counted(page, ['failuresTotal:nobody'], 'found nobody to kill', 'crossing'),
    ...stuckOnes,
  ].filter((line) => line !== null);
}

function counted(page: StatePage, names: readonly string[], what: string, unit: string): string | null {
  const count = sumOf(page, names);
  return count === 0 ? null : `${count} ${unit}${count === 1 ? '' : 's'}: ${what}`;
}
