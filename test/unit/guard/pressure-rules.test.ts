/* PSI rules over recorded files: a tree like /proc, and one like cgroup v2 where it is said to be mounted. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Moment } from '../../../native-shims/clock.js';
import { PollSet } from '../../../native-shims/poll.js';
import { CGROUP_WATCHES_MAX } from '../../../src/guard/cgroup-watches.js';
import { openPressureRules, type PressureRules, RULE_POLL_SLOTS } from '../../../src/guard/pressure-rules.js';
import { LEVEL_KILL, LEVEL_NONE, LEVEL_TERM } from '../../../src/shared/limits.js';
import { DEFAULT_RULE, type PressureRule } from '../../../src/shared/rules.js';
import { cgroupTree, type FakeCgroup, writeCgroup } from '../../support/cgroup-tree.js';
import { procTree } from '../../support/proc-tree.js';
import { recordingLog } from '../recording-log.js';

/** Quicker than the default one. */
const QUICK: PressureRule = { ...DEFAULT_RULE, forMs: 200 };

const ofCgroup = (more: Partial<PressureRule> = {}): PressureRule => ({
  ...QUICK,
  name: 'sessions',
  cgroup: 'user.slice/user-*.slice',
  availableBelowPercent: null,
  ...more,
});

const memory = (availablePercent: number) => ({
  memAvailableKib: availablePercent * 10_000,
  anonPagesKib: (100 - availablePercent) * 10_000,
  swapTotalKib: 0,
  swapFreeKib: 0,
});

/** A machine whose files change as the time goes on. */
class Stage {
  readonly procfs = procTree([]);
  readonly cgroups: string;
  readonly log = recordingLog();
  readonly now = new Moment();
  private stallUs = 0;
  private refaults = 0;

  constructor(cgroups: Record<string, FakeCgroup> = {}) {
    this.cgroups = cgroupTree(cgroups);
    this.now.ms = 1000;
    mkdirSync(path.join(this.procfs, 'self'));
    mkdirSync(path.join(this.procfs, 'pressure'));
    writeFileSync(path.join(this.procfs, 'self/mountinfo'), `1 2 0:3 / ${this.cgroups} rw - cgroup2 cgroup2 rw\n`);
    this.write(0);
  }

  open(rules: readonly PressureRule[]): PressureRules {
    const rulesOpen = this.tryOpen(rules);
    if (rulesOpen === null) throw new Error(this.log.lines.join('\n'));
    return rulesOpen;
  }

  tryOpen(rules: readonly PressureRule[]): PressureRules | null {
    const opened = openPressureRules(rules, this.procfs, new PollSet(RULE_POLL_SLOTS), 0, this.log.log);
    onTestFinished(() => opened?.close());
    return opened;
  }

  /** So long of a total stall with refaults, of the machine or of a cgroup. */
  stall(ms: number, cgroup: string | null = null): void {
    this.now.ms += ms;
    this.stallUs += ms * 1000;
    this.refaults += ms;
    this.write(cgroup === null ? this.stallUs : 0);
    if (cgroup !== null) writeCgroup(this.cgroups, cgroup, { pids: [7, 8], someTotalUs: this.stallUs });
  }

  private write(totalUs: number): void {
    const line = (kind: string): string => `${kind} avg10=0.00 avg60=0.00 avg300=0.00 total=${totalUs}\n`;
    writeFileSync(path.join(this.procfs, 'pressure/memory'), line('some') + line('full'));
    writeFileSync(path.join(this.procfs, 'vmstat'), `workingset_refault_file ${this.refaults}\n`);
  }
}

