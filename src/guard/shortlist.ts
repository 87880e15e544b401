/*
 * Knows the victim in advance. While memory is short but not yet at the limit, a sweep walks through all processes,
 * some at each tick and never more than its share of a core (ten times that until there is a first result), and keeps the pids with the highest scores. At the
 * crossing only those are read again, and whoever is new, if that is enough to tell:
 *
 *   who was outside at the sweep   had at most `outsideBound`, and a score can't rise faster than its process gets
 *                                  memory. What was allocated on the whole machine since the sweep began
 *                                  (/proc/vmstat, pgalloc_*) is the most that any one of them can have got.
 *   who was not there              has a pid that was given out since (/proc/loadavg says up to which).
 *
 * If the leader of the shortlist has more than all that, it is the victim, and a full scan would find the same. If
 * not (a narrow lead, a sweep too long ago, too many new pids), there is a full scan.
 *
 * Not covered, and so as old as the last sweep: a new oom_score_adj, a new name where patterns are used, anything new that a matcher is
 * asked about, and pages
 * that were there already and are mapped by one more process (shared memory).
 */
import { A_FRACTION, Moment } from '../../native-shims/clock.js';
import { scoreBound, scoreRise, whyNot } from '../decide/ranking.js';
import type { AllocationClock } from '../sample/allocation-clock.js';
import type { PidWalk } from '../sample/pid-walk.js';
import type { ProcessScan } from '../sample/process-scan.js';
import { CandidateTable, MARK_UNREADABLE } from '../shared/candidates.js';
import type { SelectionPolicy } from '../shared/selection.js';

/** How many are read again at the crossing: 6 us each. */
const LENGTH = 32;
const LENGTH_SHORTENED = 2;

/** More new pids than these since the sweep: a full scan is not much dearer (20 us each, 7 us of a full scan). */
const NEW_PIDS_MAX = 64;

/** A guard that knows nobody yet is in a hurry: the first sweep may take that much more than its share. */
const FIRST_SWEEP_FACTOR = 10;

/** A tick is not held up longer than this. */
const SLICE_MS_MAX = 1;

const NOBODY = Number.NEGATIVE_INFINITY;
/** The score of somebody of whom none could be read: more than anybody has. */
const SCORE_UNKNOWN = Number.MAX_SAFE_INTEGER;

/** What is known of the machine besides its processes. */
export interface Machine {
  memTotalKib: number;
  swapTotalKib: number;
  swapFreeKib: number;
}

/** How much of a core a sweep may take (decide/cadence.ts). */
export interface SweepShare {
  sweepShare: number;
}

/** What one walk through all processes has found. */
export class Survey {
  complete = false;
  count = 0;
  /** How many are kept. */
  length = LENGTH;
  readonly pids = new Int32Array(LENGTH);
  readonly scores = new Float64Array(LENGTH);
  /** The highest score of those who are not on the list. */
  outsideBound = NOBODY;
  /** When it began. */
  allocatedKib = 0;
  lastPid = 0;

  begin(clock: AllocationClock): void {
    this.complete = false;
    this.count = 0;
    this.outsideBound = NOBODY;
    this.allocatedKib = clock.allocatedKib;
    this.lastPid = clock.lastPid;
  }

  /** Whether `score` is high enough for the list. */
  admits(score: number): boolean {
    return this.count < this.length || score > (this.scores[this.lowest()] as number);
  }

  /** Puts a process on the list; whoever had the lowest score goes. */
  add(pid: number, score: number): void {
    let slot = this.count;
    if (slot < this.length) this.count++;
    else {
      slot = this.lowest();
      this.exclude(this.scores[slot] as number);
    }
    this.pids[slot] = pid;
    this.scores[slot] = score;
  }

  exclude(score: number): void {
    if (score > this.outsideBound) this.outsideBound = score;
  }

  has(pid: number): boolean {
    for (let slot = 0; slot < this.count; slot++) if (this.pids[slot] === pid) return true;
    return false;
  }

  private lowest(): number {
    let lowest = 0;
    for (let slot = 1; slot < this.count; slot++) {
      if ((this.scores[slot] as number) < (this.scores[lowest] as number)) lowest = slot;
    }
    return lowest;
  }
}

export class Shortlist {
  /** After `fill`: nobody who is not in the table has a higher score. */
  outsideBound = NOBODY;
  private ready = new Survey();
  private next = new Survey();
  private sweeping = false;
  private allowanceMs = A_FRACTION;
  private lastMs = A_FRACTION;
  private readonly began = new Moment();
  private readonly ended = new Moment();
  private readonly one = new CandidateTable(1);

  /**
   * @param walk         over a directory fd of its own
   * @param scoreFactor  how many points of score a process gets for a thousandth of all memory (see `scoreFactorOf`)
   */
  constructor(
    private readonly scan: ProcessScan,
    private readonly walk: PidWalk,
    private readonly clock: AllocationClock,
    private readonly policy: SelectionPolicy,
    private readonly machine: Machine,
    private readonly scoreFactor: number,
  ) {}

