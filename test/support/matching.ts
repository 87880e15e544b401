/* Matchers for tests, as the command line and the configuration would make them. */
import { conditionOf } from '../../src/config/match.js';
import type { MatchAction, Matching, MatchKey } from '../../src/shared/matching.js';

export type Conditions = Partial<Record<MatchKey, string>>;

export function tablesOf(...tables: [MatchAction, Conditions][]): Matching {
  return {
    onlyCgroup: null,
    tables: tables.map(([action, conditions]) => ({
      action,
      conditions: Object.entries(conditions).map(([key, pattern]) => {
        const condition = conditionOf(key as MatchKey, pattern);
        if (typeof condition === 'string') throw new Error(`${key} ${pattern}: ${condition}`);
        return condition;
      }),
    })),
  };
}
