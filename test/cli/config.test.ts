/*
 * The configuration file, as the built programs take it: what it does to the guard and to `rank`, what wins, and what
 * is said of mistakes. Nothing here reads /etc/oom-backstop: that directory's rules are tested in test/unit/config.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { configDirectory, configFile } from '../support/config-files.js';
import { MEMINFO, procTree } from '../support/proc-tree.js';
import { bareTree, type Ended, expectRan, invoke, linesOf, type Persona, removeTrees } from './invocation.js';

afterAll(removeTrees);

const DIST = path.join(import.meta.dirname, '../../dist');

/* The tree's machine has 15625 MiB in all, 14648 MiB of user memory, 1953 MiB of swap. */
const TREE = bareTree(MEMINFO);
const NO_SWAP = bareTree(MEMINFO.replace(/^(Swap\w+: ).*$/gm, '$1 0 kB'));

const hasLimits = (_stdout: string, stderr: string): boolean => /^ {8}SIGKILL when .*\n/m.test(stderr);

/** A guard that runs until it has said its limits, and what comes with them, and is ended then. */
async function runs(config: string, args: readonly string[] = [], tree = TREE): Promise<Ended> {
  const all = ['--dryrun', '--procfs', tree, '--config', config, ...args];
  const ended = await invoke('oom-backstop', all, { until: hasLimits, settleMs: 400 });
  expectRan(ended);
  expect(ended.stderr).not.toContain('fatal: ');
  return ended;
}

/** The two limits lines: mem TERM, swap TERM, mem KILL, swap KILL, as they are printed. */
const limits = (memTerm: string, swapTerm: string, memKill: string, swapKill: string): string[] => [
  `sending SIGTERM when mem avail <= ${memTerm}% and swap free <= ${swapTerm}%,`,
  `        SIGKILL when mem avail <= ${memKill}% and swap free <= ${swapKill}%`,
];

const FULL = `
[memory]
term = "1600000KiB"
kill = "4%"
[swap]
term = "20%"
kill = "200MiB"
[guard]
report_interval = "1h"
runtime_dir = "/nowhere/run"
[selection]
ignore_root_user = true
rank_by = "rss"
prefer = "^(a|b)$"
avoid = '\\.so$'
ignore = "[[:digit:]]{2}"
[hooks]
before_kill = "/nowhere/before"
after_kill = "/bin/true"
notify_dbus = true
`;

