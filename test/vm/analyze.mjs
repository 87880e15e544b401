/* What one case recorded (a directory, see guest.sh) as the columns of the table. Times in seconds since boot. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

const KIB_PER_MIB = 1024;
const LIMIT_PERCENT = 5;

const SAMPLE = { t: 0, availKib: 1, anonKib: 2, full10: 5, fullUs: 6 };

/** A machine on which everybody stalls for this share of this time has not got over it. */
const STALL_SHARE = 0.4;
const STALL_S = 0.5;

function text(directory, name) {
  const file = path.join(directory, name);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** The complete rows of a table of numbers. */
function rows(directory, name) {
  return text(directory, name)
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split('\t').map(Number))
    .filter((row) => row.length > 1 && row.every(Number.isFinite));
}

/** What happened; `failure` says why it can't be told. */
export function analyze(directory) {
  const events = text(directory, 'events');
  const samples = rows(directory, 'sample.tsv');
  const start = Number(
    /(?:balloon|bomb) pid \d+ start ([\d.]+)/.exec(text(directory, 'hog.log'))?.[1] ?? Number.parseFloat(events),
  );
  const from = samples.filter((row) => row[SAMPLE.t] >= start);
  if (from.length === 0 || !events.includes('hog exit')) {
    return { failure: 'the case did not finish', signals: [], othersLost: [], killed: '–', hogDied: false };
  }
  const endOfHog = Number.parseFloat(events.split('\n').find((line) => line.includes('hog exit')) ?? '');
  const window = from.filter((row) => row[SAMPLE.t] <= endOfHog + 0.3);
  const signals = guardSignals(text(directory, 'guard.log'), start);
  const kernel = kernelKills(text(directory, 'dmesg.txt'), start);
  const ended = /NOBODY KILLED IT IN TIME/.test(events);
  const killed = [...signals, ...kernel.global, ...kernel.local].map(
    ({ by, what, atS, rule }) => `${by}: ${what} at ${atS.toFixed(1)}${rule ? ` (rule ${rule})` : ''}`,
  );
  return {
    failure: null,
    signals,
    killed:
      killed.slice(0, 3).join('; ') + (killed.length > 3 ? ` (+${killed.length - 3})` : '') ||
      (ended ? 'nobody in time' : 'nobody'),
    hogDied: !ended,
    minAvailMib: Math.round(Math.min(...window.map((row) => row[SAMPLE.availKib])) / KIB_PER_MIB),
    fullMaxPercent: Number(Math.max(...from.map((row) => row[SAMPLE.full10])).toFixed(1)),
    gapS: longestGap(rows(directory, 'hbexec.tsv'), start - 0.5, endOfHog + 2),
    limitToBackS: limitToBack(from),
    overS: overAfter(from, start),
    kernelOom: kernel.global.length > 0,
    othersLost: othersLost(directory, events),
  };
}

/** The longest time between two beats in a window. */
function longestGap(beats, from, to) {
  const times = beats.map((row) => row[0]).filter((t) => t >= from && t <= to);
  const gaps = times.slice(1).map((t, index) => t - times[index]);
  return gaps.length === 0 ? Number.POSITIVE_INFINITY : Number(Math.max(...gaps).toFixed(2));
}

const isLow = (row) => (row[SAMPLE.availKib] * 100) / (row[SAMPLE.availKib] + row[SAMPLE.anonKib]) <= LIMIT_PERCENT;

/** When the last sample was at or below the limit, or everybody had stalled (PSI full) before it, s after the start; null: never. */
function overAfter(samples, start) {
  let last = null;
  let before = 0;
  for (const row of samples) {
    while (samples[before][SAMPLE.t] < row[SAMPLE.t] - STALL_S) before++;
    const stalledS = (row[SAMPLE.fullUs] - samples[before][SAMPLE.fullUs]) / 1e6;
    if (isLow(row) || stalledS >= STALL_SHARE * STALL_S) last = row[SAMPLE.t] - start;
  }
  return last === null ? null : Number(last.toFixed(1));
}

/** From the first sample at or below 5 % of user mem total to the first after it that is above again; null if it never was. */
function limitToBack(samples) {
  const first = samples.findIndex(isLow);
  if (first === -1) return null;
  const back = samples.slice(first).find((row) => !isLow(row));
  return back === undefined ? null : Number((back[SAMPLE.t] - samples[first][SAMPLE.t]).toFixed(2));
}

/** The guards' own words for a signal that they sent. */
const SIGNAL_LINES = [
  /^\[ *([\d.]+)\] .*?sending (SIG\w+) to process \d+ uid \d+ "([^"]+)"/,
  /^\[ *([\d.]+)\] .*?\[ OK \] Sending (SIG\w+) to ([\w.-]+)/,
  /^\[ *([\d.]+)\] .*?(Killed) (\S+) due to/,
];

/** Our own words for why: a PSI rule, or the limits. */
const RULE_LINE = /PSI rule "([^"]+)".*?: (?:some|full) [\d.]+ % of/;

function guardSignals(log, start) {
  let rule = null;
  return log.split('\n').flatMap((line) => {
    if (line.includes('low memory!')) rule = null;
    else rule = RULE_LINE.exec(line)?.[1] ?? rule;
    const match = SIGNAL_LINES.map((pattern) => pattern.exec(line)).find((found) => found !== null);
    const atS = match === undefined ? -1 : Number(match[1]) - start;
    // Lines from before belong to the case before.
    return match === undefined || atS < 0 ? [] : [{ by: 'guard', what: `${match[2]} ${match[3]}`, atS, rule }];
  });
}

function kernelKills(dmesg, start) {
  const kills = (pattern) =>
    [...dmesg.matchAll(pattern)].map((match) => ({ by: 'kernel', what: match[2], atS: Number(match[1]) - start }));
  return {
    global: kills(/\[ *([\d.]+)\] Out of memory: Killed process \d+ \(([^)]+)\)/g),
    local: kills(/\[ *([\d.]+)\] Memory cgroup out of memory: Killed process \d+ \(([^)]+)\)/g),
  };
}

/** Of the bystanders, sshd and systemd's daemons: who is gone, or is another process now. */
function othersLost(directory, events) {
  const scopes = [...events.matchAll(/ (\w+) (?:inactive|failed)$/gm)].map((match) => match[1]);
  const before = text(directory, 'pids.before').trim().split('\n');
  const after = new Set(text(directory, 'pids.after').trim().split('\n'));
  return [...scopes, ...before.filter((line) => !after.has(line)).map((line) => line.split(' ')[0])];
}
