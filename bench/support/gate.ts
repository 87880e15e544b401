/*
 * One gate of bench:gate, in a process of its own: `node --max-semi-space-size=1 gate.mjs WORK TIMES`. Prepares and seals a whole
 * guard as start-up does, then does the work so often, and prints what that cost as JSON: { collections, fdGrowth, rssGrowthKib, us }.
 *
 * Collections are counted by the engine's own events, which a loop that never returns can't hide: they are
 * delivered once it has ended. Those that began while it ran, that is: in the turns that follow Node tells of each child
 * that a kill has ended, which on a slow machine makes more garbage than 500 kills.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { Moment, monotonicMs, ThreadCpuTime } from '../../native-shims/clock.js';
import { compileAtNextCall, setEngineFlag } from '../../native-shims/engine.js';
import { O_RDONLY, O_WRONLY, open } from '../../native-shims/files.js';
import { cString } from '../../native-shims/libc.js';
import { openPipe } from '../../native-shims/pipe.js';
import { PollSet } from '../../native-shims/poll.js';
import { NonBlockingWriter } from '../../native-shims/write.js';
import { parseGuardOptions } from '../../src/cli/guard-options.js';
import { Cadence } from '../../src/decide/cadence.js';
import { openMeminfo, openProcfs } from '../../src/guard/machine.js';
import { openPressureRules, RULE_POLL_SLOTS } from '../../src/guard/pressure-rules.js';
import { ALWAYS_TERM, NEVER } from '../../src/guard/rehearse.js';
import { prepareGuard, prepareProcess, sealGuard } from '../../src/guard/start.js';
import { emptyMeminfo } from '../../src/kernel/meminfo.js';
import { JsonLog } from '../../src/report/json-log.js';
import { Log } from '../../src/report/log.js';
import { saySending } from '../../src/report/messages.js';
import { copyLimits } from '../../src/shared/limits.js';
import { DEFAULT_RULE } from '../../src/shared/rules.js';
import { emptyVictim } from '../../src/shared/victim.js';
import { NUMBERS_AT, numberIndex, STATE_FILE } from '../../src/state/layout.js';

const [work = '', times = '0'] = process.argv.slice(2);
const kills = work.startsWith('kill');
const ticks = kills || work.startsWith('tick');
const traces = work.endsWith('with a trace');
const logsAsJson = work.includes(' JSON');

/** Full after a few hundred lines. */
const PIPE_BYTES = 64 * 1024;

/** A gate that kills is among the first processes of its namespace. */
const PIDS_OF_A_NAMESPACE_MAX = 10;

/** Of one file of incident records. */
const RECORDS_BYTES_MAX = 1024 * 1024;

/** How much later than it says itself the page may be written. */
const PAGE_LATE_MS_MAX = 1000;

prepareProcess('oom-backstop');
const log = new Log('rehearsal');
// Said in earnest as JSON, to where everything fits: what goes to a stream as text is another gate's.
log.quiet = !logsAsJson;
if (logsAsJson)
  log.useJson(new JsonLog(NonBlockingWriter.forOwnFd(work.endsWith('nobody reads') ? unreadPipe() : devNullFd()), 0));
/** As nobody would: a report at each tick. */
const REPORT_AT_EACH_TICK_S = '0.000001';
const sampler = openMeminfo('/proc');
const matchers = [
  'prefer:cmdline=/(worker|renderer) *$/',
  'avoid:exe=/usr/bin/*',
  'protect:unit=ssh*.service',
  'protect:user=1',
];
// In memory, or nothing would be recorded.
const runtimeDir = mkdtempSync('/dev/shm/oom-backstop-gate-');
process.on('exit', () => rmSync(runtimeDir, { recursive: true }));
const args = ['--runtime-dir', runtimeDir];
if (!kills) args.push('--dryrun');
if (work === 'match') args.push(...matchers.flatMap((matcher) => ['--match', matcher]));
if (work.startsWith('tick') && logsAsJson) args.push('-r', REPORT_AT_EACH_TICK_S);
if (traces) args.push('--record', `${runtimeDir}/trace.ndjson`);
const request = parseGuardOptions(args, 'oom-backstop', log, () => sampler.memory);
if (request.kind !== 'run') throw new Error('not the options of a guard');
// A whole guard, which can't be provoked; and if it were, it could choose nobody but itself, which it never does.
const options = { ...request.options, limits: NEVER };
options.selection.onlyPid = process.pid;
const prepared = prepareGuard(options, openProcfs('/proc'), sampler, log);
const { guard, watch, selector, shortlist } = prepared;
if ((shortlist === null) !== traces) throw new Error('a guard without a shortlist, or with one and a trace');
const victim = emptyVictim();

