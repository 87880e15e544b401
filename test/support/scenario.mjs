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
  existsSync,
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
import { limitsFor, startHog, until } from './hogs.mjs';

/** It takes a second, and ten times as long on a slow machine. */
const SEALED_MS_MAX = 20_000;

const scenario = JSON.parse(process.argv[2]);

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
const limits = limitsFor(scenario.limits);

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
if (scenario.sealsIn !== undefined) await sealed(scenario.sealsIn);
await sleep(scenario.settleMs ?? 300);
const stdoutBefore = said.stdout.length;

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
  stdoutBefore,
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

/** Waits for the guard to be sealed. */
async function sealed(runtimeDir) {
  const events = path.join(runtimeDir, 'events.ndjson');
  const deadline = Date.now() + SEALED_MS_MAX;
  while (!existsSync(events) || !readFileSync(events, 'latin1').includes('"sealed"')) {
    if (Date.now() > deadline) throw new Error('the guard was never sealed');
    await sleep(50);
  }
}

async function guardSays({ untilStderr, untilStdout }) {
  const regex = new RegExp(untilStderr ?? untilStdout);
  while (!regex.test(untilStderr === undefined ? said.stdout : said.stderr)) await sleep(10);
}
