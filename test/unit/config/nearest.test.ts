import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearest } from '../../../src/config/nearest.js';

const NAMES = ['term', 'kill', 'prefer', 'avoid', 'ignore', 'ignore_root_user'];

describe('nearest', () => {
  it.each([
    ['trem', 'term'],
    ['ter', 'term'],
    ['kil', 'kill'],
    ['kills', 'kill'],
    ['PREFER', 'prefer'],
    ['prefre', 'prefer'],
    ['ignroe', 'ignore'],
    ['ignore-root-user', 'ignore_root_user'],
  ])('%s was %s', (name, meant) => {
    expect(nearest(name, NAMES)).toBe(meant);
  });

  it.each(['', 'x', 'xyzzy', 'x'.repeat(10_000), 't'.repeat(65)])('%s was none of them', (name) => {
    expect(nearest(name, NAMES)).toBeNull();
  });

  it('finds every candidate itself, and one letter beside it', () => {
    fc.assert(
      fc.property(fc.constantFrom(...NAMES), fc.nat(20), (name, at) => {
        expect(nearest(name, NAMES)).toBe(name);
        const place = at % name.length;
        expect(nearest(`${name.slice(0, place)}${name.slice(place + 1)}`, NAMES)).toBe(name);
      }),
    );
  });
});
