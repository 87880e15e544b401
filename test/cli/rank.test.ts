/*
 * `oom-backstop rank`, and that the guard takes whom it ranks first: both on made trees, whose pids are higher
 * than any kernel's, so that none of them can name a process of this machine.
 */
import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { RankedProcess } from '../../src/shared/ranked-process.js';
import { type FakeProcess, MEMINFO, procTree } from '../support/proc-tree.js';
import { bin } from '../support/programs.js';
import { type Ended, expectRan, invoke, linesOf, type Persona } from './invocation.js';

/* PID_MAX_LIMIT is 4194304. */
const PID = 10_000_000;
const PAGES_PER_MIB = 256;

const EAT = ['hog', '--eat', '400', ''].join('\0');

type Ranked = RankedProcess;

const KEYS = [
  'pid',
  'uid',
  'name',
  'cmdline',
  'oomScore',
  'oomScoreAdj',
  'rssKib',
  'anonKib',
  'swapKib',
  'score',
  'eligible',
  'reason',
  'match',
  'matches',
];

/** A process of the tree: `PID + number`, named after it. */
const fake = (number: number, facts: Omit<FakeProcess, 'pid'> = {}): FakeProcess => ({
  pid: PID + number,
  comm: `p${number}`,
  ...facts,
});

async function rankText(tree: string, ...args: string[]): Promise<string> {
  const ended = await invoke('oom-backstop', ['rank', '--earlyoom', '--procfs', tree, ...args]);
  expect(ended, ended.stderr).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout;
}

async function rankJson(tree: string, ...args: string[]): Promise<Ranked[]> {
  return JSON.parse(await rankText(tree, '--json', ...args)) as Ranked[];
}

/** The numbers of those that can be killed, worst first. */
async function order(tree: string, ...args: string[]): Promise<number[]> {
  const ranking = await rankJson(tree, ...args);
  return ranking.filter((each) => each.eligible).map((each) => each.pid - PID);
}

/** Why not, by number. */
async function reasons(tree: string, ...args: string[]): Promise<Record<number, string | null>> {
  return Object.fromEntries((await rankJson(tree, ...args)).map((each) => [each.pid, each.reason]));
}

describe('rank --json', () => {
  it('says exactly these fields, in this order', async () => {
    const tree = procTree([
      fake(1, {
        comm: 'hog',
        oomScore: 812,
        oomScoreAdj: -7,
        uid: 1234,
        rssPages: 3 * PAGES_PER_MIB,
        cmdline: 'hog\0--eat\0all\0',
      }),
    ]);
    const ranking = await rankJson(tree);
    expect(ranking).toEqual([
      {
        pid: PID + 1,
        uid: 1234,
        name: 'hog',
        cmdline: 'hog --eat all',
        oomScore: 812,
        oomScoreAdj: -7,
        rssKib: 3072,
        anonKib: 3072,
        swapKib: 0,
        score: 812,
        eligible: true,
        reason: null,
        match: null,
        matches: [],
      },
    ]);
    expect(Object.keys(ranking[0] as Ranked)).toEqual(KEYS);
  });

  it('is an empty array on an empty tree', async () => {
    expect(await rankText(procTree([]), '--json')).toBe('[]\n');
  });

  it('holds every process of the tree, the eligible ones first', async () => {
    const tree = procTree([
      fake(1),
      { pid: 1 },
      fake(2, { oomScoreAdj: -1000, oomScore: 999 }),
      fake(3, { oomScore: 700 }),
    ]);
    const ranking = await rankJson(tree);
    expect(ranking.map((each) => [each.pid, each.eligible])).toEqual([
      [PID + 3, true],
      [PID + 1, true],
      [PID + 2, false],
      [1, false],
    ]);
  });

  it('shows a cmdline of at most 256 bytes, and none for a process without', async () => {
    const tree = procTree([
      fake(1, { cmdline: `${'x'.repeat(300)}\0` }),
      fake(2, { cmdline: '' }),
      fake(3, { cmdline: null }),
    ]);
    const cmdlines = Object.fromEntries((await rankJson(tree)).map((each) => [each.pid - PID, each.cmdline]));
    expect(cmdlines).toEqual({ 1: 'x'.repeat(256), 2: '', 3: '' });
  });

  it('shows uids beyond 2^31, as containers with user namespaces have them', async () => {
    const tree = procTree([fake(1, { uid: 2 ** 31 }), fake(2, { uid: 4294967294 })]);
    const uids = Object.fromEntries((await rankJson(tree)).map((each) => [each.pid - PID, each.uid]));
    expect(uids).toEqual({ 1: 2147483648, 2: 4294967294 });
  });

  it('reads the live machine by default, and knows itself', async () => {
    const ended = await invoke('oom-backstop', ['rank', '--json']);
    expect(ended.code).toBe(0);
    const ranking = JSON.parse(ended.stdout) as Ranked[];
    expect(ranking.filter((each) => each.reason === 'itself')).toHaveLength(1);
    expect(ranking.find((each) => each.pid === 1)).toMatchObject({ eligible: false, reason: 'init' });
    expect(ranking.map((each) => each.pid)).toContain(process.pid);
  });
});

