// Makes docs/page.png: a real exporter's page, in headless Chromium, over a made state page (test/support/state-page.ts)
// of a guard that has killed. `node scripts/screenshot.mjs [FILE [WIDTH HEIGHT [CHROMIUM-OPTION...]]]`; needs Debian's chromium.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';

const root = new URL('../', import.meta.url).pathname;
const [file = path.join(root, 'docs/page.png'), width = '1000', height = '1010', ...more] = process.argv.slice(2);
const LONGEST_MS = 60_000;
const GIB = 1024 * 1024;

const bundle = path.join(root, 'node_modules/.cache/state-page.mjs');
await build({
  entryPoints: [path.join(root, 'test/support/state-page.ts')],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'esm',
});
const { statePage } = await import(bundle);

const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-screenshot-'));
const started = [];
try {
  writeTree();
  writePage();
  const url = await exporter();
  writePage();
  mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  await chromium(url);
  console.log(`made ${file}`);
} finally {
  for (const child of started) child.kill('SIGTERM');
  await Promise.all(started.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}

/** A machine under some pressure. */
function writeTree() {
  mkdirSync(path.join(directory, 'pressure'));
  const psi =
    'some avg10=14.62 avg60=5.10 avg300=1.20 total=9123456\nfull avg10=6.31 avg60=2.00 avg300=0.40 total=4123456\n';
  writeFileSync(path.join(directory, 'pressure/memory'), psi);
  writeFileSync(path.join(directory, 'vmstat'), 'pgalloc_normal 1\nnr_free_pages 1\noom_kill 0\n');
}

/** Anew right before it is looked at: its heartbeat must be fresh. */
function writePage() {
  const nowMs = Date.now();
  const ago = (minutes) => ({ unixMs: nowMs - minutes * 60_000 });
  const decisions = [
    {
      ...ago(2890),
      pid: 31_870,
      uid: 1003,
      comm: 'python3',
      signal: 0,
      outcome: 1,
      rssKib: 9.1 * GIB,
      freedKib: 9 * GIB,
      killMs: 61,
      backMs: 140,
    },
    {
      ...ago(417),
      pid: 40_112,
      uid: 1001,
      comm: 'java',
      signal: 1,
      outcome: 1,
      rssKib: 4.3 * GIB,
      freedKib: 4.2 * GIB,
      killMs: 10_043,
      backMs: 10_090,
      rule: 'thrashing',
    },
    {
      ...ago(38),
      pid: 50_831,
      uid: 1001,
      comm: 'node',
      signal: 0,
      outcome: 1,
      rssKib: 2.2 * GIB,
      freedKib: 2.1 * GIB,
      killMs: 43,
      backMs: 71,
    },
    {
      ...ago(0.2),
      pid: 51_377,
      uid: 1003,
      comm: '<script>leak',
      signal: 0,
      outcome: 1,
      rssKib: 6.4 * GIB,
      freedKib: 6.3 * GIB,
      killMs: 38,
      backMs: 90,
    },
  ];
  const numbers = {
    pid: 812,
    startedUnixMs: nowMs - 12 * 86_400_000,
    waitMs: 10_000,
    memTotalKib: 23.5 * GIB,
    memAvailableKib: 2.06 * GIB,
    anonPagesKib: 20.7 * GIB,
    swapTotalKib: 8 * GIB,
    swapFreeKib: 5.1 * GIB,
    swapTermPercent: 100,
    swapKillPercent: 100,
    freedKibTotal: 21.6 * GIB,
    'killsTotal:oom-backstop:limit:term': 3,
    'killsTotal:oom-backstop:rule:kill': 1,
    startsTotal: 2,
    lastKillUnixMs: nowMs - 12_000,
  };
  writeFileSync(path.join(directory, 'state'), statePage({ numbers, decisions }));
}

/** The address of an exporter that has been started. */
async function exporter() {
  const args = ['exporter', '--listen', '127.0.0.1:0', '--runtime-dir', directory, '--procfs', directory];
  const child = spawn(path.join(root, 'bin/oom-backstop'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
  started.push(child);
  const [line] = await once(child.stdout, 'data');
  return String(line).trim().replace('listening on ', '');
}

async function chromium(url) {
  const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--hide-scrollbars'];
  args.push(
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--disable-dev-shm-usage',
  );
  args.push(
    `--user-data-dir=${directory}/chromium`,
    `--window-size=${width},${height}`,
    `--screenshot=${path.resolve(file)}`,
  );
  const child = spawn('chromium', [...args, ...more, url], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS);
  const [code] = await once(child, 'exit');
  clearTimeout(timer);
  if (code !== 0) throw new Error(`chromium ended with ${code}: ${said.slice(-2000)}`);
}
