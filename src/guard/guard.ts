/*
 * The guard: one tick after the other, for ever.
 *
 *   wait      poll(2) on the victim's and the hooks' pidfds and the PSI trigger, until the cadence says look again
 *   sample    /proc/meminfo
 *   decide    decide/: the level, and which step of the ladder comes next
 *   act       select, signal, escalate, collect
 *   report    memory reports; everything else is said where it happens
 *
 * All of it blocks the thread, on purpose: nothing else has to run here. Node's event loop, which is where signals to
 * the guard and a hook's failure to start arrive, gets a turn when it has something to do, and only then: the poll
 * watches it too (native-shims/event-loop.ts). A turn costs more than a tick.
 */

import { A_FRACTION, Moment } from '../../native-shims/clock.js';
import { EINTR, EPERM, ESRCH, ETIME, strerror } from '../../native-shims/errno.js';
import { SIGKILL, SIGTERM } from '../../native-shims/pidfd.js';
import type { PollSet } from '../../native-shims/poll.js';
import type { Hooks } from '../act/hooks.js';
import type { KernelOomKiller } from '../act/kernel-oom.js';
import type { Target } from '../act/target.js';
import { type Cadence, WAIT_MS_MAX } from '../decide/cadence.js';
import {
  asksNoMore,
  KILL_MS_MAX,
  nextStep,
  PAUSE_MS,
  type Phase,
  PRE_HOOK_MS_MAX,
  STUCK_MS_MAX,
  type Step,
} from '../decide/ladder.js';
import { levelOf } from '../decide/limits.js';
import { sayEscalatingByRule, sayEscalatingWhy, sayStuck } from '../report/aftermath-messages.js';
import type { Log } from '../report/log.js';
import {
  sayDidNotExit,
  sayEscalating,
  sayExited,
  sayGroup,
  sayKillFailed,
  sayLowMemory,
  sayMemory,
  saySending,
} from '../report/messages.js';
import { sayNotWhole, sayWholeCgroup } from '../report/rule-messages.js';
import type { MemorySampler } from '../sample/memory-sampler.js';
import type { PressureTrigger } from '../sample/pressure-trigger.js';
import type { Outcome } from '../shared/incident.js';
import { copyLimits, LEVEL_KILL, LEVEL_NONE, type Level, type Limits } from '../shared/limits.js';
import type { Persona } from '../shared/options.js';
import { emptyVictim } from '../shared/victim.js';
import type { Aftermath } from './aftermath.js';
import type { PressureRules } from './pressure-rules.js';
import { ProcessList } from './process-list.js';
import type { Selector } from './selector.js';
import type { Shortlist } from './shortlist.js';
import type { TickFacts, Witness } from './witness.js';

/** While /proc/meminfo can't be read: look again this often, complain that often. */
const RETRY_MS = 100;
const COMPLAIN_MS = 10_000;

/** Where Node's event loop can't be polled, it gets a turn this often. */
const TURN_MS = 1000;

/** More turns than these in a row, and the loop is never done: then it gets one now and then, rather than spin. */
const TURNS_IN_A_ROW_MAX = 100;

/** While a hook is being started: its pid comes from another thread, so there is nothing to poll. Short while a kill waits for it. */
const STARTING_WAIT_MS = 20;
const PRE_HOOK_STARTING_WAIT_MS = 1;

/** While the victim dies: its pidfd wakes the guard; without one, and for process_mrelease's EAGAIN, this does. */
const DYING_WAIT_MS = 20;

/* Watching has no end, and terminating the admin's; but an Infinity in here would be garbage at each lookup, like any number that is not a small integer. */
const PHASE_MS_MAX: Record<Exclude<Phase, 'watching' | 'terminating'>, number> = {
  'pre-hook': PRE_HOOK_MS_MAX,
  killing: KILL_MS_MAX,
};

/** How the guard behaves, besides whom it selects. */
export interface GuardPolicy {
  persona: Persona;
  limits: Limits;
  dryrun: boolean;
  killGroup: boolean;
  /** From SIGTERM to SIGKILL, while memory is low. */
  killAfterMs: number;
  /** 0: no reports. */
  reportIntervalMs: number;
}

/** A copy of what the guard takes, made here for the reason that `copyLimits` gives. */
export function copyPolicy(from: GuardPolicy): GuardPolicy {
  const { persona, limits, dryrun, killGroup, killAfterMs, reportIntervalMs } = from;
  return { persona, limits: copyLimits(limits), dryrun, killGroup, killAfterMs, reportIntervalMs };
}

