/* A real exporter on loopback, and raw connections to it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { bin } from './programs.js';

export interface RunningExporter {
  child: ChildProcess;
  pid: number;
  url: string;
  port: number;
  /** What it has written to stderr so far. */
  log: () => string;
  /** Sends a signal; resolves with how it ended. */
  end: (signal?: NodeJS.Signals) => Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

const START_MS_MAX = 15_000;

/**
 * Starts one that goes with the test, and waits until it listens.
 * @param starter  starts it, if it is given: a command and its arguments
 */
export async function startExporter(
  args: readonly string[],
  starter: readonly string[] = [],
): Promise<RunningExporter> {
  const [command, ...rest] = [...starter, bin('oom-backstop'), 'exporter', '--listen', '127.0.0.1:0', ...args];
  const child = spawn(command as string, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const url = await new Promise<string>((resolve, reject) => {
    const fail = (): void => reject(new Error(`does not listen\nstdout: ${stdout}\nstderr: ${stderr}`));
    const timer = setTimeout(fail, START_MS_MAX);
    child.on('exit', fail);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      const [, address] = /^listening on (\S+)\n/.exec(stdout) ?? [];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  });
  return {
    child,
    pid: child.pid as number,
    url,
    port: Number(new URL(url).port),
    log: () => stderr,
    end: async (signal = 'SIGTERM') => {
      child.kill(signal);
      const [code, endedBy] = await exited;
      return { code, signal: endedBy };
    },
  };
}

/** A connection that goes with the test; what happens to it is the exporter's business, so its errors are none here. */
export async function connection(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  socket.on('error', () => undefined);
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Sends bytes as they are; resolves with all that comes until the exporter closes. */
export async function raw(port: number, bytes: string, andEnd = false): Promise<string> {
  const socket = await connection(port);
  let answer = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    answer += text;
  });
  if (andEnd) socket.end(bytes);
  else socket.write(bytes);
  await new Promise<void>((resolve) => {
    socket.once('end', resolve).once('close', () => resolve());
  });
  socket.destroy();
  return answer;
}
