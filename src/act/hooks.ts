/*
 * The programs that the guard starts: -P before a kill, -N after it, dbus-send for -n.
 *
 * None can hold the guard up. They are started on another thread (see native-shims/spawn.ts), watched
 * by pidfd in the guard's one poll, and ended with their process group when they overstay. Of each kind a
 * few may run at once; a further one is skipped, and that is said. Their output goes where the guard's
 * goes, as with earlyoom; one that floods it fills a pipe that the guard does not wait for.
 *
 *   idle ── run ──> starting ── pid seen ──> running ── exited, or killed at the deadline ──> idle
 *                       └────── could not be started ──────────────────────────────────────────^
 */
import { readFileSync } from 'node:fs';
import { A_FRACTION, type Moment } from '../../native-shims/clock.js';
import { strerror } from '../../native-shims/errno.js';
import { close } from '../../native-shims/files.js';
import { cString, fixedBuffer } from '../../native-shims/libc.js';
import { kill, pidfdOpen, SIGKILL } from '../../native-shims/pidfd.js';
import { POLLIN, type PollSet } from '../../native-shims/poll.js';
import { reap, SpawnSlot, STILL_RUNNING } from '../../native-shims/spawn.js';
import { Line } from '../report/line.js';
import type { Log } from '../report/log.js';
import { LEFT_CHILDREN_VARIABLE } from '../shared/left-children.js';
import { CMDLINE_BYTES_MAX, type Victim } from '../shared/victim.js';
import { HOOK_RESULTS, HOOKS } from '../state/layout.js';

/** How long a hook may run. earlyoom has no bound; a hook that hangs would stay for ever. */
const HOOK_MS_MAX = 60_000;

/** How many of one kind may run at once: kills come one at a time, so more than two means that they hang. */
const INSTANCES = 4;

/** What -n runs. */
export const DBUS_SEND = '/usr/bin/dbus-send';
const DBUS_TEXT_BYTES_MAX = 1024;
const VARIABLE_BYTES_MAX = 64;

/** What a hook is told of the victim, and what the guard tells itself: never inherited. */
const NOT_INHERITED = new RegExp(`^(EARLYOOM_(PID|UID|NAME|CMDLINE)|${LEFT_CHILDREN_VARIABLE})=`);

/** The environment the guard was started with, as `NAME=value` C strings, without what the hooks get from us. */
function inheritedEnvironment(): Buffer[] {
  const bytes = readFileSync('/proc/self/environ');
  const out: Buffer[] = [];
  for (let start = 0; start < bytes.length; ) {
    const nul = bytes.indexOf(0, start);
    const end = nul === -1 ? bytes.length : nul;
    const variable = bytes.subarray(start, end);
    if (variable.length > 0 && !NOT_INHERITED.test(variable.toString('latin1'))) out.push(cString(variable));
    start = end + 1;
  }
  return out;
}

/** One environment variable in fixed memory, whose value is written anew for each victim. */
class Variable {
  readonly bytes: Buffer;

  constructor(
    private readonly prefix: string,
    valueBytesMax: number,
  ) {
    this.bytes = fixedBuffer(prefix.length + valueBytesMax + 1);
    this.bytes.write(prefix, 'latin1');
  }

  set(value: Uint8Array, length: number): void {
    const start = this.prefix.length;
    const end = Math.min(start + length, this.bytes.length - 1);
    for (let i = start; i < end; i++) this.bytes[i] = value[i - start] as number;
    this.bytes[end] = 0;
  }
}

/** What a hook is told of the victim. */
class VictimEnvironment {
  private readonly pid = new Variable('EARLYOOM_PID=', VARIABLE_BYTES_MAX);
  private readonly uid = new Variable('EARLYOOM_UID=', VARIABLE_BYTES_MAX);
  private readonly name = new Variable('EARLYOOM_NAME=', VARIABLE_BYTES_MAX);
  private readonly cmdline = new Variable('EARLYOOM_CMDLINE=', CMDLINE_BYTES_MAX);
  readonly variables = [this.pid.bytes, this.uid.bytes, this.name.bytes, this.cmdline.bytes];
  private readonly number = new Line();

  set(victim: Victim): void {
    this.number.clear().integer(victim.pid);
    this.pid.set(this.number.bytes, this.number.length);
    this.number.clear().integer(victim.uid);
    this.uid.set(this.number.bytes, this.number.length);
    this.name.set(victim.name, victim.nameLength);
    this.cmdline.set(victim.cmdline, victim.cmdlineLength);
  }
}

/** Who is told how a hook's run went: its places in HOOKS and in HOOK_RESULTS of the state page. */
export interface HookListener {
  hookEnded(hook: number, result: number): void;
}