/** The parts that the guard is put together from (see start.ts). */
export interface GuardParts {
  log: Log;
  sampler: MemorySampler;
  cadence: Cadence;
  selector: Selector;
  shortlist: Shortlist | null;
  target: Target;
  hooks: Hooks;
  pollSet: PollSet;
  /** Wakes the guard, in this slot of the poll set; null where there is none. */
  pressure: PressureTrigger | null;
  pressureSlot: number;
  /** PSI rules, or null. */
  rules: PressureRules | null;
  /** The slot that watches Node's event loop; -1 where it can't be watched. */
  loopSlot: number;
  /** --kernel-oom, or null. */
  kernelOom: KernelOomKiller | null;
  setAside: ProcessList;
  /** What the own persona does about the memory that a kill gives back, or does not; null for earlyoom. */
  aftermath: Aftermath | null;
  /** Keeps what happens, for incident records and the trace. */
  witness: Witness;
}

export class Guard {
  private readonly victim = emptyVictim();
  /** Ignored a SIGTERM before: gets SIGKILL at once if it is chosen again. */
  private readonly stubborn = new ProcessList();
  /** How many victims have ended. */
  ended = 0;
  private phase: Phase = 'watching';
  private phaseSinceMs = A_FRACTION;
  private signalledMs = A_FRACTION;
  /** Since when each look has found the victim stuck in the kernel; in the future: it is not. */
  private stuckSinceMs = A_FRACTION;
  private pausedUntilMs = A_FRACTION;
  private nextReportMs = A_FRACTION;
  private nextComplaintMs = A_FRACTION;
  private waitMs = 0;
  private turnsInARow = 0;
  /** The kill that is under way is to take a rule's whole cgroup. */
  private wholeCgroup = false;
  /** Whether the event loop has timers running (guard/reload.ts): nothing else of it can be seen from outside. */
  takesTurns = false;
  /** When Node's event loop gets its next turn, where it can't be watched. */
  private turnAtMs = A_FRACTION;
  /** When this tick began. */
  private readonly now = new Moment();
  /** What the next step depends on: one object for all ticks. */
  private readonly facts: TickFacts = {
    level: LEVEL_NONE,
    victimGone: false,
    preHookDone: false,
    elapsedMs: A_FRACTION,
    paused: false,
    killAfterMs: 0,
    stuckMs: A_FRACTION,
    heldBack: false,
    levelOfRule: LEVEL_NONE,
  };

  /** `run`, as the event loop takes it. */
  private readonly again = (): void => this.run();

  constructor(
    private readonly policy: GuardPolicy,
    private readonly parts: GuardParts,
  ) {}

  /** Runs ticks for ever; returns to the event loop between two chains of them. */
  run(): void {
    // Nothing but the tick in this loop: it is entered once, and so never compiled.
    while (!this.tick());
    setImmediate(this.again);
  }

  /** Whether the ticks from now on are counted: the rehearsal's, many thousands in a row, are not. */
  countTicks(counts: boolean): void {
    this.parts.witness.state.countTicks(counts);
  }

  /** Whether a kill is under way. */
  get busy(): boolean {
    return this.phase !== 'watching';
  }

  /** Ends a pause: for the rehearsal, whose next kill need not wait for what has come of the last one. */
  endPause(): void {
    this.pausedUntilMs = A_FRACTION;
  }

  /** Has Node's event loop get its next turn at once where it can't be watched: for the rehearsal, which may last less than from one to the next. */
  hastenTurn(): void {
    this.turnAtMs = A_FRACTION;
  }

