/*
 * Does everything once, before it counts: V8 compiles it, the kernel reads its pages from disk, and whatever is wrong
 * with it shows while somebody is looking.
 *
 *   selection   on the living machine; the first scan takes 9 ms here, the tenth 1.3 ms
 *   shortlist   sweeps, and selections by what they found
 *   failures    of system calls
 *   lines       that hold numbers and characters of every kind
 *   ranking     of processes of every kind, and of some that are equal in all but one thing
 *   kills       of children of its own (sleep), by the guard's own class, log lines included, with hooks and without: of the lines
 *               no byte goes out, and the hooks are `true`, because the admin's would tell of kills that are none.
 *               The selection may choose nobody but the child
 *   aftermath   what is asked when a kill is over, with memory that comes back and memory that does not
 *   cadence     through all that memory can do: a number that turns out to have a fraction, or to be negative, for the
 *               first time makes V8 throw compiled code away
 *   rules       that fire at each look, over this machine's own pressure and cgroups
 *   ticks       of the very guard that is being started, one after the other without a wait: what the compiler makes of
 *               another one's ticks it would have to throw away, and make anew at one tick a second
 *
 * All of it is bounded in time, and none of it is needed: on a machine without sleep the guard starts all the same.
 */
import { existsSync } from 'node:fs';
import { Moment, monotonicMs, ThreadCpuTime, threadCpuMs } from '../../native-shims/clock.js';
import { compileAtNextCall } from '../../native-shims/engine.js';
import { turn } from '../../native-shims/event-loop.js';
import { close, O_RDONLY, open } from '../../native-shims/files.js';
import { cString } from '../../native-shims/libc.js';
import { kill, SIGKILL, SIGSTOP } from '../../native-shims/pidfd.js';
import { POLLIN, PollSet } from '../../native-shims/poll.js';
import { reap, SpawnSlot, STILL_RUNNING } from '../../native-shims/spawn.js';
import { HOOK_POLL_SLOTS, Hooks } from '../act/hooks.js';
import { Target } from '../act/target.js';
import { Cadence } from '../decide/cadence.js';
import { DEFAULT_KILL_AFTER_MS } from '../decide/ladder.js';
import { emptyReading, RuleWatch } from '../decide/pressure-rule.js';
import { isSmall, outranks, scoreBound } from '../decide/ranking.js';
import { Recovery } from '../decide/recovery.js';
import { emptyMeminfo, type Meminfo } from '../kernel/meminfo.js';
import { JsonLine } from '../report/json-line.js';
import { Line } from '../report/line.js';
import { Log } from '../report/log.js';
import { CgroupTree } from '../sample/cgroup-tree.js';
import type { MemorySampler } from '../sample/memory-sampler.js';
import type { PidFiles } from '../sample/pid-files.js';
import { PressureFile, ReclaimFile } from '../sample/pressure-file.js';
import { PressureTrigger } from '../sample/pressure-trigger.js';
import { type NamePatterns, ProcessScan } from '../sample/process-scan.js';
import { CandidateTable, MARK_AVOIDED, MARK_NAMED, MARK_PREFERRED, UNKNOWN } from '../shared/candidates.js';
import { copyLimits, type Limits } from '../shared/limits.js';
import type { Persona } from '../shared/options.js';
import { DEFAULT_RULE, type PressureRule } from '../shared/rules.js';
import { copySelection, type SelectionPolicy } from '../shared/selection.js';
import { emptyVictim } from '../shared/victim.js';
import { Aftermath, type Instruments } from './aftermath.js';
import { CgroupWatches } from './cgroup-watches.js';
import { copyPolicy, Guard, type GuardParts, type GuardPolicy } from './guard.js';
import type { Headroom } from './headroom.js';
import type { Witnesses } from './open-witness.js';
import { openPressureRules, PressureRules, RULE_POLL_SLOTS } from './pressure-rules.js';
import { ProcessList } from './process-list.js';
import { Selector } from './selector.js';
import type { Shortlist } from './shortlist.js';

/** Rows as many as the compiler needs (measured), and fewer once it has seen them; bounded in time for slow machines. */
const SELECTION_ROWS = 400;
const SELECTION_ROWS_AGAIN = 200;
const SELECTION_MS_MAX = 400;

