import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BYTES_AT,
  DECISION_BYTES,
  DECISIONS_AT,
  DECISIONS_KEPT,
  decisionAt,
  LAYOUT_VERSION,
  MAGIC,
  NUMBERS,
  NUMBERS_AT,
  numberIndex,
  OUTCOMES,
  PAGE_BYTES,
  SEQUENCE_AT,
  VERSION_AT,
} from '../../../src/state/layout.js';
import { readStatePage, type StatePage, sequenceOf } from '../../../src/state/page-reader.js';
import { type MadeDecision, type MadePage, statePage } from '../../support/state-page.js';

function pageOf(made: MadePage = {}): StatePage {
  const read = readStatePage(statePage(made));
  if ('refused' in read) throw new Error(read.refused.why);
  return read.page;
}

function refusalOf(bytes: Uint8Array): string {
  const read = readStatePage(bytes);
  return 'refused' in read ? read.refused.kind : 'not refused';
}

/** A page with some bytes changed. */
function changed(change: (page: Buffer) => void): Buffer {
  const page = statePage();
  change(page);
  return page;
}

describe('the layout', () => {
  it('fits into its page', () => {
    expect(DECISIONS_AT + DECISIONS_KEPT * DECISION_BYTES).toBeLessThanOrEqual(PAGE_BYTES);
  });

  it('names each number once', () => {
    expect(new Set(NUMBERS).size).toBe(NUMBERS.length);
  });
});

describe('a page', () => {
  it('is read as it was written, each number under its own name', () => {
    const numbers = Object.fromEntries(NUMBERS.map((name, index) => [name, index + 1]));
    const page = pageOf({ numbers: { ...numbers, persona: 1, phase: 3, decisionsTotal: 0 }, version: '1.2.3' });
    expect(page).toMatchObject({ version: '1.2.3', persona: 'earlyoom', phase: 'killing', decisions: [] });
    for (const name of NUMBERS) {
      if (!['persona', 'phase', 'decisionsTotal'].includes(name)) expect(page.number(name)).toBe(numbers[name]);
    }
  });

  it('says null for what is not known, and throws for what the layout has not', () => {
    const page = pageOf({ numbers: { lastKillUnixMs: -1 } });
    expect(page.number('lastKillUnixMs')).toBeNull();
    expect(() => page.number('nonsense')).toThrow(RangeError);
  });

  it('may be longer: what follows is not looked at', () => {
    expect(refusalOf(Buffer.concat([statePage(), Buffer.alloc(100, 0xff)]))).toBe('not refused');
  });

  it('may lie anywhere in a larger buffer', () => {
    const larger = Buffer.concat([Buffer.alloc(3), statePage()]);
    expect(refusalOf(larger.subarray(3))).toBe('not refused');
  });
});

describe('decisions', () => {
  const numbered = (count: number): MadeDecision[] => Array.from({ length: count }, (_, index) => ({ pid: index + 1 }));

  it.each([0, 1, 7, 8, 9, 17])('of %d the last eight are there, the newest first', (count) => {
    const pids = pageOf({ decisions: numbered(count) }).decisions.map(({ pid }) => pid);
    const all = numbered(count).map((each) => each.pid);
    expect(pids).toEqual(all.reverse().slice(0, DECISIONS_KEPT));
  });

  it('have what is known of them', () => {
    const unknown = { uid: -1, signal: -1, rssKib: -1 };
    const { decisions } = pageOf({
      decisions: [{ ...unknown, comm: 'sixteen bytes !!', outcome: OUTCOMES.indexOf('under way') }],
    });
    expect(decisions).toEqual([
      {
        unixMs: expect.any(Number),
        pid: 1,
        uid: null,
        signal: null,
        outcome: 'under way',
        rssKib: null,
        freedKib: null,
        killMs: null,
        backMs: null,
        comm: 'sixteen bytes !!',
        rule: null,
      },
    ]);
  });

  it('whose name is no UTF-8 hold U+FFFD', () => {
    const page = changed((bytes) => bytes.fill(0xff, decisionAt(0) + 72, decisionAt(0) + 74));
    const read = readStatePage(page);
    expect('page' in read && read.page.decisions.at(-1)?.comm).toBe('\ufffd\ufffdak');
  });
});

