import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { Moment } from '../../../native-shims/clock.js';
import { Aftermath } from '../../../src/guard/aftermath.js';
import { KillSurvey } from '../../../src/guard/kill-survey.js';
import { ProcessList } from '../../../src/guard/process-list.js';
import { FreeLists } from '../../../src/sample/free-lists.js';
import { MemorySampler } from '../../../src/sample/memory-sampler.js';
import { PidFiles } from '../../../src/sample/pid-files.js';
import { NO_CHILDREN, ProcessScan } from '../../../src/sample/process-scan.js';
import { TmpfsUsage } from '../../../src/sample/tmpfs-usage.js';
import { LEVEL_KILL, LEVEL_TERM } from '../../../src/shared/limits.js';
import { EARLYOOM_SELECTION } from '../../../src/shared/selection.js';
import { emptyVictim } from '../../../src/shared/victim.js';
import { type FakeProcess, procTree } from '../../support/proc-tree.js';
import { recordingLog } from '../recording-log.js';

const KIB = 1024;
const PAGES = 256;
const LIMITS = { memTermPercent: 10, memKillPercent: 5, swapTermPercent: 100, swapKillPercent: 100 };
const NO_PATTERNS = { prefer: null, avoid: null, ignore: null, wayIn: null, matchers: null };

interface Mib {
  available: number;
  anon: number;
  shmem?: number;
  /** On the CPUs' lists; without it there is no zoneinfo. */
  hidden?: number;
}

/** A machine of 10,000 MiB, on which 100 ms pass at each call of `at`. */
class Machine {
  readonly lines: string[];
  readonly setAside = new ProcessList();
  readonly survey: KillSurvey;
  readonly victim = emptyVictim();
  private readonly now = new Moment();
  private readonly root: string;
  private readonly sampler: MemorySampler;
  private readonly aftermath: Aftermath;

  constructor(processes: readonly FakeProcess[], before: Mib) {
    this.root = procTree(processes, null);
    mkdirSync(path.join(this.root, 'self'));
    writeFileSync(path.join(this.root, 'self/mountinfo'), '24 1 0:2 / / rw - tmpfs tmpfs rw\n');
    this.write(before);
    this.sampler = opened(MemorySampler.open(this.root));
    const files = opened(PidFiles.open(this.root));
    const scan = new ProcessScan(files, { ...NO_PATTERNS, needUid: false, selfPid: null }, NO_CHILDREN);
    const { log, lines } = recordingLog();
    this.lines = lines;
    this.survey = opened(KillSurvey.open(files, scan, { ...EARLYOOM_SELECTION }, this.setAside));
    this.now.ms = 1e6;
    this.aftermath = new Aftermath({ limits: LIMITS }, log, {
      sampler: this.sampler,
      freeLists: before.hidden === undefined ? null : opened(FreeLists.open(this.root)),
      readCostMs: 0,
      allocation: null,
      survey: this.survey,
      tmpfs: new TmpfsUsage(this.root),
    });
    this.sampler.sample();
  }

  /** Has memory be so, some time later. */
  at(mib: Mib, laterMs = 100): this {
    this.write(mib);
    this.sampler.sample();
    this.now.ms += laterMs;
    return this;
  }

  kill(expectedMib: number): void {
    this.victim.anonKib = expectedMib * KIB;
    this.aftermath.signalled(this.victim);
  }

  exited(): void {
    this.aftermath.exited(this.victim, true, this.now);
  }

  holdsBack(level: typeof LEVEL_TERM | typeof LEVEL_KILL = LEVEL_TERM): boolean {
    return this.aftermath.holdsBack(level, this.now);
  }

  forbids(level: typeof LEVEL_TERM | typeof LEVEL_KILL, victimMib: number): boolean {
    this.victim.rssKib = victimMib * KIB;
    return this.aftermath.forbids(this.victim, level, this.now);
  }

  rehearse(): void {
    this.aftermath.rehearse(this.victim, true, this.now);
  }

  private write({ available, anon, shmem = 0, hidden }: Mib): void {
    const row = (name: string, mib: number): string => `${name}: ${mib * KIB} kB\n`;
    const meminfo = row('MemTotal', 10_000) + row('MemAvailable', available) + row('SwapTotal', 0) + row('SwapFree', 0);
    writeFileSync(path.join(this.root, 'meminfo'), meminfo + row('AnonPages', anon) + row('Shmem', shmem));
    if (hidden !== undefined) writeFileSync(path.join(this.root, 'zoneinfo'), `  count: ${hidden * PAGES}\n`);
  }
}

function opened<T>(result: T | number): T {
  if (typeof result === 'number') throw new Error(`errno ${result}`);
  return result;
}

const process = (pid: number, mib: number, sharedMib = 0, more: Partial<FakeProcess> = {}): FakeProcess => ({
  pid,
  rssPages: (mib + sharedMib) * PAGES,
  sharedPages: sharedMib * PAGES,
  ...more,
});