const KILL_MS_MAX = 1000;
const CHILD_START_MS_MAX = 200;
const TICKS_AFTER_KILL = 3;
/** One that signals, and one that finds the victim alive, if it is fast enough. */
const TICKS_IN_A_ROW = 2;
/** One that asks the victim, and one that finds it alive. */
const TICKS_BEFORE_ESCALATION = 2;

/**
 * Ticks are rehearsed until some batches in a row have made no garbage: then all that they call is compiled. Between two
 * batches time passes, because what a tick does now and then (measure a rate, report) has to have been seen too. 5
 * to 10 batches here; bounded in time for slow machines.
 */
const TICKS_PER_BATCH = 200;
const CLEAN_BATCHES = 3;
const BETWEEN_BATCHES_MS = 10;
const GARBAGE_BYTES_MAX = 512;
/** To learn what they are called with a few are enough. */
export const LEARN_MS_MAX = 40;
export const COMPILE_MS_MAX = 700;
export const CHECK_MS_MAX = 200;

/** A rest is that much longer than the step before it, up to a maximum; with a look at memory after each part of it. */
const REST_FACTOR = 2;
const REST_MS_MAX = 200;
const BETWEEN_LOOKS_MS = 10;
/** While another process is waited for. */
const LATER_MS = 2;
/** A step that can be divided takes no more without a rest. */
const STEP_MS_MAX = 20;

/** What one step of a rehearsed sweep may take: as much as a tick's. */
const SWEEP_MS = 1;
/** What all the steps of one may take; and all of the shortlist's rehearsal. */
const WHOLE_SWEEP_MS_MAX = 100;
const SHORTLIST_MS_MAX = 200;
const WHOLE_CORE = { sweepShare: 1 };
const NO_SWEEP = { sweepShare: 0 };

/** As many as it takes until `observe` is compiled. */
const CADENCE_SAMPLES = 1000;
/** In turns: so many in which memory falls to nothing, and so many in which it stands there. */
const CADENCE_SAMPLES_PER_FALL = 100;
/** None, one or two of these are added to what each tick costs, in turns: affordable at the shortest wait, only at a longer one, or at none. */
const DEAR_TICK_MS = 0.2;

/** With fractions. */
const SOME_LIMITS: Limits = { memTermPercent: 5.5, memKillPercent: 3, swapTermPercent: 100, swapKillPercent: 7.5 };

/** Waits over which the CPU time of a tick is measured: few at first, since the first decision comes after it, and more when all is compiled. */
const MEASURED_TICKS_AT_START = 5;
const MEASURED_TICKS = 20;

/** Never low; at the SIGTERM limit; at the SIGKILL limit: whatever memory does. The first two are for bench:gate, too. */
export const NEVER: Limits = { memTermPercent: -1, memKillPercent: -1, swapTermPercent: -1, swapKillPercent: -1 };
export const ALWAYS_TERM: Limits = { ...NEVER, memTermPercent: 100, swapTermPercent: 100 };
const ALWAYS_KILL: Limits = { memTermPercent: 100, memKillPercent: 100, swapTermPercent: 100, swapKillPercent: 100 };

/** As many looks of rules as it takes until they are compiled, in bounds for slow machines; and how far apart they are. */
const RULE_LOOKS = 800;
const RULE_LOOKS_ONCE = 20;
const RULE_LOOKS_PER_COMPILATION = 64;
/** What is called with so many kinds of objects in so many ways that the compiler would give up on some of it for long. */
const RULE_PATH = [PressureRules, RuleWatch, CgroupWatches, CgroupTree, PressureFile, ReclaimFile, PressureTrigger];
const RULES_MS_MAX = 300;
const RULE_LOOKS_PER_SELECTION = 16;
const RULE_APART_MS = 30.25;
const RULE_FAR_APART_MS = 1100.5;
const RULE_STALL_US = 9000.5;

/** What makes a rule fire at each look at which memory is low. */
const ALWAYS_FIRES = {
  stallPercent: 0,
  forMs: 0,
  windowMs: 500,
  availableBelowPercent: 50,
  swapFreeBelowPercent: null,
  refaults: false,
} as const;
const ANY_CGROUP = '*';

