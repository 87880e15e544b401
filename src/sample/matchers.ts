/*
 * Matchers: tables of conditions, asked of one process at a time, whose marks they set.
 *
 * Asked in two steps, because they are needed at different times: the bias (prefer, avoid) by whoever might lead with it, the
 * protection (protect, --only-cgroup) by whoever does lead. In both the conditions of a table are asked in the order of their cost
 * (shared/matching.ts), and no more of them once one does not hold.
 *
 * What can't be known (exe without CAP_SYS_PTRACE, an owner that can't be read) does not hold for prefer and avoid, and holds for
 * protect: of two mistakes, sparing somebody is the smaller one. Nobody can bring it about for himself to be spared: CAP_SYS_PTRACE
 * reads all programs, and a guard that kills others' processes and lacks it does not start with protect by exe (guard/machine.ts).
 * What is absent holds for nobody.
 */
import { fixedBuffer } from '../../native-shims/libc.js';
import { compileCondition } from '../match/conditions.js';
import type { Program } from '../match/program.js';
import {
  type CandidateTable,
  MARK_AVOIDED,
  MARK_OUTSIDE,
  MARK_PREFERRED,
  MARK_PROTECTED,
  MARK_UNREADABLE,
  NAME_BYTES,
  UNKNOWN,
} from '../shared/candidates.js';
import { MATCH_KEYS, type MatchAction, type MatchCondition, type Matching, type MatchKey } from '../shared/matching.js';
import { ABSENT, DENIED, MatchFacts } from './match-facts.js';
import type { PidFiles } from './pid-files.js';

/** Reads facts of a row that the table of candidates keeps. */
export interface RowReader {
  readName(table: CandidateTable, row: number): void;
  readStatus(table: CandidateTable, row: number): void;
}

/* Whether a condition, or a table, holds. A failure to read is -errno. */
const NO = 0;
const YES = 1;
const PERHAPS = 2;

/** How a unit of a user's own manager is written. */
const USER_PREFIX = Buffer.from('user/');
/** And the longest name of a cgroup. */
const UNIT_BYTES_MAX = USER_PREFIX.length + 255;

export class Matchers {
  /** Whether a table may have somebody preferred. */
  readonly prefers: boolean;
  /** Whether a table ranks. */
  readonly biases: boolean;
  /** Whether anybody may be excluded. */
  readonly protects: boolean;
  private readonly rules: readonly Rule[];
  private readonly onlyCgroup: Condition | null;
  private readonly facts: MatchFacts;
  private readonly unit = fixedBuffer(UNIT_BYTES_MAX);

  private constructor(files: PidFiles, { tables, onlyCgroup }: Matching) {
    this.facts = new MatchFacts(files);
    this.unit.set(USER_PREFIX);
    const rules = tables.map(({ action, conditions }, index) => new Rule(action, conditions, index + 1));
    // In the order in which they count; of equals the first.
    this.rules = (['protect', 'avoid', 'prefer'] as const).flatMap((action) =>
      rules.filter((rule) => rule.action === action),
    );
    this.onlyCgroup = onlyCgroup === null ? null : new Condition({ key: 'cgroup', pattern: onlyCgroup, uid: -1 });
    const has = (action: MatchAction): boolean => rules.some((rule) => rule.action === action);
    this.prefers = has('prefer');
    this.biases = this.prefers || has('avoid');
    this.protects = has('protect') || onlyCgroup !== null;
  }

  /** null where there are none: nothing is asked of anybody then. */
  static of(files: PidFiles, matching: Matching): Matchers | null {
    return matching.tables.length === 0 && matching.onlyCgroup === null ? null : new Matchers(files, matching);
  }

  /** Marks the row as preferred or avoided. Returns 0 or -errno. */
  bias(table: CandidateTable, row: number, reader: RowReader): number {
    this.facts.begin(table.pid[row] as number);
    for (let i = 0; i < this.rules.length; i++) {
      const rule = this.rules[i] as Rule;
      if (rule.protects) continue;
      const result = this.holds(rule, table, row, reader);
      if (result < 0) return result;
      if (result !== YES) continue;
      table.mark(row, rule.mark);
      table.match[row] = rule.number;
      return 0;
    }
    return 0;
  }

  /** Marks the row as protected, or as outside of the cgroups that may be chosen. Returns 0 or -errno. */
  protection(table: CandidateTable, row: number, reader: RowReader): number {
    this.facts.begin(table.pid[row] as number);
    if (this.onlyCgroup !== null) {
      const result = this.cgroupHolds(this.onlyCgroup);
      if (result < 0) return result;
      if (result !== YES) table.mark(row, MARK_OUTSIDE);
    }
    for (let i = 0; i < this.rules.length; i++) {
      const rule = this.rules[i] as Rule;
      if (!rule.protects) break;
      const result = this.holds(rule, table, row, reader);
      if (result < 0) return result;
      if (result === NO) continue;
      table.mark(row, rule.mark);
      table.match[row] = rule.number;
      return 0;
    }
    return 0;
  }

