import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseSwaps } from '../../../src/kernel/swaps.js';
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
