/* What only start-up needs is gone once the guard is sealed: V8 writes a snapshot of all that is in its heap. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { procTree } from '../support/proc-tree.js';
import { bin } from '../support/programs.js';

/** Where a guard keeps its event log. */
const IN_MEMORY = '/dev/shm';
const STARTS = { timeout: 30_000, interval: 100 };

it('the bundle that reads the command line', { timeout: 60_000 }, async () => {
  const directory = mkdtempSync(path.join(IN_MEMORY, 'oom-backstop-heap-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const args = ['--procfs', procTree([]), '--dryrun', '-r', '0', '--runtime-dir', directory];
  const NODE_OPTIONS = `--heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${directory}`;
  const guard = spawn(bin('oom-backstop'), args, { stdio: 'ignore', env: { ...process.env, NODE_OPTIONS } });
  onTestFinished(() => void guard.kill('SIGKILL'));
  const events = path.join(directory, 'events.ndjson');
  await vi.waitFor(() => expect(readFileSync(events, 'utf8')).toContain('"sealed"'), STARTS);
  guard.kill('SIGUSR2');
  const { strings } = await vi.waitFor(() => heapSnapshotIn(directory), STARTS);
  const holds = (text: string): boolean => strings.some((each) => each.includes(text));
  // A message of the guard itself, to show that a text would be seen.
  expect(holds('failed to write to sysrq-trigger')).toBe(true);
  expect(holds('in percent of user mem total')).toBe(false);
});

/** Throws while it is not there or not whole. */
function heapSnapshotIn(directory: string): { strings: string[] } {
  const [name = 'none yet'] = readdirSync(directory).filter((each) => each.endsWith('.heapsnapshot'));
  return JSON.parse(readFileSync(path.join(directory, name), 'utf8'));
}
