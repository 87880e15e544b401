import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { pageSize } from '../../../native-shims/priority.js';
import { AllocationClock } from '../../../src/sample/allocation-clock.js';
import { procTree } from '../../support/proc-tree.js';
import { recorded } from '../kernel/recorded.js';

const KIB_PER_PAGE = pageSize() / 1024;
const LOADAVG = '0.00 0.01 0.05 1/99 4711\n';

function clockOf(root: string): AllocationClock {
  const clock = AllocationClock.open(root);
  if (typeof clock === 'number') throw new Error(`${root}: ${clock}`);
  onTestFinished(() => clock.close());
  return clock;
}

/** A tree with both files, and how to write them anew. */
function tree() {
  const root = procTree([]);
  const write = (name: string, text: string | Buffer): void => writeFileSync(path.join(root, name), text);
  write('vmstat', recorded('vmstat'));
  write('loadavg', LOADAVG);
  return { root, write };
}

/** Which files of a tree this process has open. */
function openFilesIn(root: string): string[] {
  const targets = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // the one that read the directory
    }
  });
  return targets.filter((target) => target.startsWith(root));
}

/** `lines` lines in front of the sum, in which each counter has `digits` digits. */
const vmstat = (pages: number, lines = 70, digits = 1): string =>
  `${`nr_something ${'1'.repeat(digits)}\n`.repeat(lines)}pgalloc_dma 0\npgalloc_normal ${pages}\nallocstall 0\n`;

describe('AllocationClock', () => {
  it.each(['vmstat', 'loadavg'])('says with -errno that there is no %s, and leaves no file open', (name) => {
    const { root } = tree();
    rmSync(path.join(root, name));
    expect(AllocationClock.open(root)).toBe(-2); // ENOENT
    expect(openFilesIn(root)).toEqual([]);
  });

  it('shows at each reading what the files hold then', () => {
    const { root, write } = tree();
    const clock = clockOf(root);
    expect(openFilesIn(root)).toHaveLength(2);
    expect([clock.read(), clock.lastPid]).toEqual([true, 4711]);
    write('vmstat', vmstat(1000));
    expect([clock.read(), clock.allocatedKib]).toEqual([true, 1000 * KIB_PER_PAGE]);
    write('vmstat', vmstat(2 ** 40));
    write('loadavg', LOADAVG.replace('4711', '300'));
    expect([clock.read(), clock.allocatedKib, clock.lastPid]).toEqual([true, 2 ** 40 * KIB_PER_PAGE, 300]);
  });

  it('still finds the whole sum when the counters in front of it have grown, little by little or at once', () => {
    const { root, write } = tree();
    const clock = clockOf(root);
    for (const digits of [1, 2, 3, 4, 5, 12, 20, 40, 1, 30]) {
      write('vmstat', vmstat(1000 + digits, 70, digits));
      expect([clock.read(), clock.allocatedKib]).toEqual([true, (1000 + digits) * KIB_PER_PAGE]);
    }
  });

  it('says so when either can not be read, and takes up again when it can', () => {
    const { root, write } = tree();
    const clock = clockOf(root);
    clock.read();
    const before = clock.allocatedKib;
    for (const text of ['', 'pgfree 1\n', 'pgalloc_normal 7\n']) {
      write('vmstat', text);
      expect([clock.read(), clock.allocatedKib]).toEqual([false, before]);
    }
    write('vmstat', vmstat(1000));
    write('loadavg', '');
    expect([clock.read(), clock.lastPid]).toEqual([false, 4711]);
    write('loadavg', LOADAVG);
    expect([clock.read(), clock.allocatedKib, clock.lastPid]).toEqual([true, 1000 * KIB_PER_PAGE, 4711]);
  });
});

describe('AllocationClock on this machine', () => {
  it('has moved on by all the memory that was touched since', () => {
    const clock = clockOf('/proc');
    expect(clock.read()).toBe(true);
    for (let round = 0; round < 4; round++) {
      const before = clock.allocatedKib;
      const memory = Buffer.allocUnsafeSlow(64 << 20); // mmap: none of it is touched yet
      for (let at = 0; at < memory.length; at += 4096) memory[at] = 1;
      expect(clock.read()).toBe(true);
      expect(clock.allocatedKib - before).toBeGreaterThanOrEqual(65_536);
    }
  });

  it('has passed the pid of every process that was started since', () => {
    const clock = clockOf('/proc');
    for (let round = 0; round < 10; round++) {
      expect(clock.read()).toBe(true);
      const before = clock.lastPid;
      const { pid } = spawnSync('true');
      expect(clock.read()).toBe(true);
      const passed = (from: number, to: number): boolean => pid > from && pid <= to;
      // The numbers may have begun again at 300 meanwhile.
      const wrapped = clock.lastPid < before;
      expect(wrapped ? passed(before, Infinity) || passed(0, clock.lastPid) : passed(before, clock.lastPid)).toBe(true);
    }
  });
});
