/*
 * A drill: a real guard, put together as at start (guard/start.ts) with the configured policy, ends a balloon on this very machine,
 * beside whatever else runs.
 *
 *   balloon   started, ready, held by a pidfd; it grows only when it is told to
 *   guard     selection and target both allow the balloon only; its limit lies just below what is available now
 *   go        the guard ticks in this process until the balloon has ended, at its own cadence
 *   memory    AnonPages, until they have fallen by what the balloon had
 *
 * If the balloon is full and the limit was not crossed, others have freed memory meanwhile: once more with a fresh limit. The guard is
 * not rehearsed: it is cold, where the one that runs as a service is compiled, so that one is faster. On every path the balloon is
 * ended here, and where this process can't any more, the balloon ends because its stdin closes (drill/balloon.ts).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { monotonicMs } from '../../native-shims/clock.js';
import { ENOSYS, strerror } from '../../native-shims/errno.js';
import { turn } from '../../native-shims/event-loop.js';
import { close } from '../../native-shims/files.js';
import { pidfdOpen, pidfdSendSignal, SIGKILL } from '../../native-shims/pidfd.js';
import { PollSet } from '../../native-shims/poll.js';
import { pageSize } from '../../native-shims/priority.js';
import { whyNot } from '../decide/ranking.js';
import { openMeminfo, openProcfs } from '../guard/machine.js';
import { prepareGuard } from '../guard/start.js';
import { emptyPidStat, parsePidStat } from '../kernel/pid-stat.js';
import { emptyPidStatm, parsePidStatm } from '../kernel/pid-statm.js';
import { Log } from '../report/log.js';
import type { MemorySampler } from '../sample/memory-sampler.js';
import type { Limits } from '../shared/limits.js';
import type { GuardOptions } from '../shared/options.js';
import { type HeldProcess, OnlyTarget } from './only-target.js';
import {
  type BalloonEvent,
  balloonOrder,
  type DrillFacts,
  drillLimits,
  failureOf,
  type SentSignal,
  tooNear,
  whyNever,
} from './plan.js';

const ATTEMPTS_MAX = 3;

/** Node starts in 0.1 s; fifty times that on a machine in trouble. */
const READY_MS_MAX = 5000;
/** A full balloon that is still not at the limit stays so long: MemAvailable may move by itself. */
const FULL_MS = 500;
/** Until memory was back, and until hooks have ended. */
const AFTERMATH_MS_MAX = 3000;
/** Others move memory, too. */
const NEARLY = 0.9;
const HOOKS_MS_MAX = 5000;
/** The balloon outlives all of the drill's own deadlines by this. */
const SPARE_MS = 15_000;
const BYTES_PER_KIB = 1024;

export interface DrillRequest {
  options: GuardOptions;
  sizeKib: number;
  timeoutMs: number;
  signal: number;
  runsHooks: boolean;
}

export interface DrillResult {
  /** Null: all of it worked. */
  failure: string | null;
  /** Of the last balloon; null if none was started. */
  pid: number | null;
  limits: Limits | null;
  attempts: number;
  facts: DrillFacts | null;
}

/** Something that makes a drill impossible, or not harmless. */
class Refusal extends Error {}

/**
 * @throws FatalError where the guard would not start
 */
export async function drill(request: DrillRequest): Promise<DrillResult> {
  const result: DrillResult = { failure: null, pid: null, limits: null, attempts: 0, facts: null };
  try {
    refuseIdle(request.options);
    const untilMs = monotonicMs() + request.timeoutMs;
    do {
      result.attempts++;
    } while ((await attempt(request, result, untilMs)) === 'again' && result.attempts < ATTEMPTS_MAX);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    result.failure = error.message;
  }
  return result;
}

function refuseIdle({ dryrun, kernelOom }: GuardOptions): void {
  if (dryrun) throw new Refusal('the configuration asks for a dry run: the guard would kill nobody');
  if (kernelOom)
    throw new Refusal(
      "the configuration leaves choice and kill to the kernel's OOM killer, which can't be kept to a balloon",
    );
}