const now = new Moment();
now.update();
const share = { sweepShare: 0.1 };
const sweep = (): void => {
  now.ms += 10;
  shortlist?.advance(share, now);
  shortlist?.fill(selector.table);
};

/** Kills are dear. */
const RUNS_UNTIL_KNOWN = 3;
const COMPILED_AFTER = kills ? 100 : 1000;
/** What is done besides what is measured. */
const WARM_SHARE = 1 / 20;

/** Who is going to be killed, one at each run. Only in a PID namespace of its own (bench/gate.mjs). */
const children = kills
  ? startChildren(COMPILED_AFTER + RUNS_UNTIL_KNOWN + 1 + Math.ceil(Number(times) * (1 + WARM_SHARE)) + 1)
  : [];
let killed = 0;
const never = copyLimits(NEVER);
const term = copyLimits(ALWAYS_TERM);

function devNullFd(): number {
  return open(cString('/dev/null'), O_WRONLY);
}

function unreadPipe(): number {
  const pipe = openPipe(PIPE_BYTES);
  if (typeof pipe === 'number') throw new Error('no pipe');
  return pipe.writeFd;
}

function startChildren(count: number): Int32Array {
  if (process.pid > PIDS_OF_A_NAMESPACE_MAX) throw new Error('not in a PID namespace of its own');
  return Int32Array.from({ length: count }, () => spawn('sleep', ['300'], { stdio: 'ignore' }).pid ?? 0);
}

const killOne = (): void => {
  const pid = children[killed++] as number;
  if (!(pid > 0)) throw new Error('nobody is left to kill');
  const before = guard.ended;
  prepared.selection.onlyPid = pid;
  prepared.policy.limits = term;
  // It has nothing to wait for, and would wait for a second.
  watch.lookAgain(1);
  while (guard.ended === before) guard.tick();
  prepared.policy.limits = never;
  prepared.selection.onlyPid = process.pid;
  // Memory is back: what the kill has left to tell is written.
  guard.tick();
};

/** A look while memory is low and everything stalls, by a rule for the machine and by one for each cgroup at the top. */
const rulePolls = new PollSet(RULE_POLL_SLOTS);
const cgroupRule = { ...DEFAULT_RULE, name: 'cgroups', cgroup: '*', availableBelowPercent: null };
const rules = openPressureRules([DEFAULT_RULE, cgroupRule], '/proc', rulePolls, 0, log);
const low = Object.assign(emptyMeminfo(), sampler.memory);
low.memAvailableKib = Math.floor(low.anonPagesKib / 20);
const lookByRules = (): void => {
  now.ms += 50.25;
  rules?.look(low, now);
  rules?.follow(low, true, now);
};

/** A look of the cadence's, alone, while memory stands at the limit and then falls: the machine's own does neither. */
const cadence = new Cadence(0, new ThreadCpuTime());
const standing = Object.assign(emptyMeminfo(), sampler.memory);
const standingLimits = copyLimits({ ...NEVER, memTermPercent: 5.5, swapTermPercent: 100 });
let looks = 0;
const lookAtStanding = (): void => {
  now.ms += 10.25;
  looks++;
  standing.memAvailableKib = Math.floor(low.memAvailableKib / 2) - (looks % 1000 === 0 ? 4096 : 0);
  cadence.observe(standing, standingLimits, false, now);
};

/** Each kill has left a record and its events, and all of them together no more than two files of a bound. */
const checkRecords = (): void => {
  const names = ['incidents.ndjson', 'incidents.1.ndjson', 'events.ndjson'];
  const sizes = names.map((name) => statSync(`${runtimeDir}/${name}`).size);
  if (sizes.some((size) => size === 0 || size > RECORDS_BYTES_MAX)) throw new Error(`records of ${sizes} bytes`);
};

/** The state page in the file is this guard's, was written by its last tick, and has counted each kill. */
const checkPage = (): void => {
  const page = readFileSync(`${runtimeDir}/${STATE_FILE}`);
  const number = (name: string): number => page.readDoubleLE(NUMBERS_AT + numberIndex(name) * 8);
  const kills = number('killsTotal:oom-backstop:limit:term');
  const dropped = number('droppedEventsTotal');
  const ageMs = monotonicMs() - number('heartbeatMonotonicMs');
  if (number('pid') !== process.pid || ageMs > number('waitMs') + PAGE_LATE_MS_MAX)
    throw new Error('no state page of this guard');
  if (kills !== killed || dropped !== 0) throw new Error(`${kills} kills of ${killed}, ${dropped} events dropped`);
};

