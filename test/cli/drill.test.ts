/* `oom-backstop drill`, what it refuses before anything is started: one row per invocation. Live ones: test/kernel/drill.test.ts. */
import { describe, expect, it } from 'vitest';
import { configFile } from '../support/config-files.js';
import { invoke } from './invocation.js';

const drill = (...args: string[]) => invoke('oom-backstop', ['drill', ...args]);

describe('drill: wrong usage and configuration, exit code 2', () => {
  it.each([
    [['--size', '200'], 'valid: 64 MiB to 2048 MiB'],
    [['--size', '1MiB'], 'valid: 64 MiB to 2048 MiB'],
    [['--size', '3GiB'], 'valid: 64 MiB to 2048 MiB'],
    [['--timeout', '5'], 'valid: 1s to 120s'],
    [['--timeout', '1h'], 'valid: 1s to 120s'],
    [['--signal', 'hup'], 'valid: term, kill'],
    [['--signal', 'toString'], 'valid: term, kill'],
    [['--nonsense'], "unknown option '--nonsense'"],
    [['victim'], 'too many arguments'],
    [['--config', '/nowhere/file.toml'], 'fatal: /nowhere/file.toml: No such file or directory'],
  ])('%j: %s', async (args, said) => {
    const { code, stdout, stderr } = await drill(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(said);
  });

  it('every mistake of a configuration', async () => {
    const { code, stderr } = await drill('--config', configFile('[memory]\nterm = 5\nkill = "x"\n'));
    expect(code).toBe(2);
    expect(stderr).toMatch(/^fatal: .*memory\.term[\s\S]*\nfatal: .*memory\.kill/);
  });
});

describe('drill: refused, exit code 1 and nobody signalled', () => {
  it.each([
    ['[guard]\ndryrun = true\n', 'the configuration asks for a dry run'],
    ['[guard]\nkernel_oom = true\n', "the configuration leaves choice and kill to the kernel's OOM killer"],
    ['[memory]\nterm = "99%"\n', 'are available above the configured limit, and a drill of 200 MiB needs 392 MiB'],
  ])('%j: %s', async (text, why) => {
    const file = configFile(text);
    const { code, stdout, stderr } = await drill('--json', '--config', file);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({ ok: false, signalled: null, crossed: null });
    expect(document.reason).toContain(why);
    const plain = await drill('--config', file);
    expect(plain.code).toBe(1);
    expect(plain.stdout).toContain(`Drill: FAILED: ${document.reason.slice(0, 4)}`);
  });
});

describe('drill --help', () => {
  it('names the options and the exit codes', async () => {
    const { code, stdout } = await drill('--help');
    expect(code).toBe(0);
    for (const text of ['--size', '--timeout', '--signal', '--hooks', '--json', '--config', 'Exit code: 0'])
      expect(stdout).toContain(text);
  });
});
