/*
 * The PSI rules of a running guard: what they are looked at by, when, and what comes of it.
 *
 * Far from trouble they cost a tick nothing but a comparison: the machine's pressure is read only while available memory is
 * within GATE_MARGIN_PERCENT of the widest rule's bound, since above it none of them may fire; a cgroup's only after its
 * trigger has woken the guard. While a stall is under way there is a look each CLOSE_WAIT_MS.
 *
 *   look     nobody is being killed: does a rule fire?
 *   follow   somebody is being killed: is there still reason to, if it is because one has fired?
 *   asked    the victim has got SIGTERM, for a rule or for a limit: the windows begin anew. A stall that is at a rule's share by
 *            what was measured since asks for SIGKILL: who has to be read from swap to end in good order stalls like all
 *            others (7.6 s were measured, test/vm)
 *   restart  that is over: all windows begin anew, so that the next kill is due to what is measured from now on
 */
import { A_FRACTION, type Moment } from '../../native-shims/clock.js';
import { strerror } from '../../native-shims/errno.js';
import type { PollSet } from '../../native-shims/poll.js';
import { WAIT_MS_MAX } from '../decide/cadence.js';
import { emptyReading, type PressureReading, RuleWatch } from '../decide/pressure-rule.js';
import { PidList } from '../kernel/cgroup-files.js';
import type { Log } from '../report/log.js';
import { sayRule, sayRuleFired } from '../report/rule-messages.js';
import { type CgroupPath, CgroupTree, cgroup2MountPoint } from '../sample/cgroup-tree.js';
import { PressureFile, ReclaimFile } from '../sample/pressure-file.js';
import { LEVEL_KILL, LEVEL_NONE, LEVEL_TERM, type Level, type MemoryLevels } from '../shared/limits.js';
import type { PressureRule } from '../shared/rules.js';
import { CGROUP_WATCHES_MAX, type CgroupWatch, CgroupWatches } from './cgroup-watches.js';

/** Above a rule's bound by so much the looks begin, so that a window is known when memory gets there. */
const GATE_MARGIN_PERCENT = 5;

/** Between two looks, below that; and while a stall is under way: a tenth of the default window. */
const NEAR_WAIT_MS = 250;
const CLOSE_WAIT_MS = 50;
/** Longer than any wait. */
const ANY_WAIT_MS = 60_000;
/** Ticks may be closer than that near the limits, and a look takes twice what a tick does: those in between do without. */
const BETWEEN_LOOKS_MS = 40;
/** A hundred times what the look at one cgroup costs (60 us), so that many of them take no more than 1 % of a core. */
const CLOSE_WAIT_MS_PER_CGROUP = 6;

/** Of one cgroup. One that has more is not killed as a whole. */
const PROCESSES_MAX = 8192;

/** Poll slots that rules take, if any of them has a cgroup. */
export const RULE_POLL_SLOTS = CGROUP_WATCHES_MAX;

/** Rules, and what they are looked at by. */
export interface RuleParts {
  log: Log;
  rules: readonly PressureRule[];
  /** null where there is no rule for the machine, or no PSI. */
  machine: PressureFile | null;
  reclaim: ReclaimFile | null;
  /** null where there is no rule for cgroups, or no cgroup v2. */
  cgroups: CgroupWatches | null;
}

export class PressureRules {
  /** How long the guard may wait for its next tick, as far as rules are concerned. */
  waitMs = WAIT_MS_MAX;
  /** The processes of the cgroup whose rule has fired, after `readProcesses`. */
  readonly processes = new PidList(PROCESSES_MAX);
  private readonly machineRules: readonly RuleWatch[];
  private readonly names = new Map<PressureRule, Uint8Array>();
  private readonly gatePercent: number;
  /** The same while memory is far from what the machine's rules ask for: cgroups without a trigger have to be looked at all the same. */
  private readonly farWaitMs: number;
  private readonly reading: PressureReading = emptyReading();
  private readonly wantsRefaults: boolean;
  private saidOverflow = false;
  private fired: RuleWatch | null = null;
  private firedCgroup: CgroupWatch | null = null;
  private lookedMs = A_FRACTION;
  private machineLookedMs = A_FRACTION;
  private machineWaitMs = NEAR_WAIT_MS;
  /** The victim of the kill that is under way has got SIGTERM. */
  private wasAsked = false;

