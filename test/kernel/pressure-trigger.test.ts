/*
 * Real pressure, on a machine with plenty of memory: a child in a small cgroup writes a file four times as large,
 * over and over. Its stalls (direct reclaim, and waiting for pages that it has just lost) count for the whole machine.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { PollSet } from '../../native-shims/poll.js';
import { PressureTrigger } from '../../src/sample/pressure-trigger.js';
import { cgroupsHave, makeCgroupWith } from '../support/cgroup.js';
import { describeIf } from '../support/requires.js';

const LIMITS = ['memory.limit_in_bytes', 'memory.max'];
const MACHINE = '/proc/pressure/memory';
const MIB = 1 << 20;

/** $1: the cgroup, $2: the file, made from inside, or its pages would be charged to somebody else. Ends by itself. */
const THRASH = `
echo $$ >"$1/cgroup.procs" || exit 1
end=$(($(date +%s) + 15))
while [ "$(date +%s)" -lt $end ]; do dd if=/dev/zero of="$2" bs=1M count=64 conv=notrunc 2>/dev/null; done
`;

function triggerOnMachine(): PressureTrigger | null {
  const trigger = PressureTrigger.open(MACHINE);
  return typeof trigger === 'number' ? null : trigger;
}

function triggersWork(): boolean {
  const trigger = triggerOnMachine();
  trigger?.close();
  return trigger !== null;
}

const someTotalUs = (): number => Number(/^some .*total=([0-9]+)$/m.exec(readFileSync(MACHINE, 'utf8'))?.[1]);

/** Starts the child; it, its cgroup and its file go with the test. */
function thrash(): ChildProcess {
  const limit = makeCgroupWith(...LIMITS) as string;
  const cgroup = path.dirname(limit);
  // Not /tmp, which may be a tmpfs: what fills that can't be reclaimed.
  const directory = mkdtempSync('/var/tmp/oom-backstop-thrash-');
  writeFileSync(limit, String(16 * MIB));
  const file = path.join(directory, 'file');
  const child = spawn('sh', ['-c', THRASH, 'sh', cgroup, file], { detached: true, stdio: 'ignore' });
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      process.kill(-(child.pid as number), 'SIGKILL');
      await once(child, 'exit');
    }
    rmSync(directory, { recursive: true, force: true });
    await removeCgroup(cgroup);
  });
  return child;
}

/** A cgroup can be removed once the kernel is done with its last process, which is a little after its exit. */
async function removeCgroup(directory: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return rmdirSync(directory);
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}

describeIf(
  triggersWork() && cgroupsHave(...LIMITS),
  'needs PSI triggers and the memory controller',
  'a PSI trigger under real pressure',
  () => {
    it('wakes a sleeping poll, once, while somebody stalls', () => {
      const trigger = triggerOnMachine() as PressureTrigger;
      onTestFinished(() => trigger.close());
      const pollSet = new PollSet(1);
      pollSet.watch(0, trigger.fd, trigger.events);
      const beforeUs = someTotalUs();
      thrash();
      let event = 'nothing';
      for (let wait = 0; wait < 30 && event === 'nothing'; wait++) {
        pollSet.wait(500);
        event = trigger.handle(pollSet.revents(0));
      }
      expect(event).toBe('woken');
      // Stalls there were; how many by then is the machine's business.
      expect(someTotalUs() - beforeUs).toBeGreaterThan(0);
      expect(pollSet.wait(0)).toBe(0);
    });
  },
);
