/*
 * The event log: what happened, a line of JSON for each (shared/event.ts has their form).
 *
 * Lines are built and queued in buffers made at start, at the end of a tick and never between a crossing and its signal; they are written
 * when `flush` is called (guard/state-recorder.ts says when), because a file in memory needs memory to grow. What does not fit into the
 * queue, or can't be written, is dropped and counted.
 */
import type { WallTime } from '../../native-shims/clock.js';
import { SIGKILL } from '../../native-shims/pidfd.js';
import type { Meminfo } from '../kernel/meminfo.js';
import { JsonLine } from '../report/json-line.js';
import { UNKNOWN } from '../shared/candidates.js';
import { type ErrorName, EVENT_SCHEMA, type EventName, type WhyNobody } from '../shared/event.js';
import type { Outcome } from '../shared/incident.js';
import { LEVEL_KILL, type Level, type Limits } from '../shared/limits.js';
import type { Victim } from '../shared/victim.js';
import type { RecordFile } from './record-file.js';

/** A name of 16 bytes, six characters for each at worst, and all numbers: 700 bytes; more is for a refusal's reason. */
const LINE_BYTES_MAX = 2048;
/** Some 100 events: a kill makes 4. */
const QUEUE_BYTES = 32 * 1024;
const REHEARSED_QUEUE_BYTES = 600;
/** Of the reason for which a reload is refused. */
const WHY_BYTES_MAX = 256;

/** No signal was sent. */
export const NO_SIGNAL = 0;

/** A span, handed over by its field. */
interface Span {
  ms: number;
}

export class EventLog {
  /** Events that were dropped. */
  droppedTotal = 0;
  private readonly line = new JsonLine(LINE_BYTES_MAX);
  private readonly queue: Uint8Array;
  private length = 0;
  private events = 0;

  private constructor(queueBytes: number) {
    this.queue = Buffer.from(new ArrayBuffer(queueBytes));
  }

  static ofGuard(): EventLog {
    return new EventLog(QUEUE_BYTES);
  }

  /** For the rehearsal: so small that some of a kill's events have to be dropped. */
  static ofRehearsal(): EventLog {
    return new EventLog(REHEARSED_QUEUE_BYTES);
  }

  /** Whether nothing waits to be written. */
  get isEmpty(): boolean {
    return this.length === 0;
  }

  /** Takes a whole line: every event goes through here, to whomever it is to go. */
  emit(line: JsonLine): void {
    const { queue, length } = this;
    if (!line.fits || length + line.length > queue.length) {
      this.droppedTotal++;
      return;
    }
    const { bytes } = line;
    for (let i = 0; i < line.length; i++) queue[length + i] = bytes[i] as number;
    this.length += line.length;
    this.events++;
  }

  /** Writes what waits; null: there is no file to write it to. Returns 0 or -errno. */
  flush(file: RecordFile | null): number {
    const result = file === null ? 0 : file.append(this.queue, this.length);
    if (result < 0) this.droppedTotal += this.events;
    this.length = 0;
    this.events = 0;
    return result;
  }

  start(time: WallTime, version: string, persona: string, dryrun: boolean, limits: Limits): void {
    const line = this.begin('start', time);
    line.key('version').string(version).key('persona').string(persona).key('pid').integer(process.pid);
    line.key('dryrun').literal(dryrun ? 'true' : 'false');
    line.key('limits').open('{');
    line.key('memTermPercent').decimal(limits.memTermPercent).key('memKillPercent').decimal(limits.memKillPercent);
    line.key('swapTermPercent').decimal(limits.swapTermPercent).key('swapKillPercent').decimal(limits.swapKillPercent);
    line.close('}');
    this.end();
  }

  sealed(time: WallTime, lockedKib: number, refusedKib: number, errno: number): void {
    const line = this.begin('sealed', time);
    line.key('lockedKib').integer(lockedKib).key('refusedKib').integer(refusedKib).key('errno').integer(errno);
    this.end();
  }

  reload(time: WallTime): void {
    this.begin('reload', time);
    this.end();
  }

