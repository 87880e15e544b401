import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { PosixRegex } from '../../../native-shims/regex.js';
import { pickVictim, rankOrder } from '../../../src/decide/ranking.js';
import { ProcessList } from '../../../src/guard/process-list.js';
import type { Selector } from '../../../src/guard/selector.js';
import { PID_CGROUP, PID_CMDLINE, PidFiles } from '../../../src/sample/pid-files.js';
import { MARK_SMALL } from '../../../src/shared/candidates.js';
import type { MatchAction } from '../../../src/shared/matching.js';
import { EARLYOOM_SELECTION } from '../../../src/shared/selection.js';
import { emptyVictim } from '../../../src/shared/victim.js';
import { WAY_IN_REGEX } from '../../../src/shared/way-in.js';
import { tablesOf } from '../../support/matching.js';
import type { FakeProcess } from '../../support/proc-tree.js';
import { recordingLog } from '../recording-log.js';
import { MACHINE_KIB, type Setup, selectorOf, victimOf } from './selecting.js';

const LOW: FakeProcess = { pid: 30, oomScore: 100, rssPages: 5000 };

describe('Selector.select', () => {
  it.each<[string, FakeProcess[], Setup, number]>([
    ['the highest oom_score', [{ pid: 20, oomScore: 700 }, { pid: 21, oomScore: 701 }, LOW], {}, 21],
    [
      'of two, the larger RSS',
      [{ pid: 20, oomScore: 700, rssPages: 1 }, { pid: 21, oomScore: 700, rssPages: 2 }, LOW],
      {},
      21,
    ],
    [
      'of two alike, the lower pid',
      [
        { pid: 21, oomScore: 700 },
        { pid: 20, oomScore: 700 },
        { pid: 100, oomScore: 700 },
      ],
      {},
      20,
    ],
    ['the largest RSS', [{ pid: 20, oomScore: 900 }, LOW], { rankBy: 'rss' }, 30],
    [
      'of two of the same RSS, the higher oom_score',
      [{ pid: 20, oomScore: 101, rssPages: 5000 }, LOW],
      { rankBy: 'rss' },
      20,
    ],
    [
      'a preferred name',
      [
        { pid: 20, oomScore: 399, comm: 'b' },
        { pid: 21, comm: 'a' },
      ],
      { prefer: PosixRegex.compile('^b$') },
      20,
    ],
    ['nobody of an ignored name', [{ pid: 20, comm: 'b' }, LOW], { ignore: PosixRegex.compile('^b$') }, 30],
    [
      'nobody of an avoided name unless by far the worst',
      [{ pid: 20, comm: 'b', oomScore: 399 }, LOW],
      { avoid: PosixRegex.compile('b') },
      30,
    ],
    [
      'one of an avoided name that is by far the worst',
      [{ pid: 20, comm: 'b', oomScore: 401 }, LOW],
      { avoid: PosixRegex.compile('b') },
      20,
    ],
    [
      'a zombie main thread, whose other threads live',
      [{ pid: 20, state: 'Z', numThreads: 3, rssPages: 0, oomScore: 674 }, LOW],
      {},
      20,
    ],
    [
      'the same by RSS, where it shows none',
      [{ pid: 20, state: 'Z', numThreads: 3, rssPages: 0, oomScore: 674 }, LOW],
      { rankBy: 'rss' },
      20,
    ],
    [
      'no dead zombie',
      [{ pid: 20, state: 'Z', rssPages: 0, oomScore: 0 }, { pid: 21, state: 'Z', oomScore: 900 }, LOW],
      {},
      30,
    ],
    ['not init, though it leads', [{ pid: 1, oomScore: 2000 }, LOW], {}, 30],
    ['no kernel thread', [{ pid: 2, ppid: 0, oomScore: 2000 }, { pid: 3, ppid: 2, oomScore: 2000 }, LOW], {}, 30],
    ['not the guard itself', [{ pid: 20, oomScore: 900 }, LOW], { selfPid: 20 }, 30],
    ['no child of its own', [{ pid: 20, oomScore: 900 }, LOW], { isChild: (pid) => pid === 20 }, 30],
    [
      'no oom_score_adj of -1000, though several lead',
      [20, 21, 22].map((pid) => ({ pid, oomScoreAdj: -1000 })).concat({ pid: 23, oomScoreAdj: -999 }),
      {},
      23,
    ],
    ["not root's, if asked", [{ pid: 20, uid: 0 }, LOW], { ignoreRootUser: true }, 30],
    ["root's, if not asked", [{ pid: 20, uid: 0 }, LOW], {}, 20],
    ['nobody without a stat', [{ pid: 20, stat: null }, LOW], {}, 30],
    ['nobody with a stat of garbage', [{ pid: 20, stat: ')' }, LOW], {}, 30],
    ['nobody without an oom_score', [{ pid: 20, oomScore: null }, LOW], {}, 30],
    ['nobody without a name', [{ pid: 20, comm: null }, LOW], {}, 30],
    ['nobody whose oom_score_adj is not known', [{ pid: 20, oomScoreAdj: null }, LOW], {}, 30],
    ['somebody without arguments, and whose owner is not known', [{ pid: 20, cmdline: null, uid: null }, LOW], {}, 20],
    ['nobody of nobody', [], {}, -1],
    ['nobody if none can be chosen', [{ pid: 1 }, { pid: 20, oomScoreAdj: -1000 }, { pid: 21, state: 'Z' }], {}, -1],
  ])('%s', (_case, processes, setup, pid) => {
    expect(victimOf(processes, setup)).toBe(pid);
  });

  it('passes over who was set aside, but not over a later process with that pid', () => {
    const setAside = new ProcessList();
    setAside.add(20, 500);
    expect(victimOf([{ pid: 20, startTimeTicks: 500 }, LOW], { setAside })).toBe(30);
    expect(victimOf([{ pid: 20, startTimeTicks: 501 }, LOW], { setAside })).toBe(20);
  });

  it('finds the same as the ranking that `rank` prints, whose first it is', () => {
    const processes = Array.from({ length: 80 }, (_, i) => ({
      pid: 10 + i,
      oomScore: 600 + ((i * 37) % 101),
      rssPages: (i * 53) % 17,
      oomScoreAdj: i % 3 === 0 ? -1000 : 0,
      comm: `p${i % 7}`,
    }));
    const patterns = {
      prefer: PosixRegex.compile('^p3$'),
      avoid: PosixRegex.compile('p[45]'),
      ignore: PosixRegex.compile('6'),
    };
    for (const rankBy of ['oom_score', 'rss', 'memory'] as const) {
      const selector = selectorOf(processes, { ...patterns, rankBy });
      const victim = selector.table.pid[selector.select()];
      expect(selector.scanAll()).toBe(0);
      const order = rankOrder(selector.table, { ...EARLYOOM_SELECTION, rankBy, machineKib: MACHINE_KIB });
      expect(selector.table.pid[order[0] as number]).toBe(victim);
    }
  }, 20_000);
});

