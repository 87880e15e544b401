/*
 * A PSI rule: when the stall that it watches is a reason to kill. Pure: totals, memory and the time are arguments.
 *
 *   measured   the stall within the last window: the difference of two totals, the older of which is as old as the window. While
 *              none is that old, what came before counts as no stall, so the share is never more than the truth
 *   held       at or above the rule's share, and corroborated, at each look for so long
 *   fired      once; then a whole window has to pass before the rule is looked at again, so that two kills are
 *              at least a window and `for` apart, and the second one is due to what was measured after the first
 *
 * Corroborated: available memory is at or below the rule's bound, where it has one, and of the evidence that it asks for
 * (swap nearly used up, refaults, the cgroup at its own limit) there is some. Pressure without much of memory in use has been
 * seen at 85 to 93 % (nohang #25), and is nobody's fault who could be killed.
 *
 * Looked at again and again while memory is short: all state is in fixed arrays, numbers with fractions among them.
 */
import type { MemoryLevels } from '../shared/limits.js';
import type { PressureRule } from '../shared/rules.js';

/** Samples of a window, so that each look of a window of half a second and more is kept; as many again for looks that come late. */
const SAMPLES_PER_WINDOW = 16;
const SAMPLES = 2 * SAMPLES_PER_WINDOW;

/**
 * Refaults and pages scanned by processes themselves, per second, that count as thrashing: what a disk that turns can
 * read at random. A machine that has enough memory shows none for minutes.
 */
const REFAULTS_PER_S_MIN = 100;

const US_PER_MS = 1000;
const MS_PER_S = 1000;

/** What corroborates a rule, as a mask. */
export const AVAILABLE_LOW = 1;
export const SWAP_LOW = 2;
export const REFAULTS_RISE = 4;
export const AT_LIMIT = 8;

/** What a rule looks at, besides memory: one object for all looks. */
export interface PressureReading {
  someTotalUs: number;
  fullTotalUs: number;
  /** Pages refaulted or scanned directly since boot; only differences matter. */
  refaultPages: number;
  /** The cgroup's memory is at its own limit. */
  atLimit: boolean;
}

export function emptyReading(): PressureReading {
  // Totals outgrow V8's small integers; what has begun as one would have to become another kind of field then.
  return { someTotalUs: 0.5, fullTotalUs: 0.5, refaultPages: 0.5, atLimit: false };
}

/** The time, in ms since any fixed moment. */
interface Now {
  ms: number;
}

/* Indexes into `bounds`: the rule's own numbers. Rules come from different places, and so would be different kinds of object to V8. */
const STALL_PERCENT_MIN = 0;
const WINDOW_MS = 1;
const FOR_MS = 2;
const AVAILABLE_BELOW = 3;
const SWAP_FREE_BELOW = 4;
const BOUNDS = 5;
/** For a bound that there is not. */
const NONE = -1;

/* Indexes into `figures`: one array instead of fields, so that no number that turns out to have a fraction changes a field's kind. */
const STALL_PERCENT = 0;
const REFAULTS_PER_S = 1;
const AVAILABLE_PERCENT = 2;
const HELD_SINCE = 3;
const QUIET_UNTIL = 4;
const FIGURES = 5;

/** Has a rule's moment come? The state of one rule for one thing that it watches. */
export class RuleWatch {
  /** What corroborates it as of the last look. */
  corroboration = 0;
  /** Whether the stall is at the rule's share, and corroborated, as of the last look. */
  holds = false;
  rule: PressureRule;
  private readonly bounds = new Float64Array(BOUNDS);
  private bySome = true;
  private asksRefaults = false;
  private ofCgroup = false;
  private readonly figures = new Float64Array(FIGURES);
  private readonly times = new Float64Array(SAMPLES);
  private readonly stalls = new Float64Array(SAMPLES);
  private readonly refaults = new Float64Array(SAMPLES);
  private count = 0;
  private newest = 0;

  constructor(rule: PressureRule) {
    this.rule = rule;
    this.begin(rule);
  }

  /** Of the rule's window, as of the last look. */
  get stallPercent(): number {
    return this.figures[STALL_PERCENT] as number;
  }

  get refaultsPerS(): number {
    return this.figures[REFAULTS_PER_S] as number;
  }

  /** Of user mem total. */
  get availablePercent(): number {
    return this.figures[AVAILABLE_PERCENT] as number;
  }

  /** Begins with a rule, and with nothing known. */
  begin(rule: PressureRule): void {
    const { bounds } = this;
    this.rule = rule;
    this.bySome = rule.kind === 'some';
    this.asksRefaults = rule.refaults;
    this.ofCgroup = rule.cgroup !== null;
    bounds[STALL_PERCENT_MIN] = rule.stallPercent;
    bounds[WINDOW_MS] = rule.windowMs;
    bounds[FOR_MS] = rule.forMs;
    bounds[AVAILABLE_BELOW] = rule.availableBelowPercent ?? NONE;
    bounds[SWAP_FREE_BELOW] = rule.swapFreeBelowPercent ?? NONE;
    this.forget();
    this.figures[QUIET_UNTIL] = 0;
  }

  /** Begins anew: somebody was killed, and what was measured before is no reason for the next kill. */
  restart(now: Now): void {
    this.forget();
    this.figures[QUIET_UNTIL] = now.ms + (this.bounds[WINDOW_MS] as number);
  }