describe('rank: the order', () => {
  it('by oom_score, the highest first', async () => {
    const scores = [3, 800, 0, 1999, 666];
    const tree = procTree(scores.map((oomScore, i) => fake(i, { oomScore })));
    expect(await order(tree)).toEqual([3, 1, 4, 0, 2]);
  });

  it('equal oom_score: the larger RSS; equal RSS too: the lower pid', async () => {
    const tree = procTree([
      fake(9, { rssPages: 5 }),
      fake(4, { rssPages: 50 }),
      fake(3, { rssPages: 5 }),
      fake(5, { rssPages: 50 }),
    ]);
    expect(await order(tree)).toEqual([4, 5, 3, 9]);
  });

  it('--sort-by-rss: by RSS, equal: by oom_score, equal too: the lower pid; the score is KiB', async () => {
    const tree = procTree([
      fake(4, { rssPages: 100, oomScore: 10 }),
      fake(3, { rssPages: 100, oomScore: 10 }),
      fake(2, { rssPages: 100, oomScore: 700 }),
      fake(1, { rssPages: 101, oomScore: 1 }),
    ]);
    expect(await order(tree, '--sort-by-rss')).toEqual([1, 2, 3, 4]);
    expect((await rankJson(tree, '--sort-by-rss'))[0]?.score).toBe(404);
  });

  it('--sort-by-rss: RSS 0 (a zombie main thread) is compared by oom_score', async () => {
    const tree = procTree([
      fake(1, { rssPages: 0, oomScore: 900, state: 'Z', numThreads: 2 }),
      fake(2, { rssPages: 5000, oomScore: 800 }),
      fake(3, { rssPages: 0, oomScore: 100 }),
    ]);
    expect(await order(tree, '--sort-by-rss')).toEqual([1, 2, 3]);
  });

  it('--prefer adds 300, --avoid takes 300, on the name', async () => {
    const tree = procTree([
      fake(1, { comm: 'java', oomScore: 400 }),
      fake(2, { comm: 'bash', oomScore: 650 }),
      fake(3, { comm: 'sshd', oomScore: 900 }),
    ]);
    const flags = ['--prefer', '^(java|chrome)$', '--avoid', 'ss'];
    expect(await order(tree, ...flags)).toEqual([1, 2, 3]);
    expect((await rankJson(tree, ...flags)).map((each) => [each.score, each.oomScore])).toEqual([
      [700, 400],
      [650, 650],
      [600, 900],
    ]);
  });

  it('--prefer and --avoid on the same name cancel out', async () => {
    const tree = procTree([fake(1, { comm: 'both', oomScore: 500 }), fake(2, { comm: 'none', oomScore: 501 })]);
    expect(await order(tree, '--prefer', 'both', '--avoid', 'both')).toEqual([2, 1]);
  });

  it('--sort-by-rss with --prefer and --avoid: 3145728 KiB', async () => {
    const tree = procTree([
      fake(1, { comm: 'a', rssPages: 1 }),
      fake(2, { comm: 'b', rssPages: 786432 }),
      fake(3, { comm: 'c', rssPages: 1000 }),
    ]);
    expect(await order(tree, '--sort-by-rss', '--prefer', 'a', '--avoid', 'b')).toEqual([1, 3, 2]);
    const scores = (await rankJson(tree, '--sort-by-rss', '--prefer', 'a', '--avoid', 'b')).map((each) => each.score);
    expect(scores).toEqual([3145732, 4000, 0]);
  });

  it('--earlyoom ranks the same', async () => {
    const tree = procTree([
      fake(1, { oomScore: 5 }),
      fake(2, { oomScore: 700 }),
      fake(3, { oomScore: 700, rssPages: 900 }),
    ]);
    expect(await rankText(tree, '--earlyoom')).toBe(await rankText(tree));
  });

  it('5,000 processes: all of them, in order', async () => {
    const processes = Array.from({ length: 5000 }, (_, i) =>
      fake(i, { oomScore: (i * 7919) % 2000, rssPages: (i * 104729) % 997, uid: null, cmdline: null }),
    );
    const expected = [...processes].sort(
      (a, b) => Number(b.oomScore) - Number(a.oomScore) || Number(b.rssPages) - Number(a.rssPages) || a.pid - b.pid,
    );
    const tree = procTree(processes);
    expect(await order(tree)).toEqual(expected.map((each) => each.pid - PID));
    expect(linesOf(await rankText(tree))).toHaveLength(5001);
    // Writing the tree takes most of the time, and far more of it on a busy disk.
  }, 60_000);
});

