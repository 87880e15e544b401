/* Real calls. What would hurt the process that runs the tests (dropping, locking its files) is in ../guard/lock.test.ts. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { close, O_RDONLY, O_WRONLY, open } from '../../../native-shims/files.js';
import { addressOf, cString, declare, fixedBuffer } from '../../../native-shims/libc.js';
import {
  dropPages,
  keepFileInMemory,
  lockBuffer,
  lockOnFault,
  memlockLimit,
  setDumped,
} from '../../../native-shims/memory.js';
import { pageSize } from '../../../native-shims/priority.js';

const [EBADF, ENOMEM, EACCES, EINVAL, ENODEV] = [9, 12, 13, 22, 19];
const PAGE = pageSize();
const PAGES = 4;

const munlock = declare('int munlock(uintptr_t address, size_t length)');

/** Whole pages in a buffer that never moves: the buffer of just these, and their address. */
function pages(): { bytes: Buffer; address: number } {
  const buffer = fixedBuffer((PAGES + 1) * PAGE);
  const offset = (PAGE - (Number(addressOf(buffer)) % PAGE)) % PAGE;
  const bytes = buffer.subarray(offset, offset + PAGES * PAGE);
  const address = Number(addressOf(bytes));
  onTestFinished(() => void munlock(address, bytes.length));
  return { bytes, address };
}

const lockedKib = (): number =>
  Number(/^VmLck:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? Number.NaN);

describe('dropPages', () => {
  it('gives pages back: those of no file are zeros afterwards', () => {
    const { bytes, address } = pages();
    bytes.fill(7);
    expect(dropPages(address + PAGE, PAGE)).toBe(0);
    expect([bytes[PAGE - 1], bytes[PAGE], bytes[2 * PAGE - 1], bytes[2 * PAGE]]).toEqual([7, 0, 0, 7]);
  });

  it('refuses what is no page, what is locked, and what is not mapped', () => {
    const { bytes, address } = pages();
    bytes.fill(7);
    expect(dropPages(address + 1, PAGE)).toBe(-EINVAL);
    expect(lockBuffer(bytes)).toBe(0);
    expect(dropPages(address, PAGE)).toBe(-EINVAL);
    expect(bytes.every((byte) => byte === 7)).toBe(true);
    // Page 0 is never mapped (vm.mmap_min_addr).
    expect(dropPages(0, PAGE)).toBe(-ENOMEM);
  });
});

it('setDumped splits a mapping where it differs, joins it where it is the same again, and touches no byte', () => {
  const { bytes, address } = pages();
  bytes.fill(7);
  const startsAt = (start: number): boolean =>
    readFileSync('/proc/self/maps', 'latin1').includes(`${start.toString(16).padStart(8, '0')}-`);
  expect([setDumped(address + PAGE, PAGE, false), startsAt(address + PAGE), startsAt(address + 2 * PAGE)]).toEqual([
    0,
    true,
    true,
  ]);
  expect([setDumped(address, PAGES * PAGE, true), startsAt(address + PAGE), startsAt(address + 2 * PAGE)]).toEqual([
    0,
    false,
    false,
  ]);
  expect(bytes.every((byte) => byte === 7)).toBe(true);
  expect(setDumped(0, PAGE, false)).toBe(-ENOMEM);
  expect(setDumped(address + 1, PAGE, false)).toBe(-EINVAL);
});

describe('lockOnFault and lockBuffer', () => {
  it('lock whole pages, and the kernel counts them', () => {
    const before = lockedKib();
    const { bytes, address } = pages();
    expect(lockOnFault(address, PAGE)).toBe(0);
    expect(lockedKib() - before).toBe(PAGE / 1024);
    expect(lockBuffer(bytes.subarray(1, bytes.length - 1))).toBe(0);
    expect(lockedKib() - before).toBe((PAGES * PAGE) / 1024);
    bytes.fill(7);
  });

  it('a buffer of any length is fine, none included', () => {
    const buffer = fixedBuffer(1);
    const address = Number(addressOf(buffer));
    onTestFinished(() => void munlock(address - (address % PAGE), PAGE));
    expect(lockBuffer(buffer)).toBe(0);
    expect(lockBuffer(fixedBuffer(0))).toBe(0);
  });

  it('say with -errno what is wrong', () => {
    expect(lockOnFault(0, PAGE)).toBe(-ENOMEM);
    expect(lockOnFault(-PAGE, 2 * PAGE)).toBe(-EINVAL); // wraps around
    expect(lockOnFault(2 ** 47 - PAGE, PAGE)).toBe(-ENOMEM);
  });
});

it('memlockLimit is what ulimit says', () => {
  const kib = execFileSync('bash', ['-c', 'ulimit -S -l'], { encoding: 'utf8' }).trim();
  expect(memlockLimit()).toBe(kib === 'unlimited' ? Number.POSITIVE_INFINITY : Number(kib) * 1024);
});

describe('keepFileInMemory', () => {
  const file = (): string => {
    const directory = mkdtempSync('/dev/shm/oom-backstop-test-');
    onTestFinished(() => rmSync(directory, { recursive: true }));
    writeFileSync(`${directory}/page`, Buffer.alloc(PAGE));
    return `${directory}/page`;
  };
  const opened = (name: string, flags = O_RDONLY): number => {
    const fd = open(cString(name), flags);
    onTestFinished(() => void close(fd));
    return fd;
  };

  it('locks the file, and the kernel counts it', () => {
    const before = lockedKib();
    expect(keepFileInMemory(opened(file()), PAGE)).toBe(0);
    expect(lockedKib() - before).toBe(PAGE / 1024);
  });

  it('says with -errno what is wrong', () => {
    expect(keepFileInMemory(99_999, PAGE)).toBe(-EBADF);
    expect(keepFileInMemory(opened(file()), 0)).toBe(-EINVAL);
    // What can't be read can't be mapped; what is no file neither.
    expect(keepFileInMemory(opened(file(), O_WRONLY), PAGE)).toBe(-EACCES);
    expect(keepFileInMemory(opened('/dev/shm'), PAGE)).toBe(-ENODEV);
    // A file that is shorter has no page there: mlock(2) can't bring it in.
    expect(keepFileInMemory(opened(file()), 2 * PAGE)).toBe(-ENOMEM);
  });
});
