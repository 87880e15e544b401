import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultSettings } from '../../../src/cli/guard-options.js';
import { defaultFiles } from '../../../src/config/files.js';
import { loadConfig } from '../../../src/config/load.js';
import { CONFIG_TABLE } from '../../../src/config/schema.js';
import type { Settings } from '../../../src/shared/options.js';
import { configDirectory, configFile } from '../../support/config-files.js';

const TOTALS = { memTotalKib: 16_000_000, swapTotalKib: 2_000_000 };
const NO_SWAP = { ...TOTALS, swapTotalKib: 0 };

/** The settings that `files` make, none of which is wrong. */
function settingsOf(files: readonly string[], totals = TOTALS): Settings {
  const loaded = loadConfig(files, totals);
  if ('errors' in loaded) throw new Error(loaded.errors.join('\n'));
  return loaded.settings;
}

const settings = (toml: string, totals = TOTALS): Settings => settingsOf([configFile(toml)], totals);

/** mem SIGTERM, mem SIGKILL, swap SIGTERM, swap SIGKILL */
function limits(toml: string, totals = TOTALS): number[] {
  const { memTermPercent, memKillPercent, swapTermPercent, swapKillPercent } = settings(toml, totals).limits;
  return [memTermPercent, memKillPercent, swapTermPercent, swapKillPercent];
}

/** What is wrong with a file, without its name. */
function errors(content: string | Uint8Array, totals = TOTALS): string[] {
  const file = configFile(content);
  return errorsOf([file], totals).map((error) => error.replace(`${file}: `, ''));
}

function errorsOf(files: readonly string[], totals = TOTALS): string[] {
  const loaded = loadConfig(files, totals);
  return 'errors' in loaded ? loaded.errors : [];
}

const DEFAULTS = defaultSettings('oom-backstop');

describe('without a key', () => {
  it("the settings are the guard's own defaults, of no file, an empty one and empty sections", () => {
    const sections = CONFIG_TABLE.map((section) => `[${section.name}]\n`).join('');
    for (const files of [[], [configFile('')], [configFile(sections)], ['/dev/null']]) {
      expect(loadConfig(files, TOTALS)).toEqual({ settings: DEFAULTS, warnings: [] });
    }
  });
});

const { limits: LIMITS, selection: SELECTION, patterns: PATTERNS } = DEFAULTS;

/** A key set, and what differs from the defaults then. */
const KEYS: readonly [string, string, Partial<Settings>][] = [
  ['memory.term', '"8%"', { limits: { ...LIMITS, memTermPercent: 8 } }],
  ['memory.kill', '"4%"', { limits: { ...LIMITS, memKillPercent: 4 } }],
  ['memory.count_arc', 'false', { countArc: false }],
  ['swap.term', '"60%"', { limits: { ...LIMITS, swapTermPercent: 60, swapKillPercent: 30 } }],
  ['swap.kill', '"60%"', { limits: { ...LIMITS, swapKillPercent: 60 } }],
  ['guard.report_interval', '"1min"', { reportIntervalMs: 60_000 }],
  ['guard.dryrun', 'true', { dryrun: true }],
  ['guard.debug', 'true', { debug: true }],
  ['guard.syslog', 'true', { syslog: true }],
  ['guard.log_format', '"json"', { logFormat: 'json' }],
  ['guard.kill_group', 'true', { killGroup: true }],
  ['guard.kill_after', '"1.5s"', { killAfterMs: 1500 }],
  ['guard.max_wait', '"2.5s"', { waitMsMax: 2500 }],
  ['guard.kernel_oom', 'true', { kernelOom: true }],
  ['guard.raise_priority', 'true', { raisePriority: true }],
  ['guard.runtime_dir', '"/run/here"', { runtimeDir: '/run/here' }],
  ['pressure.default_rule', 'false', { defaultRule: false }],
  ['selection.ignore_root_user', 'true', { selection: { ...SELECTION, ignoreRootUser: true } }],
  ['selection.rank_by', '"memory"', { selection: { ...SELECTION, rankBy: 'memory' } }],
  ['selection.floor', '"16MiB"', { selection: { ...SELECTION, floorKib: 16384 } }],
  ['selection.spare_way_in', 'false', { sparesWayIn: false }],
  ['selection.prefer', '"^(a|b)$"', { patterns: { ...PATTERNS, prefer: '^(a|b)$' } }],
  ['selection.avoid', "'\\.so$'", { patterns: { ...PATTERNS, avoid: '\\.so$' } }],
  ['selection.ignore', '"[[:digit:]]{2}"', { patterns: { ...PATTERNS, ignore: '[[:digit:]]{2}' } }],
  ['selection.only_user', '"root"', { selection: { ...SELECTION, onlyUid: 0 } }],
  ['selection.only_cgroup', '"/a"', { matching: { tables: [], onlyCgroup: '/a' } }],
  ['hooks.before_kill', '"/bin/before"', { beforeKill: '/bin/before' }],
  ['hooks.after_kill', '"/bin/after"', { afterKill: '/bin/after' }],
  ['hooks.notify_dbus', 'true', { notifyDbus: true }],
];

