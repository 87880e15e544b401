/* The judgement, on made facts: a row for each finding and each severity that it can have. */
import { describe, expect, it } from 'vitest';
import type { Facts } from '../../../src/check/facts.js';
import { FINDINGS, type Finding, type Severity } from '../../../src/check/finding.js';
import { examine, verdictOf } from '../../../src/check/findings.js';
import { ABSENT, GOOD, MIB, optionsOf, REFUSED, ranked, WITH_SWAP } from './facts.js';

const NO_MESSAGES = { mistakes: [], warnings: [] };

interface Row {
  name: string;
  id: keyof typeof FINDINGS;
  severity: Severity;
  facts?: Facts;
  args?: readonly string[];
  messages?: { mistakes: string[]; warnings: string[] };
  found: RegExp;
}

const findingsOf = ({ facts = GOOD, args = [], messages = NO_MESSAGES }: Partial<Row>): Finding[] =>
  examine(facts, optionsOf(args, 'oom-backstop', facts), messages);

const cgroup = (facts: Partial<NonNullable<Facts['cgroup']>>): Facts => ({
  ...GOOD,
  cgroup: { ...(GOOD.cgroup as NonNullable<Facts['cgroup']>), ...facts },
});
const calls = (facts: Partial<Facts['calls']>): Facts => ({ ...GOOD, calls: { ...GOOD.calls, ...facts } });
const privileges = (facts: Partial<Facts['privileges']>): Facts => ({
  ...GOOD,
  privileges: { ...GOOD.privileges, ...facts },
});
const vm = (facts: Partial<Facts['vm']>): Facts => ({ ...GOOD, vm: { ...GOOD.vm, ...facts } });
const ranking = (...processes: Facts['ranking']): Facts => ({ ...GOOD, ranking: processes });
const pattern = (text: string, matches: number): Facts => ({
  ...GOOD,
  patterns: [{ option: '--prefer', text, matches }],
});
/** User memory of exactly 640 MiB, 5 % of which are 32 MiB; `lessKib` less of it. */
const smallMachine = (lessKib: number): Facts => ({
  ...GOOD,
  memory: { ...GOOD.memory, memAvailableKib: 600_000 - lessKib, anonPagesKib: 55_360 },
});
/** Nine others go first: the tenth is the last that counts as soon. */
const nine = Array.from({ length: 9 }, (_, i) => ranked(200 + i));
const SSHD = ranked(22, { name: 'sshd', cmdline: 'sshd: admin', score: 555 });
const TAB = ranked(300, { name: 'tab', oomScoreAdj: 300, rssKib: 80_000 });
const LEAK = ranked(301, { name: 'leak', rssKib: 800_000 });
const ARC = { sizeKib: 0, minKib: 100 * 1024 };
/* 5 % of 16,000,000 KiB, and what the cache keeps. */
const ARC_AT_MAX = { ...ARC, sizeKib: 800_000 + ARC.minKib };

