/*
 * The state page in memory: what the guard sets and adds up between two writes of the file (guard/state-file.ts). Pure: no file, no
 * clock, nothing of the kernel; and nothing becomes garbage after the constructor, because all of it is typed arrays over one
 * page and indices that are looked up once (AT).
 *
 * A time is taken out of the field of an object that is handed over, or put into `numbers` directly: a number with a fraction, or one
 * beyond 2^31, that is an argument would be garbage.
 *
 * Counters go on where an older guard has left them: `takeOver` adds what its page holds. A page that is refused is left alone, and
 * why is said in words. An odd sequence is no reason: the guard was killed in the middle of a write, and each number is written whole.
 */
import type { Victim } from '../shared/victim.js';
import {
  BYTES_AT,
  DECISION_BYTES,
  DECISION_COMM_BYTES,
  DECISION_NUMBERS,
  DECISION_RULE_BYTES,
  DECISIONS_AT,
  DECISIONS_KEPT,
  decisionAt,
  KILL_BOUNDS_MS,
  LAG_BOUNDS_MS,
  LAYOUT_VERSION,
  MAGIC,
  MAGIC_AT,
  NOT_KNOWN,
  NUMBERS,
  NUMBERS_AT,
  numberIndex,
  OUTCOMES,
  PAGE_BYTES,
  PROGRAM_AT,
  PROGRAM_BYTES,
  SEQUENCE_AT,
  SIGNALS,
  TICK_BOUNDS_MS,
  TROUBLES,
  VERSION_AT,
} from './layout.js';

const BYTES_PER_NUMBER = 8;

/** Where in `numbers` what stands that the guard sets or adds to. Of a list, where it begins: its numbers follow in the list's order. */
export const AT = {
  pid: numberIndex('pid'),
  persona: numberIndex('persona'),
  dryrun: numberIndex('dryrun'),
  startedUnixMs: numberIndex('startedUnixMs'),
  heartbeatMonotonicMs: numberIndex('heartbeatMonotonicMs'),
  heartbeatUnixMs: numberIndex('heartbeatUnixMs'),
  waitMs: numberIndex('waitMs'),
  phase: numberIndex('phase'),
  troublesBefore: numberIndex('troublesBefore'),
  memTotalKib: numberIndex('memTotalKib'),
  memAvailableKib: numberIndex('memAvailableKib'),
  anonPagesKib: numberIndex('anonPagesKib'),
  swapTotalKib: numberIndex('swapTotalKib'),
  swapFreeKib: numberIndex('swapFreeKib'),
  memTermPercent: numberIndex('memTermPercent'),
  memKillPercent: numberIndex('memKillPercent'),
  swapTermPercent: numberIndex('swapTermPercent'),
  swapKillPercent: numberIndex('swapKillPercent'),
  startsTotal: numberIndex('startsTotal'),
  ticksTotal: numberIndex('ticksTotal'),
  sampleFailuresTotal: numberIndex('sampleFailuresTotal'),
  /** By level. */
  crossingsTotal: numberIndex('crossingsTotal:term'),
  /** By persona, reason and signal. */
  killsTotal: numberIndex('killsTotal:oom-backstop:limit:term'),
  dryrunKillsTotal: numberIndex('dryrunKillsTotal'),
  /** By failure. */
  failuresTotal: numberIndex('failuresTotal:outlived-kill'),
  freedKibTotal: numberIndex('freedKibTotal'),
  droppedLogLinesTotal: numberIndex('droppedLogLinesTotal'),
  droppedEventsTotal: numberIndex('droppedEventsTotal'),
  /** By hook and result. */
  hookRunsTotal: numberIndex('hookRunsTotal:before-kill:ok'),
  lastKillUnixMs: numberIndex('lastKillUnixMs'),
  decisionsTotal: numberIndex('decisionsTotal'),
};

