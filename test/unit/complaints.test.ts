/*
 * What users of earlyoom (EL), systemd-oomd (SD), nohang (NH) and oomd (OD) complained about, one test each: the machine that
 * they describe, and whom this guard chooses or what it does. test/COMPLAINTS.md has the threads, with links, and those
 * that are shown elsewhere or not solved.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Moment } from '../../native-shims/clock.js';
import { EINVAL, ENOENT, ENOSYS } from '../../native-shims/errno.js';
import { PollSet } from '../../native-shims/poll.js';
import { PosixRegex } from '../../native-shims/regex.js';
import { examine } from '../../src/check/findings.js';
import { parseGuardOptions } from '../../src/cli/guard-options.js';
import { loadConfig } from '../../src/config/load.js';
import { arcCountsKib, countedSwapKib, zramCostKib } from '../../src/decide/headroom.js';
import { type LadderFacts, nextStep, type Phase } from '../../src/decide/ladder.js';
import { levelOf } from '../../src/decide/limits.js';
import { emptyReading, RuleWatch } from '../../src/decide/pressure-rule.js';
import { Recovery } from '../../src/decide/recovery.js';
import { killsAreFutile, neededKib } from '../../src/decide/shared-memory.js';
import { explain } from '../../src/explain/words.js';
import { openPressureRules, type PressureRules, RULE_POLL_SLOTS } from '../../src/guard/pressure-rules.js';
import { ProcessList } from '../../src/guard/process-list.js';
import { PidList } from '../../src/kernel/cgroup-files.js';
import { emptyMeminfo, MEMINFO_OK, type Meminfo, parseMeminfo } from '../../src/kernel/meminfo.js';
import { parseReclaim } from '../../src/kernel/vmstat.js';
import { sayEscalatingWhy, sayStuck } from '../../src/report/aftermath-messages.js';
import { sayRule } from '../../src/report/rule-messages.js';
import { PressureTrigger } from '../../src/sample/pressure-trigger.js';
import type { IncidentRecord } from '../../src/shared/incident.js';
import { LEVEL_KILL, LEVEL_NONE, LEVEL_TERM, type Limits } from '../../src/shared/limits.js';
import type { Persona } from '../../src/shared/options.js';
import { DEFAULT_RULE, type PressureRule } from '../../src/shared/rules.js';
import { WAY_IN_REGEX } from '../../src/shared/way-in.js';
import { cgroupTree, type FakeCgroup, writeCgroup } from '../support/cgroup-tree.js';
import { configFile } from '../support/config-files.js';
import { tablesOf } from '../support/matching.js';
import { type FakeProcess, procTree } from '../support/proc-tree.js';
import { GOOD, optionsOf } from './check/facts.js';
import { anIncident } from './explain/incident.js';
import { type Setup, selectorOf, victimOf } from './guard/selecting.js';
import { recordingLog } from './recording-log.js';

const KIB_PER_MIB = 1024;
const MACHINE_MIB = 32 * 1024;
const ADJ_MIN = -1000;

/** A process of so many MiB, with the oom_score that Linux 6 gives it on a machine of 32 GiB. */
function process(
  pid: number,
  comm: string,
  mib: number,
  oomScoreAdj = 0,
  more: Partial<FakeProcess> = {},
): FakeProcess {
  const points = (mib * 1000) / MACHINE_MIB + oomScoreAdj;
  const oomScore = oomScoreAdj === ADJ_MIN ? 0 : Math.max(0, Math.trunc(((1000 + points) * 2) / 3));
  return { pid, comm, oomScore, oomScoreAdj, rssPages: (mib * KIB_PER_MIB) / 4, ...more };
}

const BY_MEMORY: Setup = { rankBy: 'memory', floorKib: 4096, machineKib: MACHINE_MIB * KIB_PER_MIB };
const OWN: Setup = { floorKib: 4096, wayIn: PosixRegex.compile(WAY_IN_REGEX) };

/** Memory with so many percent of it available, all else in use by processes. */
function memory(percent: number, swap = { total: 0, free: 0 }, totalMib = MACHINE_MIB): Meminfo {
  return {
    ...emptyMeminfo(),
    memTotalKib: totalMib * KIB_PER_MIB,
    memAvailableKib: (totalMib * KIB_PER_MIB * percent) / 100,
    anonPagesKib: (totalMib * KIB_PER_MIB * (100 - percent)) / 100,
    swapTotalKib: swap.total,
    swapFreeKib: swap.free,
  };
}

function limits(persona: Persona, args: string[] = [], now = memory(50)): Limits {
  const request = parseGuardOptions(args, persona, recordingLog().log, () => now);
  if (request.kind !== 'run') throw new Error('not to run');
  return request.options.limits;
}

