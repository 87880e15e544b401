/* A process with its place in the ranking, as `rank` prints it and `check` judges it; null where a fact is not known. */
import type { Reason } from './selection.js';

export interface RankedProcess {
  pid: number;
  /** Effective. */
  uid: number | null;
  name: string;
  /** Its arguments joined by spaces, at most CMDLINE_BYTES_MAX of them. */
  cmdline: string;
  oomScore: number | null;
  oomScoreAdj: number | null;
  rssKib: number | null;
  /** Of the RSS, what a kill gives back. */
  anonKib: number | null;
  swapKib: number | null;
  /** What the ranking is by: an oom_score with its bias, or weighed KiB. */
  score: number | null;
  eligible: boolean;
  reason: Reason | null;
  /** The matcher that counts, in words: `protected by match 2 (unit)`; null for none. */
  match: string | null;
  /** The numbers of all matchers that match. */
  matches: number[];
}
