/* What each key of a matcher is compared with, and whether a pattern can be one of it. */
import type { MatchKey } from '../shared/matching.js';
import type { GlobForm } from './glob-syntax.js';
import { compilePattern, regexIn } from './pattern.js';
import type { Program } from './program.js';

/** Keys that have patterns: a user is a name or a uid. */
export type PatternKey = Exclude<MatchKey, 'user'>;

const FORMS: Record<PatternKey, GlobForm> = {
  comm: 'text',
  cmdline: 'text',
  exe: 'path',
  cgroup: 'tree',
  unit: 'path',
  container: 'text',
};

const ABSOLUTE: readonly PatternKey[] = ['exe', 'cgroup'];

/** Compiles a pattern for the texts of `key`; says in words what is wrong with it. */
export function compileCondition(key: PatternKey, pattern: string): Program | string {
  // A path begins with a slash: a glob that does not can match none.
  if (ABSOLUTE.includes(key) && pattern !== '' && regexIn(pattern) === null && !/^[/*]/.test(pattern)) {
    return 'begins with neither / nor *';
  }
  return compilePattern(pattern, FORMS[key]);
}

/** Which values a key takes, in a message. */
export const VALID_CONDITIONS: Record<MatchKey, string> = {
  comm: 'a glob or /regex/ for the name in /proc/PID/comm, of at most 15 bytes',
  cmdline: 'a glob or /regex/ for the arguments joined by blanks',
  exe: 'a glob or /regex/ for the path of the program',
  user: 'a name of /etc/passwd, or a uid',
  cgroup: 'a glob or /regex/ for the path of the cgroup, which covers those below',
  unit: "a glob or /regex/ for the name of a system unit, or of a user's unit after user/",
  container: 'a glob or /regex/ for the id, * for any',
};
