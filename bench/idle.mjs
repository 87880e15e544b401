/*
 * bench:idle: what a guard costs while it has nothing to do, and how soon after its start it guards; side by side with
 * Debian's earlyoom and nohang, and with three floors: programs that do nothing but sleep for a second and read /proc/meminfo,
 * in C and in Node, and one in Node that only sleeps.
 *
 *   npm run bench:idle [-- --seconds 60 --near-seconds 20 --runs 10]
 *
 * Each for so many seconds after 3 s to settle, in a PID namespace and with --dryrun:
 *
 *   far     all at the same time: default limits, memory far above them; nohang with Debian's configuration
 *   near    one after the other, in turns: memory stands 64 MiB above the limit, which is where a guard looks most often. The limit is set by the
 *           MemAvailable of just before the start, less what the guard itself takes. A run is done again if the guard
 *           saw the limit crossed, or if memory has moved by more than half of that at the end. nohang accepts no limit
 *           above half of MemTotal: it is shown another /proc/meminfo instead, a plain file, cheaper to read by 4 us
 *
 *   CPU         of all threads (schedstat), per minute
 *   wake-ups    voluntary and other context switches of all threads, per minute
 *   memory      from status and smaps_rollup after the run. Each Node is a copy of its own: nobody shares its pages, so
 *               that PSS is what it would be on a machine without any other Node. Ours keeps a state page, as its unit does
 *   start       from fork until the guard names its limits, and, with memory short from the start (a /proc/meminfo that
 *               says so), until it says that it is, which is its first decision. Among 100 processes, one of them a
 *               likely victim: with nobody to kill but itself, earlyoom sleeps a second after its self-test
 */
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { machine, markdown, median, save, summary } from './measure.mjs';
import {
  compile,
  cpuMs,
  enterNamespace,
  honestMeminfo,
  meminfo,
  nohangConfig,
  nohangVersion,
  ofThreads,
  pretendMeminfo,
  Said,
  scratchDirectory,
} from './support/namespace.mjs';
import { SERVICE_ENVIRONMENT } from './support/service-environment.mjs';

const ROOT = path.resolve(import.meta.dirname, '..');
const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    'near-seconds': { type: 'string', default: '20' },
    runs: { type: 'string', default: '10' },
  },
});
const seconds = Number(flags.seconds);
const nearSeconds = Number(flags['near-seconds']);
const runs = Number(flags.runs);

const SETTLE_MS = 3000;
const HEADROOM_KIB = 64 * 1024;
const HEADROOM_MOVES_MIB_MAX = 32;
/** Memory may move: so many attempts at a run during which it does not. */
const ATTEMPTS_MAX = 20;
/** What the guard before had is back by then. */
const FREED_MS = 1000;
/** Starts are short and vary: so many for each run. */
const STARTS_PER_RUN = 5;
/** Arguments of support/crowd.c: processes, MiB and oom_score_adj of one more. */
const CROWD = ['100', '150', '1000'];
/** Lines of a guard that has seen its limit crossed. */
const FIRED = /^low memory!|STARTING implement_corrective_action/;
/** What memory is said to be, of MemTotal, where it is not the real one: nohang takes no limit above half. */
const PRETENDED = 0.4;

enterNamespace();
const about = { ...machine(), nohang: nohangVersion() };
if (about.earlyoom === 'not there') throw new Error('needs the peer: apt-get install earlyoom');

const scratch = scratchDirectory();
const stamp = compile(scratch, 'stamp');
const crowdProgram = compile(scratch, 'crowd');
copyFileSync(process.execPath, path.join(scratch, 'node'));
copyFileSync(process.execPath, path.join(scratch, 'node-floor'));
copyFileSync(process.execPath, path.join(scratch, 'node-asleep'));
const env = { PATH: `${scratch}:${process.env.PATH}` };