const FAILURES = 8;
const NO_FD = -1;

/** Of each kind. */
const NUMBERS = 64;
const TEXTS = 64;
/** What a command line may have, besides the ordinary. */
const SOME_TEXT = Buffer.from('a" \\ \n \t é');
const JSON_LINE_BYTES = 1024;

/** Of each two, with each oom_score_adj. */
const RANKINGS = 16;
const SOME_ADJS = [0, 500, -500, UNKNOWN];
const SOME_KIB = 1000;

/** Few: memory that is touched once stays, and to read all of 2,000 processes for each kill would take longer than all the rest. */
const STAGE_ROWS = 64;

/** As many as it takes until all of it is compiled; and fewer afterwards, because each makes some garbage that nobody collects. */
const AFTERMATHS = 200;
const AFTERMATHS_ONCE = 20;
const KILLS_PER_SURVEY = 100;
const BETWEEN_KILLS_MS = 10.25;
/** So long that what was seen before is old. */
const GAP_MS = 5000.25;
const AFTERMATH_MS_MAX = 200;
const RECOVERY_LOOKS = 160;
const RECOVERY_LOOKS_PER_KILL = 8;
const RECOVERY_STEP_KIB = 16_384;

const TARGET_POLL_SLOT = 0;
const READY_POLL_SLOT = 1;
const HOOKS_POLL_SLOT = 2;

/**
 * Start-up takes more than a second, and ten times as long on a slow machine, and the guard may have been started when it
 * is needed most. So it keeps watch meanwhile: a look at memory after each step, without a wait, and if it has to kill, the
 * rehearsal waits for that. Where it has the highest priority there is (`Nice=-20`), on a machine where others may be struggling
 * (the admin who restarts it), it takes a third of a core only, and the compiler's threads have no priority (guard/start.ts).
 */
export class Watch {
  private readonly alwaysReady = open(cString('/dev/null'), O_RDONLY);
  private readonly pause = new PollSet(1);
  private readonly now = new Moment();

  /**
   * @param readySlot  a slot of the guard's `pollSet` that is free
   * @param stepMs     when the step began that is under way
   * @param rests      whether it has a priority that others have not
   */
  constructor(
    private readonly guard: Guard,
    private readonly pollSet: PollSet,
    private readonly readySlot: number,
    private stepMs: number,
    private readonly rests: boolean,
  ) {}

  /**
   * Looks once, and stays as long as a kill takes; otherwise, with a priority that they have not, it leaves the
   * others twice the time that the last step took, and looks meanwhile.
   */
  async look(): Promise<void> {
    this.now.update();
    const untilMs = this.now.ms + (this.rests ? Math.min((this.now.ms - this.stepMs) * REST_FACTOR, REST_MS_MAX) : 0);
    for (;;) {
      if (!this.lookAgain(1)) await turn();
      await this.stay();
      this.now.update();
      if (this.now.ms >= untilMs) break;
      this.pause.wait(Math.min(untilMs - this.now.ms, BETWEEN_LOOKS_MS));
    }
  }

  /** A look after a moment, for who waits for another process: each makes some garbage. */
  async lookLater(): Promise<void> {
    this.pause.wait(LATER_MS);
    await this.look();
  }

  /** A look, if the step that is under way has taken long already. */
  async rest(): Promise<void> {
    this.now.update();
    if (this.now.ms - this.stepMs > STEP_MS_MAX) await this.look();
  }

  /** Stays as long as a kill takes that is under way. */
  async stay(): Promise<void> {
    while (this.guard.busy) if (this.guard.tick()) await turn();
    this.stepMs = monotonicMs();
  }

  /** Looks so often, or until Node's event loop is to have a turn. Returns whether it came to the end. */
  lookAgain(times: number): boolean {
    this.pollSet.watch(this.readySlot, this.alwaysReady, POLLIN);
    this.guard.countTicks(false);
    let turnIsDue = false;
    for (let tick = 0; tick < times && !turnIsDue; tick++) turnIsDue = this.guard.tick();
    this.guard.countTicks(true);
    this.pollSet.clear(this.readySlot);
    return !turnIsDue;
  }

