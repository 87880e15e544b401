/*
 * bench:react: how long from the limit to the victim, side by side with Debian's earlyoom.
 *
 *   npm run bench:react [-- --runs 10]
 *
 * A hog (test/support/hog.mjs) grows in a PID namespace together with one guard. The hog itself notes
 * CLOCK_MONOTONIC when /proc/meminfo first shows the limit crossed (it looks after each half MiB), and again in its
 * SIGTERM handler. Growth starts at a random phase, or a loop of 100 ms would look synchronous. The guards alternate.
 *
 *   reaction   limit crossed -> SIGTERM handled in the victim
 *   overshoot  how far MemAvailable has fallen below the limit by then
 *   reached    how fast the hog really grew until the crossing: memory new to a virtual machine is slow
 *
 * earlyoom 1.7 compares with percent of MemTotal, 1.8 and later with percent of user mem total; the crossing is
 * noted by the rule of the guard that runs.
 */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { machine, markdown, save, summary } from './measure.mjs';

const ROOT = path.resolve(import.meta.dirname, '..');
const SCENARIO = path.join(ROOT, 'test/support/scenario.mjs');
const { values: flags } = parseArgs({ options: { runs: { type: 'string', default: '10' } } });
const runs = Number(flags.runs);

const RATES = [
  { name: '200 MiB/s', rateMibPerS: 200 },
  { name: '2 GiB/s', rateMibPerS: 2048 },
  { name: 'unbounded', rateMibPerS: 0 },
];

const about = machine();
const earlyoomBasis = /v1\.[0-7]\b/.test(about.earlyoom) ? 'total' : 'user';
const GUARDS = [
  { name: 'oom-backstop', program: path.join(ROOT, 'bin/oom-backstop'), basis: 'user' },
  { name: about.earlyoom.replace(' v', ' '), program: 'earlyoom', basis: earlyoomBasis },
];

function once(guard, rate) {
  const scenario = {
    hogs: [{ rateMibPerS: rate.rateMibPerS, maxMib: 900, warm: true }],
    guard: { program: guard.program, args: ['-M', 'LIMITS', '-s', '100', '-r', '0'] },
    limits: { headroomMib: 300, basis: guard.basis },
    // Longer than the guard rehearses at start, and no longer: the hog's warm memory cools (see hog.mjs).
    settleMs: 1500 + Math.random() * 200,
    afterMs: 0,
  };
  const args = [
    '--pid',
    '--fork',
    '--mount-proc',
    '--kill-child',
    process.execPath,
    SCENARIO,
    JSON.stringify(scenario),
  ];
  const result = JSON.parse(execFileSync('unshare', args, { encoding: 'utf8', timeout: 60_000 }));
  const [hog] = result.hogs;
  const event = (name) => hog.events.find((candidate) => candidate.event === name);
  const crossed = event('crossed');
  const term = event('term');
  if (crossed === undefined || term === undefined) throw new Error(`no SIGTERM: ${JSON.stringify(result)}`);
  return {
    reactionMs: term.atMs - crossed.atMs,
    overshootMib: (crossed.availableKib - term.availableKib) / 1024,
    mibPerS: crossed.mibPerS,
  };
}

if (process.getuid() !== 0) throw new Error('needs root: PID namespaces');
if (about.earlyoom === 'not there') throw new Error('needs the peer: apt-get install earlyoom');

const results = [];
for (const rate of RATES) {
  const samples = GUARDS.map(() => []);
  for (let run = 0; run < runs; run++) {
    for (const [index, guard] of GUARDS.entries()) samples[index].push(once(guard, rate));
  }
  for (const [index, guard] of GUARDS.entries()) {
    const reactionMs = summary(samples[index].map((sample) => sample.reactionMs));
    const overshootMib = summary(
      samples[index].map((sample) => sample.overshootMib),
      1,
    );
    const mibPerS = summary(
      samples[index].map((sample) => sample.mibPerS),
      0,
    );
    results.push({ rate: rate.name, guard: guard.name, mibPerS, reactionMs, overshootMib });
    console.error(`${rate.name} ${guard.name}: ${JSON.stringify(reactionMs)}`);
  }
}

const cells = ({ min, median, max }) => `${median} (${min}–${max})`;
const rows = [
  [
    'growth',
    'reached, MiB/s',
    'guard',
    'limit → SIGTERM in the victim, ms: median (min–max)',
    'overshoot, MiB',
    'of the peer’s median',
  ],
];
for (const rate of RATES) {
  const [own, peer] = results.filter((result) => result.rate === rate.name);
  const ratio = (own.reactionMs.median / peer.reactionMs.median).toFixed(3);
  rows.push([rate.name, own.mibPerS.median, own.guard, cells(own.reactionMs), cells(own.overshootMib), `${ratio} ×`]);
  rows.push(['', peer.mibPerS.median, peer.guard, cells(peer.reactionMs), cells(peer.overshootMib), '']);
}
save('react', { ...about, runs, results });
console.log(
  `${about.date}, ${about.kernel}, ${about.cores} cores (${about.cpu}), Node ${about.node}, ${runs} runs each\n`,
);
console.log(markdown(rows));
