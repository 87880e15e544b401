/*
 * What the guard's output goes to must not matter to the guard: nobody reads it, the reader has gone, it is a
 * terminal. And a signal ends it at once, as a signal.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, closeSync, constants, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type FakeProcess, procTree } from '../support/proc-tree.js';
import { bin } from '../support/programs.js';
import { describeIf } from '../support/requires.js';
import { PIPE_BYTES, type UnreadPipe, unreadPipe } from '../support/unread-pipe.js';
import { invoke, type Persona, RSS_KIB_MAX } from './invocation.js';

/* At earlyoom's SIGKILL limits for as long as nobody changes it. */
const LOW = 'MemTotal: 16000000 kB\nMemAvailable: 1000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nAnonPages: 9999000 kB\n';

/* Pids above PID_MAX_LIMIT: no process of this machine. One debug table of so many is 80 KiB, more than a pipe takes (64 KiB). */
const CROWD: FakeProcess[] = Array.from({ length: 1500 }, (_, i) => ({
  pid: 10_000_000 + i,
  comm: 'crowd',
  oomScore: i,
}));
const FEW = CROWD.slice(0, 3);

/** A crowd is some thousand directories to make, walk and take away again, some times over on a machine that may be busy. Longer is a hang. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const MARKS = 3;
const WAIT_MS = 15_000;

interface Observed {
  tree: string;
  /** A -N hook that leaves a mark for each kill that the guard comes to: one a second, in a dry run. */
  hook: string;
  marks: () => number;
}

function observed(processes: readonly FakeProcess[]): Observed {
  const tree = procTree(processes, LOW);
  const file = path.join(tree, 'marks');
  const hook = path.join(tree, 'hook');
  writeFileSync(file, '');
  writeFileSync(hook, `#!/bin/sh\necho tick >> '${file}'\n`);
  chmodSync(hook, 0o755);
  return { tree, hook, marks: () => readFileSync(file, 'utf8').split('\n').length - 1 };
}

type Stdio = [number | 'pipe', number | 'pipe'];

/** Nothing of a test may go on when it is over, however it ended. */
function guardOn(seen: Observed, stdio: Stdio, ...args: string[]): ChildProcess {
  return startOn('earlyoom', seen, stdio, args);
}

/** The same that logs as JSON. */
function jsonGuardOn(seen: Observed, stdio: Stdio, ...args: string[]): ChildProcess {
  return startOn('oom-backstop', seen, stdio, ['--config', '/dev/null', '--log-format', 'json', ...args]);
}

