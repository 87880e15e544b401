/*
 * Reload by SIGHUP, in the own persona: the configuration is read again, a good one is taken, a bad one refused.
 *
 *   SIGHUP ──> quiet: no kill and no hook under way
 *          ──> check: this very program with the same arguments and --check-config, in a process of its own: all that start
 *              does, up to the loop. What is wrong it writes itself, where the guard writes. Refused: the old policy stays
 *          ──> a second more, and quiet again; a SIGHUP that has come meanwhile: check again
 *          ──> execve(2) of the same program: same pid, same fds 0 to 2
 *
 * Executed anew, and not changed in place: so the policy is opened, rehearsed, compiled, sealed and locked as at any start, and
 * what was measured of that (no allocation, RSS) holds after a reload as well. In place, patterns, hooks and ranking would be other
 * objects than those that the loop was compiled for. It costs 0.24 s (measured) until the first look at memory, of which reading the
 * configuration takes half; what can fail is checked before, while the guard goes on guarding.
 *
 * Everything here runs in turns of Node's event loop, between two ticks: a tick that has nothing to do with a reload does not know
 * of it. The child is started on another thread (native-shims/spawn.ts); SIGCHLD and a timer tell of its end, and while there is
 * something to wait for, the guard gives the event loop a turn each second.
 *
 * Until bin/oom-backstop has run its first line, Node has SIGHUP's default: a guard that gets another one in these 80 ms (measured)
 * ends by it, and nothing that could be inherited helps, since Node resets both the mask and what is ignored. Whoever asks twice does
 * so soon, by two `systemctl reload` in a row for example: so the execution waits for a second without SIGHUP.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { Moment } from '../../native-shims/clock.js';
import { strerror } from '../../native-shims/errno.js';
import { execve } from '../../native-shims/exec.js';
import { cString } from '../../native-shims/libc.js';
import { kill, SIGKILL } from '../../native-shims/pidfd.js';
import { ambientCapabilities, clearAmbientCapabilities, raiseAmbientCapability } from '../../native-shims/priority.js';
import { reap, SpawnSlot, STILL_RUNNING } from '../../native-shims/spawn.js';
import { isTerminal } from '../../native-shims/write.js';
import type { Hooks } from '../act/hooks.js';
import type { Log } from '../report/log.js';
import { EXIT_OK } from '../shared/exit.js';
import type { Guard } from './guard.js';
import type { StateRecorder } from './state-recorder.js';

/** The option that has the program check everything and end. */
const CHECK_OPTION = '--check-config';

/** More than the configuration's reader may take (config/run-reader.ts), which runs in it. */
const CHECK_MS_MAX = 30_000;

/** Without another SIGHUP before the execution. */
const GATHER_MS = 1000;

/** As often as the guard gives turns. */
const LOOK_MS = 1000;

const STDERR = 2;
const NUL = 0;
const SIGNALLED = 256;

/** What it takes to execute this program once more, exactly as it was started. */
export interface Program {
  /** By path, not as /proc/self/exe: after an upgrade it is the new one. */
  path: string;
  argv0: string;
  /** For the engine, and the script. */
  head: readonly string[];
  args: readonly string[];
  environment: readonly Uint8Array[];
  /** Cleared at start (guard/start.ts), and raised again for the next one. */
  ambientCapabilities: readonly number[];
}

/** This program; to be called before `prepareProcess`. */
export function thisProgram(args: readonly string[]): Program {
  return {
    path: process.execPath,
    argv0: process.argv0,
    head: [...process.execArgv, process.argv[1] as string],
    args,
    environment: variables(readFileSync('/proc/self/environ')),
    ambientCapabilities: ambientCapabilities(),
  };
}

/** The variables of an environment as the kernel shows it: byte for byte, since they need not be UTF-8. */
export function variables(environ: Buffer): Buffer[] {
  const out: Buffer[] = [];
  for (let start = 0; start < environ.length; ) {
    const nul = environ.indexOf(NUL, start);
    const end = nul === -1 ? environ.length : nul;
    if (end > start) out.push(environ.subarray(start, end));
    start = end + 1;
  }
  return out;
}

/** How a check ended, in words; null: all is well. */
export function refusalOf(status: number): string | null {
  if (status === EXIT_OK) return null;
  if (status < 0) return `its check could not be waited for: ${strerror(-status)}`;
  if (status > SIGNALLED) return `its check was ended by signal ${status - SIGNALLED}`;
  return `its check ended with exit code ${status}`;
}