describe('refused is', () => {
  const setNumber = (name: string, value: number) =>
    changed((page) => page.writeDoubleLE(value, NUMBERS_AT + numberIndex(name) * 8));
  const setDecision = (index: number, value: number) =>
    changed((page) => page.writeDoubleLE(value, decisionAt(0) + index * 8));

  it.each<[string, string, Uint8Array]>([
    ['an empty file', 'short', Buffer.alloc(0)],
    ['another file', 'foreign', Buffer.from('# oom-backstop\n')],
    ['a file of zeros', 'foreign', Buffer.alloc(PAGE_BYTES)],
    ['the beginning of the magic', 'short', Buffer.from(MAGIC.slice(0, 5))],
    ['a later layout', 'version', changed((page) => page.writeUInt32LE(LAYOUT_VERSION + 1, VERSION_AT))],
    ['an earlier layout', 'version', changed((page) => page.writeUInt32LE(0, VERSION_AT))],
    [
      'a later layout that is shorter',
      'version',
      changed((page) => page.writeUInt32LE(9, VERSION_AT)).subarray(0, 100),
    ],
    ['another size of the same layout', 'damaged', changed((page) => page.writeUInt32LE(8192, BYTES_AT))],
    ['one that is being written', 'torn', changed((page) => page.writeUInt32LE(7, SEQUENCE_AT))],
    ['NaN', 'damaged', setNumber('ticksTotal', Number.NaN)],
    ['infinity', 'damaged', setNumber('memTotalKib', Number.POSITIVE_INFINITY)],
    ['a negative counter', 'damaged', setNumber('freedKibTotal', -2)],
    ['a number that is not exact', 'damaged', setNumber('ticksTotal', 2 ** 60)],
    ['no persona', 'damaged', setNumber('persona', -1)],
    ['a persona that there is none of', 'damaged', setNumber('persona', 2)],
    ['half a phase', 'damaged', setNumber('phase', 0.5)],
    ['half a decision', 'damaged', setNumber('decisionsTotal', 1.5)],
    ['a decision without a pid', 'damaged', setDecision(1, -1)],
    ['a decision with a signal that there is none of', 'damaged', setDecision(3, 99)],
    ['a decision without an outcome', 'damaged', setDecision(4, -1)],
    ['a decision with NaN', 'damaged', setDecision(6, Number.NaN)],
  ])('%s: %s', (_, kind, bytes) => {
    expect(refusalOf(bytes)).toBe(kind);
  });

  it('every truncation, and no other length', () => {
    const page = statePage();
    for (let length = 0; length < PAGE_BYTES; length++) expect(refusalOf(page.subarray(0, length))).toBe('short');
    expect(refusalOf(page)).toBe('not refused');
  });

  it('with a reason in words', () => {
    const read = readStatePage(setNumber('ticksTotal', Number.NaN));
    expect(read).toEqual({ refused: { kind: 'damaged', why: 'holds what no guard writes: ticksTotal is NaN' } });
  });
});

describe('whatever the bytes are', () => {
  it('nothing throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: PAGE_BYTES + 64 }), (bytes) => {
        expect(readStatePage(bytes)).toBeTypeOf('object');
        sequenceOf(bytes);
      }),
    );
  });

  it('behind a good header neither, and what is read is in its range', () => {
    const patches = fc.array(
      fc.tuple(fc.integer({ min: SEQUENCE_AT, max: PAGE_BYTES - 1 }), fc.integer({ min: 0, max: 255 })),
      {
        maxLength: 40,
      },
    );
    fc.assert(
      fc.property(patches, (bytes) => {
        const page = changed((made) => {
          for (const [at, byte] of bytes) made[at] = byte;
        });
        const read = readStatePage(page);
        if ('refused' in read) return;
        for (const name of NUMBERS) expect(read.page.number(name) ?? 0).toBeGreaterThanOrEqual(0);
        for (const decision of read.page.decisions) expect(OUTCOMES).toContain(decision.outcome);
      }),
    );
  });
});
