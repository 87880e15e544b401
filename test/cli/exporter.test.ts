/*
 * `oom-backstop exporter`: a real process on loopback, over state pages that the test writes. What strangers can do to it, and what
 * can happen to the page while it is scraped.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { METRICS } from '../../src/exporter/metrics.js';
import { LAYOUT_VERSION, PAGE_BYTES, SEQUENCE_AT, STATE_FILE, VERSION_AT } from '../../src/state/layout.js';
import { bundled } from '../support/bundled.js';
import { connection, raw, startExporter } from '../support/exporter.js';
import { namespacesWork } from '../support/namespace.js';
import { describeIf } from '../support/requires.js';
import { replacePage, runtimeDirWith } from '../support/runtime-dir.js';
import { type MadePage, monotonicMs, statePage } from '../support/state-page.js';
import { invoke } from './invocation.js';

/** What the exporter looks at again only after 50 ms is seen within this. */
const SEEN = { timeout: 10_000, interval: 60 };

/** A guard that is up for as long as any test takes. */
const fresh = (made: MadePage = {}): Buffer => {
  const heartbeatMonotonicMs = monotonicMs() + 5;
  return statePage({ ...made, numbers: { heartbeatMonotonicMs, waitMs: 10_000, ...made.numbers } });
};

const exporting = (page: Uint8Array | null = fresh(), ...args: string[]) => {
  const directory = runtimeDirWith(page);
  return startExporter(['--runtime-dir', directory, ...args]).then((exporter) => ({ ...exporter, directory }));
};

const promtoolThere = spawnSync('promtool', ['--version']).status === 0;

