/*
 * From options to a running guard: opens what the ticks need, says what earlyoom says, rehearses the
 * selection on the living machine, and starts the loop.
 */

import { accessSync, constants, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, getPriority, release, setPriority } from 'node:os';
import { monotonicMs, ThreadCpuTime, threadCpuMs } from '../../native-shims/clock.js';
import { compileAtNextCall, limitInlining } from '../../native-shims/engine.js';
import { strerror } from '../../native-shims/errno.js';
import { eventLoopFd, turn } from '../../native-shims/event-loop.js';
import { FdBatch } from '../../native-shims/fd-batch.js';
import { kill } from '../../native-shims/pidfd.js';
import { POLLIN, PollSet } from '../../native-shims/poll.js';
import { clearAmbientCapabilities, setNiceness, setProcessName } from '../../native-shims/priority.js';
import { HOOK_POLL_SLOTS, Hooks } from '../act/hooks.js';
import { KernelOomKiller } from '../act/kernel-oom.js';
import { Target } from '../act/target.js';
import { Cadence } from '../decide/cadence.js';
import { outranks } from '../decide/ranking.js';
import { Recovery } from '../decide/recovery.js';
import { CAP_KILL, parsePidStatusCapEff } from '../kernel/pid-status.js';
import { JsonLine } from '../report/json-line.js';
import { Fields, JsonLog } from '../report/json-log.js';
import { Line } from '../report/line.js';
import { Log } from '../report/log.js';
import { sayLimits, saySending } from '../report/messages.js';
import { AllocationClock } from '../sample/allocation-clock.js';
import { FreeLists } from '../sample/free-lists.js';
import { Matchers } from '../sample/matchers.js';
import type { MemorySampler } from '../sample/memory-sampler.js';
import { PidFiles } from '../sample/pid-files.js';
import { PidWalk } from '../sample/pid-walk.js';
import { PressureTrigger } from '../sample/pressure-trigger.js';
import { ProcessScan } from '../sample/process-scan.js';
import { TmpfsUsage } from '../sample/tmpfs-usage.js';
import { EXIT_OTHER, FatalError } from '../shared/exit.js';
import type { Matching } from '../shared/matching.js';
import type { GuardOptions, PatternTexts, Persona } from '../shared/options.js';
import { rulesInForce } from '../shared/rules.js';
import { copySelection, type SelectionPolicy } from '../shared/selection.js';
import { emptyVictim } from '../shared/victim.js';
import { PageWriter } from '../state/page-writer.js';
import { Aftermath, type Instruments } from './aftermath.js';
import { BestCandidates } from './best-candidates.js';
import { EventLog } from './event-log.js';
import { copyPolicy, Guard, type GuardPolicy } from './guard.js';
import { Headroom } from './headroom.js';
import { IncidentRecorder } from './incident.js';
import { KillSurvey } from './kill-survey.js';
import { type LockResult, lockProblem } from './lock.js';
import { compilePatterns, exeMatchers, foreignExeError, refuseBlindProtection, selfPidIn } from './machine.js';
import { openWitnesses } from './open-witness.js';
import { openPressureRules, PressureRules, RULE_POLL_SLOTS } from './pressure-rules.js';
import { ProcessList } from './process-list.js';
import {
  CHECK_MS_MAX,
  COMPILE_MS_MAX,
  KillRehearsal,
  LEARN_MS_MAX,
  measureTick,
  rehearseAftermath,
  rehearseCadence,
  rehearseFailures,
  rehearseLines,
  rehearseRanking,
  rehearseRules,
  rehearseSelection,
  rehearseShortlist,
  rehearseTicks,
  Watch,
} from './rehearse.js';
import { type Program, Reload } from './reload.js';
import { seal, settle, tuneEngine } from './seal.js';
import { Selector } from './selector.js';
import { Shortlist, Survey, scoreFactorOf } from './shortlist.js';
import { StateRecorder } from './state-recorder.js';
import { Witness } from './witness.js';

const TARGET_POLL_SLOT = 0;
const PRESSURE_POLL_SLOT = 1;
const LOOP_POLL_SLOT = 2;
const REHEARSAL_POLL_SLOT = 3;
const HOOKS_POLL_SLOT = 4;
const RULES_POLL_SLOT = HOOKS_POLL_SLOT + HOOK_POLL_SLOTS;

/** Sweeps, and selections by what they found. */
const SWEEPS_TO_LEARN = 25;
const SWEEPS_AGAIN = 3;
const SWEEPS_ONCE = 1;