/** The name of the victim, or null. */
function victim(processes: readonly FakeProcess[], setup: Setup = {}): string | null {
  const pid = victimOf(processes, setup);
  return (processes.find((each) => each.pid === pid)?.comm as string | undefined) ?? null;
}

describe('the wrong victim: --rank-by memory takes', () => {
  it.each<[string, FakeProcess[], Setup, string]>([
    [
      'EL 344: the leak of 3 GB, not a tab of 79 MB or the sound server',
      [process(20, 'tab', 79, 167), process(21, 'pipewire-pulse', 30, 200), process(22, 'leak', 3000)],
      {},
      'leak',
    ],
    [
      'EL 261: python3 with 5,380 MB, not one of ten helpers of 5 MB',
      [...Array.from({ length: 10 }, (_, i) => process(20 + i, 'helper', 5, 300)), process(40, 'python3', 5380)],
      {},
      'python3',
    ],
    [
      'SD 38492: the culprit at 0, not services at 200 and tabs at 167',
      [
        process(20, 'pipewire', 12, 200),
        process(21, 'wireplumber', 20, 200),
        process(22, 'tab', 300, 167),
        process(23, 'culprit', 2000),
      ],
      {},
      'culprit',
    ],
    [
      'EL 230: the script that grows, not a pod of 31 MB at 1000',
      [process(20, 'metrics-server', 31, 1000), process(21, 'script', 4000)],
      {},
      'script',
    ],
    [
      'EL 103: a browser of 2.1 GB, not a messenger of 212 MB at 300',
      [process(20, 'skype', 212, 300), process(21, 'firefox', 2150)],
      {},
      'firefox',
    ],
    [
      'EL 300: java with 2,359 MB, not gunicorn with 129',
      [process(20, 'gunicorn', 129, 400), process(21, 'java', 2359)],
      {},
      'java',
    ],
    [
      'SD 32687: the daemon with 43 GB (here 20), not the resolver',
      [process(20, 'nix-daemon', 20_000), process(21, 'systemd-resolve', 20, 900)],
      {},
      'nix-daemon',
    ],
    [
      'EL 18: the browser that is preferred, although the game is bigger',
      [process(20, 'game', 6000), process(21, 'browser', 3100)],
      { prefer: PosixRegex.compile('^browser$') },
      'browser',
    ],
    [
      'EL 309: who holds the memory, although its main thread is a zombie',
      [
        process(20, 'electron', 17),
        process(21, 'vm', 0, 0, { state: 'Z', numThreads: 9, threads: [{ tid: 30, rssPages: 6_000_000 }] }),
      ],
      {},
      'vm',
    ],
    [
      'EL 300, comment: who has it to itself, not who shares it with others',
      [process(20, 'postgres', 8100, 0, { sharedPages: (8000 * KIB_PER_MIB) / 4 }), process(21, 'leak', 500)],
      {},
      'leak',
    ],
    [
      'EL 140: who can be killed, where the biggest can not',
      [process(20, 'Xorg', 12_000, ADJ_MIN), process(21, 'notifier', 25)],
      {},
      'notifier',
    ],
  ])('%s', (_case, processes, setup, name) => {
    expect(victim(processes, { ...BY_MEMORY, ...setup })).toBe(name);
  });
});

