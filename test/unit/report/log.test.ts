import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type BigIntStats, existsSync, fstatSync, mkdtempSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { close } from '../../../native-shims/files.js';
import { isJournal, Log } from '../../../src/report/log.js';
import { describeIf } from '../../support/requires.js';
import { datagramListener, drain, pipe, socketPair, terminal, unblocked } from '../native-shims/fds.js';

/*
 * A Log writes to its process's own stdout and stderr, so it runs in a child. It says what it is told to,
 * by message (kind, first and last number of the lines) or once by argument (kinds and a length; a third one: its rehearsal says
 * it, and the exit status is what that has lost).
 */
const CHILD = `
  import { Log } from './src/report/log.js';
  const log = new Log('child');
  process.on('message', ({ kind, from, to }) => {
    for (let i = from; i < to; i++) log.say(kind, \`line \${i} \${'x'.repeat(100)}\`);
    process.send('said');
  });
  const [kinds, length, rehearses] = process.argv.slice(2);
  const said = rehearses === undefined ? log : Log.rehearsal(log);
  for (const kind of kinds?.split(',') ?? []) said.say(kind, kind[0].repeat(length));
  if (said !== log) process.exitCode = said.droppedLines;
`;

const ROOT = path.resolve(import.meta.dirname, '../../..');
const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-log-'));
const program = path.join(directory, 'child.cjs');
const NODE_PATH = path.join(ROOT, 'node_modules');

beforeAll(async () => {
  const stdin = { contents: CHILD, resolveDir: ROOT, loader: 'ts' } as const;
  await build({
    stdin,
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    packages: 'external',
    logLevel: 'error',
  });
}, 30_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const KINDS = 'start,report,warn,fatal,debug';

describe('Log to stdout and stderr', () => {
  it('says each kind of line where it belongs, and fatal ones begin so', () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [program, KINDS, '2'], {
      encoding: 'utf8',
      env: { NODE_PATH },
    });
    expect({ stdout, stderr, status }).toEqual({ stdout: 'rr\ndd\n', stderr: 'ss\nww\nfatal: ff\n', status: 0 });
  });

  it('says nothing in a rehearsal, and loses nothing', () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [program, KINDS, '2', 'rehearses'], {
      encoding: 'utf8',
      env: { NODE_PATH },
    });
    expect({ stdout, stderr, status }).toEqual({ stdout: '', stderr: '', status: 0 });
  });

  it('ends a line that is too long with a newline, at 4096 bytes', () => {
    const { stdout } = spawnSync(process.execPath, [program, 'report,report', '5000'], {
      encoding: 'utf8',
      env: { NODE_PATH },
    });
    expect(stdout).toBe(`${'r'.repeat(4095)}\n`.repeat(2));
  });
});

const SAID = 4000;
const line = (i: number): string => `line ${i} ${'x'.repeat(100)}`;

/**
 * Follows what was read: each line in its turn, each gap as long as the notices in it say. Returns the next
 * number and the number of notices. A terminal takes less than a line, and what is cut counts as dropped: if
 * only its newline was, it looks whole, and the notice's newline completes it.
 */
function account(text: string, cutsLines: boolean): { next: number; notices: number } {
  let next = 0;
  let notices = 0;
  let countedTwice = false;
  for (const read of text.split('\n').slice(0, -1)) {
    const dropped = /^dropped (\d+) log lines that nobody read$/.exec(read)?.[1];
    if (dropped !== undefined) {
      next += Number(dropped);
      notices++;
    } else if (countedTwice && notices > 0 && read === line(next - 1)) {
      countedTwice = false;
    } else if (read === line(next)) {
      next++;
      countedTwice = cutsLines;
    } else {
      expect(
        [cutsLines, line(next).startsWith(read) || 'dropped'.startsWith(read.slice(0, 7))],
        `${next}: ${read}`,
      ).toEqual([true, true]);
    }
  }
  return { next, notices };
}

describe('Log to a reader that is stuck', () => {
  it.each([
    ['a pipe', pipe, false],
    ['a socket', socketPair, false],
    ['a terminal', terminal, true],
  ])(
    '%s: drops lines instead of waiting, and accounts for each of them when it is read again',
    async (_case, make, cutsLines) => {
      const { reader, writer } = make();
      const child = spawn(process.execPath, [program], {
        stdio: ['ignore', writer, 'inherit', 'ipc'],
        env: { NODE_PATH, NO_COLOR: '1' },
      });
      onTestFinished(() => void child.kill('SIGKILL'));
      const say = async (from: number, to: number): Promise<void> => {
        const said = once(child, 'message');
        child.send({ kind: 'report', from, to });
        await said;
      };
      let text = '';
      const read = (): void => {
        text += drain(reader).join('').replaceAll('\r\n', '\n');
      };

      await say(0, SAID);
      read();
      expect(account(text, cutsLines).next).toBeLessThan(SAID);
      // A terminal hands over in its own time: say more until the last line arrives.
      let said = SAID;
      for (let tries = 0; tries < 500 && !text.endsWith(`${line(said - 1)}\n`); tries++) {
        await say(said, said + 1);
        said++;
        await sleep(2);
        read();
      }
      const { next, notices } = account(text, cutsLines);
      expect(next).toBe(said);
      expect(notices).toBeGreaterThan(0);
    },
    20_000,
  );
});

const SCRIPT = '/usr/bin/script';