/** What finds the victim. */
const SELECTION_PATH = [Selector, ProcessScan, PidFiles, PidWalk, FdBatch, Shortlist, Survey, AllocationClock];

/**
 * What else a kill runs through once: never so often that V8 would compile it by itself. In parts, each of which is compiled in two
 * kills of its own: all in one would take 0.3 s, half of it in one tick, and the guard would be blind meanwhile. With who is called
 * beside its callers: what is compiled before them is compiled for itself, and once more within each of them.
 */
const KILL_PARTS = [
  [
    Guard,
    Target,
    Aftermath,
    Hooks,
    Recovery,
    FreeLists,
    BestCandidates,
    // No method, and called from several.
    { prototype: { outranks } },
    Log,
    Line,
    JsonLog,
    JsonLine,
    Fields,
  ],
  [Witness, IncidentRecorder, EventLog],
  [StateRecorder, PageWriter],
];

/** Each line of the log would have all in it that it takes to write it: 0.15 MiB (measured). */
const KILL_INLINED_BYTES_MAX = 400;

/** What each tick runs through, whatever it finds. */
const TICK_PATH = [Guard, Witness, StateRecorder, PageWriter, Cadence, PollSet, Hooks, IncidentRecorder, PressureRules];

/** The kernel may deliver the guard's signal to itself through another thread: this long it waits for the end. */
const SIGNAL_ARRIVES_MS = 200;

const NICENESS = -20;
/** A tenth of an ordinary thread's share where there is not enough for all. */
const ENGINE_NICENESS = 10;
const OOM_SCORE_ADJ = -100;

/**
 * What is set on the process itself, before anything else: its engine and the niceness of its engine's threads, its name,
 * and no capabilities for its children.
 */
export function prepareProcess(persona: Persona): void {
  tuneEngine();
  keepEngineOrdinary();
  setProcessName(persona);
  clearAmbientCapabilities();
}

/**
 * Has the engine's threads wait for others. They compile at start-up and have nothing to do afterwards: at the priority
 * that the unit gives to the guard (`Nice=-20`) they would hold up everybody else, for as long as a function takes (0.3 s
 * and more in the emulated machine of test/vm). Where the kernel does not allow it, they keep it.
 */
function keepEngineOrdinary(): void {
  try {
    for (const thread of readdirSync('/proc/self/task').map(Number)) {
      if (thread !== process.pid && getPriority(thread) < ENGINE_NICENESS) setPriority(thread, ENGINE_NICENESS);
    }
  } catch {
    // No procfs, or one of another PID namespace.
  }
}

/**
 * Starts the guard; it runs until the process is ended.
 * @param program  what a SIGHUP executes anew; null: it ends the guard
 * @throws FatalError before anything was touched
 */
export function startGuard(
  options: GuardOptions,
  files: PidFiles,
  sampler: MemorySampler,
  log: Log,
  program: Program | null,
): void {
  const prepared = prepareGuard(options, files, sampler, log);
  const { guard, hooks, state } = prepared;
  const reload = program === null ? null : new Reload(guard, hooks, state, log, program);
  void sealGuard(prepared, log)
    // It guards all the same, only not as well.
    .catch((error) => sayNotSealed(log, error))
    .then(() => {
      prepared.watch.close();
      setImmediate(() => prepared.guard.run());
      reload?.begin();
    });
}

type TargetMaker = (scan: ProcessScan, pollSet: PollSet, pollSlot: number) => Target;

/** A guard with all that it takes, and how to rehearse it. */
export interface PreparedGuard {
  guard: Guard;
  policy: GuardPolicy;
  selection: SelectionPolicy;
  hooks: Hooks;
  /** What the guard tells of itself. */
  state: StateRecorder;
  watch: Watch;
  selector: Selector;
  shortlist: Shortlist | null;
  rehearseCadence: () => Promise<void>;
  /** As long as it takes until it is compiled, or once. */
  rehearseRules: (whole: boolean) => Promise<void>;
  rehearseKills: (whole: boolean) => Promise<void>;
  /** Has the cadence know what a tick takes now that it is compiled. */
  measureTick: () => void;
}

/**
 * Opens what the guard needs, says what it is going to do, and puts it together.
 * @param makeTarget  what may be killed: a drill allows one process only
 * @throws FatalError before anything was touched
 */