  /** One tick. Returns whether Node's event loop is to have a turn. */
  tick(): boolean {
    const { pollSet, hooks, sampler, cadence, shortlist, witness } = this.parts;
    const wasBusy = this.busy;
    witness.waits();
    const events = pollSet.wait(this.waitMs);
    const interrupted = events === -EINTR;
    const loopIsReady = this.noteLoop();
    this.now.update();
    witness.woke(events === 0, this.waitMs, this.now);
    this.servicePressure();
    hooks.service(this.now);
    const failure = sampler.sample();
    if (failure === null) this.observe();
    else this.complain();
    const level = failure === null ? this.judge() : LEVEL_NONE;
    const step = this.nextStep(level);
    this.perform(step, level);
    // Whoever was killed, and why ever, or not: a rule needs new reasons for the next one.
    if (this.phase === 'watching' && (wasBusy || step === 'select')) this.parts.rules?.restart(this.now);
    if (this.phase === 'watching' && level === LEVEL_NONE && failure === null) this.report();
    shortlist?.advance(cadence, this.now);
    this.waitMs = failure === null ? this.nextWaitMs() : RETRY_MS;
    // The cadence has looked at SIGKILL's limits so far, which may be far below.
    if (wasBusy && !this.busy) this.waitMs = 0;
    const blind = (this.parts.loopSlot === -1 || this.takesTurns) && this.now.ms >= this.turnAtMs;
    if (blind) this.turnAtMs = this.now.ms + TURN_MS;
    witness.ticked(this.phase, level, failure === null, this.waitMs, this.now);
    return interrupted || loopIsReady || hooks.starting || blind;
  }

  /** Whether Node's event loop has something to do. */
  private noteLoop(): boolean {
    const { pollSet, loopSlot } = this.parts;
    const ready = loopSlot >= 0 && pollSet.revents(loopSlot) !== 0;
    this.turnsInARow = ready ? this.turnsInARow + 1 : 0;
    if (this.turnsInARow > TURNS_IN_A_ROW_MAX) {
      pollSet.clear(loopSlot);
      this.parts.loopSlot = -1;
    }
    return ready;
  }

  /** Being woken is all that pressure does; a trigger that is lost would wake the guard without end. */
  private servicePressure(): void {
    const { pressure, pressureSlot, pollSet, log } = this.parts;
    if (pressure === null || pressure.handle(pollSet.revents(pressureSlot)) !== 'lost') return;
    pollSet.clear(pressureSlot);
    this.parts.pressure = null;
    this.parts.witness.failed('trigger', 0);
    log.say('warn', 'the PSI trigger was lost: memory pressure does not wake the guard any more');
  }

  /** Has the cadence take in the sample. */
  private observe(): void {
    const { cadence, sampler } = this.parts;
    cadence.observe(sampler.memory, this.policy.limits, this.phase === 'terminating', this.now);
  }

  /** The level, by the limits or by a PSI rule. A rule's kill goes on as long as the rule has its reasons. */
  private judge(): Level {
    const { sampler, rules } = this.parts;
    const { facts } = this;
    const byLimits = levelOf(sampler.memory, this.policy.limits);
    facts.levelOfRule = LEVEL_NONE;
    if (rules === null) return byLimits;
    if (this.busy) facts.levelOfRule = rules.follow(sampler.memory, this.phase === 'terminating', this.now);
    else if (byLimits === LEVEL_NONE) facts.levelOfRule = rules.look(sampler.memory, this.now);
    // Not looked at: that would come between the crossing and the signal, and a kill makes them begin anew.
    else rules.yieldToLimits();
    return higher(byLimits, facts.levelOfRule);
  }

  /** The same after memory alone was sampled once more. */
  private judgeAgain(): Level {
    const { sampler, rules } = this.parts;
    const byLimits = levelOf(sampler.memory, this.policy.limits);
    return rules === null ? byLimits : higher(byLimits, rules.recheck(sampler.memory));
  }

  private nextStep(level: Level): Step {
    const { facts, phase } = this;
    facts.level = level;
    facts.victimGone = phase !== 'watching' && !this.policy.dryrun && this.parts.target.hasExited();
    facts.preHookDone = this.parts.hooks.beforeKillDone;
    facts.elapsedMs = this.now.ms - this.phaseSinceMs;
    facts.heldBack = this.holdsBack(level);
    facts.paused = this.now.ms < this.pausedUntilMs || facts.heldBack;
    facts.killAfterMs = this.policy.killAfterMs;
    this.noteStuck();
    const step = nextStep(phase, facts);
    this.parts.witness.looked(phase, facts, step, this.now);
    return step;
  }

  /** Whether memory is low and yet nobody is to be killed for it now. A rule's reason is another one: memory need not be low. */
  private holdsBack(level: Level): boolean {
    const { aftermath } = this.parts;
    if (aftermath === null || this.phase !== 'watching' || level === LEVEL_NONE) return false;
    if (this.facts.levelOfRule !== LEVEL_NONE) return false;
    return aftermath.holdsBack(level, this.now);
  }

