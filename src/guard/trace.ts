/*
 * --record: what the guard saw and did, for `replay` (shared/trace.ts has the form). It never waits: lines go into a pipe that a child
 * of its own, `cat`, empties into the file, whatever disk that is on; what does not fit into the pipe is dropped and counted.
 * A line is at most PIPE_BUF long, which goes in whole or not at all.
 *
 * The table of candidates is written after the signal, and now and then while the limit is near, so that other limits can be
 * replayed as well; every fact of every process is read for it, which takes some ms for a thousand of them.
 *
 * A tick that saw what the one before it saw, and only waits, is left out, for a second at most.
 */
import { A_FRACTION, Moment } from '../../native-shims/clock.js';
import { EAGAIN, EINTR, strerror } from '../../native-shims/errno.js';
import { close, write } from '../../native-shims/files.js';
import { reap } from '../../native-shims/spawn.js';
import { isStuck, type Phase, type Step } from '../decide/ladder.js';
import { JsonLine } from '../report/json-line.js';
import type { Log } from '../report/log.js';
import type { MemorySampler } from '../sample/memory-sampler.js';
import { type CandidateTable, NAME_BYTES, UNKNOWN } from '../shared/candidates.js';
import type { Outcome } from '../shared/incident.js';
import { LEVEL_NONE } from '../shared/limits.js';
import {
  LOOK_FAILED,
  LOOK_HELD_BACK,
  LOOK_PRE_HOOK_DONE,
  LOOK_RULE_KILL,
  LOOK_RULE_TERM,
  LOOK_STUCK,
  LOOK_VICTIM_GONE,
  PHASES,
  SPARED,
} from '../shared/trace.js';
import type { Selector } from './selector.js';
import type { TickFacts } from './witness.js';

/** PIPE_BUF. */
const LINE_BYTES_MAX = 4096;
/** A row's numbers and its name at six characters a byte: it fits after this. */
const ROWS_BYTES_MAX = LINE_BYTES_MAX - 400;

/** Hours of looking closely; a table of 2,000 processes is 180 KB. */
const TRACE_BYTES_MAX = 64 * 1024 * 1024;

/** While the limit is near. */
const TABLE_INTERVAL_MS = 5000;
/** An unchanged sight is written again after this. */
const SAME_MS_MAX = 1000;

const KTHREADD_PID = 2;

/** By the level that a PSI rule asks for. */
const LOOK_BY_RULE = [0, LOOK_RULE_TERM, LOOK_RULE_KILL] as const;

/** What the trace asks of the cadence. */
interface Nearness {
  /** Above 0 while the limit is near. */
  readonly sweepShare: number;
}

export interface TraceParts {
  log: Log;
  sampler: MemorySampler;
  selector: Selector;
  cadence: Nearness;
}

export class TraceRecorder {
  private readonly line = new JsonLine(LINE_BYTES_MAX);
  private readonly since = new Moment();
  /** When this tick began. */
  private readonly now = new Moment();
  private lastWrittenMs = A_FRACTION;
  private lastTableMs = A_FRACTION;
  private lastAvailableKib = 0;
  private lastAnonKib = 0;
  private lastSwapFreeKib = 0;
  private lastFlags = 0;
  private lastPhase: Phase = 'watching';
  private dropped = 0;
  private droppedKnown = 0;
  private tables = 0;
  private bytesLeft: number;
  private failed = false;
  private chosen = -1;
  private choicePending = false;
  /** Memory after the search. */
  private choiceAvailableKib = 0;
  private choiceAnonKib = 0;
  private choiceSwapTotalKib = 0;
  private choiceSwapFreeKib = 0;
  private fd: number;

  /**
   * @param fd        takes lines without waiting
   * @param childPid  who empties it; 0: nobody to collect
   */
  constructor(
    fd: number,
    private readonly childPid: number,
    private readonly parts: TraceParts,
    bytesMax = TRACE_BYTES_MAX,
  ) {
    this.fd = fd;
    this.bytesLeft = bytesMax;
    this.since.update();
  }

