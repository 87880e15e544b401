import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  sayEscalatingByRule,
  sayEscalatingWhy,
  sayFutile,
  sayGaveBack,
  sayHoldsBack,
  sayStuck,
} from '../../../src/report/aftermath-messages.js';
import type { Log } from '../../../src/report/log.js';
import { TmpfsUsage } from '../../../src/sample/tmpfs-usage.js';
import { procTree } from '../../support/proc-tree.js';
import { recordingLog } from '../recording-log.js';

const MIB = 1024;

function said(say: (log: Log) => void): string[] {
  const { log, lines } = recordingLog();
  say(log);
  return lines;
}

describe('after a kill', () => {
  it.each([
    ['enough', 598, 9, 'warn: it gave back 598 of 602 MiB'],
    ['taken', 3, 700, 'warn: it gave back 3 of 602 MiB: others may have taken it, 700 MiB were given out'],
    ['little', 3, 9, 'warn: it gave back 3 of 602 MiB: another process shares its memory, or the kernel holds it'],
  ] as const)('%s', (verdict, gaveBack, allocated, expected) => {
    expect(said((log) => sayGaveBack(log, gaveBack * MIB, 602 * MIB, verdict, allocated * MIB))).toEqual([expected]);
  });

  it('what holds the guard back', () => {
    expect(said((log) => sayHoldsBack(log, 396 * MIB))).toEqual([
      "warn: memory comes back: nobody else is killed for now (396 MiB are free on CPUs' own lists)",
    ]);
  });

  it('why SIGKILL, and who is beyond it', () => {
    expect(said((log) => sayEscalatingWhy(log, 500, true, 10_000))).toEqual([
      'warn: escalating to SIGKILL after 0.500 seconds: memory is at or below the SIGKILL limits',
    ]);
    expect(said((log) => sayEscalatingWhy(log, 3004, false, 3000))).toEqual([
      'warn: escalating to SIGKILL after 3.004 seconds: SIGTERM was ignored for 3.000 seconds (kill_after)',
    ]);
    expect(said((log) => sayEscalatingByRule(log, 250))).toEqual([
      'warn: escalating to SIGKILL after 0.250 seconds: tasks still stall for memory (PSI rule)',
    ]);
    expect(said((log) => sayStuck(log, 42))).toEqual([
      'warn: process 42 is stuck in the kernel (state D): it is put aside, and others are chosen',
    ]);
  });
});

describe('when no kill would help', () => {
  function usage(mountPoint: string): TmpfsUsage {
    const root = procTree([]);
    mkdirSync(path.join(root, 'self'));
    writeFileSync(path.join(root, 'self/mountinfo'), `24 1 0:2 / ${mountPoint} rw - tmpfs tmpfs rw\n`);
    const tmpfs = new TmpfsUsage(root);
    tmpfs.read();
    return tmpfs;
  }

  it('where it is, what is elsewhere, and what the guard does', () => {
    const tmpfs = usage('/');
    tmpfs.usedKib[0] = 800 * MIB;
    tmpfs.totalKib = 800 * MIB;
    expect(said((log) => sayFutile(log, 1000 * MIB, 90 * MIB, tmpfs))).toEqual([
      'warn: no kill would help: 1000 MiB are tmpfs and shared memory, all processes together would give back 90 MiB',
      'warn: tmpfs / holds 800 MiB',
      'warn: shared memory elsewhere: 200 MiB (System V segments, memfd, shared mappings, tmpfs of other mount namespaces)',
      'warn: killing is paused until that changes; at or below the SIGKILL limits one kill is tried',
    ]);
  });

  it('mounts that hold next to nothing are not named', () => {
    const tmpfs = usage('/proc');
    const lines = said((log) => sayFutile(log, 1000 * MIB, 90 * MIB, tmpfs));
    expect(lines.filter((line) => line.startsWith('warn: tmpfs'))).toEqual([]);
  });
});
