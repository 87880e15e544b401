/* The options that say whom to select, as the guard and `rank` both take them; a mistake ends the program. */
import { readFileSync } from 'node:fs';
import { parseSizeKib } from '../config/quantity.js';
import { EXIT_PARAMETER, FatalError } from '../shared/exit.js';
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
  if (/^\d{1,10}$/.test(value)) return Number(value);
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === value);
  if (entry?.[2] !== undefined) return Number(entry[2]);
  throw new FatalError(EXIT_PARAMETER, `--only-user ${value}: not in /etc/passwd (valid: a name from there, or a uid)`);
}
