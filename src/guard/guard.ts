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
  type LadderFacts,
  nextStep,
  PAUSE_MS,
  type Phase,
  PRE_HOOK_MS_MAX,
  type Step,
  TERM_MS_MAX,
} from '../decide/ladder.js';
import { levelOf } from '../decide/limits.js';
import type { Log } from '../report/log.js';
import {
  sayDidNotExit,
  sayEscalating,
  sayExited,
  sayGaveBack,
  sayGroup,
  sayKillFailed,
  sayLowMemory,
  sayMemory,
  saySending,
} from '../report/messages.js';
import type { MemorySampler } from '../sample/memory-sampler.js';
import type { PressureTrigger } from '../sample/pressure-trigger.js';
import type { Outcome } from '../shared/incident.js';
import { LEVEL_NONE, type Level, type Limits } from '../shared/limits.js';
import type { Persona } from '../shared/options.js';
import { emptyVictim } from '../shared/victim.js';
import { ProcessList } from './process-list.js';
import type { Selector } from './selector.js';
import type { Shortlist } from './shortlist.js';
import type { Witness } from './witness.js';

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

/* Watching has no end; but an Infinity in here would be garbage at each lookup, like any number that is not a small integer. */
const PHASE_MS_MAX: Record<Exclude<Phase, 'watching'>, number> = {
  'pre-hook': PRE_HOOK_MS_MAX,
  terminating: TERM_MS_MAX,
  killing: KILL_MS_MAX,
};