function startOn(persona: Persona, { tree, hook }: Observed, stdio: Stdio, args: readonly string[]): ChildProcess {
  const all = ['--dryrun', '--procfs', tree, '-N', hook, ...args];
  const child = spawn(bin(persona), all, { stdio: ['ignore', ...stdio] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** The process that writes the log of a guard, once it has come so far: the guard may have decided before. */
async function writerOf(guard: ChildProcess): Promise<number> {
  const find = (): number | undefined =>
    readdirSync('/proc')
      .map(Number)
      .find((pid) => pid > 0 && parentOf(pid) === guard.pid && commandOf(pid).startsWith('oom-backstop log'));
  await until(() => find() !== undefined, 'the log writer');
  return find() as number;
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return -1;
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

/** The whole lines of what was read. */
function recordsOf(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** Waits for `condition`; fails after a time that is far longer than it takes. */
async function until(condition: () => boolean, what: string): Promise<void> {
  for (const deadlineMs = Date.now() + WAIT_MS; !condition(); await sleep(20)) {
    if (Date.now() > deadlineMs) throw new Error(`waited in vain for ${what}`);
  }
}

function ended(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
}

const rssKib = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

describe('a guard whose output nobody reads', () => {
  it('keeps ticking on a full pipe, says later what was lost, and dies of SIGTERM', async () => {
    const seen = observed(CROWD);
    const pipe = unreadPipe();
    const child = guardOn(seen, [pipe.writeFd, pipe.writeFd], '-d', '-r', '0.01');
    await until(() => seen.marks() >= MARKS, 'ticks with a full pipe');
    expect(rssKib(child.pid as number)).toBeLessThan(RSS_KIB_MAX);
    // Lines go whole or not at all, so up to one line's room may be left.
    let text = pipe.readNow();
    expect(text.length).toBeGreaterThan(PIPE_BYTES - 4096);
    const noticed = (): boolean => {
      text += pipe.readNow();
      return text.includes(' log lines that nobody read\n');
    };
    await until(noticed, 'the notice of what was lost');
    expect(text).toMatch(/^dropped [1-9]\d* log lines that nobody read$/m);
    const marks = seen.marks();
    await until(() => seen.marks() >= marks + 2, 'ticks after the pipe is full again');
    const end = ended(child);
    child.kill('SIGTERM');
    expect(await end).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('keeps ticking on full sockets, and dies of %s', async (signal) => {
    // Node's own pipes are unix sockets; without a listener it reads a little ahead and then no more.
    const seen = observed(CROWD);
    const child = guardOn(seen, ['pipe', 'pipe'], '-d', '-r', '0.01');
    child.stdout?.pause();
    child.stderr?.pause();
    await until(() => seen.marks() >= MARKS, 'ticks with full sockets');
    const end = ended(child);
    child.kill(signal);
    expect(await end).toEqual({ code: null, signal });
  });

  it('keeps ticking when the reader has gone', async () => {
    const seen = observed(FEW);
    const pipe = unreadPipe();
    const child = guardOn(seen, [pipe.writeFd, pipe.writeFd], '-d');
    await until(() => seen.marks() >= 1, 'the first tick');
    pipe.closeReader();
    const marks = seen.marks();
    await until(() => seen.marks() >= marks + 2, 'ticks without a reader');
    const end = ended(child);
    child.kill('SIGTERM');
    expect(await end).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('keeps ticking on a disk that is full', async () => {
    const seen = observed(FEW);
    const full = openSync('/dev/full', constants.O_WRONLY);
    const child = guardOn(seen, [full, full], '-d');
    await until(() => seen.marks() >= 2, 'ticks with a full disk');
    closeSync(full);
    const end = ended(child);
    child.kill('SIGTERM');
    expect(await end).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('keeps ticking with stdin, stdout and stderr closed', async () => {
    const seen = observed(FEW);
    const script = 'exec "$@" <&- >&- 2>&-';
    const args = ['-c', script, 'sh', bin('earlyoom'), '--dryrun', '--procfs', seen.tree, '-N', seen.hook, '-d'];
    const child = spawn('sh', args, { stdio: 'ignore' });
    onTestFinished(() => void child.kill('SIGKILL'));
    await until(() => seen.marks() >= 2, 'ticks with nothing open');
    const end = ended(child);
    child.kill('SIGTERM');
    expect(await end).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('leaves the shared pipe as it was: whoever else writes to it still waits for the reader', async () => {
    const seen = observed(FEW);
    const pipe = unreadPipe();
    const child = guardOn(seen, [pipe.writeFd, pipe.writeFd], '-d');
    await until(() => seen.marks() >= 1, 'the first tick');
    const flags = Number.parseInt(
      /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${pipe.writeFd}`, 'utf8'))?.[1] ?? '',
      8,
    );
    expect(flags & constants.O_NONBLOCK).toBe(0);
    const end = ended(child);
    child.kill('SIGTERM');
    await end;
  });

  it('leaks no open file from tick to tick', async () => {
    const seen = observed(FEW);
    const pipe = unreadPipe();
    const child = guardOn(seen, [pipe.writeFd, pipe.writeFd], '-d', '-P', seen.hook);
    // The fewest of some moments: a hook may be running, or a scan, or the rehearsal of the start.
    const open = async (): Promise<number> => {
      let fewest = Number.POSITIVE_INFINITY;
      for (let moment = 0; moment < 20; moment++) {
        fewest = Math.min(fewest, readdirSync(`/proc/${child.pid}/fd`).length);
        await sleep(20);
      }
      return fewest;
    };
    await until(() => seen.marks() >= 2, 'the first ticks');
    const before = await open();
    const marks = seen.marks();
    await until(() => seen.marks() >= marks + 6, 'further ticks');
    expect(await open()).toBeLessThanOrEqual(before + 1);
    const end = ended(child);
    child.kill('SIGTERM');
    await end;
  });
});

describe('a guard that logs as JSON', () => {
  it('keeps ticking on a full pipe, says later what was lost, and dies of SIGTERM', async () => {
    const seen = observed(CROWD);
    const pipe = unreadPipe();
    const child = jsonGuardOn(seen, [pipe.writeFd, 'pipe'], '-d');
    await until(() => seen.marks() >= MARKS, 'ticks with a full pipe');
    expect(rssKib(child.pid as number)).toBeLessThan(RSS_KIB_MAX);
    let text = '';
    const noticed = (): boolean => {
      text += pipe.readNow();
      return /"topic":"dropped".*\n/.test(text);
    };
    await until(noticed, 'the notice of what was lost');
    const marks = seen.marks();
    await until(() => seen.marks() >= marks + 2, 'ticks after the pipe is full again');
    const notice = recordsOf(text).find(({ topic }) => topic === 'dropped');
    expect(notice).toMatchObject({ kind: 'warn', lines: expect.any(Number) });
    const end = ended(child);
    child.kill('SIGTERM');
    expect(await end).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('keeps ticking while its log writer is stopped, and says later what was lost', async () => {
    const seen = observed(CROWD);
    const child = jsonGuardOn(seen, ['pipe', 'pipe'], '-d');
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    await until(() => seen.marks() >= 1, 'the first tick');
    const writer = await writerOf(child);
    process.kill(writer, 'SIGSTOP');
    const marks = seen.marks();
    await until(() => seen.marks() >= marks + MARKS, 'ticks with a stopped writer');
    process.kill(writer, 'SIGCONT');
    await until(() => text.includes('"topic":"dropped"'), 'the notice of what was lost');
    const end = ended(child);
    child.kill('SIGTERM');
    expect(await end).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('ends when it is told to although its log writer is stopped', async () => {
    const seen = observed(FEW);
    const child = jsonGuardOn(seen, ['pipe', 'pipe']);
    await until(() => seen.marks() >= 1, 'the first tick');
    const writer = await writerOf(child);
    onTestFinished(() => void process.kill(writer, 'SIGKILL'));
    process.kill(writer, 'SIGSTOP');
    const end = ended(child);
    child.kill('SIGTERM');
    expect(await end).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it.each([
    ['the reader has gone', (pipe: UnreadPipe): void => pipe.closeReader()],
    ['its log writer was killed', (_: UnreadPipe, writer: number): void => void process.kill(writer, 'SIGKILL')],
  ])('goes on as text when %s, and says so once', async (_, breakIt) => {
    const seen = observed(FEW);
    const pipe = unreadPipe();
    const child = jsonGuardOn(seen, [pipe.writeFd, 'pipe']);
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    await until(() => seen.marks() >= 1, 'the first tick');
    breakIt(pipe, await writerOf(child));
    const marks = seen.marks();
    await until(() => seen.marks() >= marks + MARKS && /^sending SIG/m.test(stderr), 'ticks as text');
    expect(stderr.match(/^the log writer has ended: the log goes on as text$/gm)).toHaveLength(1);
    const end = ended(child);
    child.kill('SIGTERM');
    expect(await end).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('keeps ticking on a disk that is full', async () => {
    const seen = observed(FEW);
    const full = openSync('/dev/full', constants.O_WRONLY);
    const child = jsonGuardOn(seen, [full, full], '-d');
    await until(() => seen.marks() >= MARKS, 'ticks with a full disk');
    closeSync(full);
    const end = ended(child);
    child.kill('SIGTERM');
    expect(await end).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('keeps ticking with stdin, stdout and stderr closed', async () => {
    const seen = observed(FEW);
    const script = 'exec "$@" <&- >&- 2>&-';
    const guard = [bin('oom-backstop'), '--config', '/dev/null', '--log-format', 'json'];
    const args = ['-c', script, 'sh', ...guard, '--dryrun', '--procfs', seen.tree, '-N', seen.hook];
    const child = spawn('sh', args, { stdio: 'ignore' });
    onTestFinished(() => void child.kill('SIGKILL'));
    await until(() => seen.marks() >= 2, 'ticks with nothing open');
    const end = ended(child);
    child.kill('SIGTERM');
    expect(await end).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('leaves nobody behind when it ends, and its last lines get out', async () => {
    const seen = observed(FEW);
    const child = jsonGuardOn(seen, ['pipe', 'pipe']);
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    await until(() => seen.marks() >= 2, 'ticks');
    const writer = await writerOf(child);
    const marks = seen.marks();
    const end = ended(child);
    child.kill('SIGTERM');
    await end;
    expect(commandOf(writer)).toBe('');
    await until(() => child.stdout?.closed === true, 'all of its output');
    const sending = recordsOf(text).filter(({ topic, kind }) => topic === 'sending' && kind === 'warn');
    // A hook is started after its line.
    expect(sending.length).toBeGreaterThanOrEqual(marks);
  });
});

describe('a signal to the guard', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('%s while it waits ends it, by the signal itself', async (signal) => {
    const plenty = LOW.replace('1000 kB', '9000000 kB');
    const args = ['--dryrun', '--procfs', procTree(FEW, plenty)];
    const until = (stdout: string): boolean => stdout.includes('mem avail');
    expect(await invoke('earlyoom', args, { until, endWith: signal })).toMatchObject({ code: null, signal });
  });

  it('SIGHUP in the middle of kills ends earlyoom, too', async () => {
    const args = ['--dryrun', '--procfs', procTree(FEW, LOW)];
    const until = (_: string, stderr: string): boolean => stderr.includes('sending SIGKILL to');
    expect(await invoke('earlyoom', args, { until, endWith: 'SIGHUP' })).toMatchObject({
      code: null,
      signal: 'SIGHUP',
    });
  });
});

const hasScript = spawnSync('script', ['-qec', 'true', '/dev/null']).status === 0;

describe('colours without a terminal', () => {
  it('there are none, in no line', async () => {
    const { tree, hook } = observed(FEW);
    const until = (_: string, stderr: string): boolean => stderr.includes('dryrun, not');
    const { stdout, stderr } = await invoke('earlyoom', ['--dryrun', '--procfs', tree, '-d', '-N', hook], { until });
    expect(stdout + stderr).not.toContain('\x1b');
  });
});

describeIf(hasScript, 'script (util-linux) is not there to make a terminal', 'colours on a terminal', () => {
  /** What the program writes to a terminal, for arguments with which it ends by itself. */
  function onTerminal(args: string, env: NodeJS.ProcessEnv): string {
    const command = `'${bin('earlyoom')}' ${args}`;
    return spawnSync('script', ['-qec', command, '/dev/null'], { env, encoding: 'utf8', input: '', timeout: WAIT_MS })
      .stdout;
  }
  const { NO_COLOR: _, ...coloured } = process.env;

  it('warnings are yellow, the fatal line red, each ended within its line', () => {
    const output = onTerminal('--dryrun -s 101', coloured);
    expect(output).toContain('\x1b[33mdryrun mode enabled, will not kill anything\x1b[0m\r\n');
    expect(output.split('\r\n').find((line) => line.startsWith('\x1b[31mfatal: -s 101: '))).toMatch(/\[0m$/);
  });

  it('the version line has none', () => {
    const output = onTerminal('-v', coloured);
    expect(output).toMatch(/^earlyoom v/);
    expect(output).not.toContain('\x1b');
  });

  it('NO_COLOR: none', () => {
    const output = onTerminal('--dryrun -s 101', { ...coloured, NO_COLOR: '1' });
    expect(output).toContain('fatal: -s 101');
    expect(output).not.toContain('\x1b');
  });

  it('an escape sequence in an argument does not reach the terminal', () => {
    const output = onTerminal("--dryrun $'x\\e[2J'", { ...coloured, NO_COLOR: '1', SHELL: '/bin/bash' });
    expect(output).toContain("'x\\x1b[2J'");
    expect(output).not.toContain('\x1b');
  });
});
