/* --log-format: how it is asked for, what comes where, and what the journal gets. */
import { spawnSync } from 'node:child_process';
import { cpSync, fstatSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LOG_BASE_FIELDS, LOG_TOPICS } from '../../src/shared/log-record.js';
import { configFile } from '../support/config-files.js';
import { type FakeProcess, procTree } from '../support/proc-tree.js';
import { bin } from '../support/programs.js';
import { unreadPipe } from '../support/unread-pipe.js';
import { expectRan, invoke } from './invocation.js';

const LOW = 'MemTotal: 16000000 kB\nMemAvailable: 1000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nAnonPages: 9999000 kB\n';
const PROCESSES: FakeProcess[] = [{ pid: 10_000_000, comm: 'vic"tim', oomScore: 900 }];
const NO_CONFIG = ['--config', '/dev/null'];

const onTree = (): string[] => ['--dryrun', '--procfs', procTree(PROCESSES, LOW)];

function recordsOf(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** The texts without figures that move. */
const still = (text: string): string => text.replace(/\d+/g, '#');

describe('--log-format json', () => {
  it('says everything on stdout that text would, from the version line on, in the schema of the README', async () => {
    const args = [...NO_CONFIG, ...onTree(), '-d'];
    const asText = await invoke('oom-backstop', args, { until: (_, stderr) => stderr.includes('dryrun, not') });
    const asJson = await invoke('oom-backstop', [...args, '--log-format', 'json'], {
      until: (stdout) => stdout.includes('dryrun, not'),
    });
    expectRan(asJson);
    expect(asJson.stderr).toBe('');
    const all = recordsOf(asJson.stdout);
    const records = all.filter(({ event }) => event === 'log');
    // The event log's come between them.
    expect(all.map(({ event }) => event)).toEqual(expect.arrayContaining(['start', 'crossed']));
    const texts = (lines: string[]): string[] =>
      lines.slice(0, lines.indexOf('dryrun, not actually sending any signal'));
    const ofKinds = (...kinds: string[]): string[] =>
      records.filter(({ kind }) => kinds.includes(String(kind))).map(({ msg }) => String(msg));
    const expected = texts(asText.stderr.split('\n'));
    expect(texts(ofKinds('start', 'warn', 'fatal')).map(still)).toEqual(expected.map(still));
    expect(expected[0]).toMatch(/^oom-backstop v/);
    for (const record of records) {
      const { topic, ...rest } = record;
      const names = Object.keys(rest);
      for (const name of Object.keys(LOG_BASE_FIELDS)) expect(names).toContain(name);
      const own = names.filter((name) => !(name in LOG_BASE_FIELDS));
      const known = topic === undefined ? [] : Object.keys(LOG_TOPICS[topic as keyof typeof LOG_TOPICS].fields);
      expect([topic, own]).toEqual([topic, [...new Set(known.map((name) => name.split('.')[0]))]]);
    }
    expect(records.find(({ signal, topic }) => topic === 'sending' && signal !== '0 (no-op signal)')).toMatchObject({
      level: 40,
      signal: 'SIGKILL',
      victim: { pid: 10_000_000, name: 'vic"tim', oomScore: 900 },
      name: 'oom-backstop',
    });
  });

  it.each([
    ['the configuration asks for it', 'json', [], true],
    ['the command line counts more', 'json', ['--log-format', 'text'], false],
    ['and the other way round', 'text', ['--log-format=json'], true],
  ] as const)('%s', async (_, format, more, isJson) => {
    const file = configFile(`[guard]\nlog_format = "${format}"\n`);
    const args = ['--config', file, ...onTree(), ...more];
    const until = (stdout: string, stderr: string): boolean => (stdout + stderr).includes('dryrun, not');
    const { stdout, stderr } = await invoke('oom-backstop', args, { until });
    const first = isJson ? recordsOf(stdout).map(({ msg }) => String(msg)) : stderr.split('\n');
    expect(first[0]).toMatch(/^oom-backstop v/);
    expect(first[1]).toMatch(/^Configuration: /);
    expect(isJson ? stderr : stdout).toBe('');
  });

  it('a mistake comes on stderr as well, as text, for who has started it by hand', async () => {
    const { code, stdout, stderr } = await invoke('oom-backstop', [...NO_CONFIG, '--log-format', 'json', '-m', '200']);
    expect(code).toBe(15);
    expect(stderr).toMatch(/^fatal: -m 200: value 200 exceeds limit 99 .*\n$/);
    const records = recordsOf(stdout);
    expect(records.at(-1)).toMatchObject({ level: 60, kind: 'fatal', msg: stderr.trimEnd() });
  });

  it('a mistake in the configuration is text where only that could have asked for JSON', async () => {
    const file = configFile('[guard]\nlog_format = "xml"\n');
    const { code, stdout, stderr } = await invoke('oom-backstop', ['--config', file]);
    expect([code, stdout]).toEqual([78, '']);
    expect(stderr).toMatch(/^oom-backstop v.*\nfatal: .*guard\.log_format = 'xml': .*\(valid: 'text' or 'json'\)\n$/);
  });

  it.each([
    ['--log-format xml: unknown format (valid: text, json)', [...NO_CONFIG, '--log-format', 'xml']],
    [
      '--log-format json and --syslog do not go together (valid: one of them; in the configuration they are guard.log_format and guard.syslog)',
      [...NO_CONFIG, '--log-format', 'json', '--syslog'],
    ],
  ])('%s', async (message, args) => {
    const { code, stderr } = await invoke('oom-backstop', args);
    expect(code).toBe(14);
    expect(stderr).toContain(`fatal: ${message}\n`);
  });

  it('earlyoom has no such option', async () => {
    const { code, stderr } = await invoke('earlyoom', ['--log-format', 'json']);
    expect(code).toBe(13);
    expect(stderr).toContain("earlyoom: unrecognized option '--log-format'\n");
  });

  it('--check-config says what is wrong as text, and starts no log writer', async () => {
    const args = [...NO_CONFIG, '--check-config', '--log-format', 'json', '-m', '200'];
    const { code, stdout, stderr } = await invoke('oom-backstop', args);
    expect([code, stdout]).toEqual([15, '']);
    expect(stderr).toMatch(/^fatal: -m 200: /);
  });

  it.each([
    ['is not there', () => undefined],
    ['lacks a package', (file: string): void => writeFileSync(file, "require('a-package-that-is-not-there');\n")],
  ])('a log writer that %s: the guard runs, says so, and logs as text', async (_, put) => {
    const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-install-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const root = path.resolve(import.meta.dirname, '../..');
    for (const name of ['bin', 'dist']) cpSync(path.join(root, name), path.join(directory, name), { recursive: true });
    symlinkSync(path.join(root, 'node_modules'), path.join(directory, 'node_modules'));
    rmSync(path.join(directory, 'dist/log.cjs'));
    put(path.join(directory, 'dist/log.cjs'));
    const program = path.join(directory, 'bin/oom-backstop');
    const args = [...NO_CONFIG, ...onTree(), '--log-format', 'json'];
    const script = '"$@" & sleep 4; kill -TERM $!; wait $!';
    const { stderr } = spawnSync('sh', ['-c', script, 'sh', process.execPath, program, ...args], { encoding: 'utf8' });
    expect(stderr).toMatch(/^the log writer has ended: the log goes on as text$/m);
    expect(stderr).toMatch(/^sending SIGKILL to process 10000000/m);
  });
});

describe('under systemd', () => {
  it.each(['earlyoom', 'oom-backstop'] as const)(
    '%s: the stream that is the journal has priorities before its lines, and the other one has none',
    (persona) => {
      const pipe = unreadPipe();
      const { dev, ino } = fstatSync(pipe.writeFd, { bigint: true });
      const env = { ...process.env, JOURNAL_STREAM: `${dev}:${ino}` };
      const args = [...(persona === 'earlyoom' ? [] : NO_CONFIG), '--dryrun', '-k', '-m', '200'];
      const said = (stdio: [number | 'pipe', number | 'pipe']): string[] => {
        const { status, stderr } = spawnSync(bin(persona), args, { env, stdio: ['ignore', ...stdio] });
        expect(status).toBe(15);
        return `${stderr ?? pipe.readNow()}`.split('\n').slice(0, -1);
      };
      const onJournal = said(['pipe', pipe.writeFd]);
      expect(onJournal.map((line) => line.slice(0, 3)).slice(-4)).toEqual(['<6>', '<4>', '<6>', '<3>']);
      expect(onJournal).toContain('<4>dryrun mode enabled, will not kill anything');
      expect(said([pipe.writeFd, 'pipe'])).toEqual(onJournal.map((line) => line.slice(3)));
    },
  );

  it('as JSON there are none: the record has its level', async () => {
    const pipe = unreadPipe();
    const { dev, ino } = fstatSync(pipe.writeFd, { bigint: true });
    const env = { ...process.env, JOURNAL_STREAM: `${dev}:${ino}` };
    const args = [...NO_CONFIG, '--log-format', 'json', '-m', '200'];
    const { stderr } = spawnSync(bin('oom-backstop'), args, { env, stdio: ['ignore', pipe.writeFd, 'pipe'] });
    expect(recordsOf(pipe.readNow()).at(-1)).toMatchObject({ kind: 'fatal' });
    expect(String(stderr)).toMatch(/^fatal: /);
  });
});

it('the README names every field and every topic (npm run docs)', () => {
  const readme = readFileSync(path.resolve(import.meta.dirname, '../../README.md'), 'utf8');
  for (const name of [...Object.keys(LOG_BASE_FIELDS), ...Object.keys(LOG_TOPICS)])
    expect([name, readme.includes(`| \`${name}\` |`)]).toEqual([name, true]);
});
