/* Selections on made trees. */
import { onTestFinished } from 'vitest';
import { close } from '../../../native-shims/files.js';
import { ProcessList } from '../../../src/guard/process-list.js';
import { Selector } from '../../../src/guard/selector.js';
import { Matchers } from '../../../src/sample/matchers.js';
import { PidFiles } from '../../../src/sample/pid-files.js';
import { ProcessScan, type ScanOptions } from '../../../src/sample/process-scan.js';
import { type Matching, NO_MATCHING } from '../../../src/shared/matching.js';
import { EARLYOOM_SELECTION, type SelectionPolicy } from '../../../src/shared/selection.js';
import { type FakeProcess, procTree } from '../../support/proc-tree.js';

export interface Setup extends Partial<Omit<ScanOptions, 'matchers'>>, Partial<SelectionPolicy> {
  matching?: Matching;
  setAside?: ProcessList;
  isChild?: (pid: number) => boolean;
}

/** Memory and swap of the tree. */
export const MACHINE_KIB = 18_000_000;

export function selectorOf(processes: readonly FakeProcess[], setup: Setup = {}): Selector {
  const files = PidFiles.open(procTree(processes));
  if (typeof files === 'number') throw new Error(`no tree: ${files}`);
  onTestFinished(() => void close(files.directoryFd));
  const {
    rankBy = 'oom_score',
    ignoreRootUser = false,
    floorKib = 0,
    onlyUid = -1,
    swapCounts = false,
    setAside = new ProcessList(),
    isChild = () => false,
    matching = NO_MATCHING,
    ...scan
  } = setup;
  const options = {
    prefer: null,
    avoid: null,
    ignore: null,
    wayIn: null,
    matchers: Matchers.of(files, matching),
    needUid: ignoreRootUser || onlyUid !== -1,
    selfPid: null,
    ...scan,
  };
  return new Selector(
    files,
    new ProcessScan(files, options, { isChild }),
    { ...EARLYOOM_SELECTION, rankBy, ignoreRootUser, floorKib, onlyUid, swapCounts, machineKib: MACHINE_KIB },
    setAside,
    null,
    { swapTotalKib: 2_000_000, swapFreeKib: 1_500_000 },
  );
}

/** The pid that would be killed, or -1. */
export function victimOf(processes: readonly FakeProcess[], setup: Setup = {}): number {
  const selector = selectorOf(processes, setup);
  const row = selector.select();
  return row === -1 ? -1 : (selector.table.pid[row] as number);
}
