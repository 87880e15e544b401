import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyTmpfsMounts, parseTmpfsMounts } from '../../../src/kernel/tmpfs-mounts.js';
import { hostileBytes } from './recorded.js';

const out = emptyTmpfsMounts((bytes) => new Uint8Array(bytes));

function mounts(text: string | Uint8Array): string[] {
  const bytes = Buffer.from(text as string);
  parseTmpfsMounts(bytes, bytes.length, out);
  return Array.from({ length: out.count }, (_, i) => {
    const path = Buffer.from(out.paths[i] as Uint8Array);
    expect(path[out.lengths[i] as number]).toBe(0);
    return path.toString('utf8', 0, out.lengths[i]);
  });
}

let id = 20;
const line = (device: string, mountPoint: string, type: string, tags = 'shared:5 master:1'): string =>
  `${id++} 1 ${device} / ${mountPoint} rw,relatime ${tags}${tags === '' ? '' : ' '}- ${type} source rw\n`;

describe('parseTmpfsMounts', () => {
  it('lists tmpfs mounts, and nothing else', () => {
    const text = `${line('8:1', '/', 'ext4')}${line('0:23', '/dev/shm', 'tmpfs')}${line('0:5', '/dev', 'devtmpfs')}${line('0:24', '/tmp', 'tmpfs', '')}`;
    expect(mounts(text)).toEqual(['/dev/shm', '/tmp']);
  });

  it('each file system once, however often it is mounted', () => {
    expect(
      mounts(line('0:23', '/dev/shm', 'tmpfs') + line('0:23', '/srv/shm', 'tmpfs') + line('1:23', '/a', 'tmpfs')),
    ).toEqual(['/dev/shm', '/a']);
  });

  it('a path as it is: \\040 is a blank', () => {
    expect(mounts(line('0:23', '/a\\040b\\134', 'tmpfs'))).toEqual(['/a b\\']);
  });

  it.each(['nfs4', 'fuse.sshfs', 'cifs', '9p', 'autofs', 'a-type-of-tomorrow'])(
    'asks nobody below a mount of type %s, which may not answer',
    (type) => {
      const text = `${line('0:9', '/net', type)}${line('0:23', '/net/tmp', 'tmpfs')}${line('0:24', '/nets', 'tmpfs')}${line('0:25', '/net', 'tmpfs')}`;
      expect(mounts(text)).toEqual(['/nets']);
    },
  );

  it('asks nobody at all on a root that may not answer', () => {
    expect(mounts(line('0:9', '/', 'nfs') + line('0:23', '/tmp', 'tmpfs'))).toEqual([]);
  });

  it('lists 64 at most, and none whose path is too long', () => {
    const many = Array.from({ length: 100 }, (_, i) => line(`0:${i}`, `/m${i}`, 'tmpfs')).join('');
    expect(mounts(many)).toHaveLength(64);
    expect(mounts(line('0:1', `/${'a'.repeat(254)}`, 'tmpfs'))).toHaveLength(1);
    expect(mounts(line('0:1', `/${'a'.repeat(255)}`, 'tmpfs'))).toEqual([]);
  });

  it('gives up where there are too many that may not answer to remember', () => {
    const many = Array.from({ length: 64 }, (_, i) => line(`0:${i}`, `/n${i}`, 'nfs')).join('');
    expect(mounts(many + line('0:99', '/tmp', 'tmpfs'))).toEqual([]);
  });

  it.each(['', '\n', '24 1', '24 1 0:21 / /proc', 'x y z', '24 1 0:2 / /a rw - '])('%j: none', (text) => {
    expect(mounts(text)).toEqual([]);
  });

  it('whatever the bytes are: nothing thrown, and paths that end', () => {
    const text = Buffer.from(line('0:9', '/net', 'nfs') + line('0:23', '/tmp\\040', 'tmpfs'));
    fc.assert(fc.property(hostileBytes(text), (bytes) => void mounts(bytes)));
  });
});
