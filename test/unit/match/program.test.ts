import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cString } from '../../../native-shims/libc.js';
import { PosixRegex } from '../../../native-shims/regex.js';
import { parseGlob } from '../../../src/match/glob-syntax.js';
import { compilePattern, regexIn } from '../../../src/match/pattern.js';
import { Program } from '../../../src/match/program.js';
import { parseRegex } from '../../../src/match/regex-syntax.js';

const bytes = (text: string): Buffer => Buffer.from(text);
const run = (program: Program, text: string): boolean => program.matches(bytes(text), 0, bytes(text).length);
const regex = (pattern: string, text: string): boolean => run(Program.of(parseRegex(pattern)), text);
const text = (pattern: string, subject: string): boolean => run(Program.of(parseGlob(pattern, 'text')), subject);
const path = (pattern: string, subject: string): boolean => run(Program.of(parseGlob(pattern, 'path')), subject);
const tree = (pattern: string, subject: string): boolean => run(Program.of(parseGlob(pattern, 'tree')), subject);

describe('a regular expression', () => {
  it.each<[string, string[], string[]]>([
    ['a', ['a', 'xay'], ['', 'b']],
    ['', ['', 'x'], []],
    ['^a', ['ab'], ['ba']],
    ['a$', ['ba'], ['ab']],
    ['^$', [''], ['x']],
    ['^a|b$', ['ax', 'xb'], ['xa', 'bx']],
    ['x(^a|b)', ['xb'], ['xa']],
    ['^(a|b)*c$', ['c', 'abbac'], ['abd', 'abcx']],
    ['^a+b?$', ['a', 'aab'], ['b', 'abb']],
    ['^a{2}$', ['aa'], ['a', 'aaa']],
    ['^a{2,}$', ['aa', 'aaaa'], ['a']],
    ['^a{1,3}$', ['a', 'aaa'], ['', 'aaaa']],
    ['^a{0}b$', ['b'], ['ab']],
    ['^a{,2}$', ['', 'aa'], ['aaa']],
    ['^(a*)*$', ['', 'aaaa'], ['ab']],
    ['^(a|)+b$', ['b', 'aab'], ['a']],
    ['^(()|a){3}$', ['', 'aaa'], ['aaaa']],
    ['^[a-c]$', ['a', 'c'], ['d', '-']],
    ['^[]-]$', [']', '-'], ['x']],
    ['^[^]a]$', ['b'], [']', 'a']],
    ['^[[:digit:]_]+$', ['1_2'], ['a']],
    ['^[\\]$', ['\\'], ['x']],
    ['^\\.\\*$', ['.*'], ['xx']],
    ['^.$', ['\n'], ['', 'é']],
    ['^é+$', ['éé'], ['e']],
    ['ab$|c', ['xxabxab', 'xabxxc'], ['xxabx', 'abab ']],
    ['(a|ab)(c|bcd)$', ['zzabcd', 'zac'], ['abcdz']],
  ])('%j', (pattern, matching, others) => {
    expect(matching.map((each) => regex(pattern, each))).toEqual(matching.map(() => true));
    expect(others.map((each) => regex(pattern, each))).toEqual(others.map(() => false));
  });

  it.each<[string, string]>([
    ['(a', 'a ( without its )'],
    ['a)', 'a ) without its ('],
    ['*a', 'a repetition of nothing'],
    ['a|+', 'a repetition of nothing'],
    ['^*', 'a repetition of nothing'],
    ['a{', 'a { that is no interval, and no \\{'],
    ['a{x}', 'a { that is no interval, and no \\{'],
    ['a{,}', 'a { that is no interval, and no \\{'],
    ['a{256}', 'more than 255 repetitions'],
    ['a{2,1}', 'an interval whose end is before its beginning'],
    ['[a', 'a [ without its ]'],
    ['[', 'a [ without its ]'],
    ['[a-', 'a [ without its ]'],
    ['[b-a]', 'a range whose end is before its beginning'],
    ['[[:alpha]', 'no such class as [::]'],
    ['[[:constructor:]]', 'no such class as [:constructor:]'],
    ['[[.a.]]', '[. in a bracket expression'],
    ['[é]', 'a bracket expression with characters that are not ASCII'],
    ['a\\', 'a \\ at the end'],
    ['(a)\\1', 'the back reference \\1'],
    ['\\d', '\\d, which POSIX does not have'],
    ['\\<a', '\\<, which POSIX does not have'],
    ['(a{1,100}){1,100}', 'too large: it takes more than 1024 steps'],
    ['((){255}){255}', 'too large: it repeats too much'],
  ])('%j is refused: %s', (pattern, why) => {
    expect(() => Program.of(parseRegex(pattern))).toThrow(why);
  });

  it('matches what regexec of this libc matches (which has .^ match a newline, and (a$){2} aa: not compared)', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '[[:alpha:]]', '\\.', 'é', '');
    const pattern = fc.letrec<{ node: string }>((tie) => ({
      node: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        atom,
        fc.tuple(tie('node'), tie('node')).map(([a, b]) => a + b),
        fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(${a}|${b})`),
        fc
          .tuple(tie('node'), fc.constantFrom('*', '+', '?', '{0,2}', '{2}', '{1,}'))
          .map(([node, repetition]) => `(${node})${repetition}`),
      ),
    })).node;
    const branch = fc.tuple(fc.constantFrom('', '^'), pattern, fc.constantFrom('', '$')).map((parts) => parts.join(''));
    const anchored = fc.array(branch, { minLength: 1, maxLength: 3 }).map((branches) => branches.join('|'));
    const subject = fc.string({ unit: fc.constantFrom('a', 'b', '.', 'é'), maxLength: 8 });
    let matched = 0;
    fc.assert(
      fc.property(anchored, fc.array(subject, { minLength: 1, maxLength: 5 }), (source, subjects) => {
        const reference = PosixRegex.compile(source) as PosixRegex;
        for (const each of subjects) {
          const expected = reference.matches(cString(each));
          if (expected) matched++;
          expect([source, each, regex(source, each)]).toEqual([source, each, expected]);
        }
      }),
      { numRuns: 1500 },
    );
    expect(matched).toBeGreaterThan(500);
  });
});

describe('a glob', () => {
  it.each<[string, string, string[], string[], typeof text]>([
    ['text', 'a*c', ['ac', 'a/b c'], ['acx', 'xac'], text],
    ['text', 'a?c', ['abc', 'a/c'], ['ac'], text],
    ['text', '[!a-b]x', ['cx'], ['ax', 'x'], text],
    ['text', '\\*[*]', ['**'], ['xx', '*x'], text],
    ['text', 'a.(b)|{c}+^$', ['a.(b)|{c}+^$'], ['ax(b)'], text],
    ['path', '/usr/*/a', ['/usr/b/a', '/usr//a'], ['/usr/b/c/a', '/usr/b'], path],
    ['path', '/usr/**', ['/usr/', '/usr/b/c'], ['/usr', '/var/usr/b'], path],
    ['path', '/**/a', ['/b/a', '/b/c/a'], ['/a', '/b/ax'], path],
    ['path', '/?[!b]', ['/ac'], ['//c', '/a/', '/ab'], path],
    ['tree', '/a/b*', ['/a/b', '/a/bc', '/a/bc/d/e'], ['/a', '/a/c', '/a/x/b'], tree],
    ['tree', '/', ['/', '/a', '/a/b'], [], tree],
    ['tree', '/a', ['/a', '/a/b', '/a/'], ['/ab'], tree],
  ])('of a %s: %j', (_form, pattern, matching, others, glob) => {
    expect(matching.map((each) => glob(pattern, each))).toEqual(matching.map(() => true));
    expect(others.map((each) => glob(pattern, each))).toEqual(others.map(() => false));
  });

  it.each<[string, typeof text, string, string]>([
    ['text', text, '.', '$'],
    ['path', path, '[^/]', '$'],
    ['tree', tree, '[^/]', '(/.*)?$'],
  ])('of a %s matches what the same JavaScript regular expression matches', (form, glob, one, ending) => {
    const ITEMS: Record<string, string> = {
      a: 'a',
      '/': '/',
      '*': `${one}*`,
      '**': '.*',
      '?': one,
      '[ab]': '[ab]',
      '[!a]': form === 'text' ? '[^a]' : '[^a/]',
    };
    const items = fc.array(fc.constantFrom(...Object.keys(ITEMS)), { maxLength: 7 });
    const subject = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 10 });
    let matched = 0;
    fc.assert(
      fc.property(items, subject, (pattern, each) => {
        // `*` beside `*` is one item that was not meant; the root is a tree of its own.
        fc.pre(!pattern.some((item, index) => item.startsWith('*') && pattern[index - 1]?.startsWith('*')));
        fc.pre(pattern.join('') !== '/');
        const reference = new RegExp(`^${pattern.map((item) => ITEMS[item]).join('')}${ending}`, 's').test(each);
        if (reference) matched++;
        expect(glob(pattern.join(''), each)).toBe(reference);
      }),
      { numRuns: 2000 },
    );
    expect(matched).toBeGreaterThan(100);
  });

  it.each(['a[', 'a\\', '[[:x:]]'])('%j is refused', (pattern) => {
    expect(() => parseGlob(pattern, 'text')).toThrow();
  });
});

describe('compilePattern', () => {
  it('tells a glob from a regular expression by its slashes', () => {
    expect(['/a/', '/a', 'a/', '/', '//', 'a'].map(regexIn)).toEqual(['a', null, null, null, '', null]);
  });

  it.each<[string, string]>([
    ['', 'empty'],
    ['a\0b', 'holds a NUL'],
    ['//', 'an empty regular expression'],
    ['/(/', "can't be used: a ( without its )"],
    ['[', "can't be used: a [ without its ]"],
  ])('%j: %s', (pattern, why) => {
    expect(compilePattern(pattern, 'text')).toBe(why);
  });
});

it('a pattern has at most 512 bytes', () => {
  expect(compilePattern('é'.repeat(256), 'text')).toBeInstanceOf(Program);
  expect(compilePattern(`${'é'.repeat(256)}a`, 'text')).toBe('longer than 512 bytes');
});

describe('Program', () => {
  it('looks at the bytes between start and end only, whatever is around them', () => {
    const program = Program.of(parseRegex('^a+$'));
    const around = bytes('bbaabb');
    expect(program.matches(around, 2, 4)).toBe(true);
    expect(program.matches(around, 1, 4)).toBe(false);
    expect(program.matches(around, 2, 5)).toBe(false);
    expect(program.matches(around, 2, 2)).toBe(false);
  });

  it('takes any byte, invalid UTF-8 too, and as many as there are', () => {
    const any = Uint8Array.from({ length: 4096 }, (_, index) => index % 256);
    expect(Program.of(parseRegex('^.{255}.*$')).matches(any, 0, any.length)).toBe(true);
    expect(Program.of(parseRegex('[^[:print:]]$')).matches(any, 0, any.length)).toBe(true);
  });

  it.each([
    // Each ends at once here, and not within a day by backtracking.
    '(a*)*(a*)*(a*)*b',
    '((a|a)*)*b',
    '(a|b)*a(a|b){40}c',
    '(a?){100}a{100}b',
    '(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*x',
  ])('is linear in the text for %j', (pattern) => {
    const program = Program.of(parseRegex(pattern));
    const hostile = bytes('a'.repeat(4096));
    expect(program.matches(hostile, 0, hostile.length)).toBe(false);
  });

  it('does not remember a text in the next one', () => {
    const program = Program.of(parseRegex('^ab$'));
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'b', 'ab', 'abb', ''), { maxLength: 20 }), (texts) => {
        for (const each of texts) expect(run(program, each)).toBe(each === 'ab');
      }),
    );
  });
});
