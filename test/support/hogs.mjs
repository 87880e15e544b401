/*
 * Hogs (hog.mjs, or the benches' bench/support/hog.c) and the limits that they cross, for the programs that run as the first process of a PID namespace: scenario.mjs, stage.mjs.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const HOG = path.join(import.meta.dirname, 'hog.mjs');
const HOG_READY_MS = 10_000;

function meminfo() {
  const text = readFileSync('/proc/meminfo', 'latin1');
  const value = (key) => Number(new RegExp(`^${key}: +(\\d+)`, 'm').exec(text)[1]);
  return { totalKib: value('MemTotal'), availableKib: value('MemAvailable'), anonKib: value('AnonPages') };
}

/** Starts a hog that waits; resolves when it is ready to grow. `native`: the compiled hog.c instead. */
export async function startHog(options) {
  const { native, program = process.execPath, rateMibPerS, maxMib } = options;
  const args = native === undefined ? [HOG, JSON.stringify(options)] : [rateMibPerS, maxMib].map(String);
  const child = spawn(native ?? program, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: options.ownGroup === true,
  });
  if (options.cgroup !== undefined) writeFileSync(path.join(options.cgroup, 'cgroup.procs'), String(child.pid));
  const hog = { pid: child.pid, events: [], exit: null, child };
  hog.ended = new Promise((resolve) => {
    child.on('exit', (code, signal) => {
      hog.exit = { code, signal, atMs: Number(process.hrtime.bigint()) / 1e6 };
      resolve();
    });
  });
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    hog.events.push(...lines.map((line) => JSON.parse(line)));
  });
  await until(hog, 'ready');
  return hog;
}

/** Waits for an event of a hog. */
export async function until(hog, name) {
  const deadline = Date.now() + HOG_READY_MS;
  while (!hog.events.some(({ event }) => event === name)) {
    if (Date.now() > deadline || hog.exit !== null) throw new Error(`a hog was never ${name}`);
    await sleep(5);
  }
}

/**
 * The guard's limits: TERM is crossed when the hogs have taken `headroomMib` from now on, KILL `killBelowMib`
 * further down. Given as -M, in KiB of MemTotal, which the guard turns into percent and compares with
 * percent of user mem total (of MemTotal where `basis` is "total": earlyoom 1.7; of what is left of it where it is "tmpfs":
 * what the tmpfs has taken).
 */
export function limitsFor({ headroomMib = 260, killBelowMib = 10_000, basis = 'user' } = {}) {
  const { totalKib, availableKib, anonKib } = meminfo();
  const term = availableKib - headroomMib * 1024;
  // A tmpfs takes from user mem total what it takes from available memory; a hog turns one part of it into the other.
  const of = basis === 'total' ? totalKib : (basis === 'tmpfs' ? term : availableKib) + anonKib;
  const kill = term - killBelowMib * 1024;
  const asSize = (kib) => ((kib * totalKib) / of).toFixed(0);
  return { argument: `${asSize(term)},${asSize(kill)}`, termPercent: (100 * term) / of };
}