  /** Whether a stall is under way that may come to be a reason: a quarter of the rule's share. */
  get isStirring(): boolean {
    return 4 * (this.figures[STALL_PERCENT] as number) >= (this.bounds[STALL_PERCENT_MIN] as number);
  }

  /** Takes in a look. Returns whether the rule fires. Its time must not be before that of the last look. */
  look(reading: PressureReading, memory: MemoryLevels, now: Now): boolean {
    this.measure(reading, now);
    this.corroborate(reading.atLimit, memory);
    const { figures, bounds } = this;
    this.holds = this.isCorroborated && (figures[STALL_PERCENT] as number) >= (bounds[STALL_PERCENT_MIN] as number);
    if (!this.holds || now.ms < (figures[QUIET_UNTIL] as number)) {
      figures[HELD_SINCE] = -1;
      return false;
    }
    if ((figures[HELD_SINCE] as number) < 0) figures[HELD_SINCE] = now.ms;
    return now.ms - (figures[HELD_SINCE] as number) >= (bounds[FOR_MS] as number);
  }

  /** Looks at memory alone, once more. */
  recheck(memory: MemoryLevels): void {
    this.corroborate((this.corroboration & AT_LIMIT) !== 0, memory);
  }

  /** Whether memory bears the rule out, as of the last look. */
  get isCorroborated(): boolean {
    const { corroboration } = this;
    const isBound = (this.bounds[AVAILABLE_BELOW] as number) !== NONE;
    if (isBound && (corroboration & AVAILABLE_LOW) === 0) return false;
    if ((corroboration & (SWAP_LOW | REFAULTS_RISE | AT_LIMIT)) !== 0) return true;
    // Whoever asks for no evidence (a cgroup's limit comes by itself) needs a bound.
    return isBound && !this.asksRefaults && (this.bounds[SWAP_FREE_BELOW] as number) === NONE;
  }

  private forget(): void {
    this.count = 0;
    this.corroboration = 0;
    this.holds = false;
    this.figures[STALL_PERCENT] = 0;
    this.figures[REFAULTS_PER_S] = 0;
    this.figures[HELD_SINCE] = -1;
  }

  private measure(reading: PressureReading, now: Now): void {
    const { figures, times } = this;
    const windowMs = this.bounds[WINDOW_MS] as number;
    const totalUs = this.bySome ? reading.someTotalUs : reading.fullTotalUs;
    // A total that goes back is another cgroup's of that name.
    if (this.count > 0 && totalUs < (this.stalls[this.newest] as number)) this.forget();
    const spacingMs = windowMs / SAMPLES_PER_WINDOW;
    if (this.count === 0 || now.ms - (times[this.newest] as number) >= spacingMs) this.keep(reading, now);
    const back = this.stepsBack(now);
    const base = this.sampleAt(back);
    const overMs = Math.max(now.ms - (times[base] as number), windowMs);
    const meanUs = (totalUs - (this.stalls[base] as number)) / overMs;
    // Where the looks have just begun, that mean is over a long calm: what is younger than the window counts for itself.
    const younger = this.sampleAt(Math.max(back - 1, 0));
    const recentUs = (totalUs - (this.stalls[younger] as number)) / windowMs;
    figures[STALL_PERCENT] = Math.min(100, (100 * Math.max(meanUs, recentUs)) / US_PER_MS);
    const mean = Math.max(0, reading.refaultPages - (this.refaults[base] as number)) / overMs;
    const recent = Math.max(0, reading.refaultPages - (this.refaults[younger] as number)) / windowMs;
    figures[REFAULTS_PER_S] = Math.max(mean, recent) * MS_PER_S;
  }

  private keep(reading: PressureReading, now: Now): void {
    this.newest = this.count === 0 ? 0 : (this.newest + 1) % SAMPLES;
    if (this.count < SAMPLES) this.count++;
    this.times[this.newest] = now.ms;
    this.stalls[this.newest] = this.bySome ? reading.someTotalUs : reading.fullTotalUs;
    this.refaults[this.newest] = reading.refaultPages;
  }

  /** How many samples back the youngest one is that is as old as the window; the oldest where none is. */
  private stepsBack(now: Now): number {
    const windowMs = this.bounds[WINDOW_MS] as number;
    let back = 0;
    while (back < this.count - 1 && now.ms - (this.times[this.sampleAt(back)] as number) < windowMs) back++;
    return back;
  }

  private sampleAt(back: number): number {
    return (this.newest - back + SAMPLES) % SAMPLES;
  }

  private corroborate(atLimit: boolean, memory: MemoryLevels): void {
    const { bounds, figures } = this;
    const totalKib = memory.memAvailableKib + memory.anonPagesKib;
    const available = totalKib > 0 ? (100 * memory.memAvailableKib) / totalKib : 100;
    const swapBelow = bounds[SWAP_FREE_BELOW] as number;
    figures[AVAILABLE_PERCENT] = available;
    let found = 0;
    if (available <= (bounds[AVAILABLE_BELOW] as number)) found |= AVAILABLE_LOW;
    if (swapBelow !== NONE && memory.swapTotalKib > 0 && 100 * memory.swapFreeKib <= swapBelow * memory.swapTotalKib) {
      found |= SWAP_LOW;
    }
    if (this.asksRefaults && (figures[REFAULTS_PER_S] as number) >= REFAULTS_PER_S_MIN) found |= REFAULTS_RISE;
    if (this.ofCgroup && atLimit) found |= AT_LIMIT;
    this.corroboration = found;
  }
}
