import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readTrace, TraceError } from '../../../src/replay/trace.js';
import { HEADER, KILL, look, row, textOf } from './traces.js';

describe('a trace', () => {
  it('is read: each look with what belongs to it', () => {
    const trace = readTrace(textOf(KILL));
    expect(trace.header).toEqual(HEADER);
    expect(trace.looks.map((each) => [each.tUs, each.step])).toEqual([
      [500_000, 'wait'],
      [1_000_000, 'wait'],
      [1_500_000, 'wait'],
      [2_000_000, 'select'],
      [2_005_000, 'wait'],
      [2_020_000, 'exited'],
      [3_000_000, 'wait'],
    ]);
    expect(trace.looks[3]).toMatchObject({ signals: [15], choice: { pid: 100, table: 2 } });
    expect(trace.looks[5]).toMatchObject({ end: { outcome: 'exited', errno: 0 } });
    expect(trace).toMatchObject({ missingLines: 0, full: false, torn: false });
  });

  it('puts tables together, and says which lack a part', () => {
    const lines = [
      look(1, 50),
      { t: 1, table: 1, part: 0, rows: [row(1, 'a', 1)] },
      { t: 1, table: 1, part: 1, rows: [row(2, 'b', 1)], last: true },
      { t: 2, table: 2, part: 1, rows: [row(2, 'b', 1)], last: true },
      { t: 3, table: 3, part: 0, rows: [row(1, 'a', 1)] },
    ];
    const { tables } = readTrace(textOf(lines));
    expect([...tables].map(([number, table]) => [number, table.rows.length, table.whole])).toEqual([
      [1, 2, true],
      [2, 1, false],
      [3, 1, false],
    ]);
  });

  it('counts the lines that the guard had to drop, and says that it is full', () => {
    expect(readTrace(textOf([look(1, 50, { n: 3 }), look(2, 50, { n: 4 }), { t: 3, full: true }]))).toMatchObject({
      missingLines: 7,
      full: true,
    });
  });

  it('may end in half a line, which is left out', () => {
    const whole = textOf(KILL);
    const trace = readTrace(whole.slice(0, -10));
    expect([trace.torn, trace.looks.length]).toEqual([true, 6]);
  });

  it.each([
    ['an empty file', '', /line 1: not a whole JSON object/],
    ['something else', '{"kind":"incident","schema":1}\n', /line 1: not the header of a trace/],
    ['a list', '[]\n', /line 1: not a whole JSON object/],
    ['a later schema', textOf([], { ...HEADER, schema: 2 }), /schema 2, and this program knows 1/],
    ['a header without a policy', textOf([], { ...HEADER, policy: {} }), /line 1: the header lacks/],
    [
      'half a line in the middle',
      `${textOf([look(1, 50)])}{"t":2,"m":[\n${JSON.stringify(look(3, 50))}\n`,
      /line 3: not a whole/,
    ],
    ['a line without a time', textOf([{ m: [1, 2, 3, 4] }]), /line 2: no time/],
    ['a look without its memory', textOf([{ t: 1, m: [1, 2], f: 0 }]), /line 2: not a look/],
    ['a choice of nothing', textOf([{ t: 1, choice: null }]), /line 2: not a choice/],
    ['a row that is too short', textOf([{ t: 1, table: 1, part: 0, rows: [[1, 2]] }]), /line 2: not a table/],
  ])('that is %s is refused', (_case, text, why) => {
    expect(() => readTrace(text)).toThrow(TraceError);
    expect(() => readTrace(text)).toThrow(why);
  });

  it('of any lines of JSON is read or refused with words', () => {
    const line = fc.oneof(
      fc.json(),
      fc
        .record({ t: fc.nat(), m: fc.json(), table: fc.anything(), choice: fc.anything() }, { requiredKeys: [] })
        .map((each) => JSON.stringify(each)),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        try {
          readTrace(textOf([]) + lines.map((each) => `${each}\n`).join(''));
        } catch (error) {
          expect(error).toBeInstanceOf(TraceError);
        }
      }),
    );
  });
});
