/*
 * What the own persona does besides earlyoom's ladder: it compares what came back with what was expected, holds back
 * while memory comes back (decide/recovery.ts), and stops killing where that can't help (decide/shared-memory.ts).
 *
 * When kills are futile, nobody is killed at the SIGTERM limits. At the SIGKILL limits one kill is tried in each
 * incident, because the reckoning may be wrong and the kernel's OOM killer is near; then the guard pauses. It looks again
 * when processes have got RECHECK_KIB more, which is what a hog looks like, and every RECHECK_MS. A minute without low memory
 * ends the incident.
 */
import { A_FRACTION, type Moment } from '../../native-shims/clock.js';
import { HIDDEN_MS_MAX, Recovery } from '../decide/recovery.js';
import { killsAreFutile, neededKib } from '../decide/shared-memory.js';
import { sayFutile, sayGaveBack, sayHoldsBack } from '../report/aftermath-messages.js';
import type { Log } from '../report/log.js';
import type { AllocationClock } from '../sample/allocation-clock.js';
import type { FreeLists } from '../sample/free-lists.js';
import type { MemorySampler } from '../sample/memory-sampler.js';
import type { TmpfsUsage } from '../sample/tmpfs-usage.js';
import { LEVEL_KILL, type Level, type Limits } from '../shared/limits.js';
import type { Victim } from '../shared/victim.js';
import type { KillSurvey } from './kill-survey.js';

const RECHECK_KIB = 16384;
const RECHECK_MS = 2000;
const INCIDENT_MS = HIDDEN_MS_MAX;
/** Reading the CPUs' lists may take a fiftieth of a core. */
const READ_SHARE_MAX = 0.02;
const READ_INTERVAL_MS_MAX = 100;
/** Of what a victim has given back. */
const NOT_MEASURED = -1;

/** What it asks; null where the kernel does not tell. */
export interface Instruments {
  sampler: MemorySampler;
  freeLists: FreeLists | null;
  /** What a read of `freeLists` costs, ms. */
  readCostMs: number;
  allocation: AllocationClock | null;
  survey: KillSurvey | null;
  tmpfs: TmpfsUsage;
}

export class Aftermath {
  private readonly recovery = new Recovery();
  /** What the last victim has given back; NOT_MEASURED where the figures don't belong together. */
  gaveBackKib = NOT_MEASURED;
  private readonly readIntervalMs: number;
  private readAtMs = A_FRACTION;
  private hiddenKib = 0;
  private anonAtReadKib = 0;
  private saidHoldsBack = false;
  private allocatedBeforeKib = A_FRACTION;
  private futile = false;
  private triedKill = false;
  private lookedAtMs = A_FRACTION;
  private recheckAtMs = A_FRACTION;
  private anonAtCheckKib = 0;

  constructor(
    private readonly policy: { limits: Limits },
    private readonly log: Log,
    private readonly parts: Instruments,
  ) {
    this.readIntervalMs = Math.min(parts.readCostMs / READ_SHARE_MAX, READ_INTERVAL_MS_MAX);
  }

  /** The victim has got its first signal. */
  signalled(victim: Victim): void {
    const { sampler, allocation } = this.parts;
    this.recovery.signalled(sampler.memory, victim.anonKib);
    this.allocatedBeforeKib = allocation?.read() === true ? allocation.allocatedKib : 0;
  }

  /** The victim has ended; `sampler` has looked since. Says what came back, where the figures belong together. */
  exited(victim: Victim, says: boolean, now: Moment): void {
    const { sampler, allocation } = this.parts;
    this.recovery.exited(sampler.memory, now);
    this.saidHoldsBack = false;
    this.gaveBackKib = NOT_MEASURED;
    if (!says || victim.anonKib < 0) return;
    const since = allocation?.read() === true ? allocation.allocatedKib - this.allocatedBeforeKib : 0;
    const verdict = this.recovery.verdict(sampler.memory, since);
    this.gaveBackKib = this.recovery.gaveBackKib(sampler.memory);
    sayGaveBack(this.log, this.gaveBackKib, victim.anonKib, verdict, since);
  }

