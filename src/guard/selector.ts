/*
 * Finds the victim: scan, rank, complete, copy. The one way to it, for the guard and for `rank`.
 *
 * By oom_score, which is the rule, one file of each process is read, and of those that can still win as many more
 * as it takes to see that they don't: the name first, which may raise or lower the score, then the rest. A row
 * is left alone only if its score can't come up to the leader's whatever its name is, so the victim is the one that
 * a full scan finds (a property test compares them). Where a shortlist is at hand and proves its leader, not even
 * that: then only the shortlist is read. By memory it is the same with another file, statm. With --sort-by-rss everything
 * that ranks is read of everybody.
 *
 * Who would give back less than the floor is passed over; if nobody else is left, the whole choice is made once more without it.
 */
import type { Group } from '../act/target.js';
import { groupRows, groupTargets } from '../decide/process-group.js';
import { isSmall, outranks, pickVictim, scoreBound, scoreOf, whyNot } from '../decide/ranking.js';
import type { PidList } from '../kernel/cgroup-files.js';
import { joinCmdline } from '../kernel/pid-name.js';
import type { Log } from '../report/log.js';
import { sayCandidate, sayCandidatesHead } from '../report/messages.js';
import { PID_CMDLINE, type PidFiles } from '../sample/pid-files.js';
import type { ProcessScan } from '../sample/process-scan.js';
import { CandidateTable, MARK_SET_ASIDE, MARK_SMALL, NAME_BYTES } from '../shared/candidates.js';
import type { Reason, SelectionPolicy } from '../shared/selection.js';
import type { Victim } from '../shared/victim.js';
import type { ProcessList } from './process-list.js';
import type { Shortlist } from './shortlist.js';

/** How many of the highest scores are tried before everybody else: the first may be init, the guard, or ignored. */
const FIRST_GUESSES = 8;

/** Swap, as of the last sample: nobody has more in it than is in use. */
export interface Swap {
  swapTotalKib: number;
  swapFreeKib: number;
}

export class Selector {
  readonly table: CandidateTable;
  private passesOverSmall = true;

  /**
   * @param setAside   processes that are passed over: they did not die when they should have
   * @param shortlist  null where the whole table is needed anyway, or the ranking is not by oom_score
   * @param table      where the candidates are put
   */
  constructor(
    private readonly files: PidFiles,
    private readonly scan: ProcessScan,
    private readonly policy: SelectionPolicy,
    private readonly setAside: ProcessList,
    private readonly shortlist: Shortlist | null,
    private readonly swap: Swap,
    table = new CandidateTable(),
  ) {
    this.table = table;
  }

  /** Fills the table with every fact of every process. Returns 0 or -errno. */
  scanAll(): number {
    this.files.beginMany();
    const result = this.scan.scan(this.table);
    for (let row = 0; row < this.table.count; row++) this.complete(row);
    this.files.endMany();
    return result;
  }

  /** The victim's row, or -1 if there is none, in a table that holds what it took to find it. */
  select(): number {
    this.files.beginMany();
    let row = this.selectFromShortlist();
    if (row === -1) row = this.selectFromAll();
    if (row === -1 && this.policy.floorKib > 0) row = this.selectFromSmall();
    this.files.endMany();
    return row;
  }

  /** The victim's row among `pids` alone, or -1 if there is none, in a table that holds them. */
  selectAmong(pids: PidList): number {
    this.files.beginMany();
    this.fillWith(pids);
    let row = this.leader();
    if (row === -1 && this.policy.floorKib > 0) {
      this.passesOverSmall = false;
      this.fillWith(pids);
      row = this.leader();
      this.passesOverSmall = true;
    }
    this.files.endMany();
    return row;
  }

  /** The first row of the table that must not be killed, whatever the ranking says, or -1. */
  firstProtected(): number {
    let row = 0;
    this.files.beginMany();
    for (; row < this.table.count; row++) {
      this.complete(row);
      if (this.protection(row) !== null) break;
    }
    this.files.endMany();
    return row < this.table.count ? row : -1;
  }

  /** Why a row must not be killed, or null. Who is dead, small or did not die before is no such case. */
  protection(row: number): Reason | null {
    const reason = whyNot(this.table, row, this.policy);
    return reason === 'dead' || reason === 'gives back too little' || reason === 'set aside' ? null : reason;
  }

  private fillWith({ pids, count }: PidList): void {
    this.table.clear();
    for (let at = 0; at < count; at++) {
      const pid = pids[at] as number;
      if (this.policy.rankBy === 'oom_score') this.scan.addScore(this.table, pid);
      else if (this.policy.rankBy === 'memory') this.scan.addMemory(this.table, pid);
      else this.scan.addProcess(this.table, pid);
    }
  }

  private selectFromAll(): number {
    return this.scanRanked() < 0 ? -1 : this.leader();
  }

  private selectFromSmall(): number {
    this.passesOverSmall = false;
    const row = this.selectFromAll();
    this.passesOverSmall = true;
    return row;
  }

  private scanRanked(): number {
    switch (this.policy.rankBy) {
      case 'oom_score':
        return this.scan.scanScores(this.table);
      case 'memory':
        return this.scan.scanMemory(this.table);
      case 'rss':
        return this.scan.scan(this.table);
    }
  }

  /** The victim's row if the shortlist can prove that it is the one, else -1. */
  private selectFromShortlist(): number {
    const { shortlist } = this;
    if (shortlist === null || !shortlist.fill(this.table)) return -1;
    const row = this.leader();
    return row !== -1 && scoreOf(this.table, row, this.policy) > shortlist.outsideBound ? row : -1;
  }

