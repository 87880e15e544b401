import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Moment } from '../../../native-shims/clock.js';
import { close } from '../../../native-shims/files.js';
import { pageSize } from '../../../native-shims/priority.js';
import { PosixRegex } from '../../../native-shims/regex.js';
import { ProcessList } from '../../../src/guard/process-list.js';
import { Selector } from '../../../src/guard/selector.js';
import { Shortlist, scoreFactorOf } from '../../../src/guard/shortlist.js';
import { AllocationClock } from '../../../src/sample/allocation-clock.js';
import { Matchers } from '../../../src/sample/matchers.js';
import { PidFiles } from '../../../src/sample/pid-files.js';
import { PidWalk } from '../../../src/sample/pid-walk.js';
import { NO_CHILDREN, ProcessScan } from '../../../src/sample/process-scan.js';
import { type Matching, NO_MATCHING } from '../../../src/shared/matching.js';
import { EARLYOOM_SELECTION } from '../../../src/shared/selection.js';
import { tablesOf } from '../../support/matching.js';
import { type FakeProcess, procTree, writeProcess } from '../../support/proc-tree.js';

const MACHINE = { memTotalKib: 16_000_000, swapTotalKib: 0, swapFreeKib: 0 };
const PATTERNS = {
  prefer: PosixRegex.compile('wanted'),
  avoid: PosixRegex.compile('shunned'),
  ignore: PosixRegex.compile('never'),
};
/** By the arguments, which are as the name. */
const MATCHING = tablesOf(
  ['prefer', { cmdline: 'wanted' }],
  ['avoid', { cmdline: 'shunned' }],
  ['protect', { cmdline: 'never' }],
);
const NO_PATTERNS = { prefer: null, avoid: null, ignore: null };

interface Process {
  comm: string;
  kib: number;
  adj: number;
}

/** A machine whose processes get and give back memory, with the kernel's arithmetic for oom_score. */
class FakeMachine {
  readonly root = procTree([]);
  private readonly alive = new Map<number, Process>();
  private lastPid = 99;
  private allocatedKib = 5_000_000;

  constructor(processes: readonly Process[]) {
    for (const process of processes) this.start(process);
    this.writeCounters();
  }

  get pids(): number[] {
    return [...this.alive.keys()];
  }

  start(process: Process): void {
    this.lastPid++;
    this.alive.set(this.lastPid, { ...process });
    this.allocatedKib += process.kib;
    this.write(this.lastPid);
  }

  grow(pid: number, kib: number): void {
    const process = this.alive.get(pid) as Process;
    process.kib = Math.max(0, process.kib + kib);
    this.allocatedKib += Math.max(0, kib);
    this.write(pid);
  }

  end(pid: number): void {
    rmSync(path.join(this.root, String(pid)), { recursive: true });
    this.alive.delete(pid);
  }

  /** Pids that were given to threads, or to processes that have ended since. */
  skipPids(count: number): void {
    this.lastPid += count;
    this.writeCounters();
  }

  /** Somebody who is in /proc under his own number without being a process. */
  startThread(of: number): void {
    this.lastPid++;
    const { oomScore, comm } = this.facts(of);
    writeProcess(this.root, { pid: this.lastPid, oomScore: Number(oomScore) + 1, comm, tgid: of });
    this.writeCounters();
  }

  private write(pid: number): void {
    rmSync(path.join(this.root, String(pid)), { recursive: true, force: true });
    writeProcess(this.root, this.facts(pid));
    this.writeCounters();
  }

  /** oom_badness and proc_oom_score of Linux 6. */
  private facts(pid: number): FakeProcess & { comm: string; oomScore: number } {
    const { comm, kib, adj } = this.alive.get(pid) as Process;
    const points = Math.floor((kib * 1000) / MACHINE.memTotalKib) + adj;
    const oomScore = adj === -1000 ? 0 : Math.max(0, Math.trunc(((1000 + points) * 2) / 3));
    return { pid, comm, cmdline: comm, oomScore, oomScoreAdj: adj, rssPages: Math.floor(kib / 4) };
  }

  private writeCounters(): void {
    const pages = Math.ceil(this.allocatedKib / (pageSize() / 1024));
    const vmstat = `nr_free_pages 1\npgalloc_dma 0\npgalloc_dma32 1000\npgalloc_normal ${pages}\npgalloc_movable 0\noom_kill 0\n`;
    writeFileSync(path.join(this.root, 'vmstat'), vmstat);
    writeFileSync(path.join(this.root, 'loadavg'), `0.00 0.00 0.00 1/${this.alive.size} ${this.lastPid}\n`);
  }
}