  /** Whether nobody is to be selected, though memory is at its limits. */
  holdsBack(level: Level, now: Moment): boolean {
    if (this.recovery.isRecent(now) && this.memoryComesBack(now)) return true;
    return this.futile && this.staysFutile(level, now);
  }

  /** Whether the kill that was just chosen is not to be made, because neither it nor another one would help. */
  forbids(victim: Victim, level: Level, now: Moment): boolean {
    this.beginIncident(now);
    const needed = neededKib(this.parts.sampler.memory, this.policy.limits);
    if (victim.rssKib >= needed || !this.killsAreFutile(needed)) {
      this.futile = false;
      return false;
    }
    if (!this.futile) this.sayFutile();
    this.futile = true;
    if (level === LEVEL_KILL && !this.triedKill) {
      this.triedKill = true;
      return false;
    }
    this.pause(now);
    return true;
  }

  /**
   * Goes through all of it once, as after a kill at this moment. For an instance of its own, whose log is quiet.
   * @param surveys  walks through all processes, too
   */
  rehearse(victim: Victim, surveys: boolean, now: Moment): void {
    const { sampler, survey, tmpfs } = this.parts;
    this.signalled(victim);
    this.exited(victim, true, now);
    this.futile = true;
    this.holdsBack(LEVEL_KILL, now);
    victim.rssKib = Number.MAX_SAFE_INTEGER;
    this.forbids(victim, LEVEL_KILL, now);
    if (!surveys) return;
    survey?.look(1);
    tmpfs.read();
    sayFutile(this.log, sampler.shmemKib(), survey?.found.sumKib ?? 0, tmpfs);
  }

  private memoryComesBack(now: Moment): boolean {
    this.readHidden(now);
    if (!this.recovery.holdsBack(this.parts.sampler.memory, this.policy.limits, this.hiddenKib, now)) return false;
    if (!this.saidHoldsBack) sayHoldsBack(this.log, this.hiddenKib);
    this.saidHoldsBack = true;
    return true;
  }

  /** Reads the CPUs' lists, or, if that was done just now, takes from them what processes have got since. */
  private readHidden(now: Moment): void {
    const { freeLists, sampler } = this.parts;
    if (freeLists === null) return;
    const { anonPagesKib } = sampler.memory;
    if (now.ms - this.readAtMs >= this.readIntervalMs) {
      this.hiddenKib = freeLists.read();
      this.readAtMs = now.ms;
    } else if (anonPagesKib > this.anonAtReadKib) {
      this.hiddenKib = Math.max(0, this.hiddenKib - (anonPagesKib - this.anonAtReadKib));
    }
    this.anonAtReadKib = anonPagesKib;
  }

  private staysFutile(level: Level, now: Moment): boolean {
    this.beginIncident(now);
    if (level === LEVEL_KILL && !this.triedKill) return false;
    const grown = this.parts.sampler.memory.anonPagesKib - this.anonAtCheckKib >= RECHECK_KIB;
    if (!grown && now.ms < this.recheckAtMs) return true;
    this.futile = this.killsAreFutile(neededKib(this.parts.sampler.memory, this.policy.limits));
    if (this.futile) this.pause(now);
    return this.futile;
  }

  /** Asks the processes only if shared memory could explain the shortage. */
  private killsAreFutile(needed: number): boolean {
    const { sampler, survey } = this.parts;
    const shmemKib = sampler.shmemKib();
    if (survey === null || shmemKib < needed) return false;
    survey.look(needed);
    return killsAreFutile(needed, shmemKib, survey.found);
  }

  private sayFutile(): void {
    const { sampler, survey, tmpfs } = this.parts;
    tmpfs.read();
    sayFutile(this.log, sampler.shmemKib(), survey?.found.sumKib ?? 0, tmpfs);
  }

  private pause(now: Moment): void {
    this.anonAtCheckKib = this.parts.sampler.memory.anonPagesKib;
    this.recheckAtMs = now.ms + RECHECK_MS;
  }

  private beginIncident(now: Moment): void {
    if (now.ms - this.lookedAtMs >= INCIDENT_MS) {
      this.futile = false;
      this.triedKill = false;
    }
    this.lookedAtMs = now.ms;
  }
}
