import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Arcstats, emptyArcstats, parseArcstats } from '../../../src/kernel/arcstats.js';
import { hostileBytes } from './recorded.js';

const TEXT = `13 1 0x01 147 39984 3931338412 1273486459
name                            type data
hits                            4    19
c                               4    8589934592
c_min                           4    788963456
c_max                           4    12623415296
size                            4    8589934600
compressed_size                 4    7
`;

function parsed(text: string): Arcstats | null {
  const bytes = Buffer.from(text);
  const out = emptyArcstats();
  return parseArcstats(bytes, bytes.length, out) ? out : null;
}

it('reads the size and the least size, in whole KiB', () => {
  expect(parsed(TEXT)).toEqual({ sizeKib: 8388608, minKib: 770472 });
});

it.each(['size', 'c_min'])('without %s there is nothing to say', (name) => {
  expect(parsed(TEXT.replace(new RegExp(`^${name} .*\n`, 'm'), ''))).toBeNull();
});

it.each([
  ['nothing', ''],
  ['the heading alone', TEXT.slice(0, 80)],
  ['a field without a number', TEXT.replace('788963456', 'many')],
  ['a type that is missing', TEXT.replace('c_min                           4    788963456', 'c_min 4')],
])('%s: nothing to say', (_, text) => {
  expect(parsed(text)).toBeNull();
});

it('a number beyond all bounds is a number', () => {
  expect(parsed(TEXT.replace('8589934600', '9'.repeat(40)))?.sizeKib).toBeLessThanOrEqual(Number.MAX_SAFE_INTEGER);
});

it('whatever the bytes are: two numbers or nothing, and then what was there is left alone', () => {
  fc.assert(
    fc.property(hostileBytes(Buffer.from(TEXT)), (bytes) => {
      const out: Arcstats = { sizeKib: 5, minKib: 6 };
      if (parseArcstats(bytes, bytes.length, out)) expect(Math.min(out.sizeKib, out.minKib)).toBeGreaterThanOrEqual(0);
      else expect(out).toEqual({ sizeKib: 5, minKib: 6 });
    }),
  );
});
