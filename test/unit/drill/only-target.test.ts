/* Real processes of the test's own: whom the target of a drill lets a guard signal. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EPERM, ESRCH } from '../../../native-shims/errno.js';
import { close } from '../../../native-shims/files.js';
import { pidfdOpen, SIGKILL } from '../../../native-shims/pidfd.js';
import { PollSet } from '../../../native-shims/poll.js';
import { type HeldProcess, OnlyTarget } from '../../../src/drill/only-target.js';
import { openProcfs } from '../../../src/guard/machine.js';
import { emptyPidStat, parsePidStat } from '../../../src/kernel/pid-stat.js';
import { NO_CHILDREN, ProcessScan } from '../../../src/sample/process-scan.js';

const NOTHING = { prefer: null, avoid: null, ignore: null, wayIn: null, matchers: null, needUid: false, selfPid: null };

async function sleeper(): Promise<{ child: ChildProcess; held: HeldProcess }> {
  const child = spawn('sleep', ['20']);
  await once(child, 'spawn');
  const pid = child.pid as number;
  const stat = emptyPidStat();
  const bytes = readFileSync(`/proc/${pid}/stat`);
  parsePidStat(bytes, bytes.length, stat);
  const held = { pid, startTimeTicks: stat.startTimeTicks, pidfd: pidfdOpen(pid) };
  onTestFinished(() => {
    child.kill('SIGKILL');
    close(held.pidfd);
  });
  return { child, held };
}

function targetFor(only: HeldProcess): { target: OnlyTarget; told: string[] } {
  const told: string[] = [];
  const target = new OnlyTarget(new ProcessScan(openProcfs('/proc'), NOTHING, NO_CHILDREN), new PollSet(1), 0, only, {
    chosen: () => told.push('chosen'),
    signalling: () => told.push('signalling'),
    signalled: (signal, result) => told.push(`signalled ${signal} ${result}`),
  });
  return { target, told };
}

describe('the target of a drill', () => {
  it('signals the one that it holds, and tells of it in order', async () => {
    const { child, held } = await sleeper();
    const { target, told } = targetFor(held);
    expect(target.open(held, null)).toBe(0);
    const exit = once(child, 'exit');
    expect(target.signal(SIGKILL)).toBe(0);
    expect((await exit)[1]).toBe('SIGKILL');
    expect(told).toEqual(['chosen', 'signalling', `signalled ${SIGKILL} 0`]);
    target.close();
  });

  it('refuses any other process, a group, and the same pid with another start', async () => {
    const { child, held } = await sleeper();
    const other = await sleeper();
    const { target, told } = targetFor(held);
    expect(target.open(other.held, null)).toBe(-EPERM);
    expect(target.open(held, { pgid: held.pid, members: [held] })).toBe(-EPERM);
    expect(target.open({ pid: held.pid, startTimeTicks: held.startTimeTicks + 1 }, null)).toBe(-EPERM);
    expect(told).toEqual([]);
    expect([child.exitCode, child.signalCode, other.child.exitCode, other.child.signalCode]).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });

  it('whatever was opened before, a signal reaches nobody but the one that is held', async () => {
    const { held } = await sleeper();
    const other = await sleeper();
    // As if the pid had come to mean another process: the fd still means the old one.
    const { target } = targetFor({ ...other.held, pidfd: held.pidfd });
    expect(target.open(other.held, null)).toBe(0);
    expect(target.signal(SIGKILL)).toBe(0);
    target.close();
    expect([other.child.exitCode, other.child.signalCode]).toEqual([null, null]);
    expect(process.kill(other.held.pid, 0)).toBe(true);
  });

  it('is not opened once the one that is held has been collected', async () => {
    const { child, held } = await sleeper();
    const other = await sleeper();
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
    const { target } = targetFor({ ...other.held, pidfd: held.pidfd });
    expect(target.open(other.held, null)).toBe(-ESRCH);
    expect([other.child.exitCode, other.child.signalCode]).toEqual([null, null]);
  });
});
