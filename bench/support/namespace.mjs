/*
 * What the benches share: a PID namespace to run guards in, what a guard says and when, and
 * the CPU time that it takes.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SERVICE_ENVIRONMENT } from './service-environment.mjs';

const SAYS_MS_MAX = 60_000;
const ENDS_MS_MAX = 5000;

/**
 * Starts this very script again as pid 1 of a PID namespace, and returns only there: the guards see, and can reach,
 * nobody but what is started from now on. When it ends, the kernel ends whatever is left.
 */
export function enterNamespace() {
  if (process.getuid() !== 0) throw new Error('needs root: PID namespaces');
  if (process.pid === 1) {
    // Pid 1 has no default action for them.
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));
    return;
  }
  const args = ['--pid', '--fork', '--mount-proc', '--kill-child', process.execPath, ...process.argv.slice(1)];
  try {
    execFileSync('unshare', args, { stdio: 'inherit' });
  } catch (error) {
    // It has said why.
    process.exit(error.status ?? 1);
  }
  process.exit(0);
}

/** A directory that goes when this process ends. */
export function scratchDirectory() {
  const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-bench-'));
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Compiles support/NAME.c; returns the program. */
export function compile(directory, name) {
  const program = path.join(directory, name);
  execFileSync('cc', ['-O2', '-o', program, path.join(import.meta.dirname, `${name}.c`)]);
  return program;
}

/** A program that runs, and its lines with the times at which they were written (support/stamp.c). */
export class Said {
  /** { atMs: on the monotonic clock, text }, in order. */
  lines = [];
  #child;
  #ended;
  #look = () => undefined;

  /** Resolves when the program has been started. */
  static async start(stamp, program, args, env = {}) {
    const said = new Said();
    said.#child = spawn(stamp, [program, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...SERVICE_ENVIRONMENT, ...env },
    });
    said.#ended = new Promise((resolve, reject) => said.#child.on('close', resolve).on('error', reject));
    said.#read();
    const { atMs } = await said.line(/^pid \d+$/);
    said.startedMs = atMs;
    said.pid = Number(said.lines[0].text.slice('pid '.length));
    return said;
  }

  #read() {
    let rest = '';
    this.#child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        const [stamp] = line.split(' ', 1);
        this.lines.push({ atMs: Number(stamp) / 1e6, text: line.slice(stamp.length + 1) });
      }
      this.#look();
    });
  }

  /** The first line that matches, of those from number `from` on: now or when it comes. One caller at a time. */
  async line(pattern, from = 0) {
    let timer;
    const found = new Promise((resolve, reject) => {
      this.#look = () => {
        const index = this.lines.findIndex((line, number) => number >= from && pattern.test(line.text));
        if (index !== -1) resolve({ index, ...this.lines[index] });
      };
      const fail = (why) => reject(new Error(`${why} ${pattern}:\n${this.lines.map(({ text }) => text).join('\n')}`));
      timer = setTimeout(() => fail('never said'), SAYS_MS_MAX);
      this.#ended.then(() => fail('ended before it said'), reject);
      this.#look();
    });
    try {
      return await found;
    } finally {
      clearTimeout(timer);
      this.#look = () => undefined;
    }
  }

  /** Ends it the gentle way; resolves when it has gone and all that it said is there. */
  async stop() {
    process.kill(this.pid, 'SIGTERM');
    const hard = setTimeout(() => process.kill(this.pid, 'SIGKILL'), ENDS_MS_MAX);
    await this.#ended;
    clearTimeout(hard);
  }
}

/** What `read` makes of the directory of each thread of `pid`, the main thread first. */
export function ofThreads(pid, read) {
  const threads = readdirSync(`/proc/${pid}/task`).sort((a, b) => Number(a) - Number(b));
  return threads.map((thread) => read(`/proc/${pid}/task/${thread}`));
}

/**
 * CPU time so far in ms, of the main thread and of all threads that live. The kernel brings the figure up to date when
 * a thread goes to sleep, so ask while it sleeps.
 */
export function cpuMs(pid) {
  const perThread = ofThreads(pid, (task) => Number(readFileSync(`${task}/schedstat`, 'latin1').split(' ')[0]) / 1e6);
  return { main: perThread[0], all: perThread.reduce((sum, ms) => sum + ms, 0) };
}

export function meminfo() {
  const text = readFileSync('/proc/meminfo', 'latin1');
  const value = (key) => Number(new RegExp(`^${key}: +(\\d+)`, 'm').exec(text)[1]);
  return { text, totalKib: value('MemTotal'), availableKib: value('MemAvailable'), anonKib: value('AnonPages') };
}

/**
 * Puts a copy over /proc/meminfo, in this mount namespace only, with other figures in it: { MemAvailable: kib, ... }.
 * Memory need not be filled then, and nobody else on the machine notices. Returns a function that changes the figures
 * again, for whoever has the copy open; its length stays the same.
 */
export function pretendMeminfo(directory, figures) {
  const { text } = meminfo();
  const withFigures = (more) => {
    let changed = text;
    for (const [key, kib] of Object.entries({ ...figures, ...more })) {
      const number = (_, head, digits) => head + String(Math.round(kib)).padStart(digits.length);
      changed = changed.replace(new RegExp(`^(${key}:)( +\\d+)`, 'm'), number);
    }
    return changed;
  };
  const file = path.join(directory, 'meminfo');
  writeFileSync(file, withFigures({}));
  execFileSync('mount', ['--bind', file, '/proc/meminfo']);
  const fd = openSync(file, 'r+');
  return (more) => writeSync(fd, withFigures(more), 0);
}

export function honestMeminfo() {
  execFileSync('umount', ['/proc/meminfo']);
}

const NOHANG_CONFIG = '/etc/nohang/nohang.conf';

/** The version of Debian's nohang (itself it does not know it), or null. */
export function nohangVersion() {
  try {
    const line = execFileSync('dpkg-query', ['--show', 'nohang'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return line.trim().split('\t')[1] || null;
  } catch {
    return null;
  }
}

/** Writes nohang's default configuration with some settings changed and lines added; returns the file. */
export function nohangConfig(directory, name, settings, lines = []) {
  let text = readFileSync(NOHANG_CONFIG, 'utf8');
  for (const [key, value] of Object.entries(settings)) {
    const changed = text.replace(new RegExp(`^${key} *=.*$`, 'm'), `${key} = ${value}`);
    if (changed === text) throw new Error(`${NOHANG_CONFIG} has no other ${key}`);
    text = changed;
  }
  const file = path.join(directory, `${name}.conf`);
  writeFileSync(file, `${text}\n${lines.join('\n')}\n`);
  return file;
}
