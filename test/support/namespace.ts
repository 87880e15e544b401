/* Live fire: a real guard, real hogs and real signals, in a PID namespace where nothing else can be hit. */
import { execFile, spawnSync } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

export interface HogOptions {
  name?: string;
  /** 0: as fast as it can. */
  rateMibPerS?: number;
  maxMib?: number;
  holdMs?: number;
  onTerm?: 'exit' | 'ignore' | number;
  adj?: number;
  children?: number;
  /** A process group of its own. */
  ownGroup?: boolean;
  /** Another node to run it. */
  program?: string;
  /** The directory of a cgroup to run it in. */
  cgroup?: string;
}

export interface Scenario {
  /** Stands by (bench/support/crowd.c). */
  crowd?: { program: string; args: string[] };
  hogs: HogOptions[];
  /** Have grown before the limits are set, and stay. */
  bystanders?: HogOptions[];
  /** A tmpfs that is filled once the guard is ready. */
  tmpfs?: { maxMib: number; rateMibPerS: number };
  /** LIMITS in an argument becomes the -M value for `limits`. */
  guard: { program: string; args: string[] };
  limits?: { headroomMib?: number; killBelowMib?: number; basis?: 'user' | 'total' | 'tmpfs' };
  /** Wait for this (a regular expression) in the guard's stderr instead of for all hogs to end. */
  untilStderr?: string;
  /** The same in its stdout. */
  untilStdout?: string;
  /** Stops the guard's log writer and fills the pipe to it before the hogs grow; it goes on when they have ended. */
  stopsLogWriter?: boolean;
  timeoutMs?: number;
  settleMs?: number;
  /** The guard's runtime directory: the hogs wait until its event log says that it is sealed. */
  sealsIn?: string;
  afterMs?: number;
}

interface HogResult {
  pid: number;
  events: { event: string; atMs: number; pid: number; availableKib?: number }[];
  exit: { code: number | null; signal: string | null; atMs: number } | null;
}

export interface ScenarioResult {
  /** Whether it named its limits, on either stream (support/stamp.c of the benches joins them). */
  guardReady: boolean;
  guardPid: number;
  guardExit: { code: number | null; signal: string | null } | null;
  stdout: string;
  stderr: string;
  /** How much of stdout there was when the hogs began to grow, characters. */
  stdoutBefore: number;
  /** Where the tmpfs was mounted. */
  tmpfs: string | null;
  hogs: HogResult[];
  bystanders: HogResult[];
}

const SCENARIO = path.join(import.meta.dirname, 'scenario.mjs');
const UNSHARE = ['--pid', '--fork', '--mount-proc', '--kill-child'];

/** Whether PID namespaces can be made here (root, or unprivileged user namespaces). */
export const namespacesWork = spawnSync('unshare', [...UNSHARE, 'true']).status === 0;

export async function inNamespace(scenario: Scenario): Promise<ScenarioResult> {
  const args = [...UNSHARE, process.execPath, SCENARIO, JSON.stringify(scenario)];
  const { stdout } = await promisify(execFile)('unshare', args, { timeout: 90_000, maxBuffer: 64 << 20 });
  return JSON.parse(stdout) as ScenarioResult;
}
