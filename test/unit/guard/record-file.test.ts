import { mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { EVENTS, INCIDENTS, RecordFile } from '../../../src/guard/record-file.js';
import { EVENT_FILE } from '../../../src/shared/event.js';
import { INCIDENT_FILE, OLDER_INCIDENT_FILE } from '../../../src/shared/incident.js';

function directory(): { path: string; fd: number } {
  const made = mkdtempSync('/dev/shm/oom-backstop-test-');
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return { path: made, fd: openSync(made, 'r') };
}

const add = (file: RecordFile, text: string): number => file.append(Buffer.from(text), text.length);
const text = (dir: string, name: string): string => readFileSync(path.join(dir, name), 'utf8');

it('adds lines, and the file is not for everybody to read', () => {
  const dir = directory();
  const file = RecordFile.in(dir, INCIDENTS);
  expect([add(file, 'a\n'), add(file, 'b\n')]).toEqual([0, 0]);
  expect(text(dir.path, INCIDENT_FILE)).toBe('a\nb\n');
  expect(statSync(file.path).mode & 0o777).toBe(0o640 & ~process.umask());
});

it('of events are for everybody to read, and have names of their own', () => {
  const dir = directory();
  expect(add(RecordFile.in(dir, EVENTS), 'a\n')).toBe(0);
  expect(readdirSync(dir.path)).toEqual([EVENT_FILE]);
  expect(statSync(path.join(dir.path, EVENT_FILE)).mode & 0o777).toBe(0o644 & ~process.umask());
});

it('is bounded: what does not fit starts a new file, and of two the older goes', () => {
  const dir = directory();
  const file = RecordFile.in(dir, INCIDENTS, 100);
  const line = (number: number): string => `${String(number).padStart(29, '0')}\n`;
  for (let number = 1; number <= 50; number++) {
    expect(add(file, line(number))).toBe(0);
    for (const name of readdirSync(dir.path)) expect(text(dir.path, name).length).toBeLessThanOrEqual(100);
  }
  expect(readdirSync(dir.path).sort()).toEqual([OLDER_INCIDENT_FILE, INCIDENT_FILE].sort());
  // Without a gap, and the last one last.
  const kept = (text(dir.path, OLDER_INCIDENT_FILE) + text(dir.path, INCIDENT_FILE)).match(/.{30}/gs);
  expect(kept).toEqual([46, 47, 48, 49, 50].map(line));
});

it('comes back after it was taken away', () => {
  const dir = directory();
  const file = RecordFile.in(dir, INCIDENTS);
  add(file, 'a\n');
  rmSync(file.path);
  expect(add(file, 'b\n')).toBe(0);
  expect(text(dir.path, INCIDENT_FILE)).toBe('b\n');
});

it('does not follow a link that somebody has put in its place', () => {
  const dir = directory();
  const elsewhere = path.join(dir.path, 'elsewhere');
  symlinkSync(elsewhere, path.join(dir.path, INCIDENT_FILE));
  expect(add(RecordFile.in(dir, INCIDENTS), 'a\n')).toBeLessThan(0);
  expect(readdirSync(dir.path)).not.toContain('elsewhere');
});

it('returns the error of what is no file', () => {
  const dir = directory();
  mkdirSync(path.join(dir.path, INCIDENT_FILE));
  expect(add(RecordFile.in(dir, INCIDENTS), 'a\n')).toBeLessThan(0);
});

it('nowhere takes everything and keeps nothing', () => {
  expect(add(RecordFile.nowhere(), 'a\n')).toBe(0);
});