describe('a rule for the machine', () => {
  it('fires after its window and `for`, says why, and is quiet after the restart', () => {
    const stage = new Stage();
    const rules = stage.open([QUICK]);
    const levels = Array.from({ length: 10 }, () => {
      stage.stall(50);
      return rules.look(memory(6), stage.now);
    });
    expect(levels.indexOf(LEVEL_TERM)).toBe(8);
    rules.sayFired();
    expect(stage.log.lines.at(-1)).toBe(
      'warn: PSI rule "thrashing": some 90.0 % of 500 ms, available 6.0 % (low), refaults 900/s',
    );
    expect([rules.haveFired, rules.cgroup, rules.wantsWhole]).toEqual([true, null, false]);
    rules.restart(stage.now);
    for (let look = 0; look < 14; look++) {
      stage.stall(50);
      expect([rules.look(memory(6), stage.now), rules.haveFired]).toEqual([
        look < 13 ? LEVEL_NONE : LEVEL_TERM,
        look >= 13,
      ]);
    }
  });

  it('reads nothing and lets the guard wait while more than its bound and a margin is available', () => {
    const stage = new Stage();
    const rules = stage.open([QUICK]);
    rmSync(path.join(stage.procfs, 'pressure/memory'));
    expect([rules.look(memory(21), stage.now), rules.waitMs]).toEqual([LEVEL_NONE, 60_000]);
    expect([rules.look(memory(19), stage.now), rules.waitMs]).toEqual([LEVEL_NONE, 250]);
  });

  it('looks closely while a stall is under way', () => {
    const stage = new Stage();
    const rules = stage.open([QUICK]);
    rules.look(memory(14), stage.now);
    stage.stall(60);
    rules.look(memory(14), stage.now);
    expect(rules.waitMs).toBe(50);
  });

  it('goes on with its kill as long as memory bears it out', () => {
    const stage = new Stage();
    const rules = stage.open([QUICK]);
    for (let look = 0; look < 10; look++) {
      stage.stall(50);
      rules.look(memory(6), stage.now);
    }
    expect(rules.follow(memory(6), false, stage.now)).toBe(LEVEL_TERM);
    expect(rules.recheck(memory(16))).toBe(LEVEL_NONE);
  });

  /** The levels at looks 50 ms apart after SIGTERM, while tasks stall for `stallMs` of each. */
  const levelsAfterSigterm = (stage: Stage, rules: PressureRules, stallMs: number, percent = 6): number[] => {
    rules.asked(memory(percent), stage.now);
    return Array.from({ length: 12 }, () => {
      stage.now.ms += 50 - stallMs;
      stage.stall(stallMs);
      return rules.follow(memory(percent), true, stage.now);
    });
  };

  it('asks for SIGKILL when the stall goes on after SIGTERM, by what is measured since alone', () => {
    const stage = new Stage();
    const rules = stage.open([QUICK]);
    for (let look = 0; look < 10; look++) {
      stage.stall(50);
      rules.look(memory(6), stage.now);
    }
    // 40 % of 500 ms are 200.
    expect(levelsAfterSigterm(stage, rules, 50).indexOf(LEVEL_KILL)).toBe(3);
    expect(rules.follow(memory(16), true, stage.now)).toBe(LEVEL_NONE);
  });

  it('asks for nothing more when the stall ends with SIGTERM, or falls below its share', () => {
    for (const stallMs of [0, 15]) {
      const stage = new Stage();
      const rules = stage.open([QUICK]);
      for (let look = 0; look < 10; look++) {
        stage.stall(50);
        rules.look(memory(6), stage.now);
      }
      expect(new Set(levelsAfterSigterm(stage, rules, stallMs))).toEqual(new Set([LEVEL_NONE]));
    }
  });

  it('asks for SIGKILL likewise for a victim that has got SIGTERM by the limits, below its own bound only', () => {
    const fired = (percent: number): number => {
      const stage = new Stage();
      return levelsAfterSigterm(stage, stage.open([QUICK]), 50, percent).indexOf(LEVEL_KILL);
    };
    expect([fired(4), fired(16), fired(60)]).toEqual([3, -1, -1]);
  });

  it('gives way to the limits', () => {
    const stage = new Stage();
    const rules = stage.open([{ ...QUICK, action: 'kill' }]);
    for (let look = 0; look < 10; look++) {
      stage.stall(50);
      rules.look(memory(6), stage.now);
    }
    expect(rules.recheck(memory(6))).toBe(LEVEL_KILL);
    rules.yieldToLimits();
    expect([rules.haveFired, rules.recheck(memory(6)), rules.follow(memory(6), false, stage.now)]).toEqual([
      false,
      LEVEL_NONE,
      LEVEL_NONE,
    ]);
  });

  it('that can not work is said, and is none', () => {
    const stage = new Stage();
    rmSync(path.join(stage.procfs, 'pressure/memory'));
    expect(stage.tryOpen([QUICK])).toBe(null);
    expect(stage.log.lines).toEqual([
      `warn: PSI rules: can not read ${stage.procfs}/pressure/memory, so rules for the machine do not work: No such file or directory`,
    ]);
    expect(stage.tryOpen([])).toBe(null);
  });
});

