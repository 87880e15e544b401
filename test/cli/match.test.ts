/* Matchers and --only-cgroup as `rank`, `check` and a guard in a dry run take them, on made trees. */
import { describe, expect, it } from 'vitest';
import type { RankedProcess } from '../../src/shared/ranked-process.js';
import { configFile } from '../support/config-files.js';
import { type FakeProcess, procTree } from '../support/proc-tree.js';
import { expectRan, invoke, linesOf } from './invocation.js';

const PAGES_PER_MIB = 256;
const ID = 'c0ffee'.padEnd(64, '0');

/* Pids that no machine has: PID_MAX_LIMIT is 4194304. */
const PID = 10_000_000;
const DATABASE: FakeProcess = {
  pid: PID + 1,
  comm: 'postgres',
  uid: 105,
  oomScore: 900,
  rssPages: 900 * PAGES_PER_MIB,
  exe: '/usr/lib/postgresql/15/bin/postgres',
  cgroup: '/system.slice/postgresql@15-main.service',
  cmdline: 'postgres: writer\0',
};
const TAB: FakeProcess = {
  pid: PID + 2,
  comm: 'browser',
  oomScore: 680,
  rssPages: 80 * PAGES_PER_MIB,
  exe: '/opt/browser/browser',
  cgroup: '/user.slice/user-1000.slice/user@1000.service/app.slice/browser.scope',
  cmdline: 'browser\0--type=renderer\0',
};
const BUILD: FakeProcess = {
  pid: PID + 3,
  comm: 'cc1plus',
  oomScore: 800,
  rssPages: 500 * PAGES_PER_MIB,
  exe: '/usr/libexec/cc1plus',
  cgroup: `/system.slice/docker-${ID}.scope`,
  cmdline: 'cc1plus\0-O2\0',
};
const TREE = [DATABASE, TAB, BUILD];

async function rank(args: readonly string[], processes = TREE): Promise<RankedProcess[]> {
  const all = ['rank', '--json', '--config', '/dev/null', '--procfs', procTree(processes), ...args];
  const ended = await invoke('oom-backstop', all);
  expect(ended, ended.stderr).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(ended.stdout) as RankedProcess[];
}

/** Number, score, and why not or what the matcher does. */
const brief = (ranking: readonly RankedProcess[]): string[] =>
  ranking.map(({ pid, score, reason, match }) => `${pid - PID} ${score} ${reason ?? match ?? ''}`.trimEnd());

