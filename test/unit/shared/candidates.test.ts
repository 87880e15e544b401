import { describe, expect, it } from 'vitest';
import { CandidateTable, MARK_CHILD, NAME_BYTES, UNKNOWN } from '../../../src/shared/candidates.js';

const NUMBERS = [
  'ppid',
  'pgrp',
  'uid',
  'numThreads',
  'oomScore',
  'oomScoreAdj',
  'rssKib',
  'anonKib',
  'swapKib',
  'startTimeTicks',
] as const;

function fillRow(table: CandidateTable, row: number): void {
  for (const column of NUMBERS) table[column][row] = 7;
  table.state[row] = 7;
  table.match[row] = 7;
  table.mark(row, MARK_CHILD);
  table.names.fill(0x61, row * NAME_BYTES, (row + 1) * NAME_BYTES - 1);
}

function expectBlank(table: CandidateTable, row: number, pid: number): void {
  expect(table.pid[row]).toBe(pid);
  expect(NUMBERS.map((column) => table[column][row])).toEqual(NUMBERS.map(() => UNKNOWN));
  expect([table.state[row], table.marks[row], table.match[row], table.nameLength(row)]).toEqual([0, 0, 0, 0]);
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