/* Few values, so that leads are narrow and ties common; some can't be chosen, for each reason that takes a file to see. */
const PROCESS = fc.record({
  oomScore: fc.constantFrom<number | string>(0, 366, 367, 666, 667, 700, 966, 967, 1333, 'x'),
  comm: fc.constantFrom('plain', 'wanted', 'shunned', 'wanted shunned', 'never', ''),
  rssPages: fc.constantFrom(0, 1, 2, 300, 301, 600, 1_200),
  sharedPages: fc.constantFrom(0, 0, 1, 300),
  swapKib: fc.constantFrom(0, 4, 1200, 4800),
  oomScoreAdj: fc.constantFrom(0, 0, 0, 300, 1000, -1, -1000),
  state: fc.constantFrom('S', 'S', 'S', 'Z'),
  numThreads: fc.constantFrom(1, 2),
  ppid: fc.constantFrom(1, 1, 1, 2),
  uid: fc.constantFrom(0, 1000),
});
const PATTERNS = {
  prefer: PosixRegex.compile('wanted'),
  avoid: PosixRegex.compile('shunned'),
  ignore: PosixRegex.compile('never'),
  wayIn: PosixRegex.compile('^plain$'),
};

/** The pid that would be killed by everybody's facts, or -1. */
function fullScan(selector: Selector, setup: Setup): number {
  const { table } = selector;
  const policy = { ...EARLYOOM_SELECTION, ...setup, machineKib: MACHINE_KIB };
  selector.scanAll();
  let row = pickVictim(table, policy);
  if (row === -1) {
    for (let each = 0; each < table.count; each++) table.marks[each] = (table.marks[each] as number) & ~MARK_SMALL;
    row = pickVictim(table, policy);
  }
  return row === -1 ? -1 : (table.pid[row] as number);
}

