import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileGlob, globMistake, matchesName } from '../../../src/kernel/cgroup-glob.js';

/** Whether one name of a pattern matches a name; whatever lies behind the name in memory does not count. */
function matches(pattern: string, name: string): boolean {
  const bytes = Buffer.from(`${name}-and-more`);
  return matchesName(Buffer.from(pattern), bytes, Buffer.byteLength(name));
}

describe('matchesName', () => {
  it.each([
    ['user.slice', 'user.slice', true],
    ['user.slice', 'user.slic', false],
    ['user.slice', 'user.slice2', false],
    ['user-*.slice', 'user-1000.slice', true],
    ['user-*.slice', 'user-.slice', true],
    ['user-*.slice', 'user-1000.scope', false],
    ['*', 'anything', true],
    ['*', '', true],
    ['?', '', false],
    ['?', 'a', true],
    ['a?c', 'abc', true],
    ['*a*b', 'xxaxxaxxb', true],
    ['*a*b', 'xxaxxaxxbc', false],
    ['a.c', 'abc', false],
    ['[ab]', 'a', false],
  ])('%s and %s: %j', (pattern, name, expected) => {
    expect(matches(pattern, name)).toBe(expected);
  });

  it('matches what a regular expression made of the pattern does', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
    const name = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 });
    fc.assert(
      fc.property(text, name, (pattern, of) => {
        const regex = new RegExp(`^${pattern.replaceAll('?', '.').replaceAll('*', '.*')}$`);
        expect(matches(pattern, of)).toBe(regex.test(of));
      }),
    );
  });
});

describe('a pattern', () => {
  it('is split at its slashes; one before or behind it does not count', () => {
    const names = (text: string): string[] => compileGlob(text).map((name) => Buffer.from(name).toString());
    expect(names('/user.slice/user-*.slice/')).toEqual(['user.slice', 'user-*.slice']);
    expect(names('ä')).toEqual(['ä']);
  });

  it.each([
    ['user.slice/*', null],
    ['/', 'names no cgroup'],
    ['', 'names no cgroup'],
    ['a//b', 'has an empty name'],
    ['../a', "has '.' or '..' in it"],
    ['a/.', "has '.' or '..' in it"],
    ['a\0', 'holds a NUL or a newline'],
    [Array.from({ length: 16 }, () => 'a').join('/'), 'deeper than 15'],
    [Array.from({ length: 15 }, () => 'a').join('/'), null],
  ])('%j: %j', (text, mistake) => {
    expect(globMistake(text)).toBe(mistake);
  });
});