  constructor(private readonly parts: RuleParts) {
    const { rules, machine } = parts;
    const ofMachine = machine === null ? [] : rules.filter(({ cgroup }) => cgroup === null);
    this.machineRules = ofMachine.map((rule) => new RuleWatch(rule));
    this.gatePercent = Math.max(-GATE_MARGIN_PERCENT, ...ofMachine.map((rule) => rule.availableBelowPercent ?? 0));
    this.farWaitMs = parts.cgroups === null ? ANY_WAIT_MS : WAIT_MS_MAX;
    this.wantsRefaults = rules.some(({ refaults }) => refaults);
    for (const rule of rules) this.names.set(rule, Buffer.from(rule.name));
  }

  /** Whether the kill that is about to begin, or is under way, is a rule's. */
  get haveFired(): boolean {
    return this.fired !== null;
  }

  /** The name of the rule whose kill it is; null for none. */
  get firedName(): string | null {
    return this.fired === null ? null : this.fired.rule.name;
  }

  /** The cgroup whose rule has fired; null where it was the machine's, or none. */
  get cgroup(): CgroupPath | null {
    return this.firedCgroup === null ? null : this.firedCgroup.path;
  }

  /** Whether all of that cgroup is to be killed. */
  get wantsWhole(): boolean {
    return this.fired !== null && this.fired.rule.scope === 'cgroup';
  }

  /** Looks at what is due. Returns the level that a rule asks for. */
  look(memory: MemoryLevels, now: Moment): Level {
    const { cgroups } = this.parts;
    this.fired = null;
    this.firedCgroup = null;
    this.lookedMs = now.ms;
    const near = this.isNear(memory);
    this.waitMs = near ? this.machineWaitMs : this.farWaitMs;
    if (cgroups !== null) this.findCgroups(cgroups, now);
    const due = cgroups?.isDue(now) === true;
    const machineDue = near && now.ms - this.machineLookedMs >= BETWEEN_LOOKS_MS;
    if (!machineDue && !due) return LEVEL_NONE;
    this.readRefaults();
    if (machineDue) this.lookAtMachine(memory, now);
    if (cgroups !== null && due) this.lookAtCgroups(cgroups, memory, now);
    return this.levelOfFired();
  }

  /**
   * Looks on while somebody is being killed. Returns the level of the rule that has fired as long as there is reason for the kill.
   * @param asked  the victim was asked already: then it is SIGKILL's if the stall goes on, and none if it does not
   */
  follow(memory: MemoryLevels, asked: boolean, now: Moment): Level {
    // A kill by the limits is followed once it was asked, where the rules for the machine look at all.
    if (this.fired === null && !(asked && this.wasAsked && this.isNear(memory))) return LEVEL_NONE;
    this.waitMs = CLOSE_WAIT_MS;
    // No matter how often the tick comes while somebody dies.
    if (now.ms - this.lookedMs >= CLOSE_WAIT_MS) this.lookOn(memory, now);
    if (!asked) return this.recheck(memory);
    return this.stallGoesOn(memory) ? LEVEL_KILL : LEVEL_NONE;
  }

  /** SIGTERM was sent just now: from here on only a stall that goes on counts. */
  asked(memory: MemoryLevels, now: Moment): void {
    this.wasAsked = true;
    this.restartAll(now);
    if (this.fired !== null || this.isNear(memory)) this.lookOn(memory, now);
  }

  /** The level of the rule that has fired, if memory as it is now bears it out. */
  recheck(memory: MemoryLevels): Level {
    if (this.fired === null) return LEVEL_NONE;
    this.fired.recheck(memory);
    return this.fired.isCorroborated ? this.levelOfFired() : LEVEL_NONE;
  }

  /** The limits are reason enough. */
  yieldToLimits(): void {
    this.fired = null;
    this.firedCgroup = null;
  }

