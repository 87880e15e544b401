import { describe, expect, it } from 'vitest';
import type { Log } from '../../../src/report/log.js';
import * as messages from '../../../src/report/messages.js';
import { CandidateTable, NAME_BYTES } from '../../../src/shared/candidates.js';
import { LEVEL_KILL, LEVEL_TERM } from '../../../src/shared/limits.js';
import { emptyVictim } from '../../../src/shared/victim.js';
import { recordingLog } from '../recording-log.js';

const MIB = 1024;

/* The numbers of the examples in earlyoom's README. */
const MEMORY = {
  memTotalKib: 23890 * MIB,
  memAvailableKib: 20012 * MIB + 1023,
  anonPagesKib: 1689 * MIB,
  swapTotalKib: 8191 * MIB,
  swapFreeKib: 5251 * MIB,
};
const LIMITS = { memTermPercent: 10, memKillPercent: 5, swapTermPercent: 100, swapKillPercent: 50 };
const NO_SWAP = { ...MEMORY, memAvailableKib: 500 * MIB, swapTotalKib: 0, swapFreeKib: 0 };

const VICTIM = {
  ...emptyVictim(),
  pid: 7378,
  uid: 1000,
  oomScore: 156,
  oomScoreAdj: -100,
  rssKib: 4962 * MIB + 5,
  name: Buffer.from('ta"il\n----------'),
  nameLength: 6,
  cmdline: Buffer.from('tail /dev/zero-----'),
  cmdlineLength: 14,
};

function oneCandidate(): CandidateTable {
  const table = new CandidateTable();
  table.add(3);
  const row = table.add(7378);
  Buffer.from('tail\0').copy(table.names, row * NAME_BYTES);
  Object.assign(table.oomScore, { [row]: 156 });
  Object.assign(table.rssKib, { [row]: 5080 });
  Object.assign(table.uid, { [row]: 1000 });
  Object.assign(table.oomScoreAdj, { [row]: 0 });
  return table;
}

describe("earlyoom's lines, to the letter", () => {
  it.each<[string, (log: Log) => void, string[]]>([
    [
      'the memory report',
      (log) => messages.sayMemory(log, 'report', MEMORY),
      ['report: mem avail: 20012 of 21701 MiB (92.22%), swap free: 5251 of 8191 MiB (64.11%)'],
    ],
    [
      'the memory report, small numbers right-aligned, without swap',
      (log) => messages.sayMemory(log, 'warn', NO_SWAP),
      ['warn: mem avail:   500 of  2189 MiB (22.84%), swap free:    0 of    0 MiB ( 0.00%)'],
    ],
    [
      'the totals and limits',
      (log) => messages.sayLimits(log, MEMORY, LIMITS),
      [
        'start: mem total: 23890 MiB, user mem total: 21701 MiB, swap total: 8191 MiB',
        'start: sending SIGTERM when mem avail <= 10.00% and swap free <= 100.00%,',
        'start:         SIGKILL when mem avail <=  5.00% and swap free <= 50.00%',
      ],
    ],
    [
      'the SIGTERM limits reached',
      (log) => messages.sayLowMemory(log, LEVEL_TERM, LIMITS),
      ['warn: low memory! at or below SIGTERM limits: mem 10.00%, swap 100.00%'],
    ],
    [
      'the SIGKILL limits reached',
      (log) => messages.sayLowMemory(log, LEVEL_KILL, LIMITS),
      ['warn: low memory! at or below SIGKILL limits: mem  5.00%, swap 50.00%'],
    ],
    [
      'the kill, of a process that tries to fake a line',
      (log) => messages.saySending(log, 'SIGTERM', VICTIM),
      [
        'warn: sending SIGTERM to process 7378 uid 1000 "ta\\"il\\n": oom_score 156, oom_score_adj -100, VmRSS 4962 MiB, cmdline "tail /dev/zero"',
      ],
    ],
    ['the exit', (log) => messages.sayExited(log, 7378, 100), ['warn: process 7378 exited after 0.100 seconds']],
    [
      'the escalation',
      (log) => messages.sayEscalating(log, 500.4),
      ['warn: escalating to SIGKILL after 0.500 seconds'],
    ],
    ['no exit', (log) => messages.sayDidNotExit(log, 7378), ['warn: process 7378 did not exit']],
    ['no kill', (log) => messages.sayKillFailed(log, 'Timer expired'), ['warn: kill failed: Timer expired']],
    [
      'the debug table, under its head',
      (log) => {
        messages.sayCandidatesHead(log);
        messages.sayCandidate(log, oneCandidate(), 1, true);
        messages.sayCandidate(log, oneCandidate(), 0, false);
      },
      [
        'debug:   PID OOM_SCORE  RSSkiB   UID OOM_SCORE_ADJ  COMM',
        'debug:  7378       156    5080  1000             0 "tail" <--- new victim',
        'debug:     3     -9999   -9999 -9999         -9999 ""',
      ],
    ],
  ])('%s', (_case, say, expected) => {
    const { log, lines } = recordingLog();
    say(log);
    expect(lines).toEqual(expected);
  });
});
