/* `oom-backstop replay`, on made traces. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { HEADER, KILL, textOf } from '../unit/replay/traces.js';
import { type Ended, invoke } from './invocation.js';

function file(name: string, text: string): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-replay-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const made = path.join(directory, name);
  writeFileSync(made, text);
  return made;
}

const replay = (trace: string, ...args: string[]): Promise<Ended> => invoke('oom-backstop', ['replay', trace, ...args]);

describe('replay', () => {
  it('by the recorded policy: 0, and the same decisions', async () => {
    const ended = await replay(file('trace', textOf(KILL)));
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/2\.000 s {2}SIGTERM: process 100 "hog" +SIGTERM: process 100 "hog"/);
    expect(ended.stdout).toMatch(/\nThe same decisions\.\n$/);
  });

  it.each([
    [['--ignore', '^hog$'], 'another victim'],
    [['--prefer', '^other$'], 'another victim'],
    [['--avoid', '^hog$'], 'another victim'],
    [['-m', '18,5'], 'earlier'],
    [['-M', '180000,1'], 'earlier'],
    [['-m8'], 'later or never'],
    [['--only-user', '7'], 'nobody'],
    [['-m', '10,10'], 'another signal'],
    [['--dryrun'], 'another signal'],
  ])('%j: 1, and what differs', async (args, kind) => {
    const ended = await replay(file('trace', textOf(KILL)), ...args, '--json');
    expect(ended).toMatchObject({ code: 1, stderr: '' });
    expect(JSON.parse(ended.stdout)).toMatchObject({ same: false, difference: { kind } });
  });

  it('--config FILE takes the policy from there, in shares of the recorded machine', async () => {
    const trace = file('trace', textOf(KILL));
    const config = (text: string): string => file('config.toml', text);
    const earlier = await replay(trace, '--config', config('[memory]\nterm = "160000KiB"\nkill = "5%"\n'), '--json');
    expect(JSON.parse(earlier.stdout)).toMatchObject({ difference: { kind: 'earlier', tUs: 1_500_000 } });
    const same = await replay(trace, '--config', config('[memory]\nterm = "10%"\nkill = "5%"\n'));
    expect(same.code).toBe(0);
  });

  it.each([
    ['a file that is not there', '/nowhere/at/all', 2, /No such file or directory/],
    ['a file that is no trace', file.bind(null, 'x', '{"kind":"incident"}\n'), 2, /line 1: not the header of a trace/],
    [
      'a trace of the future',
      file.bind(null, 'x', textOf([], { ...HEADER, schema: 9 })),
      2,
      /schema 9, and this program knows 1/,
    ],
    [
      'a trace that is torn in the middle',
      file.bind(null, 'x', `${textOf([])}{"t"\n${'{"t":1}'}\n`),
      2,
      /line 2: not a whole JSON object/,
    ],
    ['an option before the trace', '--json', 13, /missing required argument|the trace comes first/],
  ])('%s: an error', async (_case, trace, code, message) => {
    const ended = await replay(typeof trace === 'string' ? trace : trace());
    expect(ended).toMatchObject({ code, stdout: '' });
    expect(ended.stderr).toMatch(message);
  });

  it.each([
    [['--ignore', '('], 6],
    [['--xyz'], 13],
    [['-m', 'x'], 15],
    [['--version'], 13],
  ])('%j is a mistake, as it is for the guard', async (args, code) => {
    expect(await replay(file('trace', textOf(KILL)), ...args)).toMatchObject({ code, stdout: '' });
  });

  it('lets no name steer the terminal', async () => {
    const hostile = textOf(KILL).replaceAll('"hog"', JSON.stringify('\x1b[2J\x9b\n'));
    for (const args of [[], ['--json']]) {
      const { stdout } = await replay(file('trace', hostile), ...args);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    }
  });
});