describe('the lean selection', () => {
  it('finds the victim of a full scan, whoever is on the machine and whatever is preferred', () => {
    const setup = fc.record({
      prefer: fc.constantFrom(null, PATTERNS.prefer),
      avoid: fc.constantFrom(null, PATTERNS.avoid),
      ignore: fc.constantFrom(null, PATTERNS.ignore),
      wayIn: fc.constantFrom(null, null, PATTERNS.wayIn),
      rankBy: fc.constantFrom('oom_score', 'memory'),
      floorKib: fc.constantFrom(0, 0, 5),
      swapCounts: fc.boolean(),
      onlyUid: fc.constantFrom(-1, -1, 1000),
      ignoreRootUser: fc.boolean(),
      selfPid: fc.constantFrom(null, 10),
    });
    let chosen = 0;
    fc.assert(
      fc.property(fc.array(PROCESS, { maxLength: 14 }), setup, (processes, options) => {
        const selector = selectorOf(
          processes.map((process, index) => ({ pid: 10 + index, ...process })),
          options,
        );
        const row = selector.select();
        const lean = row === -1 ? -1 : selector.table.pid[row];
        const full = fullScan(selector, options);
        if (full !== -1) chosen++;
        expect(lean).toBe(full);
      }),
      { numRuns: 400 },
    );
    expect(chosen).toBeGreaterThan(200);
  }, 60_000);

  it('finds the victim of a full scan with matchers, whichever facts they ask for', () => {
    const process = fc
      .tuple(
        PROCESS,
        fc.record({
          cmdline: fc.constantFrom('a\0', 'b\0--big\0', ''),
          exe: fc.constantFrom('/bin/a', '/bin/b'),
          cgroup: fc.constantFrom('/', '/in', '/in/a.service', '/out/b.service', '/docker/'.padEnd(72, 'c')),
        }),
      )
      .map(([facts, more]) => ({ ...facts, ...more }));
    const conditions = fc.record(
      {
        comm: fc.constantFrom('wanted*', '*'),
        cmdline: fc.constantFrom('*big*', '/a/'),
        exe: fc.constantFrom('/bin/a', '/**'),
        user: fc.constantFrom('0', '1000'),
        cgroup: fc.constantFrom('/in', '/*/*.service'),
        unit: fc.constantFrom('a.service', '*'),
        container: fc.constantFrom('*', 'd*'),
      },
      { requiredKeys: [] },
    );
    const matching = fc.record({
      // Without conditions a table would match everybody.
      tables: fc.array(
        fc
          .tuple(fc.constantFrom<MatchAction>('prefer', 'prefer', 'avoid', 'protect'), conditions)
          .filter(([, each]) => Object.keys(each).length > 0),
        { maxLength: 3 },
      ),
      onlyCgroup: fc.constantFrom(null, null, null, '/in'),
    });
    const setup = fc.record({
      prefer: fc.constantFrom(null, PATTERNS.prefer),
      avoid: fc.constantFrom(null, PATTERNS.avoid),
      rankBy: fc.constantFrom('oom_score', 'memory'),
      floorKib: fc.constantFrom(0, 0, 5),
      swapCounts: fc.boolean(),
    });
    let chosen = 0;
    let differs = 0;
    fc.assert(
      fc.property(
        fc.array(process, { maxLength: 12 }),
        setup,
        matching,
        (processes, options, { tables, onlyCgroup }) => {
          const crowd = processes.map((each, index) => ({ pid: 10 + index, ...each }));
          const all = { ...options, matching: { ...tablesOf(...tables), onlyCgroup } };
          const selector = selectorOf(crowd, all);
          const row = selector.select();
          const lean = row === -1 ? -1 : selector.table.pid[row];
          const full = fullScan(selector, all);
          if (full !== -1) chosen++;
          expect(lean).toBe(full);
          if (victimOf(crowd, options) !== full) differs++;
        },
      ),
      { numRuns: 400 },
    );
    expect(chosen).toBeGreaterThan(150);
    expect(differs).toBeGreaterThan(20);
  }, 60_000);

  it('asks matchers of nobody who is too far behind, and those that protect of who would lead only', () => {
    const others = Array.from({ length: 20 }, (_, index) => ({ pid: 20 + index, oomScore: index < 5 ? 300 : 650 }));
    const matching = tablesOf(['prefer', { cmdline: '*big*' }], ['protect', { exe: '/opt/**', cgroup: '/x' }]);
    const selector = selectorOf([...others, { pid: 50, oomScore: 700, cgroup: '/' }], { matching });
    const read = vi.spyOn(PidFiles.prototype, 'read');
    onTestFinished(() => read.mockRestore());
    selector.select();
    // oom_score of all; the arguments of those whom a preference could put ahead; the cgroup of the leader.
    expect(read.mock.calls.filter(([pid]) => pid < 25).length).toBe(5);
    expect(read.mock.calls.filter(([pid]) => pid >= 25 && pid < 50).length).toBe(15 * 2);
    expect(read.mock.calls.filter(([, file]) => file === PID_CGROUP).map(([pid]) => pid)).toEqual([50]);
  });

  it('is not slowed down by matchers that there are none of', () => {
    const selector = selectorOf([{ pid: 20 }, { pid: 21, oomScore: 700 }]);
    const read = vi.spyOn(PidFiles.prototype, 'read');
    const readLink = vi.spyOn(PidFiles.prototype, 'readLink');
    onTestFinished(() => void vi.restoreAllMocks());
    selector.select();
    expect(read.mock.calls.filter(([, file]) => file === PID_CGROUP || file === PID_CMDLINE)).toEqual([]);
    expect(readLink).not.toHaveBeenCalled();
  });

  it.each<[string, Setup, number, number]>([
    // setup, files read of the 20 who don't lead, files read in all: the leader's are five
    ['one file of each without patterns', {}, 1, 26],
    ['no name where the leader is far ahead', { ...PATTERNS }, 1, 26],
  ])('reads %s', (_case, setup, ofOthers, inAll) => {
    const others = Array.from({ length: 20 }, (_, index) => ({ pid: 20 + index, oomScore: 650 + index }));
    const selector = selectorOf([...others, { pid: 50, oomScore: 1333 }], setup);
    const read = vi.spyOn(PidFiles.prototype, 'read');
    onTestFinished(() => read.mockRestore());
    selector.select();
    expect(read.mock.calls.filter(([pid]) => pid < 50).length).toBe(20 * ofOthers);
    expect(read.mock.calls.length).toBe(inAll);
  });

  it('reads the names of those whom a preference could put ahead, and nothing else of them', () => {
    const others = Array.from({ length: 20 }, (_, index) => ({ pid: 20 + index, oomScore: index < 5 ? 300 : 650 }));
    const selector = selectorOf([...others, { pid: 50, oomScore: 700 }], PATTERNS);
    const read = vi.spyOn(PidFiles.prototype, 'read');
    onTestFinished(() => read.mockRestore());
    selector.select();
    expect(read.mock.calls.filter(([pid]) => pid < 25).length).toBe(5);
    expect(read.mock.calls.filter(([pid]) => pid >= 25 && pid < 50).length).toBe(15 * 2);
  });
});