  reloadRefused(time: WallTime, why: string): void {
    const bytes = Buffer.from(why);
    this.begin('reload-refused', time).key('why').utf8(bytes, 0, Math.min(bytes.length, WHY_BYTES_MAX));
    this.end();
  }

  crossed(time: WallTime, level: Level, byRule: boolean, rule: string | null, memory: Meminfo): void {
    const line = this.begin('crossed', time);
    line.key('level').string(level === LEVEL_KILL ? 'kill' : 'term');
    this.reason(byRule, rule);
    this.memory(memory);
    this.end();
  }

  signalled(time: WallTime, victim: Victim, signal: number, sinceCrossed: Span): void {
    const line = this.begin('signalled', time);
    line
      .key('signal')
      .string(signal === SIGKILL ? 'kill' : 'term')
      .key('sinceCrossedMs')
      .milliseconds(sinceCrossed);
    this.victim(victim);
    this.end();
  }

  /** @param kill  from the first signal on; of no meaning if `signal` is NO_SIGNAL */
  ended(
    time: WallTime,
    victim: Victim,
    outcome: Outcome,
    errno: number,
    signal: number,
    rule: string | null,
    freedKib: number,
    kill: Span,
  ): void {
    const line = this.begin('ended', time);
    line.key('outcome').string(outcome).key('errno').integerUnless(errno, 0);
    line.key('signal');
    if (signal === NO_SIGNAL) line.literal('null');
    else line.string(signal === SIGKILL ? 'kill' : 'term');
    this.reason(rule !== null, rule);
    line.key('freedKib').integerUnless(freedKib, -1).key('killMs');
    if (signal === NO_SIGNAL) line.literal('null');
    else line.milliseconds(kill);
    this.victim(victim);
    this.end();
  }

  /** @param back  from the first signal on; of no meaning if nobody was killed */
  memoryBack(time: WallTime, killed: boolean, back: Span, memory: Meminfo): void {
    const line = this.begin('memory-back', time).key('backMs');
    if (killed) line.milliseconds(back);
    else line.literal('null');
    this.memory(memory);
    this.end();
  }

  nobody(time: WallTime, why: WhyNobody): void {
    this.begin('nobody', time).key('why').string(why);
    this.end();
  }

  kernelOom(time: WallTime, rule: string | null): void {
    this.begin('kernel-oom', time);
    this.reason(rule !== null, rule);
    this.end();
  }

  hook(time: WallTime, hook: string, result: string): void {
    this.begin('hook', time).key('hook').string(hook).key('result').string(result);
    this.end();
  }

  error(time: WallTime, what: ErrorName, errno: number): void {
    this.begin('error', time).key('what').string(what).key('errno').integerUnless(errno, 0);
    this.end();
  }

  stop(time: WallTime, signal: string): void {
    this.begin('stop', time).key('signal').string(signal);
    this.end();
  }

  private begin(name: EventName, time: WallTime): JsonLine {
    const { line } = this;
    line.clear().open('{').key('schema').integer(EVENT_SCHEMA).key('event').string(name);
    line.key('timeUnixMs').literal('').padded(time.seconds, 1).padded(time.milliseconds, 3);
    return line;
  }

  private end(): void {
    this.line.close('}').newline();
    this.emit(this.line);
  }

  private reason(byRule: boolean, rule: string | null): void {
    const { line } = this;
    line
      .key('reason')
      .string(byRule ? 'rule' : 'limit')
      .key('rule');
    if (rule === null) line.literal('null');
    else line.string(rule);
  }

  private victim(victim: Victim): void {
    const { line } = this;
    line.key('pid').integer(victim.pid).key('uid').integerUnless(victim.uid, -1);
    line.key('name').utf8(victim.name, 0, victim.nameLength).key('rssKib').integerUnless(victim.rssKib, UNKNOWN);
  }

  private memory(memory: Meminfo): void {
    const { line } = this;
    line.key('memory').open('{');
    line.key('memTotalKib').integer(memory.memTotalKib).key('memAvailableKib').integer(memory.memAvailableKib);
    line.key('anonPagesKib').integer(memory.anonPagesKib).key('swapTotalKib').integer(memory.swapTotalKib);
    line.key('swapFreeKib').integer(memory.swapFreeKib).close('}');
  }
}
