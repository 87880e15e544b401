/* The numbers, sizes and offsets in native-shims/ against the headers of each libc and architecture that is claimed. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, it } from 'vitest';
import { describeIf } from '../../support/requires.js';

const SOURCE = path.join(import.meta.dirname, 'abi.c');
const COMPILERS = [
  ['x86-64, glibc', 'gcc'],
  ['x86-64, musl', 'musl-gcc'],
  ['arm64, glibc', 'aarch64-linux-gnu-gcc'],
] as const;

const compile = (compiler: string, ...more: string[]) =>
  spawnSync(compiler, ['-fsyntax-only', ...more, SOURCE], { encoding: 'utf8' });

for (const [target, compiler] of COMPILERS) {
  const there = process.arch === 'x64' && spawnSync(compiler, ['--version']).status === 0;
  describeIf(there, `needs ${compiler} on x86-64`, `the ABI that native-shims relies on, ${target}`, () => {
    it('is that of the headers', () => {
      expect(compile(compiler).stderr).toBe('');
    });

    it('is really compared: an assertion that does not hold is refused', () => {
      expect(compile(compiler, '-DCONTROL').stderr).toContain('POLLIN');
    });
  });
}
