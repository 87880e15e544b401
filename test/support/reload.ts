/* Live fire: a guard in a PID namespace of its own that is sent SIGHUP (reload.mjs). */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { HogOptions } from './namespace.js';

export type ReloadStep =
  /** Writes the configuration; `LIMIT(n)` is the share that is reached when n more MiB are taken. */
  | { write: string }
  /** Writes the program. */
  | { replace: string }
  | { start: true }
  | { hup: { times: number; gapMs: number } }
  /** Waits for this (a regular expression) in what the guard has said on stderr since the last SIGHUP. */
  | { until: string }
  | { sleep: number }
  | { note: true }
  /** A hog from its start to its end; or only its start. */
  | { fire: HogOptions }
  | { begin: HogOptions }
  /** Ends the guard by a signal; it may be started again. */
  | { end: 'SIGTERM' | 'SIGKILL' }
  /** A second guard with these further arguments, until it says this (a regular expression) on stderr. */
  | { beside: { args: string[]; until: string } }
  | { copy: [from: string, to: string] };

export interface ReloadScenario {
  /** The program and its arguments. */
  guard: readonly string[];
  /** The configuration that is written. */
  file: string;
  steps: readonly ReloadStep[];
}

interface Note {
  name: string;
  capEff: string;
  capAmb: string;
  rssKib: number;
  lockedKib: number;
  nice: number;
  oomScoreAdj: number;
  fds: number;
  children: number;
}

export interface ReloadResult {
  pid: number;
  /** Whether the guard ran after the last step. */
  running: boolean;
  exit: { code: number | null; signal: string | null } | null;
  stdout: string;
  stderr: string;
  notes: Note[];
  hogs: { pid: number; events: string[]; exit: { code: number | null; signal: string | null } | null }[];
}

const SCRIPT = path.join(import.meta.dirname, 'reload.mjs');

export async function reloading(scenario: ReloadScenario): Promise<ReloadResult> {
  const args = ['--pid', '--fork', '--mount-proc', '--kill-child', process.execPath, SCRIPT, JSON.stringify(scenario)];
  const { stdout } = await promisify(execFile)('unshare', args, { timeout: 110_000, maxBuffer: 64 << 20 });
  return JSON.parse(stdout) as ReloadResult;
}
