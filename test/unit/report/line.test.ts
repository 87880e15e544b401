import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Line } from '../../../src/report/line.js';

/* PIPE_BUF, as much as a pipe takes in one piece */
const LINE_BYTES_MAX = 4096;

const textOf = (line: Line): string => line.bytes.toString('utf8', 0, line.length);
const integer = (value: number, width?: number): string => textOf(new Line().integer(value, width));
const fixed = (value: number, decimals: number, width?: number): string =>
  textOf(new Line().fixed(value, decimals, width));
const escaped = (bytes: Uint8Array): string => textOf(new Line().escaped(bytes, 0, bytes.length));

const isValidUtf8 = (line: Line): boolean => {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(line.bytes.subarray(0, line.length));
    return true;
  } catch {
    return false;
  }
};

/* C0, DEL and C1: what can steer a terminal or begin a new line */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;

describe('Line.integer', () => {
  it.each([
    [0, 0, '0'],
    [7, 0, '7'],
    [-7, 0, '-7'],
    [156, 5, '  156'],
    [-1000, 5, '-1000'],
    [-1, 4, '  -1'],
    [123456, 5, '123456'],
    [Number.MAX_SAFE_INTEGER, 0, '9007199254740991'],
    [Number.MIN_SAFE_INTEGER, 18, ' -9007199254740991'],
  ])('%d in %d columns: "%s"', (value, width, text) => {
    expect(integer(value, width)).toBe(text);
  });

  it('is String() and padStart() for every exact integer', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.nat(30), (value, width) => {
        expect(integer(value, width)).toBe(String(value).padStart(width));
      }),
    );
  });
});

describe('Line.fixed', () => {
  it.each([
    [0, 2, 5, ' 0.00'],
    [5, 2, 5, ' 5.00'],
    [10, 2, 5, '10.00'],
    [100, 2, 5, '100.00'],
    [92.22, 2, 5, '92.22'],
    [9.996, 2, 5, '10.00'],
    [99.994, 2, 5, '99.99'],
    [0.004, 2, 5, ' 0.00'],
    [0.1, 3, 0, '0.100'],
    [0.0006, 3, 0, '0.001'],
    [12.0304, 3, 0, '12.030'],
  ])('%d with %d decimals in %d columns: "%s"', (value, decimals, width, text) => {
    expect(fixed(value, decimals, width)).toBe(text);
  });

  it('is toFixed() and padStart() wherever no digit decides by a hair', () => {
    const parts = fc.tuple(fc.nat(10_000_000), fc.integer({ min: -4, max: 4 }), fc.constantFrom(2, 3), fc.nat(14));
    fc.assert(
      fc.property(parts, ([units, tenths, decimals, width]) => {
        const value = Math.max(0, units + tenths / 10) / 10 ** decimals;
        expect(fixed(value, decimals, width)).toBe(value.toFixed(decimals).padStart(width));
      }),
    );
  });

  it('as percent is earlyoom\'s "%5.2f%%"', () => {
    expect(textOf(new Line().percent(5))).toBe(' 5.00%');
    expect(textOf(new Line().percent(92.219))).toBe('92.22%');
    expect(textOf(new Line().percent(100))).toBe('100.00%');
  });
});

