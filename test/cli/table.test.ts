/*
 * The contract of the command line, one row per invocation: what a script, a unit file or an
 * /etc/default/earlyoom written for earlyoom 1.9 relies on.
 *
 * Numbers are computed by hand from MEMINFO below. Each row that keeps running gets --dryrun, and its
 * open files and RSS are capped (see invocation.ts).
 */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { bareTree, type Ended, expectRan, invoke, linesOf, type Persona, removeTrees } from './invocation.js';

afterAll(removeTrees);

interface Row {
  /** What must hold. */
  name: string;
  args: readonly string[];
  /** The code it exits with; 'runs': it keeps running, with --dryrun before `args`, until we end it. */
  exit: number | 'runs';
  /** A running guard reports memory; false: it never does. */
  reports?: false;
  stdout?: Expected;
  stderr?: Expected;
  stderrNot?: readonly (string | RegExp)[];
}

/** Strings are whole lines; 'nothing' is no output at all. */
type Expected = 'nothing' | readonly (string | RegExp)[];

/* 15625 MiB in all, 14648 MiB of user memory (15000000 KiB), 1953 MiB of swap. */
const MEMINFO = `MemTotal:       16000000 kB
MemFree:        10000000 kB
MemAvailable:   12000000 kB
SwapTotal:       2000000 kB
SwapFree:        1500000 kB
AnonPages:       3000000 kB
`;
const TREE = bareTree(MEMINFO);
const NO_SWAP = bareTree(MEMINFO.replace(/^(Swap\w+: ).*$/gm, '$1 0 kB'));
const WITH_SYSRQ = bareTree(MEMINFO, { 'sysrq-trigger': '' });
const onTree = ['--procfs', TREE];
const without = (entry: string): string => MEMINFO.replace(new RegExp(`^${entry}:.*\n`, 'm'), '');

const REPORT = 'mem avail: 11718 of 14648 MiB (80.00%), swap free: 1464 of 1953 MiB (75.00%)';
const REPORT_FORM =
  /^mem avail: [ \d]{4,}\d of [ \d]{4,}\d MiB \([ \d]{1,2}\d\.\d\d%\), swap free: [ \d]{3,}\d of [ \d]{3,}\d MiB \([ \d]{1,2}\d\.\d\d%\)$/m;
const VERSION_LINE = /^earlyoom v1\.9/;
const FATAL = /^fatal: /m;
const TOO_MUCH = 2 ** 31;
const FAR_TOO_MUCH = 2 ** 32;
const DIRECTORY_AS_MEMINFO = bareTree(null);
mkdirSync(path.join(DIRECTORY_AS_MEMINFO, 'meminfo'));

/** The two limits lines: mem TERM, swap TERM, mem KILL, swap KILL, as they are printed. */
const limits = (memTerm: string, swapTerm: string, memKill: string, swapKill: string): string[] => [
  `sending SIGTERM when mem avail <= ${memTerm}% and swap free <= ${swapTerm}%,`,
  `        SIGKILL when mem avail <= ${memKill}% and swap free <= ${swapKill}%`,
];
const memLimits = (term: string, kill: string): string[] => limits(term, '10.00', kill, ' 5.00');
const swapLimits = (term: string, kill: string): string[] => limits('10.00', term, ' 5.00', kill);
const raised = (option: string, term: string, kill: string): string =>
  `warning: ${option}: SIGTERM value ${term} is below SIGKILL value ${kill}, setting SIGTERM = SIGKILL = ${kill}`;

/** A value that ends it: its own message, then nothing more. */
const refused = (
  name: string,
  args: readonly string[],
  exit: number,
  stderr: readonly (string | RegExp)[] = [],
): Row => ({
  name,
  args: ['--dryrun', ...onTree, ...args],
  exit,
  stdout: 'nothing',
  stderr: [FATAL, ...stderr],
  stderrNot: ['sending SIG'],
});
const runs = (name: string, args: readonly string[], stderr: readonly (string | RegExp)[]): Row => ({
  name,
  args: [...onTree, ...args],
  exit: 'runs',
  stdout: [REPORT],
  stderr,
  stderrNot: [FATAL],
});
const usage = (name: string, args: readonly string[], message: string | RegExp): Row => ({
  name,
  args: [...onTree, ...args],
  exit: 13,
  stdout: 'nothing',
  stderr: [message, "Try 'earlyoom --help' for more information."],
  stderrNot: ['sending SIG'],
});
const extra = (name: string, args: readonly string[], argument: string): Row =>
  refused(name, args, 13, [`fatal: extra argument not understood: '${argument}'`]);

