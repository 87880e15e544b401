/* --check-config: all that a start checks, and nothing of what it says or does. One row per invocation. */
import { describe, expect, it } from 'vitest';
import { configFile } from '../support/config-files.js';
import { procTree } from '../support/proc-tree.js';
import { invoke } from './invocation.js';

/** A tree goes with its test, so it is made in there. */
const withTree = (args: string[]): string[] => args.map((arg) => (arg === 'TREE' ? procTree([]) : arg));

describe('--check-config', () => {
  it.each<[string, string, string[]]>([
    ['a good file', '[memory]\nterm = "5%"\n[guard]\nraise_priority = true\n', []],
    ['good options', '', ['-m', '7', '--prefer', '^a$', '-p']],
    ['a dry run on another tree', '', ['--dryrun', '--procfs', 'TREE']],
  ])('%s: 0, and not a word', async (_, text, args) => {
    const file = configFile(text);
    const { code, stdout, stderr } = await invoke('oom-backstop', [
      '--check-config',
      '--config',
      file,
      ...withTree(args),
    ]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it.each<[string, string[], number, RegExp]>([
    ['[memory]\nterm = 5\n[nope]\n', [], 78, /^fatal: .*memory\.term = 5.*\nfatal: .*\[nope\].*\n$/],
    ['', ['--ignore', '('], 6, /^fatal: could not compile regexp '\(' .*\n$/],
    ['', ['-m', '200'], 15, /^fatal: -m 200: .*\n$/],
    ['', ['--procfs', '/nowhere'], 4, /^fatal: could not cd to \/nowhere.*\n$/],
    ['', ['--procfs', 'TREE'], 1, /^fatal: --procfs .*does not show this process.*\n$/],
  ])('%j with %j: what a start would end with, %d, and only what is wrong', async (text, args, exitCode, said) => {
    const file = configFile(text);
    const { code, stdout, stderr } = await invoke('oom-backstop', [
      '--check-config',
      '--config',
      file,
      ...withTree(args),
    ]);
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' });
    expect(stderr).toMatch(said);
  });

  it('is no option of earlyoom', async () => {
    const { code, stderr } = await invoke('earlyoom', ['--check-config']);
    expect(code).toBe(13);
    expect(stderr).toContain("unrecognized option '--check-config'");
  });
});