/** Where in a decision which of its numbers stands. */
const OF_DECISION = {
  unixMs: DECISION_NUMBERS.indexOf('unixMs'),
  pid: DECISION_NUMBERS.indexOf('pid'),
  uid: DECISION_NUMBERS.indexOf('uid'),
  signal: DECISION_NUMBERS.indexOf('signal'),
  outcome: DECISION_NUMBERS.indexOf('outcome'),
  rssKib: DECISION_NUMBERS.indexOf('rssKib'),
  freedKib: DECISION_NUMBERS.indexOf('freedKib'),
  killMs: DECISION_NUMBERS.indexOf('killMs'),
  backMs: DECISION_NUMBERS.indexOf('backMs'),
};

/** From here to the end of NUMBERS it is all counters, and what belongs to them: what outlives a guard. */
const KEPT_FROM = AT.startsTotal;

const UNDER_WAY = OUTCOMES.indexOf('under way');
const FAILED = OUTCOMES.indexOf('failed');

export interface Histogram {
  /** Of its first bucket, in NUMBERS. */
  first: number;
  /** Upper bounds, ms. */
  bounds: Float64Array;
}

export const TICK: Histogram = { first: numberIndex('tickBucket0'), bounds: Float64Array.from(TICK_BOUNDS_MS) };
export const LAG: Histogram = { first: numberIndex('lagBucket0'), bounds: Float64Array.from(LAG_BOUNDS_MS) };
export const KILL: Histogram = { first: numberIndex('killBucket0'), bounds: Float64Array.from(KILL_BOUNDS_MS) };
export const BACK: Histogram = { first: numberIndex('backBucket0'), bounds: Float64Array.from(KILL_BOUNDS_MS) };

/** A time or a span, handed over by its field. */
interface Milliseconds {
  ms: number;
}

/** The time of day, in whole numbers. */
interface UnixTime {
  seconds: number;
  milliseconds: number;
}

export class PageWriter {
  readonly bytes = new Uint8Array(new ArrayBuffer(PAGE_BYTES));
  /** NUMBERS. */
  readonly numbers = new Float64Array(this.bytes.buffer, NUMBERS_AT, NUMBERS.length);
  /** What of the page is written apart: the sequence; the numbers; the ring. */
  readonly sequenceBytes = this.bytes.subarray(SEQUENCE_AT, SEQUENCE_AT + 4);
  readonly numberBytes = this.bytes.subarray(NUMBERS_AT, DECISIONS_AT);
  readonly ringBytes = this.bytes.subarray(DECISIONS_AT, decisionAt(DECISIONS_KEPT));
  /** Whether the ring is not as it was when `ringIsWritten` was called. */
  ringHasChanged = false;
  private readonly words = new Int32Array(this.bytes.buffer);
  /** All of the page as numbers, for the ring. */
  private readonly all = new Float64Array(this.bytes.buffer);
  /** Where the decision that is under way begins, in `all`. */
  private decision = DECISIONS_AT / BYTES_PER_NUMBER;

  /** @param program  the guard's version */
  constructor(program: string) {
    ascii(MAGIC, this.bytes, MAGIC_AT, MAGIC.length);
    ascii(program, this.bytes, PROGRAM_AT, PROGRAM_BYTES);
    this.words[VERSION_AT / 4] = LAYOUT_VERSION;
    this.words[BYTES_AT / 4] = PAGE_BYTES;
    this.numbers[AT.lastKillUnixMs] = NOT_KNOWN;
  }

  /** Sets a number that is whole and below 2^31. */
  set(index: number, value: number): void {
    this.numbers[index] = value;
  }

  /** Adds to a counter. */
  add(index: number, times: number): void {
    this.numbers[index] = (this.numbers[index] as number) + times;
  }

  /** Sets a number to the time of day in ms. */
  setTime(index: number, time: UnixTime): void {
    this.numbers[index] = time.seconds * 1000 + time.milliseconds;
  }

  /** Counts a span so often (0: not at all). One below 0, by the grain of a clock, is none. */
  observe(histogram: Histogram, span: Milliseconds, times: number): void {
    const { first, bounds } = histogram;
    let bucket = 0;
    while (bucket < bounds.length && span.ms > (bounds[bucket] as number)) bucket++;
    this.add(first + bucket, times);
    const sum = first + bounds.length + 1;
    this.numbers[sum] = (this.numbers[sum] as number) + Math.max(0, span.ms) * times;
  }