export function prepareGuard(
  options: GuardOptions,
  files: PidFiles,
  sampler: MemorySampler,
  log: Log,
  makeTarget: TargetMaker = (scan, pollSet, slot) => new Target(scan, pollSet, slot),
): PreparedGuard {
  const startedMs = monotonicMs();
  const selfPid = selfPidIn(options.procfs);
  refuseForeignProcfs(options, selfPid);
  const patterns = compilePatterns(options.patterns, options.sparesWayIn);
  sayPatterns(log, options.patterns);
  sayMatching(log, options.matching);
  if (options.raisePriority) raisePriority(log);
  sayLimits(log, sampler.memory, options.limits);

  const ruleList = rulesInForce(options.rules, options.defaultRule);
  const watchesCgroups = ruleList.some(({ cgroup }) => cgroup !== null);
  const pollSet = new PollSet(RULES_POLL_SLOT + (watchesCgroups ? RULE_POLL_SLOTS : 0));
  const pressure = openPressureTrigger(options, pollSet, log);
  const rules = openPressureRules(ruleList, options.procfs, pollSet, RULES_POLL_SLOT, log);
  const hooks = new Hooks(
    {
      beforeKill: usableHook(log, '-P', options.beforeKill),
      afterKill: usableHook(log, '-N', options.afterKill),
      dbusSummary: options.notifyDbus ? options.persona : null,
    },
    log,
    pollSet,
    HOOKS_POLL_SLOT,
  );
  if (log.writerPid !== 0) hooks.companions.push(log.writerPid);
  if (options.persona === 'oom-backstop') keepToOwnUser(options.selection, log);
  const needUid = options.selection.ignoreRootUser || options.selection.onlyUid !== -1;
  checkExeMatchers(options, log);
  const matchers = Matchers.of(files, options.matching);
  const scan = new ProcessScan(files, { ...patterns, matchers, needUid, selfPid }, hooks);
  const setAside = new ProcessList();
  const policy = copyPolicy(options);
  const selection = copySelection(options.selection);
  const shortlist = openShortlist(options, selection, files, scan, sampler, log);
  const selector = new Selector(files, scan, selection, setAside, shortlist, sampler.memory);
  const headroom = useHeadroom(options, sampler, log);
  const instruments =
    options.persona === 'earlyoom' ? null : openInstruments(options.procfs, selection, files, scan, setAside, sampler);
  const aftermath = instruments === null ? null : new Aftermath(policy, log, instruments);
  warnOfHiddenProcesses(log, options.procfs);
  trySelection(log, selector);
  const cadence = new Cadence(
    measureTick(sampler, false),
    new ThreadCpuTime(),
    options.waitMsMax,
    availableParallelism(),
  );
  const { witness, rehearsed } = openWitnesses(options, { ...policy, selection }, hooks, {
    log,
    sampler,
    selector,
    cadence,
  });

  const guard = new Guard(policy, {
    log,
    sampler,
    cadence,
    selector,
    shortlist,
    target: makeTarget(scan, pollSet, TARGET_POLL_SLOT),
    hooks,
    pollSet,
    pressure,
    pressureSlot: PRESSURE_POLL_SLOT,
    rules,
    loopSlot: watchEventLoop(pollSet),
    kernelOom: options.kernelOom ? openKernelOom(log, options.procfs) : null,
    setAside,
    aftermath,
    witness,
  });
  endOnSignal((signal) => witness.state.stops(signal), log, 'SIGTERM', 'SIGINT');
  // Node would answer it by opening a debugger's port: the guard listens to nobody.
  process.on('SIGUSR1', () => undefined);
  const watch = new Watch(guard, pollSet, REHEARSAL_POLL_SLOT, startedMs, getPriority() < 0);
  const { persona } = options;
  const hasRules = rules !== null;
  const unheard = Log.rehearsal(log);
  const kills =
    selfPid === process.pid
      ? new KillRehearsal(
          { files, sampler, selfPid, patterns, selection, instruments, hasRules, persona, log: unheard, rehearsed },
          watch,
        )
      : null;
  return {
    guard,
    policy,
    selection,
    hooks,
    state: witness.state,
    watch,
    selector,
    shortlist,
    rehearseKills: async (whole) => {
      await kills?.run();
      if (whole) await kills?.escalate();
      await rehearseAftermath(headroom, instruments, unheard, watch, whole);
    },
    measureTick: () => cadence.setTickCost(measureTick(sampler, true)),
    rehearseCadence: () => rehearseCadence(sampler.memory, watch),
    rehearseRules: async (whole) => {
      if (rules !== null) await rehearseRules(ruleList, options.procfs, sampler.memory, selector, watch, whole);
    },
  };
}