const STARTUP: readonly Row[] = [
  {
    name: 'no options: starts on the real machine and reports',
    args: [],
    exit: 'runs',
    stdout: [REPORT_FORM],
    stderr: [
      /^mem total: [ \d]{3,}\d MiB, user mem total: [ \d]{3,}\d MiB, swap total: [ \d]{3,}\d MiB$/m,
      ...memLimits('10.00', ' 5.00'),
    ],
  },
  runs(
    'no options: exact first lines on a made tree',
    [],
    [
      VERSION_LINE,
      'mem total: 15625 MiB, user mem total: 14648 MiB, swap total: 1953 MiB',
      ...memLimits('10.00', ' 5.00'),
    ],
  ),
  {
    name: 'no swap: free swap reads 0 % of 0',
    args: ['--procfs', NO_SWAP],
    exit: 'runs',
    stdout: ['mem avail: 11718 of 14648 MiB (80.00%), swap free:    0 of    0 MiB ( 0.00%)'],
    stderr: ['mem total: 15625 MiB, user mem total: 14648 MiB, swap total:    0 MiB'],
  },
];

const MEM_PERCENT: readonly Row[] = [
  runs('-m 1: KILL is half of it', ['-m', '1'], memLimits(' 1.00', ' 0.50')),
  runs('-m 2,1: both', ['-m', '2,1'], memLimits(' 2.00', ' 1.00')),
  runs('-m 3.14: a fraction', ['-m', '3.14'], memLimits(' 3.14', ' 1.57')),
  runs('-m 7,3.14: a fraction as KILL', ['-m', '7,3.14'], memLimits(' 7.00', ' 3.14')),
  runs('-m 99: the upper bound', ['-m', '99,1'], memLimits('99.00', ' 1.00')),
  runs('-m 5,0: never SIGKILL', ['-m', '5,0'], memLimits(' 5.00', ' 0.00')),
  runs('-m 5,: no number after the comma is 0', ['-m', '5,'], memLimits(' 5.00', ' 0.00')),
  runs(
    '-m 5,9: TERM below KILL is raised, with a warning',
    ['-m', '5,9'],
    [raised('-m', '5.00', '9.00'), ...memLimits(' 9.00', ' 9.00')],
  ),
  runs('-m 1,2: likewise', ['-m', '1,2'], [raised('-m', '1.00', '2.00'), ...memLimits(' 2.00', ' 2.00')]),
  runs('-m 0,4: likewise from 0', ['-m', '0,4'], [raised('-m', '0.00', '4.00'), ...memLimits(' 4.00', ' 4.00')]),
  runs('-m 9,9: equal needs no warning', ['-m', '9,9'], memLimits(' 9.00', ' 9.00')),
  runs('-m given twice: the later one', ['-m', '5', '-m', '20'], memLimits('20.00', '10.00')),
  runs('-m reads as strtod: blank, sign, exponent', ['-m', ' +1.2e1'], memLimits('12.00', ' 6.00')),
  runs('-m reads as strtod: hexadecimal', ['-m', '0x10,0x.8p1'], memLimits('16.00', ' 1.00')),
  runs('-m of 255 bytes is taken', ['-m', '20'.padStart(255, '0')], memLimits('20.00', '10.00')),
  refused('-m of 256 bytes is refused', ['-m', '20'.padStart(256, '0')], 15),
  refused('-m of 5000 bytes is refused', ['-m', '9'.repeat(5000)], 15),
  refused('-m 0: both zero', ['-m', '0'], 15),
  refused('-m 0,0: both zero', ['-m', '0,0'], 15),
  refused('-m with an empty value: both zero', ['-m', ''], 15),
  refused('-m -10: below zero', ['-m', '-10'], 15),
  refused('-m -1: below zero', ['-m', '-1'], 15),
  refused('-m 1,-1: KILL below zero', ['-m', '1,-1'], 15),
  refused('-m 1000,-1000: far out', ['-m', '1000,-1000'], 15),
  refused('-m 99.01: above the bound', ['-m', '99.01'], 15),
  refused('-m 100: makes no sense', ['-m', '100'], 15),
  refused('-m 5,100: KILL above the bound', ['-m', '5,100'], 15),
  refused('-m 2^31', ['-m', String(TOO_MUCH)], 15),
  refused('-m 2^32', ['-m', String(FAR_TOO_MUCH)], 15),
  refused('-m inf', ['-m', 'inf'], 15),
  refused('-m 10%: trailing garbage', ['-m', '10%'], 15),
  refused('-m abc: no number', ['-m', 'abc'], 15),
  refused('-m 5,abc: no number as KILL', ['-m', '5,abc'], 15),
  refused('-m 1,2,3: a second comma is garbage', ['-m', '1,2,3'], 15),
  refused('-m=5: a short option has no "="', ['-m=5'], 15),
  refused('-m takes whatever follows as its value', ['-m', '-s', '5'], 15),
];