/** 4 KiB pages. */
const mib = (count: number): number => count * 256;

describe('--rank-by memory', () => {
  const memory: Setup = { rankBy: 'memory' };
  const small = Array.from({ length: 5 }, (_, i) => ({
    pid: 40 + i,
    oomScore: 966,
    oomScoreAdj: 300,
    rssPages: mib(80),
  }));

  it.each<[string, FakeProcess[], Setup, number]>([
    [
      'a leak, not the small ones with a raised oom_score_adj',
      [{ pid: 20, oomScore: 680, rssPages: mib(300) }, ...small],
      {},
      20,
    ],
    [
      'who has more of its own, not who maps more of files',
      [
        { pid: 20, rssPages: mib(900), sharedPages: mib(800) },
        { pid: 21, rssPages: mib(200) },
      ],
      {},
      21,
    ],
    [
      'twice as much of whom is avoided',
      [
        { pid: 20, comm: 'shunned', rssPages: mib(301) },
        { pid: 21, rssPages: mib(150) },
      ],
      { avoid: PosixRegex.compile('shunned') },
      20,
    ],
    [
      'no more than half of whom is preferred',
      [
        { pid: 20, comm: 'wanted', rssPages: mib(149) },
        { pid: 21, rssPages: mib(300) },
      ],
      { prefer: PosixRegex.compile('wanted') },
      21,
    ],
    [
      'half as much at oom_score_adj 1000',
      [
        { pid: 20, oomScoreAdj: 1000, rssPages: mib(151) },
        { pid: 21, rssPages: mib(300) },
      ],
      {},
      20,
    ],
    // 10 thousandths of 18,000,000 KiB are 175 MiB.
    [
      'less of whom has a negative one',
      [
        { pid: 20, oomScoreAdj: -10, rssPages: mib(470) },
        { pid: 21, rssPages: mib(300) },
      ],
      {},
      21,
    ],
    [
      'nobody at oom_score_adj -1000',
      [
        { pid: 20, oomScoreAdj: -1000, rssPages: mib(900) },
        { pid: 21, rssPages: mib(1) },
      ],
      {},
      21,
    ],
    [
      'who is in swap, where swap counts',
      [
        { pid: 20, rssPages: mib(1), swapKib: 400_000 },
        { pid: 21, rssPages: mib(300), swapKib: 0 },
      ],
      { swapCounts: true },
      20,
    ],
    [
      'and not where it does not',
      [
        { pid: 20, rssPages: mib(1), swapKib: 400_000 },
        { pid: 21, rssPages: mib(300), swapKib: 0 },
      ],
      {},
      21,
    ],
    [
      'whose main thread is a zombie, by a thread that lives',
      [
        {
          pid: 20,
          state: 'Z',
          numThreads: 3,
          rssPages: 0,
          threads: [
            { tid: 24, rssPages: 0 },
            { tid: 25, rssPages: mib(400) },
          ],
        },
        { pid: 30, rssPages: mib(300) },
      ],
      {},
      20,
    ],
    [
      'of two alike, the larger RSS',
      [
        { pid: 20, rssPages: mib(300) },
        { pid: 21, rssPages: mib(301), sharedPages: mib(1) },
      ],
      {},
      21,
    ],
  ])('chooses %s', (_case, processes, setup, pid) => {
    expect(victimOf(processes, { ...memory, ...setup })).toBe(pid);
  });

  it('reads one file of those who are far behind', () => {
    const others = Array.from({ length: 20 }, (_, index) => ({ pid: 20 + index, rssPages: mib(80) }));
    const selector = selectorOf([...others, { pid: 50, rssPages: mib(600) }], { ...memory, ...PATTERNS });
    const read = vi.spyOn(PidFiles.prototype, 'read');
    onTestFinished(() => read.mockRestore());
    selector.select();
    expect(read.mock.calls.filter(([pid]) => pid < 50).length).toBe(20);
  });
});

