/*
 * One gate of bench:gate, in a process of its own: `node --max-semi-space-size=1 gate.cjs WORK TIMES`. Rehearses as the guard does,
 * then does the work so often, and prints what that cost as JSON: { collections, fdGrowth, rssGrowthKib, us }.
 *
 * Collections are counted by the engine's own events, which a loop that never returns can't hide: they are
 * delivered once it has ended.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { Moment, monotonicMs } from '../../native-shims/clock.js';
import { O_RDONLY, open } from '../../native-shims/files.js';
import { cString } from '../../native-shims/libc.js';
import { openMeminfo, openProcfs } from '../../src/guard/machine.js';
import {
  CHECK_MS_MAX,
  COMPILE_MS_MAX,
  NEVER,
  rehearseCadence,
  rehearseSelection,
  rehearseTicks,
  Stage,
  Watch,
} from '../../src/guard/rehearse.js';
import { seal } from '../../src/guard/seal.js';
import { Shortlist } from '../../src/guard/shortlist.js';
import { saySending } from '../../src/report/messages.js';
import { AllocationClock } from '../../src/sample/allocation-clock.js';
import type { PidFiles } from '../../src/sample/pid-files.js';
import { PidWalk } from '../../src/sample/pid-walk.js';
import { emptyVictim } from '../../src/shared/victim.js';

/** Free as long as nobody is killed. */
const FREE_POLL_SLOT = 0;

const [work = '', times = '0'] = process.argv.slice(2);

const files = openProcfs('/proc');
const sampler = openMeminfo('/proc');
const parts = { files, sampler, selfPid: process.pid };
const stage = new Stage(parts, NEVER, 0);
const { selector, scan, log } = stage.parts;
const victim = emptyVictim();
const watch = new Watch(stage.guard, stage.parts.pollSet, FREE_POLL_SLOT);

const clock = AllocationClock.open('/proc') as AllocationClock;
const walk = new PidWalk((files.reopen() as PidFiles).directoryFd);
const policy = { sortByRss: false, ignoreRootUser: false };
const shortlist = new Shortlist(scan, walk, clock, policy, sampler.memory, 2 / 3);
const now = new Moment();
const sweep = (): void => {
  now.ms += 10;
  shortlist.advance({ sweepShare: 0.1 }, now);
  shortlist.fill(selector.table);
};

/** What escapes here can't be optimised away. */
const kept: unknown[] = [null];
const buffers: Buffer[] = [];
const devNull = cString('/dev/null');
let leakedTicks = 0;

const WORK: Record<string, () => void> = {
  tick: () => void stage.guard.tick(),
  scan: () => void selector.select(),
  sweep,
  victim: () => {
    selector.describe(selector.table.pid.indexOf(process.pid), victim);
    saySending(log, 'SIGTERM', victim);
  },
  // The controls: each makes one gate fail.
  'tick that makes an object': () => {
    stage.guard.tick();
    kept[0] = { at: process.pid };
  },
  'scan that makes strings': () => {
    selector.select();
    kept[0] = Array.from(selector.table.pid.subarray(0, selector.table.count), String);
  },
  'tick that leaks an fd': () => {
    stage.guard.tick();
    leakedTicks++;
    if (leakedTicks % 1000 === 0) open(devNull, O_RDONLY);
  },
  'tick that leaks memory': () => {
    stage.guard.tick();
    if (buffers.length < 4000) buffers.push(Buffer.alloc(4096, 1));
  },
};

const run = WORK[work];
if (run === undefined) throw new Error(`no such work: ${work} (valid: ${Object.keys(WORK).join(', ')})`);

rehearseCadence(sampler.memory);
seal(
  () => {
    rehearseSelection(selector, watch);
    rehearseTicks(watch, COMPILE_MS_MAX);
    for (let i = 0; i < 300; i++) run();
  },
  () => {
    run();
    return rehearseTicks(watch, CHECK_MS_MAX);
  },
  () => watch.look(),
);
for (let i = Number(times) / 20; i > 0; i--) run();
// What that and the rehearsal have left is not the work's. Only the young: a full collection would throw compiled code away.
(globalThis.gc as unknown as (options: object) => void)({ type: 'minor' });

let collections = 0;
let fromMs = Number.POSITIVE_INFINITY;
const observer = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (entry.startTime >= fromMs) collections++;
});
observer.observe({ entryTypes: ['gc'] });

const fds = (): number => readdirSync('/proc/self/fd').length;
const rssKib = (): number => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);

setImmediate(() => {
  // Asked once before, so that asking costs nothing new.
  fds();
  rssKib();
  const fdsBefore = fds();
  const rssBefore = rssKib();
  fromMs = performance.now();
  const startedMs = monotonicMs();
  for (let i = Number(times); i > 0; i--) run();
  const us = ((monotonicMs() - startedMs) * 1000) / Number(times);
  const result = { fdGrowth: fds() - fdsBefore, rssGrowthKib: rssKib() - rssBefore, us };
  // The engine's events come with the turns that follow.
  setTimeout(() => {
    observer.disconnect();
    process.stdout.write(`${JSON.stringify({ collections, ...result })}\n`);
    process.exit(0);
  }, 100);
});
