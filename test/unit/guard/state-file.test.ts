/* The file on a file system in memory; other guards as processes of their own; failures of system calls put in one at a time. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type * as Files from '../../../native-shims/files.js';
import type * as Memory from '../../../native-shims/memory.js';
import type { RuntimeDir } from '../../../src/guard/runtime-dir.js';
import { StateFile } from '../../../src/guard/state-file.js';
import { NUMBERS_AT, numberIndex, PAGE_BYTES, SEQUENCE_AT } from '../../../src/state/layout.js';
import { AT, PageWriter } from '../../../src/state/page-writer.js';
import { bundled } from '../../support/bundled.js';
import { run } from '../../support/programs.js';
import { recordingLog } from '../recording-log.js';

const [EIO, ENOMEM, EACCES, ENOSPC, ELOOP, EISDIR, EBADF] = [5, 12, 13, 28, 40, 21, 9];

/** What the nth call of pwrite gives instead of writing, and what mlock says. */
const faults = vi.hoisted(() => ({ pwrite: new Map<number, number>(), calls: 0, keep: 0, pread: 0 }));

vi.mock('../../../native-shims/files.js', async (original) => {
  const real = await original<typeof Files>();
  return {
    ...real,
    pwrite: (fd: number, buffer: Uint8Array, length: number, offset: number): number =>
      faults.pwrite.get(faults.calls++) ?? real.pwrite(fd, buffer, length, offset),
    pread: (fd: number, buffer: Uint8Array, offset: number): number =>
      faults.pread === 0 ? real.pread(fd, buffer, offset) : faults.pread,
  };
});
vi.mock('../../../native-shims/memory.js', async (original) => {
  const real = await original<typeof Memory>();
  return {
    ...real,
    keepFileInMemory: (fd: number, length: number): number =>
      faults.keep === 0 ? real.keepFileInMemory(fd, length) : faults.keep,
  };
});

beforeEach(() => {
  faults.pwrite.clear();
  Object.assign(faults, { calls: 0, keep: 0, pread: 0 });
});

function directory(): RuntimeDir {
  const made = mkdtempSync('/dev/shm/oom-backstop-test-');
  const fd = openSync(made, 'r');
  onTestFinished(() => {
    closeSync(fd);
    rmSync(made, { recursive: true, force: true });
  });
  return { path: made, fd };
}

function opened(dir: RuntimeDir): StateFile {
  const file = StateFile.in(dir);
  if (typeof file === 'number') throw new Error(`errno ${-file}`);
  return file;
}

/** A page with `starts` starts, as of a guard that has begun. */
function page(starts = 1): PageWriter {
  const made = new PageWriter('1');
  made.add(AT.startsTotal, starts);
  return made;
}

const stateOf = (dir: RuntimeDir): string => path.join(dir.path, 'state');

/** Reading it by name gives up this process's lock: for looking, once a test's guard has done its work. */
function look(dir: RuntimeDir) {
  const bytes = readFileSync(stateOf(dir));
  const number = (name: string): number => bytes.readDoubleLE(NUMBERS_AT + numberIndex(name) * 8);
  return { length: bytes.length, sequence: bytes.readUInt32LE(SEQUENCE_AT), starts: number('startsTotal'), number };
}

