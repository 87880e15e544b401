import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { MemorySampler } from '../../../src/sample/memory-sampler.js';
import { MEMINFO, procTree } from '../../support/proc-tree.js';

function samplerOf(root: string): MemorySampler {
  const sampler = MemorySampler.open(root);
  if (typeof sampler === 'number') throw new Error(`${root}: ${sampler}`);
  return sampler;
}

describe('MemorySampler', () => {
  it('says with -errno that there is no meminfo', () => {
    expect(MemorySampler.open(procTree([], null))).toBe(-2); // ENOENT
  });

  it('sees at each sample what the file holds then, and keeps the last good one', () => {
    const root = procTree([]);
    const write = (text: string): void => writeFileSync(path.join(root, 'meminfo'), text);
    const sampler = samplerOf(root);
    expect([sampler.sample(), sampler.memory.memAvailableKib]).toEqual([null, 12_000_000]);
    write(MEMINFO.replace('12000000', '11000000'));
    expect([sampler.sample(), sampler.memory.memAvailableKib]).toEqual([null, 11_000_000]);
    write(MEMINFO.replace('SwapFree', 'SwapLost'));
    expect(sampler.sample()).toEqual({ kind: 'missing', entry: 'SwapFree:' });
    write(MEMINFO.replace('16000000', 'many'));
    expect(sampler.sample()).toEqual({ kind: 'no-number', entry: 'MemTotal:' });
    write('');
    expect(sampler.sample()).toEqual({ kind: 'missing', entry: 'MemTotal:' });
    expect(sampler.memory).toEqual({
      memTotalKib: 16_000_000,
      memAvailableKib: 11_000_000,
      anonPagesKib: 3_000_000,
      swapTotalKib: 2_000_000,
      swapFreeKib: 1_500_000,
    });
  });

  it('says with which error it can not be read', () => {
    const root = procTree([], null);
    mkdirSync(path.join(root, 'meminfo')); // opens, but has no bytes
    expect(samplerOf(root).sample()).toEqual({ kind: 'read', errno: 21 }); // EISDIR
  });
});
