import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { close } from '../../../native-shims/files.js';
import { pageSize } from '../../../native-shims/priority.js';
import { PosixRegex } from '../../../native-shims/regex.js';
import { PidFiles } from '../../../src/sample/pid-files.js';
import { NO_CHILDREN, ProcessScan, type ScanOptions } from '../../../src/sample/process-scan.js';
import {
  CandidateTable,
  MARK_AVOIDED,
  MARK_CHILD,
  MARK_GONE,
  MARK_IGNORED,
  MARK_NAMED,
  MARK_PREFERRED,
  MARK_SELF,
  MARK_UNREADABLE,
  NAME_BYTES,
  UNKNOWN,
} from '../../../src/shared/candidates.js';
import { type FakeProcess, procTree } from '../../support/proc-tree.js';
import { RECORDED_PROCESSES, recorded } from '../kernel/recorded.js';

const KIB_PER_PAGE = pageSize() / 1024;

function scanOf(root: string, options: Partial<ScanOptions> = {}, isChild = (_pid: number): boolean => false) {
  const files = PidFiles.open(root);
  if (typeof files === 'number') throw new Error(`${root}: ${files}`);
  onTestFinished(() => void close(files.directoryFd));
  const scan = new ProcessScan(
    files,
    { prefer: null, avoid: null, ignore: null, wayIn: null, matchers: null, needUid: false, selfPid: null, ...options },
    { isChild },
  );
  const table = new CandidateTable();
  return { scan, table, result: scan.scan(table), files };
}

/** The marks that say something about the process. */
const marksOf = (table: CandidateTable, row: number): number => (table.marks[row] as number) & ~MARK_NAMED;
const rowOf = (table: CandidateTable, pid: number): number => table.pid.subarray(0, table.count).indexOf(pid);

function nameOf(table: CandidateTable, row: number): string {
  const start = row * NAME_BYTES;
  return table.names.toString('latin1', start, start + table.nameLength(row));
}

/** Scans a tree of one process; returns its row's facts. */
function one(process: FakeProcess, options: Partial<ScanOptions> = {}) {
  const { scan, table } = scanOf(procTree([process]), options);
  expect([table.count, table.pid[0]]).toEqual([1, process.pid]);
  return { scan, table, unreadable: table.hasMark(0, MARK_UNREADABLE) };
}

