/* What the configuration file and the command line ask of the guard: resolved, checked, in plain values. */
import type { Limits } from './limits.js';
import type { Matching } from './matching.js';
import type { PressureRule } from './rules.js';
import type { SelectionPolicy } from './selection.js';

/** Under which name, and so with which defaults and manners, the program runs. */
export type Persona = 'oom-backstop' | 'earlyoom';

/** Regular expressions (POSIX extended) on the process name, as given; null for none. */
export interface PatternTexts {
  prefer: string | null;
  avoid: string | null;
  ignore: string | null;
}

export interface GuardOptions {
  persona: Persona;
  /** The tree that is read as /proc. */
  procfs: string;
  limits: Limits;
  selection: SelectionPolicy;
  patterns: PatternTexts;
  matching: Matching;
  /** The admin's way in is never chosen (shared/way-in.ts). */
  sparesWayIn: boolean;
  killGroup: boolean;
  /** SIGKILL for who has ignored SIGTERM for so long while memory was low. */
  killAfterMs: number;
  /** What ZFS's cache would give back counts as available. */
  countArc: boolean;
  kernelOom: boolean;
  dryrun: boolean;
  debug: boolean;
  raisePriority: boolean;
  /** -P and -N: absolute paths, or null. */
  beforeKill: string | null;
  afterKill: string | null;
  /** -n */
  notifyDbus: boolean;
  /** 0: no reports. */
  reportIntervalMs: number;
  /** The admin's PSI rules. */
  rules: readonly PressureRule[];
  /** Whether the default PSI rule is in force as well (shared/rules.ts). */
  defaultRule: boolean;
  /** Whether kills leave incident records. */
  keepsIncidents: boolean;
  /** Whether a state page and an event log are kept. */
  keepsState: boolean;
  /** Where all of these go; null: where they go by default (guard/runtime-dir.ts). */
  runtimeDir: string | null;
  /** --record: the trace's file, or null. */
  record: string | null;
}

/** What the command line starts from: the configuration file's, or the defaults where there is none. */
export interface Settings extends Omit<GuardOptions, 'persona' | 'procfs' | 'record'> {
  /** Log to syslog. */
  syslog: boolean;
}
