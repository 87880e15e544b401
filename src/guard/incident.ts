/*
 * The incident record: what a kill was, in one line of JSON, for `explain` and for whoever has to answer for it.
 *
 *   crossed    memory, pressure and the time of day are kept
 *   selected   the victim's row; the table of candidates stays as it is until the next selection
 *   signalled  only the time is noted: nothing may come between one signal and the next
 *   collect    after the signal: the ten best of the table, and what is not known of them yet
 *   ended      the line is built
 *   looked     it is written once memory is back, or has not come back for a second
 *
 * All of it works in buffers made at start, and nothing is written before the kill is over.
 */
import { A_FRACTION, Moment, WallTime } from '../../native-shims/clock.js';
import { EIO, strerror } from '../../native-shims/errno.js';
import { SIGKILL } from '../../native-shims/pidfd.js';
import { levelOf } from '../decide/limits.js';
import { scoreOf, whyNot } from '../decide/ranking.js';
import { emptyMeminfo, type Meminfo } from '../kernel/meminfo.js';
import {
  emptyPressureAverages,
  FULL_AVG10,
  NO_PRESSURE,
  type PressureAverages,
  SOME_AVG10,
  SOME_AVG60,
  SOME_TOTAL_MS,
} from '../kernel/pressure-averages.js';
import { JsonLine } from '../report/json-line.js';
import type { Log } from '../report/log.js';
import type { MemorySampler } from '../sample/memory-sampler.js';
import type { PressureAveragesFile } from '../sample/pressure-averages-file.js';
import { NAME_BYTES, UNKNOWN } from '../shared/candidates.js';
import { INCIDENT_SCHEMA, type Outcome, STEPS } from '../shared/incident.js';
import { LEVEL_KILL, LEVEL_NONE, type Level, type Limits } from '../shared/limits.js';
import type { Persona } from '../shared/options.js';
import { copySelection, EARLYOOM_SELECTION, type SelectionPolicy } from '../shared/selection.js';
import { VERSION } from '../shared/version.js';
import { emptyVictim, type Victim } from '../shared/victim.js';
import { BestCandidates } from './best-candidates.js';
import type { RecordFile } from './record-file.js';
import type { Selector } from './selector.js';

/** Ten names of 15 bytes and 256 bytes of arguments, six characters for each byte at worst: 5,000 bytes with all numbers. */
const RECORD_BYTES_MAX = 16 * 1024;

/** How long after the victim's end its record waits for memory to come back. */
const MEMORY_BACK_MS_MAX = 1000;

const SELECTED = STEPS.indexOf('selected');
const HOOK_STARTED = STEPS.indexOf('hookStarted');
const HOOK_ENDED = STEPS.indexOf('hookEnded');
const SIGTERM_SENT = STEPS.indexOf('sigterm');
const SIGKILL_SENT = STEPS.indexOf('sigkill');
const MRELEASED = STEPS.indexOf('mrelease');
const EXITED = STEPS.indexOf('exited');
const MEMORY_BACK = STEPS.indexOf('memoryBack');

const NEVER_US = -1;
/** 35 minutes, of a kill that may take 21 seconds. */
const US_MAX = 0x7fffffff;
const US_PER_MS = 1000;

/** The guard's own, or what it was made from: only read here. */
export interface RecordedPolicy {
  persona: Persona;
  limits: Limits;
  selection: SelectionPolicy;
  killGroup: boolean;
}

export interface IncidentParts {
  log: Log;
  sampler: MemorySampler;
  selector: Selector;
  pressure: PressureAveragesFile;
}

export class IncidentRecorder {
  private readonly line = new JsonLine(RECORD_BYTES_MAX);
  private readonly best = new BestCandidates();
  private readonly clock = new Moment();
  private readonly wall = new WallTime();
  private readonly before = emptyMeminfo();
  /** As it was at the crossing. A copy, made where the guard's is: objects made in different places are different kinds to V8. */
  private readonly selection: SelectionPolicy = copySelection(EARLYOOM_SELECTION);
  private readonly averages: PressureAverages = emptyPressureAverages();
  /** By the step's place in STEPS, us since the crossing. */
  private readonly timeline = new Int32Array(STEPS.length);
  private crossedMs = A_FRACTION;
  private endedMs = A_FRACTION;
  private level: Level = LEVEL_NONE;
  private rule: string | null = null;
  private row = -1;
  private victim: Victim = emptyVictim();
  private anonAtSignalKib = 0;
  private sequence = 0;
  private idStart = 0;
  private idEnd = 0;
  private collected = false;
  /** The line is built but for memory's return. */
  private pending = false;
  private failureSaid = false;

