import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { TmpfsUsage } from '../../../src/sample/tmpfs-usage.js';
import { procTree } from '../../support/proc-tree.js';

/** A tree whose mountinfo says that these directories are tmpfs mounts: statfs is asked of what is there. */
function usageOf(directories: readonly string[], lines = ''): TmpfsUsage {
  const root = procTree([]);
  mkdirSync(path.join(root, 'self'));
  const mounts = directories.map((directory, i) => `2${i} 1 0:${i} / ${directory} rw - tmpfs tmpfs rw\n`);
  writeFileSync(path.join(root, 'self/mountinfo'), lines + mounts.join(''));
  const usage = new TmpfsUsage(root);
  usage.read();
  return usage;
}

it('asks each mount what is used of it, and finds the largest and the next', () => {
  const usage = usageOf(['/proc', '/', '/nowhere']);
  const { blocks, bfree, bsize } = statfsSync('/');
  expect(usage.mounts.count).toBe(3);
  // The root file system is written to while this runs.
  expect(Math.abs((usage.usedKib[1] as number) - ((blocks - bfree) * bsize) / 1024)).toBeLessThan(1 << 20);
  expect(usage.totalKib).toBe(usage.usedKib[1]);
  expect(usage.largest(Number.MAX_SAFE_INTEGER)).toBe(1);
  expect(usage.largest(usage.usedKib[1] as number)).toBe(-1);
});

it('reads a mountinfo of many pages', () => {
  const filler = Array.from(
    { length: 1000 },
    (_, i) => `${i} 1 8:${i} / /m/${'x'.repeat(80)}${i} rw - ext4 /dev/x rw\n`,
  );
  expect(usageOf(['/'], filler.join('')).mounts.count).toBe(1);
});

it('without mountinfo there are none', () => {
  const usage = new TmpfsUsage(procTree([]));
  usage.read();
  expect([usage.mounts.count, usage.totalKib, usage.largest(1e9)]).toEqual([0, 0, -1]);
});
