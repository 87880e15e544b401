/* Runtime directories for tests of those who read the state page. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { STATE_FILE } from '../../src/state/layout.js';

/** A runtime directory that goes with the test, holding `bytes` as its state page. */
export function runtimeDirWith(bytes: Uint8Array | null): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-state-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  if (bytes !== null) replacePage(directory, bytes);
  return directory;
}

/** Puts another page in the place of the one in `directory`. */
export function replacePage(directory: string, bytes: Uint8Array): void {
  writeFileSync(path.join(directory, 'new'), bytes);
  renameSync(path.join(directory, 'new'), path.join(directory, STATE_FILE));
}
