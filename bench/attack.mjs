/*
 * bench:attack: does who attacks the exporter delay the guard?
 *
 *   npm run bench:attack [-- --runs 10 --only NAME]
 *
 * Kills as in bench:react (support/reaction.mjs), in three situations that alternate: no exporter; an exporter that nobody asks; an exporter
 * under attack (support/attacker.mjs: 1,000 held connections, headers of 64 KiB, half-closed sockets, 200 scrapes a second). All of it on loopback.
 *
 *   signal     limit crossed -> the guard's line "sending SIGTERM"
 *   reaction   limit crossed -> SIGTERM arrives in the victim, which needs a processor for it too
 *
 * Attacker, exporter, victim and guard share this machine's processors, which a real attacker would not do: it has niceness 19. Guard and
 * exporter have that of the shipped units, -20 (-p) and 5; the victim has 0.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { setPriority } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { load, machine, markdown, save, summary } from './measure.mjs';
import { compile, cpuMs, ofThreads, scratchDirectory } from './support/namespace.mjs';
import { ROOT, reaction } from './support/reaction.mjs';

const { values: flags } = parseArgs({
  options: { runs: { type: 'string', default: '10' }, only: { type: 'string' } },
});
const runs = Number(flags.runs);

/** Beside an attack the guard's rehearsal takes longer than alone; it has to be over in all situations. */
const SETTLE_MS = 5000;
const WAIT_MS_MAX = 20_000;
const TRIES = 4;
/** Longer than between two looks of the hog at memory, a quarter of a MiB apart. */
const LOOK_MS_MAX = 5;
/** The state page is kept on a file system in memory only. */
const SHM = '/dev/shm';
const EXPORTER_NICENESS = 5;
const ATTACKER_NICENESS = 19;
const PROGRAM = path.join(ROOT, 'bin/oom-backstop');

const GROWTHS = [
  { name: '200 MiB/s', rateMibPerS: 200 },
  { name: 'unbounded', rateMibPerS: 0 },
].filter(({ name }) => flags.only === undefined || name === flags.only);
if (GROWTHS.length === 0) throw new Error(`no such growth: ${flags.only}`);
const SITUATIONS = [
  { name: 'no exporter', exporter: false, attacked: false },
  { name: 'exporter, nobody asks', exporter: true, attacked: false },
  { name: 'exporter under attack', exporter: true, attacked: true },
];

/** A program of ours that runs beside the kill: its lines, and its end by its pid. */
class Beside {
  lines = [];
  #ended;

  constructor(program, args) {
    // If the bench is ended before it could do so, the kernel ends it.
    const command = ['--pdeathsig', 'KILL', program, ...args];
    this.child = spawn('setpriv', command, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#ended = new Promise((resolve) => this.child.on('close', resolve));
    let rest = '';
    this.child.stdout.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      this.lines.push(...lines);
    });
  }

  /** The first line that matches, when it comes. */
  async line(pattern) {
    for (const deadline = Date.now() + WAIT_MS_MAX; ; await new Promise((resolve) => setTimeout(resolve, 10))) {
      const found = this.lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (Date.now() > deadline || this.child.exitCode !== null) throw new Error(`never said ${pattern}`);
    }
  }

  /** With all its threads: it has some already. */
  renice(niceness) {
    for (const thread of ofThreads(this.child.pid, (task) => Number(path.basename(task))))
      setPriority(thread, niceness);
  }

  async end() {
    this.child.kill('SIGTERM');
    const hard = setTimeout(() => this.child.kill('SIGKILL'), WAIT_MS_MAX);
    await this.#ended;
    clearTimeout(hard);
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** What the exporter answers to an honest scrape, a moment after the attack. */
async function honestScrape(port) {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: 'close' } });
  const text = await answer.text();
  if (answer.status !== 200 || !text.includes('oom_backstop_kills_total')) throw new Error(`no metrics: ${text}`);
}

