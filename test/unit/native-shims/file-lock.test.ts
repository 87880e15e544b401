import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { lockFile, lockHolder } from '../../../native-shims/file-lock.js';
import { close, O_RDONLY, O_RDWR, open } from '../../../native-shims/files.js';
import { cString } from '../../../native-shims/libc.js';
import { bundled } from '../../support/bundled.js';
import { own } from './fds.js';

const [EBADF, EAGAIN] = [9, 11];

function file(): string {
  const directory = mkdtempSync('/dev/shm/oom-backstop-test-');
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(path.join(directory, 'file'), 'x');
  return path.join(directory, 'file');
}

const openIt = (name: string, flags = O_RDWR): number => own(open(cString(name), flags));

/** A process that has the lock until it is killed. */
async function holder(name: string): Promise<ChildProcess> {
  const program = bundled(`
    import { lockFile } from './native-shims/file-lock.js';
    import { O_RDWR, open } from './native-shims/files.js';
    import { cString } from './native-shims/libc.js';
    console.log(lockFile(open(cString(${JSON.stringify(name)}), O_RDWR)));
    setTimeout(() => undefined, 60_000);
  `);
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [said] = await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
  expect(String(said)).toBe('0\n');
  return child;
}

it('a lock keeps other processes out and says who has it, and goes with its owner however he ends', async () => {
  const name = file();
  const fd = openIt(name);
  const child = await holder(name);
  expect([lockFile(fd), lockHolder(fd)]).toEqual([-EAGAIN, child.pid]);
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  expect([lockHolder(fd), lockFile(fd), lockFile(fd)]).toEqual([0, 0, 0]);
});

it('closing any fd of the file releases it: so a guard never reads its page by name', async () => {
  const name = file();
  const fd = openIt(name);
  expect(lockFile(fd)).toBe(0);
  close(open(cString(name), O_RDONLY));
  const child = await holder(name);
  expect(lockHolder(fd)).toBe(child.pid);
});

it('says with -errno what is wrong', () => {
  expect(lockFile(99_999)).toBe(-EBADF);
  expect(lockHolder(99_999)).toBe(-EBADF);
  // To be written to is what the lock is for.
  expect(lockFile(openIt(file(), O_RDONLY))).toBe(-EBADF);
});
