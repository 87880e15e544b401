/*
 * A real Prometheus (Debian's package) and a real exporter, each a process of its own on loopback, for tests. Prometheus runs the shipped example
 * configuration with the shipped rules; only the target and the intervals are the test's.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bin } from './programs.js';

export const MONITORING = path.resolve(import.meta.dirname, '../../monitoring');
const WAIT_MS_MAX = 30_000;
const LOOK_MS = 50;

export const prometheusIsThere = spawnSync('prometheus', ['--version']).status === 0;

/** Asks until the answer is something; what it was. @throws Error if it never is */
export async function eventually<T>(what: string, ask: () => Promise<T | null> | T | null): Promise<T> {
  const deadline = Date.now() + WAIT_MS_MAX;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await sleep(LOOK_MS);
  }
}

/** A process of the test's that is ended by its pid, and its output. */
class Running {
  said = '';
  private readonly ended: Promise<unknown>;

  constructor(
    private readonly child: ChildProcess,
    private readonly name: string,
  ) {
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said += text;
      });
    this.ended = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
  }

  assertRunning(): void {
    if (this.child.exitCode !== null || this.child.signalCode !== null)
      throw new Error(`${this.name} ended by itself:\n${this.said}`);
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.child.kill(signal);
    const hard = setTimeout(() => this.child.kill('SIGKILL'), WAIT_MS_MAX);
    await this.ended;
    clearTimeout(hard);
  }
}

/** Starts `program`, which the kernel ends if the test run is ended before it could do so. */
function started(program: string, args: readonly string[]): ChildProcess {
  return spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class TestExporter extends Running {
  private constructor(
    child: ChildProcess,
    readonly port: number,
  ) {
    super(child, 'the exporter');
  }

  /** Resolves when it answers. @param port  of an earlier one, to take its place */
  static async start(runtimeDir: string, port?: number): Promise<TestExporter> {
    const own = port ?? (await freePort());
    const args = ['exporter', '--listen', `127.0.0.1:${own}`, '--runtime-dir', runtimeDir];
    const exporter = new TestExporter(started(bin('oom-backstop'), args), own);
    await eventually('the exporter', async () => {
      exporter.assertRunning();
      return await exporter.get('/metrics').catch(() => null);
    });
    return exporter;
  }

  async get(resource: '/metrics' | '/healthz'): Promise<{ status: number; body: string }> {
    const answer = await fetch(`http://127.0.0.1:${this.port}${resource}`, { headers: { connection: 'close' } });
    return { status: answer.status, body: await answer.text() };
  }
}

export interface Series {
  metric: Readonly<Record<string, string>>;
  value: [number, string];
}

export interface Alert {
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  state: 'pending' | 'firing';
}

export class TestPrometheus extends Running {
  private constructor(
    child: ChildProcess,
    private readonly port: number,
  ) {
    super(child, 'Prometheus');
  }

  /**
   * Resolves when it answers.
   * @param directory   where its configuration and its storage go
   * @param interval    of scrapes and evaluations
   */
  static async start(directory: string, exporterPort: number, interval: string): Promise<TestPrometheus> {
    const config = path.join(directory, 'prometheus.yml');
    const storage = path.join(directory, 'storage');
    mkdirSync(storage);
    writeFileSync(
      config,
      readFileSync(path.join(MONITORING, 'prometheus.yml'), 'utf8')
        .replace(/^( {2}(?:scrape|evaluation)_interval: ).*$/gm, `$1${interval}`)
        .replace('- rules/oom-backstop.yml', `- ${path.join(MONITORING, 'rules/oom-backstop.yml')}`)
        .replace("targets: ['127.0.0.1:9819']", `targets: ['127.0.0.1:${exporterPort}']`),
    );
    const port = await freePort();
    const args = [
      `--config.file=${config}`,
      `--storage.tsdb.path=${storage}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    const child = started('prometheus', [...args, '--log.level=warn']);
    const prometheus = new TestPrometheus(child, port);
    await eventually('Prometheus', async () => {
      prometheus.assertRunning();
      const ready = await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => null);
      return ready?.ok === true ? ready : null;
    });
    return prometheus;
  }

  /** An instant query. @throws Error with Prometheus's own words if it is not understood */
  async query(expr: string): Promise<Series[]> {
    const { resultType, result } = await this.ask<{ resultType: string; result: Series[] }>('query', { query: expr });
    if (resultType !== 'vector') throw new Error(`${expr}: is a ${resultType}, no vector`);
    return result;
  }

  /** The value of a query with one answer; null if there is none. */
  async value(expr: string): Promise<number | null> {
    const [series] = await this.query(expr);
    return series === undefined ? null : Number(series.value[1]);
  }

  async labelValues(metric: string, label: string): Promise<string[]> {
    return await this.ask<string[]>(`label/${label}/values`, { 'match[]': metric });
  }

  /** All that are pending or firing now. */
  async alerts(): Promise<Alert[]> {
    return (await this.ask<{ alerts: Alert[] }>('alerts', {})).alerts;
  }

  private async ask<Data>(what: string, parameters: Record<string, string>): Promise<Data> {
    const url = `http://127.0.0.1:${this.port}/api/v1/${what}?${new URLSearchParams(parameters)}`;
    const answer = (await (await fetch(url)).json()) as { status: string; data: Data; error?: string };
    if (answer.status !== 'success') throw new Error(`${what} ${JSON.stringify(parameters)}: ${answer.error}`);
    return answer.data;
  }
}