  /** @param file  null: nothing is recorded */
  constructor(
    private readonly file: RecordFile | null,
    private readonly policy: RecordedPolicy,
    private readonly parts: IncidentParts,
  ) {}

  /** A limit was seen crossed, or `rule` asks for a kill. */
  crossed(level: Level, rule: string | null, now: Moment): void {
    if (this.file === null) return;
    if (this.pending) this.write();
    this.crossedMs = now.ms;
    this.level = level;
    this.rule = rule;
    this.row = -1;
    this.collected = false;
    this.timeline.fill(NEVER_US);
    this.wall.update();
    copyMemory(this.parts.sampler.memory, this.before);
    setSelection(this.policy.selection, this.selection);
    this.parts.pressure.read();
    this.averages.set(this.parts.pressure.averages);
  }

  /** The row was chosen (-1: nobody); `victim` is filled before the kill ends. */
  selected(level: Level, row: number, victim: Victim): void {
    if (this.file === null) return;
    if (level !== LEVEL_NONE) this.level = level;
    this.row = row;
    this.victim = victim;
    this.stamp(SELECTED);
  }

  hookStarted(): void {
    if (this.file !== null) this.stamp(HOOK_STARTED);
  }

  /** A signal has gone out; the hook, if there was one, was seen ended at `now`. */
  signalled(signal: number, now: Moment): void {
    if (this.file === null) return;
    this.stamp(signal === SIGKILL ? SIGKILL_SENT : SIGTERM_SENT);
    const first = this.timeline[SIGTERM_SENT] === NEVER_US || this.timeline[SIGKILL_SENT] === NEVER_US;
    if (!first) return;
    this.anonAtSignalKib = this.parts.sampler.memory.anonPagesKib;
    if (this.timeline[HOOK_STARTED] !== NEVER_US) this.note(HOOK_ENDED, now);
  }

  released(): void {
    if (this.file !== null) this.stamp(MRELEASED);
  }

  /** Between two ticks' steps: has the record written once there is nothing more to wait for. */
  looked(level: Level, now: Moment): void {
    if (!this.pending) return;
    if (level === LEVEL_NONE) this.note(MEMORY_BACK, now);
    if (level === LEVEL_NONE || now.ms - this.endedMs >= MEMORY_BACK_MS_MAX) this.write();
  }

  /** Reads what is to be said of the ten best: when nothing is urgent any more. */
  collect(): void {
    if (this.file === null || this.collected) return;
    this.collected = true;
    const { selector } = this.parts;
    const { best, selection, row } = this;
    best.find(selector.table, selection, row);
    for (let place = 0; place < best.count; place++) {
      // What is known of the victim is from before the signal.
      if (best.row(place) !== row) selector.acquaint(best.row(place));
    }
    best.sort(selector.table, selection);
  }

  /** The kill is over. */
  ended(outcome: Outcome, errno: number): void {
    if (this.file === null) return;
    const { sampler } = this.parts;
    const wasSignalled = this.timeline[SIGTERM_SENT] !== NEVER_US || this.timeline[SIGKILL_SENT] !== NEVER_US;
    if (outcome === 'exited') this.stamp(EXITED);
    this.collect();
    sampler.sample();
    this.build(outcome === 'exited' && !wasSignalled ? 'gone' : outcome, errno, wasSignalled);
    this.pending = true;
    this.clock.update();
    this.endedMs = this.clock.ms;
    if (outcome !== 'exited') return this.write();
    this.looked(levelOf(sampler.memory, this.policy.limits), this.clock);
  }

  /** The first time that a step is done counts. */
  private stamp(step: number): void {
    this.clock.update();
    this.note(step, this.clock);
  }

  private note(step: number, now: Moment): void {
    if (this.timeline[step] !== NEVER_US) return;
    const us = Math.round((now.ms - this.crossedMs) * US_PER_MS);
    this.timeline[step] = Math.max(0, Math.min(us, US_MAX));
  }