describe('what it serves', () => {
  it('/metrics in text, in OpenMetrics on request, and to HEAD', async () => {
    const { url } = await exporting();
    const text = await fetch(`${url}metrics`);
    expect(text.status).toBe(200);
    expect(text.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const body = await text.text();
    for (const { name } of METRICS) expect(body).toContain(`# TYPE ${name} `);
    expect(body).toContain('oom_backstop_guard_up 1\n');
    const accept = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
    const open = await fetch(`${url}metrics?x=1`, { headers: { accept } });
    expect(open.headers.get('content-type')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    expect((await open.text()).endsWith('# EOF\n')).toBe(true);
    const head = await fetch(`${url}metrics`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(1000);
  });

  it('/healthz, and a page for people', async () => {
    const { url } = await exporting();
    const health = await fetch(`${url}healthz`);
    expect([health.status, await health.text()]).toEqual([200, 'ok\n']);
    const page = await fetch(url);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/);
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await page.text()).toContain('Up and watching');
  });

  it('nothing else: 404', async () => {
    const { port } = await exporting();
    for (const target of ['/metric', '/metrics/', '/../metrics', '//metrics', '/healthz.html', '/favicon.ico', '*']) {
      const answer = await raw(port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      expect([target, answer]).toEqual([target, expect.stringMatching(/^HTTP\/1\.1 404 /)]);
    }
  });

  it('a whole URL, as proxies send it', async () => {
    const { port } = await exporting();
    const answer = await raw(port, 'GET http://a:1/healthz?x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nok\n$/s);
  });

  it('no other method: 405, and which are', async () => {
    const { port } = await exporting();
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE']) {
      const answer = await raw(port, `${method} /metrics HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect([method, answer]).toEqual([method, expect.stringMatching(/^HTTP\/1\.1 405 .*\r\nallow: GET, HEAD\r\n/s)]);
    }
  });

  it('no body: 413, and the end', async () => {
    const { port } = await exporting();
    for (const rest of [
      'Content-Length: 5\r\n\r\nhello',
      'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
      'Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n',
    ]) {
      const answer = await raw(port, `GET /metrics HTTP/1.1\r\nHost: a\r\n${rest}`);
      expect([rest, answer]).toEqual([rest, expect.stringMatching(/^HTTP\/1\.1 413 .*\r\nconnection: close\r\n/is)]);
    }
  });
});

describeIf(promtoolThere, 'needs promtool (apt-get install prometheus)', 'promtool check metrics', () => {
  it.each<[string, () => Uint8Array | null]>([
    ['with a guard', fresh],
    ['without one', () => null],
  ])('has nothing to say of what is exposed %s', async (_, page) => {
    const { url } = await exporting(page());
    const input = await (await fetch(`${url}metrics`)).text();
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('which would be seen: a counter that is not called _total', () => {
    const input = '# HELP kills Kills.\n# TYPE kills counter\nkills 1\n';
    expect(spawnSync('promtool', ['check', 'metrics'], { input }).status).not.toBe(0);
  });
});

describe('/healthz', () => {
  const torn = fresh();
  torn.writeUInt32LE(7, SEQUENCE_AT);
  const later = fresh();
  later.writeUInt32LE(LAYOUT_VERSION + 1, VERSION_AT);

  it.each<[string, () => Uint8Array | null, RegExp]>([
    ['no page', () => null, /^the state page \S+\/state is not there\n$/],
    ['half a page', () => fresh().subarray(0, PAGE_BYTES / 2), /has 2048 bytes of 4096/],
    ['a foreign file', () => Buffer.alloc(PAGE_BYTES, 'x'), /not a state page of oom-backstop/],
    ['a torn page', () => torn, /is being written each of 20 times/],
    ['a page of a later guard', () => later, /of a later layout, 2, and this program reads 1/],
    [
      'a guard that is late',
      () => fresh({ numbers: { heartbeatMonotonicMs: monotonicMs() - 60_000 } }),
      /^heartbeat is \d\d\.\d s old, older than 12\.0 s: pid 812 is dead or stopped\n$/,
    ],
    [
      'a page of before a reboot',
      () => fresh({ numbers: { heartbeatMonotonicMs: monotonicMs() + 600_000 } }),
      /of before a reboot/,
    ],
  ])('of %s: 503 and why', async (_, page, why) => {
    const { url } = await exporting(page());
    const health = await fetch(`${url}healthz`);
    expect(health.status).toBe(503);
    expect(await health.text()).toMatch(why);
    expect(await (await fetch(`${url}metrics`)).text()).toContain('oom_backstop_guard_up 0\n');
    expect((await fetch(url)).status).toBe(200);
  });

  it('follows a guard that is stopped with SIGSTOP and goes on with SIGCONT', async () => {
    const directory = runtimeDirWith(null);
    const program = bundled(`
      import { renameSync, writeFileSync } from 'node:fs';
      import { statePage } from './test/support/state-page.js';
      setInterval(() => {
        writeFileSync('${directory}/new', statePage({ numbers: { pid: process.pid, waitMs: 100 } }));
        renameSync('${directory}/new', '${directory}/${STATE_FILE}');
      }, 100);
    `);
    const guard = spawn(process.execPath, [program], { stdio: 'ignore' });
    onTestFinished(() => void guard.kill('SIGKILL'));
    const { url } = await startExporter(['--runtime-dir', directory]);
    const expectStatus = (status: number): Promise<void> =>
      vi.waitFor(async () => expect((await fetch(`${url}healthz`)).status).toBe(status), SEEN);
    await expectStatus(200);
    guard.kill('SIGSTOP');
    await expectStatus(503);
    guard.kill('SIGCONT');
    await expectStatus(200);
  });
});

describe('the page, while it is scraped,', () => {
  it('may come, go, be cut and be replaced: no counter ever falls, and the log says it once', async () => {
    const { url, directory, log } = await exporting(null);
    const file = path.join(directory, STATE_FILE);
    const ticks = async (): Promise<string | undefined> =>
      /^oom_backstop_ticks_total (\S+)$/m.exec(await (await fetch(`${url}metrics`)).text())?.[1];
    const seen: (string | undefined)[] = [];
    let scraping = true;
    const scraper = (async () => {
      while (scraping) seen.push(await ticks());
    })();
    const steps: [() => void, string | undefined][] = [
      [() => replacePage(directory, fresh({ numbers: { ticksTotal: 5 } })), '5'],
      [() => rmSync(file), undefined],
      [() => replacePage(directory, fresh({ numbers: { ticksTotal: 6 } })), '6'],
      [() => writeFileSync(file, fresh().subarray(0, 1000)), undefined],
      [() => writeFileSync(file, fresh({ numbers: { ticksTotal: 7 } })), '7'],
      [() => writeFileSync(file, ''), undefined],
      [() => replacePage(directory, fresh({ numbers: { ticksTotal: 8 } })), '8'],
    ];
    for (const [change, expected] of steps) {
      change();
      await vi.waitFor(async () => expect(await ticks()).toBe(expected), SEEN);
    }
    scraping = false;
    await scraper;
    const numbers = seen.filter((each) => each !== undefined).map(Number);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(log().match(/can be read\n/g)).toHaveLength(4);
  });
});

describe('strangers', () => {
  it('with headers of 64 KiB get 431', async () => {
    const { port, url } = await exporting();
    const answer = await raw(port, `GET /metrics HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(65_536)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
    expect((await fetch(`${url}healthz`)).status).toBe(200);
  });

  it('who speak no HTTP get 400', async () => {
    const { port } = await exporting();
    for (const bytes of [
      '\0\0\0\0\r\n\r\n',
      'GET\r\n\r\n',
      '\x16\x03\x01\x02\x00\x01\x00',
      'GET / HTTP/1.1\r\n\r\n',
      'GET / HTTP/9.9\r\nHost: a\r\n\r\n',
    ])
      expect([bytes, await raw(port, bytes)]).toEqual([bytes, expect.stringMatching(/^HTTP\/1\.1 400 /)]);
  });

  it('who hold 300 connections keep nobody out, and few of them stay', async () => {
    const { port, url, pid } = await exporting();
    const held = await Promise.all(Array.from({ length: 300 }, () => connection(port)));
    for (const [index, socket] of held.entries()) if (index % 2 === 0) socket.write('GET /metrics HTTP/1.1\r\nX: ');
    for (let i = 0; i < 20; i++) {
      const health = await fetch(`${url}healthz`, { headers: { connection: 'close' } });
      expect(health.status).toBe(200);
    }
    // 64 connections, and what Node itself has open: 20 to 30.
    await vi.waitFor(() => expect(readdirSync(`/proc/${pid}/fd`).length).toBeLessThan(100), SEEN);
  });

  it('who close their half get their answer; who say nothing before it are let go', async () => {
    const { port } = await exporting();
    expect(await raw(port, 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n', true)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await raw(port, '', true)).not.toMatch(/200/);
    expect(await raw(port, 'GET /healthz HTTP/1.1\r\n', true)).not.toMatch(/200/);
  });

  it('who leave in the middle of it harm nobody', async () => {
    const { port, url, log } = await exporting();
    for (let i = 0; i < 100; i++) {
      const socket = await connection(port);
      socket.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(20));
      if (i % 2 === 0) socket.resetAndDestroy();
      else socket.destroy();
    }
    expect((await fetch(`${url}metrics`)).status).toBe(200);
    expect(log().split('\n')).toHaveLength(2);
  });

  it('who ask and never read cost a bounded amount of memory', async () => {
    const { port, url, pid } = await exporting();
    const greedy = await Promise.all(Array.from({ length: 64 }, () => connection(port)));
    for (const socket of greedy) {
      socket.pause();
      socket.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1000));
    }
    for (let i = 0; i < 30; i++) expect((await fetch(`${url}healthz`)).status).toBe(200);
    const rss = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    // Without anybody 57 MiB; the collector takes its time.
    expect(Number(rss?.[1])).toBeLessThan(200 * 1024);
  });

  it('who ask 500 times get 500 answers', async () => {
    const { url } = await exporting();
    const scrapes = await Promise.all(
      Array.from({ length: 20 }, async () => {
        let good = 0;
        for (let i = 0; i < 25; i++) good += (await fetch(`${url}metrics`)).status === 200 ? 1 : 0;
        return good;
      }),
    );
    expect(scrapes).toEqual(Array.from({ length: 20 }, () => 25));
  });
});

describe('start and end', () => {
  it.each<[string, number, string[], RegExp]>([
    ['no address', 14, ['--listen', 'nonsense'], /^fatal: --listen nonsense: not an address \(valid: HOST:PORT, /],
    ['a port that there is none of', 14, ['--listen', '127.0.0.1:70000'], /there is no port 70000/],
    ['nothing to do', 14, ['--listen', 'none'], /nothing to do \(valid: with --textfile PATH\)/],
    [
      'no interval',
      14,
      ['--textfile', '/x', '--textfile-interval', '5'],
      /--textfile-interval 5: no unit \(valid: 1s to 1h\)/,
    ],
    ['an interval of nothing', 14, ['--textfile', '/x', '--textfile-interval', '1ms'], /out of range/],
    ['an empty path', 14, ['--textfile', ''], /--textfile: no path/],
    ['an unknown option', 13, ['--nonsense'], /unknown option/],
    ['an extra argument', 13, ['nonsense'], /too many arguments/],
    [
      'an address of somebody else',
      69,
      ['--listen', '192.0.2.1:0'],
      /^fatal: --listen 192\.0\.2\.1:0: not an address of this machine\n$/,
    ],
  ])('%s: exit code %d', async (_, code, args, message) => {
    const ended = await invoke('oom-backstop', ['exporter', ...args]);
    expect(ended).toMatchObject({ code, stdout: '' });
    expect(ended.stderr).toMatch(message);
  });

  it('a port that is taken: exit code 69', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const address = `127.0.0.1:${(server.address() as { port: number }).port}`;
    const ended = await invoke('oom-backstop', ['exporter', '--listen', address]);
    expect(ended).toMatchObject({ code: 69, stdout: '' });
    expect(ended.stderr).toBe(
      `fatal: --listen ${address}: another program listens there (valid: a port that is free, or 0 for any)\n`,
    );
  });

  it.each<NodeJS.Signals>(['SIGTERM', 'SIGINT'])('%s ends it, with connections open: exit code 0', async (signal) => {
    const { port, end, url } = await exporting();
    await Promise.all(Array.from({ length: 5 }, () => connection(port)));
    await fetch(`${url}healthz`);
    expect(await end(signal)).toEqual({ code: 0, signal: null });
  });

  it('takes IPv6', async () => {
    const exporter = await startExporter(['--listen', '[::1]:0', '--runtime-dir', runtimeDirWith(fresh())]);
    expect(exporter.url).toMatch(/^http:\/\/\[::1\]:\d+\/$/);
    expect((await fetch(`${exporter.url}healthz`)).status).toBe(200);
  });

  it('is not taken for the guard by who looks for one', async () => {
    const { pid } = await exporting();
    expect(readFileSync(`/proc/${pid}/comm`, 'utf8')).toBe('oom-backstop-ex\n');
    const found = spawnSync('pgrep', ['-x', '-P', `${process.pid}`, 'oom-backstop'], { encoding: 'utf8' });
    expect(found.stdout.split('\n')).not.toContain(`${pid}`);
  });

  it('does without anybody who reads its log', async () => {
    const { child, url, directory } = await exporting();
    child.stderr?.destroy();
    rmSync(path.join(directory, STATE_FILE));
    await vi.waitFor(async () => expect((await fetch(`${url}healthz`)).status).toBe(503), SEEN);
    expect((await fetch(`${url}healthz`)).status).toBe(503);
  });
});

describe('--textfile', () => {
  const every = ['--textfile-interval', '1s'];

  it('holds the metrics, whole whenever it is read, readable by anybody, and goes with the exporter', async () => {
    const directory = runtimeDirWith(fresh());
    const file = path.join(directory, 'guard.prom');
    const umasked = ['sh', '-c', 'umask 077; exec "$@"', 'sh'];
    const { end } = await startExporter(['--runtime-dir', directory, '--textfile', file, ...every], umasked);
    await vi.waitFor(() => expect(statSync(file).mode & 0o777).toBe(0o644), SEEN);
    const inode = statSync(file).ino;
    let reads = 0;
    await vi.waitFor(() => {
      for (let i = 0; i < 50; i++) {
        expect(readFileSync(file, 'utf8')).toMatch(
          /^# HELP oom_backstop_guard_up .*oom_backstop_state_page_readable 1\n$/s,
        );
        reads++;
      }
      expect(statSync(file).ino).not.toBe(inode);
    }, SEEN);
    expect(reads).toBeGreaterThan(0);
    expect(readdirSync(directory).toSorted()).toEqual(['guard.prom', STATE_FILE]);
    expect(await end()).toEqual({ code: 0, signal: null });
    expect(readdirSync(directory)).toEqual([STATE_FILE]);
  });

  it('may be all there is: --listen none', async () => {
    const directory = runtimeDirWith(fresh());
    const file = path.join(directory, 'guard.prom');
    const args = ['exporter', '--listen', 'none', '--runtime-dir', directory, '--textfile', file, ...every];
    // --procfs, because invoke() insists on it of whatever keeps running.
    const ended = await invoke('oom-backstop', [...args, '--procfs', '/proc'], { until: existing(file) });
    expect(ended).toMatchObject({ code: 0, stdout: '' });
  });

  it('a directory that is missing is said once, and written to when it is there', async () => {
    const directory = runtimeDirWith(fresh());
    const file = path.join(directory, 'later', 'guard.prom');
    const { log, url } = await startExporter(['--runtime-dir', directory, '--textfile', file, ...every]);
    await vi.waitFor(
      () => expect(log()).toContain(`--textfile ${file} cannot be written (ENOENT), trying again every 1 s\n`),
      SEEN,
    );
    expect((await fetch(`${url}healthz`)).status).toBe(200);
    mkdirSync(path.dirname(file));
    await vi.waitFor(() => expect(log()).toContain(`--textfile ${file} can be written again\n`), SEEN);
    expect(log().match(/--textfile/g)).toHaveLength(2);
  });

  it('does not follow what somebody has put into its way', async () => {
    const directory = runtimeDirWith(fresh());
    const file = path.join(directory, 'guard.prom');
    const victim = path.join(directory, 'victim');
    writeFileSync(victim, 'untouched');
    spawnSync('ln', ['-s', victim, path.join(directory, '.guard.prom.tmp')]);
    await startExporter(['--runtime-dir', directory, '--textfile', file, ...every]);
    await vi.waitFor(() => expect(statSync(file).size).toBeGreaterThan(1000), SEEN);
    expect(readFileSync(victim, 'utf8')).toBe('untouched');
  });
});

describeIf(namespacesWork, 'needs unshare --mount (root)', '--textfile on a full disk', () => {
  it('is as it was, is said once, and goes on when there is room', async () => {
    const directory = runtimeDirWith(fresh());
    const disk = path.join(directory, 'disk');
    mkdirSync(disk);
    const mounting = `mount -t tmpfs -o size=48k tmpfs ${disk}; exec "$@"`;
    const starter = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', mounting, 'sh'];
    const file = path.join(disk, 'guard.prom');
    const { log, pid } = await startExporter(
      ['--runtime-dir', directory, '--textfile', file, '--textfile-interval', '1s'],
      starter,
    );
    const inside = `/proc/${pid}/root${disk}`;
    await vi.waitFor(() => expect(statSync(`${inside}/guard.prom`).size).toBeGreaterThan(1000), SEEN);
    // All but two pages of it: the next one begins, and does not get to its end.
    spawnSync('dd', ['if=/dev/zero', `of=${inside}/filler`, 'bs=4096', 'count=100']);
    spawnSync('truncate', ['-s', '-8192', `${inside}/filler`]);
    await vi.waitFor(() => expect(log()).toContain('(ENOSPC)'), SEEN);
    expect(readFileSync(`${inside}/guard.prom`, 'utf8')).toMatch(/oom_backstop_state_page_readable 1\n$/);
    expect(readdirSync(inside).toSorted()).toEqual(['filler', 'guard.prom']);
    rmSync(`${inside}/filler`);
    await vi.waitFor(() => expect(log()).toContain('can be written again'), SEEN);
    expect(log().match(/--textfile/g)).toHaveLength(2);
  });
});

/** Until there is such a file. */
function existing(file: string): () => boolean {
  return () => statSync(file, { throwIfNoEntry: false }) !== undefined;
}
