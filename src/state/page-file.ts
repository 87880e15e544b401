/*
 * Reads the state page's file as its seqlock asks for: the sequence number, the page, the sequence number again, and once more while
 * it has changed. Bounded: a guard that died while it wrote leaves a page that stays torn, and a reader that waits for it would hang.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import { PAGE_BYTES, STATE_FILE } from './layout.js';
import { type PageRead, type Refusal, readStatePage, sequenceOf } from './page-reader.js';

/** A write takes some microseconds, unless the guard loses its processor meanwhile: then it goes on within some milliseconds, or is not alive. */
const TRIES = 20;
const BETWEEN_TRIES_MS = 1;

/** Why there is no page: refused by what it holds, or the file can't be read. */
export type PageFailure = Refusal | { kind: 'missing' | 'unreadable'; why: string; code: string };
export type PageFileRead = PageRead | { refused: PageFailure };

export function statePath(directory: string): string {
  return path.join(directory, STATE_FILE);
}

/**
 * Reads the page in `directory`, opened anew each time: a guard that starts may put a new file in the place of the old one.
 * @param read  reads like fs.readSync: for tests
 */
export function readPageFile(directory: string, read: typeof readSync = readSync): PageFileRead {
  let fd = -1;
  try {
    // Whatever is put there, opening it must not wait (a FIFO) nor lead elsewhere.
    fd = openSync(statePath(directory), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    if (!fstatSync(fd).isFile()) return { refused: { kind: 'foreign', why: 'not a regular file' } };
    return untorn(fd, read);
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    const kind = code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : 'unreadable';
    return { refused: { kind, why: WHY[code] ?? `cannot be read (${code})`, code } };
  } finally {
    if (fd !== -1) closeSync(fd);
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'is not there',
  ENOTDIR: 'is not there',
  EACCES: 'cannot be read: permission denied',
  ELOOP: 'is a symbolic link',
};

function untorn(fd: number, read: typeof readSync): PageFileRead {
  const bytes = Buffer.alloc(PAGE_BYTES);
  for (let tries = 0; tries < TRIES; tries++) {
    const before = sequenceNow(fd, read);
    const length = read(fd, bytes, 0, PAGE_BYTES, 0);
    const result = readStatePage(bytes.subarray(0, length));
    const torn = 'refused' in result && result.refused.kind === 'torn';
    if (!torn && before === sequenceNow(fd, read)) return result;
    // Blocks: 20 ms at worst, for readers that have nothing more urgent to do.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BETWEEN_TRIES_MS);
  }
  return {
    refused: {
      kind: 'torn',
      why: `is being written each of ${TRIES} times that it was read: its guard has died while it wrote, or is stopped`,
    },
  };
}

function sequenceNow(fd: number, read: typeof readSync): number | null {
  const head = Buffer.alloc(32);
  return sequenceOf(head.subarray(0, read(fd, head, 0, head.length, 0)));
}
