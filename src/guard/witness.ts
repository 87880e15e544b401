/*
 * Whom the guard tells what happens: a few words at the turns of a kill. It passes them on to the incident record and to the
 * trace, and sees to it that whatever takes time comes after the signal.
 */
import type { Moment } from '../../native-shims/clock.js';
import type { LadderFacts, Phase, Step } from '../decide/ladder.js';
import type { Outcome } from '../shared/incident.js';
import type { Level } from '../shared/limits.js';
import type { Victim } from '../shared/victim.js';
import type { IncidentRecorder } from './incident.js';
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
  ) {}

  /** Memory could not be read at this tick. */
  lookFailed(): void {
    this.trace?.lookFailed();
  }

  /** Each tick, between deciding and doing. */
  looked(phase: Phase, facts: TickFacts, step: Step, now: Moment): void {
    this.trace?.looked(phase, facts, step, now);
    this.incident.looked(facts.level, now);
    const dying = this.signalIsOut && !facts.victimGone;
    if (dying || step === 'let-go') this.collect();
  }

  /** A limit was crossed, or `rule` asks for a kill. */
  crossed(level: Level, rule: string | null, now: Moment): void {
    this.signalIsOut = false;
    this.incident.crossed(level, rule, now);
  }

  /** The selection is over: `row` of the selector's table (-1: nobody), and what the level is by now. */
  selected(level: Level, row: number, victim: Victim): void {
    this.incident.selected(level, row, victim);
    this.trace?.selected(row);
  }

  /** Nobody is killed after all. */
  cameToNothing(): void {
    this.trace?.collect();
  }

  /** Nobody is killed, since no kill would help. */
  spared(): void {
    this.trace?.collect();
    this.trace?.spared();
  }

  hookStarted(): void {
    this.incident.hookStarted();
  }

  /** A signal has gone out; `now` is when the tick began. */
  signalled(signal: number, now: Moment): void {
    this.incident.signalled(signal, now);
    this.trace?.signalled(signal);
    this.signalIsOut = true;
  }

  /** The kernel was asked to free the victim's memory. */
  released(): void {
    this.incident.released();
  }

  ended(outcome: Outcome, errno: number): void {
    this.incident.ended(outcome, errno);
    this.trace?.collect();
    this.trace?.ended(outcome, errno);
    this.signalIsOut = false;
  }

  private collect(): void {
    this.signalIsOut = false;
    this.incident.collect();
    this.trace?.collect();
  }
}