  /** Puts a decision into the ring, in the place of the oldest one. */
  beginDecision(time: UnixTime, victim: Victim, rule: string | null): void {
    const { all, bytes } = this;
    const slot = (this.numbers[AT.decisionsTotal] as number) % DECISIONS_KEPT;
    this.add(AT.decisionsTotal, 1);
    this.decision = DECISIONS_AT / BYTES_PER_NUMBER + slot * (DECISION_BYTES / BYTES_PER_NUMBER);
    const { decision } = this;
    all[decision + OF_DECISION.unixMs] = time.seconds * 1000 + time.milliseconds;
    all[decision + OF_DECISION.pid] = victim.pid;
    all[decision + OF_DECISION.uid] = victim.uid;
    all[decision + OF_DECISION.rssKib] = Math.max(victim.rssKib, NOT_KNOWN);
    all[decision + OF_DECISION.signal] = 0;
    all[decision + OF_DECISION.outcome] = UNDER_WAY;
    all[decision + OF_DECISION.freedKib] = NOT_KNOWN;
    all[decision + OF_DECISION.killMs] = NOT_KNOWN;
    all[decision + OF_DECISION.backMs] = NOT_KNOWN;
    const commAt = decision * BYTES_PER_NUMBER + DECISION_NUMBERS.length * BYTES_PER_NUMBER;
    const length = Math.min(victim.nameLength, DECISION_COMM_BYTES);
    for (let i = 0; i < DECISION_COMM_BYTES; i++) bytes[commAt + i] = i < length ? (victim.name[i] as number) : 0;
    ascii(rule ?? '', bytes, commAt + DECISION_COMM_BYTES, DECISION_RULE_BYTES);
    this.ringHasChanged = true;
  }

  /** Of the decision that was begun last: the index of its last signal in SIGNALS. */
  decisionSignal(signal: number): void {
    this.all[this.decision + OF_DECISION.signal] = signal;
    this.ringHasChanged = true;
  }

  /** The index of its outcome in OUTCOMES, and what it has given back. */
  decisionEnded(outcome: number, freedKib: number): void {
    this.all[this.decision + OF_DECISION.outcome] = outcome;
    this.all[this.decision + OF_DECISION.freedKib] = freedKib;
    this.ringHasChanged = true;
  }

  /** How long its end took. */
  decisionKill(span: Milliseconds): void {
    this.all[this.decision + OF_DECISION.killMs] = span.ms;
    this.ringHasChanged = true;
  }

  /** How long it took until memory was back. */
  decisionBack(span: Milliseconds): void {
    this.all[this.decision + OF_DECISION.backMs] = span.ms;
    this.ringHasChanged = true;
  }

  ringIsWritten(): void {
    this.ringHasChanged = false;
  }

  /** Makes the sequence odd: the page is being written. It stays so after a write that has failed. */
  beginWrite(): void {
    const { words } = this;
    words[SEQUENCE_AT / 4] = (words[SEQUENCE_AT / 4] as number) | 1;
  }

  /** Makes the sequence even, and another one than before. */
  endWrite(): void {
    const { words } = this;
    words[SEQUENCE_AT / 4] = ((words[SEQUENCE_AT / 4] as number) + 1) | 0;
  }

  /**
   * Adds what the page of an older guard holds. Not for the hot path.
   * @returns why it is refused, in words that follow the file's name, or null. A page that is refused changes nothing here
   */
  takeOver(page: Uint8Array): string | null {
    const why = whyRefused(page);
    if (why !== null) return why;
    const older = Uint8Array.from(page.subarray(0, PAGE_BYTES));
    const numbers = new Float64Array(older.buffer, NUMBERS_AT, NUMBERS.length);
    const lastKillUnixMs = Math.max(numbers[AT.lastKillUnixMs] as number, this.numbers[AT.lastKillUnixMs] as number);
    const made = this.numbers[AT.decisionsTotal] as number;
    const own = Array.from({ length: Math.min(made, DECISIONS_KEPT) }, (_, back) => slotOf(made - 1 - back)).map(
      (slot) => this.bytes.slice(decisionAt(slot), decisionAt(slot + 1)),
    );
    for (let index = KEPT_FROM; index < NUMBERS.length; index++)
      this.numbers[index] = (this.numbers[index] as number) + (numbers[index] as number);
    this.numbers[AT.lastKillUnixMs] = lastKillUnixMs;
    this.numbers[AT.troublesBefore] = TROUBLES.reduce((sum, name) => sum + (numbers[numberIndex(name)] as number), 0);
    this.ringBytes.set(older.subarray(DECISIONS_AT, decisionAt(DECISIONS_KEPT)));
    this.endUnderWay();
    const total = this.numbers[AT.decisionsTotal] as number;
    for (const [back, bytes] of own.entries()) this.bytes.set(bytes, decisionAt(slotOf(total - 1 - back)));
    if (made > 0) this.decision = decisionAt(slotOf(total - 1)) / BYTES_PER_NUMBER;
    this.ringHasChanged = true;
    // The readers of the old page know its sequence.
    this.words[SEQUENCE_AT / 4] = new Int32Array(older.buffer)[SEQUENCE_AT / 4] as number;
    return null;
  }

