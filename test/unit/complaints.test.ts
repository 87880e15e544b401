/*
 * What users of earlyoom (EL), systemd-oomd (SD), nohang (NH) and oomd (OD) complained about, one test each: the machine that
 * they describe, and whom this guard chooses or what it does. test/COMPLAINTS.md has the threads, with links, and those
 * that are shown elsewhere or not solved.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ENOENT, ENOSYS } from '../../native-shims/errno.js';
import { PosixRegex } from '../../native-shims/regex.js';
import { parseGuardOptions } from '../../src/cli/guard-options.js';
import { type LadderFacts, nextStep, type Phase } from '../../src/decide/ladder.js';
import { levelOf } from '../../src/decide/limits.js';
import { ProcessList } from '../../src/guard/process-list.js';
import { emptyMeminfo, MEMINFO_OK, type Meminfo, parseMeminfo } from '../../src/kernel/meminfo.js';
import { PressureTrigger } from '../../src/sample/pressure-trigger.js';
import { LEVEL_KILL, LEVEL_NONE, LEVEL_TERM, type Limits } from '../../src/shared/limits.js';
import type { Persona } from '../../src/shared/options.js';
import { WAY_IN_REGEX } from '../../src/shared/way-in.js';
import type { FakeProcess } from '../support/proc-tree.js';
import { type Setup, victimOf } from './guard/selecting.js';
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
  const memory = (percent: number, swap: { total: number; free: number }, totalMib = MACHINE_MIB): Meminfo => ({
    ...emptyMeminfo(),
    memTotalKib: totalMib * KIB_PER_MIB,
    memAvailableKib: (totalMib * KIB_PER_MIB * percent) / 100,
    anonPagesKib: (totalMib * KIB_PER_MIB * (100 - percent)) / 100,
    swapTotalKib: swap.total,
    swapFreeKib: swap.free,
  });
  function limits(persona: Persona, args: string[] = [], now = memory(50, { total: 0, free: 0 })): Limits {
    const request = parseGuardOptions(args, persona, recordingLog().log, () => now);
    if (request.kind !== 'run') throw new Error('not to run');
    return request.options.limits;
  }

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

  it('NH 74: a pressure file that is there and can not be used is said, and no more', () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-psi-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    writeFileSync(path.join(directory, 'memory'), '');
    expect(PressureTrigger.open(path.join(directory, 'memory'))).toBe(-ENOSYS);
    expect(PressureTrigger.open(path.join(directory, 'nothing'))).toBe(-ENOENT);
  });
});