describe('a state page of its own', () => {
  it('is whole from the start, for everybody to read, and changed by each write', () => {
    const dir = directory();
    const file = opened(dir);
    const mine = page();
    expect(file.take(mine, null)).toBe(0);
    expect(file.isOurs).toBe(true);
    mine.add(AT.ticksTotal, 5);
    expect(file.write(mine)).toBe(0);
    expect(statSync(stateOf(dir)).mode & 0o777).toBe(0o644);
    const { length, sequence, starts, number } = look(dir);
    expect([length, sequence % 2, starts, number('ticksTotal')]).toEqual([PAGE_BYTES, 0, 1, 5]);
  });

  it('is readable whatever the umask is', () => {
    const dir = directory();
    const before = process.umask(0o077);
    onTestFinished(() => void process.umask(before));
    opened(dir).take(page(), null);
    expect(statSync(stateOf(dir)).mode & 0o777).toBe(0o644);
  });

  it('goes on with the counters of the one before, sequence included, and says nothing', () => {
    const dir = directory();
    opened(dir).take(page(3), null);
    const before = look(dir);
    const { log, lines } = recordingLog();
    expect(opened(dir).take(page(), log)).toBe(0);
    const after = look(dir);
    expect([after.starts, lines, readdirSync(dir.path)]).toEqual([4, [], ['state']]);
    expect(after.sequence).toBeGreaterThan(before.sequence);
  });

  it('goes on where a guard was killed in the middle of a write', () => {
    const dir = directory();
    const file = opened(dir);
    const mine = page(3);
    file.take(mine, null);
    faults.calls = 0;
    faults.pwrite.set(1, -EIO);
    file.write(mine);
    expect(look(dir).sequence % 2).toBe(1);
    expect(opened(dir).take(page(), null)).toBe(0);
    expect(look(dir)).toMatchObject({ starts: 4 });
    expect(look(dir).sequence % 2).toBe(0);
  });

  it.each([
    ['a short one', Buffer.alloc(100, 'x'), 'has 100 bytes'],
    ['a foreign file', Buffer.alloc(10_000, 'x'), 'is no state page'],
    ['a future one', Buffer.concat([Buffer.from('OOMBSTOP\x09\0\0\0'), Buffer.alloc(9000)]), 'has layout version 9'],
  ])('refuses %s, says so, and keeps it aside', (_what, left, why) => {
    const dir = directory();
    writeFileSync(stateOf(dir), left);
    const { log, lines } = recordingLog();
    expect(opened(dir).take(page(), log)).toBe(0);
    expect(lines[0]).toContain(`warn: ${stateOf(dir)} ${why}`);
    expect(lines[0]).toContain('refused, and all counters begin at 0');
    expect(lines[1]).toBe('warn: it is kept as state.old');
    expect(readFileSync(path.join(dir.path, 'state.old'))).toEqual(left);
    expect(look(dir)).toMatchObject({ length: PAGE_BYTES, starts: 1 });
  });

  it('of the earlyoom persona is begun anew without a word', () => {
    const dir = directory();
    writeFileSync(stateOf(dir), 'x');
    expect(opened(dir).take(page(), null)).toBe(0);
    expect(look(dir).starts).toBe(1);
  });

  it('does not write through a link that somebody has put in the place of state.old', () => {
    const dir = directory();
    writeFileSync(stateOf(dir), 'x');
    symlinkSync(path.join(dir.path, 'elsewhere'), path.join(dir.path, 'state.old'));
    const { log, lines } = recordingLog();
    expect(opened(dir).take(page(), log)).toBe(0);
    expect([lines.length, existsSync(path.join(dir.path, 'elsewhere'))]).toEqual([1, false]);
  });

  it('survives that somebody cuts the file: no SIGBUS, and the next write is an ordinary one', () => {
    const dir = directory();
    const file = opened(dir);
    const mine = page();
    file.take(mine, null);
    truncateSync(stateOf(dir), 0);
    expect(file.write(mine)).toBe(0);
  });

  it.each([
    ['a link', (name: string) => symlinkSync('/dev/null', name), -ELOOP],
    ['a directory', (name: string) => mkdirSync(name), -EISDIR],
  ])('is not where %s is', (_what, put, expected) => {
    const dir = directory();
    put(stateOf(dir));
    expect(StateFile.in(dir)).toBe(expected);
  });

  it('is not where a pipe is', async () => {
    const dir = directory();
    const made = spawn('mkfifo', [stateOf(dir)]);
    await once(made, 'exit');
    expect(StateFile.in(dir)).toBe(-EIO);
  });
});