describe('the wrong victim: in any ranking', () => {
  const rankings: Setup[] = [{}, { rankBy: 'memory' }, { rankBy: 'rss' }];

  it('EL 210: nobody at oom_score_adj -1000, though all scores are 0', () => {
    for (const setup of rankings) {
      expect(
        victim([{ ...process(20, 'sshd', 500, ADJ_MIN) }, process(21, 'idle', 1, 0, { oomScore: 0 })], setup),
      ).toBe('idle');
      expect(victim([process(20, 'sshd', 500, ADJ_MIN)], setup)).toBeNull();
    }
  });

  it('EL 159: nor if its name is preferred', () => {
    const prefer = PosixRegex.compile('udevd');
    for (const setup of rankings)
      expect(victim([process(20, 'udevd', 500, ADJ_MIN), process(21, 'hog', 10)], { ...setup, prefer })).toBe('hog');
  });

  it('EL 49: no kernel thread, and a number that does not parse costs one process', () => {
    const broken = process(21, 'broken', 900, 0, { oomScore: 'x' });
    for (const setup of rankings) {
      expect(
        victim([process(20, 'kworker/0:1', 0, 0, { ppid: 2, oomScore: 2000 }), broken, process(22, 'hog', 10)], setup),
      ).toBe('hog');
    }
  });

  it('EL 184, EL 205: not itself, also if nobody else is left', () => {
    for (const setup of rankings)
      expect(victim([process(20, 'oom-backstop', 16)], { ...setup, selfPid: 20 })).toBeNull();
  });

  it('SD 35270: the browser, and not the desktop that it runs in', () => {
    const desktop = [
      process(20, 'gnome-shell', 900, 200),
      process(21, 'Xwayland', 300, 200),
      process(22, 'chrome', 800),
    ];
    expect(victim(desktop, OWN)).toBe('chrome');
    expect(victim(desktop, { ...OWN, ...BY_MEMORY })).toBe('chrome');
  });

  it('SD 25853, OD 125, regolith 637: not the session: neither its leader nor the multiplexer', () => {
    const session = [process(20, 'sshd', 9, 1000), process(21, 'tmux: server', 50, 900), process(22, 'stress', 400)];
    expect(victim(session, OWN)).toBe('stress');
  });

  it('Start9 3885: of 52 small services there is always one', () => {
    const services = Array.from({ length: 52 }, (_, i) => process(20 + i, 'service', 60 + i));
    for (const setup of [OWN, BY_MEMORY]) expect(victim(services, setup)).not.toBeNull();
  });

  it('EL 7: a tab, and not the browser that it belongs to, where the arguments tell them apart', () => {
    const browser = [
      process(20, 'firefox', 900, 0, { cmdline: '/usr/lib/firefox/firefox\0' }),
      process(21, 'firefox', 700, 0, { cmdline: '/usr/lib/firefox/firefox\0-contentproc\0-childID\x001\0' }),
      process(22, 'firefox', 300, 0, { cmdline: '/usr/lib/firefox/firefox\0-contentproc\0-childID\x002\0' }),
    ];
    const matching = tablesOf(['prefer', { cmdline: '* -contentproc *' }]);
    expect([victimOf(browser, OWN), victimOf(browser, { ...OWN, matching })]).toEqual([20, 21]);
    expect(victimOf(browser, { ...OWN, ...BY_MEMORY, matching })).toBe(21);
  });

  it('EL 132: the batch job, and not the server, where both are called java', () => {
    const both = [
      process(20, 'java', 8000, 0, {
        cmdline: 'java\0-Xmx8g\0-jar\0server.jar\0',
        cgroup: '/system.slice/app.service',
      }),
      process(21, 'java', 2000, 0, { cmdline: 'java\0-jar\0batch.jar\0', cgroup: '/system.slice/batch.service' }),
    ];
    expect(victimOf(both, OWN)).toBe(20);
    for (const conditions of [{ cmdline: '/ -jar server\\.jar$/' }, { unit: 'app.service' }]) {
      expect(victimOf(both, { ...OWN, matching: tablesOf(['protect', conditions]) })).toBe(21);
    }
  });

  it('EL 336, EL 230: who is not ours to kill is excluded, or put aside after one EPERM', () => {
    const others = [process(20, 'theirs', 4000, 0, { uid: 0 }), process(21, 'ours', 100, 0, { uid: 1000 })];
    expect(victim(others, { onlyUid: 1000 })).toBe('ours');
    const setAside = new ProcessList();
    setAside.add(20, 1020);
    expect(victim(others, { setAside })).toBe('ours');
  });
});

