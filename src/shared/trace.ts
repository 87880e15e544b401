/*
 * The form of a trace: what --record writes and `replay` reads. One JSON object a line, times (`t`) in us since the trace began.
 *
 *   header     {"schema":1,"kind":"trace",...}: TraceHeader, the first line
 *   look       {"t":1000,"m":[available,anon,swapTotal,swapFree],"p":0,"f":0}: memory in KiB, the phase (PHASES) and the facts of
 *              a tick; "s" is the step that it took, unless that was to wait; "n" how many lines before this one are missing
 *   selection  {"t":1000,"choice":{...}}: TraceChoice
 *   signal     {"t":1000,"signal":15}
 *   end        {"t":1000,"outcome":"exited","errno":0}
 *   table      {"t":1000,"table":1,"part":0,"rows":[[...],...],"last":true}: ROW_COLUMNS of everybody who is no kernel thread,
 *              in as many lines as it takes
 *   full       {"t":1000,"full":true}: the last one of a trace that has reached its bound
 */
import type { Limits } from './limits.js';
import type { PatternTexts, Persona } from './options.js';
import type { SelectionPolicy } from './selection.js';

/** Raised when a line means something else than before; fields may be added without. */
export const TRACE_SCHEMA = 1;

/** What became of a selection that came to nothing because no kill would have helped; besides the outcomes of an incident. */
export const SPARED = 'would not help';

export const PHASES = ['watching', 'pre-hook', 'terminating', 'killing'] as const;

/* Bits of "f". */
/** The victim had ended. */
export const LOOK_VICTIM_GONE = 1;
/** The pre-hook had ended. */
export const LOOK_PRE_HOOK_DONE = 2;
/** Memory could not be read: the figures are those of the look before. */
export const LOOK_FAILED = 4;

/** The guard held back: memory was still coming back after a kill, or no kill would have helped. The trace has not what told it so. */
export const LOOK_HELD_BACK = 8;
/** The victim was stuck in the kernel for so long that it is put aside. */
export const LOOK_STUCK = 16;
/** A PSI rule asked for SIGTERM, or for SIGKILL. The trace has no pressure. */
export const LOOK_RULE_TERM = 32;
export const LOOK_RULE_KILL = 64;

/** The columns of a row; a number that was not known is UNKNOWN or null. The name comes last, its bytes as the characters of their numbers. */
export const ROW_COLUMNS = [
  'pid',
  'ppid',
  'pgrp',
  'uid',
  'state',
  'numThreads',
  'oomScore',
  'oomScoreAdj',
  'rssKib',
  'anonKib',
  'swapKib',
  'startTimeTicks',
  'marks',
  'match',
] as const;

/** What the guard decided by. */
export interface TracePolicy {
  persona: Persona;
  limits: Limits;
  selection: SelectionPolicy;
  patterns: PatternTexts;
  sparesWayIn: boolean;
  killGroup: boolean;
  killAfterMs: number;
  kernelOom: boolean;
  dryrun: boolean;
  /** Whether a -P program held kills up. */
  preHook: boolean;
}

export interface TraceHeader {
  schema: number;
  kind: 'trace';
  version: string;
  startedUnixMs: number;
  policy: TracePolicy;
  machine: { memTotalKib: number; swapTotalKib: number; kernel: string; arch: string };
}

/** What became of a selection. */
export interface TraceChoice {
  /** Memory after the search. */
  m: [number, number, number, number];
  /** The victim's; 0: nobody could be chosen. */
  pid: number;
  startTimeTicks: number;
  /** As in a row. */
  name: string;
  /** Whom it was between; 0: there is no table. */
  table: number;
}
