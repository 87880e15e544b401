/* How the victim is selected: what the admin asked for, and why a process can't be chosen. */

/**
 * What processes are compared by: the kernel's `oom_score` (--prefer and --avoid as 300 points), their RSS as earlyoom's
 * --sort-by-rss does, or the `memory` that a kill would give back.
 */
export type RankBy = 'oom_score' | 'rss' | 'memory';

export interface SelectionPolicy {
  rankBy: RankBy;
  /** Processes of root are never chosen. */
  ignoreRootUser: boolean;
  /** Nobody but this user's processes may be chosen; -1: anybody's. */
  onlyUid: number;
  /** Nobody but this process may be chosen (in the rehearsal); 0: anybody. */
  onlyPid: number;
  /** Who would give back less is passed over unless nobody else is left, KiB; 0: nobody is. */
  floorKib: number;
  /** Whether swap that a process holds counts as memory that a kill gives back. */
  swapCounts: boolean;
  /** Of equals the one that was started last; otherwise the one with the lower pid, as earlyoom. */
  youngestFirst: boolean;
  /** Memory and swap of the machine, KiB: an oom_score_adj is in thousandths of it. */
  machineKib: number;
}

/** earlyoom's selection. */
export const EARLYOOM_SELECTION: Readonly<SelectionPolicy> = {
  rankBy: 'oom_score',
  ignoreRootUser: false,
  onlyUid: -1,
  onlyPid: 0,
  floorKib: 0,
  swapCounts: false,
  youngestFirst: false,
  machineKib: 0,
};

/** A copy, made here for the reason that `copyLimits` gives. */
export function copySelection(from: SelectionPolicy): SelectionPolicy {
  return {
    rankBy: from.rankBy,
    ignoreRootUser: from.ignoreRootUser,
    onlyUid: from.onlyUid,
    onlyPid: from.onlyPid,
    floorKib: from.floorKib,
    swapCounts: from.swapCounts,
    youngestFirst: from.youngestFirst,
    machineKib: from.machineKib,
  };
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
  | '--only-user'
  | '--only-cgroup'
  | 'protected'
  | 'the way in'
  | 'gives back too little'
  | 'dead'
  | 'set aside';
