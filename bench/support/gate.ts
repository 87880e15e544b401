/*
 * One gate of bench:gate, in a process of its own: `node --max-semi-space-size=1 gate.mjs WORK TIMES`. Prepares and seals a whole
 * guard as start-up does, then does the work so often, and prints what that cost as JSON: { collections, fdGrowth, rssGrowthKib, us }.
 *
 * Collections are counted by the engine's own events, which a loop that never returns can't hide: they are
 * delivered once it has ended.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { Moment, monotonicMs } from '../../native-shims/clock.js';
import { O_RDONLY, open } from '../../native-shims/files.js';
import { cString } from '../../native-shims/libc.js';
import { parseGuardOptions } from '../../src/cli/guard-options.js';
import { openMeminfo, openProcfs } from '../../src/guard/machine.js';
import { NEVER } from '../../src/guard/rehearse.js';
import { prepareGuard, prepareProcess, sealGuard } from '../../src/guard/start.js';
import { Log } from '../../src/report/log.js';
import { saySending } from '../../src/report/messages.js';
import { emptyVictim } from '../../src/shared/victim.js';

const [work = '', times = '0'] = process.argv.slice(2);

prepareProcess('oom-backstop');
const log = new Log('rehearsal');
log.quiet = true;
const sampler = openMeminfo('/proc');
const request = parseGuardOptions(['--dryrun'], 'oom-backstop', log, () => sampler.memory);
if (request.kind !== 'run') throw new Error('not the options of a guard');
// A whole guard, which can't be provoked.
const prepared = prepareGuard({ ...request.options, limits: NEVER }, openProcfs('/proc'), sampler, log);
const { watch, selector, shortlist } = prepared;
if (shortlist === null) throw new Error('a guard without a shortlist');
const victim = emptyVictim();

const now = new Moment();
now.update();
const share = { sweepShare: 0.1 };
const sweep = (): void => {
  now.ms += 10;
  shortlist.advance(share, now);
  shortlist.fill(selector.table);
};

const COMPILED_AFTER = 1000;

/** What escapes here can't be optimised away. */
const kept: unknown[] = [null];
const buffers: Buffer[] = [];
const devNull = cString('/dev/null');
let leakedTicks = 0;

const WORK: Record<string, () => void> = {
  tick: () => void watch.lookAgain(1),
  scan: () => void selector.select(),
  sweep,
  victim: () => {
    selector.describe(selector.table.pid.indexOf(process.pid), victim);
    saySending(log, 'SIGTERM', victim);
  },
  // The controls: each makes one gate fail.
  'tick that makes an object': () => {
    watch.lookAgain(1);
    kept[0] = { at: process.pid };
  },
  'scan that makes strings': () => {
    selector.select();
    kept[0] = Array.from(selector.table.pid.subarray(0, selector.table.count), String);
  },
  'tick that leaks an fd': () => {
    watch.lookAgain(1);
    leakedTicks++;
    if (leakedTicks % 1000 === 0) open(devNull, O_RDONLY);
  },
  'tick that leaks memory': () => {
    watch.lookAgain(1);
    if (buffers.length < 8000) buffers.push(Buffer.alloc(4096, 1));
  },
};

const run = WORK[work];
if (run === undefined) throw new Error(`no such work: ${work} (valid: ${Object.keys(WORK).join(', ')})`);

// What the guard does only once a kill is compiled for this only.
for (let i = 0; i < COMPILED_AFTER; i++) run();
await sealGuard(prepared, log);
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