const earlyoomBasis = /v1\.[0-7]\b/.test(about.earlyoom) ? 'total' : 'user';
const GUARDS = [
  earlyoomLike('oom-backstop', path.join(ROOT, 'bin/oom-backstop'), 'user'),
  earlyoomLike(about.earlyoom.replace(' v', ' '), 'earlyoom', earlyoomBasis),
];
if (about.nohang !== null) GUARDS.push(nohang());
mkdirSync(path.join(scratch, 'fewer'));
copyFileSync(process.execPath, path.join(scratch, 'fewer/node'));
/** Ours where the admin allows waits of 4 s, which is as long as the free memory of a machine of 24 GiB makes safe; with a state page of its own. */
const FEWER_WAKE_UPS = {
  name: 'oom-backstop --max-wait 4s',
  program: path.join(ROOT, 'bin/oom-backstop'),
  far: () => ['--dryrun', '-r', '3600', '--max-wait', '4s'],
  env: {
    PATH: `${scratch}/fewer:${process.env.PATH}`,
    RUNTIME_DIRECTORY: path.join(SERVICE_ENVIRONMENT.RUNTIME_DIRECTORY, 'fewer'),
  },
};
/** What can't be undercut, in CPU and wake-ups: no decision, no log. Their memory is that of plain programs. */
const FLOORS = [
  { name: 'C floor', program: compile(scratch, 'floor'), far: () => [] },
  {
    name: 'Node floor',
    program: 'node-floor',
    far: () => [path.join(import.meta.dirname, 'support/floor.cjs'), path.join(ROOT, 'node_modules/koffi')],
  },
  {
    name: 'Node that only sleeps',
    program: 'node-asleep',
    far: () => [path.join(import.meta.dirname, 'support/floor.cjs'), path.join(ROOT, 'node_modules/koffi'), 'asleep'],
  },
];

function earlyoomLike(name, program, basis) {
  const args = ['--dryrun', '-r', '3600'];
  return {
    name,
    program,
    far: () => args,
    near: (ownKib) => [...args, '-M', sizeArgument(HEADROOM_KIB + ownKib, basis), '-s', '100'],
    starts: ['--dryrun', '-r', '3600', '-m', '50,1', '-s', '100'],
  };
}

/** For -M: a limit that is `headroomKib` below what is available now. See limitsFor in test/support/scenario.mjs. */
function sizeArgument(headroomKib, basis) {
  const { totalKib, availableKib, anonKib } = meminfo();
  const of = basis === 'total' ? totalKib : availableKib + anonKib;
  return (((availableKib - headroomKib) * totalKib) / of).toFixed(0);
}

function nohang() {
  const anySwap = { soft_threshold_min_swap: '100 %' };
  const short = { ...anySwap, soft_threshold_min_mem: '50 %', min_badness: '1000000' };
  return {
    name: `nohang ${about.nohang}`,
    program: 'nohang',
    far: () => ['--monitor', '--config', '/etc/nohang/nohang.conf'],
    near: () => {
      const availableKib = pretendShortMemory();
      const limit = `${Math.round((availableKib - HEADROOM_KIB) / 1024)} M`;
      const settings = { ...anySwap, soft_threshold_min_mem: limit };
      return ['--monitor', '--config', nohangConfig(scratch, 'near', settings)];
    },
    afterNear: honestMeminfo,
    starts: ['--monitor', '--config', nohangConfig(scratch, 'start', short)],
  };
}

/** Until honestMeminfo; returns what is available then. AnonPages is for the percent of user mem total. */
function pretendShortMemory() {
  const { totalKib } = meminfo();
  pretendMeminfo(scratch, { MemAvailable: totalKib * PRETENDED, AnonPages: totalKib / 2 });
  return totalKib * PRETENDED;
}

/** The figure of a "Key:   123" line. */
function figure(text, key) {
  return Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(text)[1]);
}

function counters(pid) {
  const switches = ofThreads(pid, (task) => {
    const status = readFileSync(`${task}/status`, 'latin1');
    return figure(status, 'voluntary_ctxt_switches') + figure(status, 'nonvoluntary_ctxt_switches');
  });
  return { cpuMs: cpuMs(pid).all, wakeups: switches.reduce((sum, count) => sum + count, 0) };
}

function memory(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const mib = (text, key) => figure(text, key) / 1024;
  return {
    rssMib: mib(status, 'VmRSS'),
    anonMib: mib(status, 'RssAnon'),
    fileMib: mib(status, 'RssFile'),
    pssMib: mib(rollup, 'Pss'),
    lockedMib: mib(rollup, 'Locked'),
    threads: figure(status, 'Threads'),
  };
}

/** One run of `seconds`; null if the guard fired. */
async function watch(guard, args, seconds) {
  const availableKib = meminfo().availableKib;
  const said = await Said.start(stamp, guard.program, args, guard.env ?? env);
  const fired = () => said.lines.some(({ text }) => FIRED.test(text));
  await sleep(SETTLE_MS);
  const before = counters(said.pid);
  for (let second = 0; second < seconds && !fired(); second++) await sleep(1000);
  const after = counters(said.pid);
  const sample = {
    cpuMsPerMin: ((after.cpuMs - before.cpuMs) * 60) / seconds,
    wakeupsPerMin: ((after.wakeups - before.wakeups) * 60) / seconds,
    ...memory(said.pid),
    fellMib: (availableKib - meminfo().availableKib) / 1024,
  };
  await said.stop();
  return fired() ? null : sample;
}

