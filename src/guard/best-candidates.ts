/*
 * The candidates that the selection was between: the ten best of a table, those included that were passed over, because "why
 * not the larger one?" is what people ask. Only row numbers are kept: no copies, no garbage.
 *
 * By what is known of each; who is among the ten is then completed by the caller, which may change a score (a name is
 * preferred) or give a reason, and put in order once more.
 */
import { outranks } from '../decide/ranking.js';
import { type CandidateTable, UNKNOWN } from '../shared/candidates.js';
import type { SelectionPolicy } from '../shared/selection.js';

export const BEST_MAX = 10;

const KTHREADD_PID = 2;

export class BestCandidates {
  count = 0;
  private readonly rows = new Int32Array(BEST_MAX);

  /** The table's row in this place, 0 being the best. */
  row(place: number): number {
    return this.rows[place] as number;
  }

  /** Finds them; `victim` is one of them whatever its place. */
  find(table: CandidateTable, policy: SelectionPolicy, victim: number): void {
    this.count = 0;
    for (let row = 0; row < table.count; row++) if (isRanked(table, row, policy)) this.insert(table, policy, row);
    this.keep(table, policy, victim);
  }

  /** The same ones by what is known of them now. */
  sort(table: CandidateTable, policy: SelectionPolicy): void {
    const { count } = this;
    this.count = 0;
    // Each is taken from where it stands before anything is written there.
    for (let place = 0; place < count; place++) this.insert(table, policy, this.row(place));
  }

  private keep(table: CandidateTable, policy: SelectionPolicy, victim: number): void {
    if (victim < 0) return;
    for (let place = 0; place < this.count; place++) if (this.rows[place] === victim) return;
    if (this.count === BEST_MAX) this.count--;
    this.insert(table, policy, victim);
  }

  private insert(table: CandidateTable, policy: SelectionPolicy, row: number): void {
    const { rows } = this;
    const full = this.count === BEST_MAX;
    if (full && !outranks(table, row, this.row(BEST_MAX - 1), policy)) return;
    let place = full ? BEST_MAX - 1 : this.count++;
    for (; place > 0 && outranks(table, row, this.row(place - 1), policy); place--) {
      rows[place] = rows[place - 1] as number;
    }
    rows[place] = row;
  }
}

/** Kernel threads, and those of which it is not known what they are compared by, stand for nothing. */
function isRanked(table: CandidateTable, row: number, policy: SelectionPolicy): boolean {
  if (table.ppid[row] === KTHREADD_PID || table.pid[row] === KTHREADD_PID) return false;
  const ranked = policy.rankBy === 'memory' ? table.anonKib : policy.rankBy === 'rss' ? table.rssKib : table.oomScore;
  return ranked[row] !== UNKNOWN;
}
