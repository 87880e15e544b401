/* execve(2) replaces its caller, so it is called in programs of the test's own. */
import { describe, expect, it } from 'vitest';
import { bundled, runBundled } from '../../support/bundled.js';
import { run } from '../../support/programs.js';

const IMPORT = "import { execve } from './native-shims/exec.js';\n";

describe('execve', () => {
  it('the same process goes on as the other program, with these arguments and this environment only', async () => {
    const program = bundled(
      `${IMPORT}process.stdout.write(process.pid + '\\n');
       execve('/bin/sh', ['sh', '-c', 'echo $$ "$1" "$A" "$HOME"; ls /proc/self/fd | wc -l', 'x', 'an argument'], [Buffer.from('A=b'), Buffer.from('PATH=/usr/bin:/bin')]);`,
    );
    const { code, stdout } = await runBundled(program);
    expect(code).toBe(0);
    const [before, after, fds] = stdout.split('\n');
    expect(after).toBe(`${before} an argument b `);
    // None of Node's: as many as for anybody who is started from here.
    expect(fds).toBe((await run('/bin/sh', ['-c', 'ls /proc/self/fd | wc -l'])).stdout.trim());
  });

  it.each([
    ['/nowhere/node', 'ENOENT'],
    ['/etc/passwd', 'EACCES'],
  ])('%s: returns %s, and the caller goes on', async (path, name) => {
    const program = bundled(
      `import { constants } from 'node:os';
       ${IMPORT}const result = execve(${JSON.stringify(path)}, ['x'], []);
       process.stdout.write(String(result === -constants.errno.${name}));`,
    );
    expect((await runBundled(program)).stdout).toBe('true');
  });
});
