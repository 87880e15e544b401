/*
 * What kills could give back: a walk through all processes with one file of each (statm), and the rest of those few that
 * would be large enough. One row for all of them, because nobody is compared with anybody.
 */

import { whyNot } from '../decide/ranking.js';
import type { KillYield } from '../decide/shared-memory.js';
import type { PidFiles } from '../sample/pid-files.js';
import { PidWalk } from '../sample/pid-walk.js';
import type { ProcessScan } from '../sample/process-scan.js';
import { CandidateTable, UNKNOWN } from '../shared/candidates.js';
import type { SelectionPolicy } from '../shared/selection.js';
import type { ProcessList } from './process-list.js';

export class KillSurvey {
  /** What the last `look` has found. `largestKib` is exact only as to whether it is enough. */
  readonly found: KillYield = { sumKib: 0, largestKib: 0 };
  private readonly table = new CandidateTable(1);

  private constructor(
    private readonly pids: PidWalk,
    private readonly scan: ProcessScan,
    private readonly policy: SelectionPolicy,
    private readonly setAside: ProcessList,
  ) {}

  /** Returns -errno if the directory can't be opened once more. */
  static open(files: PidFiles, scan: ProcessScan, policy: SelectionPolicy, setAside: ProcessList): KillSurvey | number {
    const directory = files.reopen();
    if (typeof directory === 'number') return directory;
    return new KillSurvey(new PidWalk(directory.directoryFd), scan, policy, setAside);
  }

  /** Looks at all processes. Who has less than `neededKib` is not asked whether it may be killed at all. */
  look(neededKib: number): void {
    const { found, table, pids } = this;
    found.sumKib = 0;
    found.largestKib = 0;
    if (pids.restart() < 0) return;
    for (let pid = pids.next(); pid > 0; pid = pids.next()) {
      table.clear();
      const row = this.scan.addMemory(table, pid);
      if (row === -1 || table.anonKib[row] === UNKNOWN) continue;
      found.sumKib += table.anonKib[row] as number;
      const rssKib = this.scan.residentKib;
      if (rssKib > found.largestKib && (rssKib < neededKib || this.mayBeKilled(row))) found.largestKib = rssKib;
    }
  }

  private mayBeKilled(row: number): boolean {
    const { table } = this;
    this.scan.complete(table, row);
    if (this.setAside.has(table.pid[row] as number, table.startTimeTicks[row] as number)) return false;
    return whyNot(table, row, this.policy) === null;
  }
}
