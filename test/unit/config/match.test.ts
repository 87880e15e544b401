import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultFiles } from '../../../src/config/files.js';
import { loadConfig } from '../../../src/config/load.js';
import type { MatchTable } from '../../../src/shared/matching.js';
import { configDirectory, configFile } from '../../support/config-files.js';

const TOTALS = { memTotalKib: 16_000_000, swapTotalKib: 2_000_000 };
const KEYS = 'comm, cgroup, unit, container, exe, cmdline, user';

function tables(files: readonly string[]): readonly MatchTable[] {
  const loaded = loadConfig(files, TOTALS);
  if ('errors' in loaded) throw new Error(loaded.errors.join('\n'));
  return loaded.settings.matching.tables;
}

/** What is wrong with a file, without its name. */
function errors(content: string): string[] {
  const file = configFile(content);
  const loaded = loadConfig([file], TOTALS);
  return 'errors' in loaded ? loaded.errors.map((error) => error.replace(`${file}: `, '')) : [];
}

describe('[[match]]', () => {
  it('takes every key, and a uid as a number or a text', () => {
    const toml = `
[[match]]
action = "protect"
comm = "a*"
cmdline = "/x y/"
exe = "/usr/**"
user = 1000
cgroup = "/a"
unit = "user/*.scope"
container = "*"
[[match]]
user = "root"
action = "prefer"
`;
    expect(tables([configFile(toml)])).toEqual([
      {
        action: 'protect',
        conditions: [
          { key: 'comm', pattern: 'a*', uid: -1 },
          { key: 'cmdline', pattern: '/x y/', uid: -1 },
          { key: 'exe', pattern: '/usr/**', uid: -1 },
          { key: 'user', pattern: '1000', uid: 1000 },
          { key: 'cgroup', pattern: '/a', uid: -1 },
          { key: 'unit', pattern: 'user/*.scope', uid: -1 },
          { key: 'container', pattern: '*', uid: -1 },
        ],
      },
      { action: 'prefer', conditions: [{ key: 'user', pattern: 'root', uid: 0 }] },
    ]);
  });

  it('of all files count, in their order: a later file takes nothing away', () => {
    const table = (name: string): string => `[[match]]\naction = "avoid"\ncomm = "${name}"\n`;
    const directory = configDirectory({
      'config.toml': table('a') + table('b'),
      'config.d/20.toml': table('d'),
      'config.d/10.toml': table('c'),
      'config.d/30.toml': 'match = []',
    });
    const names = tables(defaultFiles(directory)).map(({ conditions }) => conditions[0]?.pattern);
    expect(names).toEqual(['a', 'b', 'c', 'd']);
  });

  const FORM = `valid: [[match]] with action and one or more of ${KEYS}`;
  it.each<[string, string[]]>([
    ['match = 1', [`match = 1: not an array of tables (${FORM})`]],
    ['[match]\naction = "avoid"', [`match = a table: not an array of tables (${FORM})`]],
    ['match = [2026-11-21]', [`match[1] = a date: not a table (${FORM})`]],
    ['match = [[]]', [`match[1] = an array: not a table (${FORM})`]],
    ['[[match]]', ['match[1]: no action (valid: prefer, avoid, protect)', `match[1]: no condition (${FORM})`]],
    ['[[match]]\ncomm = "a"', ['match[1]: no action (valid: prefer, avoid, protect)']],
    ['[[match]]\naction = "avoid"', [`match[1]: no condition (${FORM})`]],
    [
      '[[match]]\naction = "ignore"\ncomm = "a"',
      ["match[1].action = 'ignore': no such action (valid: prefer, avoid, protect)"],
    ],
    [
      '[[match]]\naction = "avoid"\ncomand = "a"',
      [`match[1].comand: unknown key, did you mean comm? (valid: action, ${KEYS})`],
    ],
    [
      '[[match]]\naction = "avoid"\ncomm = 5',
      [
        'match[1].comm = 5: not a string (valid: a glob or /regex/ for the name in /proc/PID/comm, of at most 15 bytes)',
      ],
    ],
    [
      '[[match]]\naction = "avoid"\nuser = "nobody-here"',
      ["match[1].user = 'nobody-here': no such user (valid: a name of /etc/passwd, or a uid)"],
    ],
    [
      '[[match]]\naction = "avoid"\nexe = "postgres"',
      ["match[1].exe = 'postgres': begins with neither / nor * (valid: a glob or /regex/ for the path of the program)"],
    ],
    [
      '[[match]]\naction = "avoid"\ncmdline = "/(a)\\\\1/"',
      [
        "match[1].cmdline = '/(a)\\1/': can't be used: the back reference \\1 (valid: a glob or /regex/ for the arguments joined by blanks)",
      ],
    ],
  ])('%j is refused', (toml, expected) => {
    expect(errors(toml)).toEqual(expected);
  });

  it('all its mistakes are said at once, with those of other sections', () => {
    const toml = `memory.term = "x"
[[match]]
action = "protect"
comm = "a"
[[match]]
action = "no"
cgroup = "a"
unit = ""
`;
    expect(errors(toml).map((error) => error.split(':')[0])).toEqual([
      "memory.term = 'x'",
      "match[2].action = 'no'",
      "match[2].cgroup = 'a'",
      "match[2].unit = ''",
    ]);
  });

  it('there are at most 64 of them, in all files', () => {
    const many = (count: number): string => '[[match]]\naction = "avoid"\ncomm = "a"\n'.repeat(count);
    expect(tables([configFile(many(32)), configFile(many(32))])).toHaveLength(64);
    expect(loadConfig([configFile(many(32)), configFile(many(33))], TOTALS)).toEqual({
      errors: ['[[match]]: 65 tables in all files (valid: at most 64)'],
    });
  });

  it('whatever it holds, it is read or refused, and never throws', () => {
    const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant([]), fc.constant({}));
    const key = fc.oneof(
      fc.constantFrom('action', 'comm', 'user', 'exe', 'constructor', '__proto__', 'toString'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(key, value), { maxLength: 4 }), (entries) => {
        const lines = [...new Map(entries.map(([name, each]) => [name, each])).entries()].map(
          ([name, each]) => `${JSON.stringify(name)} = ${JSON.stringify(each)}\n`,
        );
        const loaded = loadConfig([configFile(`[[match]]\n${lines.join('')}`)], TOTALS);
        expect('errors' in loaded || loaded.settings.matching.tables.length === 1).toBe(true);
      }),
    );
  });
});
