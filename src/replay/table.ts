/* A recorded table as the table of candidates that the ranking takes, its marks made anew for the patterns of another policy. Pure. */
import {
  CandidateTable,
  MARK_AVOIDED,
  MARK_IGNORED,
  MARK_PREFERRED,
  MARK_SMALL,
  MARK_WAY_IN,
  NAME_BYTES,
  UNKNOWN,
} from '../shared/candidates.js';
import { ROW_COLUMNS } from '../shared/trace.js';
import type { Row } from './trace.js';

/** What is matched with a name that ends in a NUL. */
interface NameMatcher {
  matches(name: Uint8Array): boolean;
}

export interface NameMatchers {
  prefer: NameMatcher | null;
  avoid: NameMatcher | null;
  ignore: NameMatcher | null;
  wayIn: NameMatcher | null;
}

/** Marks that are the policy's, and not the machine's. */
const OF_POLICY = MARK_PREFERRED | MARK_AVOIDED | MARK_IGNORED | MARK_WAY_IN | MARK_SMALL;

/** @param name  where names are put to be matched: NAME_BYTES of memory that a matcher can read */
export function tableOf(rows: readonly Row[], matchers: NameMatchers, name: Uint8Array): CandidateTable {
  const table = new CandidateTable(Math.max(1, rows.length));
  for (const each of rows) {
    const row = table.add(each[0] as number);
    for (const [index, column] of ROW_COLUMNS.entries()) table[column][row] = (each[index] ?? UNKNOWN) as number;
    // What a matcher marked stays: the trace has not what it was asked about.
    const kept = table.match[row] === 0 ? 0 : MARK_PREFERRED | MARK_AVOIDED;
    table.marks[row] = (table.marks[row] as number) & ~(OF_POLICY & ~kept);
    const length = copyName(each.at(-1) as string, table, row, name);
    if (length === 0) continue;
    if (matchers.prefer?.matches(name)) table.mark(row, MARK_PREFERRED);
    if (matchers.avoid?.matches(name)) table.mark(row, MARK_AVOIDED);
    if (matchers.ignore?.matches(name)) table.mark(row, MARK_IGNORED);
    if (matchers.wayIn?.matches(name)) table.mark(row, MARK_WAY_IN);
  }
  return table;
}

/** Into the table and, with a NUL after it, into `name`. Returns its length. */
function copyName(text: string, table: CandidateTable, row: number, name: Uint8Array): number {
  const bytes = Buffer.from(text, 'latin1').subarray(0, NAME_BYTES - 1);
  table.names.set(bytes, row * NAME_BYTES);
  table.names[row * NAME_BYTES + bytes.length] = 0;
  name.set(bytes);
  name[bytes.length] = 0;
  return bytes.length;
}
