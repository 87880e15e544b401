import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseLimitPair, strtod } from '../../../src/cli/limit-value.js';

describe('strtod', () => {
  it.each([
    ['5', 5, ''],
    ['  \t\n5.5x', 5.5, 'x'],
    ['+.5', 0.5, ''],
    ['-5.', -5, ''],
    ['.', 0, '.'],
    ['', 0, ''],
    [' ', 0, ' '],
    ['-', 0, '-'],
    ['abc', 0, 'abc'],
    ['=0', 0, '=0'],
    ['1e3', 1000, ''],
    ['1E-2%', 0.01, '%'],
    ['1e', 1, 'e'],
    ['1e+', 1, 'e+'],
    ['1.2.3', 1.2, '.3'],
    ['1_000', 1, '_000'],
    ['0x1F', 31, ''],
    ['0X.8p1', 1, ''],
    ['-0x1.8p+1z', -3, 'z'],
    ['0x', 0, 'x'],
    ['0x.p1', 0, 'x.p1'],
    ['0x1p', 1, 'p'],
    ['0b1', 0, 'b1'],
    ['1e400', Number.POSITIVE_INFINITY, ''],
    ['inf', Number.POSITIVE_INFINITY, ''],
    ['-INFINITYx', Number.NEGATIVE_INFINITY, 'x'],
    ['infinit', Number.POSITIVE_INFINITY, 'init'],
    ['NaN', Number.NaN, ''],
    ['5,3', 5, ',3'],
    ['٥', 0, '٥'], // a digit to Unicode, not to C
    ['\u00a05', 0, '\u00a05'], // a blank to JavaScript, not to C
    ['0x0p9999', 0, ''],
  ])('reads %j as %d and leaves %j', (text, value, rest) => {
    expect(strtod(text)).toEqual({ value, rest });
  });

  it('reads back every number that JavaScript prints', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(strtod(`${value}rest`)).toEqual({ value: Number(String(value)), rest: 'rest' });
      }),
    );
  });

  it('gives value and rest of any text, the rest being its end', () => {
    fc.assert(fc.property(fc.string(), (text) => text.endsWith(strtod(text).rest)));
  });
});

describe('parseLimitPair, at most 99', () => {
  it.each<[string, number, number]>([
    ['10', 10, 5],
    ['10,5', 10, 5],
    ['5,9', 5, 9], // the caller warns and raises SIGTERM's
    ['5,', 5, 0],
    [',5', 0, 5],
    ['0,5', 0, 5],
    ['5,0', 5, 0],
    ['99', 99, 49.5],
    [' 5, 3', 5, 3],
    ['1e1,0x2', 10, 2],
    [`5${','.padEnd(254, ' ').slice(0, 253)}3`, 5, 3], // 255 bytes
  ])('%j: SIGTERM %d, SIGKILL %d', (text, term, kill) => {
    expect(parseLimitPair(text, 99)).toEqual({ term, kill });
  });

  it.each([
    ['5x', "trailing garbage 'x'"],
    ['5 ', "trailing garbage ' '"],
    ['5%', "trailing garbage '%'"],
    ['abc', "trailing garbage 'abc'"],
    ['1,2,3', "trailing garbage ',3'"],
    ['5,3x', "trailing garbage 'x'"],
    [',,', "trailing garbage ','"],
    ['99.01', 'value 99.01 exceeds limit 99'],
    ['5,100', 'value 100 exceeds limit 99'],
    ['inf', 'value inf exceeds limit 99'],
    ['-1', 'value -1 below zero'],
    ['5,-0.1', 'value -0.1 below zero'],
    ['-inf', 'value -inf below zero'],
    ['nan', 'not a number'],
    ['5,nan', 'not a number'],
    ['0', 'both SIGTERM and SIGKILL values are zero'],
    ['0,0', 'both SIGTERM and SIGKILL values are zero'],
    ['', 'both SIGTERM and SIGKILL values are zero'],
    [',', 'both SIGTERM and SIGKILL values are zero'],
    ['5'.padEnd(256, '0'), 'argument too long (256 bytes)'],
    ['€'.repeat(86), 'argument too long (258 bytes)'],
  ])('%j: %s', (text, message) => {
    expect(parseLimitPair(text, 99)).toBe(message);
  });

  it('accepts only pairs within its bounds, whatever the text is', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[-0-9.,einfaxp ]{0,12}$/));
    fc.assert(
      fc.property(text, (value) => {
        const pair = parseLimitPair(value, 99);
        if (typeof pair === 'string') return;
        for (const each of [pair.term, pair.kill]) expect(each >= 0 && each <= 99).toBe(true);
        expect(pair.term + pair.kill).toBeGreaterThan(0);
      }),
      { numRuns: 1000 },
    );
  });
});
