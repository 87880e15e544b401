import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseMountinfo } from '../../../src/kernel/mountinfo.js';
import { hostileBytes } from './recorded.js';

const PROC = '24 1 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:5 - proc proc rw,hidepid=invisible\n';
const CGROUP = '30 25 0:26 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n';

it('reads root, place, type and the options of the file system, with any number of tags before the dash', () => {
  expect(parseMountinfo(PROC + CGROUP)).toEqual([
    { root: '/', mountPoint: '/proc', type: 'proc', superOptions: ['rw', 'hidepid=invisible'] },
    { root: '/a', mountPoint: '/sys/fs/cgroup', type: 'cgroup2', superOptions: ['rw', 'nsdelegate'] },
  ]);
  const tagged = PROC.replace('shared:5', 'shared:5 master:2 propagate_from:1');
  expect(parseMountinfo(tagged)[0]?.mountPoint).toBe('/proc');
});

it('blanks and newlines in a path are what they were', () => {
  const odd = '40 1 0:30 / /mnt/a\\040-\\040proc\\012\\134 rw - tmpfs tmpfs rw\n';
  expect(parseMountinfo(odd)[0]?.mountPoint).toBe('/mnt/a - proc\n\\');
});

it('reads this machine: /proc is a procfs', () => {
  const mounts = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  expect(mounts.filter(({ mountPoint }) => mountPoint === '/proc').at(-1)?.type).toBe('proc');
});

it('whatever the bytes are: nothing thrown, and no field missing', () => {
  fc.assert(
    fc.property(hostileBytes(Buffer.from(PROC + CGROUP)), (bytes) => {
      for (const mount of parseMountinfo(Buffer.from(bytes).toString('utf8'))) {
        expect([typeof mount.root, typeof mount.mountPoint, typeof mount.type]).toEqual(['string', 'string', 'string']);
      }
    }),
  );
});