/** What escapes here can't be optimised away. */
const kept: unknown[] = [null];
const buffers: Buffer[] = [];
const devNull = cString('/dev/null');
let leakedTicks = 0;

const WORK: Record<string, () => void> = {
  tick: () => void watch.lookAgain(1),
  scan: () => void selector.select(),
  match: () => {
    selector.select();
    selector.matchAll();
  },
  sweep,
  rules: lookByRules,
  standing: lookAtStanding,
  victim: () => {
    selector.describe(selector.table.pid.indexOf(process.pid), victim);
    saySending(log, 'SIGTERM', victim);
  },
  kill: killOne,
  'tick with a trace': () => void watch.lookAgain(1),
  'kill with a trace': killOne,
  'tick with a report as JSON': () => void watch.lookAgain(1),
  'tick with a report as JSON that nobody reads': () => void watch.lookAgain(1),
  'kill with JSON lines': killOne,
  'rules with a JSON log': lookByRules,
  // The controls: each makes one gate fail.
  'kill that makes objects': () => {
    killOne();
    kept[0] = Array.from({ length: 500 }, () => ({ at: killed }));
  },
  'tick with a report as JSON that makes a string': () => {
    watch.lookAgain(1);
    kept[0] = JSON.stringify({ schema: 1, memAvailableKib: sampler.memory.memAvailableKib });
  },
  'kill with JSON lines that makes objects': () => {
    killOne();
    kept[0] = Array.from({ length: 500 }, () => ({ at: killed }));
  },
  'tick that makes an object': () => {
    watch.lookAgain(1);
    kept[0] = { at: process.pid };
  },
  'scan that makes strings': () => {
    selector.select();
    kept[0] = Array.from(selector.table.pid.subarray(0, selector.table.count), String);
  },
  'tick that leaks an fd': () => {
    watch.lookAgain(1);
    leakedTicks++;
    if (leakedTicks % 1000 === 0) open(devNull, O_RDONLY);
  },
  'tick that leaks memory': () => {
    watch.lookAgain(1);
    if (buffers.length < 8000) buffers.push(Buffer.alloc(4096, 1));
  },
};

const run = WORK[work];
if (run === undefined) throw new Error(`no such work: ${work} (valid: ${Object.keys(WORK).join(', ')})`);

// What the guard does only once a kill is compiled for this only.
for (let i = 0; i < COMPILED_AFTER; i++) run();
await sealGuard(prepared, log);
// The guard is compiled; what calls it here would make garbage of its own.
setEngineFlag('--opt');
for (let i = 0; i < RUNS_UNTIL_KNOWN; i++) run();
compileAtNextCall([{ prototype: WORK }]);
run();
setEngineFlag('--no-opt');
for (let i = Number(times) * WARM_SHARE; i > 0; i--) run();
// What that and the rehearsal have left is not the work's. Only the young: a full collection would throw compiled code away.
(globalThis.gc as unknown as (options: object) => void)({ type: 'minor' });

let collections = 0;
let fromMs = Number.POSITIVE_INFINITY;
let untilMs = Number.NEGATIVE_INFINITY;
const observer = new PerformanceObserver((list) => {
  for (const { startTime } of list.getEntries()) if (startTime >= fromMs && startTime < untilMs) collections++;
});
observer.observe({ entryTypes: ['gc'] });

const fds = (): number => readdirSync('/proc/self/fd').length;
const rssKib = (): number => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);

setImmediate(() => {
  // Asked once before, so that asking costs nothing new.
  fds();
  rssKib();
  const fdsBefore = fds();
  const rssBefore = rssKib();
  fromMs = performance.now();
  const startedMs = monotonicMs();
  for (let i = Number(times); i > 0; i--) run();
  untilMs = performance.now();
  const us = ((monotonicMs() - startedMs) * 1000) / Number(times);
  const result = { fdGrowth: fds() - fdsBefore, rssGrowthKib: rssKib() - rssBefore, us };
  // The engine's events come with the turns that follow.
  setTimeout(() => {
    observer.disconnect();
    if (kills) checkRecords();
    if (ticks) checkPage();
    process.stdout.write(`${JSON.stringify({ collections, ...result })}\n`);
    process.exit(0);
  }, 100);
});
