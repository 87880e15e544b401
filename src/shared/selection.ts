/* How the victim is selected: what the admin asked for, and why a process can't be chosen. */

export interface SelectionPolicy {
  /** Rank by RSS instead of oom_score. */
  sortByRss: boolean;
  /** Processes of root are never chosen. */
  ignoreRootUser: boolean;
  /** Nobody but this process may be chosen (in the rehearsal); 0: anybody. */
  onlyPid: number;
}

/** Why a process can't be chosen, as `rank` prints it. */
export type Reason =
  | 'not the one'
  | 'init'
  | 'kernel thread'
  | 'unreadable'
  | 'itself'
  | 'own child'
  | 'oom_score_adj -1000'
  | '--ignore'
  | '--ignore-root-user'
  | 'dead'
  | 'set aside';
