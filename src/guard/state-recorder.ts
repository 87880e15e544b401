/*
 * What the guard tells of itself while it runs: the state page (state/layout.ts) and the event log (shared/event.ts).
 *
 *   waits      before the poll: how long the tick was, and from when on the wait counts
 *   woke       after it: how much later than asked
 *   looked     is memory at a limit where it was not before? Then the time and memory are kept, nothing more: a signal may come next
 *   crossed ... ended   a kill's turns; what takes time comes after the signal
 *   ticked     the end of the tick: the events that its turns have made, the page, and, if this is a good time, the file of events
 *
 * The page is written at each tick at which something has happened, else now and then: three or four pwrites of the same page of memory. The file of
 * events grows, and so may wait for memory: it is written while the guard watches and memory is above the limits, or a second after.
 *
 * While the rehearsal has the guard look thousands of times in a row, those looks are not counted (`counts`): they would be most of all ticks that
 * there are.
 */
import { A_FRACTION, Moment, WallTime } from '../../native-shims/clock.js';
import { strerror } from '../../native-shims/errno.js';
import { SIGKILL } from '../../native-shims/pidfd.js';
import type { LadderFacts, Phase } from '../decide/ladder.js';
import { emptyMeminfo, type Meminfo } from '../kernel/meminfo.js';
import type { Log } from '../report/log.js';
import type { MemorySampler } from '../sample/memory-sampler.js';
import type { ErrorName, WhyNobody } from '../shared/event.js';
import type { Outcome } from '../shared/incident.js';
import { LEVEL_KILL, LEVEL_NONE, type Level, type Limits } from '../shared/limits.js';
import type { Persona } from '../shared/options.js';
import { VERSION } from '../shared/version.js';
import { emptyVictim, type Victim } from '../shared/victim.js';
import {
  FAILURES,
  HOOK_RESULTS,
  HOOKS,
  LEVELS,
  NOT_KNOWN,
  OUTCOMES,
  PERSONAS,
  PHASES,
  REASONS,
  SIGNALS,
} from '../state/layout.js';
import { AT, BACK, KILL, LAG, PageWriter, TICK } from '../state/page-writer.js';
import { type EventLog, NO_SIGNAL } from './event-log.js';
import type { LockResult } from './lock.js';
import type { RecordFile } from './record-file.js';
import type { StateFile } from './state-file.js';

/** How long events wait while the guard watches and memory is low. */
export const EVENTS_WAIT_MS_MAX = 1000;
/**
 * Where nothing happens the page is written so often: three pwrites take 3 us in a row, and 50 us at a tick that finds the caches cold (measured
 * near the limit, at 90 ticks a second: they were a third of what the guard took). Near the limit people look; far from it every second tick does.
 */
const BETWEEN_NEAR_WRITES_MS = 250;
const BETWEEN_FAR_WRITES_MS = 1900;
const FAR_WAIT_MS = 500;
/** Crossings that come to nothing are told so often. */
const BETWEEN_CROSSINGS_MS = 1000;
/** Memory that comes back later than this after a kill was not that kill's: as long as it takes to come out of the CPUs' lists (decide/recovery.ts). */
const BACK_MS_MAX = 60_000;
/** While another guard has the page. */
const TAKE_AGAIN_MS = 10_000;
const BYTES_PER_KIB = 1024;

const TERM_CROSSED = AT.crossingsTotal + LEVELS.indexOf('term');
const KILL_CROSSED = AT.crossingsTotal + LEVELS.indexOf('kill');
const TERM_SENT = SIGNALS.indexOf('term');
const KILL_SENT = SIGNALS.indexOf('kill');
const BY_KERNEL = SIGNALS.indexOf('kernel');
const BY_LIMIT = REASONS.indexOf('limit');
const BY_RULE = REASONS.indexOf('rule');

const PHASE_INDEX: Record<Phase, number> = {
  watching: PHASES.indexOf('watching'),
  'pre-hook': PHASES.indexOf('pre-hook'),
  terminating: PHASES.indexOf('terminating'),
  killing: PHASES.indexOf('killing'),
};

const FAILURE = {
  outlivedKill: AT.failuresTotal + FAILURES.indexOf('outlived-kill'),
  outlivedTerm: AT.failuresTotal + FAILURES.indexOf('outlived-term'),
  syscall: AT.failuresTotal + FAILURES.indexOf('syscall'),
  nobody: AT.failuresTotal + FAILURES.indexOf('nobody'),
};