  /** The next tick is one after which Node's event loop gets its turn. */
  hastenTurn(): void {
    this.guard.hastenTurn();
  }

  close(): void {
    if (this.alwaysReady >= 0) close(this.alwaysReady);
  }
}

/** Runs the selection until V8 has compiled it, or `again`. */
export async function rehearseSelection(selector: Selector, watch: Watch, again: boolean): Promise<void> {
  const untilMs = monotonicMs() + SELECTION_MS_MAX;
  const rowsMin = again ? SELECTION_ROWS_AGAIN : SELECTION_ROWS;
  for (let rows = 0; rows < rowsMin && monotonicMs() < untilMs; rows += selector.table.count) {
    const row = selector.select();
    // What an incident record asks.
    if (row !== -1) selector.acquaint(row);
    selector.matchAll();
    await watch.look();
  }
}

/** What a rehearsal needs of the guard that is being started. */
export interface RehearsalParts {
  files: PidFiles;
  sampler: MemorySampler;
  selfPid: number | null;
  patterns: NamePatterns;
  selection: SelectionPolicy;
  /** null for earlyoom. */
  instruments: Instruments | null;
  /** Whether the guard has PSI rules: they are asked at every turn of a kill. */
  hasRules: boolean;
  persona: Persona;
  /** That nobody hears. */
  log: Log;
  /** Makes a guard's witness. */
  rehearsed: Witnesses['rehearsed'];
}

/** What is done only near the limits and after a kill: as often as the compiler needs, and less often what takes long. */
export async function rehearseAftermath(
  headroom: Headroom | null,
  instruments: Instruments | null,
  log: Log,
  watch: Watch,
  whole: boolean,
): Promise<void> {
  headroom?.rehearse();
  await watch.look();
  if (instruments === null) return;
  const aftermath = new Aftermath({ limits: SOME_LIMITS }, log, instruments);
  const victim = emptyVictim();
  const now = new Moment();
  now.update();
  if (whole) await rehearseRecovery(instruments.sampler.memory, watch);
  const untilMs = monotonicMs() + AFTERMATH_MS_MAX;
  for (let kill = 0; kill < (whole ? AFTERMATHS : AFTERMATHS_ONCE) && monotonicMs() < untilMs; kill++) {
    now.ms += BETWEEN_KILLS_MS;
    aftermath.rehearse(victim, kill % KILLS_PER_SURVEY === 0, now);
    await watch.rest();
  }
}

/** Shows a recovery memory that comes back, stays away and falls again: the living machine's hardly moves meanwhile. */
async function rehearseRecovery(memory: Meminfo, watch: Watch): Promise<void> {
  const recovery = new Recovery();
  // As in `rehearseCadence`.
  const seen = Object.assign(emptyMeminfo(), memory);
  const now = new Moment();
  for (let look = 0; look < RECOVERY_LOOKS; look++) {
    const step = look % RECOVERY_LOOKS_PER_KILL;
    const moved = ((step % 4) - 1) * RECOVERY_STEP_KIB;
    seen.memAvailableKib = Math.max(0, memory.memAvailableKib + moved);
    seen.anonPagesKib = Math.max(0, memory.anonPagesKib - moved);
    if (step === 0) {
      recovery.signalled(seen, RECOVERY_STEP_KIB);
      recovery.exited(seen, now);
    }
    now.ms += step === RECOVERY_LOOKS_PER_KILL - 1 ? GAP_MS : BETWEEN_KILLS_MS;
    recovery.holdsBack(seen, look % 2 === 0 ? ALWAYS_TERM : NEVER, 0, now);
    recovery.verdict(seen, 0);
    await watch.rest();
  }
}

/** Sweeps, selects by what was found and forgets it again, so often, as far as the time goes. */
export async function rehearseShortlist(
  shortlist: Shortlist,
  selector: Selector,
  watch: Watch,
  times: number,
): Promise<void> {
  const untilMs = monotonicMs() + SHORTLIST_MS_MAX;
  const now = new Moment();
  for (let time = 0; time < times && monotonicMs() < untilMs; time++) {
    const sweptByMs = monotonicMs() + WHOLE_SWEEP_MS_MAX;
    now.update();
    shortlist.shorten(time % 2 === 1);
    while (!shortlist.isReady && monotonicMs() < sweptByMs) {
      now.ms += SWEEP_MS;
      shortlist.advance(WHOLE_CORE, now);
      // No look in between: the guard's tick would have it forget what it has, far from the limits.
    }
    selector.select();
    shortlist.advance(NO_SWEEP, now);
    shortlist.shorten(false);
    await watch.look();
  }
}

