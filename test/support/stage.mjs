/*
 * A guard that is told what to do step by step, run as the first process of a PID namespace of its own, as scenario.mjs is
 * (`unshare --pid --fork --mount-proc --kill-child node stage.mjs`). On stdin one JSON object a line, { "do": ... }, see Step in stage.ts; on stdout
 * one for each, its answer, or { "error" }. When stdin ends, so does this, and the kernel ends whatever is left.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { limitsFor, startHog } from './hogs.mjs';

const READY = /SIGKILL when/;
const READY_MS_MAX = 20_000;
const ENDS_MS_MAX = 20_000;

let guard = null;
let said = '';
let guardEnded = null;
let limits = null;

/** The guard's limits, LIMITS in its arguments, lie `headroomMib` below what is available now. */
async function start({ program, args, headroomMib }) {
  limits = limitsFor({ headroomMib });
  said = '';
  guard = spawn(
    program,
    args.map((arg) => arg.replace('LIMITS', limits.argument)),
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  for (const stream of [guard.stdout, guard.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
  guardEnded = new Promise((resolve) => guard.on('exit', (code, signal) => resolve({ code, signal })));
  for (const deadline = Date.now() + READY_MS_MAX; !READY.test(said); await sleep(5)) {
    if (Date.now() > deadline || guard.exitCode !== null) throw new Error(`the guard did not say its limits: ${said}`);
  }
  return { pid: guard.pid };
}

async function stop() {
  guard.kill('SIGTERM');
  return await Promise.race([guardEnded, sleep(ENDS_MS_MAX, { code: null, signal: 'still there' }, { ref: false })]);
}

/** Fills memory until it is ended; answers what became of it. */
async function balloon({ hog: options }) {
  const hog = await startHog(options);
  hog.child.stdin.write(`${JSON.stringify({ limitPercent: limits.termPercent, basis: 'user' })}\n`);
  await Promise.race([hog.ended, sleep(ENDS_MS_MAX, null, { ref: false })]);
  return { pid: hog.pid, events: hog.events, exit: hog.exit };
}

const STEPS = {
  start,
  stop,
  balloon,
  signal: ({ signal }) => ({ sent: guard.kill(signal) }),
  look: () => ({ openFiles: openFiles(guard.pid), said }),
};

/** "FD TARGET" of each. */
function openFiles(pid) {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return `${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`;
    } catch {
      return `${fd} closed meanwhile`;
    }
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const step = JSON.parse(line);
  const answer = await Promise.resolve()
    .then(() => STEPS[step.do](step))
    .catch((error) => ({ error: String(error) }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