describe("another guard's state page", () => {
  /** A process that has the page until it is killed. */
  async function other(dir: RuntimeDir): Promise<ChildProcess> {
    const program = bundled(`
      import { openSync } from 'node:fs';
      import { StateFile } from './src/guard/state-file.js';
      import { AT, PageWriter } from './src/state/page-writer.js';
      const page = new PageWriter('other');
      page.add(AT.startsTotal, 10);
      const path = ${JSON.stringify(dir.path)};
      console.log(StateFile.in({ path, fd: openSync(path, 'r') }).take(page, null));
      setTimeout(() => undefined, 60_000);
    `);
    const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [said] = await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
    expect(String(said)).toBe('0\n');
    return child;
  }

  it('is left alone, and taken over once that guard has ended', async () => {
    const dir = directory();
    const child = await other(dir);
    const before = readFileSync(stateOf(dir));
    const file = opened(dir);
    const mine = page();
    expect(file.take(mine, null)).toBe(child.pid);
    expect([file.isOurs, readFileSync(stateOf(dir))]).toEqual([false, before]);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    expect([file.take(mine, null), file.isOurs]).toEqual([0, true]);
    expect(look(dir).starts).toBe(11);
  });
});

describe('when system calls fail', () => {
  /** Of one write: the odd sequence, the numbers, the ring, the even sequence. */
  it.each([0, 1, 2, 3].flatMap((call) => [-ENOSPC, -EIO, 1].map((result) => [call, result] as const)))(
    'a write whose call %i gives %i is not done, and the next one is',
    (call, result) => {
      const dir = directory();
      const file = opened(dir);
      const mine = page();
      file.take(mine, null);
      mine.ringHasChanged = true;
      faults.calls = 0;
      faults.pwrite.set(call, result);
      expect(file.write(mine)).toBe(result === 1 ? -EIO : result);
      faults.pwrite.clear();
      mine.add(AT.ticksTotal, 7);
      expect(file.write(mine)).toBe(0);
      const { sequence, number } = look(dir);
      expect([sequence % 2, number('ticksTotal'), mine.ringHasChanged]).toEqual([0, 7, false]);
    },
  );

  it('a page that can never be written is no page', () => {
    const file = opened(directory());
    faults.pwrite.set(0, -ENOSPC);
    expect([file.take(page(), null), file.isOurs]).toEqual([-ENOSPC, false]);
  });

  it.each([-ENOMEM, -EACCES])('a page that can not be locked (%i) is written all the same', (refused) => {
    const file = opened(directory());
    faults.keep = refused;
    const mine = page();
    expect([file.take(mine, null), file.write(mine)]).toEqual([0, 0]);
  });

  it('an older page that can not be read is refused', () => {
    const dir = directory();
    opened(dir).take(page(3), null);
    faults.pread = -EIO;
    const { log, lines } = recordingLog();
    expect(opened(dir).take(page(), log)).toBe(0);
    expect(lines[0]).toContain("can't be read: Input/output error: refused");
  });

  it('a directory that is gone is said by -errno', () => {
    expect(StateFile.in({ path: '/nowhere', fd: 99_999 })).toBe(-EBADF);
  });
});

it('nowhere takes everything and keeps nothing', () => {
  const file = StateFile.nowhere();
  expect([file.write(page()), file.isOurs]).toEqual([0, true]);
});

it('a file that another user has is not touched', async () => {
  const dir = directory();
  chmodSync(dir.path, 0o755);
  const program = bundled(`
    import { openSync } from 'node:fs';
    import { StateFile } from './src/guard/state-file.js';
    const path = ${JSON.stringify(dir.path)};
    console.log(StateFile.in({ path, fd: openSync(path, 'r') }));
  `);
  opened(dir).take(page(), null);
  chmodSync(path.dirname(program), 0o755);
  const { stdout } = await run('setpriv', ['--reuid', '65534', '--clear-groups', process.execPath, program]);
  expect(stdout).toBe(`${-EACCES}\n`);
});