/** Has system calls fail: on a quiet machine none does for long. */
export function rehearseFailures(): void {
  for (let time = 0; time < FAILURES; time++) close(NO_FD);
}

/** Writes numbers and characters of every kind: what of it a line of the living machine never shows would throw compiled code away later. */
export function rehearseLines(): void {
  const line = new Line();
  const json = new JsonLine(JSON_LINE_BYTES);
  for (let time = 0; time < NUMBERS; time++) {
    line
      .clear()
      .integer(-time, 4)
      .integer(time)
      .integer(time * 1e6, 3)
      .integer(-time);
    line
      .fixed(time / 8, 2, 7)
      .fixed(time * 1000.5, 1)
      .percent(time / 3)
      .share(time, NUMBERS, 0);
    json
      .clear()
      .decimal(time / 3)
      .decimal(time * 1e6)
      .hundredths(-time)
      .hundredths(time * 1e6);
  }
  for (let time = 0; time < TEXTS; time++) {
    line.clear().escaped(SOME_TEXT, 0, SOME_TEXT.length);
    json.clear().utf8(SOME_TEXT, 0, SOME_TEXT.length);
  }
}

/** Ranks processes of kinds that may not be seen for long on the living machine: equal in all but one thing, weighed, hardly known. */
export function rehearseRanking(policy: SelectionPolicy): void {
  const table = new CandidateTable(2);
  for (let time = 0; time < RANKINGS * SOME_ADJS.length; time++) {
    table.clear();
    for (let row = 0; row < 2; row++) {
      table.add(row + 1);
      table.oomScoreAdj[row] = SOME_ADJS[time % SOME_ADJS.length] as number;
      table.anonKib[row] = time % 3 === 0 ? UNKNOWN : SOME_KIB;
      table.rssKib[row] = SOME_KIB + row * (time % 7);
    }
    // All but one thing are equal, at first.
    table.startTimeTicks[1] = time % 2;
    outranks(table, 0, 1, policy);
    outranks(table, 1, 0, policy);
    if (time % 2 === 0) table.mark(0, MARK_PREFERRED);
    if (time % 5 === 0) table.mark(0, MARK_AVOIDED);
    scoreBound(table, 0, policy, MARK_NAMED, time);
    isSmall(table, 0, policy);
    outranks(table, 0, 1, policy);
  }
}

/**
 * Kills of children: one with SIGTERM, and with hooks, and one with SIGKILL and without them, each time; and apart those of children
 * that SIGTERM does not end. The stage is the same each time, because V8 throws compiled code away together with the objects that
 * it has seen.
 */
export class KillRehearsal {
  private readonly program = usable('sleep');
  private readonly stage: Stage;

  constructor(
    parts: RehearsalParts,
    private readonly watch: Watch,
  ) {
    this.stage = new Stage(parts);
  }

  async run(): Promise<void> {
    if (this.program === null) return;
    this.stage.useHooks(true);
    await killChild(this.stage, this.stage.term, this.program, this.watch);
    this.stage.useHooks(false);
    await killChild(this.stage, this.stage.kill, this.program, this.watch);
  }

  /** Of a child that does not end when it gets SIGTERM: memory falls further, or it is given no time. */
  async escalate(): Promise<void> {
    if (this.program === null) return;
    this.stage.useHooks(false);
    for (const inTime of [true, false]) {
      this.stage.giveTime(inTime);
      await killChild(
        this.stage,
        this.stage.term,
        this.program,
        this.watch,
        inTime ? this.stage.kill : this.stage.term,
      );
    }
    this.stage.giveTime(true);
  }
}

/**
 * Runs ticks of the guard until they make no garbage, or for `msMax`; Node's event loop gets its turns meanwhile (a signal
 * to end, what the collector has left to do). Returns whether they make none.
 */
