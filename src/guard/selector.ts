/*
 * Finds the victim: scan, rank, complete, copy. The one way to it, for the guard and for `rank`.
 *
 * oom_score_adj is not read for everybody, only for whoever leads: a leader that turns out to be
 * exempt (-1000) or gone is marked by that, and the next one leads.
 */
import type { Group } from '../act/target.js';
import { groupRows, groupTargets } from '../decide/process-group.js';
import { outranks, pickVictim, whyNot } from '../decide/ranking.js';
import { joinCmdline } from '../kernel/pid-name.js';
import type { Log } from '../report/log.js';
import { sayCandidate, sayCandidatesHead } from '../report/messages.js';
import { PID_CMDLINE, type PidFiles } from '../sample/pid-files.js';
import type { ProcessScan } from '../sample/process-scan.js';
import { CandidateTable, MARK_SET_ASIDE, NAME_BYTES } from '../shared/candidates.js';
import type { SelectionPolicy } from '../shared/selection.js';
import type { Victim } from '../shared/victim.js';
import type { ProcessList } from './process-list.js';

export class Selector {
  readonly table = new CandidateTable();

  /** @param setAside  processes that are passed over: they did not die when they should have */
  constructor(
    private readonly files: PidFiles,
    private readonly scan: ProcessScan,
    private readonly policy: SelectionPolicy,
    private readonly setAside: ProcessList,
  ) {}

  /** Fills the table with every fact of every process. Returns 0 or -errno. */
  scanAll(): number {
    const result = this.scanForVictim();
    for (let row = 0; row < this.table.count; row++) this.scan.complete(this.table, row);
    return result;
  }

  /** The victim's row, or -1 if there is none, in a table that holds what the ranking needs. */
  select(): number {
    if (this.scanForVictim() < 0) return -1;
    for (;;) {
      const row = pickVictim(this.table, this.policy);
      if (row === -1) return -1;
      this.scan.complete(this.table, row);
      if (whyNot(this.table, row, this.policy) === null) return row;
    }
  }

  /** Copies what is to be known of the process in `row`. */
  describe(row: number, victim: Victim): void {
    const { table } = this;
    victim.pid = table.pid[row] as number;
    victim.startTimeTicks = table.startTimeTicks[row] as number;
    victim.uid = Math.max(-1, table.uid[row] as number);
    victim.oomScore = table.oomScore[row] as number;
    victim.oomScoreAdj = table.oomScoreAdj[row] as number;
    victim.rssKib = table.rssKib[row] as number;
    victim.nameLength = table.nameLength(row);
    for (let i = 0; i < victim.nameLength; i++) victim.name[i] = table.names[row * NAME_BYTES + i] as number;
    const length = this.files.read(victim.pid, PID_CMDLINE, victim.cmdline);
    victim.cmdlineLength = joinCmdline(victim.cmdline, Math.max(0, length));
  }

  /** What dies with the process in `row` under -g. */
  groupOf(row: number): Group {
    for (const member of groupRows(this.table, this.table.pgrp[row] as number)) this.scan.complete(this.table, member);
    const { pgid, rows } = groupTargets(this.table, row, this.policy);
    const members = rows.map((member) => ({
      pid: this.table.pid[member] as number,
      startTimeTicks: this.table.startTimeTicks[member] as number,
    }));
    return { pgid, members };
  }

  /** Writes the table to the debug log, as earlyoom does: in the order of /proc, each new leader pointed out. */
  debug(log: Log): void {
    sayCandidatesHead(log);
    let victim = -1;
    for (let row = 0; row < this.table.count; row++) {
      this.scan.complete(this.table, row);
      const eligible = whyNot(this.table, row, this.policy) === null;
      const leads = eligible && (victim === -1 || outranks(this.table, row, victim, this.policy));
      if (leads) victim = row;
      sayCandidate(log, this.table, row, leads);
    }
  }

  private scanForVictim(): number {
    const result = this.scan.scan(this.table);
    for (let row = 0; row < this.table.count; row++) {
      const known = this.setAside.has(this.table.pid[row] as number, this.table.startTimeTicks[row] as number);
      if (known) this.table.mark(row, MARK_SET_ASIDE);
    }
    return result;
  }
}