const SWAP_PERCENT: readonly Row[] = [
  runs('-s 2: KILL is half of it', ['-s', '2'], swapLimits(' 2.00', ' 1.00')),
  runs('-s 2,1: both', ['-s', '2,1'], swapLimits(' 2.00', ' 1.00')),
  runs('-s 12.34: a fraction', ['-s', '12.34'], swapLimits('12.34', ' 6.17')),
  runs('-s 100: the upper bound, swap is ignored', ['-s', '100'], swapLimits('100.00', '50.00')),
  runs('-s 100,100: ignored for SIGKILL too', ['-s', '100,100'], swapLimits('100.00', '100.00')),
  runs(
    '-s 5,9: TERM below KILL is raised, with a warning',
    ['-s', '5,9'],
    [raised('-s', '5.00', '9.00'), ...swapLimits(' 9.00', ' 9.00')],
  ),
  runs('-m and -s together', ['-m', '4,2', '-s', '6,3'], limits(' 4.00', ' 6.00', ' 2.00', ' 3.00')),
  refused('-s 101', ['-s', '101'], 16),
  refused('-s 100.01', ['-s', '100.01'], 16),
  refused('-s 0', ['-s', '0'], 16),
  refused('-s -10', ['-s', '-10'], 16),
  refused('-s 1,-1', ['-s', '1,-1'], 16),
  refused('-s 2^31', ['-s', String(TOO_MUCH)], 16),
  refused('-s 2^32', ['-s', String(FAR_TOO_MUCH)], 16),
  refused('-s 5x: trailing garbage', ['-s', '5x'], 16),
  refused('-s of 256 bytes', ['-s', '20'.padStart(256, '0')], 16),
];

const SIZES: readonly Row[] = [
  runs('-M: percent of MemTotal', ['-M', '1600000'], memLimits('10.00', ' 5.00')),
  runs('-M with KILL', ['-M', '320000,160000'], memLimits(' 2.00', ' 1.00')),
  runs('-M: MemTotal * 100 / 99 is the most', ['-M', '16161616,1600000'], memLimits('101.01', '10.00')),
  runs(
    '-M 160000,320000: TERM below KILL is raised, with a warning',
    ['-M', '160000,320000'],
    [raised('-M', '160000.00', '320000.00'), ...memLimits(' 2.00', ' 2.00')],
  ),
  runs('-m and -M: the lower wins (-M)', ['-m', '10', '-M', '160000'], memLimits(' 1.00', ' 0.50')),
  runs('-M and -m: the lower wins (-m)', ['-M', '1600000', '-m', '3'], memLimits(' 3.00', ' 1.50')),
  runs(
    '-m and -M: the lower wins, TERM and KILL each',
    ['-m', '20,2', '-M', '1600000,800000'],
    memLimits('10.00', ' 2.00'),
  ),
  refused('-M above MemTotal * 100 / 99', ['-M', '16161617'], 15),
  refused('-M 9999999999999999', ['-M', '9999999999999999'], 15),
  refused('-M 2^31', ['-M', String(TOO_MUCH)], 15),
  refused('-M 2^32', ['-M', String(FAR_TOO_MUCH)], 15),
  refused('-M -1', ['-M', '-1'], 15),
  refused('-M 0', ['-M', '0'], 15),
  refused('-M 1G: trailing garbage', ['-M', '1G'], 15),
  refused('-M of 256 bytes', ['-M', '20'.padStart(256, '0')], 15),
  runs('-S: percent of SwapTotal', ['-S', '40000'], swapLimits(' 2.00', ' 1.00')),
  runs('-S with KILL', ['-S', '400000,20000'], swapLimits('20.00', ' 1.00')),
  runs('-S: SwapTotal * 100 / 99 is the most', ['-S', '2020202'], swapLimits('101.01', '50.51')),
  runs(
    '-s and -S: the lower wins, TERM and KILL each',
    ['-s', '20,2', '-S', '200000,100000'],
    swapLimits('10.00', ' 2.00'),
  ),
  runs(
    '-S 5000,9000: TERM below KILL is raised, with a warning',
    ['-S', '5000,9000'],
    [raised('-S', '5000.00', '9000.00'), ...swapLimits(' 0.45', ' 0.45')],
  ),
  refused('-S above SwapTotal * 100 / 99', ['-S', '2020203'], 16),
  refused('-S 2^31', ['-S', String(TOO_MUCH)], 16),
  refused('-S 2^32', ['-S', String(FAR_TOO_MUCH)], 16),
  refused('-S -1', ['-S', '-1'], 16),
  refused('-S 0', ['-S', '0'], 16),
  refused('-S of 256 bytes', ['-S', '20'.padStart(256, '0')], 16),
  {
    name: '-S without swap: ignored, with a warning',
    args: ['--procfs', NO_SWAP, '-S', '40000'],
    exit: 'runs',
    stderr: ['warning: -S: total swap is zero, using default percentages', ...swapLimits('10.00', ' 5.00')],
  },
  {
    name: '-s and -S without swap: -s stays',
    args: ['--procfs', NO_SWAP, '-S', '40000', '-s', '20'],
    exit: 'runs',
    stderr: ['warning: -S: total swap is zero, using default percentages', ...swapLimits('20.00', '10.00')],
  },
];