  /** The first line, JSON; written before anything else. */
  begin(header: string): void {
    const bytes = Buffer.from(`${header}\n`);
    this.put(bytes, bytes.length);
  }

  /** Memory could not be read at the look that comes next. */
  lookFailed(): void {
    this.failed = true;
  }

  /** A tick has looked, and is going to do `step`. */
  looked(phase: Phase, facts: TickFacts, step: Step, now: Moment): void {
    if (this.fd < 0) return;
    this.now.ms = now.ms;
    const flags =
      (facts.victimGone ? LOOK_VICTIM_GONE : 0) |
      (facts.preHookDone ? LOOK_PRE_HOOK_DONE : 0) |
      (facts.heldBack ? LOOK_HELD_BACK : 0) |
      (isStuck(facts) ? LOOK_STUCK : 0) |
      LOOK_BY_RULE[facts.levelOfRule] |
      (this.failed ? LOOK_FAILED : 0);
    this.failed = false;
    if (step !== 'wait' || this.differs(phase, flags)) this.writeLook(phase, flags, step);
    const near = phase === 'watching' && facts.level === LEVEL_NONE && this.parts.cadence.sweepShare > 0;
    if (near && this.now.ms - this.lastTableMs >= TABLE_INTERVAL_MS) {
      this.parts.selector.scanAll();
      this.writeTable();
    }
  }

  /** The row was chosen (-1: nobody), at the memory that is in the sampler. */
  selected(row: number): void {
    const { memory } = this.parts.sampler;
    this.chosen = row;
    this.choicePending = true;
    this.choiceAvailableKib = memory.memAvailableKib;
    this.choiceAnonKib = memory.anonPagesKib;
    this.choiceSwapTotalKib = memory.swapTotalKib;
    this.choiceSwapFreeKib = memory.swapFreeKib;
  }

  /** Writes the choice and whom it was between, once: nothing is urgent any more. */
  collect(): void {
    if (this.fd < 0 || !this.choicePending) return;
    this.choicePending = false;
    const { selector } = this.parts;
    const { table } = selector;
    for (let row = 0; row < table.count; row++) selector.complete(row);
    this.writeChoice(table);
    this.writeTable();
  }

  signalled(signal: number): void {
    if (this.fd < 0) return;
    this.start().key('signal').integer(signal);
    this.finish();
  }

  /** Nobody is killed, since no kill would help. */
  spared(): void {
    if (this.fd < 0) return;
    this.start().key('outcome').string(SPARED).key('errno').integer(0);
    this.finish();
  }

  ended(outcome: Outcome, errno: number): void {
    if (this.fd < 0) return;
    this.start().key('outcome').string(outcome).key('errno').integer(errno);
    this.finish();
  }

  private differs(phase: Phase, flags: number): boolean {
    const { memory } = this.parts.sampler;
    const same =
      memory.memAvailableKib === this.lastAvailableKib &&
      memory.anonPagesKib === this.lastAnonKib &&
      memory.swapFreeKib === this.lastSwapFreeKib &&
      flags === this.lastFlags &&
      phase === this.lastPhase;
    return !same || this.now.ms - this.lastWrittenMs >= SAME_MS_MAX;
  }

  private writeLook(phase: Phase, flags: number, step: Step): void {
    const { memory } = this.parts.sampler;
    this.lastAvailableKib = memory.memAvailableKib;
    this.lastAnonKib = memory.anonPagesKib;
    this.lastSwapFreeKib = memory.swapFreeKib;
    this.lastFlags = flags;
    this.lastPhase = phase;
    this.lastWrittenMs = this.now.ms;
    const line = this.start().key('m').open('[');
    line.integer(memory.memAvailableKib).integer(memory.anonPagesKib);
    line.integer(memory.swapTotalKib).integer(memory.swapFreeKib).close(']');
    line.key('p').integer(PHASES.indexOf(phase)).key('f').integer(flags);
    if (step !== 'wait') line.key('s').string(step);
    this.finish();
  }

