/*
 * bench:gate: the loop makes no garbage, leaks nothing, and the gates themselves work. Part of CI.
 *
 *   npm run bench:gate             all of them; the results are kept
 *   npm run bench:gate -- tick kill   only these
 *
 * V8 gets a young generation of 1 MiB, so that one garbage collection stands for about a MiB of garbage: an object
 * for each of 300,000 ticks would make more than ten. A heap measured before and after does not notice
 * (FACTS: the compiler removes what does not escape, and a collection takes away the rest). Each gate has a control,
 * the same work with one defect, which must fail it.
 *
 * Exit status 1 if a gate does not hold or a control passes. Not a matter of wall clock: the us column is for reading only.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { machine, markdown, save } from './measure.mjs';

const ROOT = path.resolve(import.meta.dirname, '..');

const NAMESPACE = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];

/** RSS moves by itself by what the young generation and compiled code take; a real leak goes on. */
const RSS_KIB_MAX = 4096;

const GATES = [
  { work: 'tick', times: 300_000 },
  { work: 'scan', times: 300 },
  { work: 'match', times: 300 },
  { work: 'sweep', times: 3000 },
  { work: 'victim', times: 10_000 },
  { work: 'kill', times: 500 },
  { work: 'rules', times: 100_000 },
  { work: 'standing', times: 1_000_000 },
  { work: 'tick with a trace', times: 100_000 },
  { work: 'tick with a report as JSON', times: 100_000 },
  { work: 'tick with a report as JSON that nobody reads', times: 100_000 },
  { work: 'kill with JSON lines', times: 500 },
  { work: 'rules with a JSON log', times: 100_000 },
];
const CONTROLS = [
  { work: 'tick that makes an object', times: 300_000, fails: 'collections' },
  { work: 'scan that makes strings', times: 1000, fails: 'collections' },
  { work: 'kill that makes objects', times: 500, fails: 'collections' },
  { work: 'tick with a report as JSON that makes a string', times: 100_000, fails: 'collections' },
  { work: 'kill with JSON lines that makes objects', times: 500, fails: 'collections' },
  { work: 'tick that leaks an fd', times: 30_000, fails: 'fds' },
  { work: 'tick that leaks memory', times: 30_000, fails: 'rss' },
];

/** What does not hold of a result. */
function failures({ collections, fdGrowth, rssGrowthKib }) {
  const failed = [];
  if (collections > 0) failed.push('collections');
  if (fdGrowth > 0) failed.push('fds');
  if (rssGrowthKib > RSS_KIB_MAX) failed.push('rss');
  return failed;
}

function run(program, { work, times }) {
  const node = [process.execPath, '--max-semi-space-size=1', '--expose-gc', program, work, String(times)];
  // A guard that kills sees nobody but its own children.
  const [command, ...args] = work.startsWith('kill') ? [...NAMESPACE, ...node] : node;
  return JSON.parse(execFileSync(command, args, { encoding: 'utf8', timeout: 120_000, killSignal: 'SIGKILL' }));
}

const only = process.argv.slice(2);
const rowsToRun = [...GATES, ...CONTROLS].filter(({ work }) => only.length === 0 || only.includes(work));
const directory = mkdtempSync(path.join(ROOT, 'dist', 'gate-'));
const program = path.join(directory, 'gate.mjs');
let results;
try {
  await build({
    entryPoints: [path.join(import.meta.dirname, 'support/gate.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    // For `await`. koffi is loaded before native-shims/inherited-flags.ts then, which does not matter here.
    format: 'esm',
    external: ['koffi'],
    logLevel: 'error',
  });
  results = rowsToRun.map((gate) => ({ ...gate, ...run(program, gate) }));
} finally {
  rmSync(directory, { recursive: true });
}

const rows = results.map((result) => {
  const failed = failures(result);
  const ok = result.fails === undefined ? failed.length === 0 : failed.includes(result.fails);
  return { ...result, failed, ok };
});
console.log(
  markdown([
    ['work', 'times', 'collections', 'fds', 'RSS, KiB', 'us each', 'verdict'],
    ...rows.map(({ work, times, collections, fdGrowth, rssGrowthKib, us, fails, ok }) => [
      work,
      times,
      collections,
      `+${fdGrowth}`,
      `+${rssGrowthKib}`,
      us.toFixed(1),
      `${ok ? 'ok' : 'FAILED'}${fails === undefined ? '' : `: must fail by ${fails}`}`,
    ]),
  ]),
);
if (only.length === 0) save('gate', { ...machine(), results: rows });
process.exit(rows.every(({ ok }) => ok) ? 0 : 1);