const FLAGS: readonly Row[] = [
  runs('-k is ignored and says so', ['-k'], ['Option -k is ignored since earlyoom v1.2']),
  runs('-i is ignored and says so', ['-i'], ['Option -i is ignored since earlyoom v1.7']),
  runs('-n', ['-n'], ['Notifying through D-Bus']),
  runs(
    '-N with a relative path is disabled, with a warning',
    ['-N', 'hook.sh'],
    ["-N: script 'hook.sh' is not an absolute path, disabling -N"],
  ),
  runs(
    '-P with a relative path is disabled, with a warning',
    ['-P', './hook.sh'],
    ["-P: script './hook.sh' is not an absolute path, disabling -P"],
  ),
  runs(
    '-N on a file that is not executable warns',
    ['-N', path.join(TREE, 'meminfo')],
    [`-N: script '${TREE}/meminfo' is not executable: Permission denied`],
  ),
  runs(
    '-P on a file that is not there warns',
    ['-P', '/nowhere/hook'],
    ["-P: script '/nowhere/hook' is not executable: No such file or directory"],
  ),
  { ...runs('-N on an executable file: no word of it', ['-N', '/bin/true'], []), stderrNot: [FATAL, 'script'] },
  runs('-g', ['-g'], []),
  {
    name: '-d: the table, with whoever leads',
    args: ['-d'],
    exit: 'runs',
    stdout: [/^ +PID OOM_SCORE +RSSkiB +UID OOM_SCORE_ADJ +COMM$/m, / <--- new victim$/m],
  },
  { name: '--debug: the same', args: ['--debug'], exit: 'runs', stdout: [/ <--- new victim$/m] },
  {
    name: '-v: the version, and the end',
    args: ['-v'],
    exit: 0,
    stdout: 'nothing',
    stderr: [/^earlyoom v1\.9[^\n]*\n$/],
  },
  {
    name: '-v on a broken tree: still the version',
    args: ['--procfs', bareTree(null), '-v'],
    exit: 0,
    stdout: 'nothing',
    stderr: [VERSION_LINE],
    stderrNot: [FATAL],
  },
  { name: '-h: help on stderr', args: ['-h'], exit: 0, stdout: 'nothing', stderr: [/this help text\n$/] },
  { name: '--help: the same', args: ['--help'], exit: 0, stdout: 'nothing', stderr: [/this help text\n$/] },
  {
    name: '--help names every option of earlyoom',
    args: ['--help'],
    exit: 0,
    stdout: 'nothing',
    stderr: [...'msMSnNPgdvrpki']
      .map((o) => new RegExp(`^  -${o}[, ]`, 'm'))
      .concat(
        ['prefer', 'avoid', 'ignore', 'ignore-root-user', 'sort-by-rss', 'dryrun', 'syslog', 'kernel-oom'].map(
          (o) => new RegExp(`^  --${o} `, 'm'),
        ),
      ),
  },
  { ...runs('-r 0: no reports', ['-r', '0'], memLimits('10.00', ' 5.00')), reports: false, stdout: 'nothing' },
  { ...runs('-r=0: reads as 0', ['-r=0'], memLimits('10.00', ' 5.00')), reports: false, stdout: 'nothing' },
  { ...runs('-r=1: reads as 0 too', ['-r=1'], memLimits('10.00', ' 5.00')), reports: false, stdout: 'nothing' },
  {
    ...runs('-r x: what is no number reads as 0', ['-r', 'x'], memLimits('10.00', ' 5.00')),
    reports: false,
    stdout: 'nothing',
  },
  runs('-r 0.1', ['-r', '0.1'], []),
  runs('-r 3600: the first report comes at once', ['-r', '3600'], []),
  runs('-r 0.5s: what follows the number does not matter', ['-r', '0.5s'], []),
  refused('-r -1: negative', ['-r', '-1'], 14),
  refused('-r -0.1: negative', ['-r', '-0.1'], 14),
  runs(
    '-p: raised, or a warning, and it goes on',
    ['-p'],
    [/^(Priority was raised successfully|Could not set (priority|oom_score_adj): .+\. Continuing anyway)$/m],
  ),
  runs(
    '--prefer',
    ['--prefer', '^(Web Content|Isolated)$'],
    ["Preferring to kill process names that match regex '^(Web Content|Isolated)$'"],
  ),
  runs(
    '--avoid',
    ['--avoid', '(^|/)(init|sshd)$'],
    ["Will avoid killing process names that match regex '(^|/)(init|sshd)$'"],
  ),
  runs('--ignore', ['--ignore', '[[:digit:]]{2}'], ["Will ignore process names that match regex '[[:digit:]]{2}'"]),
  refused('--prefer that does not compile', ['--prefer', '['], 6),
  refused('--avoid that does not compile', ['--avoid', '(a'], 6),
  refused('--ignore that does not compile', ['--ignore', 'a{2,1}'], 6),
  runs('--ignore-root-user', ['--ignore-root-user'], ['Processes owned by root will not be killed']),
  runs('--sort-by-rss', ['--sort-by-rss'], ['Find process with the largest rss']),
  runs('--dryrun', [], ['dryrun mode enabled, will not kill anything']),
  {
    name: '--kernel-oom',
    args: ['--procfs', WITH_SYSRQ, '--kernel-oom'],
    exit: 'runs',
    stderr: ['Using kernel OOM killer (requires Linux v5.17+)'],
    stderrNot: ['warning: --kernel-oom'],
  },
  runs(
    '--kernel-oom where it may not: falls back, with a warning',
    ['--kernel-oom'],
    [
      'Using kernel OOM killer (requires Linux v5.17+)',
      /^warning: --kernel-oom: .*sysrq-trigger: No such file or directory, killing on our own$/m,
    ],
  ),
  {
    name: 'a unit file of a distribution, all at once',
    args: [
      ...onTree,
      '-r',
      '3600',
      '-n',
      '--avoid',
      '(^|/)(init|systemd|Xorg|sshd)$',
      '--prefer',
      '(^|/)(java|chromium)$',
      '-p',
      '-m',
      '8,4',
      '-s',
      '100',
      '-g',
    ],
    exit: 'runs',
    stdout: [REPORT],
    stderr: ['Notifying through D-Bus', ...limits(' 8.00', '100.00', ' 4.00', '50.00')],
  },
];

