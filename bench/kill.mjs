/*
 * bench:kill: how long from SIGKILL until the memory is back, side by side with Debian's earlyoom and with a plain
 * kill(2), which is what the kernel's exit takes by itself.
 *
 *   npm run bench:kill [-- --runs 10]
 *
 * In a PID namespace stands a process that holds 600 MiB (support/crowd.c). The guards are told that memory is short, by
 * a /proc/meminfo that changes (support/namespace.mjs) from far above the limits to below both: so the victim gets
 * SIGKILL at once. They alternate.
 *
 * Measured from the guard's line that says whom it kills, or from just before the plain kill, until 95 % of the
 * victim's memory is free. The real /proc/meminfo is watched for that by another program every 100 us
 * (support/memory-log.c): AnonPages, because of what is freed the kernel keeps 100 MiB and more in lists of each CPU,
 * which MemAvailable does not count for a second or two.
 *
 * Two situations:
 *
 *   quiet    nobody else runs: the victim's own exit frees its memory, as fast as one core can
 *   starved  the victim has niceness 19, and two busy processes for each core take what it would need to exit. This
 *            is where process_mrelease(2) helps: the guard, at niceness -20, frees the memory in its own time
 */
import { spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { cpus, setPriority } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { machine, markdown, save, summary } from './measure.mjs';
import { compile, enterNamespace, meminfo, pretendMeminfo, Said, scratchDirectory } from './support/namespace.mjs';

const ROOT = path.resolve(import.meta.dirname, '..');
const { values: flags } = parseArgs({ options: { runs: { type: 'string', default: '10' } } });
const runs = Number(flags.runs);

const VICTIM_MIB = 600;
/** The rest is what others do meanwhile. */
const BACK_SHARE = 0.95;
const LOG_PERIOD_US = 100;
/** A guard has rehearsed by then, and the victim's memory lies still. */
const SETTLE_MS = 2000;
/** A starved victim takes seconds. */
const BACK_MS_MAX = 30_000;
const LOOK_MS = 50;
/** AnonPages is watched for so long before. */
const BEFORE_MS = 50;
/** What memory is said to be, of MemTotal; the limits are at half. */
const LOW = 0.4;
const HIGH = 0.6;
const BUSY_PER_CORE = 2;
const NICENESS = { quiet: 0, starved: 19 };

enterNamespace();
const about = machine();
if (about.earlyoom === 'not there') throw new Error('needs the peer: apt-get install earlyoom');

const scratch = scratchDirectory();
const stamp = compile(scratch, 'stamp');
const crowd = compile(scratch, 'crowd');
const memoryLog = compile(scratch, 'memory-log');

const { totalKib } = meminfo();
// Whoever opens this opens the real one, whatever is mounted over its path.
const honest = `/proc/${process.pid}/fd/${openSync('/proc/meminfo')}`;
const pretend = pretendMeminfo(scratch, { MemAvailable: totalKib * HIGH, AnonPages: totalKib / 2 });

const ARGS = ['-r', '0', '-m', '50,50', '-s', '100,100', '-p'];
const KILLERS = [
  { name: 'oom-backstop', program: path.join(ROOT, 'bin/oom-backstop') },
  { name: about.earlyoom.replace(' v', ' '), program: 'earlyoom' },
  { name: 'kill(2)', program: null },
];

async function once(killer, niceness) {
  const victim = await Said.start(stamp, crowd, ['0', String(VICTIM_MIB), '1000']);
  const { text } = await victim.line(/^ready/);
  const pid = Number(text.split(' ')[1]);
  setPriority(pid, niceness);
  const guard = killer.program === null ? null : await Said.start(stamp, killer.program, ARGS);
  await sleep(SETTLE_MS);
  const busy = niceness === 0 ? [] : Array.from({ length: BUSY_PER_CORE * cpus().length }, startBusy);
  const log = await Said.start(stamp, memoryLog, [honest, String(LOG_PERIOD_US)]);
  await log.line(/^ready/);
  await sleep(BEFORE_MS);

  const enoughKib = anonKib() - VICTIM_MIB * 1024 * BACK_SHARE;
  let signalMs = nowMs();
  if (guard === null) process.kill(pid, 'SIGKILL');
  else {
    pretend({ MemAvailable: totalKib * LOW });
    signalMs = (await guard.line(/^sending SIGKILL to process .*"balloon"/)).atMs;
    pretend({ MemAvailable: totalKib * HIGH });
  }
  while (anonKib() > enoughKib && nowMs() < signalMs + BACK_MS_MAX) await sleep(LOOK_MS);
  await log.stop();
  for (const child of busy) child.kill('SIGKILL');
  await guard?.stop();
  await victim.stop();
  return firstAtMs(log, enoughKib) - signalMs;
}

function anonKib() {
  return Number(/^AnonPages: +(\d+)/m.exec(readFileSync(honest, 'latin1'))[1]);
}

/** When no more than that was in use, for the first time. */
function firstAtMs(log, enoughKib) {
  for (const { text } of log.lines) {
    const [, ns, kib] = /^(\d+) (\d+)$/.exec(text) ?? [];
    if (ns !== undefined && Number(kib) <= enoughKib) return Number(ns) / 1e6;
  }
  throw new Error(`memory was not back after ${BACK_MS_MAX} ms`);
}

function startBusy() {
  const child = spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' });
  setPriority(child.pid, 0);
  return child;
}

function nowMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}

// As guards are, and their children but the busy ones.
setPriority(-20);
const results = [];
for (const [situation, niceness] of Object.entries(NICENESS)) {
  const samples = KILLERS.map(() => []);
  for (let run = 0; run < runs; run++) {
    // Nobody always after the same.
    for (let turn = 0; turn < KILLERS.length; turn++) {
      const index = (run + turn) % KILLERS.length;
      samples[index].push(await once(KILLERS[index], niceness));
    }
  }
  for (const [index, { name }] of KILLERS.entries()) {
    results.push({ situation, killer: name, backMs: summary(samples[index]) });
    console.error(`${situation}, ${name}: ${JSON.stringify(results.at(-1).backMs)}`);
  }
}

save('kill', { ...about, runs, victimMib: VICTIM_MIB, results });
const cells = ({ min, median, max }) => `${median} (${min}–${max})`;
const rows = [['', 'killed by', 'SIGKILL → 95 % of 600 MiB back, ms: median (min–max)']];
for (const { situation, killer, backMs } of results) rows.push([situation, killer, cells(backMs)]);
console.log(
  `${about.date}, ${about.kernel}, ${about.cores} cores (${about.cpu}), Node ${about.node}, ${runs} runs each\n`,
);
console.log(markdown(rows));
process.exit(0);
