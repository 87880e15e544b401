import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseArcstats } from '../../../src/kernel/arcstats.js';
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

it('reads the size and the least size', () => {
  expect(parseArcstats(TEXT)).toEqual({ sizeBytes: 8589934600, minBytes: 788963456 });
});

it.each(['size', 'c_min'])('without %s there is nothing to say', (name) => {
  expect(parseArcstats(TEXT.replace(new RegExp(`^${name} .*\n`, 'm'), ''))).toBeNull();
});

it('whatever the bytes are: two numbers or null', () => {
  fc.assert(
    fc.property(hostileBytes(Buffer.from(TEXT)), (bytes) => {
      const arc = parseArcstats(Buffer.from(bytes).toString('utf8'));
      expect(arc === null || (arc.sizeBytes >= 0 && arc.minBytes >= 0)).toBe(true);
    }),
  );
});