  /** Who was to end a kill is no more. */
  private endUnderWay(): void {
    for (let slot = 0; slot < DECISIONS_KEPT; slot++) {
      const at = decisionAt(slot) / BYTES_PER_NUMBER;
      const made = this.all[at + OF_DECISION.unixMs] !== 0;
      if (made && this.all[at + OF_DECISION.outcome] === UNDER_WAY) this.all[at + OF_DECISION.outcome] = FAILED;
    }
  }
}

function slotOf(decision: number): number {
  return decision % DECISIONS_KEPT;
}

/** Writes ASCII, cut to `length` bytes and padded with NUL. */
function ascii(text: string, bytes: Uint8Array, at: number, length: number): void {
  for (let i = 0; i < length; i++) bytes[at + i] = i < text.length ? text.charCodeAt(i) : 0;
}

/** Why nothing can be taken over from a page, in words that follow the file's name; null if it can. */
function whyRefused(page: Uint8Array): string | null {
  if (page.length < PAGE_BYTES) return `has ${page.length} bytes, and a state page has ${PAGE_BYTES}`;
  const view = new DataView(page.buffer, page.byteOffset, PAGE_BYTES);
  for (let i = 0; i < MAGIC.length; i++) if (page[MAGIC_AT + i] !== MAGIC.charCodeAt(i)) return 'is no state page';
  const version = view.getUint32(VERSION_AT, true);
  if (version !== LAYOUT_VERSION) return `has layout version ${version}, and this guard's is ${LAYOUT_VERSION}`;
  const bytes = view.getUint32(BYTES_AT, true);
  if (bytes !== PAGE_BYTES) return `says that it has ${bytes} bytes, and a state page has ${PAGE_BYTES}`;
  for (let index = KEPT_FROM; index < NUMBERS.length; index++) {
    const name = NUMBERS[index] as string;
    const value = view.getFloat64(NUMBERS_AT + index * BYTES_PER_NUMBER, true);
    if (!isPlausible(name, value)) return `says that ${name} is ${value}`;
  }
  for (let slot = 0; slot < DECISIONS_KEPT; slot++) {
    for (const [place, name] of DECISION_NUMBERS.entries()) {
      const value = view.getFloat64(decisionAt(slot) + place * BYTES_PER_NUMBER, true);
      if (!isPlausibleInDecision(name, value)) return `says of a decision that ${name} is ${value}`;
    }
  }
  return null;
}

/** Sums of spans have fractions; everything else is counted, but for a time that may not be known. */
function isPlausible(name: string, value: number): boolean {
  if (name.endsWith('SumMs')) return Number.isFinite(value) && value >= 0;
  return Number.isSafeInteger(value) && value >= (name === 'lastKillUnixMs' ? NOT_KNOWN : 0);
}

function isPlausibleInDecision(name: (typeof DECISION_NUMBERS)[number], value: number): boolean {
  if (name === 'signal') return isIndex(value, SIGNALS);
  if (name === 'outcome') return isIndex(value, OUTCOMES);
  return Number.isFinite(value) && value >= NOT_KNOWN;
}

function isIndex(value: number, list: readonly unknown[]): boolean {
  return Number.isInteger(value) && value >= 0 && value < list.length;
}
