/*
 * One live-fire scenario, run as the first process of a PID namespace of its own
 * (`unshare --pid --fork --mount-proc node scenario.mjs JSON`): the guard in it sees, and can reach, only what
 * is started here. This process is the namespace's pid 1, which no guard ever chooses; when it ends, the
 * kernel ends whatever is left.
 *
 * The JSON: see Scenario in namespace.ts. On stdout, at the end: one JSON object, see ScenarioResult there.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const scenario = JSON.parse(process.argv[2]);
const HOG = path.join(import.meta.dirname, 'hog.mjs');
const HOG_READY_MS = 10_000;

function meminfo() {
  const text = readFileSync('/proc/meminfo', 'latin1');
  const value = (key) => Number(new RegExp(`^${key}: +(\\d+)`, 'm').exec(text)[1]);
  return { totalKib: value('MemTotal'), availableKib: value('MemAvailable'), anonKib: value('AnonPages') };
}

/** Starts a hog that waits; resolves when it is ready to grow. */
async function startHog(options) {
  const child = spawn(options.program ?? process.execPath, [HOG, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: options.ownGroup === true,
  });
  if (options.cgroup !== undefined) writeFileSync(path.join(options.cgroup, 'cgroup.procs'), String(child.pid));
  const hog = { pid: child.pid, events: [], exit: null, child };
  hog.ended = new Promise((resolve) => {
    child.on('exit', (code, signal) => {
      hog.exit = { code, signal, atMs: Number(process.hrtime.bigint()) / 1e6 };
      resolve();
    });
  });
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    hog.events.push(...lines.map((line) => JSON.parse(line)));
  });
  await until(hog, 'ready');
  return hog;
}

/** Waits for an event of a hog. */
async function until(hog, name) {
  const deadline = Date.now() + HOG_READY_MS;
  while (!hog.events.some(({ event }) => event === name)) {
    if (Date.now() > deadline || hog.exit !== null) throw new Error(`a hog was never ${name}`);
    await sleep(5);
  }
}

/** Starts a hog that has grown already. Its limit is one that nothing crosses. */
async function startBystander(options) {
  const hog = await startHog(options);
  hog.child.stdin.write(`${JSON.stringify({ limitPercent: -1, basis: 'user' })}\n`);
  await until(hog, 'full');
  return hog;
}

/** Starts a program that says "ready". */
async function startCrowd({ program, args }) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('exit', () => reject(new Error('the crowd did not stay')));
  });
}

/**
 * The guard's limits: TERM is crossed when the hogs have taken `headroomMib` from now on, KILL `killBelowMib`
 * further down. Given as -M, in KiB of MemTotal, which the guard turns into percent and compares with
 * percent of user mem total (of MemTotal where `basis` is "total": earlyoom 1.7; of what is left of it where it is "tmpfs":
 * what the tmpfs has taken).
 */
function limitsFor({ headroomMib, killBelowMib, basis }) {
  const { totalKib, availableKib, anonKib } = meminfo();
  const term = availableKib - headroomMib * 1024;
  // A tmpfs takes from user mem total what it takes from available memory; a hog turns one part of it into the other.
  const of = basis === 'total' ? totalKib : (basis === 'tmpfs' ? term : availableKib) + anonKib;
  const kill = term - killBelowMib * 1024;
  const asSize = (kib) => ((kib * totalKib) / of).toFixed(0);
  return { argument: `${asSize(term)},${asSize(kill)}`, termPercent: (100 * term) / of };
}