describe('ProcessScan.scan', () => {
  it('reads of each process what the ranking needs, and nothing else', () => {
    const { table } = one({
      pid: 77,
      comm: ') Z (',
      ppid: 5,
      pgrp: 70,
      numThreads: 3,
      startTimeTicks: 9,
      rssPages: 250,
      oomScore: 700,
    });
    expect([table.ppid[0], table.pgrp[0], table.numThreads[0], table.startTimeTicks[0]]).toEqual([5, 70, 3, 9]);
    expect([table.rssKib[0], table.oomScore[0], table.state[0], table.marks[0]]).toEqual([
      250 * KIB_PER_PAGE,
      700,
      0x53,
      0,
    ]);
    expect([table.oomScoreAdj[0], table.uid[0], nameOf(table, 0)]).toEqual([UNKNOWN, UNKNOWN, '']);
  });

  it('completes the rest when it is asked to', () => {
    const { scan, table } = one({ pid: 77, comm: ') Z (', oomScoreAdj: -500, uid: 1234 });
    scan.complete(table, 0);
    expect([table.oomScoreAdj[0], table.uid[0], nameOf(table, 0), marksOf(table, 0)]).toEqual([-500, 1234, ') Z (', 0]);
  });

  it('looks at entries that are numbers, and at no others', () => {
    const root = procTree([{ pid: 12 }, { pid: 4_194_304 }]);
    for (const name of ['self', '12a', 'a12', '-12', '0', '1e3', '99999999999999999999'])
      mkdirSync(path.join(root, name));
    const { table, result } = scanOf(root);
    expect(result).toBe(0);
    expect([...table.pid.subarray(0, table.count)].sort((a, b) => a - b)).toEqual([12, 4_194_304]);
  });

  it('passes over what has gone between the listing and the reading', () => {
    const root = procTree([{ pid: 12 }]);
    symlinkSync('/nowhere', path.join(root, '13')); // listed, but there is nothing behind it
    const { table } = scanOf(root);
    expect([table.count, table.pid[0]]).toEqual([1, 12]);
  });

  it.each<[string, FakeProcess, Partial<ScanOptions>]>([
    ['no stat', { pid: 12, stat: null }, {}],
    ['an empty stat', { pid: 12, stat: '' }, {}],
    ['a stat of garbage', { pid: 12, stat: 'garbage) and more' }, {}],
    ['a stat cut short', { pid: 12, stat: '12 (cat) S 1 12 12 0 -1 4194304 94 0 0' }, {}],
    ['no oom_score', { pid: 12, oomScore: null }, {}],
    ['an oom_score that is no number', { pid: 12, oomScore: 'x' }, {}],
    ['no name, where a pattern needs it', { pid: 12, comm: null }, { avoid: PosixRegex.compile('x') }],
    ['no owner, where that matters', { pid: 12, uid: null }, { needUid: true }],
  ])('marks a process unreadable that is there but has %s', (_case, process, options) => {
    expect(one(process, options).unreadable).toBe(true);
  });

  it('needs neither name nor owner nor oom_score_adj of somebody who is not to be completed', () => {
    expect(one({ pid: 12, comm: null, uid: null, oomScoreAdj: null, cmdline: null }).unreadable).toBe(false);
  });

  it.each<[string, FakeProcess]>([
    ['name', { pid: 12, comm: null }],
    ['oom_score_adj', { pid: 12, oomScoreAdj: null }],
    ['number for the oom_score_adj', { pid: 12, oomScoreAdj: 'x' }],
  ])('marks unreadable whoever turns out to have no %s', (_case, process) => {
    const { scan, table } = one(process);
    scan.complete(table, 0);
    expect(table.hasMark(0, MARK_UNREADABLE)).toBe(true);
  });

  it('a file where a directory should be is unreadable, not gone', () => {
    const root = procTree([]);
    writeFileSync(path.join(root, '12'), '');
    const { table } = scanOf(root);
    expect([table.count, table.hasMark(0, MARK_UNREADABLE)]).toEqual([1, true]);
  });

  it('asks no kernel thread for its oom_score', () => {
    const processes: FakeProcess[] = [2, 40].map((pid) => ({
      pid,
      ppid: pid === 2 ? 0 : 2,
      oomScore: null,
      comm: null,
    }));
    const { table } = scanOf(procTree(processes), { prefer: PosixRegex.compile('x') });
    expect([table.count, table.marks[0], table.marks[1]]).toEqual([2, 0, 0]);
  });

  it('marks itself, its children and what they started', () => {
    const root = procTree([{ pid: 12 }, { pid: 13, oomScore: null }, { pid: 14, pgrp: 13 }, { pid: 15, ppid: 13 }]);
    const { table } = scanOf(root, { selfPid: 12 }, (pid) => pid === 13);
    const marks = [12, 13, 14, 15].map((pid) => table.marks[rowOf(table, pid)]);
    expect(marks).toEqual([MARK_SELF, MARK_CHILD | MARK_UNREADABLE, MARK_CHILD, 0]); // 15 left the group: a stranger
  });

  it('reads owners for --ignore-root-user', () => {
    const { table } = scanOf(
      procTree([
        { pid: 12, uid: 0 },
        { pid: 13, uid: 1000 },
      ]),
      { needUid: true },
    );
    expect([12, 13].map((pid) => table.uid[rowOf(table, pid)])).toEqual([0, 1000]);
  });

  it('matches patterns with the whole name, each name with its own', () => {
    const names = {
      12: 'firefox',
      13: 'fire',
      14: '',
      15: ') Z (',
      16: 'a\nb',
      17: Buffer.from([0x61, 0xff, 0x62]),
      18: 'Xfirefox',
    };
    const processes = Object.entries(names).map(([pid, comm]) => ({ pid: Number(pid), comm }));
    const { table } = scanOf(procTree(processes), {
      prefer: PosixRegex.compile('^(firefox|\\) Z \\()$'),
      avoid: PosixRegex.compile('^$|^a.b$'),
      ignore: PosixRegex.compile('fire'),
    });
    expect(Object.keys(names).map((pid) => marksOf(table, rowOf(table, Number(pid))))).toEqual([
      MARK_PREFERRED | MARK_IGNORED,
      MARK_IGNORED,
      MARK_AVOIDED,
      MARK_PREFERRED,
      MARK_AVOIDED,
      MARK_AVOIDED,
      MARK_IGNORED,
    ]);
  });

  it('keeps 15 bytes of a name, and repairs one that was cut in the middle of a character', () => {
    const { scan, table } = scanOf(
      procTree([
        { pid: 12, comm: 'pool_workqueue_release' }, // a kernel thread's name may be longer
        { pid: 13, comm: Buffer.from('0123456789abcd€').subarray(0, 15) },
        { pid: 14, comm: '0123456789abcde' },
      ]),
    );
    for (let row = 0; row < table.count; row++) scan.complete(table, row);
    expect([12, 13, 14].map((pid) => nameOf(table, rowOf(table, pid)))).toEqual([
      'pool_workqueue_',
      '0123456789abcd',
      '0123456789abcde',
    ]);
  });

  it('reads recorded processes of a real kernel', () => {
    const root = procTree([]);
    for (const [index, name] of RECORDED_PROCESSES.entries()) {
      const directory = path.join(root, String(100 + index));
      mkdirSync(directory);
      for (const file of ['stat', 'comm', 'oom_score', 'oom_score_adj', 'status']) {
        writeFileSync(path.join(directory, file), recorded(`${name}/${file}`));
      }
    }
    const { scan, table } = scanOf(root);
    for (let row = 0; row < table.count; row++) scan.complete(table, row);
    const facts = RECORDED_PROCESSES.map((_name, index) => {
      const row = rowOf(table, 100 + index);
      return [
        nameOf(table, row),
        String.fromCharCode(table.state[row] as number),
        (table.rssKib[row] as number) > 0,
        marksOf(table, row),
      ];
    });
    expect(facts).toEqual([
      ['ordinary', 'S', true, 0],
      ['pool_workqueue_', 'S', false, 0],
      [') Z (', 'S', true, 0],
      ['a\nUid:\t0\nb) R 1', 'S', true, 0],
      ['caf\xe9 \xff\xfe', 'S', true, 0],
      ['python3', 'Z', false, 0],
    ]);
  });

  it('finds all of more processes than the table has room for at first, once each, scan after scan', () => {
    const pids = Array.from({ length: 8300 }, (_, index) => index + 10);
    const isReadable = (pid: number): boolean => pid % 16 === 0; // the others are entries only: files cost time
    const facts = { comm: null, oomScoreAdj: null, uid: null, cmdline: null };
    const root = procTree(pids.filter(isReadable).map((pid) => ({ pid, oomScore: pid, rssPages: pid, ...facts })));
    for (const pid of pids) if (!isReadable(pid)) writeFileSync(path.join(root, String(pid)), '');
    const { scan, table, result } = scanOf(root);
    for (const nth of ['first', 'second']) {
      expect([nth, nth === 'first' ? result : scan.scan(table), table.count]).toEqual([nth, 0, pids.length]);
      expect([...table.pid.subarray(0, table.count)].sort((a, b) => a - b)).toEqual(pids);
      const wrong = pids.filter((_pid, row) => {
        const pid = table.pid[row] as number;
        const [score, kib, marks] = isReadable(pid)
          ? [pid, pid * KIB_PER_PAGE, 0]
          : [UNKNOWN, UNKNOWN, MARK_UNREADABLE];
        return table.oomScore[row] !== score || table.rssKib[row] !== kib || table.marks[row] !== marks;
      });
      expect(wrong).toEqual([]);
    }
  }, 30_000);

  it('fails with -errno when the directory can not be listed', () => {
    const { scan, table, files } = scanOf(procTree([{ pid: 12 }]));
    close(files.directoryFd);
    expect(scan.scan(table)).toBe(-9); // EBADF
    expect(table.count).toBe(0);
  });
});

