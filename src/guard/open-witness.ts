/*
 * Start-up of what the guard keeps: the runtime directory with state page, event log and incident records, and the child that writes the
 * trace.
 *
 * The earlyoom persona keeps a state page too, since the counters tell one persona from the other, and a machine that has changed over is to be
 * watched in the same way. But it says nothing of it, or of its absence: its lines are earlyoom's.
 */
import { existsSync } from 'node:fs';
import { arch, release } from 'node:os';
import { monotonicMs } from '../../native-shims/clock.js';
import { strerror } from '../../native-shims/errno.js';
import { close, O_WRONLY, open, openTruncated } from '../../native-shims/files.js';
import { cString } from '../../native-shims/libc.js';
import { openPipe } from '../../native-shims/pipe.js';
import { SpawnSlot } from '../../native-shims/spawn.js';
import type { Hooks } from '../act/hooks.js';
import type { Log } from '../report/log.js';
import { PressureAveragesFile } from '../sample/pressure-averages-file.js';
import { EXIT_OTHER, FatalError } from '../shared/exit.js';
import type { GuardOptions } from '../shared/options.js';
import { TRACE_SCHEMA, type TraceHeader } from '../shared/trace.js';
import { VERSION } from '../shared/version.js';
import { STATE_FILE } from '../state/layout.js';
import type { PageWriter } from '../state/page-writer.js';
import { EventLog } from './event-log.js';
import { IncidentRecorder, type RecordedPolicy } from './incident.js';
import { EVENTS, INCIDENTS, RecordFile } from './record-file.js';
import { defaultRuntimeDir, openRuntimeDir, type RuntimeDir } from './runtime-dir.js';
import { StateFile } from './state-file.js';
import { EVENTS_WAIT_MS_MAX, newPage, type StateFiles, type StatePolicy, StateRecorder } from './state-recorder.js';
import { type TraceParts, TraceRecorder } from './trace.js';
import { Witness } from './witness.js';

/** As much as anybody may ask for: five tables of 2,000 processes. */
const PIPE_BYTES = 1024 * 1024;

/** A trace holds names, no arguments. */
const TRACE_MODE = 0o640;

const CHILD_START_MS_MAX = 2000;
const LOOK_MS = 1;

/** What keeps what happens, and the same for the rehearsal, which keeps nothing. */
export interface Witnesses {
  witness: Witness;
  /** One for a guard in the rehearsal, which does all the work. */
  rehearsed: (policy: RecordedPolicy & StatePolicy, parts: TraceParts) => Witness;
}

/**
 * As `options` ask for it; says what can't be kept.
 * @throws FatalError if the trace that was asked for can't be written
 */
export function openWitnesses(
  options: GuardOptions,
  policy: RecordedPolicy & StatePolicy,
  hooks: Hooks,
  parts: TraceParts,
): Witnesses {
  const keeps = options.keepsIncidents;
  const log = options.persona === 'earlyoom' ? null : parts.log;
  const directory = keeps || options.keepsState ? openRuntimeDir(options.runtimeDir ?? defaultRuntimeDir(), log) : null;
  const file = directory === null || !keeps ? null : RecordFile.in(directory, INCIDENTS);
  const pressure = new PressureAveragesFile(options.procfs, keeps);
  const trace = options.record === null ? null : openTrace(options, options.record, hooks, parts);
  const nowhere = trace === null ? -1 : open(cString('/dev/null'), O_WRONLY);
  const page = newPage(policy);
  const files = directory === null || !options.keepsState ? NO_FILES : openStateFiles(directory, page, log);
  const state = new StateRecorder(page, files, EventLog.ofGuard(parts.log), policy, parts, EVENTS_WAIT_MS_MAX);
  hooks.listener = state;
  state.started();
  const rehearsedFiles = { state: StateFile.nowhere(), events: RecordFile.nowhere() };
  return {
    witness: new Witness(new IncidentRecorder(file, policy, { ...parts, pressure }), trace, state),
    rehearsed: (rehearsedPolicy, stage) => {
      const incidents = keeps ? RecordFile.nowhere() : null;
      const recorder = new IncidentRecorder(incidents, rehearsedPolicy, { ...stage, pressure });
      const rehearsedTrace = trace === null ? null : new TraceRecorder(nowhere, 0, stage);
      // Without a wait: everything is to happen.
      const rehearsedState = new StateRecorder(
        newPage(rehearsedPolicy),
        rehearsedFiles,
        EventLog.ofRehearsal(stage.log),
        rehearsedPolicy,
        stage,
        0,
      );
      return new Witness(recorder, rehearsedTrace, rehearsedState);
    },
  };
}