describe('rank: who is left out, and why', () => {
  it('each by its own reason', async () => {
    const tree = procTree([
      { pid: 1, comm: 'init' },
      { pid: 2, comm: 'kthreadd', ppid: 0 },
      { pid: 77, comm: 'kworker/0:1', ppid: 2 },
      fake(1, { oomScoreAdj: -1000 }),
      fake(2, { comm: 'sshd' }),
      fake(3, { uid: 0 }),
      fake(4, { state: 'Z' }),
      fake(5, { stat: null }),
      fake(6, { comm: 'guard' }),
      fake(7, { oomScoreAdj: -999 }),
      fake(8, { state: 'Z', numThreads: 2 }),
      fake(9, { state: 'D' }),
    ]);
    symlinkSync(String(PID + 6), path.join(tree, 'self'));
    expect(await reasons(tree, '--ignore', '^sshd$', '--ignore-root-user')).toEqual({
      1: 'init',
      2: 'kernel thread',
      77: 'kernel thread',
      [PID + 1]: 'oom_score_adj -1000',
      [PID + 2]: '--ignore',
      [PID + 3]: '--ignore-root-user',
      [PID + 4]: 'dead',
      [PID + 5]: 'unreadable',
      [PID + 6]: 'itself',
      [PID + 7]: null,
      [PID + 8]: null,
      [PID + 9]: null,
    });
  });

  it("root's processes are eligible without --ignore-root-user", async () => {
    expect(await order(procTree([fake(1, { uid: 0 })]))).toEqual([1]);
  });

  it('what can not be read is unreadable, and none of it keeps the others from being ranked', async () => {
    const tree = procTree([
      fake(1, { stat: null }),
      fake(2, { stat: '' }),
      fake(3, { stat: `${PID + 3} (cut` }),
      fake(4, { stat: `${PID + 4} (cut) S 1` }),
      fake(5, { oomScore: null }),
      fake(6, { oomScore: 'no number' }),
      fake(7, { oomScoreAdj: null }),
      fake(8, { oomScoreAdj: '' }),
      fake(9),
    ]);
    mkdirSync(path.join(tree, String(PID + 10)));
    writeFileSync(path.join(tree, String(PID + 11)), 'a file named like a process');
    mkdirSync(path.join(tree, '12x'));
    const found = await reasons(tree);
    expect(found[PID + 9]).toBeNull();
    for (const number of [1, 2, 3, 4, 5, 6, 7, 8, 10]) expect(found[PID + number], `${number}`).toBe('unreadable');
    expect(Object.keys(found)).not.toContain('12');
  });

  it('an unknown owner is null, and counts as unreadable only where owners matter', async () => {
    const tree = procTree([fake(1, { uid: null })]);
    expect((await rankJson(tree))[0]).toMatchObject({ uid: null, eligible: true });
    expect((await rankJson(tree, '--ignore-root-user'))[0]).toMatchObject({
      uid: null,
      eligible: false,
      reason: 'unreadable',
    });
  });
});

/** Names as a process can give them to itself, with what the text output makes of each. */
const HOSTILE: [string, Buffer, string, string][] = [
  ['a stat file in the name', Buffer.from(') Z (1 2 3'), ') Z (1 2 3', ') Z (1 2 3'],
  ['a newline', Buffer.from('a\nb'), 'a\\nb', 'a\nb'],
  ['an escape sequence', Buffer.from('\x1b[2J\x1b[31m'), '\\x1b[2J\\x1b[31m', '\x1b[2J\x1b[31m'],
  ['a C1 control in UTF-8', Buffer.from('c\u009b31m'), 'c\\xc2\\x9b31m', 'c\u009b31m'],
  ['DEL and backspace', Buffer.from('\x7f\b'), '\\x7f\\x08', '\x7f\b'],
  ['carriage return and bell', Buffer.from('root\r\x07'), 'root\\x0d\\x07', 'root\r\x07'],
  ['quotes and backslashes', Buffer.from('a"b\\n'), 'a\\"b\\\\n', 'a"b\\n'],
  ['UTF-8', Buffer.from('größe'), 'größe', 'größe'],
  ['UTF-8 cut in a character', Buffer.from('ééééééé€').subarray(0, 15), 'ééééééé', 'ééééééé'],
  ['nothing', Buffer.from(''), '', ''],
];

/** Raw bytes that steer a terminal; a newline is what ends a line. */
const STEERS = /[^\P{Cc}\n]/u;

describe('rank: hostile names', () => {
  it.each(HOSTILE)('%s: one harmless line, and the whole name in JSON', async (_, comm, text, json) => {
    const tree = procTree([fake(1, { comm, oomScore: 700 }), fake(2, { oomScore: 1 })]);
    const lines = linesOf(await rankText(tree));
    expect(lines).toHaveLength(3);
    expect(lines[1]).toBe(`10000001    1000       700      0        0        0      700  ${text}`);
    expect((await rankJson(tree)).map((each) => each.name)).toEqual([json, 'p2']);
  });

  it('bytes that are no UTF-8: text without control characters, JSON that parses', async () => {
    const tree = procTree([fake(1, { comm: Buffer.from([0x9b, 0xff, 0x41, 0xc3, 0x28]) })]);
    const text = await rankText(tree);
    expect(linesOf(text)).toHaveLength(2);
    expect(text).not.toMatch(STEERS);
    expect((await rankJson(tree))[0]?.name).toContain('A');
  });

  it('neither output ever holds a raw control character', async () => {
    const tree = procTree(
      HOSTILE.map(([, comm], i) => fake(i, { comm, cmdline: `${comm.toString('latin1')}\0\x1b[31m\0\u009b\0` })),
    );
    expect(await rankText(tree)).not.toMatch(STEERS);
    expect(await rankText(tree, '--json')).not.toMatch(STEERS);
  });
});

describe('rank: text', () => {
  it('is a table with these columns, a dash for what is not known, and the reason', async () => {
    const tree = procTree([
      fake(1, { comm: 'hog', oomScore: 912, oomScoreAdj: -200, rssPages: 2000 * PAGES_PER_MIB }),
      fake(2, { comm: 'tab', oomScore: 700, uid: 0 }),
      fake(3, { comm: 'db', oomScore: 650, oomScoreAdj: -1000 }),
      fake(4, { comm: 'odd', stat: null, uid: null, oomScoreAdj: null }),
    ]);
    expect(await rankText(tree)).toBe(
      [
        '     PID     UID OOM_SCORE    ADJ  RSS_MIB ANON_MIB    SCORE  NAME',
        '10000001    1000       912   -200     2000     2000      912  hog',
        '10000002       0       700      0        0        0      700  tab',
        '10000003    1000       650  -1000        0        0      650  db  (not: oom_score_adj -1000)',
        '10000004       -       600      -        -        0      600  odd  (not: unreadable)',
        '',
      ].join('\n'),
    );
  });
});

