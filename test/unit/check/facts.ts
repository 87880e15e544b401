/* Facts of a machine where nothing is to be found fault with, and processes for it. */
import type { Call, Facts } from '../../../src/check/facts.js';
import { examineGuardOptions } from '../../../src/cli/guard-options.js';
import type { GuardOptions, Persona } from '../../../src/shared/options.js';
import type { RankedProcess } from '../../../src/shared/ranked-process.js';
import { recordingLog } from '../recording-log.js';

const WORKS: Call = { state: 'works', error: null };
export const ABSENT: Call = { state: 'absent', error: 'Function not implemented' };
export const REFUSED: Call = { state: 'refused', error: 'Operation not permitted' };

export const MIB = 1048576;

/** A process that can be killed, named after its pid. */
export function ranked(pid: number, facts: Partial<RankedProcess> = {}): RankedProcess {
  return {
    pid,
    uid: 1000,
    name: `p${pid}`,
    cmdline: `/usr/bin/p${pid}`,
    oomScore: 600,
    oomScoreAdj: 0,
    rssKib: 10_240,
    anonKib: 9_000,
    swapKib: 0,
    score: 600,
    eligible: true,
    reason: null,
    match: null,
    matches: [],
    ...facts,
  };
}

/** A rule for the machine. */
export const NO_RULE = {
  name: 'r',
  words: 'w',
  cgroup: null,
  whole: false,
  matches: null,
  unreadable: 0,
  unkillable: 0,
};

/** A machine of 16 GB, 15,000,000 KiB of it user memory, without swap. */
export const GOOD: Facts = {
  memory: {
    memTotalKib: 16_000_000,
    memAvailableKib: 12_000_000,
    anonPagesKib: 3_000_000,
    swapTotalKib: 0,
    swapFreeKib: 0,
  },
  live: true,
  pressure: { readError: null, windowMs: 500, triggerError: null },
  cgroup: {
    mountPoint: '/sys/fs/cgroup',
    memoryController: true,
    memoryPressure: true,
    kill: true,
    memoryLimitBytes: null,
  },
  calls: {
    pidfdOpen: WORKS,
    pidfdSendSignal: WORKS,
    processMrelease: WORKS,
    mlock2: WORKS,
    closeRange: WORKS,
  },
  privileges: {
    uid: 0,
    kill: true,
    ipcLock: true,
    memlockLimitBytes: 8 * MIB,
    lockableBytes: 100 * MIB,
  },
  hiding: { pid1Visible: true, hidepid: null },
  swapAreas: [],
  zswapEnabled: false,
  arc: null,
  vm: { overcommitMemory: 0, panicOnOom: 0, oomKillAllocatingTask: 0 },
  ranking: [ranked(100)],
  patterns: [],
  exeError: null,
  hooks: [],
  rules: [{ ...NO_RULE, name: 'thrashing', words: 'SIGTERM to the largest process' }],
  sysrqError: null,
};

/** With 2,000,000 KiB of swap on a disk. */
export const WITH_SWAP: Facts = {
  ...GOOD,
  memory: { ...GOOD.memory, swapTotalKib: 2_000_000, swapFreeKib: 1_500_000 },
  swapAreas: [{ name: '/dev/sda2', sizeKib: 2_000_000, usedKib: 500_000 }],
};

/** The options of a command line that has no mistake. */
export function optionsOf(args: readonly string[], persona: Persona = 'oom-backstop', facts = GOOD): GuardOptions {
  const { options, mistakes } = examineGuardOptions(args, persona, recordingLog().log, () => facts.memory);
  if (mistakes.length > 0) throw new Error(mistakes.join('\n'));
  return options;
}
