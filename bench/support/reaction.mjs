/*
 * How long from the limit to the victim: what bench:react and bench:attack measure. One guard and one hog (hog.c) in a PID
 * namespace. The hog itself notes CLOCK_MONOTONIC when /proc/meminfo first shows the limit crossed (it looks after each quarter of a MiB), and
 * again when SIGTERM arrives; the guard's lines have the time at which they were written (stamp.c). Growth starts at a random phase,
 * or a loop of 100 ms would look synchronous.
 */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { SERVICE_ENVIRONMENT } from './service-environment.mjs';

export const ROOT = path.resolve(import.meta.dirname, '../..');
const SCENARIO = path.join(ROOT, 'test/support/scenario.mjs');

/** Longer than the guard rehearses at start, and no longer: the hog's warm memory cools (see hog.c). */
export const SETTLE_MS = 2000;
const PHASE_MS = 200;
const HEADROOM_MIB = 300;
/** The headroom, and what the CPUs keep on their lists of what has been freed before (300 MiB and more, measured): MemAvailable does not show it. */
const HOG_MIB = 1500;
const RUN_MS_MAX = 90_000;

/**
 * One kill.
 * @param guard      { program, basis, args? }: args beside the limits
 * @param situation  { rateMibPerS, crowd?, settleMs? }
 * @param tools      the compiled stamp.c and hog.c
 * @returns          ms and MiB: `reactionMs` until the signal has arrived, `signalMs` to the guard's line of it, `choiceMs` between two lines of
 *                   the guard, `overshootMib` below the limit by then, `mibPerS` as the hog really grew
 */
export function reaction(guard, { rateMibPerS, crowd, settleMs = SETTLE_MS }, { stamp, hog: native }) {
  const scenario = {
    ...(crowd !== undefined && { crowd }),
    hogs: [{ native, rateMibPerS, maxMib: HOG_MIB }],
    guard: { program: stamp, args: [guard.program, '-M', 'LIMITS', '-s', '100', '-r', '0', ...(guard.args ?? [])] },
    limits: { headroomMib: HEADROOM_MIB, basis: guard.basis },
    settleMs: settleMs + Math.random() * PHASE_MS,
    afterMs: 0,
  };
  const program = [process.execPath, SCENARIO, JSON.stringify(scenario)];
  const args = ['--pid', '--fork', '--mount-proc', '--kill-child', ...program];
  const result = JSON.parse(
    execFileSync('unshare', args, { env: SERVICE_ENVIRONMENT, encoding: 'utf8', timeout: RUN_MS_MAX }),
  );
  if (!result.guardReady) throw new Error(`the guard did not say its limits: ${JSON.stringify(result)}`);
  const [hog] = result.hogs;
  const event = (name) => hog.events.find((candidate) => candidate.event === name);
  const crossed = event('crossed');
  const term = event('term');
  if (crossed === undefined || term === undefined) throw new Error(`no SIGTERM: ${JSON.stringify(result)}`);
  const signalledMs = saidAtMs(result, /^\d+ sending SIGTERM to/m);
  return {
    reactionMs: term.atMs - crossed.atMs,
    signalMs: signalledMs - crossed.atMs,
    choiceMs: signalledMs - saidAtMs(result, /^\d+ low memory!/m),
    overshootMib: (crossed.availableKib - term.availableKib) / 1024,
    mibPerS: crossed.mibPerS,
  };
}

/** The stamp of the first line that matches. */
function saidAtMs({ stdout }, pattern) {
  return Number(pattern.exec(stdout)[0].split(' ')[0]) / 1e6;
}
