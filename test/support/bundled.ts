/* Programs written in a test against the project's own sources, for what would harm the process that runs the tests. */
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildSync } from 'esbuild';
import { onTestFinished } from 'vitest';
import { type Outcome, type RunOptions, run } from './programs.js';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Bundles `source` (TypeScript; it imports as if it lay in the root) into a file that goes with the test; returns its path. */
export function bundled(source: string): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-program-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const outfile = path.join(directory, 'program.cjs');
  buildSync({
    stdin: { contents: source, resolveDir: ROOT, loader: 'ts' },
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    packages: 'external',
  });
  // What the bundle leaves to node_modules is looked for beside it.
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(directory, 'node_modules'));
  return outfile;
}

/** Runs a bundled program: `starter` (prlimit, setpriv ...) starts Node, if it is given. */
export function runBundled(
  program: string,
  nodeFlags: readonly string[] = [],
  starter: readonly string[] = [],
  options: RunOptions = {},
): Promise<Outcome> {
  const [command, ...args] = [...starter, process.execPath, ...nodeFlags, program];
  return run(command as string, args, options);
}