export class Reload {
  private requested = false;
  private guards = false;
  private serving = false;

  constructor(
    private readonly guard: Guard,
    private readonly hooks: Hooks,
    private readonly state: StateRecorder,
    private readonly log: Log,
    private readonly program: Program,
  ) {
    process.on('SIGHUP', () => this.request());
  }

  /** The guard is sealed and runs: what was asked for meanwhile is done now. */
  begin(): void {
    this.guards = true;
    this.serveIfDue();
  }

  private request(): void {
    if (terminalIsGone()) return this.endByHangUp();
    this.requested = true;
    this.serveIfDue();
  }

  /** The terminal that the guard was started on is gone: SIGHUP means what it always has. */
  private endByHangUp(): void {
    this.state.stops('SIGHUP');
    process.removeAllListeners('SIGHUP');
    process.kill(process.pid, 'SIGHUP');
  }

  private serveIfDue(): void {
    if (this.serving || !this.guards || !this.requested) return;
    this.serving = true;
    this.guard.takesTurns = true;
    void this.serve()
      .catch((error) => this.refuse(String(error)))
      .then(() => {
        this.serving = false;
        this.guard.takesTurns = false;
        this.serveIfDue();
      });
  }

  private async serve(): Promise<void> {
    this.log.say('start', 'SIGHUP: checking the configuration');
    let refusal: string | null = null;
    while (this.requested) {
      this.requested = false;
      await this.quiet();
      refusal = await this.check();
      if (refusal === null) await sleep(GATHER_MS);
      await this.quiet();
    }
    if (refusal !== null) return this.refuse(refusal);
    this.log.say('start', 'SIGHUP: the configuration is good, starting anew with it');
    this.state.reloads();
    this.refuse(`could not execute ${this.program.path}: ${strerror(-this.execute())}`);
  }

  /** Waits while a kill or a hook is under way. */
  private async quiet(): Promise<void> {
    while (this.guard.busy || this.hooks.busy) await nextLook();
  }

  /** Runs the check. Returns why the configuration is refused, or null. */
  private async check(): Promise<string | null> {
    const { path, argv0, head, args, environment } = this.program;
    const argv = [argv0, ...head, CHECK_OPTION, ...args];
    const slot = new SpawnSlot(
      path,
      argv.map((arg) => cString(arg)),
      environment.map((each) => cString(each)),
    );
    let startErrno = 0;
    slot.start((errno) => {
      startErrno = errno;
      // At once, not at the next look: it is the first that a guard would choose.
      if (errno === 0) this.hooks.otherChild = slot.startedPid();
    });
    const now = new Moment();
    now.update();
    const untilMs = now.ms + CHECK_MS_MAX;
    for (let overdue = false; ; now.update()) {
      if (startErrno > 0) return `its check could not be started: ${strerror(startErrno)}`;
      const pid = slot.startedPid();
      const status = pid === 0 ? STILL_RUNNING : reap(pid);
      if (status !== STILL_RUNNING) {
        this.hooks.otherChild = -1;
        return overdue ? `its check was not done after ${CHECK_MS_MAX / 1000} s` : refusalOf(status);
      }
      if (!overdue && pid > 0 && now.ms >= untilMs) {
        overdue = true;
        kill(-pid, SIGKILL);
      }
      await nextLook();
    }
  }

  /** Returns only if it fails: -errno. */
  private execute(): number {
    const { path, argv0, head, args, environment, ambientCapabilities: ambient } = this.program;
    for (const capability of ambient) raiseAmbientCapability(capability);
    const result = execve(path, [argv0, ...head, ...args], environment);
    clearAmbientCapabilities();
    return result;
  }

  private refuse(why: string): void {
    this.state.reloadRefused(why);
    this.log.begin('warn').text('SIGHUP: the configuration is refused, and the policy stays as it was: ').foreign(why);
    this.log.end();
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Until a child has ended, or a second. */
function nextLook(): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      process.removeListener('SIGCHLD', done);
      resolve();
    };
    const timer = setTimeout(done, LOOK_MS);
    process.on('SIGCHLD', done);
  });
}

/** Whether the guard was started on a terminal that has been closed since: nothing but the fd's name tells of it. */
function terminalIsGone(): boolean {
  if (isTerminal(STDERR)) return false;
  try {
    return /^\/dev\/(pts\/|tty)/.test(readlinkSync(`/proc/self/fd/${STDERR}`));
  } catch {
    return false;
  }
}