describe('ProcessScan.scanScores', () => {
  it('needs one file of each process, and finds the guard and its hooks by their pids', () => {
    const onlyScore = { stat: null, comm: null, oomScoreAdj: null, uid: null };
    const root = procTree([12, 13, 14].map((pid) => ({ pid, oomScore: pid, ...onlyScore })));
    const { scan, table } = scanOf(root, { selfPid: 12, needUid: true }, (pid) => pid === 13);
    expect(scan.scanScores(table)).toBe(0);
    const facts = [12, 13, 14].map((pid) => [table.oomScore[rowOf(table, pid)], table.marks[rowOf(table, pid)]]);
    expect(facts).toEqual([
      [12, MARK_SELF],
      [13, MARK_CHILD],
      [14, 0],
    ]);
    expect([table.startTimeTicks[0], table.rssKib[0]]).toEqual([UNKNOWN, UNKNOWN]);
  });

  it('passes over what has gone, and marks what can not be read', () => {
    const root = procTree([{ pid: 12, oomScore: 'x' }]);
    symlinkSync('/nowhere', path.join(root, '13'));
    const { scan, table } = scanOf(root);
    expect([scan.scanScores(table), table.count, table.marks[0]]).toEqual([0, 1, MARK_UNREADABLE]);
  });

  it('shortened, takes in the first few and the one that is asked for, in all of its walks', () => {
    const root = procTree([12, 13, 14, 15, 16].map((pid) => ({ pid })));
    const { scan, table } = scanOf(root);
    scan.shorten(2, 15);
    const walks = [() => scan.scanScores(table), () => scan.scanMemory(table), () => scan.scan(table)];
    for (const walk of walks) {
      expect(walk()).toBe(0);
      const pids = [...table.pid.subarray(0, table.count)];
      expect(pids).toHaveLength(pids.indexOf(15) < 2 ? 2 : 3);
      expect(pids).toContain(15);
    }
  });

  it('notices who goes between the walk and a closer look', () => {
    const root = procTree([{ pid: 12 }]);
    const { scan, table } = scanOf(root);
    scan.scanScores(table);
    rmSync(path.join(root, '12'), { recursive: true });
    scan.readStat(table, 0);
    expect(table.hasMark(0, MARK_GONE)).toBe(true);
  });
});