describe('one kill at a time, and an end to it', () => {
  const facts = (more: Partial<LadderFacts> = {}): LadderFacts => ({
    level: LEVEL_TERM,
    victimGone: false,
    preHookDone: true,
    elapsedMs: 0,
    paused: false,
    killAfterMs: 10_000,
    stuckMs: 0,
    ...more,
  });
  const steps = (phase: Phase, ...more: Partial<LadderFacts>[]): string[] =>
    more.map((each) => nextStep(phase, facts(each)));

  it('EL 121, SD 32304: nobody else is asked while one is on its way', () => {
    for (const phase of ['pre-hook', 'terminating', 'killing'] as const) {
      for (let elapsedMs = 0; elapsedMs < 60_000; elapsedMs += 100) {
        for (const level of [LEVEL_NONE, LEVEL_TERM, LEVEL_KILL] as const) {
          expect(nextStep(phase, facts({ level, elapsedMs }))).not.toBe('select');
        }
      }
    }
  });

  it('EL 88, EL 128, NH 38: one SIGTERM, then waiting', () => {
    expect(steps('terminating', { elapsedMs: 1 }, { elapsedMs: 100 }, { elapsedMs: 9_999 })).toEqual([
      'wait',
      'wait',
      'wait',
    ]);
  });

  it('EL 354, EL 373: who ignores it gets SIGKILL, by the lower limit or by time, and not SIGTERM for ever', () => {
    expect(steps('terminating', { level: LEVEL_KILL }, { elapsedMs: 10_000 })).toEqual([
      'escalate-by-limit',
      'escalate-by-time',
    ]);
  });

  it('NH 85: who does not even die of SIGKILL (state D) is given up, and another one is chosen', () => {
    expect(steps('killing', { elapsedMs: 9_999 }, { elapsedMs: 10_000 })).toEqual(['wait', 'give-up']);
    const setAside = new ProcessList();
    setAside.add(20, 1020);
    expect(victim([process(20, 'stuck', 4000, 0, { state: 'D' }), process(21, 'next', 100)], { setAside })).toBe(
      'next',
    );
  });

  it('NH 85, EL 262: whoever is stuck in the kernel is put aside after 1 s, while memory is low, and it is said so', () => {
    const stuck = { stuckMs: 1000, elapsedMs: 1000 };
    expect(steps('killing', { ...stuck, stuckMs: 999 }, stuck, { ...stuck, level: LEVEL_NONE })).toEqual([
      'wait',
      'give-up',
      'wait',
    ]);
    const { log, lines } = recordingLog();
    sayStuck(log, 906_175);
    expect(lines).toEqual([
      'warn: process 906175 is stuck in the kernel (state D): it is put aside, and others are chosen',
    ]);
  });

  it('EL 131: the line of an escalation says why', () => {
    const { log, lines } = recordingLog();
    sayEscalatingWhy(log, 640, true, 10_000);
    sayEscalatingWhy(log, 10_004, false, 10_000);
    expect(lines).toEqual([
      'warn: escalating to SIGKILL after 0.640 seconds: memory is at or below the SIGKILL limits',
      'warn: escalating to SIGKILL after 10.004 seconds: SIGTERM was ignored for 10.000 seconds (kill_after)',
    ]);
  });

  it('EL 121, EL 309: nobody else dies for memory of the victim that is still on its way, or that the CPUs’ lists hide', () => {
    const recovery = new Recovery();
    const now = { ms: 1000 };
    const own = limits('oom-backstop');
    const held = (percent: number, hiddenMib: number, laterMs: number): boolean => {
      now.ms += laterMs;
      return recovery.holdsBack(memory(percent), own, hiddenMib * KIB_PER_MIB, now);
    };
    recovery.signalled(memory(4), 20 * 1024 * KIB_PER_MIB);
    recovery.exited(memory(4), now);
    // It comes, 1 % of the machine after the other; then it has stood still; then the lists hold the rest.
    expect([held(4, 0, 10), held(4.2, 0, 50), held(4.4, 0, 50), held(4.4, 0, 99)]).toEqual([true, true, true, true]);
    expect([held(4.4, 0, 5), held(4.4, 1024, 5), held(3, 0, 5)]).toEqual([false, true, false]);
  });

  it('EL 68: no fixed sleep after it: the next hog is chosen at the next look', () => {
    expect(steps('terminating', { victimGone: true })).toEqual(['exited']);
    expect(steps('watching', {})).toEqual(['select']);
  });

  it('EL 309: the victim is gone when all of it is', () => {
    expect(steps('killing', { level: LEVEL_NONE, elapsedMs: 100 }, { level: LEVEL_NONE, victimGone: true })).toEqual([
      'wait',
      'exited',
    ]);
  });
});

