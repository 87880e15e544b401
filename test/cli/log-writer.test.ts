/*
 * dist/log.cjs by itself: records in, pino's lines out; what it does when its reader takes nothing, is gone, or comes back, and
 * when its own time has come.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PIPE_BYTES, unreadPipe } from '../support/unread-pipe.js';

const PROGRAM = path.resolve(import.meta.dirname, '../../dist/log.cjs');
const WAIT_MS = 15_000;

type Stdio = 'pipe' | number;

function writer(stdout: Stdio = 'pipe', ...before: string[]): ChildProcess {
  const args = [PROGRAM, String(process.pid), 'oom-backstop', ...before];
  const child = spawn(process.execPath, args, { stdio: ['pipe', stdout, 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

function collect(child: ChildProcess): { text: () => string; ended: Promise<number | null> } {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return { text: () => text, ended: new Promise((resolve) => child.once('close', (code) => resolve(code))) };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const deadlineMs = Date.now() + WAIT_MS; !condition(); await sleep(10)) {
    if (Date.now() > deadlineMs) throw new Error(`waited in vain for ${what}`);
  }
}

const record = (i: number, more: object = {}): string =>
  `${JSON.stringify({ level: 30, time: 1000 + i, schema: 1, event: 'log', kind: 'report', ...more, msg: `line ${i}` })}\n`;
const records = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => record(from + i, { fill: 'x'.repeat(300) })).join('');
const numbersOf = (text: string): number[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).time - 1000);
const upTo = (to: number): number[] => Array.from({ length: to }, (_, i) => i);

const isThere = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

describe('the log writer', () => {
  it("writes each record by pino: the guard's time and pid, its level, its fields, its text last", async () => {
    const child = writer();
    const { text, ended } = collect(child);
    child.stdin?.end(
      record(1, { topic: 'exited', victim: { pid: 7 }, afterMs: 3 }).replace('"level":30', '"level":60'),
    );
    expect(await ended).toBe(0);
    const { hostname, ...rest } = JSON.parse(text());
    expect(hostname).toEqual(expect.any(String));
    expect(rest).toEqual({
      level: 60,
      time: 1001,
      pid: process.pid,
      name: 'oom-backstop',
      schema: 1,
      event: 'log',
      kind: 'report',
      topic: 'exited',
      victim: { pid: 7 },
      afterMs: 3,
      msg: 'line 1',
    });
    expect(text().endsWith('"msg":"line 1"}\n')).toBe(true);
  });

  it('takes a record of the event log, without level, time and text, too; and one in pieces', async () => {
    const child = writer();
    const { text, ended } = collect(child);
    child.stdin?.write('{"event":"crossed","us":[');
    await sleep(50);
    child.stdin?.end('1,2]}\n');
    await ended;
    expect(JSON.parse(text())).toMatchObject({ level: 30, event: 'crossed', us: [1, 2], time: expect.any(Number) });
    expect(text()).not.toContain('msg');
  });

  it('tells an event of a victim with the pid and the name of the guard, each of them once', async () => {
    const child = writer();
    const { text, ended } = collect(child);
    const event = {
      schema: 1,
      event: 'ended',
      timeUnixMs: 7,
      outcome: 'exited',
      pid: 23,
      uid: 0,
      name: 'hog',
      rssKib: 9,
    };
    child.stdin?.end(`${JSON.stringify(event)}\n`);
    await ended;
    expect(JSON.parse(text())).toEqual({
      ...{ level: 30, time: 7, pid: process.pid, hostname: expect.any(String), name: 'oom-backstop' },
      ...{ schema: 1, event: 'ended', outcome: 'exited', victim: { pid: 23, uid: 0, name: 'hog', rssKib: 9 } },
    });
    for (const name of ['time', 'pid'])
      expect(text().match(new RegExp(`[{,]"${name}":`, 'g'))?.length).toBe(name === 'pid' ? 2 : 1);
  });

  it('passes over a line that was cut: the guard has counted it', async () => {
    const child = writer();
    const { text, ended } = collect(child);
    child.stdin?.end(`${record(0).slice(0, 30)}\n\n${record(1)}`);
    await ended;
    expect(numbersOf(text())).toEqual([1]);
  });

  it('leaves signals to the guard, and ends with its input', async () => {
    const child = writer();
    const { text, ended } = collect(child);
    child.stdin?.write(record(0));
    await until(() => text() !== '', 'the first line');
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) child.kill(signal);
    await sleep(100);
    child.stdin?.end(record(1));
    expect(await ended).toBe(0);
    expect(numbersOf(text())).toEqual([0, 1]);
  });

  it('reads no more than its reader takes, and loses nothing when it takes again', async () => {
    const reader = unreadPipe();
    const child = writer(reader.writeFd);
    const lines = 3000; // a megabyte
    let taken = false;
    child.stdin?.write(records(0, lines), () => {
      taken = true;
    });
    await sleep(1000);
    expect(taken).toBe(false);
    let text = '';
    child.stdin?.end();
    await until(() => {
      text += reader.readNow();
      return !isThere(child);
    }, 'the end');
    text += reader.readNow();
    expect(numbersOf(text)).toEqual(upTo(lines));
  });

  it('ends at once when its reader is gone', async () => {
    const reader = unreadPipe();
    const child = writer(reader.writeFd);
    const { ended } = collect(child);
    child.stdin?.on('error', () => undefined).write(record(0));
    await until(() => reader.readNow() !== '', 'the first line');
    reader.closeReader();
    child.stdin?.write(record(1));
    await ended;
    expect(child.signalCode).toBe('SIGKILL');
  });

  it('ends some time after its input although its reader takes nothing', async () => {
    const reader = unreadPipe();
    writeSync(reader.writeFd, Buffer.alloc(PIPE_BYTES));
    const child = writer(reader.writeFd);
    const { ended } = collect(child);
    child.stdin?.end(record(0));
    await ended;
    expect(child.signalCode).toBe('SIGKILL');
  });

  it('ends some time after the guard, if its reader takes nothing and so it does not see the end of its input', async () => {
    const reader = unreadPipe();
    const script = `
      const { spawn } = require('node:child_process');
      const [program, fd] = process.argv.slice(1);
      const stdio = ['pipe', Number(fd), 'inherit'];
      const child = spawn(process.execPath, [program, String(process.pid), 'oom-backstop'], { stdio });
      child.stdin.write((JSON.stringify({ fill: 'x'.repeat(300) }) + '\\n').repeat(3000));
      process.stdout.write(String(child.pid) + '\\n');
      setTimeout(() => process.exit(), 1500);`;
    const guard = spawn(process.execPath, ['-e', script, PROGRAM, '3'], {
      stdio: ['ignore', 'pipe', 'inherit', reader.writeFd],
    });
    const { text, ended } = collect(guard);
    await until(() => text().endsWith('\n'), 'the pid');
    const pid = Number(text());
    onTestFinished(() => {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    });
    await ended;
    await until(() => hasEnded(pid), 'the end of a writer without a guard');
  });

  it('waits for the one before it: no line is lost, doubled, or before its time', async () => {
    const reader = unreadPipe();
    const first = writer(reader.writeFd);
    first.stdin?.write(records(0, 1000));
    const second = writer(reader.writeFd, String(first.pid));
    second.stdin?.end(records(1000, 1100));
    await sleep(500);
    first.stdin?.end();
    let text = '';
    await until(() => {
      text += reader.readNow();
      return !isThere(first) && !isThere(second);
    }, 'the end of both');
    text += reader.readNow();
    expect(numbersOf(text)).toEqual(upTo(1100));
  });

  it('goes on when there is room again on a disk that was full', async () => {
    // A file that may not be written to any more, and then may: /dev/full never has room.
    const full = openSync('/dev/full', constants.O_WRONLY);
    onTestFinished(() => closeSync(full));
    const child = writer(full);
    const { ended } = collect(child);
    child.stdin?.write(record(0));
    await sleep(1500);
    expect(isThere(child)).toBe(true);
    child.stdin?.end();
    await ended;
  });
});

function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.charAt(stat.lastIndexOf(')') + 2) === 'Z';
  } catch {
    return true;
  }
}
