import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { expect, it, onTestFinished } from 'vitest';
import { clearAmbientCapabilities, pageSize, setNiceness, setProcessName } from '../../../native-shims/priority.js';

const comm = (): string => readFileSync('/proc/self/comm', 'utf8').slice(0, -1);

it('pageSize is what getconf says', () => {
  expect(pageSize()).toBe(Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' })));
});

it('setProcessName sets the comm, 15 bytes of it', () => {
  const before = comm();
  onTestFinished(() => void setProcessName(before));
  expect([setProcessName('earlyoom'), comm()]).toEqual([0, 'earlyoom']);
  expect([setProcessName('0123456789abcdefgh'), comm()]).toEqual([0, '0123456789abcde']);
});

it('clearAmbientCapabilities leaves none', () => {
  expect(clearAmbientCapabilities()).toBe(0);
  expect(readFileSync('/proc/thread-self/status', 'utf8')).toMatch(/^CapAmb:\t0+$/m);
});

it('setNiceness says 0 when it has set it', () => {
  expect(setNiceness(getPriority())).toBe(0);
});