describe('when', () => {
  it('EL 269: at 0.35 % available with 62 % of swap free (earlyoom waits for both, by contract)', () => {
    const now = memory(0.35, { total: 1000, free: 620 });
    expect([levelOf(now, limits('oom-backstop')), levelOf(now, limits('earlyoom'))]).toEqual([LEVEL_KILL, LEVEL_NONE]);
  });

  it('OD 80, systemd-oomd without swap: at 0 available and no swap at all', () => {
    for (const persona of ['oom-backstop', 'earlyoom'] as const) {
      expect(levelOf(memory(0, { total: 0, free: 0 }), limits(persona))).toBe(LEVEL_KILL);
    }
  });

  it('SD 36704, SD 23095, EL 62: by the swap that is there now, not at start', () => {
    const startedWithout = limits('earlyoom');
    expect(levelOf(memory(4, { total: 1000, free: 900 }), startedWithout)).toBe(LEVEL_NONE);
    expect(levelOf(memory(4, { total: 0, free: 0 }), startedWithout)).toBe(LEVEL_KILL);
  });

  it('SD 22965, EL 20: not because of the page cache', () => {
    const cache = 'MemTotal: 32000000 kB\nMemFree: 160000 kB\nMemAvailable: 19000000 kB\nCached: 19500000 kB\n';
    const bytes = Buffer.from(`${cache}AnonPages: 12000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n`);
    const now = emptyMeminfo();
    expect(parseMeminfo(bytes, bytes.length, now)).toBe(MEMINFO_OK);
    expect(levelOf(now, limits('oom-backstop'))).toBe(LEVEL_NONE);
  });

  it('EL 111: a size is no whole percent: with -M 1 not at 132 MiB', () => {
    const now = memory((132 * 100) / MACHINE_MIB, { total: 0, free: 0 });
    expect(levelOf(now, limits('oom-backstop', ['-M', '1,1'], now))).toBe(LEVEL_NONE);
  });

  it('EL 307: by swap alone, where the limits on memory are as good as none', () => {
    const bySwap = limits('oom-backstop', ['-m', '99,99', '-s', '10,5']);
    const at = (free: number): number => levelOf(memory(80, { total: 1000, free }), bySwap);
    expect([at(500), at(101), at(100), at(50)]).toEqual([LEVEL_NONE, LEVEL_NONE, LEVEL_TERM, LEVEL_KILL]);
  });

  it('EL 339, EL 191, zfs 10255: not because of the cache of ZFS, and none of it counts that ZFS keeps', () => {
    const used = memory(4);
    const own = limits('oom-backstop');
    const withArc = (sizeMib: number, minMib: number): number =>
      levelOf(
        { ...used, memAvailableKib: used.memAvailableKib + arcCountsKib(sizeMib * KIB_PER_MIB, minMib * KIB_PER_MIB) },
        own,
      );
    expect([withArc(16_000, 1000), withArc(1000, 1000), withArc(500, 1000)]).toEqual([
      LEVEL_NONE,
      LEVEL_TERM,
      LEVEL_TERM,
    ]);
  });

  it('NH 138: not while more than 2 GB of zram are free, by what they win', () => {
    const total = 4000 * KIB_PER_MIB;
    const free = 2100 * KIB_PER_MIB;
    const stored = { origDataKib: total - free, memLimitKib: 0 };
    const level = (memUsedTotalKib: number): number => {
      const counted = countedSwapKib(free, zramCostKib(free, { ...stored, memUsedTotalKib }));
      return levelOf(memory(4, { total, free: counted }), limits('oom-backstop', ['-s', '10,5']));
    };
    // Compressed to a third; not at all.
    expect([level(stored.origDataKib / 3), level(stored.origDataKib)]).toEqual([LEVEL_NONE, LEVEL_TERM]);
  });

  it('NH 95: nobody dies for a file that fills /tmp, where no process would help; beside a hog that would, it does', () => {
    const full = memory(4);
    const needed = neededKib(full, limits('oom-backstop'));
    const shmemKib = 12_000 * KIB_PER_MIB;
    const futile = (largestMib: number): boolean =>
      killsAreFutile(needed, shmemKib, { sumKib: 3000 * KIB_PER_MIB, largestKib: largestMib * KIB_PER_MIB });
    expect([futile(300), futile(2500)]).toEqual([true, false]);
  });

  it('NH 74: a pressure file that is there and can not be used is said, and no more', () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-psi-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    writeFileSync(path.join(directory, 'memory'), '');
    expect(PressureTrigger.open(path.join(directory, 'memory'))).toBe(-ENOSYS);
    expect(PressureTrigger.open(path.join(directory, 'nothing'))).toBe(-ENOENT);
  });
});

/** What a rule sees for a while, looking each 50 ms. */
interface Stretch {
  ms: number;
  /** Of that time. */
  stallPercent: number;
  memory: Meminfo;
  refaultsPerS?: number;
}

/** How many ms after the beginning the rule fires, each time; as in the guard it begins anew then. */
function firesAt(rule: PressureRule, ...stretches: Stretch[]): number[] {
  const watch = new RuleWatch(rule);
  const reading = emptyReading();
  const now = { ms: 1000 };
  const fired: number[] = [];
  for (const { ms, stallPercent, memory: seen, refaultsPerS = 5000 } of stretches) {
    for (let look = 0; look < ms / 50; look++) {
      now.ms += 50;
      reading.someTotalUs += 500 * stallPercent;
      reading.fullTotalUs = reading.someTotalUs;
      reading.refaultPages += refaultsPerS / 20;
      if (!watch.look(reading, seen, now)) continue;
      fired.push(now.ms - 1000);
      watch.restart(now);
    }
  }
  return fired;
}

/** The rule that a [[rule]] of these lines is. */
function configured(lines: string): PressureRule {
  const loaded = loadConfig([configFile(`[[rule]]\nname = "own"\n${lines}\n`)], {
    memTotalKib: 1e6,
    swapTotalKib: 1e6,
  });
  if ('errors' in loaded) throw new Error(loaded.errors.join('\n'));
  return loaded.settings.rules[0] as PressureRule;
}