describe('a rule for cgroups', () => {
  const USERS = { 'user.slice/user-1.slice': {}, 'user.slice/user-2.slice/s.scope': {}, 'system.slice/a': {} };

  /** Looks once a second, as without a trigger; returns the cgroup that fires, or null. */
  function firesIn(stage: Stage, rules: PressureRules, cgroup: string, looks = 30): string | null {
    for (let look = 0; look < looks; look++) {
      stage.stall(50, cgroup);
      if (rules.look(memory(90), stage.now) !== LEVEL_NONE) return `${rules.cgroup}`;
    }
    return null;
  }

  it('fires for the cgroup that stalls, with much memory available, and knows its processes', () => {
    const stage = new Stage(USERS);
    const rules = stage.open([ofCgroup({ scope: 'cgroup', action: 'kill' })]);
    expect(firesIn(stage, rules, 'user.slice/user-2.slice')).toBe('user.slice/user-2.slice');
    expect([rules.wantsWhole, rules.readProcesses(), rules.processes.count]).toEqual([true, 0, 2]);
    rules.sayFired();
    expect(stage.log.lines.at(-1)).toMatch(
      /^warn: PSI rule "sessions", cgroup user.slice\/user-2.slice: some [0-9.]+ % of 500 ms, available 90.0 %, refaults \d+\/s$/,
    );
    writeCgroup(stage.cgroups, 'user.slice/user-2.slice', { files: { 'cgroup.kill': '' } });
    expect(rules.killCgroup()).toBe(0);
  });

  it('leaves a cgroup alone that its pattern does not match, and the machine', () => {
    const stage = new Stage(USERS);
    const rules = stage.open([ofCgroup()]);
    expect(firesIn(stage, rules, 'system.slice/a')).toBe(null);
    for (let look = 0; look < 30; look++) {
      stage.stall(50);
      expect(rules.look(memory(3), stage.now)).toBe(LEVEL_NONE);
    }
  });

  it('finds a cgroup that is made later within 5 s, and forgets one that goes', () => {
    const stage = new Stage(USERS);
    const rules = stage.open([ofCgroup()]);
    rules.look(memory(90), stage.now);
    expect(firesIn(stage, rules, 'user.slice/user-3.slice', 130)).toBe('user.slice/user-3.slice');
    rules.restart(stage.now);
    const fds = readdirSync('/proc/self/fd').length;
    rmSync(path.join(stage.cgroups, 'user.slice/user-3.slice'), { recursive: true });
    stage.now.ms += 6000;
    rules.look(memory(90), stage.now);
    expect(readdirSync('/proc/self/fd').length).toBe(fds - 1);
    expect([rules.look(memory(90), stage.now), rules.cgroup]).toEqual([LEVEL_NONE, null]);
  });

  it('begins anew with a cgroup that was made again under the name of one that has gone', () => {
    const stage = new Stage(USERS);
    const rules = stage.open([ofCgroup()]);
    firesIn(stage, rules, 'user.slice/user-1.slice', 20);
    rmSync(path.join(stage.cgroups, 'user.slice/user-1.slice'), { recursive: true });
    writeCgroup(stage.cgroups, 'user.slice/user-1.slice', { someTotalUs: 5 });
    stage.now.ms += 6000;
    expect(rules.look(memory(90), stage.now)).toBe(LEVEL_NONE);
  });

  it('watches so many and no more, which it says once', () => {
    const names = Array.from({ length: CGROUP_WATCHES_MAX + 1 }, (_, index) => `user.slice/user-${index}.slice`);
    const stage = new Stage(Object.fromEntries(names.map((name) => [name, {}])));
    const rules = stage.open([ofCgroup()]);
    for (let look = 0; look < 3; look++) {
      rules.look(memory(90), stage.now);
      stage.now.ms += 6000;
    }
    const said = stage.log.lines.filter((line) => line.includes('more cgroups match'));
    expect(said).toEqual([
      `warn: PSI rules: more cgroups match than are watched, which are ${CGROUP_WATCHES_MAX}; the others are left to the limits`,
    ]);
  });

  it('without cgroup v2 is none, which is said', () => {
    const stage = new Stage();
    writeFileSync(path.join(stage.procfs, 'self/mountinfo'), '');
    expect(stage.tryOpen([ofCgroup()])).toBe(null);
    expect(stage.log.lines).toEqual([
      'warn: PSI rules: can not read cgroup v2, so rules for cgroups do not work: it is not mounted',
    ]);
  });

  it('leaves no file open', () => {
    const stage = new Stage(USERS);
    const fds = readdirSync('/proc/self/fd').length;
    const opened = openPressureRules([QUICK, ofCgroup()], stage.procfs, new PollSet(RULE_POLL_SLOTS), 0, stage.log.log);
    opened?.look(memory(90), stage.now);
    opened?.close();
    expect(readdirSync('/proc/self/fd').length).toBe(fds);
  });
});