const OK = HOOK_RESULTS.indexOf('ok');
const FAILED = HOOK_RESULTS.indexOf('failed');
const NOT_STARTED = HOOK_RESULTS.indexOf('not-started');
const TIMED_OUT = HOOK_RESULTS.indexOf('timeout');

/** Tells of one kind of hook, as soon as somebody listens. */
class Report {
  listener: HookListener | null = null;

  constructor(private readonly hook: number) {}

  tell(result: number): void {
    this.listener?.hookEnded(this.hook, result);
  }
}

/** Neither a process nor a process group: those of kernel threads and of the dying are 0 and -1. */
const NO_PID = -2;

/** One instance of a hook. */
class HookProcess {
  private state: 'idle' | 'starting' | 'running' = 'idle';
  private pid = NO_PID;
  private pidfd = -1;
  private startedMs = A_FRACTION;
  private overdue = false;

  constructor(
    private readonly label: string,
    private readonly slot: SpawnSlot,
    private readonly log: Log,
    private readonly pollSet: PollSet,
    private readonly pollSlot: number,
    private readonly report: Report,
  ) {}

  get idle(): boolean {
    return this.state === 'idle';
  }

  get starting(): boolean {
    return this.state === 'starting';
  }

  /** Whether it runs as this process. */
  is(pid: number): boolean {
    return this.pid === pid;
  }

  start(now: Moment): void {
    this.state = 'starting';
    this.startedMs = now.ms;
    this.overdue = false;
    this.slot.start((errno) => {
      this.report.tell(NOT_STARTED);
      this.log.begin('warn').text(this.label).text(' could not be started: ').text(strerror(errno));
      this.log.end();
      this.state = 'idle';
    });
  }

  /** Follows the child from start to end; called at each tick. */
  service(now: Moment): void {
    if (this.state === 'starting') this.adopt();
    if (this.state !== 'running') return;
    const status = reap(this.pid);
    if (status !== STILL_RUNNING) this.finish(status);
    else if (now.ms - this.startedMs >= HOOK_MS_MAX) this.end();
  }

  private adopt(): void {
    const pid = this.slot.startedPid();
    if (pid === 0) return;
    this.pid = pid;
    this.state = 'running';
    this.pidfd = pidfdOpen(this.pid);
    if (this.pidfd >= 0) this.pollSet.watch(this.pollSlot, this.pidfd, POLLIN);
  }

  private end(): void {
    this.log.begin('warn').text(this.label).text(' ran for too long and is killed');
    this.log.end();
    this.startedMs = Number.POSITIVE_INFINITY; // say and do it once
    this.overdue = true;
    kill(-this.pid, SIGKILL);
  }

  private finish(status: number): void {
    if (this.pidfd >= 0) close(this.pidfd);
    this.pollSet.clear(this.pollSlot);
    this.pidfd = -1;
    this.pid = NO_PID;
    this.state = 'idle';
    this.report.tell(this.overdue ? TIMED_OUT : status === 0 ? OK : FAILED);
    if (this.log.debugEnabled) {
      this.log.begin('debug').text(this.label).text(' ended, status ').integer(status);
      this.log.end();
    }
  }
}

/** One kind of hook: its program, its instances and what each is told. */
class HookKind<Told> {
  private readonly instances: { process: HookProcess; tell: (told: Told) => void }[] = [];

  constructor(
    private readonly label: string,
    private readonly log: Log,
    private readonly report: Report,
    make: () => { slot: SpawnSlot; tell: (told: Told) => void },
    pollSet: PollSet,
    pollSlot: number,
  ) {
    for (let i = 0; i < INSTANCES; i++) {
      const { slot, tell } = make();
      this.instances.push({ process: new HookProcess(label, slot, log, pollSet, pollSlot + i, report), tell });
    }
  }

  get processes(): HookProcess[] {
    return this.instances.map((instance) => instance.process);
  }

  /** Starts one instance. Returns it, or null if all are still busy. */
  run(told: Told, now: Moment): HookProcess | null {
    for (const { process, tell } of this.instances) {
      if (!process.idle) continue;
      tell(told);
      process.start(now);
      return process;
    }
    this.report.tell(NOT_STARTED);
    this.log.begin('warn').text(this.label).text(' is skipped: ').integer(INSTANCES).text(' of it still run');
    this.log.end();
    return null;
  }
}

export interface HookOptions {
  /** -P, or null. */
  beforeKill: string | null;
  /** -N, or null. */
  afterKill: string | null;
  /** -n: who the D-Bus notification is from; null for none. */
  dbusSummary: string | null;
}

/** Poll slots that the hooks need, from `pollSlot` on. */
export const HOOK_POLL_SLOTS = 3 * INSTANCES;

