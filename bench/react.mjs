/*
 * bench:react: how long from the limit to the victim, side by side with Debian's earlyoom.
 *
 *   npm run bench:react [-- --runs 10 --only NAME]
 *
 * A hog grows in a PID namespace together with one guard (support/reaction.mjs). The guards alternate.
 *
 *   reaction   limit crossed -> SIGTERM arrives in the victim
 *   choice     of it, between two lines of the guard: "low memory!" -> "sending SIGTERM" (support/stamp.c)
 *   overshoot  how far MemAvailable has fallen below the limit by then
 *   reached    how fast the hog really grew until the crossing: memory new to a virtual machine is slow
 *
 * With nobody else, and beside a crowd (support/crowd.c). There ours has a shortlist if it had the time to make one: beside
 * 2,000 it has some seconds; or none, with a hog that comes as soon as it has rehearsed; and beside 10,000 half a minute, at its 0.3 % of a core.
 * earlyoom makes none, and so need not wait. What comes after the signal is bench:kill's.
 *
 * earlyoom 1.7 compares with percent of MemTotal, 1.8 and later with percent of user mem total; the crossing is
 * noted by the rule of the guard that runs.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { load, machine, markdown, save, summary } from './measure.mjs';
import { compile, scratchDirectory } from './support/namespace.mjs';
import { ROOT, reaction, SETTLE_MS } from './support/reaction.mjs';

const { values: flags } = parseArgs({
  options: { runs: { type: 'string', default: '10' }, only: { type: 'string' } },
});
const runs = Number(flags.runs);

/** Beside 2,000 processes a guard rehearses for 3.1 s (measured); ours is one that has, as it is but once after each boot. */
const REHEARSED_MS = 4500;

const SITUATIONS = [
  { name: '200 MiB/s', rateMibPerS: 200 },
  { name: '2 GiB/s', rateMibPerS: 2048 },
  { name: 'unbounded', rateMibPerS: 0 },
  { name: '200 MiB/s beside 2,000, expected', rateMibPerS: 200, others: 2000, armedMs: 7500 },
  { name: '200 MiB/s beside 2,000', rateMibPerS: 200, others: 2000, armedMs: REHEARSED_MS },
  { name: 'unbounded beside 2,000', rateMibPerS: 0, others: 2000, armedMs: REHEARSED_MS },
  { name: '200 MiB/s beside 10,000, expected', rateMibPerS: 200, others: 10_000, armedMs: 35_000 },
].filter(({ name }) => flags.only === undefined || name === flags.only);
if (SITUATIONS.length === 0) throw new Error(`no such situation: ${flags.only}`);

const about = machine();
const earlyoomBasis = /v1\.[0-7]\b/.test(about.earlyoom) ? 'total' : 'user';
const GUARDS = [
  { name: 'oom-backstop', program: path.join(ROOT, 'bin/oom-backstop'), basis: 'user', arms: true },
  { name: about.earlyoom.replace(' v', ' '), program: 'earlyoom', basis: earlyoomBasis, arms: false },
];
const scratch = scratchDirectory();
const tools = { stamp: compile(scratch, 'stamp'), hog: compile(scratch, 'hog') };
const crowd = compile(scratch, 'crowd');

function once(guard, { rateMibPerS, others = 0, armedMs = SETTLE_MS }) {
  const settleMs = guard.arms ? armedMs : SETTLE_MS;
  // A crowd of none has one process too; it holds next to nothing.
  const beside = others > 0 ? { crowd: { program: crowd, args: [String(others), '1', '0'] } } : {};
  return reaction(guard, { rateMibPerS, settleMs, ...beside }, tools);
}

if (process.getuid() !== 0) throw new Error('needs root: PID namespaces');
if (about.earlyoom === 'not there') throw new Error('needs the peer: apt-get install earlyoom');

const DECIMALS = { reactionMs: 2, choiceMs: 2, overshootMib: 1, mibPerS: 0 };
const results = [];
for (const situation of SITUATIONS) {
  const samples = GUARDS.map(() => []);
  for (let run = 0; run < runs; run++) {
    for (const [index, guard] of GUARDS.entries()) samples[index].push(once(guard, situation));
  }
  for (const [index, guard] of GUARDS.entries()) {
    const figures = Object.entries(DECIMALS).map(([key, decimals]) => [
      key,
      summary(
        samples[index].map((sample) => sample[key]),
        decimals,
      ),
    ]);
    const ran = { date: about.date, commit: about.commit, runs };
    results.push({ situation: situation.name, guard: guard.name, ran, ...Object.fromEntries(figures) });
    console.error(`${situation.name}, ${guard.name}: ${JSON.stringify(results.at(-1).reactionMs)}`);
  }
}

const cells = ({ min, median, max }) => `${median} (${min}–${max})`;
const rows = [
  [
    'growth',
    'reached, MiB/s',
    'guard',
    'limit → SIGTERM in the victim, ms: median (min–max)',
    'of it to choose',
    'overshoot, MiB',
    'of the peer’s median',
    'of its max',
  ],
];
for (const { name } of SITUATIONS) {
  const pair = results.filter((result) => result.situation === name);
  const [own, peer] = pair.map(({ reactionMs }) => reactionMs);
  const ratios = [own.median / peer.median, own.max / peer.max].map((ratio) => `${ratio.toFixed(3)} ×`);
  for (const [index, { guard, mibPerS, reactionMs, choiceMs, overshootMib }] of pair.entries()) {
    const figures = [cells(reactionMs), cells(choiceMs), cells(overshootMib)];
    rows.push([index === 0 ? name : '', mibPerS.median, guard, ...figures, ...(index === 0 ? ratios : ['', ''])]);
  }
}
// Of a situation that was not run now, what was measured last.
const kept = (load('react')?.results ?? []).filter(
  ({ situation }) => !SITUATIONS.some(({ name }) => name === situation),
);
save('react', { ...about, results: [...kept, ...results] });

console.log(
  `${about.date}, ${about.kernel}, ${about.cores} cores (${about.cpu}), Node ${about.node}, ${runs} runs each\n`,
);
console.log(markdown(rows));
