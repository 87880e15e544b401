/*
 * A trace run through the guard's own decisions (decide/): what another policy would have done, beside what was done. Pure.
 *
 * What the machine did is taken from the trace: memory, the victim's end, a signal that failed; and so is what the guard was told by
 * what a trace has not (PSI rules, whether memory still comes back, what matchers ask about). That is good only as long as both
 * do the same. From the first difference on, the trace tells of a machine on which something else was done, so the replay ends
 * there.
 */
import { asksNoMore, nextStep, PAUSE_MS, type Phase, STUCK_MS_MAX, type Step } from '../decide/ladder.js';
import { levelOf } from '../decide/limits.js';
import { pickFromWhole } from '../decide/ranking.js';
import { type CandidateTable, NAME_BYTES } from '../shared/candidates.js';
import { LEVEL_KILL, LEVEL_NONE, LEVEL_TERM, type Level, type Limits, type MemoryLevels } from '../shared/limits.js';
import type { SelectionPolicy } from '../shared/selection.js';
import {
  LOOK_FAILED,
  LOOK_HELD_BACK,
  LOOK_PRE_HOOK_DONE,
  LOOK_RULE_KILL,
  LOOK_RULE_TERM,
  LOOK_STUCK,
  LOOK_VICTIM_GONE,
  SPARED,
  type TraceChoice,
} from '../shared/trace.js';
import { type Look, memoryOf, type Trace } from './trace.js';

/** What is decided by. */
export interface ReplayPolicy {
  limits: Limits;
  selection: SelectionPolicy;
  kernelOom: boolean;
  dryrun: boolean;
  preHook: boolean;
  killAfterMs: number;
}

interface Suspect {
  pid: number;
  startTimeTicks: number;
  name: string;
}

type Deed =
  | 'SIGTERM'
  | 'SIGKILL'
  /** Chosen; the signal waits for the -P program. */
  | 'chosen'
  | 'nobody could be chosen'
  | 'recovered while selecting'
  | 'dry run'
  | "kernel's OOM killer"
  | 'exited'
  | 'had ended before the signal'
  | 'failed'
  | 'given up'
  /** Chosen, and left alone, since no kill would have helped. */
  | typeof SPARED
  /** Somebody would have been chosen, and the trace has no table to say who. */
  | 'unknown';

/** What was done at a look. */
export interface Decision {
  tUs: number;
  deed: Deed;
  level: Level;
  victim: Suspect | null;
}

type DifferenceKind = 'earlier' | 'later or never' | 'another victim' | 'nobody' | 'another signal' | 'unknown';

export interface Difference {
  kind: DifferenceKind;
  tUs: number;
  recorded: Decision | null;
  replayed: Decision | null;
  /** Earlier: by so much, if anything was done later. */
  leadUs: number | null;
}

export interface Replay {
  recorded: Decision[];
  /** Up to the first difference, with it. */
  replayed: Decision[];
  difference: Difference | null;
}

/** A table that is older is no witness of who was there. */
const TABLE_AGE_US_MAX = 10_000_000;
const US_PER_MS = 1000;
const SIGKILL = 9;

/**
 * @param recordedPolicy  what the guard decided by
 * @param policy          what is to be tried
 * @param tableOf         the recorded table of this number, its marks those of `policy`; null if it is not there as a whole
 */
export function replay(
  trace: Trace,
  recordedPolicy: ReplayPolicy,
  policy: ReplayPolicy,
  tableOf: (number: number) => CandidateTable | null,
): Replay {
  const teller = new Teller(recordedPolicy);
  const recorded = trace.looks.map((look) => teller.tell(look));
  const done = recorded.filter((each) => each !== null);
  const player = new Player(trace, policy, tableOf);
  const replayed: Decision[] = [];
  for (const [index, look] of trace.looks.entries()) {
    const was = recorded[index] as Decision | null;
    const is = player.play(look, was);
    if (is !== null) replayed.push(is);
    const difference = differenceOf(look, was, is, done);
    if (difference !== null) return { recorded: done, replayed, difference };
  }
  return { recorded: done, replayed, difference: null };
}

/** What a trace says that was done. */
class Teller {
  private victim: Suspect | null = null;

  constructor(private readonly policy: ReplayPolicy) {}