export async function rehearseTicks(watch: Watch, msMax: number): Promise<boolean> {
  const untilMs = monotonicMs() + msMax;
  let clean = 0;
  const pause = new PollSet(1);
  watch.hastenTurn();
  while (clean < CLEAN_BATCHES && monotonicMs() < untilMs) {
    pause.wait(BETWEEN_BATCHES_MS);
    const askedFirst = process.memoryUsage().heapUsed;
    const before = process.memoryUsage().heapUsed;
    if (!watch.lookAgain(TICKS_PER_BATCH)) {
      await turn();
      continue;
    }
    // Asking makes garbage too, always the same.
    const garbage = process.memoryUsage().heapUsed - before - (before - askedFirst);
    // Less than nothing: it was collected in between.
    clean = garbage >= 0 && garbage < GARBAGE_BYTES_MAX ? clean + 1 : 0;
  }
  await watch.stay();
  return clean === CLEAN_BATCHES;
}

/** Shows a cadence memory that falls to nothing, fast and slowly, comes back, and stands below the limits. */
export async function rehearseCadence(memory: Meminfo, watch: Watch): Promise<void> {
  const cadence = new Cadence(0, new ThreadCpuTime());
  // The same kind of object, to V8, as the real one: made in the same place.
  const seen = Object.assign(emptyMeminfo(), memory);
  const now = new Moment();
  for (let sample = 0; sample < CADENCE_SAMPLES; sample++) {
    // What is done once in so many samples would not be compiled for long.
    if (sample === CADENCE_SAMPLES / 2) compileAtNextCall([Cadence, ThreadCpuTime]);
    const left = Math.max(0, 1 - (sample % (2 * CADENCE_SAMPLES_PER_FALL)) / CADENCE_SAMPLES_PER_FALL);
    seen.memAvailableKib = Math.floor(memory.memAvailableKib * left);
    seen.swapFreeKib = Math.floor(memory.swapFreeKib * left);
    now.ms += (sample % 7) * 10.25;
    cadence.addCost(DEAR_TICK_MS * (Math.floor(sample / CADENCE_SAMPLES_PER_FALL) % 3));
    cadence.observe(seen, SOME_LIMITS, sample % 3 === 0, now);
    await watch.rest();
  }
}

/**
 * Looks by rules of their own as the guard's look, over the machine's own pressure and cgroups; each look fires. Nobody is
 * killed by it: what comes of it is a selection at most.
 */
export async function rehearseRules(
  rules: readonly PressureRule[],
  procfs: string,
  memory: Meminfo,
  selector: Selector,
  watch: Watch,
  whole: boolean,
): Promise<void> {
  // As text, whatever the log is: hundreds of lines, each of which takes longer as JSON, and the time is what there is too little of.
  const log = new Log('rehearsal');
  log.quiet = true;
  const pollSet = new PollSet(RULE_POLL_SLOTS);
  const eager = rules.flatMap((rule) => {
    const cgroup = rule.cgroup === null ? null : ANY_CGROUP;
    return [
      { ...rule, ...ALWAYS_FIRES, cgroup },
      { ...rule, ...ALWAYS_FIRES, cgroup, refaults: true },
    ];
  });
  const rehearsed = openPressureRules(eager, procfs, pollSet, 0, log, false);
  if (rehearsed === null) return;
  const untilMs = monotonicMs() + RULES_MS_MAX;
  const now = new Moment();
  const low = Object.assign(emptyMeminfo(), memory);
  // The machine's own pressure may not move at all meanwhile; its numbers would be known as integers then.
  const moving = emptyReading();
  const moved = new RuleWatch(DEFAULT_RULE);
  for (let look = 0; look < (whole ? RULE_LOOKS : RULE_LOOKS_ONCE) && monotonicMs() < untilMs; look++) {
    // Early enough for a slow machine, and more than once: what was compiled too soon is thrown away by what comes next.
    if (whole && look % RULE_LOOKS_PER_COMPILATION === RULE_LOOKS_PER_COMPILATION - 1) compileAtNextCall(RULE_PATH);
    // Far, near and below the bound; time with fractions, a second and more apart at times.
    low.memAvailableKib = Math.floor((memory.memAvailableKib * (look % 8)) / 8);
    now.ms += look % 5 === 0 ? RULE_FAR_APART_MS : RULE_APART_MS;
    moving.someTotalUs += RULE_STALL_US * (look % 4);
    moving.refaultPages += look % 3;
    moved.look(moving, low, now);
    moved.recheck(low);
    rehearsed.look(low, now);
    rehearsed.follow(low, look % 2 === 0, now);
    if (look % 16 === 0) rehearsed.asked(low, now);
    rehearsed.recheck(low);
    rehearsed.sayFired();
    if (look % RULE_LOOKS_PER_SELECTION === 0 && rehearsed.cgroup !== null) {
      rehearsed.readProcesses();
      selector.selectAmong(rehearsed.processes);
      selector.firstProtected();
    }
    if (look % 3 === 0) rehearsed.restart(now);
    // A kill by the limits.
    rehearsed.follow(low, true, now);
    if (look % 64 === 0) moved.restart(now);
    await watch.rest();
  }
  rehearsed.close();
}