  /** Whether a sweep has been completed. */
  get isReady(): boolean {
    return this.ready.complete;
  }

  /** Has the sweeps that begin from now on keep few, or as many as usual (for the rehearsal: on a quiet machine nobody would be left out). */
  shorten(shortens: boolean): void {
    this.ready.length = shortens ? LENGTH_SHORTENED : LENGTH;
    this.next.length = this.ready.length;
  }

  /** Sweeps on, with the cadence's share of a core since the last time; with none it forgets what it knows. */
  advance(cadence: SweepShare, now: Moment): void {
    const elapsedMs = now.ms - this.lastMs;
    this.lastMs = now.ms;
    if (cadence.sweepShare === 0) return this.forget();
    const share = this.ready.complete ? cadence.sweepShare : Math.min(cadence.sweepShare * FIRST_SWEEP_FACTOR, 1);
    this.allowanceMs = Math.min(this.allowanceMs + elapsedMs * share, SLICE_MS_MAX);
    this.began.update();
    while (this.allowanceMs > 0) {
      this.step();
      this.ended.update();
      this.allowanceMs -= this.ended.ms - this.began.ms;
      this.began.ms = this.ended.ms;
    }
  }

  /**
   * Fills `table` with those who can be the victim, read anew, and sets `outsideBound`. Returns false if there is
   * nothing to go by.
   */
  fill(table: CandidateTable): boolean {
    const { ready, clock } = this;
    if (!ready.complete) return false;
    table.clear();
    for (let slot = 0; slot < ready.count; slot++) this.add(table, ready.pids[slot] as number);
    if (!clock.read()) return false;
    const newPids = clock.lastPid - ready.lastPid;
    // The numbers begin again at PID_MAX.
    if (newPids < 0 || newPids > NEW_PIDS_MAX) return false;
    for (let pid = ready.lastPid + 1; pid <= clock.lastPid; pid++) {
      if (!ready.has(pid) && this.scan.isProcess(pid)) this.add(table, pid);
    }
    this.outsideBound = ready.outsideBound + this.pointsOf(clock.allocatedKib - ready.allocatedKib);
    return true;
  }

  /** Appends a row for `pid` with what is ranked by, unless it is gone. Returns its index, or -1. */
  private add(table: CandidateTable, pid: number): number {
    return this.policy.rankBy === 'memory' ? this.scan.addMemory(table, pid) : this.scan.addScore(table, pid);
  }

  private forget(): void {
    this.ready.complete = false;
    this.sweeping = false;
    this.allowanceMs = 0;
  }

  /** The next process of the sweep, or its beginning or end. */
  private step(): void {
    if (!this.sweeping) return this.begin();
    const pid = this.walk.next();
    if (pid > 0) this.look(pid);
    else this.finish(pid);
  }

  private begin(): void {
    if (!this.clock.read() || this.walk.restart() < 0) {
      this.allowanceMs = 0;
      return;
    }
    this.next.begin(this.clock);
    this.sweeping = true;
  }

  private finish(result: number): void {
    this.sweeping = false;
    if (result < 0) return;
    const { ready } = this;
    this.next.complete = true;
    this.ready = this.next;
    this.next = ready;
  }

  /** Puts a process on the list, or notes what it would have to have to be on it. */
  private look(pid: number): void {
    const { one, scan, next } = this;
    one.clear();
    if (this.add(one, pid) === -1) return;
    if (next.admits(this.bound()) && scan.needsName) scan.readName(one, 0);
    if (next.admits(this.bound()) && this.policy.rankBy === 'memory') scan.readAdj(one, 0);
    if (next.admits(this.bound()) && (scan.needsUid || this.policy.swapCounts)) scan.readStatus(one, 0);
    if (scan.needsBias && next.admits(this.bound())) scan.readBias(one, 0);
    if (scan.needsProtection && next.admits(this.bound())) scan.readProtection(one, 0);
    // Who can't be read now (no memory for it, no file left) may be read later, and then have any score.
    const unreadable = one.hasMark(0, MARK_UNREADABLE);
    if (!unreadable && whyNot(one, 0, this.policy) !== null) return;
    const score = unreadable ? SCORE_UNKNOWN : this.bound();
    if (next.admits(score)) next.add(pid, score);
    else next.exclude(score);
  }

  private bound(): number {
    const swapUsedKib = this.machine.swapTotalKib - this.machine.swapFreeKib;
    return scoreBound(this.one, 0, this.policy, this.scan.preferrers, swapUsedKib);
  }

  /** The points of score that `kib` of memory can make, rounded up. */
  private pointsOf(kib: number): number {
    return scoreRise(kib, this.policy, this.scoreFactor, this.machine.memTotalKib + this.machine.swapTotalKib);
  }
}

/**
 * Since Linux 5.9 oom_score is two thirds of what it was, with 1000 added before (so that an idle process shows 666).
 * @param release  as uname -r prints it
 */
export function scoreFactorOf(release: string): number {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10));
  return major > 5 || (major === 5 && minor >= 9) ? 2 / 3 : 1;
}