  tell(look: Look): Decision | null {
    if (look.step === 'wait') return null;
    if (look.step === 'select') this.victim = look.choice === null ? null : suspectOf(look.choice);
    return { tUs: look.tUs, deed: this.deedOf(look), level: levelAt(look, this.policy.limits), victim: this.victim };
  }

  private deedOf(look: Look): Deed {
    const { step, choice } = look;
    if (step === 'exited') return 'exited';
    if (step === 'give-up') return 'given up';
    if (step === 'let-go') return 'recovered while selecting';
    if (step === 'select') {
      if (this.policy.kernelOom) return "kernel's OOM killer";
      if (choice === null) return 'unknown';
      if (higher(levelOf(memoryOf(choice.m) as MemoryLevels, this.policy.limits), levelOfRule(look)) === LEVEL_NONE)
        return 'recovered while selecting';
      if (choice.pid === 0) return 'nobody could be chosen';
    }
    const [signal] = look.signals;
    if (signal !== undefined) return signal === SIGKILL ? 'SIGKILL' : 'SIGTERM';
    if (look.end === null) {
      if (step === 'select' && this.policy.preHook) return 'chosen';
      // By a rule's figures, which the trace has not.
      return step === 'select' && levelOfRule(look) !== LEVEL_NONE ? 'recovered while selecting' : 'unknown';
    }
    if (look.end.outcome === 'dry run' || look.end.outcome === SPARED) return look.end.outcome;
    return look.end.outcome === 'failed' ? 'failed' : 'had ended before the signal';
  }
}

/** What the policy would have done. */
class Player {
  private phase: Phase = 'watching';
  private sinceUs = 0;
  private pausedUntilUs = 0;
  private victim: Suspect | null = null;
  /** Those who have ignored a SIGTERM. */
  private readonly stubborn = new Set<string>();

  constructor(
    private readonly trace: Trace,
    private readonly policy: ReplayPolicy,
    private readonly tableOf: (number: number) => CandidateTable | null,
  ) {}

  play(look: Look, was: Decision | null): Decision | null {
    const { phase, policy } = this;
    const level = levelAt(look, policy.limits);
    const step = nextStep(phase, {
      level,
      victimGone: phase !== 'watching' && !policy.dryrun && (look.flags & LOOK_VICTIM_GONE) !== 0,
      preHookDone: (look.flags & LOOK_PRE_HOOK_DONE) !== 0,
      elapsedMs: (look.tUs - this.sinceUs) / US_PER_MS,
      paused: look.tUs < this.pausedUntilUs || (look.flags & LOOK_HELD_BACK) !== 0,
      killAfterMs: policy.killAfterMs,
      stuckMs: (look.flags & LOOK_STUCK) === 0 ? 0 : STUCK_MS_MAX,
    });
    if (step === 'wait') return null;
    const deed = this.perform(step, level, look, was);
    const { victim } = this;
    return { tUs: look.tUs, deed, level, victim };
  }

  private perform(step: Exclude<Step, 'wait'>, level: Level, look: Look, was: Decision | null): Deed {
    switch (step) {
      case 'select':
        return this.select(look, was);
      case 'signal':
        return this.signal(level, look, was);
      case 'escalate-by-limit':
      case 'escalate-by-time':
        return this.send('SIGKILL', look, was);
      case 'exited':
        return this.end('exited');
      case 'let-go':
        return this.end('recovered while selecting');
      case 'give-up':
        if (this.phase === 'terminating' && this.victim !== null) this.stubborn.add(identityOf(this.victim));
        return this.end('given up');
    }
  }

  private select(look: Look, was: Decision | null): Deed {
    const { policy } = this;
    this.victim = null;
    if (policy.kernelOom) return this.pause("kernel's OOM killer", look);
    const level = higher(
      levelOf((look.choice && memoryOf(look.choice.m)) ?? look.memory, policy.limits),
      levelOfRule(look),
    );
    // Whether it has recovered by the rule's own figures only the guard has seen.
    if (level === LEVEL_NONE || was?.deed === 'recovered while selecting') return 'recovered while selecting';
    const table = this.tableAt(look);
    if (table === null) return 'unknown';
    const row = pickFromWhole(table, policy.selection);
    if (row === -1) return this.pause('nobody could be chosen', look);
    this.victim = suspectIn(table, row);
    if (was?.deed === SPARED) return SPARED;
    if (!policy.preHook) return this.signal(level, look, was);
    this.enter('pre-hook', look);
    return 'chosen';
  }