  /** The numbers of all tables that match the row (for `rank`). */
  matching(table: CandidateTable, row: number, reader: RowReader): number[] {
    this.facts.begin(table.pid[row] as number);
    return this.rules
      .filter((rule) => {
        const result = this.holds(rule, table, row, reader);
        return result === YES || (result === PERHAPS && rule.protects);
      })
      .map((rule) => rule.number)
      .sort((a, b) => a - b);
  }

  /** Whether all conditions of a rule hold. */
  private holds(rule: Rule, table: CandidateTable, row: number, reader: RowReader): number {
    let all = YES;
    for (let i = 0; i < rule.conditions.length; i++) {
      const result = this.conditionHolds(rule.conditions[i] as Condition, table, row, reader);
      if (result <= NO) return result;
      if (result === PERHAPS) all = PERHAPS;
    }
    return all;
  }

  private conditionHolds(condition: Condition, table: CandidateTable, row: number, reader: RowReader): number {
    switch (condition.key) {
      case 'comm':
        return nameHolds(condition, table, row, reader);
      case 'user':
        return userHolds(condition, table, row, reader);
      case 'cmdline': {
        const state = this.facts.readCmdline();
        return state === 0 ? condition.matches(this.facts.cmdline, 0, this.facts.cmdlineLength) : unknown(state);
      }
      case 'exe': {
        const state = this.facts.readExe();
        return state === 0 ? condition.matches(this.facts.exe, 0, this.facts.exeLength) : unknown(state);
      }
      default:
        return this.cgroupHolds(condition);
    }
  }

  /** cgroup, unit, container: any of the paths may match. */
  private cgroupHolds(condition: Condition): number {
    const state = this.facts.readCgroup();
    if (state !== 0) return unknown(state);
    const { cgroup, cgroupPaths } = this.facts;
    for (let i = 0; i < cgroupPaths.count; i++) {
      const start = cgroupPaths.starts[i] as number;
      const end = cgroupPaths.ends[i] as number;
      const holds =
        condition.key === 'cgroup'
          ? condition.matches(cgroup, start, end)
          : this.nameOfPathHolds(condition, start, end);
      if (holds === YES) return YES;
    }
    return NO;
  }

  private nameOfPathHolds(condition: Condition, start: number, end: number): number {
    const { cgroup, cgroupNames } = this.facts;
    cgroupNames.read(cgroup, start, end);
    const { unit, userUnit, container } = cgroupNames;
    if (condition.key === 'container')
      return container.end === 0 ? NO : condition.matches(cgroup, container.start, container.end);
    if (unit.end !== 0 && condition.matches(cgroup, unit.start, unit.end) === YES) return YES;
    if (userUnit.end === 0) return NO;
    const length = Math.min(userUnit.end - userUnit.start, UNIT_BYTES_MAX - USER_PREFIX.length);
    for (let i = 0; i < length; i++) this.unit[USER_PREFIX.length + i] = cgroup[userUnit.start + i] as number;
    return condition.matches(this.unit, 0, USER_PREFIX.length + length);
  }
}

class Condition {
  readonly key: MatchKey;
  readonly uid: number;
  /** null of a user. */
  private readonly program: Program | null;

  /** @throws Error for a pattern that was not checked before */
  constructor({ key, pattern, uid }: MatchCondition) {
    this.key = key;
    this.uid = uid;
    const program = key === 'user' ? null : compileCondition(key, pattern);
    if (typeof program === 'string') throw new Error(`${key} ${pattern}: ${program}`);
    this.program = program;
  }

  matches(bytes: Uint8Array, start: number, end: number): number {
    return (this.program as Program).matches(bytes, start, end) ? YES : NO;
  }
}

/** A table, ready to be asked. */
class Rule {
  readonly conditions: readonly Condition[];
  readonly protects: boolean;
  readonly mark: number;

  constructor(
    readonly action: MatchAction,
    conditions: readonly MatchCondition[],
    readonly number: number,
  ) {
    const cost = ({ key }: MatchCondition): number => MATCH_KEYS.indexOf(key);
    this.conditions = [...conditions].sort((a, b) => cost(a) - cost(b)).map((condition) => new Condition(condition));
    this.protects = action === 'protect';
    this.mark = { protect: MARK_PROTECTED, avoid: MARK_AVOIDED, prefer: MARK_PREFERRED }[action];
  }
}

function nameHolds(condition: Condition, table: CandidateTable, row: number, reader: RowReader): number {
  reader.readName(table, row);
  // Who has no name that can be read is not chosen anyway.
  if (table.hasMark(row, MARK_UNREADABLE)) return NO;
  const start = row * NAME_BYTES;
  return condition.matches(table.names, start, start + table.nameLength(row));
}

function userHolds(condition: Condition, table: CandidateTable, row: number, reader: RowReader): number {
  reader.readStatus(table, row);
  const uid = table.uid[row] as number;
  if (uid === UNKNOWN) return PERHAPS;
  return uid === condition.uid ? YES : NO;
}

/** What a condition comes to whose fact is not known. */
function unknown(state: number): number {
  if (state === ABSENT) return NO;
  return state === DENIED ? PERHAPS : state;
}