const GETOPT: readonly Row[] = [
  {
    name: '-dp: two flags in one',
    args: ['-dp'],
    exit: 'runs',
    stdout: [/ <--- new victim$/m],
    stderr: [/^(Priority was raised|Could not set )/m],
  },
  runs('-m5: attached', ['-m5'], memLimits(' 5.00', ' 2.50')),
  runs('-m5,4 -s6,3: attached, both', ['-m5,4', '-s6,3'], limits(' 5.00', ' 6.00', ' 4.00', ' 3.00')),
  runs('-gm5: a flag and an attached value', ['-gm5'], memLimits(' 5.00', ' 2.50')),
  runs('-gm 5: a flag and the value behind', ['-gm', '5'], memLimits(' 5.00', ' 2.50')),
  runs('--prefer=RE', ['--prefer=a=b'], ["Preferring to kill process names that match regex 'a=b'"]),
  runs('--dry', ['--dry'], ['dryrun mode enabled, will not kill anything']),
  runs('--pref RE', ['--pref', 'x'], [/^Preferring to kill .*'x'$/m]),
  runs('--p RE: our own --procfs makes no abbreviation ambiguous', ['--p', 'x'], [/^Preferring to kill .*'x'$/m]),
  runs('--a=RE', ['--a=x'], [/^Will avoid killing .*'x'$/m]),
  runs('--ignore is exact, though --ignore-root-user begins with it', ['--ignore', 'x'], [/^Will ignore .*'x'$/m]),
  runs('--ignore-r', ['--ignore-r'], ['Processes owned by root will not be killed']),
  runs('--so', ['--so'], ['Find process with the largest rss']),
  runs('--k', ['--k'], ['Using kernel OOM killer (requires Linux v5.17+)']),
  { name: '--h', args: ['--h'], exit: 0, stdout: 'nothing', stderr: [/this help text\n$/] },
  usage(
    '--d is ambiguous',
    ['--d'],
    /^earlyoom: option '--d' is ambiguous; possibilities: (?=.*'--dryrun').*'--debug'/m,
  ),
  usage(
    '--i is ambiguous',
    ['--i', 'x'],
    /^earlyoom: option '--i' is ambiguous; possibilities: (?=.*'--ignore-root-user').*'--ignore'/m,
  ),
  usage(
    '--s is ambiguous',
    ['--s'],
    /^earlyoom: option '--s' is ambiguous; possibilities: (?=.*'--syslog').*'--sort-by-rss'/m,
  ),
  usage('--ver: our own --version has no abbreviation', ['--ver'], "earlyoom: unrecognized option '--ver'"),
  usage('an unknown long option', ['--xyz'], "earlyoom: unrecognized option '--xyz'"),
  usage('an unknown short option', ['-x'], "earlyoom: invalid option -- 'x'"),
  usage('an unknown short option among known ones', ['-gxk'], "earlyoom: invalid option -- 'x'"),
  usage('-m without its value', ['-m'], "earlyoom: option requires an argument -- 'm'"),
  usage('--prefer without its value', ['--prefer'], "earlyoom: option '--prefer' requires an argument"),
  usage('--dryrun=1: takes no value', ['--dryrun=1'], "earlyoom: option '--dryrun' doesn't allow an argument"),
  extra('an extra argument', ['xyz'], 'xyz'),
  extra('-i 1: 1 is an extra argument', ['-i', '1'], '1'),
  extra('an argument between options', ['-m', '5', 'xyz', '-s', '5'], 'xyz'),
  extra('-- ends the options', ['--', '-m'], '-m'),
  extra('a lone - is an argument', ['-'], '-'),
  extra('an empty argument is one', [''], ''),
  {
    ...extra('an extra argument with escape sequences is shown harmless', ['\x1b[31mx\n\u009b'], ''),
    stderr: [/^fatal: extra argument not understood: '\\x1b\[31mx\\n\\xc2\\x9b'$/m],
    stderrNot: ['\x1b', '\u009b'],
  },
  runs('-- with nothing behind', ['--'], []),
  {
    name: 'an option behind an argument comes first (-v)',
    args: ['xyz', '-v'],
    exit: 0,
    stdout: 'nothing',
    stderr: [VERSION_LINE],
    stderrNot: [FATAL],
  },
  {
    name: 'the first mistake ends it',
    args: [...onTree, '-m', '0', '-s', '101'],
    exit: 15,
    stdout: 'nothing',
    stderr: [FATAL, /-m 0/],
    stderrNot: ['-s 101'],
  },
];

