/*
 * dist/balloon.cjs, the victim of `oom-backstop drill`: a process of its own that grows to a bounded size at a bounded speed and
 * ends by itself, whatever becomes of who started it. It loads nothing, and gives itself oom_score_adj 1000 first, so that the kernel
 * and every other daemon would take it before anybody else.
 *
 * Argument: BalloonOrder as JSON. It grows when a line comes on stdin, the limit in percent of user mem total. On stdout: a
 * BalloonEvent a line, times in CLOCK_MONOTONIC ms. It ends by SIGTERM, when stdin closes (so it can't outlive the drill), and
 * when its time is over.
 */
import { openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import type { BalloonEvent, BalloonOrder } from './plan.js';

const STDOUT = 1;
/** So as `ps` and the guard's own log show it. */
const NAME = 'oom-drill';
const ADJ_MAX = '1000';

/** Each in a mapping of its own, touched page by page. */
const CHUNK_KIB = 1024;
/** MemAvailable is looked at this often while it grows, and rests as long in between. */
const SAMPLE_MS = 0.5;
const REST_MS = 0.25;

const EXIT_ALONE = 3;
const EXIT_OVERDUE = 4;

const order = JSON.parse(process.argv[2] as string) as BalloonOrder;
const chunks: Buffer[] = [];
const restCell = new Int32Array(new SharedArrayBuffer(4));
const meminfo = openSync('/proc/meminfo', 'r');
const meminfoBytes = Buffer.alloc(8192);

const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;
const grownKib = (): number => chunks.length * CHUNK_KIB;

function tell(event: BalloonEvent['event']): void {
  writeSync(STDOUT, `${JSON.stringify({ event, atMs: nowMs(), grownKib: grownKib() })}\n`);
}

function availablePercent(): number {
  const text = meminfoBytes.toString('latin1', 0, readSync(meminfo, meminfoBytes, 0, meminfoBytes.length, 0));
  const kib = (key: string): number => Number(new RegExp(`^${key}: +(\\d+)`, 'm').exec(text)?.[1]);
  const availableKib = kib('MemAvailable');
  return (100 * availableKib) / (availableKib + kib('AnonPages'));
}

/** Grows as much as is due, and looks at memory; a turn of the event loop after each chunk, in which SIGTERM's handler runs. */
function grow(limitPercent: number): void {
  const startedMs = nowMs();
  let sampledMs = 0;
  let crossed = false;
  const step = (): void => {
    const now = nowMs();
    if (!crossed && now - sampledMs >= SAMPLE_MS) {
      sampledMs = now;
      crossed = availablePercent() <= limitPercent;
      if (crossed) tell('crossed');
    }
    const isDue = grownKib() < (now - startedMs) * order.kibPerMs;
    if (isDue && grownKib() < order.sizeKib) {
      chunks.push(Buffer.allocUnsafeSlow(CHUNK_KIB * 1024).fill(1));
      if (grownKib() >= order.sizeKib) tell('full');
    } else Atomics.wait(restCell, 0, 0, REST_MS);
    setImmediate(step);
  };
  step();
}

writeFileSync('/proc/self/oom_score_adj', ADJ_MAX);
process.title = NAME;
process.on('SIGTERM', () => {
  tell('term');
  process.exit(0);
});
setTimeout(() => process.exit(EXIT_OVERDUE), order.lifeMs);
process.stdin.once('data', (line) => grow(Number(line.toString())));
process.stdin.on('close', () => process.exit(EXIT_ALONE));
tell('ready');
