/* Traces from plain lines. */
import { EARLYOOM_SELECTION } from '../../../src/shared/selection.js';
import type { TraceHeader, TracePolicy } from '../../../src/shared/trace.js';

export const POLICY: TracePolicy = {
  persona: 'oom-backstop',
  limits: { memTermPercent: 10, memKillPercent: 5, swapTermPercent: 100, swapKillPercent: 100 },
  selection: { ...EARLYOOM_SELECTION, floorKib: 4096, youngestFirst: true },
  patterns: { prefer: null, avoid: null, ignore: null },
  sparesWayIn: true,
  killGroup: false,
  killAfterMs: 10_000,
  kernelOom: false,
  dryrun: false,
  preHook: false,
};

export const HEADER: TraceHeader = {
  schema: 1,
  kind: 'trace',
  version: '0.1.0',
  startedUnixMs: 0,
  policy: POLICY,
  machine: { memTotalKib: 1_000_000, swapTotalKib: 0, kernel: '6.18', arch: 'x64' },
};

/** Of a million KiB of user memory so many per cent are available. */
const memoryAt = (percent: number): [number, number, number, number] => [
  percent * 10_000,
  1_000_000 - percent * 10_000,
  0,
  0,
];

export const look = (t: number, percent: number, more: object = {}): object => ({
  t,
  m: memoryAt(percent),
  p: 0,
  f: 2,
  ...more,
});

/** A process: pid, name, oom_score, what it would give back in KiB. */
export const row = (pid: number, name: string, oomScore: number, anonKib = 100_000): (number | string)[] => [
  pid,
  1,
  pid,
  0,
  83,
  1,
  oomScore,
  0,
  anonKib,
  anonKib,
  0,
  pid,
  128,
  0,
  name,
];

export const HOG = row(100, 'hog', 900);
export const OTHER = row(200, 'other', 800);
export const chosen = (percent: number, table: number, pid = 100, name = 'hog'): object => ({
  choice: { m: memoryAt(percent), pid, startTimeTicks: pid, name, table },
});

/** A kill by SIGTERM at 2 s, with a table at 1 s. */
export const KILL: object[] = [
  look(500_000, 50),
  look(1_000_000, 20),
  { t: 1_000_000, table: 1, part: 0, rows: [HOG, OTHER], last: true },
  look(1_500_000, 15),
  look(2_000_000, 9, { s: 'select' }),
  { t: 2_000_000, signal: 15 },
  look(2_005_000, 9, { p: 2 }),
  { t: 2_005_000, ...chosen(9, 2) },
  { t: 2_005_000, table: 2, part: 0, rows: [HOG], last: undefined },
  { t: 2_005_000, table: 2, part: 1, rows: [OTHER], last: true },
  look(2_020_000, 30, { p: 2, f: 3, s: 'exited' }),
  { t: 2_020_000, outcome: 'exited', errno: 0 },
  look(3_000_000, 30),
];

export const textOf = (lines: readonly object[], header: object = HEADER): string =>
  [header, ...lines].map((each) => `${JSON.stringify(each)}\n`).join('');