describeIf(existsSync(SCRIPT), `no ${SCRIPT}`, 'Log to a terminal', () => {
  const onTerminal = (kinds: string, length: number, env: NodeJS.ProcessEnv = {}): string =>
    spawnSync(SCRIPT, ['-qec', `${process.execPath} ${program} ${kinds} ${length}`, '/dev/null'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
      env: { NODE_PATH, ...env },
      timeout: 10_000,
    }).stdout.replaceAll('\r\n', '\n');

  it('colours warnings yellow, errors red and debug lines dim', () => {
    expect(onTerminal(KINDS, 1)).toBe('s\nr\n\x1b[33mw\x1b[0m\n\x1b[31mfatal: f\x1b[0m\n\x1b[2md\x1b[0m\n');
  });

  it.each(['1', ''])('does not, with NO_COLOR=%j', (NO_COLOR) => {
    expect(onTerminal(KINDS, 1, { NO_COLOR })).toBe('s\nr\nw\nfatal: f\nd\n');
  });

  it('ends the colour of a line that is too long', () => {
    const text = onTerminal('warn', 5000);
    expect([text.startsWith('\x1b[33mwww'), text.endsWith('www\x1b[0m\n'), text.length <= 4096]).toEqual([
      true,
      true,
      true,
    ]);
  });
});

describe('Log to the journal', () => {
  /** What the child says on a pipe and on another one, with JOURNAL_STREAM naming one of them, or whatever it is. */
  function said(variable: (out: BigIntStats, err: BigIntStats) => string): { out: string; err: string } {
    const out = pipe();
    const err = pipe();
    const [outStat, errStat] = [out, err].map(({ writer }) => fstatSync(writer, { bigint: true })) as [
      BigIntStats,
      BigIntStats,
    ];
    const env = { NODE_PATH, JOURNAL_STREAM: variable(outStat, errStat) };
    const stdio = ['ignore', out.writer, err.writer] as const;
    expect(spawnSync(process.execPath, [program, KINDS, '2'], { env, stdio: [...stdio] }).status).toBe(0);
    return { out: drain(out.reader).join(''), err: drain(err.reader).join('') };
  }

  it('stdout is the journal: priorities there, none on stderr', () => {
    expect(said((out) => `${out.dev}:${out.ino}`)).toEqual({ out: '<6>rr\n<7>dd\n', err: 'ss\nww\nfatal: ff\n' });
  });

  it('stderr is the journal: priorities there, none on stdout', () => {
    expect(said((_, err) => `${err.dev}:${err.ino}`)).toEqual({
      out: 'rr\ndd\n',
      err: '<6>ss\n<4>ww\n<3>fatal: ff\n',
    });
  });

  it('both were redirected since: no priorities', () => {
    expect(said(({ dev, ino }) => `${dev}:${ino + 1000n}`)).toEqual({
      out: 'rr\ndd\n',
      err: 'ss\nww\nfatal: ff\n',
    });
  });

  it.each(['', '8', '8:', ':9', '8:9:10', ' 8:9', '0x8:9', '-8:9'])('%j names no stream', (variable) => {
    expect(isJournal(1, variable)).toBe(false);
  });

  it('a socket, as systemd makes it, is one; a terminal and a closed fd are none', () => {
    const named = (fd: number): string => {
      const { dev, ino } = fstatSync(fd, { bigint: true });
      return `${dev}:${ino}`;
    };
    const { writer } = socketPair();
    const { writer: tty } = terminal();
    expect(isJournal(writer, named(writer))).toBe(true);
    expect(isJournal(tty, named(tty))).toBe(false);
    expect(isJournal(9999, named(writer))).toBe(false);
  });
});

describe('Log to syslog', () => {
  const at = (): string => path.join(mkdtempSync(path.join(directory, 'syslog-')), 'log');

  function syslogAt(where: string): Log {
    const log = new Log('earlyoom');
    log.useSyslog(where);
    return log;
  }

  it('sends each line with its priority (daemon facility), its sender and no newline or colour', () => {
    const where = at();
    const daemon = datagramListener(where);
    const log = syslogAt(where);
    for (const kind of ['start', 'report', 'warn', 'fatal', 'debug'] as const) log.say(kind, 'x\x1b');
    const from = `earlyoom[${process.pid}]: `;
    expect(drain(daemon)).toEqual([
      `<30>${from}x\x1b`,
      `<30>${from}x\x1b`,
      `<28>${from}x\x1b`,
      `<27>${from}fatal: x\x1b`,
      `<31>${from}x\x1b`,
    ]);
  });

  it('finds a daemon that was restarted, and drops lines while there is none', () => {
    const where = at();
    const log = syslogAt(where);
    log.say('warn', 'lost');
    const first = datagramListener(where);
    log.say('warn', 'one');
    expect(drain(first)).toHaveLength(1);
    close(first);
    log.say('warn', 'lost');
    unlinkSync(where);
    log.say('warn', 'lost');
    const second = datagramListener(where);
    log.say('warn', 'two');
    expect(drain(second)).toEqual([`<28>earlyoom[${process.pid}]: two`]);
  });

  it('never waits for a daemon that is stuck, and goes on when it is not', () => {
    const where = at();
    const daemon = datagramListener(where);
    const log = syslogAt(where);
    unblocked(() => {
      for (let i = 0; i < 5000; i++) log.say('warn', `line ${i}`);
    });
    const got = drain(daemon);
    expect(got.length).toBeLessThan(5000);
    expect(log.droppedLines).toBe(5000 - got.length);
    expect(got.map((text) => text.split(': ')[1])).toEqual(got.map((_text, i) => `line ${i}`));
    log.say('warn', 'again');
    expect(drain(daemon)).toEqual([`<28>earlyoom[${process.pid}]: again`]);
  });
});