describe('who is passed over', () => {
  const SMALL: FakeProcess = { pid: 20, oomScore: 966, oomScoreAdj: 300, rssPages: mib(3) };

  it('who would give back less than the floor, unless nobody else is left', () => {
    expect(victimOf([SMALL, { pid: 30, oomScore: 700, rssPages: mib(5) }], { floorKib: 4096 })).toBe(30);
    expect(victimOf([SMALL, { pid: 30, oomScore: 700, rssPages: mib(3) }], { floorKib: 4096 })).toBe(20);
    expect(victimOf([SMALL, { pid: 30, oomScore: 700, rssPages: mib(5) }], { floorKib: 0 })).toBe(20);
  });

  it("the admin's way in, also if nobody else is left", () => {
    const wayIn = PosixRegex.compile(WAY_IN_REGEX);
    const sshd: FakeProcess = { pid: 20, comm: 'sshd', oomScore: 966, rssPages: mib(100) };
    expect(victimOf([sshd, LOW], { wayIn })).toBe(30);
    expect(victimOf([sshd], { wayIn, floorKib: 4096 })).toBe(-1);
    expect(victimOf([sshd, LOW])).toBe(20);
  });

  it('everybody but one user', () => {
    expect(
      victimOf(
        [
          { pid: 20, oomScore: 966, uid: 1000 },
          { pid: 21, oomScore: 700, uid: 1001 },
        ],
        { onlyUid: 1001 },
      ),
    ).toBe(21);
    expect(victimOf([{ pid: 20, oomScore: 966, uid: 1000 }], { onlyUid: 0 })).toBe(-1);
  });
});