const NO_FILES: StateFiles = { state: null, events: null };

/** Opens the state page, if no other guard writes it; says why not. */
function openStateFiles(directory: RuntimeDir, page: PageWriter, log: Log | null): StateFiles {
  const state = StateFile.in(directory);
  const path = `${directory.path}/${STATE_FILE}`;
  if (typeof state === 'number') {
    sayNoPage(log, path, strerror(-state));
    return NO_FILES;
  }
  const taken = state.take(page, log);
  if (taken < 0) sayNoPage(log, path, strerror(-taken));
  else if (taken > 0) sayNoPage(log, path, `process ${taken} has it`);
  return { state, events: RecordFile.in(directory, EVENTS) };
}

function sayNoPage(log: Log | null, path: string, why: string): void {
  log?.begin('start').text('no state page: ').foreign(path).text(': ').text(why);
  log?.end();
}

function openTrace(options: GuardOptions, path: string, hooks: Hooks, parts: TraceParts): TraceRecorder {
  const refuse = (what: string): never => {
    throw new FatalError(EXIT_OTHER, `--record ${path}: ${what} (valid: a file that can be written to)`);
  };
  const stdout = openTruncated(cString(path), TRACE_MODE);
  if (stdout < 0) return refuse(strerror(-stdout));
  const pipe = openPipe(PIPE_BYTES);
  if (typeof pipe === 'number') return refuse(strerror(-pipe));
  const pid = startCat({ stdin: pipe.readFd, stdout });
  if (pid === 0) return refuse('cat could not be started');
  close(pipe.readFd);
  close(stdout);
  // The guard never chooses it.
  hooks.companions.push(pid);
  const trace = new TraceRecorder(pipe.writeFd, pid, parts);
  trace.begin(JSON.stringify(headerOf(options, parts)));
  sayTrace(parts.log, path);
  return trace;
}

function sayTrace(log: Log, path: string): void {
  log.begin('start').text('Recording to ').foreign(path);
  log.end();
}

/** Returns the child's pid, or 0. It ends when the guard does, with its input. */
function startCat(streams: { stdin: number; stdout: number }): number {
  const program = ['/bin/cat', '/usr/bin/cat'].find((path) => existsSync(path));
  if (program === undefined) return 0;
  const slot = new SpawnSlot(program, [cString('cat')], [], streams);
  slot.start(() => undefined);
  const untilMs = monotonicMs() + CHILD_START_MS_MAX;
  const wait = new Int32Array(new SharedArrayBuffer(4));
  while (slot.startedPid() === 0 && monotonicMs() < untilMs) Atomics.wait(wait, 0, 0, LOOK_MS);
  return slot.startedPid();
}

function headerOf(options: GuardOptions, { sampler }: TraceParts): TraceHeader {
  const { persona, limits, selection, patterns, sparesWayIn, killGroup, killAfterMs, kernelOom, dryrun } = options;
  const preHook = options.beforeKill !== null;
  return {
    schema: TRACE_SCHEMA,
    kind: 'trace',
    version: VERSION,
    startedUnixMs: Date.now(),
    policy: { persona, limits, selection, patterns, sparesWayIn, killGroup, killAfterMs, kernelOom, dryrun, preHook },
    machine: {
      memTotalKib: sampler.memory.memTotalKib,
      swapTotalKib: sampler.memory.swapTotalKib,
      kernel: release(),
      arch: arch(),
    },
  };
}
