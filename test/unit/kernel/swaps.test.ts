import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyZramSwaps, parseSwaps, parseZramSwaps } from '../../../src/kernel/swaps.js';
import { hostileBytes } from './recorded.js';

const TEXT = `Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/zram0                              partition\t4194300\t\t12\t\t100
/var/swap\\040file                       file\t\t2097148\t\t0\t\t-2
`;

it('reads each area', () => {
  expect(parseSwaps(TEXT)).toEqual([
    { name: '/dev/zram0', sizeKib: 4194300, usedKib: 12 },
    { name: '/var/swap file', sizeKib: 2097148, usedKib: 0 },
  ]);
});

it('finds none behind the heading alone, or in nothing', () => {
  expect([parseSwaps(TEXT.slice(0, TEXT.indexOf('\n') + 1)), parseSwaps('')]).toEqual([[], []]);
});

it('whatever the bytes are: nothing thrown, sizes are numbers', () => {
  fc.assert(
    fc.property(hostileBytes(Buffer.from(TEXT)), (bytes) => {
      for (const { sizeKib, usedKib } of parseSwaps(Buffer.from(bytes).toString('utf8'))) {
        expect(Math.min(sizeKib, usedKib)).toBeGreaterThanOrEqual(0);
      }
    }),
  );
});

describe('parseZramSwaps', () => {
  function areas(text: string): [number, number][] {
    const bytes = Buffer.from(text);
    const out = emptyZramSwaps();
    parseZramSwaps(bytes, bytes.length, out);
    return Array.from({ length: out.count }, (_, i) => [out.device[i] as number, out.freeKib[i] as number]);
  }

  it('finds the areas on zram and what is free in each', () => {
    const more = '/dev/block/zram12 partition 1000 400 90\n/zram3 partition 10 20 1\n';
    expect(areas(TEXT + more)).toEqual([
      [0, 4194288],
      [12, 600],
      [3, 0],
    ]);
  });

  it.each([
    '/dev/sda2 partition 100 0 -2',
    '/var/zram0/swap file 100 0 -2',
    '/dev/zram0x partition 100 0 -2',
    '/dev/zram partition 100 0 -2',
    'zram0 partition 100 0 -2',
    '/dev/zram0 partition',
    '/dev/zram99999999 partition 100 0 1',
    '',
  ])('%j is none', (line) => {
    expect(areas(`Filename Type Size Used Priority\n${line}\n`)).toEqual([]);
  });

  it('looks at 64 areas at most', () => {
    expect(areas('/dev/zram1 partition 10 0 1\n'.repeat(100))).toHaveLength(64);
  });

  it('whatever the bytes are: nothing thrown, and nothing less than nothing', () => {
    fc.assert(
      fc.property(hostileBytes(Buffer.from(TEXT)), (bytes) => {
        for (const [device, freeKib] of areas(Buffer.from(bytes).toString('latin1'))) {
          expect(Math.min(device, freeKib)).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });
});
