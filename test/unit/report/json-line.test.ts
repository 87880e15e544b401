import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonLine } from '../../../src/report/json-line.js';

const textOf = (line: JsonLine): string => line.bytes.toString('utf8', 0, line.length);
const parsed = (build: (line: JsonLine) => JsonLine): unknown => JSON.parse(textOf(build(new JsonLine(4096))));
const utf8 = (bytes: Uint8Array): unknown => parsed((line) => line.utf8(bytes, 0, bytes.length));
const latin1 = (bytes: Uint8Array): unknown => parsed((line) => line.latin1(bytes, 0, bytes.length));

/* C0, DEL and C1: what can steer a terminal or begin a new line */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;

describe('JsonLine', () => {
  it('puts commas where they belong, in objects, in lists and after what was closed', () => {
    const value = parsed((line) =>
      line
        .open('{')
        .key('a')
        .integer(1)
        .key('b')
        .open('[')
        .integer(2)
        .open('[')
        .close(']')
        .string('x')
        .close(']')
        .key('c')
        .literal('null')
        .key('d')
        .open('{')
        .close('}')
        .close('}'),
    );
    expect(value).toEqual({ a: 1, b: [2, [], 'x'], c: null, d: {} });
  });

  it('writes whole numbers exactly, and of others the whole part', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(parsed((line) => line.integer(value))).toBe(value === 0 ? 0 : value);
      }),
    );
    expect([1.9, -1.9, -0.5].map((value) => textOf(new JsonLine(9).integer(value)))).toEqual(['1', '-1', '0']);
  });

  it('writes a number of a column of floats, and null for none', () => {
    const column = Float64Array.of(-9999, 0, 4_294_967_295, 2 ** 52);
    const at = (row: number): unknown => parsed((line) => line.at(column, row, -9999));
    expect([0, 1, 2, 3].map(at)).toEqual([null, 0, 4_294_967_295, 2 ** 52]);
  });

  it.each([
    [0, 0],
    [7, 0.07],
    [10_000, 100],
    [1234, 12.34],
  ])('%d hundredths are %d', (value, expected) => {
    expect(parsed((line) => line.hundredths(value))).toBe(expected);
  });

  it('writes four decimals', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 100, noNaN: true }), (value) => {
        expect(parsed((line) => line.decimal(value))).toBeCloseTo(value, 4);
      }),
    );
  });

  it('writes a span of time in whole microseconds', () => {
    const us = (from: number, to: number): unknown => parsed((line) => line.microseconds({ ms: to }, { ms: from }));
    expect([us(0.5, 0.5), us(1e10, 1e10 + 1.25), us(0, 3e9)]).toEqual([0, 1250, 3e12]);
  });

  it('gives back any valid text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const bytes = Buffer.from(text);
        expect(utf8(bytes)).toBe(bytes.toString('utf8'));
      }),
    );
  });

  it('makes valid JSON of any bytes, with no raw control character in it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const line = new JsonLine(4096).utf8(bytes, 0, bytes.length);
        expect(CONTROL.test(textOf(line))).toBe(false);
        expect(Buffer.from(textOf(line))).toEqual(line.bytes.subarray(0, line.length));
        const ascii = String.fromCharCode(...bytes.filter((byte) => byte < 0x80));
        // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
        expect((JSON.parse(textOf(line)) as string).replace(/[^\x00-\x7f]/g, '')).toBe(ascii);
      }),
    );
  });

  it.each([
    ['a byte that begins nothing', [0x61, 0xff, 0x62], 'a\ufffdb'],
    ['half a character at the end', [0x61, 0xe2, 0x82], 'a\ufffd\ufffd'],
    ['a C1 control character', [0xc2, 0x9b], '\u009b'],
    ['a surrogate', [0xed, 0xa0, 0x80], '\ufffd\ufffd\ufffd'],
    ['quotes, backslashes and newlines', [0x22, 0x5c, 0x0a, 0x00, 0x7f], '"\\\n\0\x7f'],
  ])('%s', (_case, bytes, expected) => {
    expect(utf8(Uint8Array.from(bytes))).toBe(expected);
  });

  it('as latin1 gives back any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(Buffer.from(latin1(bytes) as string, 'latin1')).toEqual(Buffer.from(bytes));
      }),
    );
  });

  it('says when something does not fit, writes nothing beyond its bytes, and fits again once cleared', () => {
    const line = new JsonLine(8);
    expect(line.string('1234567').fits).toBe(false);
    expect(line.length).toBe(8);
    expect(line.clear().string('123456').fits).toBe(true);
    expect(textOf(line)).toBe('"123456"');
  });
});

it.each([
  [0, '0.000'],
  [12.3456, '12.346'],
  [0.0004, '0.000'],
  [-5, '0.000'],
  [86_400_000.5, '86400000.500'],
])('a span of %s ms is %s', (ms, expected) => {
  const line = new JsonLine(100);
  line.open('[').integer(1).milliseconds({ ms }).integer(2).close(']');
  expect(line.bytes.toString('utf8', 0, line.length)).toBe(`[1,${expected},2]`);
});
