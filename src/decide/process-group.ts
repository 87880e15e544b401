/*
 * -g: which processes die with the victim. Pure.
 *
 * A signal to the whole group is one system call that nobody escapes by forking, so that is the rule. But
 * it would also hit members that must never be killed (the guard itself, oom_score_adj -1000, --ignore);
 * with one of those in the group, the others get the signal one by one. Groups 0 (its leader lives outside
 * this PID namespace) and 1 (init's) are never signalled as such: only the victim is.
 */
import type { CandidateTable } from '../shared/candidates.js';
import type { Reason, SelectionPolicy } from '../shared/selection.js';
import { whyNot } from './ranking.js';

export interface GroupTargets {
  /** The group to signal as a whole, or 0: signal the members. */
  pgid: number;
  /** Rows of the members that may be killed, the victim's among them. */
  rows: number[];
}

/** What to signal for the victim in `row`. All rows of its group must have been completed (oom_score_adj read). */
export function groupTargets(table: CandidateTable, row: number, policy: SelectionPolicy): GroupTargets {
  const pgrp = table.pgrp[row] as number;
  if (pgrp <= 1) return { pgid: 0, rows: [row] };
  const members = groupRows(table, pgrp);
  const rows = members.filter((member) => whyNot(table, member, policy) === null);
  const spared = members.some((member) => isSpared(whyNot(table, member, policy)));
  return { pgid: spared ? 0 : pgrp, rows };
}

/** Whether a signal would harm a process that must not be harmed; one that is dead anyway is not. */
function isSpared(reason: Reason | null): boolean {
  return reason !== null && reason !== 'dead' && reason !== 'set aside';
}

/** The rows of process group `pgrp`. */
export function groupRows(table: CandidateTable, pgrp: number): number[] {
  const rows: number[] = [];
  for (let row = 0; row < table.count; row++) if (table.pgrp[row] === pgrp) rows.push(row);
  return rows;
}
