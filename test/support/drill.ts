/* Live fire: `oom-backstop drill` in a PID namespace of its own (drill.mjs). */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

interface DrillScenario {
  /** What runs the drill. */
  command: readonly string[];
  /** Has grown to this before the drill, with oom_score_adj 0; 0: none. */
  bystanderMib: number;
  /** End the drill by SIGKILL as soon as its balloon is there. */
  killsIt?: boolean;
  env?: Record<string, string>;
}

export interface DrillOutcome {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
  bystanderExit: { code: number | null; signal: string | null } | null;
  /** Balloons before the drill was ended, and at the end. */
  seen: number;
  left: number;
}

const SCRIPT = path.join(import.meta.dirname, 'drill.mjs');

export async function drilling(scenario: DrillScenario): Promise<DrillOutcome> {
  const args = ['--pid', '--fork', '--mount-proc', '--kill-child', process.execPath, SCRIPT, JSON.stringify(scenario)];
  const { stdout } = await promisify(execFile)('unshare', args, { timeout: 90_000, maxBuffer: 64 << 20 });
  return JSON.parse(stdout) as DrillOutcome;
}