/** Mounts a tmpfs; only this mount namespace has it, and it goes with it. Returns where. */
function mountTmpfs({ maxMib }) {
  const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-tmpfs-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${maxMib}m`, 'tmpfs', directory]);
  if (status !== 0) throw new Error('a tmpfs could not be mounted');
  return directory;
}

/** Fills it, by this process, which no guard chooses. */
async function fillTmpfs(directory, { maxMib, rateMibPerS }) {
  const chunk = Buffer.alloc(1 << 20, 1);
  const fd = openSync(path.join(directory, 'file'), 'w');
  const startedMs = Date.now();
  for (let mib = 0; mib < maxMib - 1; mib++) {
    writeSync(fd, chunk);
    await sleep(Math.max(0, startedMs + (1000 * mib) / rateMibPerS - Date.now()));
  }
  closeSync(fd);
}

// The others, who stand by, before anybody who is measured.
if (scenario.crowd !== undefined) await startCrowd(scenario.crowd);

const bystanders = [];
for (const options of scenario.bystanders ?? []) bystanders.push(await startBystander(options));

const tmpfs = scenario.tmpfs === undefined ? null : mountTmpfs(scenario.tmpfs);

// Ready hogs first: their own start must not count as the crossing.
const hogs = [];
for (const options of scenario.hogs) hogs.push(await startHog(options));
const limits = limitsFor({ headroomMib: 260, killBelowMib: 10_000, basis: 'user', ...scenario.limits });

const args = scenario.guard.args.map((arg) => arg.replace('LIMITS', limits.argument));
const guard = spawn(scenario.guard.program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
const said = { stdout: '', stderr: '' };
guard.stdout.setEncoding('utf8').on('data', (text) => (said.stdout += text));
guard.stderr.setEncoding('utf8').on('data', (text) => (said.stderr += text));
let guardExit = null;
let stoppedWriter = null;
guard.on('exit', (code, signal) => (guardExit = { code, signal }));

const READY = /SIGKILL when/;
const ready = () => READY.test(said.stderr) || READY.test(said.stdout);
for (const deadline = Date.now() + 5000; !ready() && guardExit === null && Date.now() < deadline; ) await sleep(5);
await sleep(scenario.settleMs ?? 300);

if (scenario.stopsLogWriter === true) await stopLogWriter();

const go = { limitPercent: limits.termPercent, basis: scenario.limits?.basis ?? 'user' };
for (const hog of hogs) hog.child.stdin.write(`${JSON.stringify(go)}\n`);
if (tmpfs !== null) await fillTmpfs(tmpfs, scenario.tmpfs);
const finished =
  scenario.untilStderr === undefined && scenario.untilStdout === undefined
    ? Promise.all(hogs.map((hog) => hog.ended))
    : guardSays(scenario);
await Promise.race([finished, sleep(scenario.timeoutMs ?? 20_000)]);
await sleep(scenario.afterMs ?? 300); // hooks and last lines

if (stoppedWriter !== null) {
  process.kill(stoppedWriter, 'SIGCONT');
  // A line after it, for the notice to go before.
  await sleep(2500);
}

if (guardExit === null) guard.kill('SIGTERM');
for (const deadline = Date.now() + 3000; guardExit === null && Date.now() < deadline; ) await sleep(5);

const resultOf = ({ pid, events, exit }) => ({ pid, events, exit });
const result = {
  guardReady: ready(),
  guardPid: guard.pid,
  guardExit,
  ...said,
  termPercent: limits.termPercent,
  tmpfs,
  hogs: hogs.map(resultOf),
  bystanders: bystanders.map(resultOf),
};
writeFileSync(1, JSON.stringify(result));
process.exit(0);

/** Stops the log writer, and fills the pipe to it with what is no record. */
async function stopLogWriter() {
  const of = (pid, file) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'latin1');
    } catch {
      return '';
    }
  };
  const pid = readdirSync('/proc').find((each) => of(each, 'cmdline').startsWith('oom-backstop log'));
  stoppedWriter = Number(pid);
  process.kill(stoppedWriter, 'SIGSTOP');
  // All of its threads: one of them reads.
  const tasks = readdirSync(`/proc/${pid}/task`);
  while (!tasks.every((task) => /\) T /.test(of(`${pid}/task/${task}`, 'stat')))) await sleep(1);
  const fd = openSync(`/proc/${pid}/fd/0`, constants.O_WRONLY | constants.O_NONBLOCK);
  for (let bytes = 4096; bytes > 0; ) {
    try {
      writeSync(fd, Buffer.alloc(bytes, '\n'));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      bytes = Math.floor(bytes / 2);
    }
  }
  closeSync(fd);
}

async function guardSays({ untilStderr, untilStdout }) {
  const regex = new RegExp(untilStderr ?? untilStdout);
  while (!regex.test(untilStderr === undefined ? said.stdout : said.stderr)) await sleep(10);
}