describe('a key', () => {
  it.each(KEYS)('%s = %s', (key, value, expected) => {
    expect(settings(`${key} = ${value}`)).toEqual({ ...DEFAULTS, ...expected });
    const [section, name] = key.split('.');
    expect(settings(`[${section}]\n${name} = ${value}`)).toEqual({ ...DEFAULTS, ...expected });
  });

  it('is in the table above, each of them', () => {
    const all = CONFIG_TABLE.flatMap((section) => section.keys.map((key) => `${section.name}.${key.name}`));
    expect(KEYS.map(([key]) => key)).toEqual(all);
  });

  it('is of one type: every other one is refused, and said with the key, the value and what is valid', () => {
    const others = { '5': '5', '5.5': '5.5', '[]': 'an array', '{}': 'a table', '2026-11-21': 'a date', nan: 'NaN' };
    for (const section of CONFIG_TABLE) {
      for (const key of section.keys) {
        const name = `${section.name}.${key.name}`;
        const isString = typeof key.default === 'string';
        const wrong = { ...others, ...(isString ? { true: 'true' } : { '"true"': "'true'" }) };
        for (const [value, shown] of Object.entries(wrong)) {
          const what = `not a ${isString ? 'string' : 'boolean'}`;
          expect(errors(`${name} = ${value}`)).toEqual([`${name} = ${shown}: ${what} (valid: ${key.valid})`]);
        }
      }
    }
  });

  it('"" is no pattern and no hook', () => {
    const all = [
      ...['selection.prefer', 'selection.avoid', 'selection.ignore', 'selection.only_user', 'selection.only_cgroup'],
      ...['hooks.before_kill', 'hooks.after_kill'],
    ];
    expect(settings(all.map((key) => `${key} = ""\n`).join(''))).toEqual(DEFAULTS);
  });

  it.each([
    ['guard.report_interval', '"10"', "'10'", 'no unit'],
    ['guard.report_interval', '"-1s"', "'-1s'", 'not a number and its unit'],
    ['selection.prefer', '"["', "'['", 'does not compile'],
    ['selection.avoid', '"(a"', "'(a'", 'does not compile'],
    ['selection.prefer', `"it's ["`, `"it's ["`, 'does not compile'],
    ['selection.ignore', '"a\\u0000b"', '"a\\u0000b"', 'holds a NUL'],
    ['selection.only_user', '"nobody-here"', "'nobody-here'", 'no such user'],
    ['selection.only_user', '"4294967295"', "'4294967295'", 'no such user'],
    ['selection.only_cgroup', '"user.slice"', "'user.slice'", 'begins with neither / nor *'],
    ['hooks.before_kill', '"hook.sh"', "'hook.sh'", 'not an absolute path'],
    ['hooks.after_kill', '"./hook.sh"', "'./hook.sh'", 'not an absolute path'],
    ['hooks.after_kill', '"/a\\u0000b"', '"/a\\u0000b"', 'holds a NUL'],
  ])('%s = %s: %s: %s', (key, value, shown, what) => {
    expect(errors(`${key} = ${value}`)).toEqual([expect.stringContaining(`${key} = ${shown}: ${what} (valid: `)]);
  });
});