  private build(outcome: Outcome, errno: number, wasSignalled: boolean): void {
    const { line, policy, selection, wall } = this;
    this.sequence++;
    line.clear().open('{');
    line.key('schema').integer(INCIDENT_SCHEMA).key('kind').string('incident');
    line.key('id').begin();
    this.idStart = line.length;
    this.writeTime(wall.seconds);
    line.ascii('-').padded(this.sequence, 4);
    this.idEnd = line.length;
    line.end();
    line.key('atUnixMs').literal('').padded(wall.seconds, 1).padded(wall.milliseconds, 3);
    line.key('version').string(VERSION).key('persona').string(policy.persona);
    line.key('outcome').string(outcome);
    line.key('errno').integerUnless(errno, 0);
    this.buildWhy();
    line.key('ranking').string(selection.rankBy).key('floorKib').integer(selection.floorKib);
    line.key('killGroup').literal(policy.killGroup ? 'true' : 'false');
    this.buildMemory('before', this.before);
    this.buildMemory('after', this.parts.sampler.memory);
    this.buildPressure();
    this.buildVictim();
    this.buildCandidates();
    const { anonKib } = this.victim;
    line.key('expectedKib').integerUnless(anonKib, -1);
    const gaveBackKib = Math.max(0, this.anonAtSignalKib - this.parts.sampler.memory.anonPagesKib);
    if (wasSignalled) line.key('gaveBackKib').integer(gaveBackKib);
    else line.key('gaveBackKib').literal('null');
  }

  /**
   * `20261121T184200Z`. A year that begins in March has its leap day at its end (Hinnant, "chrono-compatible low-level date algorithms").
   * A method, so that it is compiled with the others: its fractions would be garbage.
   */
  private writeTime(seconds: number): void {
    const { line } = this;
    const days = Math.floor(seconds / SECONDS_PER_DAY) + DAYS_TO_EPOCH;
    const era = Math.floor(days / DAYS_PER_ERA);
    const day = days - era * DAYS_PER_ERA;
    const leaps = Math.floor(day / 1460) - Math.floor(day / 36_524) + Math.floor(day / 146_096);
    const yearOfEra = Math.floor((day - leaps) / 365);
    const dayOfYear = day - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
    const march = Math.floor((5 * dayOfYear + 2) / 153);
    const month = march < 10 ? march + 3 : march - 9;
    const ofDay = seconds % SECONDS_PER_DAY;
    line.padded(era * 400 + yearOfEra + (month <= 2 ? 1 : 0), 4).padded(month, 2);
    line.padded(dayOfYear - Math.floor((153 * march + 2) / 5) + 1, 2).ascii('T');
    line.padded(Math.floor(ofDay / SECONDS_PER_HOUR), 2).padded(Math.floor((ofDay % SECONDS_PER_HOUR) / 60), 2);
    line.padded(ofDay % 60, 2).ascii('Z');
  }

  private buildWhy(): void {
    const { line, rule, level } = this;
    const { limits } = this.policy;
    line.key('why').open('{');
    line
      .key('by')
      .string(rule === null ? 'limits' : 'rule')
      .key('rule');
    if (rule === null) line.literal('null');
    else line.string(rule);
    line.key('level').string(level === LEVEL_KILL ? 'kill' : 'term');
    line.key('limits').open('{');
    line.key('memTermPercent').decimal(limits.memTermPercent).key('memKillPercent').decimal(limits.memKillPercent);
    line.key('swapTermPercent').decimal(limits.swapTermPercent).key('swapKillPercent').decimal(limits.swapKillPercent);
    line.close('}').close('}');
  }

  private buildMemory(name: string, memory: Meminfo): void {
    const { line } = this;
    line.key(name).open('{');
    line.key('memTotalKib').integer(memory.memTotalKib).key('memAvailableKib').integer(memory.memAvailableKib);
    line.key('anonPagesKib').integer(memory.anonPagesKib).key('swapTotalKib').integer(memory.swapTotalKib);
    line.key('swapFreeKib').integer(memory.swapFreeKib).close('}');
  }

  private buildPressure(): void {
    const { line } = this;
    line.key('pressure').open('{');
    line.key('some');
    this.buildAverages(SOME_AVG10);
    line.key('full');
    this.buildAverages(FULL_AVG10);
    line.close('}');
  }