function guardOf(
  machine: FakeMachine,
  patterns: typeof NO_PATTERNS | typeof PATTERNS = NO_PATTERNS,
  rankBy: 'oom_score' | 'memory' = 'oom_score',
  matching: Matching = NO_MATCHING,
) {
  const open = (): PidFiles => {
    const files = PidFiles.open(machine.root);
    if (typeof files === 'number') throw new Error(`no tree: ${files}`);
    onTestFinished(() => void close(files.directoryFd));
    return files;
  };
  const clock = AllocationClock.open(machine.root);
  if (typeof clock === 'number') throw new Error(`no vmstat: ${clock}`);
  const files = open();
  const scan = new ProcessScan(
    files,
    { ...patterns, wayIn: null, matchers: Matchers.of(files, matching), needUid: false, selfPid: null },
    NO_CHILDREN,
  );
  const policy = { ...EARLYOOM_SELECTION, rankBy, machineKib: MACHINE.memTotalKib };
  const shortlist = new Shortlist(scan, new PidWalk(open().directoryFd), clock, policy, MACHINE, 2 / 3);
  const full = new Selector(files, scan, policy, new ProcessList(), null, MACHINE);
  const lean = new Selector(files, scan, policy, new ProcessList(), shortlist, MACHINE);
  const now = new Moment();
  const sweep = (): void => {
    // Long enough for two sweeps of the few processes here: 1 ms of work at each.
    for (let tick = 0; tick < 30; tick++) {
      now.ms += 1000;
      shortlist.advance({ sweepShare: 1 }, now);
    }
  };
  const victim = (selector: Selector): number => {
    const row = selector.select();
    return row === -1 ? -1 : (selector.table.pid[row] as number);
  };
  const scanScores = vi.spyOn(scan, rankBy === 'memory' ? 'scanMemory' : 'scanScores');
  /** The victim, and whether the shortlist was enough to tell. */
  const select = (): { pid: number; proved: boolean } => {
    scanScores.mockClear();
    const pid = victim(lean);
    return { pid, proved: scanScores.mock.calls.length === 0 };
  };
  return { sweep, select, fullScan: () => victim(full), shortlist };
}

const plain = (kib: number, adj = 0, comm = 'plain'): Process => ({ kib, adj, comm });
const CROWD = Array.from({ length: 40 }, (_, index) => plain(10_000 + 10 * index));