describe('limits', () => {
  it.each<[string, number[]]>([
    ['memory = { term = "20%", kill = "15%" }', [20, 15, 100, 100]],
    ['memory.term = "10%"', [10, 3, 100, 100]], // kill keeps its default
    ['memory.term = "3%"', [3, 3, 100, 100]],
    ['memory.term = "2%"', [2, 1, 100, 100]], // or is half of term, where it would be above it
    ['memory = { term = "2%", kill = "2%" }', [2, 2, 100, 100]],
    ['memory.kill = "0%"', [5, 0, 100, 100]],
    ['memory.term = "1600000KiB"', [10, 3, 100, 100]],
    ['memory = { term = "1600000KiB", kill = "1%" }', [10, 1, 100, 100]],
    ['memory = { term = "50%", kill = "160000KiB" }', [50, 1, 100, 100]],
    ['memory.term = "16000000KiB"', [100, 3, 100, 100]], // all of MemTotal
    ['memory.term = "160000KiB"', [1, 0.5, 100, 100]],
    ['swap.term = "10%"', [5, 3, 10, 5]],
    ['swap = { term = "10%", kill = "0%" }', [5, 3, 10, 0]],
    ['swap = { term = "400000KiB", kill = "20000KiB" }', [5, 3, 20, 1]],
  ])('%s', (toml, expected) => {
    expect(limits(toml)).toEqual(expected);
  });

  it.each([
    ['memory.kill = "6%"', "memory.kill = '6%': more than memory.term (valid: at most that, 5%, the default)"],
    [
      'memory = { term = "160000KiB", kill = "2%" }',
      "memory.kill = '2%': more than memory.term (valid: at most that, '160000KiB')",
    ],
    ['swap = { term = "5%", kill = "9%" }', "swap.kill = '9%': more than swap.term (valid: at most that, '5%')"],
    ['memory.term = "0%"', "memory.term = '0%': zero, and kill as well (valid: more than 0)"],
    ['swap = { term = "0%", kill = "0MiB" }', "swap.term = '0%': zero, and kill as well (valid: more than 0)"],
    ['memory.term = "16000001KiB"', "memory.term = '16000001KiB': more than MemTotal (valid: at most 16000000KiB)"],
    ['swap.kill = "2TiB"', "swap.kill = '2TiB': more than SwapTotal (valid: at most 2000000KiB)"],
  ])('%s is refused', (toml, error) => {
    expect(errors(toml)).toEqual([error]);
  });

  it('of any valid pair are in order, and never both zero', () => {
    const limit = fc.oneof(
      fc.integer({ min: 0, max: 99 }).map((value) => `${value}%`),
      fc.integer({ min: 0, max: 16_000_000 }).map((value) => `${value}KiB`),
    );
    const pair = fc.record({ term: limit, kill: limit }, { requiredKeys: [] });
    fc.assert(
      fc.property(pair, (keys) => {
        const toml = Object.entries(keys).map(([key, value]) => `memory.${key} = "${value}"\n`);
        const loaded = loadConfig([configFile(toml.join(''))], TOTALS);
        if ('errors' in loaded) return;
        const { memTermPercent, memKillPercent } = loaded.settings.limits;
        expect(memTermPercent).toBeGreaterThan(0);
        expect(memTermPercent).toBeGreaterThanOrEqual(memKillPercent);
        expect(memTermPercent).toBeLessThanOrEqual(100);
      }),
    );
  });

  it('of swap leave it out of the decision on a machine without, with a warning for each size', () => {
    const file = configFile('swap = { term = "10%", kill = "1GiB" }');
    expect(loadConfig([file], NO_SWAP)).toEqual({
      settings: DEFAULTS,
      warnings: [`${file}: swap.kill = '1GiB': total swap is zero, leaving swap out of the decision`],
    });
    expect(limits('swap.term = "10%"', NO_SWAP)).toEqual([5, 3, 10, 5]);
  });
});

describe('several files', () => {
  it('the later one wins, key by key', () => {
    const directory = configDirectory({
      'config.toml': '[memory]\nterm = "10%"\nkill = "8%"\n[selection]\nprefer = "a"\navoid = "a"',
      'config.d/10.toml': '[memory]\nkill = "4%"\n[selection]\nprefer = "b"\nignore = "b"',
      'config.d/20.toml': 'selection.prefer = ""\nguard.dryrun = true',
    });
    expect(settingsOf(defaultFiles(directory))).toEqual({
      ...DEFAULTS,
      limits: { ...LIMITS, memTermPercent: 10, memKillPercent: 4 },
      patterns: { prefer: null, avoid: 'a', ignore: 'b' },
      dryrun: true,
    });
  });

  it('limits are compared when all are read, and said of the file that sets them', () => {
    const directory = configDirectory({
      'config.toml': 'memory.kill = "8%"',
      'config.d/10.toml': 'memory.term = "10%"',
      'config.d/20.toml': 'memory.term = "6%"',
    });
    const files = defaultFiles(directory);
    expect(errorsOf(files.slice(0, 2))).toEqual([]);
    expect(errorsOf(files)).toEqual([
      `${directory}/config.toml: memory.kill = '8%': more than memory.term (valid: at most that, '6%')`,
    ]);
  });

  it('limits are not compared where one of them is wrong', () => {
    expect(errors('memory = { term = 5, kill = "8%" }')).toEqual([expect.stringContaining('memory.term = 5')]);
    const directory = configDirectory({ 'a.toml': 'memory.kill = "8%"', 'b.toml': 'this is no TOML' });
    expect(errorsOf(['a.toml', 'b.toml'].map((name) => path.join(directory, name)))).toHaveLength(1);
  });

  it('a wrong value is an error even if a later file sets the key', () => {
    const directory = configDirectory({ 'a.toml': 'guard.dryrun = 1', 'b.toml': 'guard.dryrun = true' });
    expect(errorsOf(['a.toml', 'b.toml'].map((name) => path.join(directory, name)))).toHaveLength(1);
  });
});