  /** A kill is over, or came to nothing. */
  restart(now: Moment): void {
    this.yieldToLimits();
    this.wasAsked = false;
    this.restartAll(now);
  }

  /** Says which rule has fired, and by what. */
  sayFired(): void {
    const { fired } = this;
    if (fired !== null) sayRuleFired(this.parts.log, fired, this.names.get(fired.rule) as Uint8Array, this.cgroup);
  }

  /** Fills `processes` with those of the cgroup whose rule has fired. Returns 0 or -errno. */
  readProcesses(): number {
    const { cgroups } = this.parts;
    if (cgroups === null || this.firedCgroup === null) return 0;
    return cgroups.tree.processesOf(this.firedCgroup.path, this.processes);
  }

  /** Kills the cgroup whose rule has fired. Returns 0 or -errno. */
  killCgroup(): number {
    const { cgroups } = this.parts;
    return cgroups === null || this.firedCgroup === null ? 0 : cgroups.tree.killAll(this.firedCgroup.path);
  }

  /** Gives the files back. */
  close(): void {
    this.parts.machine?.close();
    this.parts.reclaim?.close();
    this.parts.cgroups?.close();
  }

  /** Whether memory is near or below the widest bound of the machine's rules. */
  private isNear(memory: MemoryLevels): boolean {
    const totalKib = memory.memAvailableKib + memory.anonPagesKib;
    return 100 * memory.memAvailableKib <= (this.gatePercent + GATE_MARGIN_PERCENT) * totalKib && this.gatePercent > 0;
  }

  private restartAll(now: Moment): void {
    for (let rule = 0; rule < this.machineRules.length; rule++) (this.machineRules[rule] as RuleWatch).restart(now);
    this.parts.cgroups?.restart(now);
  }

  /** Takes in a look while somebody is being killed: at the cgroup whose rule has fired, or at the machine. */
  private lookOn(memory: MemoryLevels, now: Moment): void {
    const { firedCgroup } = this;
    this.lookedMs = now.ms;
    this.readRefaults();
    if (firedCgroup !== null) return this.parts.cgroups?.follow(firedCgroup, this.reading, memory, now);
    if (!this.readMachine()) return;
    for (let rule = 0; rule < this.machineRules.length; rule++) {
      (this.machineRules[rule] as RuleWatch).look(this.reading, memory, now);
    }
  }

  /** Whether a rule whose kill this is, or any of the machine's for one by the limits, holds, and memory as it is now bears it out. */
  private stallGoesOn(memory: MemoryLevels): boolean {
    if (this.fired !== null) return holdsNow(this.fired, memory);
    for (let rule = 0; rule < this.machineRules.length; rule++) {
      if (holdsNow(this.machineRules[rule] as RuleWatch, memory)) return true;
    }
    return false;
  }

  private findCgroups(cgroups: CgroupWatches, now: Moment): void {
    cgroups.wake(now);
    cgroups.discover(now);
    if (!cgroups.overflow || this.saidOverflow) return;
    this.saidOverflow = true;
    const line = this.parts.log.begin('warn').text('PSI rules: more cgroups match than are watched, which are ');
    line.integer(cgroups.count).text('; the others are left to the limits');
    this.parts.log.end();
  }

  private lookAtMachine(memory: MemoryLevels, now: Moment): void {
    this.machineLookedMs = now.ms;
    this.machineWaitMs = NEAR_WAIT_MS;
    if (this.readMachine()) this.askMachineRules(memory, now);
    this.waitMs = this.machineWaitMs;
  }

  private askMachineRules(memory: MemoryLevels, now: Moment): void {
    for (let rule = 0; rule < this.machineRules.length; rule++) {
      const watch = this.machineRules[rule] as RuleWatch;
      if (watch.look(this.reading, memory, now) && this.fired === null) this.fired = watch;
      if (watch.isStirring) this.machineWaitMs = CLOSE_WAIT_MS;
    }
  }