/** Rehearses the guard and seals it; when it resolves, the guard is to run. */
export async function sealGuard(prepared: PreparedGuard, log: Log): Promise<void> {
  const { guard, state, watch, selector, shortlist } = prepared;
  // As in a reload.
  guard.takesTurns = true;
  let learns = true;
  const compileKills = async (): Promise<void> => {
    for (const part of KILL_PARTS) {
      for (let half = 0; half < 2; half++) {
        compileAtNextCall(part, half, 2);
        limitInlining(KILL_INLINED_BYTES_MAX);
        await prepared.rehearseKills(false);
        limitInlining();
      }
    }
  };
  const pass = async (learning: boolean): Promise<void> => {
    if (!learning) compileAtNextCall(SELECTION_PATH);
    await rehearseSelection(selector, watch, !learning);
    if (shortlist !== null)
      await rehearseShortlist(shortlist, selector, watch, learning ? SWEEPS_TO_LEARN : SWEEPS_AGAIN);
    if (learning) await prepared.rehearseKills(true);
    else await compileKills();
    // It lets go of the children.
    await turn();
    if (!learning) compileAtNextCall(TICK_PATH);
    await rehearseTicks(watch, learning ? LEARN_MS_MAX : COMPILE_MS_MAX);
  };
  const compile = async (): Promise<void> => {
    await prepared.rehearseCadence();
    rehearseFailures();
    rehearseLines();
    rehearseRanking(prepared.selection);
    await prepared.rehearseRules(true);
    // What is compiled while a first kill is under way has not seen all of it, and would be thrown away by the second.
    if (learns) await pass(true);
    await pass(false);
    // What has been thrown away after all, by what came later.
    compileAtNextCall([...KILL_PARTS.flat(), ...SELECTION_PATH, ...TICK_PATH]);
    await prepared.rehearseKills(false);
    // If some of it has to be compiled again, what it is called with is known.
    learns = false;
  };
  const touch = async (): Promise<void> => {
    await prepared.rehearseKills(false);
    await prepared.rehearseRules(false);
    // The full scan is what a kill has just done.
    if (shortlist === null) selector.select();
    else await rehearseShortlist(shortlist, selector, watch, SWEEPS_ONCE);
  };
  const isDone = (): Promise<boolean> => rehearseTicks(watch, CHECK_MS_MAX);
  const result = await seal(compile, touch, isDone, () => watch.look());
  prepared.measureTick();
  sayLockProblem(log, result);
  state.sealed(result);
  await turn();
  guard.takesTurns = false;
  settle(result);
}

/** What knows the victim in advance; null where it is of no use, or the kernel does not say what it takes. */
function openShortlist(
  options: GuardOptions,
  selection: SelectionPolicy,
  files: PidFiles,
  scan: ProcessScan,
  sampler: MemorySampler,
  log: Log,
): Shortlist | null {
  // The debug log shows everybody, and a group's members are to be found among everybody.
  if (selection.rankBy === 'rss' || options.killGroup || log.debugEnabled) return null;
  // So does a trace.
  if (options.record !== null) return null;
  // The kernel's counters tell of this machine and this PID namespace, whatever tree is read.
  if (selfPidIn(options.procfs) !== process.pid) return null;
  const clock = AllocationClock.open(options.procfs);
  const directory = files.reopen();
  if (typeof clock === 'number' || typeof directory === 'number') return null;
  const walk = new PidWalk(directory.directoryFd);
  return new Shortlist(scan, walk, clock, selection, sampler.memory, scoreFactorOf(release()));
}

/** Has the samples take in what MemAvailable and SwapFree leave out. Says so of ZFS, whose part can be large. */
function useHeadroom(options: GuardOptions, sampler: MemorySampler, log: Log): Headroom | null {
  const headroom = Headroom.open(options);
  sampler.refiner = headroom;
  if (headroom?.countsArc)
    log.say('start', 'near the limits, what the cache of ZFS would give back counts as available');
  return headroom;
}

/** How often the CPUs' lists are read to learn what a read costs. */
const MEASURED_READS = 5;