describe('a guard with a configuration file', () => {
  it('does and says what the file says, and which file it was', async () => {
    const config = configFile(FULL);
    const { stderr } = await runs(config);
    const lines = linesOf(stderr);
    expect(lines).toEqual([
      expect.stringMatching(/^oom-backstop v/),
      `Configuration: ${config}`,
      'Notifying through D-Bus',
      'Processes owned by root will not be killed',
      'Find process with the largest rss',
      'dryrun mode enabled, will not kill anything',
      "Preferring to kill process names that match regex '^(a|b)$'",
      "Will avoid killing process names that match regex '\\\\.so$'",
      "Will ignore process names that match regex '[[:digit:]]{2}'",
      expect.stringContaining('mem total: 15625 MiB'),
      ...limits('10.00', '20.00', ' 4.00', '10.24'),
      expect.stringContaining('memory pressure does not wake the guard'),
      expect.stringContaining('so rules for the machine do not work: No such file or directory'),
      "-P: script '/nowhere/before' is not executable: No such file or directory",
      expect.stringContaining('does not show pid 1'),
      'no state page and no records: /nowhere/run: No such file or directory',
    ]);
  });

  it('takes the command line over the file, key by key', async () => {
    const args = ['-m', '20', '-S', '400000', '--prefer', 'x', '-P', '/bin/true'];
    const { stderr } = await runs(configFile(FULL), args);
    const lines = linesOf(stderr);
    expect(lines).toEqual(expect.arrayContaining(limits('20.00', '20.00', '10.00', '10.00')));
    expect(lines).toContain("Preferring to kill process names that match regex 'x'");
    expect(lines).toContain("Will ignore process names that match regex '[[:digit:]]{2}'");
    expect(stderr).not.toContain('/nowhere/before');
  });

  it('takes -m and -M instead of [memory], not the lower of them', async () => {
    const config = configFile('memory = { term = "1%", kill = "1%" }');
    expect(linesOf((await runs(config, ['-M', '1600000'])).stderr)).toEqual(
      expect.arrayContaining(limits('10.00', '100.00', ' 5.00', '100.00')),
    );
  });

  it('is in dry run because the file says so', async () => {
    const config = configFile('guard.dryrun = true');
    // --procfs of another tree: it would not start without a dry run.
    const ended = await invoke('oom-backstop', ['--procfs', TREE, '--config', config], { until: hasLimits });
    expectRan(ended);
    expect(linesOf(ended.stderr)).toContain('dryrun mode enabled, will not kill anything');
  });

  it('writes debug lines because the file says so', async () => {
    const { stdout } = await runs(configFile('guard.debug = true'));
    expect(stdout).toContain('OOM_SCORE_ADJ');
  });

  it('reports never because the file says so', async () => {
    const { stdout } = await runs(configFile('guard.report_interval = "0s"'));
    expect(stdout).toBe('');
  });

  it('keeps its defaults with an empty file, and with /dev/null', async () => {
    for (const config of [configFile(''), '/dev/null']) {
      expect(linesOf((await runs(config)).stderr)).toEqual(
        expect.arrayContaining(limits(' 5.00', '100.00', ' 3.00', '100.00')),
      );
    }
  });

  it('without swap leaves swap out of the decision, with a warning', async () => {
    const config = configFile('swap.term = "1GiB"');
    const { stderr } = await runs(config, [], NO_SWAP);
    expect(linesOf(stderr)).toContain(
      `warning: ${config}: swap.term = '1GiB': total swap is zero, leaving swap out of the decision`,
    );
    expect(linesOf(stderr)).toEqual(expect.arrayContaining(limits(' 5.00', '100.00', ' 3.00', '100.00')));
  });

  it('reads FILE alone: neither config.d beside it nor another --config', async () => {
    const directory = configDirectory({
      'config.toml': 'memory.term = "20%"',
      'config.d/10.toml': 'memory.term = "30%"',
      'first.toml': 'this is no TOML',
    });
    const config = path.join(directory, 'config.toml');
    const ended = await runs(config, []);
    expect(linesOf(ended.stderr)).toEqual(expect.arrayContaining(limits('20.00', '100.00', ' 3.00', '100.00')));
    expect(ended.stderr).not.toContain('config.d');
    const twice = ['--config', path.join(directory, 'first.toml'), '--config', config, '-v'];
    expect(await invoke('oom-backstop', twice)).toMatchObject({ code: 0 });
  });
});