describe('Line.escaped', () => {
  it.each([
    ['plain text', 'tail -f /dev/zero', 'tail -f /dev/zero'],
    ['a new line that fakes a message', 'x\nsending SIGKILL to process 1', 'x\\nsending SIGKILL to process 1'],
    ['a tab', 'a\tb', 'a\\tb'],
    ['a terminal sequence', '\x1b[31mred\x1b[0m', '\\x1b[31mred\\x1b[0m'],
    ['NUL, DEL and carriage return', '\0\x7f\r', '\\x00\\x7f\\x0d'],
    ['quotes and backslashes', 'a"b\\n', 'a\\"b\\\\n'],
    ['C1 controls (CSI, NEL), which terminals obey in UTF-8 too', '\u009b31m\u0085', '\\xc2\\x9b31m\\xc2\\x85'],
    ['the first character behind C1', '\u00a0', '\u00a0'],
    ['characters of 2, 3 and 4 bytes', 'é€🦀', 'é€🦀'],
    ['the last code point', '\u{10ffff}', '\u{10ffff}'],
  ])('%s', (_case, text, expected) => {
    expect(escaped(Buffer.from(text))).toBe(expected);
    expect(textOf(new Line().foreign(text))).toBe(expected);
  });

  it.each([
    ['a lone continuation byte', [0x61, 0x80, 0x62], 'a\\x80b'],
    ['a first byte without its rest', [0xc3, 0x28], '\\xc3('],
    ['an overlong slash', [0xc0, 0xaf, 0x2e], '\\xc0\\xaf.'],
    ['an overlong slash of three bytes', [0xe0, 0x80, 0xaf], '\\xe0\\x80\\xaf'],
    ['an overlong escape of four bytes', [0xf0, 0x80, 0x80, 0x9b], '\\xf0\\x80\\x80\\x9b'],
    ['a surrogate', [0xed, 0xa0, 0x80], '\\xed\\xa0\\x80'],
    ['beyond the last code point', [0xf4, 0x90, 0x80, 0x80], '\\xf4\\x90\\x80\\x80'],
    ['bytes that never occur in UTF-8', [0xff, 0xfe, 0x2e], '\\xff\\xfe.'],
    ['what once began a character of five bytes', [0xf8, 0x90, 0x80, 0x80, 0x2e], '\\xf8\\x90\\x80\\x80.'],
    ['latin-1', [0x63, 0x61, 0x66, 0xe9, 0x20, 0x78], 'caf\\xe9 x'],
    ['a character cut at the end: repaired', [0x61, 0xe2, 0x82], 'a'],
    ['a character of four bytes cut at the end: repaired', [0x61, 0xf0, 0x9f, 0xa6], 'a'],
    ['a byte at the end that begins no character', [0x61, 0xff], 'a\\xff'],
    ['a byte at the end that begins an overlong character', [0x61, 0xc0], 'a\\xc0'],
  ])('%s', (_case, bytes, expected) => {
    expect(escaped(Uint8Array.from(bytes))).toBe(expected);
  });

  it('takes only the bytes from start to end', () => {
    const bytes = Buffer.from('ab\ncd€');
    expect(textOf(new Line().escaped(bytes, 1, 4))).toBe('b\\nc');
    expect(textOf(new Line().escaped(bytes, 3, 7))).toBe('cd');
  });

  it('leaves valid text without controls, quotes and backslashes as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const plain = text.replace(/["\\]/g, '').replace(new RegExp(CONTROL, 'g'), '');
        expect(escaped(Buffer.from(plain))).toBe(plain);
      }),
    );
  });

  it('never gives a control character, an unescaped quote or invalid UTF-8, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const line = new Line().escaped(bytes, 0, bytes.length);
        expect(isValidUtf8(line)).toBe(true);
        expect(textOf(line)).not.toMatch(CONTROL);
        expect(textOf(line).replace(/\\["\\nt]|\\x[0-9a-f]{2}/g, '')).not.toMatch(/["\\]/);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('Line', () => {
  it('starts over with clear', () => {
    expect(textOf(new Line().text('before').clear().text('after'))).toBe('after');
  });

  it('cuts what does not fit into 4096 bytes, and stays there', () => {
    const line = new Line()
      .text('x'.repeat(LINE_BYTES_MAX - 1))
      .integer(12)
      .text('more')
      .byte(0x41);
    expect(line.length).toBe(LINE_BYTES_MAX);
    expect(textOf(line)).toBe(`${'x'.repeat(LINE_BYTES_MAX - 1)}1`);
  });

  it.each(['é', '€', '🦀'])('is still valid UTF-8 when %s does not fit any more', (character) => {
    for (let room = 0; room < 5; room++) {
      const line = new Line().text('x'.repeat(LINE_BYTES_MAX - room)).foreign(character);
      expect([room, isValidUtf8(line)]).toEqual([room, true]);
    }
  });
});
