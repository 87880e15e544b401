import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import * as pidfd from '../../../native-shims/pidfd.js';
import { POLLIN, PollSet } from '../../../native-shims/poll.js';
import { own } from './fds.js';

const [ESRCH, EBADF, EINVAL] = [3, 9, 22];
/* Above PID_MAX_LIMIT: nobody's. */
const NO_PID = 0x7fffffff;
const BOUND_MS = 10_000;

/** A child that sleeps, in a process group of its own. */
function sleeper(): ChildProcess & { pid: number } {
  const child = spawn('sleep', ['60'], { stdio: 'ignore', detached: true });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child as ChildProcess & { pid: number };
}

describe('a pidfd', () => {
  it('stands for a process from its life to its end, also when that has been collected', async () => {
    const child = sleeper();
    const fd = own(pidfd.pidfdOpen(child.pid));
    const pollSet = new PollSet(1);
    pollSet.watch(0, fd, POLLIN);
    expect([pollSet.wait(0), pidfd.pidfdSendSignal(fd, 0), pidfd.processMrelease(fd)]).toEqual([0, 0, -EINVAL]);

    expect(pidfd.pidfdSendSignal(fd, pidfd.SIGTERM)).toBe(0);
    expect([pollSet.wait(BOUND_MS), pollSet.revents(0) & POLLIN]).toEqual([1, POLLIN]);

    const [, signal] = await once(child, 'exit');
    expect(signal).toBe('SIGTERM');
    expect(pidfd.pidfdSendSignal(fd, pidfd.SIGKILL)).toBe(-ESRCH);
    expect(pidfd.processMrelease(fd)).toBe(-ESRCH);
  });

  it('after SIGKILL its memory may be released, or is gone already', () => {
    const fd = own(pidfd.pidfdOpen(sleeper().pid));
    expect(pidfd.pidfdSendSignal(fd, pidfd.SIGKILL)).toBe(0);
    expect([0, -ESRCH, -11]).toContain(pidfd.processMrelease(fd)); // EAGAIN: again
  });

  it('fails with -errno for what is no process and no pidfd', () => {
    expect(pidfd.pidfdOpen(NO_PID)).toBe(-ESRCH);
    expect(pidfd.pidfdOpen(0)).toBe(-EINVAL);
    expect(pidfd.pidfdOpen(-1)).toBe(-EINVAL);
    for (const call of [(fd: number) => pidfd.pidfdSendSignal(fd, 0), pidfd.processMrelease])
      expect(call(99_999)).toBe(-EBADF);
    expect(pidfd.pidfdSendSignal(own(pidfd.pidfdOpen(process.pid)), 999)).toBe(-EINVAL);
  });
});

describe('kill and getpgid', () => {
  it('reach a process and its group', async () => {
    const child = sleeper();
    expect([pidfd.getpgid(child.pid), pidfd.kill(child.pid, 0), pidfd.kill(-child.pid, 0)]).toEqual([child.pid, 0, 0]);
    expect(pidfd.kill(-child.pid, pidfd.SIGKILL)).toBe(0);
    expect((await once(child, 'exit'))[1]).toBe('SIGKILL');
    expect([pidfd.kill(child.pid, 0), pidfd.kill(-child.pid, 0), pidfd.getpgid(child.pid)]).toEqual([
      -ESRCH,
      -ESRCH,
      -ESRCH,
    ]);
  });

  it('fail with -errno', () => {
    expect(pidfd.kill(NO_PID, 0)).toBe(-ESRCH);
    expect(pidfd.kill(process.pid, 999)).toBe(-EINVAL);
  });
});
