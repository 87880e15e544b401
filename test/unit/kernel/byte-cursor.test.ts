import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ascii, ByteCursor } from '../../../src/kernel/byte-cursor.js';

function cursorOn(text: string, length = text.length): ByteCursor {
  const cursor = new ByteCursor();
  cursor.reset(ascii(text), length);
  return cursor;
}

describe('ByteCursor.integer', () => {
  it.each([
    ['0', 0, ''],
    ['  \t12 34', 12, ' 34'],
    ['-5\n', -5, '\n'],
    ['007kB', 7, 'kB'],
    ['9007199254740991', Number.MAX_SAFE_INTEGER, ''],
    ['9007199254740992', Number.MAX_SAFE_INTEGER, ''],
    ['18446744073709551615 7', Number.MAX_SAFE_INTEGER, ' 7'],
    [`-${'9'.repeat(400)}x`, -Number.MAX_SAFE_INTEGER, 'x'],
    ['', Number.NaN, ''],
    ['-', Number.NaN, ''],
    ['- 5', Number.NaN, ' 5'],
    ['--5', Number.NaN, '-5'],
    ['+5', Number.NaN, '+5'],
    ['x5', Number.NaN, 'x5'],
    ['\n5', Number.NaN, '\n5'], // a number is never looked for on the next line
  ])('reads %j as %d and stops at %j', (text, value, rest) => {
    const cursor = cursorOn(text);
    expect(cursor.integer()).toBe(value);
    expect(text.slice(cursor.position)).toBe(rest);
  });

  it('gives back every exact integer that it was shown', () => {
    fc.assert(fc.property(fc.maxSafeInteger(), (value) => cursorOn(` ${value} `).integer() === value));
  });
});

describe('ByteCursor', () => {
  it('does not see bytes behind the length that it was given', () => {
    const cursor = cursorOn('12\n34', 1);
    expect(cursor.integer()).toBe(1);
    expect(cursor.peek()).toBe(-1);
    expect(cursor.nextLine()).toBe(false);
  });

  it.each([
    [-1, 0],
    [0, 0],
    [99, 3],
  ])('takes a length of %d on 3 bytes for %d', (length, end) => {
    expect(cursorOn('abc', length).end).toBe(end);
  });

  it('goes from line to line, and not past the last newline', () => {
    const cursor = cursorOn('a\n\nb\n');
    expect([cursor.nextLine(), cursor.position]).toEqual([true, 2]);
    expect([cursor.nextLine(), cursor.position]).toEqual([true, 3]);
    expect(cursor.nextLine()).toBe(false);
  });

  it('accepts a word only whole, and stays where it is otherwise', () => {
    const cursor = cursorOn('some so');
    expect([cursor.accept(ascii('full')), cursor.position]).toEqual([false, 0]);
    expect([cursor.accept(ascii('some')), cursor.position]).toEqual([true, 4]);
    cursor.skipBlanks();
    expect([cursor.accept(ascii('some')), cursor.position]).toEqual([false, 5]);
  });

  it('skips a word up to a blank or a newline, and says when there is none', () => {
    const cursor = cursorOn(' ab\tc\nd');
    expect([cursor.skipWord(), cursor.position]).toEqual([true, 3]);
    expect([cursor.skipWord(), cursor.position]).toEqual([true, 5]);
    expect([cursor.skipWord(), cursor.position]).toEqual([false, 5]);
  });
});
