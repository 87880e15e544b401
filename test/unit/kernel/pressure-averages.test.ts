import fc from 'fast-check';
import { expect, it } from 'vitest';
import { emptyPressureAverages, NO_PRESSURE, parsePressureAverages } from '../../../src/kernel/pressure-averages.js';

function parse(text: string | Uint8Array, length = text.length): number[] {
  const out = emptyPressureAverages();
  parsePressureAverages(Buffer.from(text as string), length, out);
  return [...out];
}

const NONE = NO_PRESSURE;

it.each([
  [
    'both lines',
    'some avg10=1.23 avg60=0.40 avg300=0.08 total=123456\nfull avg10=99.99 avg60=100.00 avg300=0.00 total=7\n',
    [123, 40, 123, 9999, 10_000, 0],
  ],
  [
    'only some, as for the CPU on older kernels',
    'some avg10=0.00 avg60=0.05 avg300=0.00 total=5000\n',
    [0, 5, 5, NONE, NONE, NONE],
  ],
  [
    'a total of months',
    'some avg10=0.00 avg60=0.00 avg300=0.00 total=99999999999999\n',
    [0, 0, 0x7fffffff, NONE, NONE, NONE],
  ],
  ['nothing', '', [NONE, NONE, NONE, NONE, NONE, NONE]],
  ['a line that ends in the middle', 'some avg10=1.2', [NONE, NONE, NONE, NONE, NONE, NONE]],
  ['words for numbers', 'some avg10=x avg60=1 avg300=.5 total=\n', [NONE, NONE, NONE, NONE, NONE, NONE]],
  ['more than a whole', 'some avg10=101.00 avg60=1e9 total=-5\n', [NONE, NONE, NONE, NONE, NONE, NONE]],
])('%s', (_case, text, expected) => {
  expect(parse(text)).toEqual(expected);
});

it('never throws, whatever the bytes are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(300), (bytes, length) => {
      expect(parse(bytes, length)).toHaveLength(6);
    }),
  );
});