  /** That of this very selection, or the last one before it. */
  private tableAt(look: Look): CandidateTable | null {
    if (look.choice !== null) return this.tableOf(look.choice.table);
    let found: number | null = null;
    for (const [number, { tUs, whole }] of this.trace.tables) {
      if (whole && tUs <= look.tUs && look.tUs - tUs <= TABLE_AGE_US_MAX) found = number;
    }
    return found === null ? null : this.tableOf(found);
  }

  private signal(level: Level, look: Look, was: Decision | null): Deed {
    if (this.policy.dryrun) {
      this.end('dry run');
      return this.pause('dry run', look);
    }
    const stubborn = this.victim !== null && this.stubborn.has(identityOf(this.victim));
    return this.send(asksNoMore(level, stubborn) ? 'SIGKILL' : 'SIGTERM', look, was);
  }

  private send(signal: 'SIGTERM' | 'SIGKILL', look: Look, was: Decision | null): Deed {
    // What became of the signal is the machine's doing.
    if (was !== null && isSame(was.victim, this.victim)) {
      if (was.deed === 'had ended before the signal') return this.end(was.deed);
      if (was.deed === 'failed') return this.pause(this.end(was.deed), look);
    }
    this.enter(signal === 'SIGKILL' ? 'killing' : 'terminating', look);
    return signal;
  }

  private enter(phase: Phase, look: Look): void {
    this.phase = phase;
    this.sinceUs = look.tUs;
  }

  private end(deed: Deed): Deed {
    this.phase = 'watching';
    return deed;
  }

  private pause(deed: Deed, look: Look): Deed {
    this.pausedUntilUs = look.tUs + PAUSE_MS * US_PER_MS;
    return deed;
  }
}

function differenceOf(
  look: Look,
  recorded: Decision | null,
  replayed: Decision | null,
  done: readonly Decision[],
): Difference | null {
  const kind = kindOf(recorded, replayed);
  if (kind === null) return null;
  const next = done.find((each) => each.tUs > look.tUs);
  const leadUs = kind === 'earlier' && next !== undefined ? next.tUs - look.tUs : null;
  return { kind, tUs: look.tUs, recorded, replayed, leadUs };
}

function kindOf(recorded: Decision | null, replayed: Decision | null): DifferenceKind | null {
  if (recorded === null) return replayed === null ? null : 'earlier';
  if (replayed === null) return 'later or never';
  if (recorded.deed === 'unknown' || replayed.deed === 'unknown') return 'unknown';
  if (replayed.deed === 'nobody could be chosen' && recorded.deed !== replayed.deed) return 'nobody';
  if (replayed.deed === 'recovered while selecting' && recorded.deed !== replayed.deed) return 'later or never';
  if (!isSame(recorded.victim, replayed.victim) && recorded.deed !== 'recovered while selecting')
    return 'another victim';
  return recorded.deed === replayed.deed ? null : 'another signal';
}

function isSame(a: Suspect | null, b: Suspect | null): boolean {
  return a === null || b === null ? a === b : identityOf(a) === identityOf(b);
}

function identityOf({ pid, startTimeTicks }: Suspect): string {
  return `${pid} ${startTimeTicks}`;
}

function suspectOf({ pid, startTimeTicks, name }: TraceChoice): Suspect | null {
  return pid === 0 ? null : { pid, startTimeTicks, name: Buffer.from(name, 'latin1').toString('utf8') };
}

function suspectIn(table: CandidateTable, row: number): Suspect {
  const start = row * NAME_BYTES;
  return {
    pid: table.pid[row] as number,
    startTimeTicks: table.startTimeTicks[row] as number,
    name: table.names.toString('utf8', start, start + table.nameLength(row)),
  };
}

/** A look that failed decides nothing. */
function levelAt(look: Look, limits: Limits): Level {
  return (look.flags & LOOK_FAILED) !== 0 ? LEVEL_NONE : higher(levelOf(look.memory, limits), levelOfRule(look));
}

/** What a PSI rule has asked for. */
function levelOfRule({ flags }: Look): Level {
  if ((flags & LOOK_RULE_KILL) !== 0) return LEVEL_KILL;
  return (flags & LOOK_RULE_TERM) !== 0 ? LEVEL_TERM : LEVEL_NONE;
}

function higher(a: Level, b: Level): Level {
  return a > b ? a : b;
}