describe('Selector.describe', () => {
  it('copies all that is to be said of the victim', () => {
    const selector = selectorOf([
      { pid: 20, comm: 'a\nb', oomScore: 7, oomScoreAdj: 5, uid: 8, rssPages: 0, startTimeTicks: 3 },
    ]);
    const victim = emptyVictim();
    selector.describe(selector.select(), victim);
    const { name, cmdline, ...rest } = victim;
    expect(rest).toMatchObject({ pid: 20, oomScore: 7, oomScoreAdj: 5, uid: 8, rssKib: 0, startTimeTicks: 3 });
    expect(Buffer.from(name.subarray(0, victim.nameLength)).toString()).toBe('a\nb');
    expect(Buffer.from(cmdline.subarray(0, victim.cmdlineLength)).toString()).toBe('proc --pid 20');
  });

  it('takes 256 bytes of the arguments, and none where there are none; nothing is left from the victim before', () => {
    const selector = selectorOf([
      { pid: 20, comm: 'longer', cmdline: 'x'.repeat(1000) },
      { pid: 21, comm: 'b', cmdline: null },
    ]);
    const victim = emptyVictim();
    selector.scanAll();
    for (const [pid, length, name] of [
      [20, 256, 'longer'],
      [21, 0, 'b'],
    ] as const) {
      selector.describe(selector.table.pid.indexOf(pid), victim);
      expect([victim.cmdlineLength, Buffer.from(victim.name.subarray(0, victim.nameLength)).toString()]).toEqual([
        length,
        name,
      ]);
    }
  });
});

describe('Selector.groupOf', () => {
  const identity = ({ pid, startTimeTicks = 1000 + pid }: FakeProcess) => ({ pid, startTimeTicks });
  const victim: FakeProcess = { pid: 20, pgrp: 20, oomScore: 900 };
  const member: FakeProcess = { pid: 21, pgrp: 20, startTimeTicks: 77 };

  it('is the group with the identity of each of its members', () => {
    const selector = selectorOf([victim, member, LOW]);
    const { pgid, members } = selector.groupOf(selector.select());
    expect([pgid, members.sort((a, b) => a.pid - b.pid)]).toEqual([20, [identity(victim), identity(member)]]);
  });

  it('notices who must be spared though the scan has not read it of anybody but the victim', () => {
    const selector = selectorOf([victim, member, { pid: 22, pgrp: 20, oomScoreAdj: -1000 }]);
    const { pgid, members } = selector.groupOf(selector.select());
    expect([pgid, members.map(({ pid }) => pid).sort()]).toEqual([0, [20, 21]]);
  });
});

describe('Selector.debug', () => {
  it('shows every process, and each that leads in turn, the last of them the victim', () => {
    const selector = selectorOf([
      { pid: 20, oomScore: 700, comm: 'a' },
      { pid: 21, oomScoreAdj: -1000, comm: 'b' },
      { ...LOW, comm: 'c' },
    ]);
    const { log, lines } = recordingLog();
    selector.select();
    selector.debug(log);
    expect(lines).toHaveLength(4);
    expect(lines.filter((line) => line.endsWith('<--- new victim')).at(-1)).toMatch(/^debug: +20 +700 .*"a"/);
    expect(lines.find((line) => line.includes('"b"'))).not.toContain('new victim');
  });
});