const ROWS: readonly Row[] = [
  { name: 'understood', id: 'options', severity: 'ok', found: /understood/ },
  { name: 'a dry run', id: 'options', severity: 'note', args: ['--dryrun'], found: /nobody is killed/ },
  {
    name: 'a warning of the parser',
    id: 'options',
    severity: 'warning',
    messages: { mistakes: [], warnings: ['-S: total swap is zero'] },
    found: /^-S: total swap is zero$/,
  },
  {
    name: 'a mistake',
    id: 'options',
    severity: 'error',
    messages: { mistakes: ['-m 200: too much'], warnings: [] },
    found: /^-m 200: too much$/,
  },
  { name: 'this procfs', id: 'procfs', severity: 'ok', found: /shows this very process/ },
  { name: 'another tree, live', id: 'procfs', severity: 'error', facts: { ...GOOD, live: false }, found: /refuses/ },
  {
    name: 'another tree in a dry run',
    id: 'procfs',
    severity: 'ok',
    facts: { ...GOOD, live: false },
    args: ['--dryrun'],
    found: /dry run/,
  },

  {
    name: '5 % of 15,000,000 KiB',
    id: 'mem-limit',
    severity: 'ok',
    found: /^SIGTERM at 732 MiB \(5\.00 % of 14648 MiB/,
  },
  { name: 'exactly 32 MiB', id: 'mem-limit', severity: 'ok', facts: smallMachine(0), found: /SIGTERM at 32 MiB/ },
  {
    name: 'a little below 32 MiB',
    id: 'mem-limit',
    severity: 'warning',
    facts: smallMachine(20),
    found: /less than 32 MiB/,
  },
  { name: 'exactly 50 %', id: 'mem-limit', severity: 'ok', args: ['-m', '50'], found: /50\.00 %/ },
  { name: 'above 50 %', id: 'mem-limit', severity: 'warning', args: ['-m', '50.1'], found: /more than 50 %/ },
  {
    name: 'crossed already',
    id: 'mem-limit',
    severity: 'warning',
    args: ['-m', '80'],
    found: /11718 MiB are available now.*at once/,
  },

  { name: 'no swap', id: 'swap-limit', severity: 'ok', found: /memory alone decides/ },
  { name: 'swap ignored', id: 'swap-limit', severity: 'ok', facts: WITH_SWAP, found: /memory alone decides/ },
  {
    name: '-s 100',
    id: 'swap-limit',
    severity: 'note',
    facts: WITH_SWAP,
    args: ['-s', '100'],
    found: /SIGKILL waits until at most 50\.00 %/,
  },
  {
    name: '-s 11',
    id: 'swap-limit',
    severity: 'note',
    facts: WITH_SWAP,
    args: ['-s', '11'],
    found: /until 89\.00 % of 1953 MiB/,
  },
  {
    name: '-s 10',
    id: 'swap-limit',
    severity: 'warning',
    facts: WITH_SWAP,
    args: ['-s', '10'],
    found: /when it is full/,
  },

  {
    name: 'one that matches',
    id: 'pattern',
    severity: 'ok',
    facts: pattern('java', 2),
    found: /'java' matches 2 processes now/,
  },
  {
    name: 'one that matches nobody',
    id: 'pattern',
    severity: 'note',
    facts: pattern('java', 0),
    found: /matches no process/,
  },
  {
    name: '15 bytes',
    id: 'pattern',
    severity: 'ok',
    facts: pattern('^123456789012345$', 1),
    found: /matches 1 process now/,
  },
  {
    name: '16 bytes',
    id: 'pattern',
    severity: 'warning',
    facts: pattern('^1234567890123456$', 0),
    found: /can't match, it takes 16 bytes/,
  },
  {
    name: '16 bytes in a choice',
    id: 'pattern',
    severity: 'warning',
    facts: pattern('^(java|systemd\\.resolved1)$', 3),
    found: /'systemd\\.resolved1'/,
  },
  {
    name: '8 letters of 2 bytes',
    id: 'pattern',
    severity: 'warning',
    facts: pattern('éééééééé', 0),
    found: /16 bytes/,
  },
  {
    name: 'long, but no literal',
    id: 'pattern',
    severity: 'ok',
    facts: pattern('^(electron|chrom[ei]+um-browser.*)$', 1),
    found: /matches/,
  },

  {
    name: 'one that matches',
    id: 'match',
    severity: 'ok',
    facts: ranking(ranked(10, { matches: [1] }), ranked(11, { matches: [1] })),
    args: ['--match', 'prefer:unit=a.service'],
    found: /^prefer by match 1 \(unit\) matches 2 processes now$/,
  },
  {
    name: 'the largest is not protected',
    id: 'largest-protected',
    severity: 'ok',
    facts: ranking(ranked(10, { matches: [1], reason: 'protected', eligible: false }), ranked(11, { rssKib: 20_000 })),
    args: ['--match', 'protect:user=0'],
    found: /^the largest process now is not protected by a matcher$/,
  },
  {
    name: 'one that matches nobody',
    id: 'match',
    severity: 'note',
    facts: ranking(ranked(10, { matches: [1], reason: 'itself', eligible: false }), ranked(11)),
    args: ['--match', 'avoid:comm=b'],
    found: /^avoid by match 1 \(comm\) matches no process now: comm 'b'$/,
  },
  {
    name: 'the largest is protected',
    id: 'largest-protected',
    severity: 'note',
    facts: ranking(
      ranked(10, {
        rssKib: 4_000_000,
        eligible: false,
        reason: 'protected',
        match: 'protected by match 1 (cgroup)',
        matches: [1],
      }),
      ranked(11),
    ),
    args: ['--match', 'protect:cgroup=/a'],
    found: /^the largest process now, "p10" \(pid 10, RSS 3906 MiB\), is protected by match 1 \(cgroup\)$/,
  },
  {
    name: 'a name that is too long',
    id: 'match',
    severity: 'warning',
    args: ['--match', 'prefer:comm=chromium-browser*'],
    found: /comm 'chromium-browser\*' can't match, it takes 16 bytes/,
  },
  {
    name: 'a regular expression for a name that is too long',
    id: 'match',
    severity: 'warning',
    args: ['--match', 'prefer:comm=/^chromium-browser$/'],
    found: /it takes 16 bytes/,
  },
  {
    name: 'programs that can not be read, to prefer',
    id: 'match',
    severity: 'warning',
    facts: { ...GOOD, exeError: 'Permission denied' },
    args: ['--match', 'prefer:exe=/a'],
    found: /can't be read: Permission denied$/,
  },
  {
    name: 'programs that can not be read, to protect',
    id: 'match',
    severity: 'error',
    facts: { ...GOOD, exeError: 'Permission denied' },
    args: ['--match', 'protect:exe=/a'],
    found: /Permission denied; the guard refuses to start$/,
  },
  {
    name: 'one that can be started',
    id: 'hook',
    severity: 'ok',
    facts: { ...GOOD, hooks: [{ option: '-N', path: '/bin/true', error: null }] },
    found: /can be started/,
  },
  {
    name: 'one that can not',
    id: 'hook',
    severity: 'warning',
    facts: { ...GOOD, hooks: [{ option: '-P', path: 'x', error: 'not an absolute path' }] },
    found: /^-P x: not an absolute path$/,
  },
  { name: 'writable', id: 'kernel-oom', severity: 'ok', args: ['--kernel-oom'], found: /can be written/ },
  {
    name: 'not writable',
    id: 'kernel-oom',
    severity: 'warning',
    args: ['--kernel-oom'],
    facts: { ...GOOD, sysrqError: 'Permission denied' },
    found: /Permission denied/,
  },

  {
    name: 'the first',
    id: 'victim',
    severity: 'ok',
    found: /^"p100" \(pid 100\) of uid 1000 would be killed now, with score 600 /,
  },
  {
    name: 'the first that can be killed',
    id: 'victim',
    severity: 'ok',
    facts: ranking(ranked(1, { eligible: false, reason: 'init' }), ranked(7, { rssKib: null })),
    found: /pid 7.*RSS unknown/,
  },
  { name: 'nobody', id: 'victim', severity: 'warning', facts: ranking(), found: /nobody/ },

  { name: 'nobody of it', id: 'way-in', severity: 'ok', found: /none of the 0 processes/ },
  {
    name: 'exempt',
    id: 'way-in',
    severity: 'ok',
    facts: ranking(ranked(1, { name: 'systemd', eligible: false, reason: 'init' }), {
      ...SSHD,
      eligible: false,
      reason: 'oom_score_adj -1000',
    }),
    found: /none of the 1 process .*\(1 exempt\)/,
  },
  {
    name: 'sshd is the tenth',
    id: 'way-in',
    severity: 'warning',
    facts: ranking(...nine, SSHD),
    found: /"sshd" \(pid 22\) is number 10, score 555/,
  },
  {
    name: 'sshd is the eleventh',
    id: 'way-in',
    severity: 'ok',
    facts: ranking(...nine, ranked(99), SSHD),
    found: /among the first 10 victims \(0 exempt\)/,
  },
  {
    name: 'a login shell',
    id: 'way-in',
    severity: 'warning',
    facts: ranking(ranked(5, { name: 'bash', cmdline: '-bash' })),
    found: /"bash"/,
  },
  {
    name: 'another shell',
    id: 'way-in',
    severity: 'ok',
    facts: ranking(ranked(5, { name: 'bash', cmdline: 'bash x.sh' })),
    found: /none/,
  },

  {
    name: 'nobody raised',
    id: 'small-victims',
    severity: 'ok',
    facts: ranking({ ...TAB, oomScoreAdj: 99 }, LEAK),
    found: /nobody/,
  },
  {
    name: 'nine times the size',
    id: 'small-victims',
    severity: 'ok',
    facts: ranking(TAB, { ...LEAK, rssKib: 799_999 }),
    found: /nobody/,
  },
  { name: 'the large one goes first', id: 'small-victims', severity: 'ok', facts: ranking(LEAK, TAB), found: /nobody/ },
  {
    name: 'a size that is hidden',
    id: 'small-victims',
    severity: 'ok',
    facts: ranking({ ...TAB, rssKib: 0 }, LEAK),
    found: /nobody/,
  },
  {
    name: 'by RSS',
    id: 'small-victims',
    severity: 'ok',
    facts: ranking(TAB, LEAK),
    args: ['--sort-by-rss'],
    found: /ranked by rss/,
  },
  {
    name: 'soon',
    id: 'small-victims',
    severity: 'warning',
    facts: ranking(...nine, TAB, LEAK),
    found: /"tab" \(pid 300\) \(number 10, .*"leak"/,
  },
  {
    name: 'later',
    id: 'small-victims',
    severity: 'note',
    facts: ranking(...nine, ranked(99), TAB, LEAK),
    found: /number 11/,
  },

  { name: 'none', id: 'other-daemon', severity: 'ok', found: /no other/ },
  {
    name: 'by its name',
    id: 'other-daemon',
    severity: 'warning',
    facts: ranking(ranked(9, { name: 'systemd-oomd' })),
    found: /^systemd-oomd runs as pid 9$/,
  },
  {
    name: 'in an interpreter',
    id: 'other-daemon',
    severity: 'warning',
    facts: ranking(ranked(9, { name: 'python3', cmdline: 'python3 -u /usr/bin/nohang --config x' })),
    found: /^nohang runs/,
  },
  {
    name: 'in a dry run',
    id: 'other-daemon',
    severity: 'note',
    facts: ranking(ranked(9, { name: 'earlyoom', cmdline: 'earlyoom --dryrun' })),
    found: /dry run/,
  },
  {
    name: 'itself, dead ones, and another command of ours',
    id: 'other-daemon',
    severity: 'ok',
    facts: ranking(
      ranked(8, { name: 'oom-backstop', reason: 'itself', eligible: false }),
      ranked(9, { name: 'earlyoom', reason: 'dead', eligible: false }),
      ranked(10, { name: 'sh', cmdline: 'sh /usr/bin/oom-backstop rank' }),
      ranked(11, { name: 'vi', cmdline: 'vi earlyoom' }),
    ),
    found: /no other/,
  },

  { name: 'in force', id: 'cap-kill', severity: 'ok', found: /in force/ },
  {
    name: 'missing',
    id: 'cap-kill',
    severity: 'warning',
    facts: privileges({ kill: false, uid: 65534 }),
    found: /uid 65534 can be killed, not "p100"/,
  },
  {
    name: 'missing, but the victim is our own',
    id: 'cap-kill',
    severity: 'warning',
    facts: privileges({ kill: false, uid: 1000 }),
    found: /uid 1000 can be killed$/,
  },
  { name: 'all visible', id: 'hidepid', severity: 'ok', found: /visible/ },
  {
    name: 'hidden from others',
    id: 'hidepid',
    severity: 'note',
    facts: { ...GOOD, hiding: { pid1Visible: true, hidepid: 'invisible' } },
    found: /hidepid=invisible/,
  },
  {
    name: 'hidden',
    id: 'hidepid',
    severity: 'warning',
    facts: { ...GOOD, hiding: { pid1Visible: false, hidepid: '2' } },
    found: /pid 1 is not visible \(hidepid=2\)/,
  },
  { name: 'both work', id: 'pidfd', severity: 'ok', found: /work/ },
  {
    name: 'an old kernel',
    id: 'pidfd',
    severity: 'warning',
    facts: calls({ pidfdOpen: ABSENT, pidfdSendSignal: ABSENT }),
    found: /kill\(2\)/,
  },
  {
    name: 'open is filtered',
    id: 'pidfd',
    severity: 'error',
    facts: calls({ pidfdOpen: REFUSED, pidfdSendSignal: REFUSED }),
    found: /^pidfd_open fails: Operation not permitted/,
  },
  {
    name: 'send is filtered',
    id: 'pidfd',
    severity: 'error',
    facts: calls({ pidfdSendSignal: REFUSED }),
    found: /^pidfd_send_signal fails/,
  },
  { name: 'works', id: 'process-mrelease', severity: 'ok', found: /works/ },
  {
    name: 'absent',
    id: 'process-mrelease',
    severity: 'note',
    facts: calls({ processMrelease: ABSENT }),
    found: /5\.15/,
  },
  {
    name: 'filtered',
    id: 'process-mrelease',
    severity: 'warning',
    facts: calls({ processMrelease: REFUSED }),
    found: /not permitted/,
  },
  { name: 'works', id: 'close-range', severity: 'ok', found: /works/ },
  {
    name: 'absent',
    id: 'close-range',
    severity: 'note',
    facts: calls({ closeRange: ABSENT }),
    found: /not implemented/,
  },
  { name: 'by the capability', id: 'memory-lock', severity: 'ok', found: /CAP_IPC_LOCK/ },
  {
    name: 'just enough',
    id: 'memory-lock',
    severity: 'ok',
    facts: privileges({ ipcLock: false, memlockLimitBytes: 100 * MIB }),
    found: /allows the 100 MiB/,
  },
  {
    name: 'a byte too little',
    id: 'memory-lock',
    severity: 'warning',
    facts: privileges({ ipcLock: false, memlockLimitBytes: 100 * MIB - 1 }),
    found: /RLIMIT_MEMLOCK is 99 MiB, the guard locks 100 MiB/,
  },
  {
    name: 'filtered',
    id: 'memory-lock',
    severity: 'warning',
    facts: calls({ mlock2: REFUSED }),
    found: /mlock2 fails/,
  },
  { name: 'no limit', id: 'own-memory-limit', severity: 'ok', found: /no memory limit/ },
  {
    name: '50 MiB',
    id: 'own-memory-limit',
    severity: 'ok',
    facts: cgroup({ memoryLimitBytes: 50 * MIB }),
    found: /50 MiB/,
  },
  {
    name: '32 MiB',
    id: 'own-memory-limit',
    severity: 'note',
    facts: cgroup({ memoryLimitBytes: 32 * MIB }),
    found: /32 MiB, less than/,
  },
  {
    name: 'below 32 MiB',
    id: 'own-memory-limit',
    severity: 'warning',
    facts: cgroup({ memoryLimitBytes: 32 * MIB - 1 }),
    found: /31 MiB/,
  },
  { name: 'not known', id: 'own-memory-limit', severity: 'note', facts: { ...GOOD, cgroup: null }, found: /not known/ },

  { name: 'there', id: 'psi', severity: 'ok', found: /can be read/ },
  {
    name: 'not there',
    id: 'psi',
    severity: 'warning',
    facts: { ...GOOD, pressure: { readError: 'No such file or directory', windowMs: null, triggerError: 'x' } },
    found: /No such file/,
  },
  { name: '500 ms', id: 'psi-trigger', severity: 'ok', found: /500 ms/ },
  {
    name: '2 s',
    id: 'psi-trigger',
    severity: 'note',
    facts: { ...GOOD, pressure: { readError: null, windowMs: 2000, triggerError: null } },
    found: /2000 ms only/,
  },
  {
    name: 'none',
    id: 'psi-trigger',
    severity: 'warning',
    facts: { ...GOOD, pressure: { readError: null, windowMs: null, triggerError: 'Operation not permitted' } },
    found: /no window: Operation/,
  },
  {
    name: 'a recorded tree',
    id: 'psi-trigger',
    severity: 'note',
    facts: { ...GOOD, live: false, pressure: { readError: null, windowMs: null, triggerError: 'x' } },
    found: /this tree/,
  },

  { name: 'mounted', id: 'cgroup2', severity: 'ok', found: /at \/sys\/fs\/cgroup$/ },
  {
    name: 'not mounted',
    id: 'cgroup2',
    severity: 'note',
    facts: cgroup({ mountPoint: null, memoryController: false }),
    found: /not mounted/,
  },
  { name: 'not known', id: 'cgroup2', severity: 'note', facts: { ...GOOD, cgroup: null }, found: /not known/ },
  { name: 'there', id: 'cgroup-memory', severity: 'ok', found: /has the memory/ },
  {
    name: 'elsewhere, without swap',
    id: 'cgroup-memory',
    severity: 'note',
    facts: cgroup({ memoryController: false }),
    found: /does not have the memory controller$/,
  },
  {
    name: 'elsewhere, with swap',
    id: 'cgroup-memory',
    severity: 'warning',
    facts: { ...WITH_SWAP, cgroup: cgroup({ memoryController: false }).cgroup },
    found: /swapped out/,
  },
  { name: 'there', id: 'cgroup-pressure', severity: 'ok', found: /there is a memory\.pressure/ },
  {
    name: 'not there',
    id: 'cgroup-pressure',
    severity: 'note',
    facts: cgroup({ memoryPressure: false }),
    found: /no memory\.pressure/,
  },
  { name: 'there', id: 'cgroup-kill', severity: 'ok', found: /there is a cgroup\.kill/ },
  {
    name: 'not there',
    id: 'cgroup-kill',
    severity: 'note',
    facts: cgroup({ kill: false }),
    found: /^there is no cgroup\.kill/,
  },
  { name: 'not known', id: 'cgroup-kill', severity: 'note', facts: cgroup({ kill: null }), found: /not known/ },

  { name: 'that works', id: 'psi-rule', severity: 'ok', found: /^"thrashing": SIGTERM to the largest process/ },
  { name: 'none', id: 'psi-rule', severity: 'note', facts: { ...GOOD, rules: [] }, found: /^no PSI rule is in force/ },
  {
    name: 'without PSI',
    id: 'psi-rule',
    severity: 'warning',
    facts: { ...GOOD, pressure: { ...GOOD.pressure, readError: 'No such file or directory' } },
    found: /^"thrashing" can not work: /,
  },

  { name: 'none', id: 'swap', severity: 'ok', found: /no swap/ },
  {
    name: 'on a disk',
    id: 'swap',
    severity: 'ok',
    facts: WITH_SWAP,
    found: /1953 MiB of swap in 1 area, none on zram; the policy does not count it/,
  },
  {
    name: 'on a disk, counted',
    id: 'swap',
    severity: 'ok',
    facts: WITH_SWAP,
    args: ['-s', '20'],
    found: /looks at how much is free/,
  },
  {
    name: 'on zram',
    id: 'swap',
    severity: 'note',
    facts: { ...WITH_SWAP, swapAreas: [{ name: '/dev/zram0', sizeKib: 1, usedKib: 0 }] },
    found: /on zram: \/dev\/zram0/,
  },
  {
    name: 'zram that is counted by what it wins',
    id: 'swap',
    severity: 'ok',
    args: ['-s', '10'],
    facts: { ...WITH_SWAP, swapAreas: [{ name: '/dev/zram0', sizeKib: 1, usedKib: 0 }] },
    found: /by what it really wins/,
  },
  { name: 'off', id: 'zswap', severity: 'ok', found: /off/ },
  { name: 'on without swap', id: 'zswap', severity: 'ok', facts: { ...GOOD, zswapEnabled: true }, found: /on/ },
  { name: 'on', id: 'zswap', severity: 'note', facts: { ...WITH_SWAP, zswapEnabled: true }, found: /on/ },
  { name: 'none', id: 'zfs-arc', severity: 'ok', found: /no ZFS/ },
  {
    name: 'counted',
    id: 'zfs-arc',
    severity: 'ok',
    facts: { ...GOOD, arc: { ...ARC_AT_MAX, minKib: 0 } },
    found: /881 MiB \(5\.64 % of memory\), which count as available/,
  },
  {
    name: 'nothing to give back',
    id: 'zfs-arc',
    severity: 'note',
    args: ['--no-arc'],
    facts: { ...GOOD, arc: ARC },
    found: /give back 0 MiB \(0\.00 %/,
  },
  {
    name: 'exactly 5 %',
    id: 'zfs-arc',
    severity: 'note',
    args: ['--no-arc'],
    facts: { ...GOOD, arc: ARC_AT_MAX },
    found: /781 MiB \(5\.00 %/,
  },
  {
    name: 'more',
    id: 'zfs-arc',
    severity: 'warning',
    args: ['--no-arc'],
    facts: { ...GOOD, arc: { ...ARC_AT_MAX, minKib: 0 } },
    found: /881 MiB/,
  },
  { name: '0', id: 'overcommit', severity: 'ok', found: /is 0$/ },
  { name: 'not known', id: 'overcommit', severity: 'ok', facts: vm({ overcommitMemory: null }), found: /not known/ },
  { name: '2', id: 'overcommit', severity: 'note', facts: vm({ overcommitMemory: 2 }), found: /is 2$/ },
  { name: '0', id: 'panic-on-oom', severity: 'ok', found: /is 0$/ },
  { name: '1', id: 'panic-on-oom', severity: 'note', facts: vm({ panicOnOom: 1 }), found: /is 1$/ },
  { name: '2', id: 'panic-on-oom', severity: 'warning', facts: vm({ panicOnOom: 2 }), found: /is 2$/ },
  { name: '0', id: 'oom-kill-allocating-task', severity: 'ok', found: /is 0$/ },
  {
    name: '1',
    id: 'oom-kill-allocating-task',
    severity: 'note',
    facts: vm({ oomKillAllocatingTask: 1 }),
    found: /is 1$/,
  },
];

describe.each(Object.keys(FINDINGS))('%s', (id) => {
  it.each(ROWS.filter((row) => row.id === id))('$name: $severity', (row) => {
    const findings = findingsOf(row).filter((each) => each.id === id);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ severity: row.severity, found: expect.stringMatching(row.found) });
    expect(findings[0]?.why).not.toBe('');
  });
});

it('the rows show each finding with each severity that the table has for it', () => {
  const shown = Object.fromEntries(
    Object.entries(FINDINGS).map(([id, severities]) => [
      id,
      severities.filter((severity) => ROWS.some((row) => row.id === id && row.severity === severity)),
    ]),
  );
  expect(shown).toEqual(FINDINGS);
});

it('findings come in the order of the table, whatever is found', () => {
  const ids = Object.keys(FINDINGS);
  for (const row of ROWS) {
    const places = findingsOf(row).map((each) => ids.indexOf(each.id));
    expect(places).toEqual([...places].sort((a, b) => a - b));
  }
});

it('whoever warns says what to do', () => {
  for (const row of ROWS) {
    for (const { id, severity, advice } of findingsOf(row)) {
      if (severity === 'warning' || severity === 'error') expect(advice, id).not.toBeNull();
    }
  }
});

it('all mistakes and all warnings of the parser are told, each in a finding of its own', () => {
  const messages = { mistakes: ['a', 'b'], warnings: ['c'] };
  const told = findingsOf({ messages }).filter((each) => each.id === 'options');
  expect(told.map(({ severity, found }) => [severity, found])).toEqual([
    ['error', 'a'],
    ['error', 'b'],
    ['warning', 'c'],
  ]);
});

it('the advice for small victims names the ranking by memory', () => {
  const [small] = findingsOf({ facts: ranking(TAB, LEAK) }).filter((each) => each.id === 'small-victims');
  expect(small?.advice).toContain('--rank-by memory');
});

it('the advice for the way in is an --ignore that names what was found, once each', () => {
  const twice = ranking(SSHD, { ...SSHD, pid: 23 }, ranked(5, { name: 'dbus-daemon' }));
  const [wayIn] = findingsOf({ facts: twice }).filter((each) => each.id === 'way-in');
  expect(wayIn?.advice).toContain("--ignore '^(sshd|dbus-daemon)$'");
});

describe('the verdict', () => {
  it.each([
    ['nothing found', GOOD, [], 'ok'],
    ['notes alone', { ...GOOD, cgroup: null }, [], 'ok'],
    ['a warning', privileges({ kill: false }), [], 'warning'],
    ['an error beside warnings', { ...privileges({ kill: false }), live: false }, [], 'error'],
  ] as const)('%s', (_, facts, args, verdict) => {
    expect(verdictOf(findingsOf({ facts, args }))).toBe(verdict);
  });
});
