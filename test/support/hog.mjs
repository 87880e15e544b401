/*
 * A hog: grows anonymous memory at a given rate to a given size, and notes what happens to it.
 * Plain Node and koffi, so that tests need no compiler. One JSON object as argument:
 *
 *   name        comm to take                        rateMibPerS  0: as fast as it can
 *   maxMib      where growing stops                 holdMs       how long it stays then (bounded: it ends by itself)
 *   onTerm      "exit", "ignore" or milliseconds after which it exits
 *   children    further hogs of maxMib/children each in the same process group
 *
 * It waits for a line on stdin before it grows: {"limitPercent", "basis"}, to note when MemAvailable crosses
 * that many percent of user mem total ("user") or of MemTotal ("total"). On stdout: one JSON object a line, times in
 * CLOCK_MONOTONIC ms. It gives itself oom_score_adj 1000 (or `adj`), so that nobody else is in danger.
 */
import { spawn } from 'node:child_process';
import { openSync, readSync, writeFileSync } from 'node:fs';
import koffi from 'koffi';

const options = JSON.parse(process.argv[2] ?? '{}');
const {
  name = 'hog',
  rateMibPerS = 0,
  maxMib = 300,
  holdMs = 20_000,
  onTerm = 'exit',
  adj = 1000,
  children = 0,
} = options;

const MIB = 1 << 20;
/** Looked at memory after each; small, or the crossing would be noted late. */
const CHUNK = MIB / 2;
const libc = koffi.load(null);
const prctl = libc.func('int prctl(int option, const char *name, long a, long b, long c)');
const mmap = libc.func('void *mmap(void *addr, size_t length, int prot, int flags, int fd, int64_t offset)');
const memset = libc.func('void *memset(void *memory, int byte, size_t length)');

const nowMs = () => Number(process.hrtime.bigint()) / 1e6;
const tell = (event, more = {}) =>
  process.stdout.write(`${JSON.stringify({ event, atMs: nowMs(), pid: process.pid, ...more })}\n`);

writeFileSync('/proc/self/oom_score_adj', String(adj));
prctl(15, name, 0, 0, 0);

process.on('SIGTERM', () => {
  tell('term', { availableKib: meminfo().available });
  if (onTerm === 'exit') process.exit(0);
  if (typeof onTerm === 'number') setTimeout(() => process.exit(0), onTerm);
});

const meminfoFd = openSync('/proc/meminfo');
const meminfoBytes = Buffer.alloc(8192);
function meminfo() {
  const text = meminfoBytes.toString('latin1', 0, readSync(meminfoFd, meminfoBytes, 0, 8192, 0));
  const value = (key) => Number(text.slice(text.indexOf(key) + key.length, text.indexOf(' kB', text.indexOf(key))));
  return { available: value('\nMemAvailable:'), anon: value('\nAnonPages:'), total: value('MemTotal:') };
}

let limit = { limitPercent: 0, basis: 'user' };
let crossed = false;
function noteCrossing() {
  if (crossed) return;
  const { available, anon, total } = meminfo();
  const of = limit.basis === 'total' ? total : available + anon;
  if ((available * 100) / of > limit.limitPercent) return;
  crossed = true;
  tell('crossed', { availableKib: available, mibPerS: Math.round(grownBytes / MIB / ((nowMs() - startedMs) / 1000)) });
}

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
let grownBytes = 0;
let startedMs = 0;
let arena = 0n;

/** Memory for maxMib, not touched yet. */
function reserve() {
  return koffi.address(mmap(null, maxMib * MIB, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0));
}

function grow() {
  if (grownBytes >= maxMib * MIB) {
    tell('full', { mibPerS: Math.round(maxMib / ((nowMs() - startedMs) / 1000)) });
    setTimeout(() => process.exit(3), holdMs);
    return;
  }
  const dueBytes = rateMibPerS === 0 ? Number.POSITIVE_INFINITY : ((nowMs() - startedMs) / 1000) * rateMibPerS * MIB;
  // A few chunks, then a turn of the event loop, in which SIGTERM's handler runs.
  for (let i = 0; i < 4 && grownBytes < dueBytes && grownBytes < maxMib * MIB; i++) {
    memset(arena + BigInt(grownBytes), 1, CHUNK);
    grownBytes += CHUNK;
    noteCrossing();
  }
  setImmediate(grow);
}

tell('ready');
process.stdin.once('data', (line) => {
  limit = JSON.parse(line);
  const own = { ...options, children: 0, maxMib: maxMib / children };
  for (let i = 0; i < children; i++) {
    const child = spawn(process.execPath, [process.argv[1], JSON.stringify(own)], {
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    child.stdin.write(line);
  }
  if (children > 0) return void setTimeout(() => process.exit(3), holdMs);
  arena = reserve();
  startedMs = nowMs();
  tell('grow');
  grow();
});
