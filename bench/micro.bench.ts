/*
 * npm run bench: the hot functions one by one, in ns. What a tick and a scan are made of; where time goes is seen in
 * bench:react, bench:scan and bench:idle, which measure the whole beside its peers. The harness itself takes some 50 ns a call,
 * which is in the figures of the smallest.
 */

import { bench, describe } from 'vitest';
import { Moment, ThreadCpuTime } from '../native-shims/clock.js';
import { close, O_DIRECTORY, O_RDONLY, open, pread } from '../native-shims/files.js';
import { cString, fixedBuffer } from '../native-shims/libc.js';
import { PollSet } from '../native-shims/poll.js';
import { PosixRegex } from '../native-shims/regex.js';
import { Cadence } from '../src/decide/cadence.js';
import { nextStep } from '../src/decide/ladder.js';
import { levelOf } from '../src/decide/limits.js';
import { pickVictim } from '../src/decide/ranking.js';
import { openMeminfo, openProcfs } from '../src/guard/machine.js';
import { CgroupNames } from '../src/kernel/cgroup-names.js';
import { emptyMeminfo, parseMeminfo } from '../src/kernel/meminfo.js';
import { parseOomNumber } from '../src/kernel/pid-oom.js';
import { emptyPidStat, parsePidStat } from '../src/kernel/pid-stat.js';
import { emptyVmstat, parseVmstat } from '../src/kernel/vmstat.js';
import { compileCondition } from '../src/match/conditions.js';
import type { Program } from '../src/match/program.js';
import { Log } from '../src/report/log.js';
import { saySending } from '../src/report/messages.js';
import { AllocationClock } from '../src/sample/allocation-clock.js';
import { PID_OOM_SCORE } from '../src/sample/pid-files.js';
import { PidWalk } from '../src/sample/pid-walk.js';
import { CandidateTable } from '../src/shared/candidates.js';
import { EARLYOOM_SELECTION } from '../src/shared/selection.js';
import { emptyVictim } from '../src/shared/victim.js';

const LIMITS = { memTermPercent: 5, memKillPercent: 3, swapTermPercent: 100, swapKillPercent: 100 };
const ROWS = 1000;

const files = openProcfs('/proc');
const sampler = openMeminfo('/proc');
const { memory } = sampler;
const now = new Moment();

/** The bytes of a kernel file. */
function bytesOf(path: string): { bytes: Buffer; length: number } {
  const fd = open(cString(path), O_RDONLY);
  const bytes = fixedBuffer(8192);
  const length = pread(fd, bytes, 0);
  close(fd);
  return { bytes, length };
}

describe('kernel: bytes to numbers', () => {
  const meminfo = bytesOf('/proc/meminfo');
  const stat = bytesOf('/proc/self/stat');
  const score = bytesOf('/proc/self/oom_score');
  const vmstat = bytesOf('/proc/vmstat');
  const outMeminfo = emptyMeminfo();
  const outStat = emptyPidStat();
  const outVmstat = emptyVmstat();
  bench('parseMeminfo', () => void parseMeminfo(meminfo.bytes, meminfo.length, outMeminfo));
  bench('parsePidStat', () => void parsePidStat(stat.bytes, stat.length, outStat));
  bench('parseOomNumber', () => void parseOomNumber(score.bytes, score.length));
  bench('parseVmstat', () => void parseVmstat(vmstat.bytes, vmstat.length, outVmstat));
});

describe('sample: with the kernel', () => {
  const clock = AllocationClock.open('/proc') as AllocationClock;
  const walk = new PidWalk(open(cString('/proc'), O_RDONLY | O_DIRECTORY));
  const buffer = fixedBuffer(4096);
  const pollSet = new PollSet(8);
  const regex = PosixRegex.compile('^(firefox|chrome)$') as PosixRegex;
  const name = cString('Web Content');
  bench('Moment.update', () => now.update());
  bench('poll, nothing to wait for', () => void pollSet.wait(0));
  bench('sample /proc/meminfo', () => void sampler.sample());
  bench('allocation clock', () => void clock.read());
  bench('oom_score of one process', () => void files.read(process.pid, PID_OOM_SCORE, buffer));
  bench('one regex', () => void regex.matches(name));
  bench('walk through /proc', () => {
    walk.restart();
    while (walk.next() > 0);
  });
});

describe('decide: pure', () => {
  const cadence = new Cadence(0.04, new ThreadCpuTime());
  const idle = { victimGone: false, preHookDone: false, elapsedMs: 1.5, paused: false };
  const facts = { level: 0 as const, ...idle, killAfterMs: 10_000, stuckMs: 0.5 };
  const table = new CandidateTable(ROWS);
  for (let pid = 100; pid < 100 + ROWS; pid++) {
    const row = table.add(pid);
    table.oomScore[row] = 600 + ((pid * 37) % 101);
    table.rssKib[row] = (pid * 53) % 997;
  }
  bench('levelOf', () => void levelOf(memory, LIMITS));
  bench('Cadence.observe', () => {
    now.ms += 5;
    cadence.observe(memory, LIMITS, false, now);
  });
  bench('nextStep', () => void nextStep('watching', facts));
  bench(`pickVictim of ${ROWS}`, () => void pickVictim(table, { ...EARLYOOM_SELECTION }));
});

describe('match: one text', () => {
  const hostile = Buffer.alloc(4096, 'a');
  const cmdline = Buffer.from(
    '/opt/browser/browser --type=renderer --crashpad-handler-pid=4711 --lang=en'.padEnd(200, ' --flag'),
  );
  const cgroup = Buffer.from('/user.slice/user-1000.slice/user@1000.service/app.slice/app-browser-4711.scope');
  const names = new CgroupNames();
  const glob = compileCondition('cmdline', '*--type=renderer*') as Program;
  const regex = compileCondition('cmdline', '/--type=(renderer|utility)( |$)/') as Program;
  const path = compileCondition('cgroup', '/user.slice/**/app-browser-*.scope') as Program;
  const dearest = compileCondition('cmdline', '/(a{0,255}){2}b/') as Program;
  bench('glob, arguments of 200 bytes', () => void glob.matches(cmdline, 0, cmdline.length));
  bench('regex, arguments of 200 bytes', () => void regex.matches(cmdline, 0, cmdline.length));
  bench('glob, path of a cgroup', () => void path.matches(cgroup, 0, cgroup.length));
  bench('unit and container of a path', () => names.read(cgroup, 0, cgroup.length));
  bench('glob, 4 KiB of somebody else', () => void glob.matches(hostile, 0, hostile.length));
  bench('the dearest pattern, 4 KiB', () => void dearest.matches(hostile, 0, hostile.length));
});

describe('report', () => {
  const log = new Log('bench');
  log.quiet = true;
  const victim = emptyVictim();
  victim.nameLength = 15;
  victim.name.fill(0x61);
  victim.cmdlineLength = 200;
  victim.cmdline.fill(0x62);
  bench('the line of a kill', () => saySending(log, 'SIGTERM', victim));
});