/** What is asked after a kill. What can't be opened is done without. */
function openInstruments(
  procfs: string,
  selection: SelectionPolicy,
  files: PidFiles,
  scan: ProcessScan,
  setAside: ProcessList,
  sampler: MemorySampler,
): Instruments {
  const freeLists = orNull(FreeLists.open(procfs));
  const startedMs = threadCpuMs();
  for (let read = 0; read < MEASURED_READS; read++) freeLists?.read();
  return {
    sampler,
    freeLists,
    readCostMs: (threadCpuMs() - startedMs) / MEASURED_READS,
    allocation: orNull(AllocationClock.open(procfs)),
    survey: orNull(KillSurvey.open(files, scan, selection, setAside)),
    tmpfs: new TmpfsUsage(procfs),
  };
}

function orNull<T extends object>(opened: T | number): T | null {
  return typeof opened === 'number' ? null : opened;
}

/** Something in the rehearsal or the engine's functions that it needs. */
function sayNotSealed(log: Log, error: unknown): void {
  log
    .begin('warn')
    .text('not rehearsed and not locked in memory: ')
    .foreign(String(error))
    .text(' - continuing anyway');
  log.end();
}

/** What can't be kept in memory. */
function sayLockProblem(log: Log, result: LockResult): void {
  const problem = lockProblem(result);
  if (problem === null) return;
  log.begin('warn').text(problem).text(' - continuing anyway');
  log.end();
}

/** Has the guard notice when Node's event loop has something to do. Returns the slot, or -1. */
function watchEventLoop(pollSet: PollSet): number {
  const fd = eventLoopFd();
  if (fd < 0) return -1;
  pollSet.watch(LOOP_POLL_SLOT, fd, POLLIN);
  return LOOP_POLL_SLOT;
}

/** Has memory pressure wake the guard, where the kernel can; says so, except where earlyoom's lines are the contract. */
function openPressureTrigger(options: GuardOptions, pollSet: PollSet, log: Log): PressureTrigger | null {
  const trigger = PressureTrigger.open(`${options.procfs}/pressure/memory`);
  if (typeof trigger !== 'number') pollSet.watch(PRESSURE_POLL_SLOT, trigger.fd, trigger.events);
  if (options.persona === 'oom-backstop') sayPressureTrigger(log, trigger);
  return typeof trigger === 'number' ? null : trigger;
}

function sayPressureTrigger(log: Log, trigger: PressureTrigger | number): void {
  const line = log.begin('start');
  if (typeof trigger === 'number') line.text('memory pressure does not wake the guard: ').text(strerror(-trigger));
  else line.text('memory pressure wakes the guard, PSI window ').integer(trigger.windowMs).text(' ms');
  log.end();
}

/** A guard that may not signal others' processes would choose one again and again: it keeps to those of its own user. */
function keepToOwnUser(selection: SelectionPolicy, log: Log): void {
  const uid = process.geteuid?.() ?? 0;
  if (selection.onlyUid !== -1 || uid === 0 || hasCapKill()) return;
  selection.onlyUid = uid;
  log.begin('start').text('without CAP_KILL: only processes of uid ').integer(uid).text(' will be killed');
  log.end();
}

function hasCapKill(): boolean {
  const effective = parsePidStatusCapEff(readFileSync('/proc/self/status', 'latin1')) ?? 0n;
  return ((effective >> CAP_KILL) & 1n) === 1n;
}

/** Pids of a tree that numbers processes differently are other processes here: nobody must be killed by them. */
function refuseForeignProcfs(options: GuardOptions, selfPid: number | null): void {
  if (options.dryrun || selfPid === process.pid) return;
  const why = `--procfs ${options.procfs}: it does not show this process as ${process.pid}, so its pids can't be killed by`;
  throw new FatalError(EXIT_OTHER, `${why} (valid: a procfs of this PID namespace, or any tree with --dryrun)`);
}

function sayPatterns(log: Log, texts: PatternTexts): void {
  const say = (words: string, text: string | null): void => {
    if (text === null) return;
    log.begin('start').text(words).text(" process names that match regex '").foreign(text).text("'");
    log.end();
  };
  say('Preferring to kill', texts.prefer);
  say('Will avoid killing', texts.avoid);
  say('Will ignore', texts.ignore);
}

function sayMatching(log: Log, { tables, onlyCgroup }: Matching): void {
  for (const [index, { action, conditions }] of tables.entries()) {
    const line = log.begin('start').text(`match ${index + 1}: ${action}`);
    for (const { key, pattern } of conditions) line.text(` ${key} '`).foreign(pattern).text("'");
    log.end();
  }
  if (onlyCgroup === null) return;
  log.begin('start').text("Only processes in cgroup '").foreign(onlyCgroup).text("' and below will be killed");
  log.end();
}