/** The guard's own, or what it was made from: only read here. */
export interface StatePolicy {
  persona: Persona;
  limits: Limits;
  dryrun: boolean;
}

/** Where it goes; null: nowhere. */
export interface StateFiles {
  state: StateFile | null;
  events: RecordFile | null;
}

export class StateRecorder {
  /** Whether ticks count: 0 or 1. */
  private counts = 0;
  /** Whether the last tick is still to be counted: 0 or 1. */
  private owed = 0;
  /** When the wait began, when it ended, and spans on their way. */
  private readonly waitFrom = new Moment();
  private readonly wokenAt = new Moment();
  private readonly span = new Moment();
  private readonly lag = new Moment();
  private lagCounts = 0;
  private readonly wall = new WallTime();
  /** The last crossing, and memory then. */
  private readonly crossedWall = new WallTime();
  private readonly crossedAt = new Moment();
  private readonly crossedMemory = emptyMeminfo();
  private lastLevel: Level = LEVEL_NONE;
  private writtenMs = A_FRACTION;
  private crossedLevel: Level = LEVEL_NONE;
  private crossingByRule = false;
  private crossingRule: string | null = null;
  private crossingIsUntold = false;
  private crossingIsTold = false;
  private crossingToldMs = A_FRACTION;
  /** The kill that is under way, or the last one. */
  private readonly since = new Moment();
  private readonly sinceCrossed = new Moment();
  private rule: string | null = null;
  private victim: Victim = emptyVictim();
  private hasDecision = false;
  private readonly signalledWall = new WallTime();
  private readonly signalledAt = new Moment();
  private readonly firstSignalAt = new Moment();
  private signal = NO_SIGNAL;
  private signalIsUntold = false;
  private freedKib = NOT_KNOWN;
  private backIsAwaited = false;
  private untoldHooks = 0;
  private readonly hookResults = new Int32Array(HOOKS.length * HOOK_RESULTS.length);
  private droppedLines = 0;
  private droppedEvents = 0;
  private queuedMs = A_FRACTION;
  private takeAgainMs = A_FRACTION;
  private failureSaid = false;
  private readonly killsAt: number;

  /** @param eventsWaitMs  EVENTS_WAIT_MS_MAX, but for the rehearsal */
  constructor(
    private readonly page: PageWriter,
    private readonly files: StateFiles,
    readonly events: EventLog,
    private readonly policy: StatePolicy,
    private readonly parts: { log: Log; sampler: MemorySampler },
    private readonly eventsWaitMs: number,
  ) {
    this.killsAt = AT.killsTotal + PERSONAS.indexOf(policy.persona) * REASONS.length * SIGNALS.length;
  }

  /** The guard is about to watch. */
  started(): void {
    this.wall.update();
    this.events.start(this.wall, VERSION, this.policy.persona, this.policy.dryrun, this.policy.limits);
  }

  /** Start-up is over. */
  sealed({ lockedBytes, refusedBytes, errno }: LockResult): void {
    this.wall.update();
    const kib = (bytes: number): number => Math.ceil(bytes / BYTES_PER_KIB);
    this.events.sealed(this.wall, kib(lockedBytes), kib(refusedBytes), errno);
  }

  /** The program is about to be executed anew; what waits is written. */
  reloads(): void {
    this.wall.update();
    this.events.reload(this.wall);
    this.flush();
  }

  reloadRefused(why: string): void {
    this.wall.update();
    this.events.reloadRefused(this.wall, why);
  }

  /** The guard ends by a signal; what waits is written. */
  stops(signal: string): void {
    this.wall.update();
    this.events.stop(this.wall, signal);
    this.flush();
  }

  /** Whether the ticks from now on are counted. */
  countTicks(counts: boolean): void {
    this.counts = counts ? 1 : 0;
  }

  waits(): void {
    this.waitFrom.update();
    this.span.ms = this.waitFrom.ms - this.wokenAt.ms;
    this.page.observe(TICK, this.span, this.owed);
  }

  /** @param timedOut  nothing but the wait's end, which was asked for in `waitMs`, has woken the guard */
  woke(timedOut: boolean, waitMs: number, now: Moment): void {
    this.wokenAt.ms = now.ms;
    this.lag.ms = now.ms - this.waitFrom.ms - waitMs;
    this.lagCounts = this.counts * (waitMs > 0 && timedOut ? 1 : 0);
  }

  lookFailed(): void {
    this.page.add(AT.sampleFailuresTotal, 1);
  }

