/* The exporter from start to end: what was asked for is started, and goes on until SIGTERM or SIGINT. */
import { writeSync } from 'node:fs';
import { EXIT_UNAVAILABLE, FatalError } from '../shared/exit.js';
import { TEXT_TYPE } from './exposition.js';
import { type ListenAddress, urlOf } from './listen-address.js';
import { Observer } from './observer.js';
import { serve } from './server.js';
import { Textfile } from './textfile.js';

export interface ExporterOptions {
  /** null: only the textfile. */
  listen: ListenAddress | null;
  runtimeDir: string;
  procfs: string;
  textfile: string | null;
  textfileIntervalMs: number;
}

/* 15 bytes are its comm, which must not be the guard's: `pgrep -x oom-backstop` finds the guard alone. */
const NAME = 'oom-backstop-exporter';

const STDERR = 2;
const ENDING_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Runs until a signal ends it.
 * @param write  gets the line that says where it listens
 * @throws FatalError if it can't listen there
 */
export async function runExporter(options: ExporterOptions, write: (text: string) => void): Promise<void> {
  process.title = NAME;
  const ended = new Promise<void>((resolve) => {
    for (const signal of ENDING_SIGNALS) process.once(signal, () => resolve());
  });
  const { listen, runtimeDir, procfs, textfile, textfileIntervalMs } = options;
  const observer = new Observer(runtimeDir, procfs, say);
  const exporter = listen === null ? null : await started(observer, listen);
  if (exporter !== null) write(`listening on ${urlOf(exporter.address)}\n`);
  // The first look, so that the log says at once whether there is a guard.
  observer.look();
  const file =
    textfile === null ? null : new Textfile(textfile, textfileIntervalMs, () => observer.metrics(TEXT_TYPE), say);
  file?.start();
  await ended;
  await Promise.all([exporter?.close(), file?.end()]);
}

async function started(observer: Observer, address: ListenAddress): ReturnType<typeof serve> {
  try {
    return await serve(observer, address);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const { host, port } = address;
    const where = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    throw new FatalError(EXIT_UNAVAILABLE, `--listen ${where}: ${WHY[code] ?? `cannot listen there (${code})`}`);
  }
}

const WHY: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there (valid: a port that is free, or 0 for any)',
  EACCES: 'not permitted (valid: a port from 1024 on)',
  EADDRNOTAVAIL: 'not an address of this machine',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the host could not be looked up',
};

/** A line of the log. If nobody takes it, it is lost: the exporter goes on. */
function say(line: string): void {
  try {
    // A name of a file may hold anything.
    writeSync(STDERR, `oom-backstop exporter: ${line.replace(/\p{Cc}/gu, '?')}\n`);
  } catch {}
}
