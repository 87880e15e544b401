/*
 * One guard on the bare machine, from start to end, with what it costs: earlyoom's tests cap open files and
 * RSS on every command line, so ours do.
 *
 * Whatever keeps running here must not kill: `invoke` insists on --dryrun for it, or on a tree that is no
 * procfs of this machine, which the guard refuses to kill by.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { bin } from '../support/programs.js';

/**
 * Open files of a running guard: 27 measured on Node 20, 31 on Node 24 (stdio, /proc three times, meminfo, zoneinfo, vmstat and
 * loadavg twice, the PSI trigger, and 14 to 18 of Node's own: event loops, pipes, eventfds), two more where the log opens its pipes anew, one
 * for --syslog, --kernel-oom, each hook that runs and a child of the rehearsal. A leak of one file per scan is above it
 * within seconds.
 */
const OPEN_FDS_MAX = 36;

/** In the middle of a scan up to 64 files of processes are open besides (native-shims/fd-batch.ts): the fewest of so many moments count. */
const MOMENTS = 20;
const BETWEEN_MOMENTS_MS = 3;

/** The Node that the programs under test find (scripts/test-nodes.sh). */
const NODE_MAJOR = Number.parseInt(
  execFileSync('node', ['--print', 'process.versions.node'], { encoding: 'utf8' }),
  10,
);

/** VmRSS of a running guard: 13 to 20 MiB sealed; while it starts up to 56, and on Node 24 68 alone and 82 beside other tests. */
export const RSS_KIB_MAX = (NODE_MAJOR >= 24 ? 96 : 80) * 1024;

export type Persona = 'earlyoom' | 'oom-backstop';

export interface Ended {
  /** Exit code, or null if a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Taken just before we ended it; null if it ended by itself. */
  cost: { openFds: number; rssKib: number } | null;
}

export interface Invocation {
  env?: NodeJS.ProcessEnv;
  /** End it when this says so; without it, it has to end by itself. */
  until?: (stdout: string, stderr: string) => boolean;
  /** Look on for so long after `until`, for what must not come. */
  settleMs?: number;
  endWith?: NodeJS.Signals;
  /** However it goes, not longer than this. */
  timeoutMs?: number;
}

const LOOK_MS = 20;
const TIMEOUT_MS = 15_000;

/** Runs a program as a user does; rejects, with what it said, if it neither ends nor gets to `until`. */
export function invoke(persona: Persona, args: readonly string[], options: Invocation = {}): Promise<Ended> {
  const { until, settleMs = 0, endWith = 'SIGTERM', timeoutMs = TIMEOUT_MS, env = process.env } = options;
  if (until !== undefined && !args.some((arg) => arg.startsWith('--dry') || arg === '--procfs')) {
    throw new Error(`a guard that keeps running needs --dryrun: ${args.join(' ')}`);
  }
  const child = spawn(bin(persona), args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    let cost: Ended['cost'] = null;
    let reachedMs: number | null = null;
    const deadlineMs = Date.now() + timeoutMs;
    const look = (): void => {
      if (child.exitCode !== null || child.signalCode !== null) return clearInterval(looking);
      const nowMs = Date.now();
      if (nowMs > deadlineMs) {
        clearInterval(looking);
        child.kill('SIGKILL');
        return reject(
          new Error(`not there after ${timeoutMs} ms: ${args.join(' ')}\nstdout: ${stdout}\nstderr: ${stderr}`),
        );
      }
      if (cost !== null || until === undefined) return;
      if (reachedMs === null && until(stdout, stderr)) reachedMs = nowMs;
      if (reachedMs === null || nowMs - reachedMs < settleMs) return;
      cost = costOf(child.pid as number);
      child.kill(endWith);
    };
    const looking = setInterval(look, LOOK_MS);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearInterval(looking);
      resolve({ code, signal, stdout, stderr, cost });
    });
  });
}

function costOf(pid: number): { openFds: number; rssKib: number } {
  const rss = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  let openFds = Number.POSITIVE_INFINITY;
  for (let moment = 0; moment < MOMENTS; moment++) {
    openFds = Math.min(openFds, readdirSync(`/proc/${pid}/fd`).filter((fd) => !inherited(pid, fd)).length);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BETWEEN_MOMENTS_MS);
  }
  return { openFds, rssKib: Number(rss?.[1]) };
}

/** Whether `fd` is one that whoever runs the tests has left open for all of us. */
function inherited(pid: number, fd: string): boolean {
  try {
    return Number(fd) > 2 && readlinkSync(`/proc/${pid}/fd/${fd}`) === readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return false;
  }
}

/** Ended by us, by the signal itself, and within its means. */
export function expectRan(ended: Ended, signal: NodeJS.Signals = 'SIGTERM'): void {
  expect(ended, ended.stderr).toMatchObject({ code: null, signal });
  expect(ended.cost?.openFds).toBeLessThanOrEqual(OPEN_FDS_MAX);
  expect(ended.cost?.rssKib).toBeLessThanOrEqual(RSS_KIB_MAX);
}

/** The lines of what a program wrote, without the newline at the end. */
export function linesOf(text: string): string[] {
  return text.replace(/\n$/, '').split('\n');
}

const directories: string[] = [];

/**
 * A tree with no process in it, for tests that run side by side (procTree() ties its directory to one test
 * that runs alone); all of them go with `removeTrees`.
 * @param meminfo  the file's text, or null for none
 */
export function bareTree(meminfo: string | null, otherFiles: Record<string, string> = {}): string {
  const root = mkdtempSync(path.join(tmpdir(), 'oom-backstop-cli-'));
  directories.push(root);
  if (meminfo !== null) writeFileSync(path.join(root, 'meminfo'), meminfo);
  for (const [name, text] of Object.entries(otherFiles)) writeFileSync(path.join(root, name), text);
  return root;
}

export function removeTrees(): void {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
}
