import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { POLLERR, POLLPRI, PollSet } from '../../../native-shims/poll.js';
import { PressureTrigger } from '../../../src/sample/pressure-trigger.js';
import { cgroupsHave, makeCgroupWith } from '../../support/cgroup.js';
import { describeIf } from '../../support/requires.js';

const [ENOENT, EISDIR, ENOSYS] = [2, 21, 38];
const POLLNVAL = 0x20;
const MACHINE = '/proc/pressure/memory';

/** Closed with the test. */
function triggerOn(file: string): PressureTrigger {
  const trigger = PressureTrigger.open(file);
  if (typeof trigger === 'number') throw new Error(`${file}: ${trigger}`);
  onTestFinished(() => trigger.close());
  return trigger;
}

/** How many fds of this process are open on `file`. */
function timesOpen(file: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === file;
    } catch {
      return false; // the one that read the directory
    }
  }).length;
}

function hasSysResource(): boolean {
  const effective = /^CapEff:\t(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] as string;
  return ((BigInt(`0x${effective}`) >> 24n) & 1n) === 1n;
}

/** Whether triggers work here: PSI is on, and the kernel is new enough or we are privileged. */
function triggersWork(): boolean {
  const trigger = PressureTrigger.open(MACHINE);
  if (typeof trigger === 'number') return false;
  trigger.close();
  return true;
}

describe('PressureTrigger.open', () => {
  it('says with -errno that there is no such file', () => {
    expect(PressureTrigger.open('/proc/pressure/none')).toBe(-ENOENT);
    expect(PressureTrigger.open('/proc')).toBe(-EISDIR);
  });

  it('never writes to a file that is not the kernel’s, and gives it back', () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-pressure-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const file = path.join(directory, 'memory');
    writeFileSync(file, 'recorded');
    expect(PressureTrigger.open(file)).toBe(-ENOSYS);
    expect([readFileSync(file, 'utf8'), timesOpen(file)]).toEqual(['recorded', 0]);
  });

  it('hands out no fd of a kernel file that takes no trigger: it would poll as ready for ever', () => {
    expect(PressureTrigger.open('/proc/self/oom_score_adj')).toBe(-22); // EINVAL: it wants a number
    expect(timesOpen('/proc/self/oom_score_adj')).toBe(0);
  });
});

describeIf(triggersWork(), 'no PSI triggers here', 'a trigger on the whole machine', () => {
  it('has the short window if we may, and otherwise the one that anybody may have', () => {
    expect(triggerOn(MACHINE).windowMs).toBe(hasSysResource() ? 500 : 2000);
  });

  it('does not poll as ready by itself', () => {
    const pollSet = new PollSet(1);
    const trigger = triggerOn(MACHINE);
    pollSet.watch(0, trigger.fd, trigger.events);
    let wakeUps = 0;
    for (let wait = 0; wait < 20; wait++) wakeUps += pollSet.wait(5);
    // Somebody may really stall meanwhile; that is at most once per window, and a spinning poll would be 20 times.
    expect(wakeUps).toBeLessThan(5);
  });

  it('tells what the poll has seen, and closes only what is lost', () => {
    const trigger = triggerOn(MACHINE);
    expect([trigger.handle(0), trigger.handle(POLLPRI)]).toEqual(['nothing', 'woken']);
    expect(timesOpen(MACHINE)).toBe(1);
    expect([trigger.handle(POLLPRI | POLLERR), trigger.fd]).toEqual(['lost', -1]);
    expect(timesOpen(MACHINE)).toBe(0);
  });

  it.each([POLLERR, POLLNVAL, POLLERR | POLLNVAL])('is lost as well when poll says %i', (revents) => {
    expect(triggerOn(MACHINE).handle(revents)).toBe('lost');
  });

  it('can be closed twice, and poll ignores it then', () => {
    const pollSet = new PollSet(1);
    const trigger = triggerOn(MACHINE);
    trigger.close();
    trigger.close();
    pollSet.watch(0, trigger.fd, trigger.events);
    expect([trigger.fd, pollSet.wait(0)]).toEqual([-1, 0]);
  });
});

describeIf(
  triggersWork() && cgroupsHave('memory.pressure'),
  'needs PSI triggers, and a cgroup2 tree that we may write to',
  'a trigger on a cgroup',
  () => {
    it('is lost with the cgroup, and spins no longer once its slot is cleared', () => {
      const file = makeCgroupWith('memory.pressure') as string;
      const pollSet = new PollSet(1);
      const trigger = triggerOn(file);
      pollSet.watch(0, trigger.fd, trigger.events);
      expect(pollSet.wait(20)).toBe(0);
      rmdirSync(path.dirname(file));
      expect([pollSet.wait(5000), pollSet.revents(0) & POLLERR]).toEqual([1, POLLERR]);
      expect(pollSet.wait(0)).toBe(1); // for ever, if nobody did anything
      expect(trigger.handle(pollSet.revents(0))).toBe('lost');
      pollSet.clear(0);
      expect([trigger.fd, pollSet.wait(20)]).toEqual([-1, 0]);
    });

    it('says with -errno that the cgroup is gone already', () => {
      const file = makeCgroupWith('memory.pressure') as string;
      rmdirSync(path.dirname(file));
      expect(PressureTrigger.open(file)).toBe(-ENOENT);
    });
  },
);