  private lookAtCgroups(cgroups: CgroupWatches, memory: MemoryLevels, now: Moment): void {
    const fired = cgroups.look(this.reading, memory, now);
    // The cgroup's first: its own largest process is closer to the cause than the machine's.
    if (fired !== null) {
      this.fired = fired.state;
      this.firedCgroup = fired;
    }
    const stirring = cgroups.stirring(now);
    if (stirring > 0) this.waitMs = Math.min(this.waitMs, Math.max(CLOSE_WAIT_MS, stirring * CLOSE_WAIT_MS_PER_CGROUP));
  }

  private readMachine(): boolean {
    const { machine } = this.parts;
    if (machine === null || !machine.read()) return false;
    this.reading.someTotalUs = machine.pressure.someTotalUs;
    this.reading.fullTotalUs = machine.pressure.fullTotalUs;
    this.reading.atLimit = false;
    return true;
  }

  /** Where it can't be read the counter stands still, which corroborates nothing. */
  private readRefaults(): void {
    const { reclaim } = this.parts;
    if (this.wantsRefaults && reclaim?.read() === true) this.reading.refaultPages = reclaim.reclaim.refaultPages;
  }

  private levelOfFired(): Level {
    if (this.fired === null) return LEVEL_NONE;
    return this.fired.rule.action === 'kill' ? LEVEL_KILL : LEVEL_TERM;
  }
}

function holdsNow(watch: RuleWatch, memory: MemoryLevels): boolean {
  if (!watch.holds) return false;
  watch.recheck(memory);
  return watch.isCorroborated;
}

/**
 * What of `rules` can work on this machine, or null if nothing can; says what can't, and why.
 * @param pollSlot  the first of RULE_POLL_SLOTS in `pollSet`, if any of them has a cgroup
 * @param triggers  whether cgroups get triggers (guard/cgroup-watches.ts)
 */
export function openPressureRules(
  rules: readonly PressureRule[],
  procfs: string,
  pollSet: PollSet,
  pollSlot: number,
  log: Log,
  triggers = true,
): PressureRules | null {
  if (rules.length === 0) return null;
  const machine = rules.some(({ cgroup }) => cgroup === null) ? openMachine(procfs, log) : null;
  const ofCgroups = rules.filter(({ cgroup }) => cgroup !== null);
  const cgroups = ofCgroups.length === 0 ? null : openCgroups(ofCgroups, procfs, pollSet, pollSlot, triggers, log);
  if (machine === null && cgroups === null) return null;
  const working = rules.filter(({ cgroup }) => (cgroup === null ? machine : cgroups) !== null);
  for (const rule of working) sayRule(log, rule);
  const reclaim = ReclaimFile.open(procfs);
  if (typeof reclaim === 'number') sayProblem(log, `${procfs}/vmstat, so refaults are not known`, strerror(-reclaim));
  return new PressureRules({
    log,
    rules: working,
    machine,
    reclaim: typeof reclaim === 'number' ? null : reclaim,
    cgroups,
  });
}

function openMachine(procfs: string, log: Log): PressureFile | null {
  const file = new PressureFile();
  const path = `${procfs}/pressure/memory`;
  const result = file.open(path);
  if (result === 0 && file.read()) return file;
  file.close();
  sayProblem(
    log,
    `${path}, so rules for the machine do not work`,
    result < 0 ? strerror(-result) : 'no pressure in it',
  );
  return null;
}

function openCgroups(
  rules: readonly PressureRule[],
  procfs: string,
  pollSet: PollSet,
  pollSlot: number,
  triggers: boolean,
  log: Log,
): CgroupWatches | null {
  const mountPoint = cgroup2MountPoint(procfs);
  const tree = mountPoint === null ? null : CgroupTree.open(mountPoint);
  if (tree !== null && typeof tree !== 'number') return new CgroupWatches(rules, tree, pollSet, pollSlot, triggers);
  const why = tree === null ? 'it is not mounted' : strerror(-tree);
  sayProblem(log, 'cgroup v2, so rules for cgroups do not work', why);
  return null;
}

function sayProblem(log: Log, what: string, why: string): void {
  log.begin('warn').text('PSI rules: can not read ').foreign(what).text(': ').text(why);
  log.end();
}