  /** Looks whether a victim that has got SIGKILL is stuck in the kernel. earlyoom does not. */
  private noteStuck(): void {
    const { facts, phase, now } = this;
    const stuck =
      phase === 'killing' && this.parts.aftermath !== null && !facts.victimGone && this.parts.target.isStuck();
    if (!stuck) this.stuckSinceMs = now.ms;
    facts.stuckMs = now.ms - this.stuckSinceMs;
  }

  private perform(step: Step, level: Level): void {
    switch (step) {
      case 'wait':
        if (this.phase === 'killing') this.release();
        return;
      case 'select':
        // The kernel's OOM killer knows nothing of a rule's cgroup.
        if (this.parts.kernelOom === null || (this.parts.rules?.cgroup ?? null) !== null) return this.select(level);
        return this.callKernelOom(level);
      case 'signal':
        return this.signal(level);
      case 'let-go':
        return this.letGo();
      case 'escalate-by-limit':
        return this.escalate(true);
      case 'escalate-by-time':
        return this.escalate(false);
      case 'exited':
        return this.exited();
      case 'give-up':
        return this.giveUp();
    }
  }

  /** Finds the victim, looks at memory once more, and begins the kill. */
  private select(level: Level): void {
    const { log, sampler, selector, target, hooks, witness } = this.parts;
    this.signalledMs = this.now.ms;
    witness.crossed(level, this.parts.rules?.firedName ?? null, this.now);
    sayMemory(log, 'warn', sampler.memory);
    this.sayReason(level);
    const row = this.selectRow();
    if (log.debugEnabled) selector.debug(log);
    // The scan takes milliseconds, in which the hog may have ended by itself.
    sampler.sample();
    const levelNow = this.judgeAgain();
    witness.selected(levelNow, row, this.victim);
    if (levelNow === LEVEL_NONE) {
      witness.cameToNothing();
      log.say('warn', 'memory situation has recovered while selecting victim');
      return;
    }
    if (row === -1) return this.nobody();
    selector.describe(row, this.victim);
    if (this.parts.aftermath?.forbids(this.victim, levelNow, this.now)) {
      witness.spared();
      return hooks.notify('Shared memory (tmpfs) fills memory: killing would not help', this.now);
    }
    this.wholeCgroup = this.mayKillWholeCgroup(true);
    saySending(log, this.signalFor(levelNow) === SIGKILL ? 'SIGKILL' : 'SIGTERM', this.victim);
    // A group may reach beyond the cgroup.
    const inCgroup = (this.parts.rules?.cgroup ?? null) !== null;
    const group = this.policy.killGroup && !inCgroup ? selector.groupOf(row) : null;
    if (group !== null) sayGroup(log, group.pgid, group.members.length);
    // A dry run may look at a tree whose pids are nobody's here.
    const opened = this.policy.dryrun ? 0 : target.open(this.victim, group);
    if (opened < 0) return this.failed(-opened);
    if (!hooks.runBeforeKill(this.victim, this.now)) return this.signal(levelNow);
    witness.hookStarted();
    this.enter('pre-hook');
  }

  private sayReason(level: Level): void {
    const { log, rules } = this.parts;
    if (rules?.haveFired === true) rules.sayFired();
    else sayLowMemory(log, level, this.policy.limits);
  }

  /** The victim's row, of all processes or of those in the cgroup whose rule has fired; -1 for nobody. */
  private selectRow(): number {
    const { selector, rules } = this.parts;
    if (rules === null || rules.cgroup === null) return selector.select();
    return rules.readProcesses() < 0 ? -1 : selector.selectAmong(rules.processes);
  }

  /**
   * Whether all of a cgroup is to be killed, and nobody in it must not be. The selector's table holds them.
   * @param tells  says so; if not, only why not
   */
  private mayKillWholeCgroup(tells: boolean): boolean {
    const { log, selector, rules } = this.parts;
    if (rules === null || rules.cgroup === null || !rules.wantsWhole) return false;
    const row = selector.firstProtected();
    const whole = row === -1 && !rules.processes.incomplete;
    if (whole && tells) sayWholeCgroup(log, rules.cgroup, rules.processes.count);
    if (!whole)
      sayNotWhole(log, rules.cgroup, selector.table, row, row === -1 ? '' : (selector.protection(row) as string));
    return whole;
  }