/** One balloon and one guard. */
async function attempt(request: DrillRequest, result: DrillResult, untilMs: number): Promise<'done' | 'again'> {
  const { options } = request;
  const refusal = tooNear(openMeminfo(options.procfs).memory, options.limits, request.sizeKib);
  if (refusal !== null) throw new Refusal(refusal);
  const balloon = await Balloon.start(request.sizeKib, request.timeoutMs);
  try {
    const sampler = openMeminfo(options.procfs);
    const limits = drillLimits(sampler.memory, request.sizeKib, request.signal);
    Object.assign(result, { pid: balloon.held.pid, limits });
    const course = new Course(request, balloon, limits, sampler);
    const ended = await course.run(untilMs);
    result.facts = await course.facts();
    result.failure = failureOf(result.facts);
    return ended;
  } finally {
    await balloon.end();
  }
}

/** The balloon as a child of this process. */
class Balloon {
  readonly events: BalloonEvent[] = [];
  exit: DrillFacts['exit'] = null;

  private constructor(
    private readonly child: ChildProcess,
    readonly held: HeldProcess,
  ) {
    child.once('exit', (code, signal) => {
      this.exit = { atMs: monotonicMs(), code, signal };
    });
    let rest = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() as string;
      this.events.push(...lines.map((line) => JSON.parse(line) as BalloonEvent));
    });
    // It has ended: the exit says so.
    child.stdin?.on('error', () => undefined);
  }

  static async start(sizeKib: number, timeoutMs: number): Promise<Balloon> {
    const order = balloonOrder(sizeKib, timeoutMs + SPARE_MS);
    const args = [path.join(__dirname, 'balloon.cjs'), JSON.stringify(order)];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
    await once(child, 'spawn');
    const balloon = new Balloon(child, hold(child));
    await balloon.ready();
    return balloon;
  }

  private async ready(): Promise<void> {
    const untilMs = monotonicMs() + READY_MS_MAX;
    while (this.event('ready') === undefined) {
      if (this.exit !== null || monotonicMs() > untilMs) {
        await this.end();
        throw new Refusal('the balloon could not be started');
      }
      await pause();
    }
  }

  event(name: BalloonEvent['event']): BalloonEvent | undefined {
    return this.events.find(({ event }) => event === name);
  }

  go(limitPercent: number): void {
    this.child.stdin?.write(`${limitPercent}\n`);
  }

  /** Ends it, if that has not happened, and lets go of it. */
  async end(): Promise<void> {
    if (this.exit === null) pidfdSendSignal(this.held.pidfd, SIGKILL);
    while (this.exit === null) await pause();
    close(this.held.pidfd);
  }

  /** What it has, and a kill would give back, KiB. */
  anonKib(): number {
    const statm = emptyPidStatm();
    try {
      const bytes = readFileSync(`/proc/${this.held.pid}/statm`);
      if (!parsePidStatm(bytes, bytes.length, statm)) return 0;
    } catch {
      return 0;
    }
    return ((statm.residentPages - statm.sharedPages) * pageSize()) / BYTES_PER_KIB;
  }
}

/** Takes hold of a child of ours, whose pid is its own until we have collected it. */
function hold(child: ChildProcess): HeldProcess {
  const pid = child.pid as number;
  const pidfd = pidfdOpen(pid);
  const stat = emptyPidStat();
  const bytes = pidfd < 0 ? Buffer.alloc(0) : readFileSync(`/proc/${pid}/stat`);
  if (pidfd >= 0 && parsePidStat(bytes, bytes.length, stat)) return { pid, startTimeTicks: stat.startTimeTicks, pidfd };
  child.kill('SIGKILL');
  const why = pidfd === -ENOSYS ? 'this kernel has no pidfd_open (Linux 5.3)' : strerror(Math.max(0, -pidfd));
  throw new Refusal(`the balloon can't be held, so nobody is signalled: ${why}`);
}

/** From the balloon's growth to its end, as far as it gets. */
class Course {
  private readonly signals: SentSignal[] = [];
  private chosenAtMs: number | null = null;
  private before: { anonPagesKib: number; hadKib: number } | null = null;
  private readonly prepared: ReturnType<typeof prepareGuard>;
  private hooksBusy = (): boolean => this.prepared.hooks.busy;

