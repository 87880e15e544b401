/* What all benches share: the figures' arithmetic, the description of the machine, and writing a result down. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';
import path from 'node:path';

const RESULTS = path.join(import.meta.dirname, 'results');

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** { n, min, median, max }, rounded to `decimals`. */
export function summary(values, decimals = 2) {
  const round = (value) => Number(value.toFixed(decimals));
  return {
    n: values.length,
    min: round(Math.min(...values)),
    median: round(median(values)),
    max: round(Math.max(...values)),
  };
}

/** The first line that a command prints (stderr too), or why there is none. */
function firstLine(command, ...args) {
  try {
    return execFileSync('sh', ['-c', '"$@" 2>&1', 'sh', command, ...args], { encoding: 'utf8' }).split('\n')[0];
  } catch {
    return 'not there';
  }
}

export function machine() {
  return {
    date: new Date().toISOString(),
    commandLine: ['node', path.relative(process.cwd(), process.argv[1]), ...process.argv.slice(2)].join(' '),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memMib: Math.round(totalmem() / 2 ** 20),
    kernel: `${release()} ${arch()}`,
    node: process.version,
    loadavg1: Number(readFileSync('/proc/loadavg', 'latin1').split(' ')[0]),
    commit: firstLine('git', 'rev-parse', '--short', 'HEAD'),
    earlyoom: firstLine('earlyoom', '-v'),
  };
}

/** Writes bench/results/NAME.json. */
export function save(name, result) {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(path.join(RESULTS, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
}

/** What `save` wrote last under that name; null if nothing. */
export function load(name) {
  try {
    return JSON.parse(readFileSync(path.join(RESULTS, `${name}.json`), 'utf8'));
  } catch {
    return null;
  }
}

/** Rows (arrays of cells, the first is the head) as a Markdown table. */
export function markdown(rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const [head, ...body] = rows;
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
}
