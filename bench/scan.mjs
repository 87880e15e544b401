/*
 * bench:scan: how long one whole choice of a victim takes, side by side with Debian's earlyoom and nohang.
 *
 *   npm run bench:scan [-- --runs 10 --sizes 100,1000,2000,5000,10000]
 *
 * In a PID namespace stand that many idle processes and one bigger one, the youngest, which is the victim
 * (support/crowd.c). All guards are told that memory is short by the same /proc/meminfo, a copy with other figures,
 * and none of them can kill: --dryrun, and nohang, which has no such thing, with a min_badness that nobody reaches.
 * So they would choose again and again, earlyoom and nohang every 100 ms and ours every second; but all are stopped (SIGSTOP)
 * but for the one that is to choose, which takes turns choice by choice: the host's speed changes within seconds (measured: by a third,
 * and a median of ten falls into either), and so they all rest for as long, too. Ours sweeps on for a millisecond at each tick,
 * so that beside few processes, or after ten choices beside 2,000, it may choose from a shortlist: then it is quicker than the floor. They and this script run at nice -20, as guards do. Two figures of each choice:
 *
 *   time    between two lines that the guard prints just before and just after it: "low memory!" and "sending SIGTERM",
 *           "STARTING implement" and "Recheck memory" of nohang; stamped to some 10 us (support/stamp.c)
 *   CPU     what all its threads used (schedstat) while it was not stopped: busy
 *           neighbours make time longer, CPU hardly. It has the whole round in it, a constant that `--sizes 1` shows:
 *           0.3 ms of earlyoom's, 0.9 of nohang's, 1 to 3 of ours, of which V8's compiler, on a thread of its own, is
 *           the part that changes
 *
 * Debug mode, in which ours and earlyoom print the time themselves, would not do: earlyoom prints a line for each
 * process from within the scan. Nor would strace, which costs several times what it measures. The first choices after
 * a start are not counted: the kernel has made the /proc entries that it keeps by then, and ours has compiled what it
 * runs, as it has when it counts (it rehearses). Each guard is started twice for each cell, or once for each eight choices.
 *
 * Two leaders, because a guard that reads lazily profits from a clear one: "far" has oom_score_adj 1000, twice
 * everybody else's score, so that no pattern (300 points) could make a difference; "close" has none, and is a few
 * points ahead, so that every name decides. The patterns match nobody. nohang has them as badness adjustments by name.
 * Without patterns a floor stands beside them (support/scan-floor.c), which chooses nobody.
 * The crowd is all alike, the best case for earlyoom, which opens two files of each then, three with patterns (strace),
 * and up to four where scores or sizes rise with the pid.
 */
import { setPriority } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { machine, markdown, save, summary } from './measure.mjs';
import {
  compile,
  cpuMs,
  enterNamespace,
  meminfo,
  nohangConfig,
  nohangVersion,
  pretendMeminfo,
  Said,
  scratchDirectory,
} from './support/namespace.mjs';

const ROOT = path.resolve(import.meta.dirname, '..');
const { values: flags } = parseArgs({
  options: { runs: { type: 'string', default: '10' }, sizes: { type: 'string', default: '100,1000,2000,5000,10000' } },
});
const sizes = flags.sizes.split(',').map(Number);
/** How often each guard is started for a cell, over which the runs are spread: after more choices it would know the victim in advance. */
const STARTS_MIN = 2;
const CHOICES_A_START_MAX = 8;
const starts = Math.max(STARTS_MIN, Math.ceil(Number(flags.runs) / CHOICES_A_START_MAX));
const runs = Math.ceil(Number(flags.runs) / starts) * starts;

/** A guard has rehearsed by then: at niceness -20 it rests between the steps, and takes 3 to 6 s beside 2,000. */
const SETTLE_MS = 10_000;
/** After its choice a guard has gone to sleep by then, for 80 ms more at least. */
const RESTS_MS = 20;
const BALLOON_MIB = 150;

const PREFER = '^(firefox|chrome)$';
const AVOID = '^(sshd|systemd)$';
const CASES = [
  { name: 'no patterns, leader far ahead', patterns: false, leader: 'far' },
  { name: 'two patterns, leader far ahead', patterns: true, leader: 'far' },
  { name: 'two patterns, leader close', patterns: true, leader: 'close' },
];
const LEADER_ADJ = { far: 1000, close: 0 };

enterNamespace();
setPriority(-20);
const about = { ...machine(), nohang: nohangVersion() };
if (about.earlyoom === 'not there') throw new Error('needs the peer: apt-get install earlyoom');

const scratch = scratchDirectory();
const crowdProgram = compile(scratch, 'crowd');
const stamp = compile(scratch, 'stamp');
// The limits are half of MemTotal: nohang takes none above. AnonPages is for the percent of user mem total.
const { totalKib } = meminfo();
pretendMeminfo(scratch, { MemAvailable: totalKib * 0.4, AnonPages: totalKib * 0.5 });

const GUARDS = [
  earlyoomLike('oom-backstop', path.join(ROOT, 'bin/oom-backstop')),
  earlyoomLike(about.earlyoom.replace(' v', ' '), 'earlyoom'),
];
if (about.nohang !== null) GUARDS.push(nohang());

