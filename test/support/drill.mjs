/*
 * `oom-backstop drill` beside bystanders, run as the first process of a PID namespace of its own
 * (`unshare --pid --fork --mount-proc node drill.mjs JSON`). The JSON: see DrillScenario in drill.ts. On stdout, at the end: one
 * JSON object, see DrillOutcome there.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const { command, bystanderMib, killsIt = false, env = {} } = JSON.parse(process.argv[2]);
const HOG = path.join(import.meta.dirname, 'hog.mjs');
const STEP_MS_MAX = 40_000;

async function until(met, what) {
  for (const deadline = Date.now() + STEP_MS_MAX; !met(); await sleep(2)) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
  }
}

/** Pids of living balloons. */
function balloons() {
  return readdirSync('/proc').filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        /^Name:\s+oom-drill\nUmask:.*\nState:\s+[^Z]/.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
      );
    } catch {
      return false;
    }
  });
}

const bystander = { exit: null, events: '' };
if (bystanderMib > 0) {
  const options = { name: 'bystander', maxMib: bystanderMib, adj: 0, holdMs: 100_000 };
  const child = spawn(process.execPath, [HOG, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.on('exit', (code, signal) => (bystander.exit = { code, signal }));
  child.stdout.setEncoding('utf8').on('data', (text) => (bystander.events += text));
  child.stdin.write(`${JSON.stringify({ limitPercent: -1, basis: 'user' })}\n`);
  await until(() => bystander.events.includes('"full"'), 'a full bystander');
}

const drill = spawn(command[0], command.slice(1), {
  stdio: ['ignore', 'pipe', 'pipe'],
  env: { ...process.env, ...env },
});
const said = { stdout: '', stderr: '' };
let exit = null;
drill.stdout.setEncoding('utf8').on('data', (text) => (said.stdout += text));
drill.stderr.setEncoding('utf8').on('data', (text) => (said.stderr += text));
drill.on('close', (code, signal) => (exit = { code, signal }));
let seen = 0;
if (killsIt) {
  await until(() => balloons().length > 0, 'a balloon');
  seen = balloons().length;
  drill.kill('SIGKILL');
}
await until(() => exit !== null, 'the end of the drill');
if (killsIt) await until(() => balloons().length === 0, 'the end of the balloon');
writeFileSync(1, JSON.stringify({ ...exit, ...said, bystanderExit: bystander.exit, seen, left: balloons().length }));
process.exit(0);
