/*
 * A guard that is sent SIGHUP, run as the first process of a PID namespace of its own, as scenario.mjs is
 * (`unshare --pid --fork --mount-proc node reload.mjs JSON`). The JSON: see ReloadScenario in reload.ts. On stdout, at the end: one
 * JSON object, see ReloadResult there.
 */
import { spawn } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const { guard: command, file, steps } = JSON.parse(process.argv[2]);
const HOG = path.join(import.meta.dirname, 'hog.mjs');
const STEP_MS_MAX = 30_000;

function meminfo() {
  const text = readFileSync('/proc/meminfo', 'latin1');
  const value = (key) => Number(new RegExp(`^${key}: +(\\d+)`, 'm').exec(text)[1]);
  return { availableKib: value('MemAvailable'), anonKib: value('AnonPages') };
}

/** The share of user mem total that is reached when `headroomMib` more are taken. */
function percentFor(headroomMib) {
  const { availableKib, anonKib } = meminfo();
  return (100 * (availableKib - headroomMib * 1024)) / (availableKib + anonKib);
}

/** Waits for `met`; says so if it never comes. */
async function until(met, what) {
  for (const deadline = Date.now() + STEP_MS_MAX; !met(); await sleep(5)) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}\nstderr: ${said.stderr}`);
    if (exit !== null)
      throw new Error(`the guard ended (${JSON.stringify(exit)}) before ${what}\nstderr: ${said.stderr}`);
  }
}

const said = { stdout: '', stderr: '' };
let exit = null;
let guard = null;
const notes = [];
const hogs = [];

function start() {
  guard = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  guard.stdout.setEncoding('utf8').on('data', (text) => (said.stdout += text));
  guard.stderr.setEncoding('utf8').on('data', (text) => (said.stderr += text));
  guard.on('exit', (code, signal) => (exit = { code, signal }));
}

/** What the kernel says of the guard, and of its children. */
function note() {
  const status = readFileSync(`/proc/${guard.pid}/status`, 'latin1');
  const value = (key) => new RegExp(`^${key}:\\s+(.*)$`, 'm').exec(status)[1];
  const stat = readFileSync(`/proc/${guard.pid}/stat`, 'latin1');
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => statOf(pid))
    .filter((fields) => fields !== null && Number(fields[1]) === guard.pid);
  notes.push({
    name: value('Name'),
    capEff: value('CapEff'),
    capAmb: value('CapAmb'),
    rssKib: Number.parseInt(value('VmRSS'), 10),
    lockedKib: Number.parseInt(value('VmLck'), 10),
    nice: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]),
    oomScoreAdj: Number(readFileSync(`/proc/${guard.pid}/oom_score_adj`, 'latin1')),
    fds: readdirSync(`/proc/${guard.pid}/fd`).length,
    children: children.length,
  });
}

/** The fields of stat after the name: state, ppid ...; null if it is gone. */
function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** Starts a hog and has it grow; it is noted when it has ended, or at the end of all steps. */
async function fire(options) {
  const child = spawn(process.execPath, [HOG, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const hog = { pid: child.pid, events: [], exit: null };
  hogs.push(hog);
  child.stdout.setEncoding('utf8').on('data', (text) => {
    hog.events.push(
      ...text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).event),
    );
  });
  child.on('exit', (code, signal) => (hog.exit = { code, signal }));
  await until(() => hog.events.includes('ready'), 'a ready hog');
  child.stdin.write(`${JSON.stringify({ limitPercent: -1, basis: 'user' })}\n`);
  return hog;
}

let mark = 0;
const DO = {
  write: (text) =>
    writeFileSync(
      file,
      text.replace(/LIMIT\((\d+)\)/g, (_, mib) => `${percentFor(Number(mib))}%`),
    ),
  replace: (text) => writeFileSync(command[0], text),
  start,
  hup: async ({ times, gapMs }) => {
    mark = said.stderr.length;
    for (let time = 0; time < times; time++) {
      guard.kill('SIGHUP');
      await sleep(gapMs);
    }
  },
  /** In what it has said since the last SIGHUP. */
  until: (pattern) => until(() => new RegExp(pattern).test(said.stderr.slice(mark)), pattern),
  sleep,
  note,
  fire: async (options) => {
    const hog = await fire(options);
    await until(() => hog.exit !== null, "a hog's end");
  },
  begin: fire,
  /** Ends the guard; another `start` is one that is started anew. */
  end: async (signal) => {
    guard.kill(signal);
    for (const deadline = Date.now() + STEP_MS_MAX; exit === null; await sleep(5)) {
      if (Date.now() > deadline) throw new Error(`the guard did not end by ${signal}`);
    }
    exit = null;
  },
  /** A second guard, until it has said so. */
  beside: async ({ args, until: pattern }) => {
    const second = spawn(command[0], [...command.slice(1), ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    second.stderr.setEncoding('utf8').on('data', (more) => (text += more));
    try {
      await until(() => new RegExp(pattern).test(text), `a second guard's ${pattern}, which said ${text}`);
    } finally {
      second.kill('SIGKILL');
    }
  },
  copy: ([from, to]) => copyFileSync(from, to),
};

for (const step of steps) {
  const [[name, argument]] = Object.entries(step);
  await DO[name](argument);
}
const pid = guard.pid;
const running = exit === null;
if (running) guard.kill('SIGTERM');
for (const deadline = Date.now() + 3000; exit === null && Date.now() < deadline; ) await sleep(5);
writeFileSync(1, JSON.stringify({ pid, running, exit, ...said, notes, hogs }));
process.exit(0);