const MEMINFO_ERRORS: readonly Row[] = [
  {
    name: '--procfs that is not there: 4',
    args: ['--procfs', '/nowhere', '--dryrun'],
    exit: 4,
    stdout: 'nothing',
    stderr: [/^fatal: could not cd to \/nowhere/m],
  },
  {
    name: '--procfs that is a file: 4',
    args: ['--procfs', path.join(TREE, 'meminfo'), '--dryrun'],
    exit: 4,
    stdout: 'nothing',
    stderr: [FATAL],
  },
  {
    name: 'no meminfo: 102',
    args: ['--procfs', bareTree(null), '--dryrun'],
    exit: 102,
    stdout: 'nothing',
    stderr: [/^fatal: .*meminfo: No such file or directory$/m],
  },
  {
    name: 'meminfo is a directory: 103',
    args: ['--procfs', DIRECTORY_AS_MEMINFO, '--dryrun'],
    exit: 103,
    stdout: 'nothing',
    stderr: [/^fatal: .*meminfo: Is a directory$/m],
  },
  ...['MemTotal', 'MemAvailable', 'AnonPages', 'SwapTotal', 'SwapFree'].map(
    (entry): Row => ({
      name: `no ${entry}: 104`,
      args: ['--procfs', bareTree(without(entry)), '--dryrun'],
      exit: 104,
      stdout: 'nothing',
      stderr: [new RegExp(`^fatal: .*'${entry}:'`, 'm')],
    }),
  ),
  {
    name: 'an empty meminfo: 104',
    args: ['--procfs', bareTree(''), '--dryrun'],
    exit: 104,
    stdout: 'nothing',
    stderr: [FATAL],
  },
  {
    name: 'a word where a number should be: 105',
    args: ['--procfs', bareTree(MEMINFO.replace('12000000', 'plenty')), '--dryrun'],
    exit: 105,
    stdout: 'nothing',
    stderr: [/^fatal: .*'MemAvailable:'/m],
  },
  {
    name: 'nothing where a number should be: 105',
    args: ['--procfs', bareTree('MemTotal:'), '--dryrun'],
    exit: 105,
    stdout: 'nothing',
    stderr: [/^fatal: .*'MemTotal:'/m],
  },
];

