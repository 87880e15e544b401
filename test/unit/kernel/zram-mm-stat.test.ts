import fc from 'fast-check';
import { expect, it } from 'vitest';
import { emptyZramMmStat, parseZramMmStat, type ZramMmStat } from '../../../src/kernel/zram-mm-stat.js';
import { hostileBytes } from './recorded.js';

const TEXT = '4096000000 1187423111 1238360064 2147483648 1238364160    31337        0        0        0\n';

function parsed(text: string): ZramMmStat | null {
  const bytes = Buffer.from(text);
  const out = emptyZramMmStat();
  return parseZramMmStat(bytes, bytes.length, out) ? out : null;
}

it('reads what is stored, what it costs and what it may cost, in whole KiB', () => {
  expect(parsed(TEXT)).toEqual({ origDataKib: 4000000, memUsedTotalKib: 1209336, memLimitKib: 2097152 });
});

it('an empty device holds and costs nothing', () => {
  expect(parsed('       0        0        0        0        0        0        0        0        0\n')).toEqual(
    emptyZramMmStat(),
  );
});

it.each(['', '\n', '4096', '4096 1 2', 'a b c d', '1 2 x 4'])('%j is no mm_stat', (text) => {
  expect(parsed(text)).toBeNull();
});

it('whatever the bytes are: numbers or nothing, and then what was there is left alone', () => {
  fc.assert(
    fc.property(hostileBytes(Buffer.from(TEXT)), (bytes) => {
      const out: ZramMmStat = { origDataKib: 5, memUsedTotalKib: 6, memLimitKib: 7 };
      const before = { ...out };
      if (!parseZramMmStat(bytes, bytes.length, out)) expect(out).toEqual(before);
      else for (const value of Object.values(out)) expect(value).toBeGreaterThanOrEqual(0);
    }),
  );
});