export class Hooks {
  private readonly beforeKill: HookKind<Victim> | null;
  private readonly afterKill: HookKind<Victim> | null;
  private readonly dbus: HookKind<Line> | null;
  private readonly processes: HookProcess[];
  private readonly reports = HOOKS.map((_, hook) => new Report(hook));
  private readonly text = new Line();
  private preHook: HookProcess | null = null;
  /** A child of the guard's that is no hook, as leader of its group; -1: none (0 is the group of whoever came from outside a PID namespace). */
  otherChild = -1;
  /** Children that are no hooks and stay, leaders of process groups too: who writes the trace, who writes the log. */
  readonly companions: number[] = [];

  constructor(options: HookOptions, log: Log, pollSet: PollSet, pollSlot: number) {
    const environment = inheritedEnvironment();
    const report = (hook: (typeof HOOKS)[number]): Report => this.reports[HOOKS.indexOf(hook)] as Report;
    const victimHook = (label: string, reported: Report, path: string, slot: number): HookKind<Victim> =>
      new HookKind(label, log, reported, () => victimProgram(path, environment), pollSet, slot);
    const { beforeKill, afterKill, dbusSummary } = options;
    this.beforeKill =
      beforeKill === null ? null : victimHook('-P program', report('before-kill'), beforeKill, pollSlot);
    this.afterKill =
      afterKill === null ? null : victimHook('-N script', report('after-kill'), afterKill, pollSlot + INSTANCES);
    this.dbus =
      dbusSummary === null
        ? null
        : new HookKind(
            'dbus-send',
            log,
            report('notify'),
            () => notifyProgram(dbusSummary, environment),
            pollSet,
            pollSlot + 2 * INSTANCES,
          );
    const kinds = [this.beforeKill, this.afterKill, this.dbus];
    this.processes = kinds.flatMap((kind) => kind?.processes ?? []);
  }

  /** Who is told how each run went. */
  set listener(listener: HookListener) {
    for (const report of this.reports) report.listener = listener;
  }

  /** Whether some start is under way, whose failure the event loop would have to bring. */
  get starting(): boolean {
    for (let i = 0; i < this.processes.length; i++) if (this.at(i).starting) return true;
    return false;
  }

  /** Whether any of them has not ended. */
  get busy(): boolean {
    for (let i = 0; i < this.processes.length; i++) if (!this.at(i).idle) return true;
    return false;
  }

  /** Whether `pid` is a hook that runs; it leads a process group by the same number. */
  isChild(pid: number): boolean {
    for (let i = 0; i < this.companions.length; i++) if (this.companions[i] === pid) return true;
    for (let i = 0; i < this.processes.length; i++) if (this.at(i).is(pid)) return true;
    return this.otherChild === pid;
  }

  service(now: Moment): void {
    for (let i = 0; i < this.processes.length; i++) this.at(i).service(now);
  }

  /** Counted, not iterated: an iterator for each of thousands of processes is garbage. */
  private at(index: number): HookProcess {
    return this.processes[index] as HookProcess;
  }

  /** Starts the -P program. Returns false if there is none to wait for. */
  runBeforeKill(victim: Victim, now: Moment): boolean {
    this.preHook = this.beforeKill?.run(victim, now) ?? null;
    return this.preHook !== null;
  }

  /** Whether the -P program that was started last has ended. */
  get beforeKillDone(): boolean {
    return this.preHook === null || this.preHook.idle;
  }

  /** Starts the -N script and the notification, after a kill. */
  runAfterKill(victim: Victim, now: Moment): void {
    if (this.dbus !== null) {
      this.text.clear().text('Low memory! Killing process ').integer(victim.pid).text(' ');
      this.dbus.run(this.text.escaped(victim.name, 0, victim.nameLength), now);
    }
    this.afterKill?.run(victim, now);
  }

  /** Sends a D-Bus notification of our own words. */
  notify(text: string, now: Moment): void {
    this.dbus?.run(this.text.clear().text(text), now);
  }
}

function victimProgram(path: string, environment: Buffer[]): { slot: SpawnSlot; tell: (victim: Victim) => void } {
  const told = new VictimEnvironment();
  const slot = new SpawnSlot(path, [cString(path)], [...environment, ...told.variables]);
  return { slot, tell: (victim) => told.set(victim) };
}

/** earlyoom's notification: `dbus-send --system / net.nuetzlich.SystemNotifications.Notify string:SUMMARY string:TEXT` */
function notifyProgram(summary: string, environment: Buffer[]): { slot: SpawnSlot; tell: (text: Line) => void } {
  const body = new Variable('string:', DBUS_TEXT_BYTES_MAX);
  const args = ['dbus-send', '--system', '/', 'net.nuetzlich.SystemNotifications.Notify', `string:${summary}`];
  const slot = new SpawnSlot(DBUS_SEND, [...args.map((arg) => cString(arg)), body.bytes], environment);
  return { slot, tell: (text) => body.set(text.bytes, text.length) };
}