describe('rank: the command line', () => {
  const tree = (): string => procTree([fake(1)]);

  it.each([
    ['an unknown option', ['--xyz'], 13],
    ['an extra argument', ['xyz'], 13],
    ['an option without its value', ['--prefer'], 13],
    ['--prefer that does not compile', ['--prefer', '['], 6],
    ['--avoid that does not compile', ['--avoid', '(a'], 6],
    ['--ignore that does not compile', ['--ignore', 'a{2,1}'], 6],
  ])('%s', async (_, args, code) => {
    const ended = await invoke('oom-backstop', ['rank', '--procfs', tree(), ...args]);
    expect(ended).toMatchObject({ code, stdout: '' });
    expect(ended.stderr).toMatch(code === 6 ? /^fatal: .*\n$/ : /^error: .*\n$/);
  });

  it('a tree that is not there: 4', async () => {
    expect(await invoke('oom-backstop', ['rank', '--procfs', '/nowhere'])).toMatchObject({ code: 4, stdout: '' });
  });

  it('rank --help: on stdout, 0', async () => {
    const ended = await invoke('oom-backstop', ['rank', '--help']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    for (const option of [
      '--json',
      '--procfs',
      '--prefer',
      '--avoid',
      '--ignore',
      '--sort-by-rss',
      '--ignore-root-user',
      '--earlyoom',
    ]) {
      expect(ended.stdout).toMatch(new RegExp(`^  ${option} `, 'm'));
    }
  });

  it('earlyoom has no commands: rank is an extra argument', async () => {
    const ended = await invoke('earlyoom', ['rank']);
    expect(ended).toMatchObject({ code: 13, stdout: '' });
    expect(ended.stderr).toContain("fatal: extra argument not understood: 'rank'\n");
  });

  it('needs no meminfo', async () => {
    expect(
      linesOf((await invoke('oom-backstop', ['rank', '--procfs', procTree([fake(1)], null)])).stdout),
    ).toHaveLength(2);
  });

  const shell = async (script: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> =>
    promisify(execFile)('bash', ['-c', script, 'bash', bin('oom-backstop'), ...args], {
      timeout: 15_000,
      maxBuffer: 8 << 20,
    });
  /* More than a pipe holds (64 KiB), so that whoever reads decides. */
  const MANY = Array.from({ length: 600 }, (_, i) => fake(i));

  it('rank | head -1 ends cleanly', async () => {
    const { stdout, stderr } = await shell(
      '"$1" rank --json --procfs "$2" | head -1; echo $PIPESTATUS',
      procTree(MANY),
    );
    expect(stdout).toBe('[\n0\n');
    expect(stderr).toBe('');
  });

  it('a slow reader of a pipe that somebody made non-blocking gets all of it', async () => {
    // Another Node program on the same pipe does that: it sets O_NONBLOCK on the open file that all share.
    const node =
      'process.stdout.write(""); require("fs").writeFileSync(process.argv[1], ""); setTimeout(() => {}, 9e6)';
    const neighbour = `${JSON.stringify(process.execPath)} -e '${node}' "$2/ready" & neighbour=$!`;
    const wait = 'until [ -e "$2/ready" ]; do sleep 0.05; done';
    const script = `{ ${neighbour}; ${wait}; "$1" rank --json --procfs "$2"; echo "$?" > "$2/code"; kill $neighbour; } | { sleep 1; cat; }`;
    const tree = procTree(MANY);
    const { stdout, stderr } = await shell(script, tree);
    expect(stderr).toBe('');
    expect(readFileSync(path.join(tree, 'code'), 'utf8')).toBe('0\n');
    expect(JSON.parse(stdout)).toHaveLength(600);
  });
});

const meminfo = (availableKib: number, anonKib: number, swapFreeKib: number): string =>
  `MemTotal: 16000000 kB\nMemAvailable: ${availableKib} kB\nSwapTotal: 2000000 kB\nSwapFree: ${swapFreeKib} kB\nAnonPages: ${anonKib} kB\n`;

/* 10,000,000 KiB of user memory: exactly at earlyoom's SIGTERM limits (10 %), and at its SIGKILL limits (5 %). */
const AT_TERM = meminfo(1_000_000, 9_000_000, 200_000);
const AT_KILL = meminfo(500_000, 9_500_000, 100_000);

const DRYRUN_LINE = 'dryrun, not actually sending any signal';
const sendingLine = /^sending SIG(?:TERM|KILL) to process (\d+) /m;

/** A guard on a tree, in a dry run, until it has said `text`. */
function guardOn(
  tree: string,
  text: string,
  args: readonly string[] = [],
  persona: Persona = 'earlyoom',
): Promise<Ended> {
  return invoke(persona, ['--dryrun', '--procfs', tree, ...args], {
    until: (stdout, stderr) => `${stderr}${stdout}`.includes(text),
  });
}

/** The lines that come at the limit, first round: everything after the start. */
function kill(ended: Ended): string[] {
  const lines = linesOf(ended.stderr);
  const start = lines.findIndex((line) => line.startsWith('mem avail:'));
  const end = lines.indexOf(DRYRUN_LINE);
  return lines.slice(start, end === -1 ? undefined : end + 1);
}

describe('the guard at a limit, in a dry run', () => {
  const HOG = fake(3, {
    comm: 'hog',
    oomScore: 900,
    oomScoreAdj: 100,
    rssPages: 400 * PAGES_PER_MIB,
    uid: 1001,
    cmdline: EAT,
  });
  const OTHERS = [
    { pid: 1, comm: 'init', oomScore: 0 },
    fake(1, { oomScore: 899 }),
    fake(2, { oomScore: 950, oomScoreAdj: -1000 }),
  ];

  it('exactly at the SIGTERM limits: these lines', async () => {
    const ended = await guardOn(procTree([...OTHERS, HOG], AT_TERM), DRYRUN_LINE);
    expectRan(ended);
    expect(kill(ended)).toEqual([
      'mem avail:   976 of  9765 MiB (10.00%), swap free:  195 of 1953 MiB (10.00%)',
      'low memory! at or below SIGTERM limits: mem 10.00%, swap 10.00%',
      'sending SIGTERM to process 10000003 uid 1001 "hog": oom_score 900, oom_score_adj 100, VmRSS 400 MiB, cmdline "hog --eat 400"',
      DRYRUN_LINE,
    ]);
    expect(ended.stdout).toBe('');
  });

  it('exactly at the SIGKILL limits: these lines', async () => {
    const ended = await guardOn(procTree([...OTHERS, HOG], AT_KILL), DRYRUN_LINE);
    expectRan(ended);
    expect(kill(ended)).toEqual([
      'mem avail:   488 of  9765 MiB ( 5.00%), swap free:   97 of 1953 MiB ( 5.00%)',
      'low memory! at or below SIGKILL limits: mem  5.00%, swap  5.00%',
      'sending SIGKILL to process 10000003 uid 1001 "hog": oom_score 900, oom_score_adj 100, VmRSS 400 MiB, cmdline "hog --eat 400"',
      DRYRUN_LINE,
    ]);
    expect(ended.stdout).toBe('');
  });

  it('under its own name, with its own limits: memory alone decides', async () => {
    const tree = procTree([...OTHERS, HOG], meminfo(500_000, 9_500_000, 2_000_000));
    const ended = await guardOn(tree, DRYRUN_LINE, [], 'oom-backstop');
    expectRan(ended);
    expect(kill(ended).slice(0, 2)).toEqual([
      'mem avail:   488 of  9765 MiB ( 5.00%), swap free: 1953 of 1953 MiB (100.00%)',
      'low memory! at or below SIGTERM limits: mem  5.00%, swap 100.00%',
    ]);
  });

  it('a victim that is a process of this machine, too: nobody is touched', async () => {
    const tree = procTree([fake(1, { oomScore: 1 }), { ...HOG, pid: process.pid }], AT_KILL);
    const ended = await guardOn(tree, DRYRUN_LINE);
    expectRan(ended);
    expect(kill(ended).at(-2)).toMatch(new RegExp(`^sending SIGKILL to process ${process.pid} uid 1001 "hog"`));
  });

  it.each([
    [
      'memory a KiB above its limit',
      meminfo(1_000_001, 9_000_000, 200_000),
      'mem avail:   976 of  9765 MiB (10.00%), swap free:  195 of 1953 MiB (10.00%)',
    ],
    [
      'swap a KiB above its limit',
      meminfo(1_000_000, 9_000_000, 200_001),
      'mem avail:   976 of  9765 MiB (10.00%), swap free:  195 of 1953 MiB (10.00%)',
    ],
    [
      'memory far below, swap plenty',
      meminfo(1000, 9_999_000, 2_000_000),
      'mem avail:     0 of  9765 MiB ( 0.01%), swap free: 1953 of 1953 MiB (100.00%)',
    ],
    [
      'a small machine',
      meminfo(400_000, 100_000, 1_500_000),
      'mem avail:   390 of   488 MiB (80.00%), swap free: 1464 of 1953 MiB (75.00%)',
    ],
    [
      'a machine of 2 TiB',
      meminfo(2_000_000_000, 147_483_648, 2_000_000),
      'mem avail: 1953125 of 2097152 MiB (93.13%), swap free: 1953 of 1953 MiB (100.00%)',
    ],
  ])('%s: no kill, this report', async (_, text, report) => {
    const ended = await guardOn(procTree([HOG], text), 'mem avail:');
    expectRan(ended);
    expect(linesOf(ended.stdout)[0]).toBe(report);
    expect(ended.stderr).not.toContain('low memory!');
  });

  it('the lines that people grep hold no raw control character, whatever the names', async () => {
    const tree = procTree([fake(1, { comm: '\x1b[2Ja\nb"', cmdline: 'x\n\0\x1b]0;\x07\0\u009b\0é' })], AT_KILL);
    const ended = await guardOn(tree, DRYRUN_LINE);
    expect(kill(ended)[2]).toBe(
      'sending SIGKILL to process 10000001 uid 1000 "\\x1b[2Ja\\nb\\"": oom_score 600, oom_score_adj 0, VmRSS 0 MiB, cmdline "x\\n \\x1b]0;\\x07 \\xc2\\x9b é"',
    );
    expect(ended.stderr).not.toMatch(STEERS);
  });

  it('nobody to kill: says so, and sleeps a second', async () => {
    const startedMs = Date.now();
    const nobody = 'Could not find a process to kill. Sleeping 1 second.';
    const twice = (_: string, stderr: string): boolean => stderr.split(nobody).length > 2;
    const ended = await invoke('earlyoom', ['--dryrun', '--procfs', procTree([], AT_KILL)], { until: twice });
    expectRan(ended);
    expect(linesOf(ended.stderr)).toContain(nobody);
    expect(ended.stderr).not.toMatch(sendingLine);
    expect(linesOf(ended.stderr).filter((line) => line === nobody).length).toBeLessThanOrEqual(
      (Date.now() - startedMs) / 1000 + 1,
    );
  });

  it('a foreign tree without --dryrun is refused, before anything is read of it', async () => {
    const ended = await invoke('earlyoom', ['--procfs', procTree([HOG], AT_KILL)]);
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toMatch(/^fatal: --procfs .*--dryrun/m);
    expect(ended.stderr).not.toContain('sending');
  });

  it('a foreign tree that claims to show the guard under another pid is refused, too', async () => {
    const tree = procTree([HOG], AT_KILL);
    symlinkSync(String(PID + 99), path.join(tree, 'self'));
    expect(await invoke('earlyoom', ['--procfs', tree])).toMatchObject({ code: 1, stdout: '' });
  });

  it('--kernel-oom: nothing is triggered, nobody is chosen', async () => {
    const tree = procTree([HOG], AT_KILL);
    writeFileSync(path.join(tree, 'sysrq-trigger'), '');
    const ended = await guardOn(tree, 'dryrun, not triggering the kernel OOM killer', ['--kernel-oom']);
    expectRan(ended);
    expect(kill(ended).slice(0, 3)).toEqual([
      'mem avail:   488 of  9765 MiB ( 5.00%), swap free:   97 of 1953 MiB ( 5.00%)',
      'low memory! at or below SIGKILL limits: mem  5.00%, swap  5.00%',
      'dryrun, not triggering the kernel OOM killer',
    ]);
    expect(readFileSync(path.join(tree, 'sysrq-trigger'), 'utf8')).toBe('');
    expect(ended.stderr).not.toMatch(sendingLine);
  });

  it('--kernel-oom where it may not: the guard chooses by itself', async () => {
    const ended = await guardOn(procTree([HOG], AT_KILL), DRYRUN_LINE, ['--kernel-oom']);
    expect(kill(ended).at(-2)).toContain('sending SIGKILL to process 10000003 ');
  });
});

describe('the first of the ranking is the victim', () => {
  const CROWD: FakeProcess[] = [
    { pid: 1, comm: 'init', oomScore: 1500 },
    { pid: 2, comm: 'kthreadd', ppid: 0, oomScore: 1500 },
    fake(1, { comm: 'java', oomScore: 700, rssPages: 1000 }),
    fake(2, { comm: 'sshd', oomScore: 950, rssPages: 10 }),
    fake(3, { comm: 'bash', oomScore: 700, rssPages: 2000, uid: 0 }),
    fake(4, { comm: 'db', oomScore: 990, rssPages: 90_000, oomScoreAdj: -1000 }),
    fake(5, { comm: 'zombie', oomScore: 999, state: 'Z' }),
    fake(6, { comm: 'half', oomScore: 940, rssPages: 0, state: 'Z', numThreads: 4 }),
    fake(7, { comm: 'odd', oomScore: 'x' }),
    fake(8, { comm: ') Z 2 (', oomScore: 940, rssPages: 80_000, uid: 0 }),
    fake(9, { comm: 'nameless', oomScore: 1999, oomScoreAdj: null }),
  ];

  it.each([
    ['by oom_score', [], 2],
    ['--avoid', ['--avoid', 'sshd'], 8],
    ['--prefer', ['--prefer', '^(java|bash)$'], 3],
    ['--ignore', ['--ignore', 'ssh|Z'], 6],
    ['--ignore-root-user', ['--ignore-root-user', '--ignore', 'sshd'], 6],
    ['--sort-by-rss', ['--sort-by-rss'], null],
    ['--sort-by-rss --ignore', ['--sort-by-rss', '--ignore', 'sshd|half'], 8],
    ['--sort-by-rss --prefer', ['--sort-by-rss', '--prefer', 'java', '--ignore', 'half'], 1],
  ])('%s', async (_, flags, expected) => {
    const tree = procTree(CROWD, AT_KILL);
    const first = (await rankJson(tree, ...flags)).find((each) => each.eligible);
    const ended = await guardOn(tree, DRYRUN_LINE, flags);
    expect(Number(sendingLine.exec(ended.stderr)?.[1])).toBe(first?.pid);
    // Where RSS 0 makes a circle, whoever is left standing: all that counts is that both agree.
    if (expected !== null) expect(first?.pid).toBe(PID + expected);
  });

  it('the debug table ends with the same leader', async () => {
    const ended = await guardOn(procTree(CROWD, AT_KILL), DRYRUN_LINE, ['-d']);
    const leaders = linesOf(ended.stdout).filter((line) => line.endsWith(' <--- new victim'));
    expect(leaders.at(-1)).toBe('10000002       950      40  1000             0 "sshd" <--- new victim');
  });
});

describe('hooks in a dry run', () => {
  /** Writes a hook that keeps the environment it was started with, raw, in a file for each run; returns both. */
  function recordingHook(tree: string, name: string): { hook: string; records: () => Buffer[] } {
    const directory = path.join(tree, `${name}-records`);
    const hook = path.join(tree, name);
    mkdirSync(directory);
    writeFileSync(
      hook,
      `#!/bin/sh\ncat "/proc/$$/environ" > "${directory}/.$$" && mv "${directory}/.$$" "${directory}/$$"\n`,
    );
    chmodSync(hook, 0o755);
    const records = (): Buffer[] =>
      readdirSync(directory)
        .filter((file) => !file.startsWith('.'))
        .map((file) => path.join(directory, file))
        .sort((a, b) => statSync(a).mtimeMs - statSync(b).mtimeMs)
        .map((file) => readFileSync(file));
    return { hook, records };
  }

  /** What a hook was told, as latin1, so that each byte is one character. */
  function told(record: Buffer): Record<string, string> {
    const variables = record
      .toString('latin1')
      .split('\0')
      .filter((each) => each.startsWith('EARLYOOM_'));
    return Object.fromEntries(
      variables.map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)]),
    );
  }

  const HOG = fake(3, { comm: 'hog', uid: 1001, cmdline: EAT });

  it.each(['-N', '-P'])('%s gets the four variables, and what the guard was started with', async (option) => {
    const tree = procTree([HOG], AT_KILL);
    const { hook, records } = recordingHook(tree, 'hook');
    const args = ['--dryrun', '--procfs', tree, option, hook];
    const env = { ...process.env, HANDED_ON: 'yes', EARLYOOM_PID: 'stale' };
    const ended = await invoke('earlyoom', args, { env, until: () => records().length > 0 });
    expectRan(ended);
    const record = records()[0] as Buffer;
    expect(told(record)).toEqual({
      EARLYOOM_PID: '10000003',
      EARLYOOM_UID: '1001',
      EARLYOOM_NAME: 'hog',
      EARLYOOM_CMDLINE: 'hog --eat 400',
    });
    expect(record.toString('latin1').split('\0')).toContain('HANDED_ON=yes');
  });

  it.each(['-N', '-P'])(
    '%s is told the truth kill after kill, whatever is garbage-collected in between',
    async (option) => {
      const tree = procTree([HOG], AT_KILL);
      const { hook, records } = recordingHook(tree, 'hook');
      // The guard in a program that collects garbage all the time: memory that only the kernel is to see must stay.
      const main = path.join(import.meta.dirname, '../../dist/main.cjs');
      const args = ['--dryrun', '--procfs', tree, option, hook];
      const code = `setInterval(() => { gc(); Array.from({ length: 500 }, () => new ArrayBuffer(40)); }, 10);
      require(${JSON.stringify(main)}).main('earlyoom', ${JSON.stringify(args)});`;
      const settings = Array.from({ length: 100 }, (_, i) => [`SETTING_${i}`, `value ${i}`]);
      const env = { ...process.env, ...Object.fromEntries(settings) };
      const child = spawn(process.execPath, ['--expose-gc', '-e', code], { stdio: 'ignore', env });
      onTestFinished(() => void child.kill('SIGKILL'));
      await vi.waitFor(() => expect(records().length).toBeGreaterThanOrEqual(3), { timeout: 15_000, interval: 50 });
      for (const record of records()) {
        const variables = record.toString('latin1').split('\0');
        expect(variables).toEqual(expect.arrayContaining(settings.map(([name, value]) => `${name}=${value}`)));
        expect(told(record)).toMatchObject({ EARLYOOM_PID: '10000003', EARLYOOM_NAME: 'hog' });
      }
    },
  );

  it('bytes of a hostile name and cmdline arrive raw, 256 of a cmdline', async () => {
    const comm = Buffer.from('\x1b[1m"$(x)\n\\', 'latin1');
    const tree = procTree([fake(1, { comm, cmdline: `\x1b\n"\0${'x'.repeat(300)}` })], AT_KILL);
    const { hook, records } = recordingHook(tree, 'hook');
    await invoke('earlyoom', ['--dryrun', '--procfs', tree, '-N', hook], { until: () => records().length > 0 });
    expect(told(records()[0] as Buffer)).toMatchObject({
      EARLYOOM_NAME: comm.toString('latin1'),
      EARLYOOM_CMDLINE: `\x1b\n" ${'x'.repeat(252)}`,
    });
  });

  it.each(['-N', '-P'])('%s runs at most once a second, once for each kill that is told', async (option) => {
    const tree = procTree([HOG], AT_KILL);
    const { hook, records } = recordingHook(tree, 'hook');
    const startedMs = Date.now();
    const ended = await invoke('earlyoom', ['--dryrun', '--procfs', tree, option, hook], {
      until: () => records().length >= 3,
    });
    const seconds = (Date.now() - startedMs) / 1000;
    expectRan(ended);
    const runs = records().length;
    expect(runs).toBeLessThanOrEqual(seconds + 1);
    const kills = linesOf(ended.stderr).filter((line) => line.startsWith('sending SIGKILL')).length;
    expect(Math.abs(kills - runs)).toBeLessThanOrEqual(1);
    expect(ended.stderr).not.toContain('skipped');
  });

  it('none runs while no limit is crossed', async () => {
    const tree = procTree([HOG], MEMINFO);
    const [before, after] = [recordingHook(tree, 'before'), recordingHook(tree, 'after')];
    const args = ['--dryrun', '--procfs', tree, '-P', before.hook, '-N', after.hook];
    const ended = await invoke('earlyoom', args, { until: (stdout) => stdout.includes('mem avail'), settleMs: 500 });
    expectRan(ended);
    expect([...before.records(), ...after.records()]).toHaveLength(0);
  });

  it('a hook that can not be started is told, and the guard goes on', async () => {
    const tree = procTree([HOG], AT_KILL);
    const until = (_: string, stderr: string): boolean => stderr.split(DRYRUN_LINE).length > 2;
    const ended = await invoke('earlyoom', ['--dryrun', '--procfs', tree, '-N', '/nowhere/hook'], { until });
    expectRan(ended);
    expect(linesOf(ended.stderr)).toContain('-N script could not be started: No such file or directory');
  });

  it('a relative hook is never run', async () => {
    const tree = procTree([HOG], AT_KILL);
    const { hook, records } = recordingHook(tree, 'hook');
    const relative = path.relative(process.cwd(), hook);
    const until = (_: string, stderr: string): boolean => stderr.split(DRYRUN_LINE).length > 2;
    expectRan(await invoke('earlyoom', ['--dryrun', '--procfs', tree, '-N', relative, '-P', relative], { until }));
    expect(records()).toHaveLength(0);
  });
});