const PACKAGE = path.join(import.meta.dirname, '../../package.json');
const PACKAGE_VERSION = (JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string }).version;
const OWN: readonly Row[] = [
  {
    name: 'no options: its own defaults, on the real machine',
    args: [],
    exit: 'runs',
    stdout: [REPORT_FORM],
    stderr: [`oom-backstop v${PACKAGE_VERSION}`, ...limits(' 5.00', '100.00', ' 3.00', '100.00')],
  },
  runs(
    'no options: exact first lines on a made tree',
    [],
    [
      'mem total: 15625 MiB, user mem total: 14648 MiB, swap total: 1953 MiB',
      ...limits(' 5.00', '100.00', ' 3.00', '100.00'),
    ],
  ),
  {
    name: '--version on stdout',
    args: ['--version'],
    exit: 0,
    stdout: [`oom-backstop v${PACKAGE_VERSION}`],
    stderr: 'nothing',
  },
  {
    name: '--help on stdout, with the commands',
    args: ['--help'],
    exit: 0,
    stdout: [/^ {2}rank /m, /this help text\n$/],
    stderr: 'nothing',
  },
  { name: '-h on stdout', args: ['-h'], exit: 0, stdout: [/this help text\n$/], stderr: 'nothing' },
  {
    name: '-v as with earlyoom',
    args: ['-v'],
    exit: 0,
    stdout: 'nothing',
    stderr: [`oom-backstop v${PACKAGE_VERSION}`],
  },
  runs('-m 20: KILL is half of it', ['-m', '20'], limits('20.00', '100.00', '10.00', '100.00')),
  runs(
    '-m 5,9: raised',
    ['-m', '5,9'],
    [raised('-m', '5.00', '9.00'), ...limits(' 9.00', '100.00', ' 9.00', '100.00')],
  ),
  runs('-s 10: swap counts after all', ['-s', '10'], limits(' 5.00', '10.00', ' 3.00', ' 5.00')),
  runs('-M and -S', ['-M', '1600000', '-S', '40000'], limits('10.00', ' 2.00', ' 5.00', ' 1.00')),
  runs(
    '--prefer, --avoid, --ignore',
    ['--prefer=a', '--avoid=b', '--ignore=c'],
    [/^Preferring to kill .*'a'$/m, /^Will avoid killing .*'b'$/m, /^Will ignore .*'c'$/m],
  ),
  { name: '-d', args: ['-d'], exit: 'runs', stdout: [/ <--- new victim$/m] },
  refused('-m 100', ['-m', '100'], 15),
  refused('-s 101', ['-s', '101'], 16),
  refused('-r -1', ['-r', '-1'], 14),
  refused('--avoid that does not compile', ['--avoid', '['], 6),
  extra('no such command', ['rang'], 'rang'),
  {
    name: 'an unknown option names the right program',
    args: ['--xyz'],
    exit: 13,
    stdout: 'nothing',
    stderr: ["oom-backstop: unrecognized option '--xyz'", "Try 'oom-backstop --help' for more information."],
  },
  {
    name: '--procfs that is not there: 4',
    args: ['--procfs', '/nowhere', '--dryrun'],
    exit: 4,
    stdout: 'nothing',
    stderr: [FATAL],
  },
];

/** For it.each, which cuts long texts in `$name`. */
const named = (rows: readonly Row[]): [string, Row][] => rows.map((row) => [row.name, row]);

/** What must not come gets so long to come. */
const SILENCE_MS = 400;

async function check(persona: Persona, row: Row): Promise<void> {
  const ended = await (row.exit === 'runs' ? runUntilReady(persona, row) : invoke(persona, row.args));
  if (row.exit === 'runs') expectRan(ended);
  else expect(ended, ended.stderr).toMatchObject({ code: row.exit, signal: null });
  expectOutput(ended.stdout, row.stdout ?? []);
  expectOutput(ended.stderr, row.stderr ?? []);
  for (const unwanted of row.stderrNot ?? []) {
    if (typeof unwanted === 'string') expect(ended.stderr).not.toContain(unwanted);
    else expect(ended.stderr).not.toMatch(unwanted);
  }
}

