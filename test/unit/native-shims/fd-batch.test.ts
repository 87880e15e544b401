import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FdBatch } from '../../../native-shims/fd-batch.js';
import { close, O_RDONLY, open } from '../../../native-shims/files.js';
import { cString } from '../../../native-shims/libc.js';
import { own } from './fds.js';

const NULL = cString('/dev/null');
const openMany = (count: number): number[] => Array.from({ length: count }, () => open(NULL, O_RDONLY));
const areOpen = (fds: number[]): number[] => fds.filter((fd) => existsSync(`/proc/self/fd/${fd}`));

describe('FdBatch', () => {
  it.each([1, 2, 7, 8, 9, 200])('closes %i files by the flush', (count) => {
    const batch = new FdBatch();
    const fds = openMany(count);
    expect(areOpen(fds)).toEqual(fds);
    for (const fd of fds) batch.close(fd);
    batch.flush();
    expect(areOpen(fds)).toEqual([]);
    expect(batch.isEmpty).toBe(true);
  });

  it('closes by itself when many wait', () => {
    const batch = new FdBatch();
    const fds = openMany(100);
    for (const fd of fds) batch.close(fd);
    expect(areOpen(fds).length).toBeLessThan(8);
    batch.flush();
  });

  it('leaves files alone that lie in between, in whatever order its own come', () => {
    const batch = new FdBatch();
    const fds = openMany(20);
    const others = fds.filter((_fd, index) => index % 3 === 1).map(own);
    const mine = fds.filter((fd) => !others.includes(fd)).reverse();
    for (const fd of mine) batch.close(fd);
    batch.flush();
    expect(areOpen(fds)).toEqual(others);
  });

  it('begins anew after a flush', () => {
    const batch = new FdBatch();
    const kept = own(open(NULL, O_RDONLY));
    for (const fd of openMany(3)) batch.close(fd);
    batch.flush();
    const [low = -1, between = -1, high = -1] = openMany(3);
    batch.close(low);
    batch.close(high);
    batch.flush();
    expect(areOpen([kept, low, between, high])).toEqual([kept, between]);
    close(between);
  });
});
