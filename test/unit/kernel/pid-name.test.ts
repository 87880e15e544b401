import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commLength, cutUtf8Tail, joinCmdline } from '../../../src/kernel/pid-name.js';
import { recorded } from './recorded.js';

/* TASK_COMM_LEN, without its NUL */
const COMM_BYTES_MAX = 15;

const commOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.subarray(0, commLength(bytes, bytes.length))).toString('latin1');

function joined(bytes: Uint8Array): string {
  const copy = Buffer.from(bytes);
  return copy.toString('latin1', 0, joinCmdline(copy, copy.length));
}

describe('commLength', () => {
  it.each([
    ['ordinary', 'ordinary'],
    ['brackets', ') Z ('],
    ['newlines', 'a\nUid:\t0\nb) R 1'],
    ['zombie-main', 'python3'],
  ])('finds the name that a real kernel wrote of %s', (process, name) => {
    expect(commOf(recorded(`${process}/comm`))).toBe(name);
  });

  it.each([
    ['', ''],
    ['\n', ''],
    ['cat', 'cat'],
    ['cat\n', 'cat'],
    ['cat\n\n', 'cat\n'], // the name ends in a newline itself
    [' \n', ' '],
  ])('takes %j for the name %j', (bytes, name) => {
    expect(commOf(Buffer.from(bytes))).toBe(name);
  });

  it('cuts what the kernel left of a character that did not fit, and nothing else', () => {
    for (const character of ['é', '€', '🦀']) {
      const whole = Buffer.from('0123456789abcd'.slice(0, COMM_BYTES_MAX - Buffer.byteLength(character)) + character);
      expect(commLength(whole, whole.length)).toBe(whole.length);
      const full = Buffer.from(`0123456789abcd${character}`).subarray(0, COMM_BYTES_MAX);
      expect(commOf(full)).toBe('0123456789abcd');
    }
  });
});

describe('cutUtf8Tail', () => {
  it('of valid text cut anywhere, what remains is the longest valid beginning', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(200), (text, cut) => {
        const bytes = Buffer.from(text);
        const end = Math.min(cut, bytes.length);
        const kept = end - cutUtf8Tail(bytes, end);
        const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
        expect(text.startsWith(decoder.decode(bytes.subarray(0, kept)))).toBe(true);
        expect(end - kept).toBeLessThan(4);
        if (end > kept) expect(() => decoder.decode(bytes.subarray(0, kept + 1))).toThrow();
      }),
    );
  });

  it('of any bytes, it is 0 to 3 and never more than there are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 8 }), (bytes) => {
        const tail = cutUtf8Tail(bytes, bytes.length);
        expect(tail >= 0 && tail <= Math.min(3, bytes.length)).toBe(true);
      }),
    );
  });
});

describe('joinCmdline', () => {
  it('makes one line of what a real kernel wrote', () => {
    expect(joined(recorded('ordinary/cmdline'))).toBe('ordinary');
    expect(joined(recorded('brackets/cmdline'))).toBe(') Z (');
    expect(joined(recorded('kernel-thread/cmdline'))).toBe('');
  });

  it.each([
    ['', ''],
    ['\0\0\0', ''],
    ['tail\0/dev/zero\0', 'tail /dev/zero'],
    ['a\0\0b\0', 'a  b'], // an empty argument
    ['cut in the mid', 'cut in the mid'],
    ['\0a', ' a'],
  ])('joins %j to %j', (bytes, line) => {
    expect(joined(Buffer.from(bytes))).toBe(line);
  });

  it('leaves no NUL, whatever the bytes are', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 256 }), (bytes) => !joined(bytes).includes('\0')));
  });
});
