import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cString } from '../../../native-shims/libc.js';
import { PosixRegex } from '../../../native-shims/regex.js';

function matches(pattern: string, text: string | Uint8Array): boolean {
  const regex = PosixRegex.compile(pattern);
  if (regex === null) throw new Error(`${pattern} does not compile`);
  return regex.matches(cString(text));
}

describe('PosixRegex', () => {
  it.each<[string, string[], string[]]>([
    ['fire', ['fire', 'firefox', 'campfire'], ['Fire', 'fir', '']],
    ['^(java|chromium)$', ['java', 'chromium'], ['javac', 'xchromium', '(java|chromium)']],
    ['^java$|^node$', ['java', 'node'], ['nodejs']],
    ['', ['', 'anything'], []],
    ['^$', [''], ['x']],
    ['^.{3}$', ['abc'], ['ab', 'abcd']],
    ['a+b?c*', ['a', 'aabcc'], ['bc']],
    ['[[:digit:]]{2}', ['a12'], ['a1', 'x']],
    ['^[^[:space:][:upper:]]+$', ['abc-1'], ['a b', 'aB']],
    ['[]x]', [']', 'x'], ['[']],
    ['\\(', ['('], ['x']],
    ['^\\) Z \\($', [') Z ('], []],
    ['(Web Content|Isolated)', ['Web Content', 'Isolated Servic'], ['Web']],
    ['a.b', ['a\nb', 'a b'], ['ab']], // a newline is a character like any other
    ['^b', ['b'], ['a\nb']],
    ['\\d', ['d'], ['1']], // not Perl's
  ])('%j', (pattern, yes, no) => {
    for (const text of yes) expect([text, matches(pattern, text)]).toEqual([text, true]);
    for (const text of no) expect([text, matches(pattern, text)]).toEqual([text, false]);
  });

  it.each(['(', '[', '[a', '*(', 'a{1', 'a{2,1}', '[[:nope:]]', '[b-a]', 'x\\', '(?<name>x)'])(
    'null for %j',
    (pattern) => {
      expect(PosixRegex.compile(pattern)).toBeNull();
    },
  );

  it('works on bytes, as earlyoom does: a character of two is two dots', () => {
    expect([matches('^..$', 'é'), matches('^.$', 'é'), matches('é', 'café')]).toEqual([true, false, true]);
    expect(matches('^a.b$', Uint8Array.from([0x61, 0xff, 0x62]))).toBe(true);
    expect(matches('^[^a]+$', Uint8Array.from([0xe9, 0xfe, 0x80]))).toBe(true);
  });

  it('looks at the text up to its NUL only', () => {
    expect(PosixRegex.compile('x')?.matches(Buffer.from('ab\0x\0'))).toBe(false);
  });

  it('keeps many patterns apart', () => {
    const compiled = Array.from({ length: 200 }, (_, i) => PosixRegex.compile(`^p${i}$`));
    expect(
      compiled.map((regex, i) => [regex?.matches(cString(`p${i}`)), regex?.matches(cString(`p${i + 1}`))]),
    ).toEqual(compiled.map(() => [true, false]));
  });

  it('agrees with JavaScript where the two mean the same', () => {
    const pattern = fc.stringMatching(/^\^?([ab.]|[ab][+?*]|\[ab\]|\(a\|b+\)){1,6}\$?$/);
    fc.assert(
      fc.property(pattern, fc.stringMatching(/^[abc]{0,8}$/), (each, text) => {
        expect(matches(each, text)).toBe(new RegExp(each).test(text));
      }),
    );
  });
});