describe('mistakes', () => {
  it('are said all at once, of all files, each with its file', () => {
    const directory = configDirectory({
      'config.toml': '[memory]\nterm = 5\nkil = "3%"\n[guard]\ndryrun = "yes"\n[hooks]\nafter_kill = "x"\n[swop]\n',
      'config.d/10.toml': 'this is no TOML',
      'config.d/20.toml': 'swap.term = "9TiB"\nselection.avoid = "["',
      'config.d/30.toml': 'swap.kill = "9TiB"',
    });
    const wrong = errorsOf([...defaultFiles(directory), '/nowhere/x.toml']);
    const at = (name: string): string[] =>
      wrong.filter((each) => each.startsWith(`${directory}/${name}: `)).map((each) => each.slice(directory.length + 1));
    expect(at('config.toml')).toEqual([
      expect.stringContaining('memory.term = 5: not a string (valid: '),
      expect.stringContaining(
        'memory.kil: unknown key, did you mean memory.kill? (valid in [memory]: term, kill, count_arc)',
      ),
      expect.stringContaining("guard.dryrun = 'yes': not a boolean (valid: true or false)"),
      expect.stringContaining("hooks.after_kill = 'x': not an absolute path (valid: "),
      expect.stringContaining('[swop]: unknown section, did you mean [swap]? (valid: [memory], [swap], '),
    ]);
    expect(at('config.d/10.toml')).toEqual([expect.stringMatching(/line 1, column \d+: .+ \(valid: TOML, /)]);
    expect(at('config.d/20.toml')).toEqual([
      expect.stringContaining("selection.avoid = '[': does not compile"),
      expect.stringContaining("swap.term = '9TiB': more than SwapTotal"),
    ]);
    expect(at('config.d/30.toml')).toEqual([expect.stringContaining("swap.kill = '9TiB': more than SwapTotal")]);
    expect(wrong.at(-1)).toContain('swap.kill');
    expect(wrong).toContain(
      "/nowhere/x.toml: No such file or directory (valid: a TOML file that the guard's user may read)",
    );
    expect(wrong).toHaveLength(10);
  });

  it.each([
    ['memory.trem = "5%"', 'memory.trem: unknown key, did you mean memory.term?'],
    ['swap.trem = "5%"', 'swap.trem: unknown key, did you mean swap.term?'],
    ['guard.prefer = "x"', 'guard.prefer: unknown key, did you mean selection.prefer?'],
    ['guard.xyzzy = 1', 'guard.xyzzy: unknown key (valid in [guard]: '],
    ['term = "5%"', 'term: a key outside of a section, did you mean memory.term?'],
    ['xyzzy = 1', 'xyzzy: a key outside of a section (valid: [memory], '],
    ['[Memory]', '[Memory]: unknown section, did you mean [memory]?'],
    ['[[hook]]', '[hook]: unknown section, did you mean [hooks]?'],
    ['["a b\\n"]', '["a b\\n"]: unknown section (valid: '],
    ['memory = 5', 'memory = 5: not a table (valid: [memory] with term, kill, count_arc)'],
    ['memory = 2026-11-21', 'memory = a date: not a table (valid: [memory] with term, kill, count_arc)'],
    ['[[memory]]', 'memory = an array: not a table (valid: [memory] with term, kill, count_arc)'],
    ['[memory.term]', 'memory.term = a table: not a string (valid: '],
    ['[__proto__]', '[__proto__]: unknown section (valid: '],
    ['guard.__proto__ = 1', 'guard.__proto__: unknown key (valid in [guard]: '],
    ['guard.constructor.prototype = 1', 'guard.constructor: unknown key (valid in [guard]: '],
    ['[toString]', '[toString]: unknown section (valid: '],
  ])('%s: %s', (toml, error) => {
    expect(errors(toml)).toEqual([expect.stringContaining(error)]);
  });

  it.each([
    ['a = ', 1],
    ['[memory]\nterm = 5%', 2],
    ['[memory]\n\nterm = "5%\nkill = "3%"', 3],
    ['[guard]\ndryrun = yes', 2],
    ['memory.term = "5%"\nmemory.term = "6%"', 2], // twice the same key
    ['[memory]\n[swap]\n[memory]', 3],
    ['memory.term = "5%" memory.kill = "3%"', 1],
    ['guard.report_interval = 99999999999999999999', 1],
    ['\0', 1],
  ])('%j is no TOML, and the line is said', (toml, line) => {
    expect(errors(toml)).toEqual([
      expect.stringMatching(new RegExp(`^line ${line}, column \\d+: .+ \\(valid: TOML, `)),
    ]);
  });
});

describe('hostile input', () => {
  const MIB = 1024 * 1024;

  it('a file of 1 MiB is read, a larger one refused, an endless one as well', () => {
    const comment = (bytes: number): string => `#${'x'.repeat(bytes - 1)}`;
    expect(errors(comment(MIB))).toEqual([]);
    expect(errors(comment(MIB + 1))).toEqual(['too large (valid: at most 1048576 bytes)']);
    expect(errorsOf(['/dev/zero'])).toEqual(['/dev/zero: too large (valid: at most 1048576 bytes)']);
  });

  it.each([
    ['arrays', `a = ${'['.repeat(300_000)}`],
    ['inline tables', `a = ${'{a='.repeat(300_000)}`],
    ['a dotted key', `${'a.'.repeat(300_000)}a = 1`],
    ['a dotted key of a section', `[guard]\n${'dryrun.'.repeat(100_000)}a = 1`],
    ['a table name', `[${'a.'.repeat(300_000)}a]`],
  ])('deep nesting: %s', (_name, toml) => {
    expect(errors(toml)).toHaveLength(1);
  });

  it('unknown keys without end: the first fifty, and how many more', () => {
    const keys = Array.from({ length: 20_000 }, (_, i) => `k${i} = 1\n`).join('');
    const wrong = errors(`[guard]\n${keys}`);
    expect(wrong).toHaveLength(51);
    expect(wrong.at(-1)).toBe('and 19950 more mistakes in the configuration');
  });

  it('long names and values are cut', () => {
    const long = 'x'.repeat(500_000);
    for (const toml of [`${long} = 1`, `guard.${long} = 1`, `guard.report_interval = "${long}"`, `[${long}]`]) {
      const [error = '', ...more] = errors(toml);
      expect(more).toEqual([]);
      expect(error.length).toBeLessThan(600);
    }
  });

  it.each([
    [[0xff], 1],
    [[0x0a, 0x0a, 0xc3], 3],
    [[...Buffer.from('# ä\n# '), 0xe4, 0x0a], 2], // Latin-1
    [[0xed, 0xa0, 0x80], 1], // a surrogate
    [[0xff, 0xfe, 0x61, 0x00], 1], // UTF-16
  ])('invalid UTF-8, %j: line %d', (bytes, line) => {
    expect(errors(Uint8Array.from(bytes))).toEqual([`line ${line}: invalid UTF-8 (valid: a TOML file in UTF-8)`]);
  });

  it('a byte order mark, CRLF and other scripts are fine', () => {
    expect(settings('\ufeff[selection]\r\nprefer = "日本"\r\n').patterns.prefer).toBe('日本');
  });

  it('never throws, whatever the bytes are', () => {
    const toml = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^[[\]{}a-z.="'#\n 0-9%-]{0,60}$/),
      fc.constantFrom('[memory]\n', 'guard.', 'term = ').chain((start) => fc.string().map((rest) => start + rest)),
    );
    fc.assert(
      fc.property(fc.oneof(toml, fc.uint8Array()), (content) => {
        const loaded = loadConfig([configFile(content)], TOTALS);
        if ('errors' in loaded) expect(loaded.errors.length).toBeGreaterThan(0);
      }),
    );
  });
});

describe('what is no readable file', () => {
  it('a directory, a pipe', () => {
    const directory = configDirectory();
    execFileSync('mkfifo', [path.join(directory, 'fifo')]);
    mkdirSync(path.join(directory, 'directory'));
    for (const name of ['directory', 'fifo']) {
      const file = path.join(directory, name);
      expect(errorsOf([file])).toEqual([`${file}: not a regular file (valid: a TOML file)`]);
    }
  });

  it('one that may not be read', () => {
    const file = configFile('');
    chmodSync(file, 0);
    const root = process.geteuid?.() === 0;
    // Root reads everything.
    if (root) process.seteuid?.(65534);
    try {
      expect(errorsOf([file])).toEqual([
        `${file}: Permission denied (valid: a TOML file that the guard's user may read)`,
      ]);
    } finally {
      if (root) process.seteuid?.(0);
    }
  });
});