/** How the guard behaves, besides whom it selects. */
export interface GuardPolicy {
  persona: Persona;
  limits: Limits;
  dryrun: boolean;
  killGroup: boolean;
  /** 0: no reports. */
  reportIntervalMs: number;
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
  /** The slot that watches Node's event loop; -1 where it can't be watched. */
  loopSlot: number;
  /** --kernel-oom, or null. */
  kernelOom: KernelOomKiller | null;
  setAside: ProcessList;
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
  /** AnonPages when the victim got its first signal: MemAvailable lags behind by a second and more (the CPUs' own free pages). */
  private anonBeforeKib = 0;
  private pausedUntilMs = A_FRACTION;
  private nextReportMs = A_FRACTION;
  private nextComplaintMs = A_FRACTION;
  private waitMs = 0;
  private turnsInARow = 0;
  /** When Node's event loop gets its next turn, where it can't be watched. */
  private turnAtMs = A_FRACTION;
  /** When this tick began. */
  private readonly now = new Moment();
  /** What the next step depends on: one object for all ticks. */
  private readonly facts: LadderFacts = {
    level: LEVEL_NONE,
    victimGone: false,
    preHookDone: false,
    elapsedMs: A_FRACTION,
    paused: false,
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

  /** Whether a kill is under way. */
  get busy(): boolean {
    return this.phase !== 'watching';
  }

  /** One tick. Returns whether Node's event loop is to have a turn. */
  tick(): boolean {
    const { pollSet, hooks, sampler, cadence, shortlist } = this.parts;
    const wasBusy = this.busy;
    const interrupted = pollSet.wait(this.waitMs) === -EINTR;
    const loopIsReady = this.noteLoop();
    this.now.update();
    this.servicePressure();
    hooks.service(this.now);
    const failure = sampler.sample();
    if (failure === null) this.observe();
    else this.complain();
    const level = failure === null ? levelOf(sampler.memory, this.policy.limits) : LEVEL_NONE;
    this.perform(this.nextStep(level), level);
    if (this.phase === 'watching' && level === LEVEL_NONE && failure === null) this.report();
    shortlist?.advance(cadence, this.now);
    this.waitMs = failure === null ? this.nextWaitMs() : RETRY_MS;
    // The cadence has looked at SIGKILL's limits so far, which may be far below.
    if (wasBusy && !this.busy) this.waitMs = 0;
    const blind = this.parts.loopSlot === -1 && this.now.ms >= this.turnAtMs;
    if (blind) this.turnAtMs = this.now.ms + TURN_MS;
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
    log.say('warn', 'the PSI trigger was lost: memory pressure does not wake the guard any more');
  }

  /** Has the cadence take in the sample. */
  private observe(): void {
    const { cadence, sampler } = this.parts;
    cadence.observe(sampler.memory, this.policy.limits, this.phase === 'terminating', this.now);
  }

  private nextStep(level: Level): Step {
    const { facts, phase } = this;
    facts.level = level;
    facts.victimGone = phase !== 'watching' && !this.policy.dryrun && this.parts.target.hasExited();
    facts.preHookDone = this.parts.hooks.beforeKillDone;
    facts.elapsedMs = this.now.ms - this.phaseSinceMs;
    facts.paused = this.now.ms < this.pausedUntilMs;
    const step = nextStep(phase, facts);
    this.parts.witness.looked(phase, facts, step, this.now);
    return step;
  }

  private perform(step: Step, level: Level): void {
    switch (step) {
      case 'wait':
        if (this.phase === 'killing') this.release();
        return;
      case 'select':
        return this.parts.kernelOom === null ? this.select(level) : this.callKernelOom(level);
      case 'signal':
        return this.signal(level);
      case 'let-go':
        return this.letGo();
      case 'escalate-by-limit':
      case 'escalate-by-time':
        return this.escalate();
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
    witness.crossed(level, null, this.now);
    sayMemory(log, 'warn', sampler.memory);
    sayLowMemory(log, level, this.policy.limits);
    const row = selector.select();
    if (log.debugEnabled) selector.debug(log);
    // The scan takes milliseconds, in which the hog may have ended by itself.
    sampler.sample();
    const levelNow = levelOf(sampler.memory, this.policy.limits);
    witness.selected(levelNow, row, this.victim);
    if (levelNow === LEVEL_NONE) {
      witness.cameToNothing();
      log.say('warn', 'memory situation has recovered while selecting victim');
      return;
    }
    if (row === -1) return this.nobody();
    selector.describe(row, this.victim);
    saySending(log, this.signalFor(levelNow) === SIGKILL ? 'SIGKILL' : 'SIGTERM', this.victim);
    const group = this.policy.killGroup ? selector.groupOf(row) : null;
    if (group !== null) sayGroup(log, group.pgid, group.members.length);
    // A dry run may look at a tree whose pids are nobody's here.
    const opened = this.policy.dryrun ? 0 : target.open(this.victim, group);
    if (opened < 0) return this.failed(-opened);
    if (!hooks.runBeforeKill(this.victim, this.now)) return this.signal(levelNow);
    witness.hookStarted();
    this.enter('pre-hook');
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
    const result = target.signal(signal);
    if (result < 0) return this.failed(-result);
    this.parts.witness.signalled(signal, this.now);
    this.anonBeforeKib = this.parts.sampler.memory.anonPagesKib;
    this.enter(signal === SIGKILL ? 'killing' : 'terminating');
    this.release();
  }

  /** SIGKILL below its limits, and for whoever has ignored a SIGTERM before. */
  private signalFor(level: Level): number {
    const stubborn = this.stubborn.has(this.victim.pid, this.victim.startTimeTicks);
    return asksNoMore(level, stubborn) ? SIGKILL : SIGTERM;
  }

  private escalate(): void {
    sayEscalating(this.parts.log, this.now.ms - this.signalledMs);
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
    const { log, sampler } = this.parts;
    this.ended++;
    sayExited(log, this.victim.pid, this.now.ms - this.signalledMs);
    // earlyoom has no such line. With more than one victim (-g) the figures would not belong together.
    const signalled = this.phase === 'terminating' || this.phase === 'killing';
    const tells = this.policy.persona === 'oom-backstop' && !this.policy.killGroup && this.victim.anonKib >= 0;
    if (signalled && tells && sampler.sample() === null) {
      sayGaveBack(log, Math.max(0, this.anonBeforeKib - sampler.memory.anonPagesKib), this.victim.anonKib);
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
    sayDidNotExit(this.parts.log, pid);
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
    this.parts.witness.cameToNothing();
    this.parts.hooks.notify(`Error: ${text}`, this.now);
    this.pausedUntilMs = this.now.ms + PAUSE_MS;
  }

  private callKernelOom(level: Level): void {
    const { log, sampler, kernelOom, hooks } = this.parts;
    sayMemory(log, 'warn', sampler.memory);
    sayLowMemory(log, level, this.policy.limits);
    this.pausedUntilMs = this.now.ms + PAUSE_MS;
    if (this.policy.dryrun) return log.say('warn', 'dryrun, not triggering the kernel OOM killer');
    const result = (kernelOom as KernelOomKiller).trigger();
    if (result < 0) {
      log.begin('warn').text('kernel OOM killer: failed to write to sysrq-trigger: ').text(strerror(-result));
      log.end();
      log.say('warn', 'killing on our own from now on');
      this.parts.kernelOom = null;
      this.pausedUntilMs = 0;
      return;
    }
    log.say('warn', 'successfully triggered kernel OOM killer');
    hooks.notify('Low memory! Triggered kernel OOM killer', this.now);
  }

  /** The kill is over, one way or the other. */
  private finish(outcome: Outcome, errno = 0): void {
    this.parts.target.close();
    this.phase = 'watching';
    this.parts.witness.ended(outcome, errno);
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
    this.parts.log.say('warn', '/proc/meminfo could not be read, trying again');
    this.nextComplaintMs = this.now.ms + COMPLAIN_MS;
  }

  private nextWaitMs(): number {
    const { cadence, hooks } = this.parts;
    let wait = cadence.waitMs;
    if (this.now.ms < this.pausedUntilMs) wait = Math.min(this.pausedUntilMs - this.now.ms, WAIT_MS_MAX);
    if (this.phase === 'killing') wait = DYING_WAIT_MS;
    if (hooks.starting) wait = Math.min(wait, this.phase === 'pre-hook' ? PRE_HOOK_STARTING_WAIT_MS : STARTING_WAIT_MS);
    if (this.phase === 'watching') return Math.ceil(wait);
    const phaseLeft = this.phaseSinceMs + PHASE_MS_MAX[this.phase] - this.now.ms;
    return Math.ceil(Math.max(0, Math.min(wait, phaseLeft)));
  }
}