function runUntilReady(persona: Persona, row: Row): Promise<Ended> {
  const started = (stderr: string): boolean => /^ {8}SIGKILL when .*\n/m.test(stderr);
  const reported = (stdout: string): boolean => row.reports === false || /^mem avail: .*\n/m.test(stdout);
  const until = (stdout: string, stderr: string): boolean => started(stderr) && reported(stdout);
  return invoke(persona, ['--dryrun', ...row.args], { until, settleMs: row.reports === false ? SILENCE_MS : 0 });
}

function expectOutput(output: string, expected: Expected): void {
  if (expected === 'nothing') {
    expect(output).toBe('');
    return;
  }
  for (const each of expected) {
    if (typeof each === 'string') expect(linesOf(output)).toContain(each);
    else expect(output).toMatch(each);
  }
}

describe('earlyoom', () => {
  it.concurrent.each(named(STARTUP))('%s', (_name, row) => check('earlyoom', row));
  it.concurrent.each(named(MEM_PERCENT))('%s', (_name, row) => check('earlyoom', row));
  it.concurrent.each(named(SWAP_PERCENT))('%s', (_name, row) => check('earlyoom', row));
  it.concurrent.each(named(SIZES))('%s', (_name, row) => check('earlyoom', row));
  it.concurrent.each(named(FLAGS))('%s', (_name, row) => check('earlyoom', row));
  it.concurrent.each(named(GETOPT))('%s', (_name, row) => check('earlyoom', row));
  it.concurrent.each(named(MEMINFO_ERRORS))('%s', (_name, row) => check('earlyoom', row));

  it.concurrent('starts with its version, and the lines come in the order of the options', async () => {
    const row = runs('', ['-k', '-n', '--sort-by-rss', '-i', '--avoid', 'b', '--prefer', 'a'], []);
    const lines = linesOf((await runUntilReady('earlyoom', row)).stderr);
    expect(lines[0]).toMatch(VERSION_LINE);
    expect(lines.slice(1)).toEqual([
      'dryrun mode enabled, will not kill anything',
      'Option -k is ignored since earlyoom v1.2',
      'Notifying through D-Bus',
      'Find process with the largest rss',
      'Option -i is ignored since earlyoom v1.7',
      "Preferring to kill process names that match regex 'a'",
      "Will avoid killing process names that match regex 'b'",
      'mem total: 15625 MiB, user mem total: 14648 MiB, swap total: 1953 MiB',
      ...memLimits('10.00', ' 5.00'),
      expect.stringMatching(/does not show pid 1/),
    ]);
  });

  it.concurrent('-r 0.1 reports again and again, -r 3600 once', async () => {
    const reports = (stdout: string): number => stdout.split(REPORT).length - 1;
    const args = ['--dryrun', ...onTree, '-r'];
    const often = await invoke('earlyoom', [...args, '0.1'], { until: (stdout) => reports(stdout) >= 3 });
    expectRan(often);
    expect(linesOf(often.stdout).every((line) => line === REPORT)).toBe(true);
    const once = await invoke('earlyoom', [...args, '3600'], {
      until: (stdout) => reports(stdout) > 0,
      settleMs: 1500,
    });
    expectRan(once);
    expect(once.stdout).toBe(`${REPORT}\n`);
  });

  it.concurrent('--syslog: nothing more on stdout and stderr, not even a mistake that follows', async () => {
    const runningArgs = ['--dryrun', ...onTree, '--syslog', '-k', '-r', '0.1'];
    const running = await invoke('earlyoom', runningArgs, {
      until: (_, stderr) => stderr.includes('dryrun'),
      settleMs: 800,
    });
    expectRan(running);
    expect(running.stdout).toBe('');
    expect(linesOf(running.stderr)).toEqual([
      expect.stringMatching(VERSION_LINE),
      'dryrun mode enabled, will not kill anything',
    ]);
    const mistaken = await invoke('earlyoom', [...onTree, '--syslog', '-m', '0']);
    expect(mistaken).toMatchObject({ code: 15, stdout: '' });
    expect(mistaken.stderr).not.toContain('fatal');
  });
});

describe('oom-backstop', () => {
  it.concurrent.each(named(OWN))('%s', (_name, row) => check('oom-backstop', row));
});