describe('by pressure, above the limits', () => {
  const SWAP = { total: 8_000_000, free: 7_000_000 };
  const MINUTE = 60_000;
  const calm = (seen: Meminfo): Stretch => ({ ms: 2000, stallPercent: 0, memory: seen, refaultsPerS: 0 });

  it('EL 320, thrash-protect 2: at 14.8 % available without swap, while files are read again and again', () => {
    const seen = memory(14.8);
    expect(levelOf(seen, limits('oom-backstop'))).toBe(LEVEL_NONE);
    expect(firesAt(DEFAULT_RULE, calm(seen), { ms: 1500, stallPercent: 80, memory: seen })).toEqual([3250]);
  });

  it('EL 100: while a large swap is far from full, and what was swapped out is read back in without end', () => {
    const seen = memory(8, SWAP);
    const reclaim = { refaultPages: 0 };
    const vmstat = Buffer.from('workingset_refault_anon 4000\nworkingset_refault_file 0\npgscan_direct 0\n');
    expect(parseReclaim(vmstat, vmstat.length, reclaim)).toBe(true);
    const swapping = { ms: 2000, stallPercent: 90, memory: seen, refaultsPerS: reclaim.refaultPages };
    expect(['oom-backstop', 'earlyoom'].map((persona) => levelOf(seen, limits(persona as Persona)))).toEqual([
      LEVEL_NONE,
      LEVEL_NONE,
    ]);
    expect(firesAt(DEFAULT_RULE, calm(seen), swapping)).toHaveLength(1);
  });

  it('EL 361: at 30 % available and no free swap, by a rule that says so, beside the limits', () => {
    const rule = configured('available_below = "40%"\nswap_free_below = "1%"\nrefaults = false');
    const thrashing = (seen: Meminfo): number[] => firesAt(rule, { ms: 2000, stallPercent: 100, memory: seen });
    const full = memory(30, { ...SWAP, free: 0 });
    expect(thrashing(full)).toHaveLength(1);
    expect([thrashing(memory(30, SWAP)), thrashing(memory(41, { ...SWAP, free: 0 }))]).toEqual([[], []]);
    expect(firesAt(DEFAULT_RULE, { ms: MINUTE, stallPercent: 100, memory: full })).toEqual([]);
  });

  it('EL 122: with -m 3, at 4 % available and swap free, nobody as long as nothing stalls', () => {
    const seen = memory(4, SWAP);
    expect(levelOf(seen, limits('oom-backstop', ['-m', '3']))).toBe(LEVEL_NONE);
    expect(firesAt(DEFAULT_RULE, { ms: 10 * MINUTE, stallPercent: 0, memory: seen })).toEqual([]);
    expect(firesAt(DEFAULT_RULE, calm(seen), { ms: 2000, stallPercent: 100, memory: seen })).toHaveLength(1);
  });

  it.each<[string, Stretch]>([
    [
      'NH 25: pressure of 90 % while memory and swap are mostly free',
      { ms: 0, stallPercent: 90, memory: memory(90, SWAP) },
    ],
    ['SD 23606: a build at 51 %, with 26 of 32 GB available', { ms: 0, stallPercent: 51, memory: memory(81) }],
    [
      'OD 119: pressure of 99 % that nothing else confirms',
      { ms: 0, stallPercent: 99, memory: memory(12), refaultsPerS: 0 },
    ],
    ['SD 24185: a server that uses 93 % and does not stall', { ms: 0, stallPercent: 0, memory: memory(7) }],
    ['SD 24185: nor if it stalls a little, as it reclaims', { ms: 0, stallPercent: 15, memory: memory(7) }],
  ])('%s: nobody, for ten minutes', (_case, stretch) => {
    expect(levelOf(stretch.memory, limits('oom-backstop'))).toBe(LEVEL_NONE);
    expect(firesAt(DEFAULT_RULE, { ...stretch, ms: 10 * MINUTE })).toEqual([]);
  });

  it('NH 31, NH 33: one kill, and none for what the averages still show when the stall is over', () => {
    const seen = memory(10);
    const stall = { ms: 1200, stallPercent: 100, memory: seen };
    expect(firesAt(DEFAULT_RULE, calm(seen), stall, { ...stall, ms: 250 }, { ...calm(seen), ms: MINUTE })).toEqual([
      3200,
    ]);
  });

  it('SD 33486: no number without a unit: what a rule does is said in one line, and a bare number is refused', () => {
    const { log, lines } = recordingLog();
    sayRule(log, DEFAULT_RULE);
    expect(lines).toEqual([
      'start: PSI rule "thrashing": SIGTERM to the largest process when some >= 40 % of 500 ms for 1000 ms and available <= 15 %, with refaults',
    ]);
    expect(() => configured('stall = "5"')).toThrow(/stall = '5': no unit/);
  });
});

