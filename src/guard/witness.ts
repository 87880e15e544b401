/*
 * Whom the guard tells what happens: a few words at the turns of a kill. It passes them on to the incident record and to the
 * trace and to the state page with its events, and sees to it that whatever takes time comes after the signal.
 */
import type { Moment } from '../../native-shims/clock.js';
import type { LadderFacts, Phase, Step } from '../decide/ladder.js';
import type { ErrorName } from '../shared/event.js';
import type { Outcome } from '../shared/incident.js';
import { LEVEL_NONE, type Level } from '../shared/limits.js';
import type { Victim } from '../shared/victim.js';
import type { IncidentRecorder } from './incident.js';
import type { StateRecorder } from './state-recorder.js';
import type { TraceRecorder } from './trace.js';

/** What a tick has found. */
export interface TickFacts extends LadderFacts {
  /** Nobody is selected because memory comes back, or because no kill would help. */
  heldBack: boolean;
  /** What a PSI rule asks for. */
  levelOfRule: Level;
}

export class Witness {
  private signalIsOut = false;

  /** @param trace  null without --record */
  constructor(
    private readonly incident: IncidentRecorder,
    private readonly trace: TraceRecorder | null,
    readonly state: StateRecorder,
  ) {}

  /** The guard is about to wait: the tick before is over. */
  waits(): void {
    this.state.waits();
  }

  /** It has waited. `timedOut`: nothing but the end of `waitMs` has woken it. */
  woke(timedOut: boolean, waitMs: number, now: Moment): void {
    this.state.woke(timedOut, waitMs, now);
  }

  /** All of a tick is done. `sampled`: memory could be read, else there is no level. */
  ticked(phase: Phase, level: Level, sampled: boolean, waitMs: number, now: Moment): void {
    this.state.ticked(phase, level, sampled, waitMs, now);
  }

  /** Memory could not be read at this tick. */
  lookFailed(): void {
    this.trace?.lookFailed();
    this.state.lookFailed();
  }

  /** Something that the guard could not do, besides a kill; `errno`: 0 if there is none. */
  failed(what: ErrorName, errno: number): void {
    this.state.failed(what, errno);
  }

  /** Each tick, between deciding and doing. */
  looked(phase: Phase, facts: TickFacts, step: Step, now: Moment): void {
    this.trace?.looked(phase, facts, step, now);
    this.incident.looked(facts.level, now);
    this.state.looked(phase, facts, facts.levelOfRule !== LEVEL_NONE, now);
    const dying = this.signalIsOut && !facts.victimGone;
    if (dying || step === 'let-go') this.collect();
  }

  /** A limit was crossed, or `rule` asks for a kill. */
  crossed(level: Level, rule: string | null, now: Moment): void {
    this.signalIsOut = false;
    this.incident.crossed(level, rule, now);
    this.state.crossed(rule, now);
  }

  /** The selection is over: `row` of the selector's table (-1: nobody), and what the level is by now. */
  selected(level: Level, row: number, victim: Victim): void {
    this.incident.selected(level, row, victim);
    this.trace?.selected(row);
    this.state.selected(victim);
  }

  /** Nobody is killed after all. */
  cameToNothing(): void {
    this.trace?.collect();
  }

  /** There is nobody to kill. */
  foundNobody(): void {
    this.trace?.collect();
    this.state.nobody('no candidate');
  }

  /** Nobody is killed, since no kill would help. */
  spared(): void {
    this.trace?.collect();
    this.trace?.spared();
    this.state.nobody('shared memory');
  }

  hookStarted(): void {
    this.incident.hookStarted();
  }

  /** A signal has gone out; `now` is when the tick began. */
  signalled(signal: number, now: Moment): void {
    this.incident.signalled(signal, now);
    this.trace?.signalled(signal);
    this.state.signalled(signal);
    this.signalIsOut = true;
  }

  /** The kernel was asked to free the victim's memory. */
  released(): void {
    this.incident.released();
  }

  /** The kernel's OOM killer was called, or would have been. */
  kernelOomCalled(rule: string | null, dryrun: boolean): void {
    this.state.kernelOomCalled(rule, dryrun);
  }

  kernelOomFailed(errno: number): void {
    this.state.kernelOomFailed(errno);
  }

  /** What the victim has given back, as far as it was measured. */
  freed(kib: number): void {
    this.state.freed(kib);
  }

  ended(outcome: Outcome, errno: number, now: Moment): void {
    this.incident.ended(outcome, errno);
    this.trace?.collect();
    this.trace?.ended(outcome, errno);
    this.state.ended(outcome, errno, now);
    this.signalIsOut = false;
  }

  private collect(): void {
    this.signalIsOut = false;
    this.incident.collect();
    this.trace?.collect();
  }
}