  /** Between deciding and doing. */
  looked(phase: Phase, { level }: LadderFacts, byRule: boolean, now: Moment): void {
    if (level <= this.lastLevel) return;
    this.crossedLevel = level;
    this.crossingRule = phase === 'watching' ? null : this.rule;
    this.crossingByRule = byRule;
    this.crossingIsUntold = true;
    this.crossedAt.ms = now.ms;
    this.crossedWall.update();
    copyMemory(this.parts.sampler.memory, this.crossedMemory);
  }

  /** Somebody is to be chosen. */
  crossed(rule: string | null, now: Moment): void {
    this.rule = rule;
    this.crossingRule = rule;
    this.since.ms = now.ms;
    this.hasDecision = false;
    this.signal = NO_SIGNAL;
    this.freedKib = NOT_KNOWN;
    this.backIsAwaited = false;
  }

  /** `victim` is filled before the kill begins. */
  selected(victim: Victim): void {
    this.victim = victim;
  }

  /** Nobody is killed. */
  nobody(why: WhyNobody): void {
    if (why === 'no candidate') this.page.add(FAILURE.nobody, 1);
    this.wall.update();
    this.tell();
    this.events.nobody(this.wall, why);
  }

  signalled(signal: number): void {
    this.signalledAt.update();
    this.signalledWall.update();
    if (this.signal === NO_SIGNAL) {
      this.firstSignalAt.ms = this.signalledAt.ms;
      this.decide(this.signalledWall);
    }
    this.signal = signal;
    this.signalIsUntold = true;
    this.page.decisionSignal(signal === SIGKILL ? KILL_SENT : TERM_SENT);
  }

  /** What came back, as far as it can be told. */
  freed(kib: number): void {
    this.freedKib = kib;
  }

  ended(outcome: Outcome, errno: number, now: Moment): void {
    const { page, signal } = this;
    this.wall.update();
    this.span.ms = now.ms - this.firstSignalAt.ms;
    this.tell();
    // Who ended before anybody did anything is nobody's decision.
    if (signal === NO_SIGNAL && outcome !== 'exited') this.decide(this.wall);
    if (outcome === 'exited' && signal !== NO_SIGNAL) this.killed();
    else if (outcome === 'dry run') page.add(AT.dryrunKillsTotal, 1);
    else if (outcome === 'outlived SIGTERM') page.add(FAILURE.outlivedTerm, 1);
    else if (outcome === 'outlived SIGKILL') page.add(FAILURE.outlivedKill, 1);
    else if (outcome === 'failed') page.add(FAILURE.syscall, 1);
    if (this.hasDecision) page.decisionEnded(outcomeIndex(outcome), this.freedKib);
    const told = outcome === 'exited' && signal === NO_SIGNAL ? 'gone' : outcome;
    this.events.ended(this.wall, this.victim, told, errno, signal, this.rule, this.freedKib, this.span);
    if (outcome === 'failed') this.events.error(this.wall, 'kill', errno);
  }

  /** --kernel-oom: the kernel was asked to kill; a dry run does not ask. */
  kernelOomCalled(rule: string | null, dryrun: boolean): void {
    const { page } = this;
    this.rule = rule;
    this.wall.update();
    this.tell();
    if (dryrun) return page.add(AT.dryrunKillsTotal, 1);
    page.add(this.killsAt + (rule === null ? BY_LIMIT : BY_RULE) * SIGNALS.length + BY_KERNEL, 1);
    page.setTime(AT.lastKillUnixMs, this.wall);
    this.events.kernelOom(this.wall, rule);
  }

  kernelOomFailed(errno: number): void {
    this.page.add(FAILURE.syscall, 1);
    this.failed('kernel-oom', errno);
  }

  /** @param errno  0 if there is none */
  failed(what: ErrorName, errno: number): void {
    this.wall.update();
    this.events.error(this.wall, what, errno);
  }

  /** Told at the tick's end, since this comes at its beginning. Places in HOOKS and HOOK_RESULTS. */
  hookEnded(hook: number, result: number): void {
    const place = hook * HOOK_RESULTS.length + result;
    this.page.add(AT.hookRunsTotal + place, 1);
    this.hookResults[place] = (this.hookResults[place] as number) + 1;
    this.untoldHooks++;
  }

