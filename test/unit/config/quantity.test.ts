import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDurationMs, parseLimit } from '../../../src/config/quantity.js';

describe('parseLimit', () => {
  it.each([
    ['5%', { percent: 5 }],
    ['0%', { percent: 0 }],
    ['99%', { percent: 99 }],
    ['2.5%', { percent: 2.5 }],
    ['5 %', { percent: 5 }],
    ['1KiB', { kib: 1 }],
    ['512MiB', { kib: 524_288 }],
    ['512 MiB', { kib: 524_288 }],
    ['1.5GiB', { kib: 1_572_864 }],
    ['1TiB', { kib: 2 ** 30 }],
    ['0MiB', { kib: 0 }],
  ])('%j', (text, limit) => {
    expect(parseLimit(text, 99)).toEqual(limit);
  });

  it.each([
    ['99.1%', 'more than 99%'],
    ['512', 'no unit'],
    ['536870912', 'no unit'],
    ['512MB', 'unknown unit MB'],
    ['512mib', 'unknown unit mib'],
    ['512M', 'unknown unit M'],
    ['512B', 'unknown unit B'],
    ['5s', 'unknown unit s'],
    ['5toString', 'unknown unit toString'],
    ['', 'not a number and its unit'],
    ['%', 'not a number and its unit'],
    ['MiB', 'not a number and its unit'],
    ['-5%', 'not a number and its unit'],
    ['+5%', 'not a number and its unit'],
    ['5%%%5', 'not a number and its unit'],
    [' 5%', 'not a number and its unit'],
    ['5% ', 'not a number and its unit'],
    ['5,3%', 'not a number and its unit'],
    ['.5%', 'not a number and its unit'],
    ['5.%', 'not a number and its unit'],
    ['1e3MiB', 'not a number and its unit'],
    ['0x10MiB', 'not a number and its unit'],
    ['nan%', 'not a number and its unit'],
    ['5%\n', 'not a number and its unit'],
    [`${'9'.repeat(16)}GiB`, 'not a number and its unit'],
    ['٥%', 'not a number and its unit'],
  ])('%j: %s', (text, what) => {
    expect(parseLimit(text, 99)).toBe(what);
  });

  it('reads every size back', () => {
    const units = [
      ['KiB', 1],
      ['MiB', 1024],
      ['GiB', 1024 ** 2],
      ['TiB', 1024 ** 3],
    ] as const;
    fc.assert(
      fc.property(fc.nat(10 ** 9), fc.constantFrom(...units), (value, [unit, factor]) => {
        expect(parseLimit(`${value}${unit}`, 99)).toEqual({ kib: value * factor });
      }),
    );
  });

  it('makes a finite limit, not below 0, or words of any text', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9.]{0,20} ?[KMGTiB%]{0,4}$/));
    fc.assert(
      fc.property(text, (value) => {
        const limit = parseLimit(value, 99);
        if (typeof limit === 'string') return;
        const number = 'percent' in limit ? limit.percent : limit.kib;
        expect(Number.isFinite(number) && number >= 0).toBe(true);
        if ('percent' in limit) expect(limit.percent).toBeLessThanOrEqual(99);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('parseDurationMs', () => {
  it.each([
    ['0s', 0],
    ['200ms', 200],
    ['10s', 10_000],
    ['0.5s', 500],
    ['1min', 60_000],
    ['2h', 7_200_000],
    ['10 s', 10_000],
  ])('%j is %d ms', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it.each([
    ['10', 'no unit'],
    ['10m', 'unknown unit m'],
    ['10sec', 'unknown unit sec'],
    ['1d', 'unknown unit d'],
    ['5%', 'unknown unit %'],
    ['-1s', 'not a number and its unit'],
    ['1min 30s', 'not a number and its unit'],
    ['', 'not a number and its unit'],
  ])('%j: %s', (text, what) => {
    expect(parseDurationMs(text)).toBe(what);
  });
});