/** CPU time of a tick that sleeps before, ms: waking up is most of it. Less when it is `rehearsed`. */
export function measureTick(sampler: MemorySampler, rehearsed: boolean): number {
  const ticks = rehearsed ? MEASURED_TICKS : MEASURED_TICKS_AT_START;
  const pollSet = new PollSet(1);
  const startedMs = threadCpuMs();
  for (let tick = 0; tick < ticks; tick++) {
    pollSet.wait(1);
    sampler.sample();
  }
  return (threadCpuMs() - startedMs) / ticks;
}

/** A guard whose poll never waits, whose log goes nowhere, and which may kill one process only. */
class Stage {
  readonly guard: Guard;
  readonly parts: GuardParts;
  /** Limits that a kill can be rehearsed at; and those of memory that is back. */
  readonly term = copyLimits(ALWAYS_TERM);
  readonly kill = copyLimits(ALWAYS_KILL);
  readonly never = copyLimits(NEVER);
  private readonly policy: GuardPolicy;
  private readonly selection: SelectionPolicy;
  private readonly scan: ProcessScan;
  private readonly hooks: Hooks;
  private readonly noHooks: Hooks;
  private alwaysReady = -1;

  constructor(parts: RehearsalParts) {
    const { files, sampler, selfPid, patterns, selection, instruments, hasRules, persona, log, rehearsed } = parts;
    const policy = copyPolicy({
      persona,
      limits: this.never,
      dryrun: false,
      killGroup: false,
      killAfterMs: DEFAULT_KILL_AFTER_MS,
      reportIntervalMs: 1,
    });
    const pollSet = new PollSet(HOOKS_POLL_SLOT + HOOK_POLL_SLOTS);
    const hook = usable('true');
    const hooks = new Hooks({ beforeKill: hook, afterKill: hook, dbusSummary: null }, log, pollSet, HOOKS_POLL_SLOT);
    // Nobody is kept from being killed by his owner, and nothing in the names makes a difference.
    const scan = new ProcessScan(files, { ...patterns, ignore: null, matchers: null, needUid: false, selfPid }, hooks);
    this.selection = copySelection({ ...selection, ignoreRootUser: false, onlyUid: -1 });
    const setAside = new ProcessList();
    const table = new CandidateTable(STAGE_ROWS + 1);
    const cadence = new Cadence(0, new ThreadCpuTime());
    const selector = new Selector(files, scan, this.selection, setAside, null, sampler.memory, table);
    this.parts = {
      log,
      sampler,
      cadence,
      selector,
      shortlist: null,
      target: new Target(scan, pollSet, TARGET_POLL_SLOT),
      hooks,
      pollSet,
      pressure: null,
      pressureSlot: READY_POLL_SLOT,
      // Which look at nothing: that is rehearsed for itself (`rehearseRules`).
      rules: hasRules ? new PressureRules({ log, rules: [], machine: null, reclaim: null, cgroups: null }) : null,
      loopSlot: -1,
      kernelOom: null,
      setAside,
      aftermath: instruments === null ? null : new Aftermath(policy, log, instruments),
      witness: rehearsed({ ...policy, selection: this.selection }, { log, sampler, selector, cadence }),
    };
    hooks.listener = this.parts.witness.state;
    this.scan = scan;
    this.hooks = hooks;
    this.noHooks = new Hooks({ beforeKill: null, afterKill: null, dbusSummary: null }, log, pollSet, HOOKS_POLL_SLOT);
    this.policy = policy;
    this.guard = new Guard(policy, this.parts);
  }