  /**
   * The tick is over.
   * @param sampled  whether memory could be read; if not, there is no level
   */
  ticked(phase: Phase, level: Level, sampled: boolean, waitMs: number, now: Moment): void {
    const { page, counts } = this;
    page.add(AT.ticksTotal, counts);
    page.observe(LAG, this.lag, this.lagCounts);
    this.owed = counts;
    const watching = phase === 'watching';
    const betweenMs = waitMs < FAR_WAIT_MS ? BETWEEN_NEAR_WRITES_MS : BETWEEN_FAR_WRITES_MS;
    const uneventful = watching && sampled && level === LEVEL_NONE && this.hasToldAll;
    if (uneventful && now.ms - this.writtenMs < betweenMs) return;
    this.writtenMs = now.ms;
    this.wall.update();
    page.set(AT.phase, PHASE_INDEX[phase]);
    page.set(AT.waitMs, Math.max(waitMs, betweenMs));
    page.numbers[AT.heartbeatMonotonicMs] = now.ms;
    page.setTime(AT.heartbeatUnixMs, this.wall);
    if (sampled) this.tickedWell(phase, level, now);
    if (this.untoldHooks > 0) this.tellHooks();
    this.noteDropped();
    this.writePage();
    if (watching && !this.events.isEmpty) this.flushIfDue(level, now);
    if (watching && level === LEVEL_NONE && this.files.state?.isOurs === false) this.takeAgain(now);
  }

  private tickedWell(phase: Phase, level: Level, now: Moment): void {
    const { numbers } = this.page;
    const { memory } = this.parts.sampler;
    numbers[AT.memTotalKib] = memory.memTotalKib;
    numbers[AT.memAvailableKib] = memory.memAvailableKib;
    numbers[AT.anonPagesKib] = memory.anonPagesKib;
    numbers[AT.swapTotalKib] = memory.swapTotalKib;
    numbers[AT.swapFreeKib] = memory.swapFreeKib;
    if (level > this.lastLevel) {
      if (this.lastLevel === LEVEL_NONE) this.page.add(TERM_CROSSED, 1);
      if (level === LEVEL_KILL) this.page.add(KILL_CROSSED, 1);
    }
    if (this.crossingIsUntold || this.signalIsUntold) this.tellIfDue(now);
    // A victim that has given its memory back and not ended yet: that is told after its end.
    if (level === LEVEL_NONE && phase === 'watching' && this.isAwaited) this.memoryIsBack(now);
    this.lastLevel = level;
  }

  /** Whether nothing is left to be told but numbers that move. */
  private get hasToldAll(): boolean {
    return this.untoldHooks === 0 && !this.page.ringHasChanged && this.events.isEmpty && !this.isAwaited;
  }

  /** Whether anybody wants to know that memory is back. */
  private get isAwaited(): boolean {
    return this.crossingIsTold || this.crossingIsUntold || this.backIsAwaited;
  }

  /** A crossing from which nothing follows is told now and then. */
  private tellIfDue(now: Moment): void {
    if (this.signalIsUntold || now.ms - this.crossingToldMs >= BETWEEN_CROSSINGS_MS) this.tell();
  }

  private tell(): void {
    const { events } = this;
    if (this.crossingIsUntold) {
      events.crossed(this.crossedWall, this.crossedLevel, this.crossingByRule, this.crossingRule, this.crossedMemory);
      this.crossingToldMs = this.crossedAt.ms;
      this.crossingIsTold = true;
    }
    this.crossingIsUntold = false;
    if (!this.signalIsUntold) return;
    this.signalIsUntold = false;
    this.sinceCrossed.ms = this.signalledAt.ms - this.since.ms;
    events.signalled(this.signalledWall, this.victim, this.signal, this.sinceCrossed);
  }

  private memoryIsBack(now: Moment): void {
    const killed = this.backIsAwaited && now.ms - this.firstSignalAt.ms < BACK_MS_MAX;
    this.span.ms = now.ms - this.firstSignalAt.ms;
    if (killed) {
      this.page.observe(BACK, this.span, 1);
      this.page.decisionBack(this.span);
    }
    this.backIsAwaited = false;
    this.crossingIsUntold = false;
    if (this.crossingIsTold) this.events.memoryBack(this.wall, killed, this.span, this.parts.sampler.memory);
    this.crossingIsTold = false;
  }

  /** Puts the decision into the ring. */
  private decide(time: WallTime): void {
    this.page.beginDecision(time, this.victim, this.rule);
    this.hasDecision = true;
  }