  /** The row that outranks all others in the table, or -1. */
  private leader(): number {
    for (;;) {
      const row = this.policy.rankBy === 'rss' ? pickVictim(this.table, this.policy) : this.pickByScore();
      if (row === -1) return -1;
      // Who turns out to be exempt or gone is marked by that, and the next one leads.
      this.complete(row);
      if (whyNot(this.table, row, this.policy) === null) return row;
    }
  }

  /** Copies what is to be known of the process in `row`. */
  describe(row: number, victim: Victim): void {
    const { table } = this;
    victim.pid = table.pid[row] as number;
    victim.startTimeTicks = table.startTimeTicks[row] as number;
    victim.uid = Math.max(-1, table.uid[row] as number);
    victim.oomScore = table.oomScore[row] as number;
    victim.oomScoreAdj = table.oomScoreAdj[row] as number;
    victim.rssKib = table.rssKib[row] as number;
    victim.anonKib = Math.max(-1, table.anonKib[row] as number);
    victim.nameLength = table.nameLength(row);
    for (let i = 0; i < victim.nameLength; i++) victim.name[i] = table.names[row * NAME_BYTES + i] as number;
    const length = this.files.read(victim.pid, PID_CMDLINE, victim.cmdline);
    victim.cmdlineLength = joinCmdline(victim.cmdline, Math.max(0, length));
  }

  /** What dies with the process in `row` under -g. */
  groupOf(row: number): Group {
    for (let other = 0; other < this.table.count; other++) this.scan.readStat(this.table, other);
    for (const member of groupRows(this.table, this.table.pgrp[row] as number)) this.complete(member);
    const { pgid, rows } = groupTargets(this.table, row, this.policy);
    const members = rows.map((member) => ({
      pid: this.table.pid[member] as number,
      startTimeTicks: this.table.startTimeTicks[member] as number,
    }));
    return { pgid, members };
  }

  /** Writes the table to the debug log, as earlyoom does: in the order of /proc, each new leader pointed out. */
  debug(log: Log): void {
    sayCandidatesHead(log);
    let victim = -1;
    for (let row = 0; row < this.table.count; row++) {
      this.complete(row);
      const eligible = whyNot(this.table, row, this.policy) === null;
      const leads = eligible && (victim === -1 || outranks(this.table, row, victim, this.policy));
      if (leads) victim = row;
      sayCandidate(log, this.table, row, leads);
    }
  }

  /** Asks the matchers of everybody in the table (for the rehearsal). */
  matchAll(): void {
    for (let row = 0; row < this.table.count; row++) {
      this.scan.readBias(this.table, row);
      this.scan.readProtection(this.table, row);
    }
  }

  /** The row that outranks all others by oom_score or memory, or -1. */
  private pickByScore(): number {
    // A good first guess spares the others' files.
    let victim = -1;
    for (let guess = 0; guess < FIRST_GUESSES && victim === -1; guess++)
      victim = this.challenge(this.highestScore(), -1);
    for (let row = 0; row < this.table.count; row++) victim = this.challenge(row, victim);
    return victim;
  }

  /** The row with the most of what is ranked by, of those that may be chosen as far as is known, or -1. */
  private highestScore(): number {
    const ranked = this.policy.rankBy === 'memory' ? this.table.anonKib : this.table.oomScore;
    let highest = -1;
    for (let row = 0; row < this.table.count; row++) {
      const higher = highest === -1 || (ranked[row] as number) > (ranked[highest] as number);
      if (higher && whyNot(this.table, row, this.policy) === null) highest = row;
    }
    return highest;
  }

  /** Who leads, `row` or `leader` (-1: nobody yet); reads of `row` what it takes to tell, the cheapest first. */
  private challenge(row: number, leader: number): number {
    if (row === -1 || row === leader || this.isOut(row, leader)) return leader;
    if (this.scan.needsName) this.scan.readName(this.table, row);
    if (this.isOut(row, leader)) return leader;
    if (this.policy.rankBy === 'memory') {
      this.scan.readAdj(this.table, row);
      if (this.policy.swapCounts) this.scan.readStatus(this.table, row);
      if (this.isOut(row, leader)) return leader;
    }
    if (this.scan.needsBias) {
      this.scan.readBias(this.table, row);
      if (this.isOut(row, leader)) return leader;
    }
    if (this.scan.needsProtection) {
      this.scan.readProtection(this.table, row);
      if (this.isOut(row, leader)) return leader;
    }
    this.scan.readStat(this.table, row);
    if (leader !== -1 && !outranks(this.table, row, leader, this.policy)) return leader;
    this.complete(row);
    return whyNot(this.table, row, this.policy) === null ? row : leader;
  }

  /** Whether what is known of `row` is enough to see that it does not lead. */
  private isOut(row: number, leader: number): boolean {
    if (leader !== -1) {
      const toBeat = scoreOf(this.table, leader, this.policy);
      const swapUsedKib = this.swap.swapTotalKib - this.swap.swapFreeKib;
      if (scoreBound(this.table, row, this.policy, this.scan.preferrers, swapUsedKib) < toBeat) return true;
    }
    return whyNot(this.table, row, this.policy) !== null;
  }

  /** Reads what is to be told of a row: all there is of one that may be chosen, name and memory of one that may not. */
  acquaint(row: number): void {
    if (whyNot(this.table, row, this.policy) === null) return this.complete(row);
    this.scan.readName(this.table, row);
    this.scan.readMemory(this.table, row);
  }

  /** Reads what is not known of the row yet. */
  complete(row: number): void {
    const { table } = this;
    this.scan.complete(table, row);
    const setAside = this.setAside.has(table.pid[row] as number, table.startTimeTicks[row] as number);
    if (setAside) table.mark(row, MARK_SET_ASIDE);
    if (this.passesOverSmall && isSmall(table, row, this.policy)) table.mark(row, MARK_SMALL);
  }
}
