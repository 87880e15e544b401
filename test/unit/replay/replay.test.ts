import { describe, expect, it } from 'vitest';
import { type Replay, type ReplayPolicy, replay } from '../../../src/replay/replay.js';
import { type NameMatchers, tableOf } from '../../../src/replay/table.js';
import { readTrace } from '../../../src/replay/trace.js';
import { replayWords } from '../../../src/replay/words.js';
import type { CandidateTable } from '../../../src/shared/candidates.js';
import type { SelectionPolicy } from '../../../src/shared/selection.js';
import { chosen, HEADER, HOG, KILL, look, OTHER, POLICY, row, textOf } from './traces.js';

const NOTHING: NameMatchers = { prefer: null, avoid: null, ignore: null, wayIn: null };
const named = (name: string) => ({
  matches: (bytes: Uint8Array) => Buffer.from(bytes).toString().split('\0')[0] === name,
});

interface Other {
  limits?: Partial<ReplayPolicy['limits']>;
  selection?: Partial<SelectionPolicy>;
  matchers?: Partial<NameMatchers>;
  policy?: Partial<ReplayPolicy>;
  recorded?: Partial<ReplayPolicy>;
}

function replayed(lines: readonly object[], other: Other = {}): Replay {
  const recorded = { ...POLICY, ...other.recorded };
  const trace = readTrace(textOf(lines, { ...HEADER, policy: recorded }));
  const policy = {
    ...recorded,
    ...other.policy,
    limits: { ...POLICY.limits, ...other.limits },
    selection: { ...POLICY.selection, ...other.selection },
  };
  const candidates = (number: number): CandidateTable | null => {
    const table = trace.tables.get(number);
    return table?.whole === true ? tableOf(table.rows, { ...NOTHING, ...other.matchers }, new Uint8Array(32)) : null;
  };
  return replay(trace, recorded, policy, candidates);
}

const deeds = (decisions: Replay['recorded']): unknown[] =>
  decisions.map(({ tUs, deed, victim }) => [tUs, deed, victim?.pid ?? null]);

const TABLE = { t: 2_000_000, table: 1, part: 0, rows: [HOG, OTHER], last: true };