  /** The victim has ended by a signal of this guard's; `span` is since the first one. */
  private killed(): void {
    const { page } = this;
    const reason = this.rule === null ? BY_LIMIT : BY_RULE;
    page.add(this.killsAt + reason * SIGNALS.length + (this.signal === SIGKILL ? KILL_SENT : TERM_SENT), 1);
    page.setTime(AT.lastKillUnixMs, this.wall);
    page.observe(KILL, this.span, 1);
    page.decisionKill(this.span);
    if (this.freedKib > 0) page.add(AT.freedKibTotal, this.freedKib);
    this.backIsAwaited = true;
  }

  private tellHooks(): void {
    const { hookResults } = this;
    this.untoldHooks = 0;
    for (let hook = 0; hook < HOOKS.length; hook++) {
      for (let result = 0; result < HOOK_RESULTS.length; result++) {
        const place = hook * HOOK_RESULTS.length + result;
        for (let time = hookResults[place] as number; time > 0; time--)
          this.events.hook(this.wall, HOOKS[hook] as string, HOOK_RESULTS[result] as string);
        hookResults[place] = 0;
      }
    }
  }

  private noteDropped(): void {
    const lines = this.parts.log.droppedLines;
    const events = this.events.droppedTotal;
    this.page.add(AT.droppedLogLinesTotal, lines - this.droppedLines);
    this.page.add(AT.droppedEventsTotal, events - this.droppedEvents);
    this.droppedLines = lines;
    this.droppedEvents = events;
  }

  private writePage(): void {
    const { state } = this.files;
    if (state === null || !state.isOurs) return;
    const result = state.write(this.page);
    if (result === 0) {
      this.failureSaid = false;
      return;
    }
    this.sayFailure(state.path, result);
  }

  private sayFailure(path: string, result: number): void {
    if (this.failureSaid || this.policy.persona === 'earlyoom') return;
    this.failureSaid = true;
    const { log } = this.parts;
    log.begin('warn').foreign(path).text(' could not be written: ').text(strerror(-result));
    log.end();
  }

  private flushIfDue(level: Level, now: Moment): void {
    // Seen for the first time at this tick.
    if (this.queuedMs === A_FRACTION) this.queuedMs = now.ms;
    if (level !== LEVEL_NONE && now.ms - this.queuedMs < this.eventsWaitMs) return;
    this.flush();
  }

  private flush(): void {
    const { state, events } = this.files;
    this.queuedMs = A_FRACTION;
    const result = this.events.flush(state?.isOurs === true ? events : null);
    if (result < 0) this.sayFailure(events?.path ?? '', result);
  }

  private takeAgain(now: Moment): void {
    if (now.ms < this.takeAgainMs) return;
    this.takeAgainMs = now.ms + TAKE_AGAIN_MS;
    this.files.state?.take(this.page, null);
  }
}

/** A page with what does not change while the guard runs. */
export function newPage({ persona, limits, dryrun }: StatePolicy): PageWriter {
  const page = new PageWriter(VERSION);
  const { numbers } = page;
  const time = new WallTime();
  time.update();
  page.set(AT.pid, process.pid);
  page.set(AT.persona, PERSONAS.indexOf(persona));
  page.set(AT.dryrun, dryrun ? 1 : 0);
  page.setTime(AT.startedUnixMs, time);
  numbers[AT.memTermPercent] = limits.memTermPercent;
  numbers[AT.memKillPercent] = limits.memKillPercent;
  numbers[AT.swapTermPercent] = limits.swapTermPercent;
  numbers[AT.swapKillPercent] = limits.swapKillPercent;
  page.add(AT.startsTotal, 1);
  return page;
}

function outcomeIndex(outcome: Outcome): number {
  switch (outcome) {
    case 'exited':
      return EXITED;
    case 'outlived SIGTERM':
      return OUTLIVED_TERM;
    case 'outlived SIGKILL':
      return OUTLIVED_KILL;
    case 'dry run':
      return DRY_RUN;
    default:
      return FAILED;
  }
}

const EXITED = OUTCOMES.indexOf('exited');
const OUTLIVED_TERM = OUTCOMES.indexOf('outlived SIGTERM');
const OUTLIVED_KILL = OUTCOMES.indexOf('outlived SIGKILL');
const DRY_RUN = OUTCOMES.indexOf('dry run');
const FAILED = OUTCOMES.indexOf('failed');

function copyMemory(from: Meminfo, to: Meminfo): void {
  to.memTotalKib = from.memTotalKib;
  to.memAvailableKib = from.memAvailableKib;
  to.anonPagesKib = from.anonPagesKib;
  to.swapTotalKib = from.swapTotalKib;
  to.swapFreeKib = from.swapFreeKib;
}