  /** Kills the whole cgroup, after another look at who is in it: the hooks have had their time since. */
  private killWholeCgroup(): void {
    const { log, selector, rules } = this.parts;
    if (rules === null || rules.cgroup === null) return;
    if (rules.readProcesses() < 0 || selector.selectAmong(rules.processes) === -1) return;
    if (!this.mayKillWholeCgroup(false)) return;
    const result = rules.killCgroup();
    if (result === 0) return;
    log.begin('warn').text('cgroup.kill: ').text(strerror(-result)).text('; killing its largest process');
    log.end();
  }

  /** Verifies the victim and sends it the signal that the level asks for. */
  private signal(level: Level): void {
    const { log, target } = this.parts;
    if (this.policy.dryrun) {
      log.say('warn', 'dryrun, not actually sending any signal');
      this.pausedUntilMs = this.now.ms + PAUSE_MS;
      return this.finish('dry run');
    }
    this.signalledMs = this.now.ms;
    if (!target.verify()) return this.exited();
    const signal = this.signalFor(level);
    if (this.wholeCgroup && signal === SIGKILL) this.killWholeCgroup();
    // After cgroup.kill once more by itself: it costs nothing, and the victim is killed where that has failed.
    const result = target.signal(signal);
    if (result < 0) return this.failed(-result);
    this.parts.witness.signalled(signal, this.now);
    this.parts.aftermath?.signalled(this.victim);
    if (signal === SIGTERM) this.parts.rules?.asked(this.parts.sampler.memory, this.now);
    this.enter(signal === SIGKILL ? 'killing' : 'terminating');
    this.release();
  }

  /** SIGKILL below its limits, and for whoever has ignored a SIGTERM before. */
  private signalFor(level: Level): number {
    const stubborn = this.stubborn.has(this.victim.pid, this.victim.startTimeTicks);
    return asksNoMore(level, stubborn) ? SIGKILL : SIGTERM;
  }

  private escalate(byLimit: boolean): void {
    const { log, sampler } = this.parts;
    const { limits, killAfterMs } = this.policy;
    const afterMs = this.now.ms - this.signalledMs;
    const byRule = byLimit && levelOf(sampler.memory, limits) !== LEVEL_KILL;
    if (this.policy.persona === 'earlyoom') sayEscalating(log, afterMs);
    else if (byRule) sayEscalatingByRule(log, afterMs);
    else sayEscalatingWhy(log, afterMs, byLimit, killAfterMs);
    const result = this.parts.target.signal(SIGKILL);
    if (result < 0) return this.failed(-result);
    this.parts.witness.signalled(SIGKILL, this.now);
    this.enter('killing');
    this.release();
  }

  /** Has the kernel free the victim's memory without waiting for the victim. */
  private release(): void {
    const { log, target } = this.parts;
    const result = target.release();
    if (result !== null) this.parts.witness.released();
    if (result === null || !log.debugEnabled) return;
    log
      .begin('debug')
      .text('process_mrelease: ')
      .text(result === 0 ? 'success' : strerror(-result));
    log.end();
  }

  private exited(): void {
    const { log, sampler, aftermath } = this.parts;
    this.ended++;
    sayExited(log, this.victim.pid, this.now.ms - this.signalledMs);
    const signalled = this.phase === 'terminating' || this.phase === 'killing';
    // With more than one victim (-g) the figures would not belong together.
    if (signalled && aftermath !== null && sampler.sample() === null) {
      aftermath.exited(this.victim, !this.policy.killGroup, this.now);
      this.parts.witness.freed(aftermath.gaveBackKib);
    }
    this.finish('exited');
  }

  /** Memory has come back before the signal was sent. */
  private letGo(): void {
    this.parts.log.say('warn', 'memory situation has recovered while selecting victim');
    this.parts.target.close();
    this.phase = 'watching';
  }

  /** The victim outlives its signal. After SIGTERM memory is fine, so that is all; after SIGKILL it is put aside. */
  private giveUp(): void {
    const { pid, startTimeTicks } = this.victim;
    if (this.facts.stuckMs >= STUCK_MS_MAX) sayStuck(this.parts.log, pid);
    else sayDidNotExit(this.parts.log, pid);
    if (this.phase === 'killing') {
      this.parts.setAside.add(pid, startTimeTicks);
      sayKillFailed(this.parts.log, strerror(ETIME));
      this.parts.hooks.notify('Error: Failed to kill process', this.now);
    } else {
      this.stubborn.add(pid, startTimeTicks);
    }
    this.finish(this.phase === 'killing' ? 'outlived SIGKILL' : 'outlived SIGTERM');
  }