describe('a replay by the recorded policy does the same', () => {
  it.each<[string, object[], Other, unknown[]]>([
    [
      'a kill by SIGTERM',
      KILL,
      {},
      [
        [2_000_000, 'SIGTERM', 100],
        [2_020_000, 'exited', 100],
      ],
    ],
    [
      'one that SIGKILL’s limit escalates',
      [
        look(2_000_000, 9, { s: 'select' }),
        { t: 2_000_000, signal: 15 },
        TABLE,
        { t: 2_000_000, ...chosen(9, 1) },
        look(2_100_000, 4, { p: 2, s: 'escalate-by-limit' }),
        { t: 2_100_000, signal: 9 },
        look(2_200_000, 4, { p: 3, f: 3, s: 'exited' }),
      ],
      {},
      [
        [2_000_000, 'SIGTERM', 100],
        [2_100_000, 'SIGKILL', 100],
        [2_200_000, 'exited', 100],
      ],
    ],
    [
      'one that ten seconds escalate',
      [
        look(2_000_000, 9, { s: 'select' }),
        { t: 2_000_000, signal: 15 },
        TABLE,
        { t: 2_000_000, ...chosen(9, 1) },
        look(11_999_000, 9, { p: 2 }),
        look(12_000_000, 9, { p: 2, s: 'escalate-by-time' }),
        { t: 12_000_000, signal: 9 },
      ],
      {},
      [
        [2_000_000, 'SIGTERM', 100],
        [12_000_000, 'SIGKILL', 100],
      ],
    ],
    [
      'a victim that outlived SIGTERM gets SIGKILL the next time',
      [
        look(1_000_000, 9, { s: 'select' }),
        { t: 1_000_000, signal: 15 },
        TABLE,
        { t: 1_000_000, ...chosen(9, 1) },
        look(11_000_000, 30, { p: 2, s: 'give-up' }),
        look(12_000_000, 9, { s: 'select' }),
        { t: 12_000_000, signal: 9 },
        { t: 12_000_000, ...chosen(9, 1) },
      ],
      {},
      [
        [1_000_000, 'SIGTERM', 100],
        [11_000_000, 'given up', 100],
        [12_000_000, 'SIGKILL', 100],
      ],
    ],
    [
      'a hook that holds the signal up, and a signal that it makes needless',
      [
        look(1_000_000, 9, { s: 'select' }),
        look(1_050_000, 9, { p: 1, f: 0 }),
        look(1_100_000, 9, { p: 1, f: 2, s: 'signal' }),
        { t: 1_100_000, signal: 15 },
        TABLE,
        { t: 1_150_000, ...chosen(9, 1) },
        look(1_200_000, 30, { p: 2, f: 3, s: 'exited' }),
        look(1_300_000, 9, { s: 'select' }),
        look(1_350_000, 30, { p: 1, f: 0, s: 'let-go' }),
        { t: 1_350_000, ...chosen(9, 1) },
      ],
      { recorded: { preHook: true } },
      [
        [1_000_000, 'chosen', 100],
        [1_100_000, 'SIGTERM', 100],
        [1_200_000, 'exited', 100],
        [1_300_000, 'chosen', 100],
        [1_350_000, 'recovered while selecting', 100],
      ],
    ],
    [
      'a dry run, once a second',
      [
        look(1_000_000, 9, { s: 'select' }),
        TABLE,
        { t: 1_000_000, ...chosen(9, 1) },
        { t: 1_000_000, outcome: 'dry run', errno: 0 },
        look(1_500_000, 9),
        look(2_000_000, 9, { s: 'select' }),
        { t: 2_000_000, ...chosen(9, 1) },
        { t: 2_000_000, outcome: 'dry run', errno: 0 },
      ],
      { recorded: { dryrun: true } },
      [
        [1_000_000, 'dry run', 100],
        [2_000_000, 'dry run', 100],
      ],
    ],
    [
      'a signal that failed, and a victim that had ended before it',
      [
        look(1_000_000, 9, { s: 'select' }),
        TABLE,
        { t: 1_000_000, ...chosen(9, 1) },
        { t: 1_000_000, outcome: 'failed', errno: 1 },
        look(1_500_000, 9),
        look(2_000_000, 9, { s: 'select' }),
        { t: 2_000_000, ...chosen(9, 1) },
        { t: 2_000_000, outcome: 'exited', errno: 0 },
        look(2_010_000, 30),
      ],
      {},
      [
        [1_000_000, 'failed', 100],
        [2_000_000, 'had ended before the signal', 100],
      ],
    ],
    [
      'memory that came back while it selected, and nobody to choose',
      [
        look(1_000_000, 9, { s: 'select' }),
        TABLE,
        { t: 1_000_000, ...chosen(30, 1) },
        look(2_000_000, 9, { s: 'select' }),
        { t: 2_000_000, table: 2, part: 0, rows: [], last: true },
        { t: 2_000_000, ...chosen(9, 2, 0, '') },
        look(2_900_000, 9),
      ],
      {},
      [
        [1_000_000, 'recovered while selecting', 100],
        [2_000_000, 'nobody could be chosen', null],
      ],
    ],
    [
      'the kernel’s OOM killer',
      [look(1_000_000, 9, { s: 'select' }), look(1_500_000, 9)],
      { recorded: { kernelOom: true } },
      [[1_000_000, "kernel's OOM killer", null]],
    ],
    ['a look that failed decides nothing', [look(1_000_000, 9, { f: 6 })], {}, []],
  ])('%s', (_case, lines, other, expected) => {
    const result = replayed(lines, other);
    expect(deeds(result.recorded)).toEqual(expected);
    // What came to nothing has a victim in the trace, and none in the replay: nobody looked for one.
    expect(result.replayed.map(({ tUs, deed }) => [tUs, deed])).toEqual(
      result.recorded.map(({ tUs, deed }) => [tUs, deed]),
    );
    expect(result.difference).toBeNull();
  });
});