  /** Which limits memory is at. */
  setLimits(limits: Limits): void {
    this.policy.limits = limits;
  }

  /** Whether a victim may ignore SIGTERM for a while. */
  giveTime(gives: boolean): void {
    this.policy.killAfterMs = gives ? DEFAULT_KILL_AFTER_MS : 0;
  }

  /** Whether the kills that follow are accompanied. */
  useHooks(uses: boolean): void {
    this.parts.hooks = uses ? this.hooks : this.noHooks;
  }

  /** Opens it for the kill of `pid`. */
  open(pid: number): void {
    this.selection.onlyPid = pid;
    this.scan.shorten(STAGE_ROWS, pid);
    // Of having found nobody, after the kill before.
    this.guard.endPause();
    this.alwaysReady = open(cString('/dev/null'), O_RDONLY);
    this.parts.pollSet.watch(READY_POLL_SLOT, this.alwaysReady, POLLIN);
  }

  close(): void {
    this.parts.pollSet.clear(READY_POLL_SLOT);
    if (this.alwaysReady >= 0) close(this.alwaysReady);
  }
}

/**
 * Starts a child and lets the stage's guard end it, by the signal that `limits` ask for.
 * @param thenLimits  if it is to be alive still at the look after that, stopped: what memory is at from then on
 */
async function killChild(
  stage: Stage,
  limits: Limits,
  program: string,
  watch: Watch,
  thenLimits: Limits | null = null,
): Promise<void> {
  const slot = new SpawnSlot(program, [cString('sleep'), cString('10')], []);
  slot.start(() => undefined);
  const startsByMs = monotonicMs() + CHILD_START_MS_MAX;
  while (slot.startedPid() === 0 && monotonicMs() < startsByMs) await watch.lookLater();
  const pid = slot.startedPid();
  if (pid === 0) return;
  if (thenLimits !== null) {
    kill(pid, SIGSTOP);
    await watch.lookLater();
  }
  stage.open(pid);
  stage.setLimits(limits);
  const { guard } = stage;
  const { hooks, pollSet } = stage.parts;
  const endedBefore = guard.ended;
  const untilMs = monotonicMs() + KILL_MS_MAX;
  if (thenLimits !== null) {
    for (let tick = 0; tick < TICKS_BEFORE_ESCALATION; tick++) guard.tick();
    stage.setLimits(thenLimits);
    // What is asked after SIGKILL only, which does not leave it the time.
    stage.parts.target.isStuck();
  }
  while (guard.ended === endedBefore && monotonicMs() < untilMs) {
    // Without a wait in between: both victim and hook are to be seen while they run, which is not long.
    for (let tick = 0; tick < TICKS_IN_A_ROW; tick++) guard.tick();
    if (hooks.starting) await watch.look();
    else await watch.lookLater();
  }
  // Memory is back.
  stage.setLimits(stage.never);
  for (let tick = 0; tick < TICKS_AFTER_KILL; tick++) guard.tick();
  stage.setLimits(limits);
  // Nobody is left to kill, which is a path of its own.
  for (let tick = 0; tick < TICKS_AFTER_KILL; tick++) guard.tick();
  const now = new Moment();
  for (now.update(); hooks.busy && now.ms < untilMs; now.update()) {
    pollSet.wait(0);
    hooks.service(now);
    await watch.lookLater();
  }
  stage.close();
  if (reap(pid) === STILL_RUNNING) {
    kill(pid, SIGKILL);
    while (reap(pid) === STILL_RUNNING && monotonicMs() < untilMs + KILL_MS_MAX) await watch.lookLater();
  }
}

/** The path of a program that every system has, or null. */
function usable(name: string): string | null {
  return [`/bin/${name}`, `/usr/bin/${name}`].find((path) => existsSync(path)) ?? null;
}
