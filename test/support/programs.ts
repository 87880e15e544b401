/* Starting the built programs, as a user does, and telling what they said and how they ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');
export const bin = (persona: 'oom-backstop' | 'earlyoom'): string => path.join(ROOT, 'bin', persona);

export interface Outcome {
  /** Exit code, or null if a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Open file descriptors just before it was ended by us; null if it ended by itself. */
  openFds: number | null;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  /** End it (SIGTERM) as soon as this says so; without it, it has to end by itself. */
  until?: (stdout: string, stderr: string) => boolean;
  /** However it goes, not longer than this. */
  timeoutMs?: number;
}

/**
 * Runs one of the programs on the bare machine. A guard is only ever run so with --dryrun or with arguments
 * that end it: a live one belongs into a PID namespace (see namespace.ts).
 */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: options.env ?? process.env });
  return outcomeOf(child, options);
}

function outcomeOf(child: ChildProcess, { until, timeoutMs = 10_000 }: RunOptions): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    let openFds: number | null = null;
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`still running after ${timeoutMs} ms\nstdout: ${stdout}\nstderr: ${stderr}`));
    }, timeoutMs);
    const look = (): void => {
      if (openFds !== null || until === undefined || !until(stdout, stderr)) return;
      openFds = readdirSync(`/proc/${child.pid}/fd`).length;
      child.kill('SIGTERM');
    };
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      look();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      look();
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr, openFds });
    });
  });
}