  /** A system call of the kill failed. A process that is gone already is no failure. */
  private failed(errno: number): void {
    const { log, hooks } = this.parts;
    if (errno === ESRCH) return this.exited();
    sayKillFailed(log, strerror(errno));
    hooks.notify('Error: Failed to kill process', this.now);
    if (errno === EPERM) this.refused();
    this.pausedUntilMs = this.now.ms + PAUSE_MS;
    this.finish('failed', errno);
  }

  /** The victim is not this guard's to kill. earlyoom asks for it again and again; the own persona takes the next one. */
  private refused(): void {
    const { log, setAside } = this.parts;
    if (this.policy.persona === 'earlyoom') return log.say('warn', 'sleeping 1 second');
    setAside.add(this.victim.pid, this.victim.startTimeTicks);
    log.begin('warn').text('process ').integer(this.victim.pid).text(' is put aside: others are chosen from now on');
    log.end();
  }

  private nobody(): void {
    const text = 'Could not find a process to kill. Sleeping 1 second.';
    this.parts.log.say('warn', text);
    this.parts.witness.foundNobody();
    this.parts.hooks.notify(`Error: ${text}`, this.now);
    this.pausedUntilMs = this.now.ms + PAUSE_MS;
  }

  private callKernelOom(level: Level): void {
    const { log, sampler, kernelOom, hooks, witness } = this.parts;
    const rule = this.parts.rules?.firedName ?? null;
    sayMemory(log, 'warn', sampler.memory);
    this.sayReason(level);
    this.pausedUntilMs = this.now.ms + PAUSE_MS;
    if (this.policy.dryrun) {
      witness.kernelOomCalled(rule, true);
      return log.say('warn', 'dryrun, not triggering the kernel OOM killer');
    }
    const result = (kernelOom as KernelOomKiller).trigger();
    if (result < 0) {
      log.begin('warn').text('kernel OOM killer: failed to write to sysrq-trigger: ').text(strerror(-result));
      log.end();
      log.say('warn', 'killing on our own from now on');
      witness.kernelOomFailed(-result);
      this.parts.kernelOom = null;
      this.pausedUntilMs = 0;
      return;
    }
    witness.kernelOomCalled(rule, false);
    log.say('warn', 'successfully triggered kernel OOM killer');
    hooks.notify('Low memory! Triggered kernel OOM killer', this.now);
  }

  /** The kill is over, one way or the other. */
  private finish(outcome: Outcome, errno = 0): void {
    this.parts.target.close();
    this.phase = 'watching';
    this.wholeCgroup = false;
    this.parts.witness.ended(outcome, errno, this.now);
    this.parts.hooks.runAfterKill(this.victim, this.now);
  }

  private enter(phase: Phase): void {
    this.phase = phase;
    this.phaseSinceMs = this.now.ms;
  }

  private report(): void {
    if (this.policy.reportIntervalMs === 0 || this.now.ms < this.nextReportMs) return;
    sayMemory(this.parts.log, 'report', this.parts.sampler.memory);
    this.nextReportMs = this.now.ms + this.policy.reportIntervalMs;
  }

  private complain(): void {
    this.parts.witness.lookFailed();
    if (this.now.ms < this.nextComplaintMs) return;
    this.parts.witness.failed('meminfo', 0);
    this.parts.log.say('warn', '/proc/meminfo could not be read, trying again');
    this.nextComplaintMs = this.now.ms + COMPLAIN_MS;
  }

  private nextWaitMs(): number {
    const { cadence, hooks } = this.parts;
    let wait = cadence.waitMs;
    if (this.parts.rules !== null) wait = Math.min(wait, this.parts.rules.waitMs);
    if (this.now.ms < this.pausedUntilMs) wait = Math.min(this.pausedUntilMs - this.now.ms, WAIT_MS_MAX);
    if (this.phase === 'killing') wait = DYING_WAIT_MS;
    if (hooks.starting) wait = Math.min(wait, this.phase === 'pre-hook' ? PRE_HOOK_STARTING_WAIT_MS : STARTING_WAIT_MS);
    if (this.phase === 'watching') return Math.ceil(wait);
    const phaseMsMax = this.phase === 'terminating' ? this.policy.killAfterMs : PHASE_MS_MAX[this.phase];
    const phaseLeft = this.phaseSinceMs + phaseMsMax - this.now.ms;
    return Math.ceil(Math.max(0, Math.min(wait, phaseLeft)));
  }
}

function higher(a: Level, b: Level): Level {
  return a > b ? a : b;
}
