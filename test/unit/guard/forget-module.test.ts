import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { bundled, runBundled } from '../../support/bundled.js';

/** A file for CommonJS's `require`. */
function moduleFile(source: string): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-module-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = path.join(directory, 'once.cjs');
  writeFileSync(file, source);
  return file;
}

/** What is left of a module when it was loaded and `then` was done. */
async function outcome(then: string): Promise<string> {
  const program = bundled(`
    import { forgetModule } from './src/guard/forget-module.js';
    // Not written where it is used: the bundler would take it in.
    const file = ${JSON.stringify(moduleFile('exports.once = class {};'))};
    const loaded = () => new WeakRef(require(file).once);
    const once = loaded();
    ${then}
    setTimeout(() => {
      globalThis.gc();
      const children = module.children.some(({ id }) => id === file);
      console.log(once.deref() === undefined ? 'gone' : 'there', children, file in require.cache);
    }, 10);
  `);
  return (await runBundled(program, ['--expose-gc'])).stdout.trim();
}

it('a module that is forgotten goes with the next collection', async () => {
  expect(await outcome("forgetModule('once.cjs');")).toBe('gone false false');
});

it('one that is not, or of another name, stays', async () => {
  expect(await outcome('')).toBe('there true true');
  expect(await outcome("forgetModule('nce.cjs');")).toBe('there true true');
});