describe('rank', () => {
  it.each<[string[], string[]]>([
    [[], ['1 900', '3 800', '2 680']],
    [
      ['--match', 'protect:unit=postgresql@*'],
      ['3 800', '2 680', '1 900 protected'],
    ],
    [
      ['--match', 'protect:exe=/usr/lib/postgresql/**'],
      ['3 800', '2 680', '1 900 protected'],
    ],
    [
      ['--match', 'protect:user=105'],
      ['3 800', '2 680', '1 900 protected'],
    ],
    [
      ['--match', 'protect:cgroup=/system.slice'],
      ['2 680', '1 900 protected', '3 800 protected'],
    ],
    [
      ['--match', 'protect:cmdline=/^postgres: /'],
      ['3 800', '2 680', '1 900 protected'],
    ],
    [
      ['--match', 'prefer:cmdline=*--type=renderer*'],
      ['2 980 preferred by match 1 (cmdline)', '1 900', '3 800'],
    ],
    [
      ['--match', 'prefer:unit=user/browser.scope'],
      ['2 980 preferred by match 1 (unit)', '1 900', '3 800'],
    ],
    [
      ['--match', 'prefer:container=*'],
      ['3 1100 preferred by match 1 (container)', '1 900', '2 680'],
    ],
    [
      ['--match', `prefer:container=${ID}`],
      ['3 1100 preferred by match 1 (container)', '1 900', '2 680'],
    ],
    [
      ['--match', 'avoid:comm=post*'],
      ['3 800', '2 680', '1 600 avoided by match 1 (comm)'],
    ],
    [
      ['--match', 'prefer:comm=*', '--match', 'avoid:comm=cc1*', '--match=protect:comm=postgres'],
      ['2 980 preferred by match 1 (comm)', '3 500 avoided by match 2 (comm)', '1 1200 protected'],
    ],
    [
      ['--prefer', 'cc1', '--match', 'prefer:comm=cc1*'],
      ['3 1100 preferred by match 1 (comm)', '1 900', '2 680'],
    ],
    [
      ['--prefer', 'cc1', '--match', 'avoid:comm=cc1*'],
      ['1 900', '3 800 avoided by match 1 (comm)', '2 680'],
    ],
    [
      ['--only-cgroup', '/user.slice'],
      ['2 680', '1 900 --only-cgroup', '3 800 --only-cgroup'],
    ],
    [
      ['--only-cgroup', '/*/docker-*'],
      ['3 800', '1 900 --only-cgroup', '2 680 --only-cgroup'],
    ],
    [
      ['--rank-by', 'memory', '--match', 'prefer:user=1000'],
      ['3 1024000 preferred by match 1 (user)', '1 921600', '2 163840 preferred by match 1 (user)'],
    ],
    [
      ['--rank-by', 'rss', '--match', 'protect:unit=postgresql@*', '--only-cgroup', '/user.slice'],
      ['2 81920', '1 921600 protected', '3 512000 --only-cgroup'],
    ],
  ])('%j', async (args, expected) => {
    expect(brief(await rank(args))).toEqual(expected);
  });

  it('says which matcher counts and all that match', async () => {
    const args = ['--match', 'prefer:comm=*', '--match', 'protect:user=105', '--match', 'protect:unit=*'];
    const [last] = (await rank(args)).filter(({ name }) => name === 'postgres');
    expect(last).toMatchObject({ reason: 'protected', match: 'protected by match 2 (user)', matches: [1, 2, 3] });
  });

  it('shows them in its text', async () => {
    const args = ['--match', 'protect:unit=postgresql@*', '--match', 'prefer:comm=browser'];
    const { stdout } = await invoke('oom-backstop', [
      'rank',
      '--procfs',
      procTree(TREE),
      '--config',
      '/dev/null',
      ...args,
    ]);
    expect(
      linesOf(stdout)
        .slice(1)
        .map((line) => line.replace(/^.* {2}(?=\w+ {2}\(|\w+$)/, '')),
    ).toEqual(['browser  (preferred by match 2 (comm))', 'cc1plus', 'postgres  (not: protected by match 1 (unit))']);
  });

  it('takes those of the configuration, and adds those of the command line', async () => {
    const config = configFile(`
[selection]
only_cgroup = "/system.slice"
[[match]]
action = "protect"
user = 105
unit = "postgresql@*"
[[match]]
action = "protect"
user = 105
unit = "mysql.service"
`);
    const ranking = await rank(['--config', config, '--match', 'avoid:container=*']);
    expect(brief(ranking)).toEqual(['3 500 avoided by match 3 (container)', '1 900 protected', '2 680 --only-cgroup']);
    expect(ranking[1]).toMatchObject({ match: 'protected by match 1 (user, unit)', matches: [1] });
  });

  it('knows no kernel thread by a matcher', async () => {
    const [thread] = await rank(['--match', 'prefer:comm=*'], [{ pid: 7, ppid: 2, comm: 'kthread' }]);
    expect(thread).toMatchObject({ reason: 'kernel thread', match: null, matches: [] });
  });

  it('survives hostile arguments and cgroups', async () => {
    const hostile = TREE.map((process, index) => ({
      ...process,
      cmdline: 'a'.repeat(100_000),
      cgroup: `/${'user@1.service/'.repeat(index * 400)}x.service`,
    }));
    const args = [
      '--match',
      'prefer:cmdline=/(a*)*(a*)*b/',
      '--match',
      'protect:unit=/(u|s)*x/',
      '--match',
      'avoid:container=*',
    ];
    expect(brief(await rank(args, hostile))).toHaveLength(3);
  });
});

const VALID = 'actions prefer, avoid, protect, keys comm, cgroup, unit, container, exe, cmdline, user';
const FORM = `valid: --match ACTION:KEY=PATTERN, ${VALID}`;

describe('a mistake', () => {
  it.each<[string[], string]>([
    [['--match', 'x'], `--match x: not ACTION:KEY=PATTERN (${FORM})`],
    [['--match', ''], `--match : not ACTION:KEY=PATTERN (${FORM})`],
    [['--match', 'kill:comm=a'], `--match kill:comm=a: no such action or key (${FORM})`],
    [['--match', 'avoid:pid=1'], `--match avoid:pid=1: no such action or key (${FORM})`],
    [
      ['--match', 'avoid:comm='],
      '--match avoid:comm=: empty (valid: a glob or /regex/ for the name in /proc/PID/comm, of at most 15 bytes)',
    ],
    [
      ['--match', 'avoid:user=nobody-here'],
      '--match avoid:user=nobody-here: no such user (valid: a name of /etc/passwd, or a uid)',
    ],
    [
      ['--match', 'avoid:cmdline=/(a)\\1/'],
      "--match avoid:cmdline=/(a)\\1/: can't be used: the back reference \\1 (valid: a glob or /regex/ for the arguments joined by blanks)",
    ],
    [
      ['--only-cgroup', 'user.slice'],
      '--only-cgroup user.slice: begins with neither / nor * (valid: a glob or /regex/ for the path of the cgroup, which covers those below)',
    ],
  ])('%j is refused, by rank and by the guard', async (args, message) => {
    for (const command of [['rank'], ['--dryrun']]) {
      const ended = await invoke('oom-backstop', [...command, ...args]);
      // The log writes a backslash twice.
      expect(ended).toMatchObject({ code: 14 });
      expect(ended.stderr.replaceAll('\\\\', '\\')).toContain(`fatal: ${message}\n`);
    }
  });

  it.each(['--match=protect:comm=a', '--only-cgroup=/a'])('earlyoom does not know %s', async (option) => {
    const ended = await invoke('earlyoom', ['--dryrun', option]);
    expect(ended).toMatchObject({ code: 13, stderr: expect.stringContaining(`unrecognized option '${option}'`) });
  });
});

describe('a guard', () => {
  it('says its matchers at start, and chooses by them', async () => {
    const low = 'MemTotal: 1000000 kB\nMemAvailable: 10000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nAnonPages: 900000 kB\n';
    const tree = procTree(TREE, low);
    const config = configFile('[[match]]\naction = "protect"\nuser = 105\nunit = "postgresql@*"\n');
    const args = [
      '--dryrun',
      '--procfs',
      tree,
      '--config',
      config,
      '--match',
      'prefer:cmdline=*renderer*',
      '--only-cgroup',
      '/**',
    ];
    const ended = await invoke('oom-backstop', args, { until: (_, stderr) => stderr.includes('not actually sending') });
    expectRan(ended);
    expect(linesOf(ended.stderr)).toEqual(
      expect.arrayContaining([
        "match 1: protect user '105' unit 'postgresql@*'",
        "match 2: prefer cmdline '*renderer*'",
        "Only processes in cgroup '/**' and below will be killed",
        expect.stringMatching(/^sending SIG\w+ to process 10000002 uid 1000 "browser"/),
      ]),
    );
  });
});

describe('check', () => {
  it('says whom each matches now, and that the largest is protected', async () => {
    const args = [
      '--match',
      'protect:unit=postgresql@*',
      '--match',
      'prefer:comm=chromium-browser',
      '--match',
      'avoid:container=x',
    ];
    const all = ['check', '--json', '--dryrun', '--config', '/dev/null', '--procfs', procTree(TREE), ...args];
    const { stdout } = await invoke('oom-backstop', all);
    const { policy, findings } = JSON.parse(stdout) as {
      policy: { matching: { tables: unknown[] } };
      findings: { id: string; severity: string; found: string }[];
    };
    expect(policy.matching.tables).toHaveLength(3);
    expect(
      findings
        .filter(({ id }) => id === 'match' || id === 'largest-protected')
        .map(({ severity, found }) => `${severity} ${found}`),
    ).toEqual([
      'ok protect by match 1 (unit) matches 1 process now',
      "warning prefer by match 2 (comm): comm 'chromium-browser' can't match, it takes 16 bytes",
      "note avoid by match 3 (container) matches no process now: container 'x'",
      `note the largest process now, "postgres" (pid ${PID + 1}, RSS 900 MiB), is protected by match 1 (unit)`,
    ]);
  });
});