/** One run of a guard that takes `ownMib` itself; null if memory never keeps still. */
async function watchNear(guard, ownMib) {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    await sleep(FREED_MS);
    const sample = await watch(guard, guard.near(ownMib * 1024), nearSeconds);
    guard.afterNear?.();
    const movedMib = sample === null ? Number.POSITIVE_INFINITY : sample.fellMib - ownMib;
    if (Math.abs(movedMib) <= HEADROOM_MOVES_MIB_MAX) return { ...sample, headroomMib: HEADROOM_KIB / 1024 - movedMib };
    console.error(
      `near ${guard.name}: ${sample === null ? 'fired' : `memory moved by ${movedMib.toFixed(0)} MiB`}, again`,
    );
  }
  return null;
}

async function start(guard) {
  // Or Python would keep its lines for a while.
  const said = await Said.start(stamp, guard.program, guard.starts, { ...env, PYTHONUNBUFFERED: '1' });
  const decides = await said.line(FIRED);
  await said.stop();
  const limits = said.lines.find(({ text }) => text.startsWith('sending SIGTERM when'));
  return {
    ...(limits && { limitsMs: limits.atMs - said.startedMs }),
    decidesMs: decides.atMs - said.startedMs,
  };
}

/** The samples' figures, each with its median, least and greatest. */
function summaries(samples) {
  const keys = Object.keys(samples[0]);
  return Object.fromEntries(keys.map((key) => [key, summary(samples.map((sample) => sample[key]))]));
}

const samples = { far: new Map(), near: new Map(), start: new Map() };
function keep(situation, name, sample) {
  const list = samples[situation].get(name) ?? [];
  samples[situation].set(name, [...list, sample]);
  const rounded = Object.entries(sample).map(([key, value]) => `${key} ${value.toFixed(1)}`);
  console.error(`${situation} ${name}: ${rounded.join(', ')}`);
}

for (let run = 0; run < runs; run++) {
  const crowd = await Said.start(stamp, crowdProgram, CROWD);
  await crowd.line(/^ready/);
  pretendShortMemory();
  for (let turn = 0; turn < STARTS_PER_RUN; turn++) {
    for (const guard of GUARDS) keep('start', guard.name, await start(guard));
  }
  honestMeminfo();
  await crowd.stop();
  const all = [...GUARDS, FEWER_WAKE_UPS, ...FLOORS];
  const watched = await Promise.all(all.map((guard) => watch(guard, guard.far(), seconds)));
  watched.forEach((sample, index) => {
    const { name } = all[index];
    if (sample === null) throw new Error(`${name} fires at its default limits: this machine has no memory to spare`);
    keep('far', name, sample);
  });
  for (const guard of GUARDS) {
    const ownMib = median(samples.far.get(guard.name).map((sample) => sample.anonMib));
    // Of what it is shown it takes nothing.
    const sample = await watchNear(guard, guard.afterNear ? 0 : ownMib);
    if (sample !== null) keep('near', guard.name, sample);
  }
}

const results = Object.entries(samples).flatMap(([situation, guards]) =>
  [...guards].map(([name, list]) => ({ situation, name, ...summaries(list) })),
);
save('idle', { ...about, seconds, nearSeconds, runs, results });

const cells = ({ min, median: middle, max }) => `${middle} (${min}–${max})`;
const COLUMNS = {
  'CPU ms a minute': 'cpuMsPerMin',
  'wake-ups a minute': 'wakeupsPerMin',
  'RSS, MiB': 'rssMib',
  'of it anonymous': 'anonMib',
  'of files': 'fileMib',
  PSS: 'pssMib',
  locked: 'lockedMib',
  threads: 'threads',
  'headroom after, MiB': 'headroomMib',
};
const VARYING = new Set(['cpuMsPerMin', 'wakeupsPerMin']);
const rows = [['', '', ...Object.keys(COLUMNS)]];
for (const result of results.filter(({ situation }) => situation !== 'start')) {
  const shown = Object.values(COLUMNS).map((key) => (VARYING.has(key) ? cells(result[key]) : result[key]?.median));
  rows.push([result.situation, result.name, ...shown]);
}
const startRows = [['start, ms', 'to the limits on stderr', 'to the first decision']];
for (const result of results.filter(({ situation }) => situation === 'start')) {
  startRows.push([result.name, result.limitsMs && cells(result.limitsMs), cells(result.decidesMs)]);
}
console.log(
  `${about.date}, ${about.kernel}, ${about.cores} cores (${about.cpu}), Node ${about.node}, ${runs} runs of ${seconds} s far and ${nearSeconds} s near\n`,
);
console.log(`Medians (min–max)\n\n${markdown(rows)}\n\n${markdown(startRows)}`);
process.exit(0);