/** A guard that keeps to its own user's processes can read their programs. */
function checkExeMatchers({ matching, procfs, selection }: GuardOptions, log: Log): void {
  if (selection.onlyUid === process.geteuid?.()) return;
  refuseBlindProtection(matching, procfs);
  const blind = exeMatchers(matching, false);
  const error = blind.length === 0 ? null : foreignExeError(procfs);
  if (error === null) return;
  const whose = "matches none of other users' processes, whose programs can't be read";
  for (const label of blind) log.say('warn', `warning: ${label} ${whose}: ${error}`);
}

function raisePriority(log: Log): void {
  const warn = (what: string, why: string): void => {
    log.begin('warn').text(`Could not set ${what}: ${why}. Continuing anyway`);
    log.end();
  };
  const niced = setNiceness(NICENESS);
  if (niced < 0) warn('priority', strerror(-niced));
  const adjusted = setOwnOomScoreAdj();
  if (adjusted > 0) warn('oom_score_adj', strerror(adjusted));
  if (niced >= 0 && adjusted === 0) log.say('start', 'Priority was raised successfully');
}

/** Returns 0 or an errno. A guard that is better protected already (by its unit) stays so. */
function setOwnOomScoreAdj(): number {
  try {
    if (Number(readFileSync('/proc/self/oom_score_adj', 'latin1')) <= OOM_SCORE_ADJ) return 0;
    writeFileSync('/proc/self/oom_score_adj', String(OOM_SCORE_ADJ));
    return 0;
  } catch (error) {
    return -((error as NodeJS.ErrnoException).errno ?? 0);
  }
}

/** The hook if it can be used; says why not. */
function usableHook(log: Log, option: string, path: string | null): string | null {
  if (path === null) return null;
  if (!path.startsWith('/')) {
    log.begin('warn').text(`${option}: script '`).foreign(path).text(`' is not an absolute path, disabling ${option}`);
    log.end();
    return null;
  }
  try {
    accessSync(path, constants.X_OK);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).errno ?? 0;
    log
      .begin('warn')
      .text(`${option}: script '`)
      .foreign(path)
      .text(`' is not executable: ${strerror(-errno)}`);
    log.end();
  }
  return path;
}

function openKernelOom(log: Log, procfs: string): KernelOomKiller | null {
  const killer = KernelOomKiller.open(procfs);
  if (typeof killer !== 'number') return killer;
  log
    .begin('warn')
    .text(`warning: --kernel-oom: no permission to write to ${procfs}/sysrq-trigger: `)
    .text(strerror(-killer))
    .text(', killing on our own');
  log.end();
  return null;
}

/** With hidepid on /proc the guard sees its own user's processes only: say it, rather than kill the wrong one in silence. */
function warnOfHiddenProcesses(log: Log, procfs: string): void {
  try {
    readFileSync(`${procfs}/1/stat`);
  } catch {
    log.say(
      'warn',
      `warning: ${procfs} does not show pid 1: is it mounted with hidepid? Other users' processes can't be chosen`,
    );
  }
}

/** Runs the whole selection once, with the signal that does nothing: whatever is wrong with it shows now. */
function trySelection(log: Log, selector: Selector): void {
  const startedMs = monotonicMs();
  const row = selector.select();
  const tookMs = monotonicMs() - startedMs;
  if (!log.debugEnabled) return;
  selector.debug(log);
  log.begin('debug').text('selecting victim took ').fixed(tookMs, 3).text(' ms');
  log.end();
  if (row === -1) return log.say('debug', 'nobody could be killed now');
  const victim = emptyVictim();
  selector.describe(row, victim);
  saySending(log, '0 (no-op signal)', victim);
  kill(victim.pid, 0);
}

/**
 * A signal to end is honoured at the loop's next turn, by the signal's own default, so that whoever waits
 * for the guard sees what ended it. Pid 1 of a container has no defaults: there it is an exit.
 */
function endOnSignal(tell: (signal: string) => void, log: Log, ...signals: ('SIGTERM' | 'SIGINT')[]): void {
  for (const signal of signals) {
    process.once(signal, () => {
      tell(signal);
      log.finish();
      process.kill(process.pid, signal);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SIGNAL_ARRIVES_MS);
      process.exit(signal === 'SIGTERM' ? 143 : 130);
    });
  }
}
