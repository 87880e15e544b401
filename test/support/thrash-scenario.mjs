/*
 * Thrashing in a small cgroup, with a guard beside it, run as the first process of a PID namespace of its own: nobody else is
 * there to be killed. Argument and output: ThrashScenario and ThrashResult in thrash.ts.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const { guard: guardCommand, processes, pressureFile, seconds, until } = JSON.parse(process.argv[2]);
const THRASHER = path.join(import.meta.dirname, 'thrasher.mjs');
const READY_MS = 20_000;

const started = processes.map((options) => {
  const child = spawn(process.execPath, [THRASHER, JSON.stringify({ seconds: seconds + 5, ...options })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const process_ = { name: options.name, pid: child.pid, child, exit: null };
  child.on('exit', (code, signal) => (process_.exit = { code, signal }));
  process_.ready = new Promise((done) => child.stdout.once('data', done));
  return process_;
});
await Promise.race([Promise.all(started.map(({ ready }) => ready)), sleep(READY_MS)]);

const guard = spawn(guardCommand.program, guardCommand.args, { stdio: ['ignore', 'ignore', 'pipe'] });
let stderr = '';
guard.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
for (const deadline = Date.now() + READY_MS; !/SIGKILL when/.test(stderr) && Date.now() < deadline; ) await sleep(10);
// Sealed, and the cgroups found.
await sleep(4000);

const totalUs = () => Number(/^some .*total=([0-9]+)$/m.exec(readFileSync(pressureFile, 'latin1'))[1]);
const fromUs = totalUs();
const fromMs = performance.now();
for (const { child } of started) child.stdin.write('x');
const told = until === undefined ? null : new RegExp(until);
while (performance.now() - fromMs < seconds * 1000 && !(told?.test(stderr) ?? false)) await sleep(20);
const stallPercent = (totalUs() - fromUs) / 10 / (performance.now() - fromMs);
// For others that die with it, and last lines.
await sleep(500);

const result = {
  stderr,
  stallPercent,
  guardLives: guard.exitCode === null && guard.signalCode === null,
  processes: started.map(({ name, pid, exit }) => ({ name, pid, exit })),
};
writeFileSync(1, JSON.stringify(result));
process.exit(0);