/** Reads one file of each process: no measure for a choice by names. */
const FLOOR = {
  name: 'C floor',
  program: compile(scratch, 'scan-floor'),
  args: () => [],
  begins: /^begins$/,
  ends: /^ends$/,
};
const competitors = (patterns) => (patterns ? GUARDS : [...GUARDS, FLOOR]);

function earlyoomLike(name, program) {
  const args = ['--dryrun', '-r', '0', '-m', '50,1', '-s', '100'];
  return {
    name,
    program,
    args: (patterns) => (patterns ? [...args, '--prefer', PREFER, '--avoid', AVOID] : args),
    begins: /^low memory! at or below SIGTERM/,
    ends: /^sending SIGTERM to process .*"balloon"/,
  };
}

function nohang() {
  const settings = { soft_threshold_min_mem: '50 %', soft_threshold_min_swap: '100 %', min_badness: '1000000' };
  const patterns = [`@BADNESS_ADJ_RE_NAME 300 /// ${PREFER}`, `@BADNESS_ADJ_RE_NAME -300 /// ${AVOID}`];
  const plainConfig = nohangConfig(scratch, 'plain', settings);
  const patternsConfig = nohangConfig(scratch, 'patterns', settings, patterns);
  return {
    name: `nohang ${about.nohang}`,
    program: 'nohang',
    args: (withPatterns) => ['--monitor', '--config', withPatterns ? patternsConfig : plainConfig],
    begins: /STARTING implement_corrective_action/,
    ends: /^Recheck memory levels/,
  };
}

/** Starts `guard`, and stops it when it has made the choices that do not count. */
async function startStopped(guard, patterns) {
  // Or Python would keep its lines for a while.
  const said = await Said.start(stamp, guard.program, guard.args(patterns), { PYTHONUNBUFFERED: '1' });
  await sleep(SETTLE_MS);
  await said.line(guard.ends, said.lines.length);
  await sleep(RESTS_MS);
  process.kill(said.pid, 'SIGSTOP');
  return said;
}

/** Lets a stopped guard make one choice. */
async function choice(guard, said) {
  const cpuBefore = cpuMs(said.pid);
  const seen = said.lines.length;
  process.kill(said.pid, 'SIGCONT');
  const begin = await said.line(guard.begins, seen);
  const end = await said.line(guard.ends, begin.index);
  await sleep(RESTS_MS);
  process.kill(said.pid, 'SIGSTOP');
  const cpu = cpuMs(said.pid);
  return {
    timeMs: end.atMs - begin.atMs,
    cpuMs: cpu.all - cpuBefore.all,
    mainCpuMs: cpu.main - cpuBefore.main,
  };
}

async function measure(patterns) {
  const guards = competitors(patterns);
  const samples = guards.map(() => []);
  for (let start = 0; start < starts; start++) {
    const started = [];
    for (const guard of guards) started.push(await startStopped(guard, patterns));
    for (let run = 0; run < runs / starts; run++) {
      for (const [index, guard] of guards.entries()) samples[index].push(await choice(guard, started[index]));
    }
    for (const said of started) {
      process.kill(said.pid, 'SIGCONT');
      await said.stop();
    }
  }
  return guards.map((guard, index) => ({
    guard: guard.name,
    timeMs: summary(samples[index].map((sample) => sample.timeMs)),
    cpuMs: summary(samples[index].map((sample) => sample.cpuMs)),
    mainCpuMs: summary(samples[index].map((sample) => sample.mainCpuMs)),
  }));
}

const results = [];
for (const processes of sizes) {
  for (const [leader, adj] of Object.entries(LEADER_ADJ)) {
    const crowd = await Said.start(stamp, crowdProgram, [processes, BALLOON_MIB, adj].map(String));
    await crowd.line(/^ready/);
    for (const { name, patterns } of CASES.filter((candidate) => candidate.leader === leader)) {
      const guards = await measure(patterns);
      results.push({ case: name, processes, guards });
      console.error(
        `${processes}, ${name}: ${guards.map(({ guard, timeMs }) => `${guard} ${timeMs.median}`).join(', ')}`,
      );
    }
    await crowd.stop();
  }
}

const cells = ({ min, median, max }) => `${median} (${min}–${max})`;
function table(figure) {
  const rows = [['', 'processes', ...competitors(false).map((guard) => guard.name), 'ours of earlyoom’s']];
  for (const { name } of CASES) {
    for (const [index, { processes, guards }] of results.filter((result) => result.case === name).entries()) {
      const [own, peer] = guards.map((guard) => guard[figure].median);
      const ratio = `${(own / peer).toFixed(2)} ×`;
      const figures = competitors(false).map((_, column) => (guards[column] ? cells(guards[column][figure]) : ''));
      rows.push([index === 0 ? name : '', processes, ...figures, ratio]);
    }
  }
  return markdown(rows);
}

save('scan', { ...about, runs, results });
console.log(
  `${about.date}, ${about.kernel}, ${about.cores} cores (${about.cpu}), Node ${about.node}, ${runs} choices each\n`,
);
console.log(`Time of one choice, ms: median (min–max)\n\n${table('timeMs')}\n`);
console.log(`CPU of one round, ms: median (min–max)\n\n${table('cpuMs')}`);
process.exit(0);
