import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseOomNumber } from '../../../src/kernel/pid-oom.js';
import { hostileBytes, RECORDED_PROCESSES, recorded } from './recorded.js';

const parse = (bytes: Uint8Array): number => parseOomNumber(bytes, bytes.length);

describe('parseOomNumber', () => {
  it.each(RECORDED_PROCESSES)('reads what a real kernel wrote of %s', (process) => {
    for (const file of ['oom_score', 'oom_score_adj']) {
      const bytes = recorded(`${process}/${file}`);
      expect(parse(bytes)).toBe(Number(bytes.toString()));
    }
  });

  it.each([
    ['0\n', 0],
    ['666', 666],
    ['-1000\n', -1000],
    ['99999999999999999999\n', Number.MAX_SAFE_INTEGER],
    ['', Number.NaN],
    ['\n', Number.NaN],
    ['-\n', Number.NaN],
    ['max\n', Number.NaN],
  ])('reads %j as %d', (text, value) => {
    expect(parse(Buffer.from(text))).toBe(value);
  });

  it('gives back any score and adjustment', () => {
    fc.assert(fc.property(fc.integer(), (value) => parse(Buffer.from(`${value}\n`)) === value));
  });

  it('never throws, and gives a whole number or none', () => {
    fc.assert(
      fc.property(hostileBytes(Buffer.from('-1000\n')), (bytes) => {
        const value = parse(bytes);
        expect(Number.isNaN(value) || Number.isSafeInteger(value)).toBe(true);
      }),
    );
  });
});