  /** @param first  where the values begin, which are in the same order for `some` and `full` */
  private buildAverages(first: number): void {
    const { line, averages } = this;
    const avg10 = averages[first + SOME_AVG10] as number;
    const avg60 = averages[first + SOME_AVG60] as number;
    line.open('{').key('avg10');
    if (avg10 === NO_PRESSURE) line.literal('null');
    else line.hundredths(avg10);
    line.key('avg60');
    if (avg60 === NO_PRESSURE) line.literal('null');
    else line.hundredths(avg60);
    line.key('totalMs').integerUnless(averages[first + SOME_TOTAL_MS] as number, NO_PRESSURE);
    line.close('}');
  }

  private buildVictim(): void {
    const { line, victim, row } = this;
    const { table } = this.parts.selector;
    line.key('victim').open('{');
    line.key('pid').integer(victim.pid).key('startTimeTicks').integer(victim.startTimeTicks);
    line.key('uid').integerUnless(victim.uid, -1);
    line.key('name').utf8(victim.name, 0, victim.nameLength);
    line.key('cmdline').utf8(victim.cmdline, 0, victim.cmdlineLength);
    line.key('rssKib').integerUnless(victim.rssKib, UNKNOWN).key('anonKib').integerUnless(victim.anonKib, -1);
    line.key('swapKib').at(table.swapKib, row, UNKNOWN);
    line.key('oomScore').integerUnless(victim.oomScore, UNKNOWN);
    line.key('oomScoreAdj').integerUnless(victim.oomScoreAdj, UNKNOWN);
    line
      .key('score')
      .integer(scoreOf(table, row, this.selection))
      .close('}');
  }

  private buildCandidates(): void {
    const { line, best, selection } = this;
    const { table } = this.parts.selector;
    line.key('candidates').open('[');
    for (let place = 0; place < best.count; place++) {
      const row = best.row(place);
      const start = row * NAME_BYTES;
      line
        .open('{')
        .key('pid')
        .integer(table.pid[row] as number);
      line.key('name').utf8(table.names, start, start + table.nameLength(row));
      line.key('score').integer(scoreOf(table, row, selection));
      line.key('oomScore').integerUnless(table.oomScore[row] as number, UNKNOWN);
      line.key('oomScoreAdj').integerUnless(table.oomScoreAdj[row] as number, UNKNOWN);
      line.key('rssKib').at(table.rssKib, row, UNKNOWN).key('anonKib').at(table.anonKib, row, UNKNOWN);
      const reason = row === this.row ? null : whyNot(table, row, selection);
      line.key('passedOver');
      if (reason === null) line.literal('null');
      else line.string(reason);
      line.close('}');
    }
    line.close(']');
  }

  /** Adds what is known last, and writes the line. */
  private write(): void {
    const { line, timeline } = this;
    const file = this.file as RecordFile;
    this.pending = false;
    line.key('timelineUs').open('{');
    for (let step = 0; step < STEPS.length; step++) {
      line.key(STEPS[step] as string).integerUnless(timeline[step] as number, NEVER_US);
    }
    line.close('}').close('}').newline();
    const result = line.fits ? file.append(line.bytes, line.length) : -EIO;
    if (result === 0) this.failureSaid = false;
    else if (this.failureSaid) return;
    this.say(file, result);
  }

  private say(file: RecordFile, result: number): void {
    const { log } = this.parts;
    const said = log.begin('warn').text('incident ').escaped(this.line.bytes, this.idStart, this.idEnd);
    if (result === 0) {
      said.text(': ').text(file.path);
    } else {
      said.text(' could not be recorded: ').text(strerror(-result));
      this.failureSaid = true;
    }
    log.end();
  }
}

function setSelection(from: SelectionPolicy, to: SelectionPolicy): void {
  to.rankBy = from.rankBy;
  to.ignoreRootUser = from.ignoreRootUser;
  to.onlyUid = from.onlyUid;
  to.onlyPid = from.onlyPid;
  to.floorKib = from.floorKib;
  to.swapCounts = from.swapCounts;
  to.youngestFirst = from.youngestFirst;
  to.machineKib = from.machineKib;
}

function copyMemory(from: Meminfo, to: Meminfo): void {
  to.memTotalKib = from.memTotalKib;
  to.memAvailableKib = from.memAvailableKib;
  to.anonPagesKib = from.anonPagesKib;
  to.swapTotalKib = from.swapTotalKib;
  to.swapFreeKib = from.swapFreeKib;
}

const SECONDS_PER_DAY = 86_400;
const SECONDS_PER_HOUR = 3600;
const DAYS_PER_ERA = 146_097;
/** Days from 0000-03-01 to 1970-01-01. */
const DAYS_TO_EPOCH = 719_468;
