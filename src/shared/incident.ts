/* The form of an incident record: what the guard writes and `explain` reads. */
import type { RankBy } from './selection.js';

/** Raised when a record means something else than before; fields may be added without. */
export const INCIDENT_SCHEMA = 1;

export const INCIDENT_FILE = 'incidents.ndjson';
export const OLDER_INCIDENT_FILE = 'incidents.1.ndjson';

/** How a kill ended. */
export const OUTCOMES = [
  /** It got a signal and ended. */
  'exited',
  /** It had ended before the signal. */
  'gone',
  /** A system call failed: `errno`. */
  'failed',
  /** It outlived SIGTERM, and memory had recovered. */
  'outlived SIGTERM',
  /** It outlived SIGKILL. */
  'outlived SIGKILL',
  /** Nobody was signalled. */
  'dry run',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** The steps of a kill, in the order in which they usually come. */
export const STEPS = [
  'selected',
  'hookStarted',
  'hookEnded',
  'sigterm',
  'sigkill',
  'mrelease',
  'exited',
  'memoryBack',
] as const;
export type StepName = (typeof STEPS)[number];

interface IncidentMemory {
  memTotalKib: number;
  memAvailableKib: number;
  anonPagesKib: number;
  swapTotalKib: number;
  swapFreeKib: number;
}

/** null: not known. */
export interface IncidentPressure {
  avg10: number | null;
  avg60: number | null;
  totalMs: number | null;
}

export interface IncidentCandidate {
  pid: number;
  name: string;
  score: number | null;
  oomScore: number | null;
  oomScoreAdj: number | null;
  rssKib: number | null;
  anonKib: number | null;
  /** Why it could not be chosen, or null: others were ahead of it. */
  passedOver: string | null;
}

interface IncidentVictim {
  pid: number;
  /** With the pid, its identity. */
  startTimeTicks: number;
  uid: number | null;
  name: string;
  cmdline: string;
  rssKib: number | null;
  anonKib: number | null;
  swapKib: number | null;
  oomScore: number | null;
  oomScoreAdj: number | null;
  score: number | null;
}

export interface IncidentRecord {
  schema: number;
  kind: 'incident';
  id: string;
  atUnixMs: number;
  version: string;
  persona: string;
  outcome: Outcome;
  errno: number | null;
  why: {
    /** What asked for the kill: the limits, or a rule. */
    by: 'limits' | 'rule';
    /** The rule's name, else null. */
    rule: string | null;
    level: 'term' | 'kill';
    limits: { memTermPercent: number; memKillPercent: number; swapTermPercent: number; swapKillPercent: number };
  };
  ranking: RankBy;
  floorKib: number;
  killGroup: boolean;
  before: IncidentMemory;
  after: IncidentMemory;
  pressure: { some: IncidentPressure; full: IncidentPressure };
  victim: IncidentVictim;
  candidates: IncidentCandidate[];
  expectedKib: number | null;
  gaveBackKib: number | null;
  /** Since the crossing was seen, us; null: did not happen. */
  timelineUs: Record<StepName, number | null>;
}
