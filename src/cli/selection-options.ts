/* The options that say whom to select, as the guard and `rank` both take them; a mistake ends the program. */
import { conditionOf } from '../config/match.js';
import { parseSizeKib } from '../config/quantity.js';
import { lookUpUid } from '../config/users.js';
import { compileCondition, VALID_CONDITIONS } from '../match/conditions.js';
import { EXIT_PARAMETER, FatalError } from '../shared/exit.js';
import { MATCH_ACTIONS, MATCH_KEYS, MATCH_TABLES_MAX, type Matching } from '../shared/matching.js';
import type { Persona } from '../shared/options.js';
import { EARLYOOM_SELECTION, type RankBy, type SelectionPolicy } from '../shared/selection.js';

/** Less than memory moves by itself while the guard looks. */
const DEFAULT_FLOOR_KIB = 4096;

/** How each persona selects; the rest of the policy comes with the limits. */
export function selectionOf(persona: Persona): SelectionPolicy {
  if (persona === 'earlyoom') return { ...EARLYOOM_SELECTION };
  return { ...EARLYOOM_SELECTION, floorKib: DEFAULT_FLOOR_KIB, youngestFirst: true };
}

const RANKINGS: readonly RankBy[] = ['oom_score', 'memory', 'rss'];

/** @throws FatalError */
export function rankByOf(value: string): RankBy {
  const rankBy = RANKINGS.find((each) => each === value);
  if (rankBy !== undefined) return rankBy;
  throw new FatalError(EXIT_PARAMETER, `--rank-by ${value}: no such ranking (valid: ${RANKINGS.join(', ')})`);
}

/** @throws FatalError */
export function floorKibOf(value: string): number {
  const kib = value === '0' ? 0 : parseSizeKib(value);
  if (typeof kib === 'number') return kib;
  throw new FatalError(
    EXIT_PARAMETER,
    `--floor ${value}: not a size (valid: 0, or a number with KiB, MiB, GiB or TiB)`,
  );
}

/**
 * The uid of a user of /etc/passwd, or the uid itself.
 * @throws FatalError
 */
export function uidOf(value: string): number {
  const uid = lookUpUid(value);
  if (uid !== null) return uid;
  throw new FatalError(EXIT_PARAMETER, `--only-user ${value}: not in /etc/passwd (valid: a name from there, or a uid)`);
}

/**
 * `matching` with one more table, ACTION:KEY=PATTERN.
 * @throws FatalError
 */
export function withMatch(matching: Matching, value: string): Matching {
  const fail = (what: string, valid: string): FatalError =>
    new FatalError(EXIT_PARAMETER, `--match ${value}: ${what} (valid: ${valid})`);
  const [, name = '', keyName = '', pattern = ''] = /^([^:=]*):([^:=]*)=(.*)$/s.exec(value) ?? [];
  const action = MATCH_ACTIONS.find((each) => each === name);
  const key = MATCH_KEYS.find((each) => each === keyName);
  if (action === undefined || key === undefined) {
    const what = name === '' || keyName === '' ? 'not ACTION:KEY=PATTERN' : 'no such action or key';
    throw fail(what, `--match ACTION:KEY=PATTERN, actions ${MATCH_ACTIONS.join(', ')}, keys ${MATCH_KEYS.join(', ')}`);
  }
  const condition = conditionOf(key, pattern);
  if (typeof condition === 'string') throw fail(condition, VALID_CONDITIONS[key]);
  if (matching.tables.length === MATCH_TABLES_MAX) throw fail('one too many', `at most ${MATCH_TABLES_MAX} of them`);
  return { ...matching, tables: [...matching.tables, { action, conditions: [condition] }] };
}

/** @throws FatalError */
export function onlyCgroupOf(value: string): string {
  const program = compileCondition('cgroup', value);
  if (typeof program !== 'string') return value;
  throw new FatalError(EXIT_PARAMETER, `--only-cgroup ${value}: ${program} (valid: ${VALID_CONDITIONS.cgroup})`);
}