  /** @param sampler  the guard's */
  constructor(
    private readonly request: DrillRequest,
    private readonly balloon: Balloon,
    private readonly limits: Limits,
    sampler: MemorySampler,
    private readonly own = openMeminfo(request.options.procfs),
  ) {
    const { options, runsHooks } = request;
    const log = new Log('oom-backstop');
    log.quiet = true;
    const { held } = balloon;
    const selection = { ...options.selection, onlyPid: held.pid };
    const hooks = runsHooks ? {} : { beforeKill: null, afterKill: null, notifyDbus: false };
    const unrecorded = { keepsIncidents: false, keepsState: false, record: null };
    const quiet = { ...unrecorded, raisePriority: false, reportIntervalMs: 0, debug: false };
    // A rule may kill a whole cgroup.
    const alone = { limits, selection, killGroup: false, rules: [], defaultRule: false, ...quiet };
    this.prepared = prepareGuard(
      { ...options, ...hooks, ...alone },
      openProcfs(options.procfs),
      sampler,
      log,
      (scan, pollSet, slot) =>
        new OnlyTarget(scan, pollSet, slot, held, {
          chosen: () => this.noteChosen(),
          signalling: () => this.noteMemory(),
          signalled: (signal, result) => this.signals.push({ signal, atMs: monotonicMs(), result }),
        }),
    );
    this.refuseIneligible();
  }

  /** Whether the configured policy would choose the balloon, once it is large enough. */
  private refuseIneligible(): void {
    const { selector } = this.prepared;
    const selection = { ...this.request.options.selection, onlyPid: this.balloon.held.pid };
    selector.scanAll();
    for (let row = 0; row < selector.table.count; row++) {
      const reason = selector.table.pid[row] === selection.onlyPid ? whyNot(selector.table, row, selection) : null;
      if (reason !== null && reason !== 'gives back too little') throw new Refusal(whyNever(reason));
    }
  }

  private noteChosen(): void {
    this.chosenAtMs ??= monotonicMs();
  }

  /** Memory right before the first signal. */
  private noteMemory(): void {
    if (this.before !== null || this.own.sample() !== null) return;
    this.before = { anonPagesKib: this.own.memory.anonPagesKib, hadKib: this.balloon.anonKib() };
  }

  /** 'again': the balloon is full, and the limit is where it was not reached. */
  async run(untilMs: number): Promise<'done' | 'again'> {
    const { balloon } = this;
    const { guard } = this.prepared;
    guard.takesTurns = true;
    balloon.go(this.limits.memTermPercent);
    while (monotonicMs() < untilMs && (balloon.exit === null || guard.busy)) {
      if (guard.tick()) await turn();
      const full = balloon.event('full');
      const missed = full !== undefined && this.chosenAtMs === null && balloon.event('crossed') === undefined;
      if (missed && monotonicMs() - full.atMs > FULL_MS) return 'again';
    }
    for (const hooksByMs = monotonicMs() + HOOKS_MS_MAX; this.hooksBusy() && monotonicMs() < hooksByMs; ) {
      guard.tick();
      await turn();
    }
    return 'done';
  }

  async facts(): Promise<DrillFacts> {
    const { request, balloon, signals } = this;
    const memory = await this.memoryBack();
    return {
      sizeKib: request.sizeKib,
      timeoutMs: request.timeoutMs,
      wanted: request.signal,
      crossed: this.crossed(),
      signals,
      termAtMs: balloon.event('term')?.atMs ?? null,
      exit: balloon.exit,
      memory,
    };
  }

  private crossed(): DrillFacts['crossed'] {
    const seen = this.balloon.event('crossed');
    const chosenAtMs = this.chosenAtMs;
    if (seen !== undefined && (chosenAtMs === null || seen.atMs <= chosenAtMs)) {
      return { atMs: seen.atMs, seenBy: 'balloon', balloonKib: seen.grownKib };
    }
    if (chosenAtMs === null) return null;
    return { atMs: chosenAtMs, seenBy: 'guard', balloonKib: this.before?.hadKib ?? 0 };
  }

  /** Waits until AnonPages have fallen by nearly what the balloon had, or as far as they fall. */
  private async memoryBack(): Promise<DrillFacts['memory']> {
    const { before, balloon } = this;
    if (before === null || balloon.exit === null) return null;
    const untilMs = monotonicMs() + AFTERMATH_MS_MAX;
    const memory = { hadKib: before.hadKib, backKib: 0, atMs: balloon.exit.atMs };
    while (memory.backKib < NEARLY * memory.hadKib && monotonicMs() < untilMs) {
      if (this.own.sample() !== null) break;
      const backKib = before.anonPagesKib - this.own.memory.anonPagesKib;
      if (backKib > memory.backKib) Object.assign(memory, { backKib, atMs: monotonicMs() });
      await pause();
    }
    return memory;
  }
}

/** A millisecond, and a turn of the event loop. */
async function pause(): Promise<void> {
  new PollSet(1).wait(1);
  await turn();
}
