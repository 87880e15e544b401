/* The seqlock's reader, on files. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { PAGE_BYTES, SEQUENCE_AT, STATE_FILE } from '../../../src/state/layout.js';
import { type PageFileRead, readPageFile } from '../../../src/state/page-file.js';
import { runtimeDirWith } from '../../support/runtime-dir.js';
import { statePage } from '../../support/state-page.js';

const outcome = (read: PageFileRead): string => ('page' in read ? 'read' : read.refused.kind);

/** fs.readSync, with the sequence number that each call of a list is to find; the last one stays. */
function readingSequences(...sequences: number[]): { read: typeof readSync; calls: () => number } {
  let calls = 0;
  const read = (fd: number, bytes: Buffer, offset: number, length: number, position: number): number => {
    const done = readSync(fd, bytes, offset, length, position);
    bytes.writeUInt32LE(sequences[Math.min(calls++, sequences.length - 1)] as number, SEQUENCE_AT);
    return done;
  };
  return { read: read as typeof readSync, calls: () => calls };
}

it('a page that nobody writes to is read at once', () => {
  const { read, calls } = readingSequences(4);
  expect(outcome(readPageFile(runtimeDirWith(statePage()), read))).toBe('read');
  expect(calls()).toBe(3);
});

it.each<[string, number[], number]>([
  ['odd at first', [5, 5, 6], 5],
  ['changed between the first look and the page', [4, 6], 6],
  ['changed behind the page', [4, 4, 6], 6],
  ['written while it was read', [4, 5, 6], 5],
])('%s: it is read once more', (_, sequences, expectedCalls) => {
  const { read, calls } = readingSequences(...sequences);
  expect(outcome(readPageFile(runtimeDirWith(statePage()), read))).toBe('read');
  expect(calls()).toBe(expectedCalls);
});

it.each([
  ['a page that stays torn', (calls: number) => calls * 0 + 7],
  ['a page that is written again and again', (calls: number) => calls * 2],
])('%s: it gives up', (_, sequence) => {
  let calls = 0;
  const read = (fd: number, bytes: Buffer, offset: number, length: number, position: number): number => {
    const done = readSync(fd, bytes, offset, length, position);
    bytes.writeUInt32LE(sequence(calls++), SEQUENCE_AT);
    return done;
  };
  expect(outcome(readPageFile(runtimeDirWith(statePage()), read as typeof readSync))).toBe('torn');
  expect(calls).toBeLessThan(100);
});

it('an error while reading is a refusal that names it', () => {
  const failing = (() => {
    throw Object.assign(new Error('no'), { code: 'EIO' });
  }) as typeof readSync;
  expect(readPageFile(runtimeDirWith(statePage()), failing)).toMatchObject({
    refused: { kind: 'unreadable', code: 'EIO', why: 'cannot be read (EIO)' },
  });
});

it('a read that gets less is a short page', () => {
  const halving = ((fd: number, bytes: Buffer, offset: number, length: number, position: number) =>
    readSync(fd, bytes, offset, Math.min(length, PAGE_BYTES / 2), position)) as typeof readSync;
  expect(outcome(readPageFile(runtimeDirWith(statePage()), halving))).toBe('short');
});

it.each<[string, string, (file: string) => void]>([
  ['no file', 'missing', () => undefined],
  ['a directory', 'foreign', (file) => mkdirSync(file)],
  ['a FIFO, which nobody writes to', 'foreign', (file) => execFileSync('mkfifo', [file])],
  ['a link, wherever it leads', 'unreadable', (file) => symlinkSync('/etc/passwd', file)],
])('%s: %s', (_, kind, make) => {
  const directory = runtimeDirWith(null);
  make(path.join(directory, STATE_FILE));
  expect(outcome(readPageFile(directory))).toBe(kind);
});

it('no directory: missing; a directory that is a file: missing', () => {
  expect(outcome(readPageFile('/nowhere'))).toBe('missing');
  expect(outcome(readPageFile('/dev/null'))).toBe('missing');
});
