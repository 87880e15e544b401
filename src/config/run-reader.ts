/*
 * Has dist/config.cjs read configuration files. Loaded only where there are any: a guard without them does not load
 * child_process either.
 */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { EXIT_CONFIG, EXIT_OTHER, FatalError } from '../shared/exit.js';
import type { Settings } from '../shared/options.js';
import type { Loaded, Totals } from './load.js';

/** It takes 0.13 s, and in an emulated machine (test/vm) 15 times as long. */
const READER_MS_MAX = 20_000;

/** Fifty errors of some hundred bytes each, and then some. */
const OUTPUT_BYTES_MAX = 256 * 1024;

/** 1 MiB of nothing but wrong keys takes most of it (measured: 160 MiB RSS, of which 56 are there without). */
const HEAP_MIB_MAX = 128;

/**
 * The settings that `files` make, the later one over the earlier, and what is to be said of them.
 * @throws FatalError with everything that is wrong with the files, or because they could not be read in time
 */
export function runReader(files: readonly string[], totals: Totals): { settings: Settings; warnings: string[] } {
  const program = path.join(__dirname, 'config.cjs');
  const sizes = [String(totals.memTotalKib), String(totals.swapTotalKib)];
  const loaded = JSON.parse(run([`--max-old-space-size=${HEAP_MIB_MAX}`, program, ...sizes, ...files])) as Loaded;
  if ('errors' in loaded) throw new FatalError(EXIT_CONFIG, ...loaded.errors);
  return loaded;
}

function run(args: readonly string[]): string {
  try {
    return execFileSync(process.execPath, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: READER_MS_MAX,
      killSignal: 'SIGKILL',
      maxBuffer: OUTPUT_BYTES_MAX,
    });
  } catch (error) {
    // Not EXIT_CONFIG: nothing is known to be wrong with the files, so a second start may do better.
    throw new FatalError(EXIT_OTHER, `could not read the configuration: ${failureOf(error as ReaderFailure)}`);
  }
}

interface ReaderFailure extends NodeJS.ErrnoException {
  status?: number | null;
  signal?: string | null;
  stderr?: string;
}

function failureOf({ code, status, signal, stderr = '' }: ReaderFailure): string {
  if (code === 'ETIMEDOUT') return `its reader was not done after ${READER_MS_MAX / 1000} s`;
  if (code !== undefined) return `its reader could not be run: ${code}`;
  // Node prints the error's own line after some lines of source.
  const line = stderr.split('\n').find((each) => /^\w*Error\b|^FATAL/.test(each)) ?? '';
  return `its reader ended with ${signal ?? `status ${status}`} ${line}`.trimEnd();
}