describe('ProcessScan.isAlive', () => {
  it('is about one process, not about its pid', () => {
    const root = procTree([
      { pid: 12, startTimeTicks: 500 },
      { pid: 13, startTimeTicks: 500, state: 'Z' },
      { pid: 14, startTimeTicks: 500, state: 'Z', numThreads: 2 },
      { pid: 15, stat: 'garbage' },
    ]);
    const { scan } = scanOf(root);
    expect(scan.isAlive(12, 500)).toBe(true);
    expect(scan.isAlive(12, 501)).toBe(false);
    expect(scan.isAlive(13, 500)).toBe(false);
    expect(scan.isAlive(14, 500)).toBe(true);
    expect(scan.isAlive(15, 500)).toBe(false);
    expect(scan.isAlive(16, 500)).toBe(false);
  });
});

describe('isStuck', () => {
  it.each([
    ['in state D', { state: 'D' }, true],
    ['a zombie whose other threads do not end', { state: 'Z', numThreads: 3 }, true],
    ['a zombie', { state: 'Z' }, false],
    ['running', { state: 'R' }, false],
    ['another process by now', { state: 'D', startTimeTicks: 8 }, false],
  ] as const)('%s: %s', (_, facts, expected) => {
    const files = PidFiles.open(procTree([{ pid: 100, startTimeTicks: 7, ...facts }])) as PidFiles;
    const patterns = { prefer: null, avoid: null, ignore: null, wayIn: null, matchers: null };
    const scan = new ProcessScan(files, { ...patterns, needUid: false, selfPid: null }, NO_CHILDREN);
    expect(scan.isStuck(100, 7)).toBe(expected);
    expect(scan.isStuck(101, 7)).toBe(false);
  });
});