describe('Shortlist', () => {
  it('proves a clear lead without reading anybody else', () => {
    const machine = new FakeMachine([...CROWD, plain(4_000_000)]);
    const guard = guardOf(machine);
    expect(guard.select().proved).toBe(false); // not swept yet
    guard.sweep();
    expect(guard.select()).toEqual({ pid: 140, proved: true });
  });

  it('follows who has grown meanwhile, as far as the lead is wide enough', () => {
    const machine = new FakeMachine([...CROWD, plain(4_000_000), plain(3_800_000)]);
    const guard = guardOf(machine);
    guard.sweep();
    machine.grow(141, 1_000_000);
    expect(guard.select()).toEqual({ pid: 141, proved: true });
  });

  it('does not trust a lead that somebody outside can have caught up with', () => {
    const machine = new FakeMachine([...CROWD, plain(1_000_000)]);
    const guard = guardOf(machine);
    guard.sweep();
    machine.grow(100, 1_200_000); // in the crowd of equals, and perhaps not on the list
    expect(guard.select()).toEqual({ pid: 100, proved: false });
    machine.grow(100, -1_200_000);
    expect(guard.select()).toEqual({ pid: 140, proved: false }); // what was allocated stays so
  });

  it('finds who is new', () => {
    const machine = new FakeMachine([...CROWD, plain(3_000_000)]);
    const guard = guardOf(machine);
    guard.sweep();
    machine.skipPids(20);
    machine.start(plain(4_000_000, 900));
    expect(guard.select()).toEqual({ pid: 161, proved: true });
  });

  it('scans in full after many new pids, and after the numbers began again', () => {
    const machine = new FakeMachine([...CROWD, plain(4_000_000)]);
    const guard = guardOf(machine);
    guard.sweep();
    machine.skipPids(65);
    expect(guard.select()).toEqual({ pid: 140, proved: false });
    guard.sweep();
    expect(guard.select().proved).toBe(true);
    machine.skipPids(-100);
    expect(guard.select().proved).toBe(false);
  });

  it('takes no thread for a process', () => {
    const machine = new FakeMachine([...CROWD, plain(4_000_000)]);
    const guard = guardOf(machine);
    guard.sweep();
    machine.startThread(140);
    expect(guard.select()).toEqual({ pid: 140, proved: true });
  });

  it('scans in full once the leader has gone and nobody else has a lead', () => {
    const machine = new FakeMachine([...CROWD, plain(4_000_000)]);
    const guard = guardOf(machine);
    guard.sweep();
    machine.end(140);
    expect(guard.select()).toEqual({ pid: 139, proved: false });
  });

  it('forgets when it is not to sweep any more', () => {
    const machine = new FakeMachine([...CROWD, plain(4_000_000)]);
    const guard = guardOf(machine);
    guard.sweep();
    guard.shortlist.advance({ sweepShare: 0 }, new Moment());
    expect(guard.select()).toEqual({ pid: 140, proved: false });
  });

  it('shortened, still proves a clear lead and no other, and is as long as before afterwards', () => {
    const second = plain(3_900_000);
    const third = plain(3_800_000);
    const machine = new FakeMachine([...CROWD, plain(4_000_000), second, third]);
    const guard = guardOf(machine);
    guard.shortlist.shorten(true);
    guard.sweep();
    expect(guard.select()).toEqual({ pid: 140, proved: true });
    machine.grow(142, 300_000); // one of three, and two are kept
    expect(guard.select()).toEqual({ pid: 142, proved: false });
    guard.shortlist.shorten(false);
    guard.sweep();
    expect(guard.select()).toEqual({ pid: 142, proved: true });
  });

  it('works without /proc/vmstat as if it were not there', () => {
    const machine = new FakeMachine([...CROWD, plain(4_000_000)]);
    writeFileSync(path.join(machine.root, 'vmstat'), 'nothing 1\n');
    const guard = guardOf(machine);
    guard.sweep();
    expect(guard.select()).toEqual({ pid: 140, proved: false });
  });

  it('counts a preferred name as a lead, and keeps the ignored off its list', () => {
    const ignored = Array.from({ length: 40 }, () => plain(6_000_000, 0, 'never'));
    const machine = new FakeMachine([...ignored, ...CROWD, plain(500_000, 0, 'wanted'), plain(600_000)]);
    const guard = guardOf(machine, PATTERNS);
    guard.sweep();
    expect(guard.select()).toEqual({ pid: 180, proved: true });
  });

  it('keeps the protected off its list, and counts who is preferred by a matcher as a lead', () => {
    const spared = Array.from({ length: 40 }, () => plain(6_000_000, 0, 'never'));
    const machine = new FakeMachine([...spared, ...CROWD, plain(500_000, 0, 'wanted'), plain(600_000)]);
    const guard = guardOf(machine, NO_PATTERNS, 'oom_score', MATCHING);
    guard.sweep();
    expect(guard.select()).toEqual({ pid: 180, proved: true });
  });

  it('never finds another victim than the full scan', () => {
    const process = fc.record({
      comm: fc.constantFrom('plain', 'plain', 'wanted', 'shunned', 'never'),
      kib: fc.oneof(
        { weight: 60, arbitrary: fc.integer({ min: 0, max: 300_000 }) },
        fc.integer({ min: 0, max: 3_000_000 }),
      ),
      adj: fc.oneof({ weight: 60, arbitrary: fc.constant(0) }, fc.constantFrom(200, -500, -1000)),
    });
    const event = fc.oneof(
      fc.record({
        kind: fc.constant('grow' as const),
        who: fc.nat(),
        kib: fc.integer({ min: -4_000_000, max: 3_000_000 }),
      }),
      fc.record({ kind: fc.constant('start' as const), process }),
      fc.record({ kind: fc.constant('end' as const), who: fc.nat() }),
      fc.record({ kind: fc.constant('skip' as const), count: fc.integer({ min: 1, max: 40 }) }),
    );
    // Narrow leads: a list that is too short by one, or a bound too low by a point, shows here.
    let proved = 0;
    let runs = 0;
    fc.assert(
      fc.property(
        fc.array(process, { minLength: 35, maxLength: 50 }),
        fc.array(event, { maxLength: 5 }),
        fc.constantFrom(NO_PATTERNS, PATTERNS),
        fc.constantFrom('oom_score', 'memory'),
        fc.constantFrom(NO_MATCHING, MATCHING),
        (processes, events, patterns, rankBy, matching) => {
          const machine = new FakeMachine(processes);
          const guard = guardOf(machine, patterns, rankBy, matching);
          guard.sweep();
          for (const each of events) {
            const pid = 'who' in each ? (machine.pids[each.who % machine.pids.length] as number) : 0;
            if (each.kind === 'grow') machine.grow(pid, each.kib);
            else if (each.kind === 'start') machine.start(each.process);
            else if (each.kind === 'end') machine.end(pid);
            else machine.skipPids(each.count);
          }
          const lean = guard.select();
          expect(lean.pid).toBe(guard.fullScan());
          runs++;
          if (lean.proved) proved++;
        },
      ),
      { numRuns: 250 },
    );
    // Neither is it always the full scan.
    expect(proved / runs).toBeGreaterThan(0.1);
    expect(proved / runs).toBeLessThan(1);
  }, 120_000);
});

describe('scoreFactorOf', () => {
  it.each([
    ['6.18.0-1-amd64', 2 / 3],
    ['5.9.0', 2 / 3],
    ['5.10.0-28-cloud', 2 / 3],
    ['5.8.18', 1],
    ['4.18.0-553.el8', 1],
    ['?', 1],
  ])('%s: %f', (release, factor) => {
    expect(scoreFactorOf(release)).toBe(factor);
  });
});