describe('a configuration file with mistakes', () => {
  const BAD =
    '[memory]\nterm = 5\nkil = "3%"\n[guard]\ndryrun = "yes"\n[selection]\nprefer = "["\n[swap]\nterm = "9TiB"\n';

  it('ends the guard with 78 before anything else, all of them said', async () => {
    const config = configFile(BAD);
    const ended = await invoke('oom-backstop', ['--procfs', TREE, '--config', config]);
    expect(ended).toMatchObject({ code: 78, stdout: '' });
    const [version, ...fatal] = linesOf(ended.stderr);
    expect(version).toMatch(/^oom-backstop v/);
    expect(fatal).toEqual([
      expect.stringContaining(`fatal: ${config}: memory.term = 5: not a string (valid: a share such as`),
      expect.stringContaining(`fatal: ${config}: memory.kil: unknown key, did you mean memory.kill?`),
      `fatal: ${config}: guard.dryrun = 'yes': not a boolean (valid: true or false)`,
      expect.stringContaining(`fatal: ${config}: selection.prefer = '[': does not compile (valid: a POSIX`),
      `fatal: ${config}: swap.term = '9TiB': more than SwapTotal (valid: at most 2000000KiB)`,
    ]);
  });

  it('ends rank with 78 as well', async () => {
    const ended = await invoke('oom-backstop', ['rank', '--procfs', TREE, '--config', configFile(BAD)]);
    expect(ended).toMatchObject({ code: 78, stdout: '' });
    expect(ended.stderr).toMatch(/^(fatal: .*\n){5}$/);
  });

  it.each([
    ['is not there', () => '/nowhere/config.toml', '/nowhere/config.toml: No such file or directory (valid: '],
    ['is a directory', () => configDirectory(), ': not a regular file (valid: a TOML file)'],
    ['has an empty name', () => '', ': No such file or directory (valid: '],
    ['is no TOML', () => configFile('[memory]\nterm = 5%\n'), ': line 2, column '],
    ['is too large', () => '/dev/zero', ': too large (valid: at most 1048576 bytes)'],
    [
      'has a size above MemTotal',
      () => configFile('memory.term = "1TiB"'),
      ': more than MemTotal (valid: at most 16000000KiB)',
    ],
  ])('that %s: 78', async (_name, config, message) => {
    const ended = await invoke('oom-backstop', ['--procfs', TREE, '--config', config()]);
    expect(ended).toMatchObject({ code: 78, stdout: '' });
    expect(linesOf(ended.stderr)).toEqual([expect.anything(), expect.stringContaining(message)]);
  });

  it('can not steer a terminal', async () => {
    const ended = await invoke('oom-backstop', ['--procfs', TREE, '--config', configFile('guard."\\u001b[31m" = 1')]);
    expect(ended.code).toBe(78);
    expect(ended.stderr).not.toContain('\x1b');
  });

  it('does not keep anybody from help, version and a mistake on the command line', async () => {
    const config = ['--config', configFile(BAD)];
    expect(await invoke('oom-backstop', [...config, '-v'])).toMatchObject({ code: 0 });
    expect((await invoke('oom-backstop', [...config, '--help'])).stderr).toMatch(/this help text\n$/);
    expect(await invoke('oom-backstop', [...config, '--xyz'])).toMatchObject({ code: 13 });
    expect(await invoke('oom-backstop', [...config, 'operand'])).toMatchObject({ code: 13 });
  });

  it('--config has no abbreviation, and needs its value', async () => {
    expect(await invoke('oom-backstop', ['--conf', '/dev/null'])).toMatchObject({
      code: 13,
      stderr: expect.stringContaining("unrecognized option '--conf'"),
    });
    expect(await invoke('oom-backstop', ['--config'])).toMatchObject({
      code: 13,
      stderr: expect.stringContaining("option '--config' requires an argument"),
    });
  });
});

describe('rank with a configuration file', () => {
  /* Above PID_MAX_LIMIT: no process of this machine. */
  const PROCESSES = [
    { pid: 10_000_001, comm: 'web', oomScore: 100, rssPages: 2560 },
    { pid: 10_000_002, comm: 'db', oomScore: 200, rssPages: 2560 },
    { pid: 10_000_003, comm: 'proxy', oomScore: 300, rssPages: 2560 },
  ];

  async function order(...args: string[]): Promise<string[]> {
    const ended = await invoke('oom-backstop', ['rank', '--json', '--procfs', procTree(PROCESSES), ...args]);
    expect(ended, ended.stderr).toMatchObject({ code: 0, stderr: '' });
    const ranking = JSON.parse(ended.stdout) as { name: string; eligible: boolean }[];
    return ranking.filter((each) => each.eligible).map((each) => each.name);
  }

  it('ranks as the guard would, options over the file; not for earlyoom', async () => {
    const config = configFile('selection = { prefer = "^web$", ignore = "^proxy$" }');
    expect(await order('--config', '/dev/null')).toEqual(['proxy', 'db', 'web']);
    expect(await order('--config', config)).toEqual(['web', 'db']);
    expect(await order('--config', config, '--prefer', '^db$')).toEqual(['db', 'web']);
    expect(await order('--config', config, '--earlyoom')).toEqual(['proxy', 'db', 'web']);
  });
});