describe('after a kill', () => {
  it('holds back while the CPUs’ lists hide what came back, and says so once', () => {
    const machine = new Machine([], { available: 900, anon: 9000, hidden: 5 });
    machine.kill(600);
    machine.at({ available: 950, anon: 8400, hidden: 555 }).exited();
    expect([machine.holdsBack(), machine.at({ available: 960, anon: 8400, hidden: 545 }).holdsBack()]).toEqual([
      true,
      true,
    ]);
    expect(machine.lines).toEqual([
      'warn: it gave back 600 of 600 MiB',
      "warn: memory comes back: nobody else is killed for now (555 MiB are free on CPUs' own lists)",
    ]);
    expect(machine.at({ available: 900, anon: 8990, hidden: 5 }).holdsBack()).toBe(false);
  });

  it('acts at once where the kernel does not tell of such lists, and nothing comes', () => {
    const machine = new Machine([], { available: 900, anon: 9000 });
    machine.kill(600);
    machine.exited();
    expect(machine.lines).toEqual([
      'warn: it gave back 0 of 600 MiB: another process shares its memory, or the kernel holds it',
    ]);
    expect(machine.at({ available: 900, anon: 9000 }).holdsBack()).toBe(false);
  });

  it('nobody has died: memory decides', () => {
    expect(new Machine([], { available: 900, anon: 9000, hidden: 5000 }).holdsBack()).toBe(false);
  });
});

describe('a full tmpfs', () => {
  const SMALL = [process(100, 30), process(101, 40), process(102, 50, 20)];
  const FULL: Mib = { available: 100, anon: 2000, shmem: 7000 };

  it('nobody is killed at the SIGTERM limits, and it is said once', () => {
    const machine = new Machine(SMALL, FULL);
    expect(machine.forbids(LEVEL_TERM, 70)).toBe(true);
    expect(machine.lines[0]).toBe(
      'warn: no kill would help: 7000 MiB are tmpfs and shared memory, all processes together would give back 120 MiB',
    );
    const count = machine.lines.length;
    for (let look = 0; look < 100; look++) expect(machine.at(FULL).holdsBack()).toBe(true);
    expect(machine.lines).toHaveLength(count);
  });

  it('at the SIGKILL limits one kill is tried in an incident', () => {
    const machine = new Machine(SMALL, FULL);
    expect(machine.forbids(LEVEL_TERM, 70)).toBe(true);
    expect(machine.at(FULL).holdsBack(LEVEL_KILL)).toBe(false);
    expect(machine.forbids(LEVEL_KILL, 70)).toBe(false);
    expect(machine.at(FULL).forbids(LEVEL_KILL, 50)).toBe(true);
    expect(machine.at(FULL).holdsBack(LEVEL_KILL)).toBe(true);
    // A minute without low memory: another incident.
    expect(machine.at(FULL, 60_000).forbids(LEVEL_KILL, 50)).toBe(false);
  });

  it('a hog that begins to grow is not waited for', () => {
    const machine = new Machine([...SMALL, process(200, 300)], FULL);
    expect(machine.forbids(LEVEL_TERM, 70)).toBe(false); // it is there, though the ranking put another one first
    const before = new Machine(SMALL, FULL);
    expect(before.forbids(LEVEL_TERM, 70)).toBe(true);
    expect(before.at({ ...FULL, available: 90, anon: 2010 }, 1).holdsBack()).toBe(true);
    expect(before.at({ ...FULL, available: 10, anon: 9000, shmem: 100 }, 1).holdsBack()).toBe(false);
  });

  it('whoever maps much of it may be its last holder, and is killed', () => {
    expect(new Machine([...SMALL, process(200, 10, 400)], FULL).forbids(LEVEL_TERM, 70)).toBe(false);
  });

  it.each<[string, FakeProcess]>([
    ['oom_score_adj -1000', process(200, 400, 0, { oomScoreAdj: -1000 })],
    ['a kernel thread', process(200, 400, 0, { ppid: 2 })],
  ])('who may not be killed is no way out: %s', (_, spared) => {
    expect(new Machine([...SMALL, spared], FULL).forbids(LEVEL_TERM, 70)).toBe(true);
  });

  it('nor is who was put aside', () => {
    const machine = new Machine([...SMALL, process(200, 400, 0, { startTimeTicks: 7 })], FULL);
    machine.setAside.add(200, 7);
    expect(machine.forbids(LEVEL_TERM, 70)).toBe(true);
  });

  it('many processes that have more than it together are killed one by one', () => {
    const services = Array.from({ length: 60 }, (_, i) => process(100 + i, 70));
    expect(new Machine(services, { available: 100, anon: 4200, shmem: 3000 }).forbids(LEVEL_TERM, 70)).toBe(false);
  });

  it('little shared memory is no reason for anything', () => {
    expect(new Machine(SMALL, { available: 100, anon: 2000, shmem: 50 }).forbids(LEVEL_TERM, 70)).toBe(false);
  });

  it('can be rehearsed', () => {
    const machine = new Machine(SMALL, { ...FULL, hidden: 10 });
    machine.rehearse();
    expect(machine.survey.found.sumKib).toBe(120 * KIB);
  });
});