describe('the ranking of the own persona', () => {
  const MIB = 1024;
  async function own(processes: readonly FakeProcess[], ...args: string[]): Promise<Ranked[]> {
    const ended = await invoke('oom-backstop', ['rank', '--json', '--procfs', procTree(processes), ...args]);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    return JSON.parse(ended.stdout) as Ranked[];
  }
  const pages = (mib: number): number => (mib * MIB) / 4;
  const BIG: FakeProcess = {
    pid: 10,
    comm: 'leak',
    oomScore: 680,
    rssPages: pages(300),
    sharedPages: pages(20),
    swapKib: 7,
  };
  const TAB: FakeProcess = { pid: 11, comm: 'tab', oomScore: 966, oomScoreAdj: 300, rssPages: pages(80) };
  const TINY: FakeProcess = { pid: 12, comm: 'tiny', oomScore: 999, oomScoreAdj: 333, rssPages: pages(3) };
  const SSHD: FakeProcess = { pid: 13, comm: 'sshd', oomScore: 1000, oomScoreAdj: 334, rssPages: pages(9), uid: 0 };
  const ALL = [BIG, TAB, TINY, SSHD];
  const brief = (ranking: readonly Ranked[]): string[] =>
    ranking.map(({ pid, score, reason }) => `${pid} ${Math.round(score ?? -1)}${reason === null ? '' : ` ${reason}`}`);

  it('by oom_score, with the floor and the way in', async () => {
    const ranking = await own(ALL);
    expect(brief(ranking)).toEqual(['11 966', '10 680', '13 1000 the way in', '12 999 gives back too little']);
    expect(ranking[1]).toMatchObject({ anonKib: 280 * MIB, swapKib: 7 });
  });

  it.each<[string[], string[]]>([
    [['--earlyoom'], ['13 1000', '12 999', '11 966', '10 680']],
    [['--no-way-in'], ['13 1000', '11 966', '10 680', '12 999 gives back too little']],
    [
      ['--floor', '0'],
      ['12 999', '11 966', '10 680', '13 1000 the way in'],
    ],
    [
      ['--floor', '100 MiB'],
      ['10 680', '13 1000 the way in', '12 999 gives back too little', '11 966 gives back too little'],
    ],
    [
      ['--rank-by', 'memory'],
      ['10 286720', '11 106496', '13 12294 the way in', '12 4095 gives back too little'],
    ],
    [
      ['--rank-by', 'rss', '--floor', '0', '--no-way-in'],
      ['10 307200', '11 81920', '13 9216', '12 3072'],
    ],
    [
      ['--only-user', '0', '--no-way-in'],
      ['13 1000', '12 999 --only-user', '11 966 --only-user', '10 680 --only-user'],
    ],
    [
      ['--only-user', 'root', '--no-way-in'],
      ['13 1000', '12 999 --only-user', '11 966 --only-user', '10 680 --only-user'],
    ],
  ])('%j', async (args, expected) => {
    expect(brief(await own(ALL, ...args))).toEqual(expected);
  });

  it.each([
    [['--rank-by', 'size'], '--rank-by size: no such ranking (valid: oom_score, memory, rss)'],
    [['--floor', '4'], '--floor 4: not a size (valid: 0, or a number with KiB, MiB, GiB or TiB)'],
    [
      ['--only-user', 'nobody-here'],
      '--only-user nobody-here: not in /etc/passwd (valid: a name from there, or a uid)',
    ],
  ])('%j is refused, by rank and by the guard', async (args, message) => {
    for (const command of [['rank'], ['--dryrun']]) {
      const ended = await invoke('oom-backstop', [...command, ...args]);
      expect(ended).toMatchObject({ code: 14, stderr: expect.stringContaining(`fatal: ${message}\n`) });
    }
  });

  it.each(['--rank-by=memory', '--floor=0', '--only-user=0', '--no-way-in'])(
    'earlyoom does not know %s',
    async (option) => {
      const ended = await invoke('earlyoom', ['--dryrun', option]);
      expect(ended).toMatchObject({ code: 13, stderr: expect.stringContaining(`unrecognized option '${option}'`) });
    },
  );
});