  private writeChoice(table: CandidateTable): void {
    const { chosen } = this;
    const line = this.start().key('choice').open('{').key('m').open('[');
    line.integer(this.choiceAvailableKib).integer(this.choiceAnonKib);
    line.integer(this.choiceSwapTotalKib).integer(this.choiceSwapFreeKib).close(']');
    const start = Math.max(0, chosen) * NAME_BYTES;
    const end = chosen < 0 ? start : start + table.nameLength(chosen);
    line.key('pid').integer(chosen < 0 ? 0 : (table.pid[chosen] as number));
    line.key('startTimeTicks').integer(chosen < 0 ? 0 : (table.startTimeTicks[chosen] as number));
    line.key('name').latin1(table.names, start, end);
    line
      .key('table')
      .integer(this.tables + 1)
      .close('}');
    this.finish();
  }

  /** Everybody in the selector's table, all of whose facts have been read. */
  private writeTable(): void {
    const { table } = this.parts.selector;
    this.tables++;
    this.lastTableMs = this.now.ms;
    let row = 0;
    for (let part = 0; part === 0 || row < table.count; part++) row = this.writePart(table, part, row);
  }

  /** Writes as many rows as a line holds, from `row` on; returns the first that was not. */
  private writePart(table: CandidateTable, part: number, from: number): number {
    const line = this.start().key('table').integer(this.tables).key('part').integer(part).key('rows').open('[');
    let row = from;
    for (; row < table.count && line.length < ROWS_BYTES_MAX; row++) {
      const kernelThread = table.pid[row] === KTHREADD_PID || table.ppid[row] === KTHREADD_PID;
      if (!kernelThread) writeRow(line, table, row);
    }
    line.close(']');
    if (row === table.count) line.key('last').literal('true');
    this.finish();
    return row;
  }

  private start(): JsonLine {
    return this.line.clear().open('{').key('t').microseconds(this.now, this.since);
  }

  /** Ends the line and sends it off, or counts it as dropped. */
  private finish(): void {
    const { line } = this;
    if (this.dropped > this.droppedKnown) line.key('n').integer(this.dropped - this.droppedKnown);
    line.close('}').newline();
    if (!line.fits) this.dropped++;
    else if (line.length > this.bytesLeft - LINE_BYTES_MAX) this.stopFull();
    else if (this.put(line.bytes, line.length)) this.droppedKnown = this.dropped;
  }

  private put(bytes: Uint8Array, length: number): boolean {
    const result = write(this.fd, bytes, length);
    if (result === length) {
      this.bytesLeft -= length;
      return true;
    }
    if (result >= 0 || result === -EAGAIN || result === -EINTR) this.dropped++;
    else this.stop(strerror(-result));
    return false;
  }

  private stopFull(): void {
    const line = this.start().key('full').literal('true').close('}').newline();
    this.put(line.bytes, line.length);
    this.stop('it has reached its bound');
  }

  private stop(why: string): void {
    if (this.fd < 0) return;
    this.parts.log.begin('warn').text('nothing is recorded any more: ').text(why);
    this.parts.log.end();
    close(this.fd);
    this.fd = -1;
    // It ends with the pipe; if it has not by now, it is collected when the guard ends.
    if (this.childPid > 0) reap(this.childPid);
  }
}

function writeRow(line: JsonLine, table: CandidateTable, row: number): void {
  const start = row * NAME_BYTES;
  line.open('[');
  line
    .integer(table.pid[row] as number)
    .integer(table.ppid[row] as number)
    .integer(table.pgrp[row] as number);
  line.at(table.uid, row, UNKNOWN).integer(table.state[row] as number);
  line.integer(table.numThreads[row] as number).integer(table.oomScore[row] as number);
  line.integer(table.oomScoreAdj[row] as number).at(table.rssKib, row, UNKNOWN);
  line.at(table.anonKib, row, UNKNOWN).at(table.swapKib, row, UNKNOWN);
  line.at(table.startTimeTicks, row, UNKNOWN).integer(table.marks[row] as number);
  line.integer(table.match[row] as number).latin1(table.names, start, start + table.nameLength(row));
  line.close(']');
}
