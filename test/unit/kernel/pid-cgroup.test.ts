import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parsePidCgroup } from '../../../src/kernel/pid-cgroup.js';
import { hostileBytes } from './recorded.js';

const HYBRID = '9:name=systemd:/\n5:cpu,memory:/a/b\n4:memory_other:/no\n0::/user.slice/x.scope\n';

it.each([
  ['both hierarchies', HYBRID, '/user.slice/x.scope', '/a/b'],
  ['v2 alone', '0::/\n', '/', null],
  ['v1 alone', '4:memory:/process\n', null, '/process'],
  ['v1 with more controllers after it', '4:memory,cpu:/m\n', null, '/m'],
  ['a colon in the path', '0::/a:b\n', '/a:b', null],
  ['nothing', '', null, null],
])('%s', (_, text, unified, memoryV1) => {
  expect(parsePidCgroup(text)).toEqual({ unified, memoryV1 });
});

it('whatever the bytes are: a path or null', () => {
  fc.assert(
    fc.property(hostileBytes(Buffer.from(HYBRID)), (bytes) => {
      const { unified, memoryV1 } = parsePidCgroup(Buffer.from(bytes).toString('latin1'));
      for (const path of [unified, memoryV1]) expect(path === null || path.startsWith('/')).toBe(true);
    }),
  );
});