async function once({ rateMibPerS }, { exporter: withExporter, attacked }) {
  const runtimeDir = mkdtempSync(path.join(SHM, 'oom-backstop-attack-'));
  const beside = [];
  const begin = (program, args) => {
    beside.push(new Beside(program, args));
    return beside.at(-1);
  };
  try {
    const port = await freePort();
    const guard = { program: PROGRAM, basis: 'user', args: ['-p', '--runtime-dir', runtimeDir] };
    const exporter = withExporter
      ? begin(PROGRAM, ['exporter', '--listen', `127.0.0.1:${port}`, '--runtime-dir', runtimeDir])
      : null;
    await exporter?.line(/^listening on /);
    exporter?.renice(EXPORTER_NICENESS);
    const attacker = attacked
      ? begin(process.execPath, [path.join(ROOT, 'bench/support/attacker.mjs'), String(port)])
      : null;
    attacker?.renice(ATTACKER_NICENESS);
    await attacker?.line(/^attacking$/);
    const before = exporter === null ? null : { atMs: performance.now(), cpu: cpuMs(exporter.child.pid).all };
    const figures = reaction(guard, { rateMibPerS, settleMs: SETTLE_MS }, tools);
    if (figures.signalMs < -LOOK_MS_MAX)
      throw new Error('the limit was crossed by somebody else, before the hog saw it');
    const exporterCpu =
      before === null ? 0 : (100 * (cpuMs(exporter.child.pid).all - before.cpu)) / (performance.now() - before.atMs);
    await attacker?.end();
    if (exporter !== null) await honestScrape(port);
    const attack = attacker === null ? null : JSON.parse(attacker.lines.at(-1));
    return { ...figures, exporterCpu, scrapesPerS: attack === null ? 0 : attack.answered / attack.seconds, attack };
  } finally {
    for (const each of beside.reverse()) await each.end();
    rmSync(runtimeDir, { recursive: true, force: true });
  }
}

/** Once more where somebody else on the machine has crossed the limit, or kept the hog from it. */
async function measured(growth, situation) {
  for (let left = TRIES; ; ) {
    try {
      return await once(growth, situation);
    } catch (error) {
      if (--left === 0) throw error;
      console.error(`again: ${error.message.slice(0, 80)}`);
    }
  }
}

if (process.getuid() !== 0) throw new Error('needs root: PID namespaces');
const about = machine();
const scratch = scratchDirectory();
const tools = { stamp: compile(scratch, 'stamp'), hog: compile(scratch, 'hog') };

const DECIMALS = { signalMs: 2, reactionMs: 2, overshootMib: 1, exporterCpu: 0, scrapesPerS: 0 };
const results = [];
for (const growth of GROWTHS) {
  const samples = SITUATIONS.map(() => []);
  for (let run = 0; run < runs; run++) {
    for (const [index, situation] of SITUATIONS.entries()) samples[index].push(await measured(growth, situation));
  }
  for (const [index, { name }] of SITUATIONS.entries()) {
    const figures = Object.entries(DECIMALS).map(([key, decimals]) => [
      key,
      summary(
        samples[index].map((sample) => sample[key]),
        decimals,
      ),
    ]);
    const ran = { date: about.date, commit: about.commit, runs };
    const attack = samples[index].at(-1).attack;
    results.push({ growth: growth.name, situation: name, ran, ...Object.fromEntries(figures), attack });
    console.error(`${growth.name}, ${name}: ${JSON.stringify(results.at(-1).signalMs)}`);
  }
}

const cells = ({ min, median, max }) => `${median} (${min}–${max})`;
const head = [
  'growth',
  '',
  'limit → “sending SIGTERM”, ms: median (min–max)',
  'limit → SIGTERM in the victim',
  'overshoot, MiB',
];
const rows = [[...head, 'scrapes answered a second', 'CPU of the exporter, % of one']];
for (const { name } of GROWTHS) {
  for (const [index, result] of results.filter(({ growth }) => growth === name).entries()) {
    const { situation, signalMs, reactionMs, overshootMib, scrapesPerS, exporterCpu } = result;
    const figures = [cells(signalMs), cells(reactionMs), cells(overshootMib), scrapesPerS.median, exporterCpu.median];
    rows.push([index === 0 ? name : '', situation, ...figures]);
  }
}
// Of a growth that was not run now, what was measured last.
const kept = (load('attack')?.results ?? []).filter(({ growth }) => !GROWTHS.some(({ name }) => name === growth));
save('attack', { ...about, results: [...kept, ...results] });

console.log(
  `${about.date}, ${about.kernel}, ${about.cores} cores (${about.cpu}), Node ${about.node}, ${runs} runs each\n`,
);
console.log(markdown(rows));