describe('by pressure, in a cgroup', () => {
  const MIB = 1048576;
  const inSlices = (more: Partial<PressureRule> = {}): PressureRule => ({
    ...configured('cgroup = "work.slice/*"'),
    ...more,
  });
  /** A cgroup that has so much of its 512 MiB in use. */
  const using = (mib: number, limit: 'memory.max' | 'memory.high' = 'memory.max'): FakeCgroup => ({
    pids: [20, 21],
    files: {
      'memory.current': `${mib * MIB}\n`,
      'memory.max': 'max\n',
      'memory.high': 'max\n',
      [limit]: `${512 * MIB}\n`,
    },
  });

  /** A machine with 90 % available, without refaults, and these cgroups; 50 ms pass at each look. */
  class Machine {
    readonly root: string;
    readonly rules: PressureRules;
    readonly lines: string[];
    private readonly now = new Moment();

    constructor(
      rules: readonly PressureRule[],
      private readonly cgroups: Record<string, FakeCgroup>,
      cgroup2 = true,
    ) {
      const procfs = procTree([]);
      this.root = cgroupTree(cgroups);
      mkdirSync(path.join(procfs, 'self'));
      mkdirSync(path.join(procfs, 'pressure'));
      const mounts = cgroup2 ? `1 2 0:3 / ${this.root} rw - cgroup2 cgroup2 rw\n` : '';
      writeFileSync(path.join(procfs, 'self/mountinfo'), mounts);
      const idle = 'avg10=0.00 avg60=0.00 avg300=0.00 total=0\n';
      writeFileSync(path.join(procfs, 'pressure/memory'), `some ${idle}full ${idle}`);
      writeFileSync(path.join(procfs, 'vmstat'), 'workingset_refault_file 0\n');
      const { log, lines } = recordingLog();
      const opened = openPressureRules(rules, procfs, new PollSet(RULE_POLL_SLOTS), 0, log);
      if (opened === null) throw new Error(lines.join('\n'));
      onTestFinished(() => opened.close());
      this.rules = opened;
      this.lines = lines;
      this.now.ms = 1000;
    }

    /** The cgroup whose rule fires while these stall all of the time, three seconds of it; or null. */
    firing(...stalling: string[]): string | null {
      for (let look = 0; look < 60; look++) {
        this.now.ms += 50;
        for (const name of stalling) {
          writeCgroup(this.root, name, { ...this.cgroups[name], someTotalUs: (this.now.ms - 1000) * 1000 });
        }
        if (this.rules.look(memory(90), this.now) !== LEVEL_NONE) return `${this.rules.cgroup}`;
      }
      return null;
    }
  }

  it('NH 99, mieweb 433: a container that stalls at its own limit, and not one that is far from it', () => {
    const machine = new Machine([inSlices()], { 'work.slice/full': using(510), 'work.slice/half': using(256) });
    expect(machine.firing('work.slice/half')).toBe(null);
    expect(machine.firing('work.slice/half', 'work.slice/full')).toBe('work.slice/full');
  });

  it('lyfuci 35: the log names the slice that its own memory.high throttles', () => {
    const machine = new Machine([inSlices()], { 'work.slice/session-4': using(600, 'memory.high') });
    machine.firing('work.slice/session-4');
    machine.rules.sayFired();
    expect(machine.lines.at(-1)).toMatch(
      /^warn: PSI rule "own", cgroup work\.slice\/session-4: some [0-9.]+ % of 500 ms, available 90\.0 %, at its own limit$/,
    );
  });

  it('SD 40704: each cgroup is judged by itself, wherever it stands', () => {
    const names = Array.from({ length: 7 }, (_, index) => `work.slice/${index}`);
    for (const culprit of names) {
      const machine = new Machine([inSlices()], Object.fromEntries(names.map((name) => [name, using(511)])));
      expect(machine.firing(culprit)).toBe(culprit);
    }
  });

  it('SD 21684: who dies is in it, whoever is larger outside', () => {
    const pids = new PidList(8);
    pids.take(Buffer.from('20\n21\n'), 6);
    const processes = [process(20, 'throttled', 30), process(21, 'helper', 8), process(22, 'neighbour', 900)];
    for (const setup of [OWN, { ...OWN, ...BY_MEMORY }]) {
      const selector = selectorOf(processes, setup);
      expect(selector.table.pid[selector.selectAmong(pids)]).toBe(20);
      expect(victim(processes, setup)).toBe('neighbour');
    }
  });

  it('NH 66: all of it, by cgroup.kill, where the rule says so and nobody is in it who must not be killed', () => {
    const machine = new Machine([inSlices({ scope: 'cgroup', action: 'kill' })], { 'work.slice/pod': using(511) });
    machine.firing('work.slice/pod');
    writeCgroup(machine.root, 'work.slice/pod', { files: { 'cgroup.kill': '' } });
    expect([machine.rules.wantsWhole, machine.rules.killCgroup()]).toEqual([true, 0]);
    expect(readFileSync(path.join(machine.root, 'work.slice/pod/cgroup.kill'), 'utf8')).toBe('1');
    const pids = new PidList(8);
    pids.take(Buffer.from('20\n21\n'), 6);
    const protectedRow = (comm: string): number => {
      const selector = selectorOf([process(20, 'worker', 300), process(21, comm, 30)], OWN);
      selector.selectAmong(pids);
      return selector.firstProtected();
    };
    expect([protectedRow('worker'), protectedRow('tmux: server')]).toEqual([-1, 1]);
  });

  it('OD 61: what does not work without cgroup v2 is said, and the rest works', () => {
    const machine = new Machine([DEFAULT_RULE, inSlices()], {}, false);
    expect(machine.lines.filter((line) => line.startsWith('warn:'))).toEqual([
      'warn: PSI rules: can not read cgroup v2, so rules for cgroups do not work: it is not mounted',
    ]);
    expect(machine.lines.filter((line) => line.startsWith('start: PSI rule "thrashing"'))).toHaveLength(1);
  });
});

