/*
 * [[match]] of the configuration file: each an action and at least one condition. Tables of all files count, in the order of the
 * files: a file that is read later adds to those before it, so that no drop-in takes away by accident whom another one protects.
 */
import { compileCondition, VALID_CONDITIONS } from '../match/conditions.js';
import {
  MATCH_ACTIONS,
  MATCH_KEYS,
  type MatchAction,
  type MatchCondition,
  type MatchKey,
  type MatchTable,
} from '../shared/matching.js';
import { nearest } from './nearest.js';
import { lookUpUid } from './users.js';

/** What is wrong, for a message: `path = value: what (valid: ...)`. */
export interface MatchMistake {
  path: string;
  /** Not given where the path itself is what is wrong. */
  value?: unknown;
  what: string;
  valid: string;
}

export interface MatchesRead {
  tables: MatchTable[];
  mistakes: MatchMistake[];
}

/** What the documentation says of each key. */
export const MATCH_ROWS: readonly { name: 'action' | MatchKey; description: string; valid: string; example: string }[] =
  [
    {
      name: 'action',
      description:
        'What is done with processes for which all conditions of the table hold: as --prefer and --avoid do, or never kill them. protect counts more than avoid, avoid more than prefer.',
      valid: MATCH_ACTIONS.map((action) => `"${action}"`).join(', '),
      example: 'protect',
    },
    {
      name: 'comm',
      description: 'The name in /proc/PID/comm.',
      valid: VALID_CONDITIONS.comm,
      example: 'ninja',
    },
    {
      name: 'cmdline',
      description: 'The arguments joined by blanks, the first 4,096 bytes of them.',
      valid: VALID_CONDITIONS.cmdline,
      example: '*--type=renderer*',
    },
    {
      name: 'exe',
      description:
        'The path of the program, from /proc/PID/exe. The guard reads those of other users with CAP_SYS_PTRACE only, and does not start with protect by exe where it can not.',
      valid: VALID_CONDITIONS.exe,
      example: '/usr/lib/postgresql/**',
    },
    {
      name: 'user',
      description: 'The effective user.',
      valid: VALID_CONDITIONS.user,
      example: 'postgres',
    },
    {
      name: 'cgroup',
      description:
        'The path of the cgroup in the v2 tree; where the process is in none there but the root, each of its v1 paths. A glob covers the cgroups below, too.',
      valid: VALID_CONDITIONS.cgroup,
      example: '/system.slice/postgresql.service',
    },
    {
      name: 'unit',
      description:
        "The systemd unit, from the path of the cgroup: the system's, or after user/ that of a user's own manager.",
      valid: VALID_CONDITIONS.unit,
      example: 'postgresql*.service',
    },
    {
      name: 'container',
      description:
        'The id of the container (Docker, containerd, CRI-O, Podman), or its name (LXC), from the path of the cgroup.',
      valid: VALID_CONDITIONS.container,
      example: '*',
    },
  ];

const FORM = `[[match]] with action and one or more of ${MATCH_KEYS.join(', ')}`;

/** Reads what a file has as `match`; undefined for nothing. */
export function readMatches(value: unknown): MatchesRead {
  if (value === undefined) return { tables: [], mistakes: [] };
  if (!Array.isArray(value)) return { tables: [], mistakes: [mistake('match', 'not an array of tables', FORM, value)] };
  const read = value.map((table, index) => readTable(`match[${index + 1}]`, table));
  return { tables: read.flatMap((each) => each.tables), mistakes: read.flatMap((each) => each.mistakes) };
}

function readTable(path: string, table: unknown): MatchesRead {
  if (typeof table !== 'object' || table === null || Array.isArray(table) || table instanceof Date) {
    return { tables: [], mistakes: [mistake(path, 'not a table', FORM, table)] };
  }
  const { action, ...rest } = table as Record<string, unknown>;
  const mistakes: MatchMistake[] = [];
  const conditions: MatchCondition[] = [];
  if (!isAction(action)) mistakes.push(wrongAction(path, action));
  for (const [key, value] of Object.entries(rest)) {
    const condition = readCondition(path, key, value);
    if ('what' in condition) mistakes.push(condition);
    else conditions.push(condition);
  }
  if (Object.keys(rest).length === 0) mistakes.push(mistake(path, 'no condition', FORM));
  return { tables: isAction(action) && mistakes.length === 0 ? [{ action, conditions }] : [], mistakes };
}

function isAction(value: unknown): value is MatchAction {
  return MATCH_ACTIONS.some((action) => action === value);
}

function wrongAction(path: string, action: unknown): MatchMistake {
  const valid = MATCH_ACTIONS.join(', ');
  if (action === undefined) return mistake(path, 'no action', valid);
  return mistake(`${path}.action`, 'no such action', valid, action);
}

function readCondition(path: string, name: string, value: unknown): MatchCondition | MatchMistake {
  const key = MATCH_KEYS.find((each) => each === name);
  if (key === undefined) {
    const near = nearest(name, ['action', ...MATCH_KEYS]);
    const suggestion = near === null ? '' : `, did you mean ${near}?`;
    return mistake(`${path}.${name.slice(0, 80)}`, `unknown key${suggestion}`, `action, ${MATCH_KEYS.join(', ')}`);
  }
  // A uid is a number in TOML as well.
  const text = key === 'user' && typeof value === 'number' ? String(value) : value;
  const condition = typeof text === 'string' ? conditionOf(key, text) : 'not a string';
  return typeof condition === 'string' ? mistake(`${path}.${key}`, condition, VALID_CONDITIONS[key], value) : condition;
}

/** A condition, or in words what is wrong with it. The command line takes them too. */
export function conditionOf(key: MatchKey, pattern: string): MatchCondition | string {
  if (key === 'user') {
    const uid = lookUpUid(pattern);
    return uid === null ? 'no such user' : { key, pattern, uid };
  }
  const program = compileCondition(key, pattern);
  return typeof program === 'string' ? program : { key, pattern, uid: -1 };
}

function mistake(path: string, what: string, valid: string, value?: unknown): MatchMistake {
  return value === undefined ? { path, what, valid } : { path, value, what, valid };
}