describe('a replay by another policy differs', () => {
  it.each<[string, Other, string, number, number | null]>([
    [
      'another victim, if the name is ignored',
      { matchers: { ignore: named('hog') } },
      'another victim',
      2_000_000,
      200,
    ],
    [
      'another victim, if another is preferred',
      { matchers: { prefer: named('other') } },
      'another victim',
      2_000_000,
      200,
    ],
    ['earlier, with a higher limit', { limits: { memTermPercent: 18 } }, 'earlier', 1_500_000, 100],
    ['later or never, with a lower limit', { limits: { memTermPercent: 8 } }, 'later or never', 2_000_000, null],
    ['nobody, if only another user’s may be killed', { selection: { onlyUid: 7 } }, 'nobody', 2_000_000, null],
    [
      'another signal, if SIGKILL’s limit is higher',
      { limits: { memKillPercent: 10 } },
      'another signal',
      2_000_000,
      100,
    ],
    ['unknown, if there is no table of that time', { limits: { memTermPercent: 60 } }, 'unknown', 500_000, null],
    ['later, if a hook holds the signal up', { policy: { preHook: true } }, 'another signal', 2_000_000, 100],
  ])('%s', (_case, other, kind, tUs, pid) => {
    const { difference, replayed: decisions } = replayed(KILL, other);
    const expectedKind = kind === 'unknown' ? 'earlier' : kind;
    expect([difference?.kind, difference?.tUs, difference?.replayed?.victim?.pid ?? null]).toEqual([
      expectedKind,
      tUs,
      pid,
    ]);
    // Nothing is told of what came later.
    expect(decisions.every((each) => each.tUs <= tUs)).toBe(true);
  });

  it('by how much earlier, is said', () => {
    expect(replayed(KILL, { limits: { memTermPercent: 18 } }).difference?.leadUs).toBe(500_000);
  });

  it('a pre-hook that is left out has the signal sent earlier', () => {
    const lines = [look(1_000_000, 9, { s: 'select' }), TABLE, { t: 1_000_000, ...chosen(9, 1) }];
    expect(replayed(lines, { recorded: { preHook: true }, policy: { preHook: false } }).difference?.kind).toBe(
      'another signal',
    );
  });

  it('unknown, if the recorded choice is missing', () => {
    const lines = [look(1_000_000, 9, { s: 'select' }), { t: 1_000_000, signal: 15 }];
    expect(replayed(lines).difference?.kind).toBe('unknown');
  });
});

describe('a recorded table', () => {
  it('keeps the machine’s marks and makes the policy’s anew', () => {
    const self = row(300, 'self', 999);
    self[12] = 128 | 2 | 32 | 512;
    const table = tableOf([self, OTHER], { ...NOTHING, ignore: named('other') }, new Uint8Array(32));
    expect([...table.marks]).toEqual([128 | 2, 128 | 32]);
  });

  it('passes over who is small unless nobody else is left', () => {
    const small = row(300, 'small', 950, 100);
    const lines = (rows: object[]): object[] => [
      look(2_000_000, 9, { s: 'select' }),
      { t: 2_000_000, signal: 15 },
      { t: 2_000_000, table: 1, part: 0, rows, last: true },
      { t: 2_000_000, ...chosen(9, 1, 300, 'small') },
    ];
    expect(replayed(lines([small])).difference).toBeNull();
    expect(replayed(lines([small, OTHER])).difference?.replayed?.victim?.pid).toBe(200);
  });
});

describe('in words', () => {
  const words = (other: Other = {}): string => {
    const result = replayed(KILL, other);
    const trace = {
      version: '1',
      machine: HEADER.machine,
      lengthUs: 3e6,
      looks: 7,
      missingLines: 2,
      full: true,
      torn: true,
    };
    return replayWords({ same: result.difference === null, ...result, trace }).join('\n');
  };

  it('says what was done, and that it is the same', () => {
    expect(words()).toMatch(/^3\.000 s, 7 looks, oom-backstop 1, Linux 6\.18 x64, 976 MiB\n2 lines are missing/);
    expect(words()).toMatch(/2\.000 s {2}SIGTERM: process 100 "hog" +SIGTERM: process 100 "hog"\n/);
    expect(words()).toMatch(/The same decisions\.$/);
  });

  it.each<[Other, string]>([
    [{ matchers: { ignore: named('hog') } }, 'a different process would have ended.'],
    [
      { limits: { memTermPercent: 18 } },
      'Earlier: At 1.500 s SIGTERM: process 100 "hog", 0.500 s before anything was done.',
    ],
    [{ limits: { memTermPercent: 8 } }, 'Later, or never: At 2.000 s'],
    [{ selection: { onlyUid: 7 } }, 'that process would have lived on.'],
    [{ limits: { memKillPercent: 10 } }, 'Another signal: At 2.000 s'],
  ])('%j: %s', (other, expected) => {
    expect(words(other)).toContain(expected);
    expect(words(other)).toContain("From there on the trace can't tell");
    expect(words(other)).toContain('  ?');
  });
});