describe('being told', () => {
  /** A section of what `oom-backstop explain` says. */
  const section = (record: IncidentRecord, title: string): string =>
    (explain(record).find((each) => each.title === title)?.lines ?? []).join('\n');

  it('SD 20649, SD 19113: who died, why, and what it brought, also later', () => {
    expect(section(anIncident(), 'What happened')).toMatch(
      /^Memory had fallen to SIGTERM's limit, 5\.00 % of memory: 700 MiB of .*\n.*\nSIGTERM went to process 4711 "hog" of uid 1000, arguments "hog --eat all"; it ended\.$/,
    );
    expect(section(anIncident(), 'Why this process')).toContain('its score was the highest: 900');
    expect(section(anIncident(), 'Whether memory came back')).toContain('5119 MiB of 5120 MiB expected came back');
  });

  it('SD 31573: a kill that failed: whose it was, and the error', () => {
    expect(section(anIncident({ outcome: 'failed', errno: EINVAL }), 'What happened')).toContain(
      'Chosen was process 4711 "hog" of uid 1000, arguments "hog --eat all"; the kill failed (error 22).',
    );
  });

  it('EL 351: nothing of 0 % of swap where there is none', () => {
    const said = section(anIncident(), 'What happened');
    expect(said).toContain('there is no swap');
    expect(said).not.toMatch(/of swap/);
  });

  it('EL 103, EL 344: an incident names the larger one that an oom_score_adj spared, and the remedy', () => {
    const { victim: hog, candidates } = anIncident();
    const java = {
      ...candidates[0],
      pid: 99,
      name: 'java',
      anonKib: 9_000_000,
      score: 600,
    } as (typeof candidates)[number];
    const record = anIncident({
      victim: { ...hog, oomScoreAdj: 300, anonKib: 90_000 },
      candidates: [...candidates, java],
    });
    expect(section(record, 'If that was wrong')).toMatch(
      /^- "java" \(process 99\) held 8789 MiB, .* --rank-by memory/m,
    );
  });

  it('EL 285, EL 57: check says which pattern matches nobody, and which one never can', () => {
    const patterns = [
      { option: '--prefer', text: '^chromium-browser$', matches: 0 },
      { option: '--avoid', text: 'WebsContent', matches: 0 },
      { option: '--ignore', text: '^sshd$', matches: 2 },
    ] as const;
    const findings = examine({ ...GOOD, patterns: [...patterns] }, optionsOf([]), { mistakes: [], warnings: [] });
    expect(findings.filter(({ id }) => id === 'pattern').map(({ severity, found }) => [severity, found])).toEqual([
      ['warning', "--prefer '^chromium-browser$': '^chromium-browser$' can't match, it takes 16 bytes"],
      ['note', "--avoid 'WebsContent' matches no process now"],
      ['ok', "--ignore '^sshd$' matches 2 processes now"],
    ]);
  });
});

it('test/COMPLAINTS.md marks those threads that a test here is named after, and no others', () => {
  const here = readFileSync(import.meta.filename, 'utf8');
  const named = new Set(here.match(/\b(?:EL|SD|NH|OD|[a-zA-Z]+[a-z0-9-]+) \d+\b/g));
  const rows = readFileSync(path.join(import.meta.dirname, '../COMPLAINTS.md'), 'utf8').match(/^\| \d+ \| .*$/gm) ?? [];
  expect(rows).toHaveLength(92);
  for (const row of rows) {
    const threads = [...row.matchAll(/\[([\w-]+)(?: PR)? (\d+)\]\(https/g)].map(
      ([, tracker, number]) => `${tracker} ${number}`,
    );
    const isNamed = threads.some((thread) => named.has(thread));
    expect(`${row.slice(0, 40)}: ${row.includes('U (is there)')}`).toBe(`${row.slice(0, 40)}: ${isNamed}`);
  }
});
