import { describe, expect, it } from 'vitest';
import { CandidateTable, NAME_BYTES, UNKNOWN } from '../../../src/shared/candidates.js';
import { ROW_COLUMNS } from '../../../src/shared/trace.js';

/** What is not a number that may be unknown. */
const ZEROED: readonly string[] = ['state', 'marks', 'match'];
const FACTS = ROW_COLUMNS.filter((column) => column !== 'pid');

function fillRow(table: CandidateTable, row: number): void {
  for (const column of FACTS) table[column][row] = 7;
  table.names.fill(0x61, row * NAME_BYTES, (row + 1) * NAME_BYTES - 1);
}

function expectBlank(table: CandidateTable, row: number, pid: number): void {
  expect([table.pid[row], table.nameLength(row)]).toEqual([pid, 0]);
  expect(FACTS.map((column) => table[column][row])).toEqual(
    FACTS.map((column) => (ZEROED.includes(column) ? 0 : UNKNOWN)),
  );
}

describe('CandidateTable', () => {
  it('knows nothing of a row that it is given, in a table that was full before, too', () => {
    const table = new CandidateTable(1);
    for (let scan = 0; scan < 3; scan++) {
      table.clear();
      // More than it has room for, and more than are made blank together.
      for (let pid = 1; pid <= 300; pid++) {
        const row = table.add(pid);
        expect(row).toBe(pid - 1);
        expectBlank(table, row, pid);
        fillRow(table, row);
      }
    }
  });

  it('keeps the rows that it has when it grows', () => {
    const table = new CandidateTable(1);
    for (let pid = 1; pid <= 300; pid++) fillRow(table, table.add(pid));
    expect(table.count).toBe(300);
    for (let row = 0; row < 300; row++)
      expect([table.pid[row], table.uid[row], table.nameLength(row)]).toEqual([row + 1, 7, 15]);
  });

  it('forgets what the last row was when it is taken out', () => {
    const table = new CandidateTable();
    fillRow(table, table.add(1));
    fillRow(table, table.add(2));
    table.dropLast();
    expect(table.count).toBe(1);
    expectBlank(table, table.add(3), 3);
    expect([table.pid[0], table.uid[0]]).toEqual([1, 7]);
  });

  it('takes no more memory at first than a few rows', () => {
    const table = new CandidateTable();
    table.add(1);
    // 0 is what memory holds that nobody has written to.
    expect(table.uid[1000]).toBe(0);
  });
});
