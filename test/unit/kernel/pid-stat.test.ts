import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyPidStat, isDead, parsePidStat } from '../../../src/kernel/pid-stat.js';
import { hostileBytes, kernelNumber, RECORDED_PROCESSES, recorded } from './recorded.js';

function parse(text: string | Uint8Array, length?: number) {
  const bytes = Buffer.from(text as string);
  const out = emptyPidStat();
  return { ok: parsePidStat(bytes, length ?? bytes.length, out), out };
}

interface Fields {
  state: string;
  ppid: number;
  pgrp: number;
  numThreads: number;
  startTimeTicks: number;
  rssPages: number;
}

const FIELDS: Fields = { state: 'S', ppid: 1, pgrp: 7, numThreads: 3, startTimeTicks: 5017160, rssPages: 448 };

const after = (f: Fields): string =>
  `${f.state} ${f.ppid} ${f.pgrp} 7 34816 -1 4194304 94 0 0 0 0 0 0 0 20 0 ${f.numThreads} 0 ${f.startTimeTicks} 227065856 ${f.rssPages} 18446744073709551615 0 0 17 0\n`;

const render = (name: string | Uint8Array, fields = FIELDS): Buffer =>
  Buffer.concat([Buffer.from('7 ('), Buffer.from(name as string), Buffer.from(`) ${after(fields)}`)]);

const parsed = (f: Fields) => ({ ok: true, out: { ...f, state: f.state.charCodeAt(0) } });

describe('parsePidStat', () => {
  it.each(RECORDED_PROCESSES)('reads what a real kernel wrote of %s', (process) => {
    const bytes = recorded(`${process}/stat`);
    // What is behind the last bracket is plain: split it the simple way and compare.
    const fields = bytes
      .toString('latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    const numbers = { ppid: 1, pgrp: 2, numThreads: 17, startTimeTicks: 19, rssPages: 21 };
    const expected = Object.entries(numbers).map(([key, index]) => [key, Number(fields[index])]);
    expect(parse(bytes)).toEqual({
      ok: true,
      out: { state: fields[0]?.charCodeAt(0), ...Object.fromEntries(expected) },
    });
  });

  it('sees the zombie main thread of a living process', () => {
    const { out } = parse(recorded('zombie-main/stat'));
    expect([String.fromCharCode(out.state), out.numThreads > 1, out.rssPages, isDead(out)]).toEqual([
      'Z',
      true,
      0,
      false,
    ]);
  });

  it.each([
    ') Z (',
    ') R 1 2 3 (',
    '((((',
    '))))',
    'a b c',
    'a\nb\n',
    '',
    '-1 -1 -1',
    'x) Z 1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 0 0 0 1 0 1 0 0 0 (',
    Buffer.from([0xff, 0xfe, 0xc3]),
  ])('is not taken in by a process called %j', (name) => {
    expect(parse(render(name))).toEqual(parsed(FIELDS));
  });

  it.each([
    ['nothing', ''],
    ['no bracket', '7 cat S 1 7'],
    ['nothing after the bracket', '7 (cat)'],
    ['only blanks after the bracket', '7 (cat)   \t '],
    ['a newline after the bracket', '7 (cat)\nS 1 7'],
    ['a negative parent', render('cat').toString().replace(') S 1', ') S -1')],
    ['no number for the parent', render('cat').toString().replace(') S 1', ') S x')],
    ['no number for the threads', render('cat').toString().replace(' 20 0 3 ', ' 20 0 x ')],
    ['a line break in the middle', render('cat').toString().replace(' 94 ', '\n94 ')],
    ['a negative start time', render('cat').toString().replace('5017160', '-5017160')],
  ])('refuses a file with %s', (_case, text) => {
    expect(parse(text).ok).toBe(false);
  });

  it('takes a negative rss for 0 and holds a huge one', () => {
    expect(parse(render('cat', { ...FIELDS, rssPages: -3 })).out.rssPages).toBe(0);
    const huge = render('cat')
      .toString()
      .replace(' 448 ', ` ${'9'.repeat(300)} `);
    expect(parse(huge)).toEqual(parsed({ ...FIELDS, rssPages: Number.MAX_SAFE_INTEGER }));
  });

  it('cut off anywhere in front of rss, it is refused, whatever the name', () => {
    for (const name of ['cat', ') Z (', 'x) Z 1 1 1 (']) {
      const bytes = render(name);
      const needed = bytes.lastIndexOf(' 448 ') + 1;
      for (let length = 0; length <= needed; length++) expect(parse(bytes, length).ok).toBe(false);
      expect(parse(bytes, needed + 3)).toEqual(parsed(FIELDS));
    }
  });

  it('gives back any values behind any name', () => {
    const fields = fc.record({
      state: fc.constantFrom('R', 'S', 'D', 'Z', 'T', 't', 'X', 'I'),
      ppid: fc.nat(4_194_304),
      pgrp: fc.nat(4_194_304),
      numThreads: fc.nat(100_000),
      startTimeTicks: kernelNumber,
      rssPages: kernelNumber,
    });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fields, (name, values) => {
        expect(parse(render(name, values))).toEqual(parsed(values));
      }),
    );
  });

  it('never throws, and never accepts a negative number', () => {
    fc.assert(
      fc.property(hostileBytes(recorded('brackets/stat')), fc.integer({ min: -1, max: 700 }), (bytes, length) => {
        const { ok, out } = parse(bytes, length);
        if (ok) expect(Math.min(out.ppid, out.numThreads, out.startTimeTicks, out.rssPages)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('isDead', () => {
  it.each([
    ['Z', 0, true], // as a reaped one reads for a moment
    ['Z', 1, true],
    ['Z', 2, false],
    ['S', 1, false],
    ['D', 1, false],
  ])('state %s with %d threads: %s', (state, numThreads, dead) => {
    expect(isDead({ ...emptyPidStat(), state: state.charCodeAt(0), numThreads })).toBe(dead);
  });
});