describe('earlyoom', () => {
  it('has no --config', async () => {
    expect(await invoke('earlyoom', ['--config', '/dev/null'])).toMatchObject({
      code: 13,
      stderr: expect.stringContaining("earlyoom: unrecognized option '--config'"),
    });
  });

  it('looks at no configuration file, where oom-backstop does', async () => {
    expect(await opened('oom-backstop')).toContain('/etc/oom-backstop/config.d');
    expect(await opened('earlyoom')).not.toContain('/etc/oom-backstop');
  });

  /** The names that a guard's start hands to the file system from JavaScript. */
  function opened(persona: Persona): Promise<string> {
    const preload = `const fs = require('fs');
for (const name of ['readdirSync', 'lstatSync', 'readFileSync', 'openSync']) {
  const original = fs[name];
  fs[name] = (file, ...rest) => (fs.writeSync(2, 'opens ' + file + '\\n'), original(file, ...rest));
}`;
    return noted(persona, preload, 'opens ');
  }
});

/** What `preload`, run by Node before the program, has written to stderr until the guard says its limits: the lines that begin with `mark`. */
async function noted(persona: Persona, preload: string, mark: string, args: readonly string[] = []): Promise<string> {
  const file = path.join(configDirectory({ 'preload.cjs': preload }), 'preload.cjs');
  const env = { ...process.env, NODE_OPTIONS: `--require=${file}` };
  const ended = await invoke(persona, ['--dryrun', '--procfs', TREE, ...args], { env, until: hasLimits });
  const lines = linesOf(ended.stderr).filter((line) => line.startsWith(mark));
  return lines.join('\n');
}

describe('the bundles', () => {
  const zodOrToml = /zod|smol-toml|TomlError/i;
  const text = (bundle: string): string => readFileSync(path.join(DIST, bundle), 'utf8');

  it('main.cjs has neither zod nor smol-toml in it, and requires neither; config.cjs does', () => {
    expect(text('main.cjs')).not.toMatch(zodOrToml);
    expect(text('config.cjs')).toContain('require("zod")');
    expect(text('config.cjs')).toContain('require("smol-toml")');
  });

  it('a guard loads neither, with a configuration file and without', async () => {
    for (const args of [[], ['--config', configFile(FULL)]]) {
      const loaded = await modulesOf(args);
      expect(loaded).toContain('koffi');
      expect(loaded).not.toMatch(/zod|smol-toml/);
      expect(loaded.includes('child_process')).toBe(args.length > 0);
    }
  });

  /** What a guard asks Node to load until it says its limits: files, and Node's own modules. */
  async function modulesOf(args: readonly string[]): Promise<string> {
    const preload = `const { Module } = require('module');
const { writeSync } = require('fs');
const load = Module._load;
Module._load = function (request, ...rest) {
  writeSync(2, 'loads ' + request + '\\n');
  return load.call(this, request, ...rest);
};`;
    return noted('oom-backstop', preload, 'loads ', args);
  }

  it('config.cjs says JSON, and ends with 0, whatever it finds', () => {
    const reader = (...args: string[]): unknown =>
      JSON.parse(execFileSync(process.execPath, [path.join(DIST, 'config.cjs'), ...args], { encoding: 'utf8' }));
    expect(reader('16000000', '0')).toMatchObject({ settings: { dryrun: false }, warnings: [] });
    expect(reader('16000000', '0', '/nowhere')).toEqual({
      errors: [expect.stringContaining('/nowhere: No such file')],
    });
  });

  it('the example file is packed', () => {
    const { files } = JSON.parse(readFileSync(path.join(DIST, '../package.json'), 'utf8')) as { files: string[] };
    expect(files).toContain('config');
    expect(existsSync(path.join(DIST, '../config/config.toml.example'))).toBe(true);
  });
});
