/*
 * Matchers: whom the admin prefers to kill, avoids or protects by more than the name. Several tables, each an action and
 * conditions that all have to hold; any of the tables may match. protect counts more than avoid, avoid more than prefer.
 */

export const MATCH_ACTIONS = ['prefer', 'avoid', 'protect'] as const;
export type MatchAction = (typeof MATCH_ACTIONS)[number];

/** In the order in which they are asked: the cheapest first (a file each, but comm is known already and the next three are one). */
export const MATCH_KEYS = ['comm', 'cgroup', 'unit', 'container', 'exe', 'cmdline', 'user'] as const;
export type MatchKey = (typeof MATCH_KEYS)[number];

export interface MatchCondition {
  key: MatchKey;
  /** A glob or /regex/ (src/match/pattern.ts); of a user, as it was given. */
  pattern: string;
  /** The user's; -1 for other keys. */
  uid: number;
}

export interface MatchTable {
  action: MatchAction;
  conditions: readonly MatchCondition[];
}

export interface Matching {
  /** Numbered from 1 in what is said of them. */
  tables: readonly MatchTable[];
  /** Nobody but processes in these cgroups and below may be chosen; null: anybody. */
  onlyCgroup: string | null;
}

export const NO_MATCHING: Matching = { tables: [], onlyCgroup: null };

/** More than anybody needs; each is asked of whoever leads. */
export const MATCH_TABLES_MAX = 64;

/** `match 2 (user, cgroup)` */
export function matchLabel({ tables }: Matching, number: number): string {
  const keys = tables[number - 1]?.conditions.map(({ key }) => key) ?? [];
  return `match ${number} (${keys.join(', ')})`;
}
