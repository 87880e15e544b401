/*
 * Whether memory comes back after a kill, so that nobody else dies for what is on its way. Pure: the time is an argument.
 *
 *   exit ──> is it back already, where MemAvailable does not show it?  ──yes──> hold back, for a minute at most
 *              │ no
 *              └> is it still coming, and would all of it be enough?  ──yes──> hold back, for 2 s at most
 *                   │ no, or memory falls
 *                   └> act at once, and for good: the second question is asked no more until the next kill
 *
 * The first is needed because a freed page first goes to a list of the CPU that freed it, and MemAvailable does not count
 * those. Measured on Linux 6.18 with 24 GiB and 2 CPUs: when a process of 500 MiB had been reaped, AnonPages had
 * fallen by 501 MiB and MemAvailable had risen by 102 to 200; the rest came at 8 MiB a second, and after 2.5 s 300 to 375 MiB were
 * missing still. (How much depends on what the lists held before.) They can be had all the same: /proc/zoneinfo counts them. So for a minute after a kill the limits are compared
 * with MemAvailable plus those lists, which is no guess: if a hog takes them, they are gone from the sum.
 *
 * The second is for a victim that is gone before its memory is (an address space that somebody still reads, or
 * process_mrelease on its way): then AnonPages falls from look to look. It is over when it has stood still for
 * 100 ms, when what can be had falls, or after 2 s.
 *
 * What the victim gave back is judged by AnonPages. If it is less than half of what was expected, the victim's memory may be
 * another process's too (vfork, CLONE_VM); or others took it meanwhile: a fork bomb takes as fast as one can give.
 * The kernel's count of allocated pages tells the two apart as far as they can be told.
 */
import { LEVEL_NONE, type Limits, type MemoryLevels } from '../shared/limits.js';
import type { Now } from './cadence.js';
import { levelOf } from './limits.js';

/** As long as it takes 480 MiB to come out of the CPUs' lists at the 8 MiB/s that were measured. */
export const HIDDEN_MS_MAX = 60_000;
/** Memory that is still being freed this long after the exit is not waited for: freeing takes 70 ms for 1 GB here. */
export const COMING_MS_MAX = 2000;
/** It counts as coming for so long after AnonPages has fallen last: some looks, at 2 to 20 ms each. */
export const RISING_MS = 100;
/** A step of AnonPages that is one: the CPUs' differences to the kernel's own count are smaller. */
const RISE_KIB = 1024;
/** A fall that is one: what background processes allocate within 100 ms is less. */
const FALL_KIB = 8192;
const HALF = 0.5;

/** enough; taken: others may have taken it; little: neither it came back nor could others have taken it. */
export type Verdict = 'enough' | 'taken' | 'little';

export class Recovery {
  private expectedKib = 0;
  private anonBeforeKib = 0;
  private exitedMs = Number.NEGATIVE_INFINITY;
  private lastRiseMs = 0.5;
  private lastLookMs = 0.5;
  private lowestAnonKib = 0;
  private bestKib = 0;
  private over = true;
  private readonly seen: MemoryLevels = { memAvailableKib: 0, anonPagesKib: 0, swapTotalKib: 0, swapFreeKib: 0 };

  /** The victim has got its first signal. `expectedKib`: what it would give back; -1 if nobody knows. */
  signalled(memory: MemoryLevels, expectedKib: number): void {
    this.expectedKib = Math.max(0, expectedKib);
    this.anonBeforeKib = memory.anonPagesKib;
  }

  /** The victim has ended. */
  exited(memory: MemoryLevels, now: Now): void {
    this.exitedMs = now.ms;
    this.lastRiseMs = now.ms;
    this.lastLookMs = now.ms;
    this.lowestAnonKib = memory.anonPagesKib;
    this.bestKib = memory.memAvailableKib;
    this.over = false;
  }

  /** What AnonPages has fallen by since the signal. */
  gaveBackKib(memory: MemoryLevels): number {
    return Math.max(0, this.anonBeforeKib - memory.anonPagesKib);
  }

  /** @param allocatedKib  what was given out on the whole machine since the signal */
  verdict(memory: MemoryLevels, allocatedKib: number): Verdict {
    const half = this.expectedKib * HALF;
    const gaveBack = this.gaveBackKib(memory);
    if (gaveBack >= half) return 'enough';
    return gaveBack + allocatedKib >= half ? 'taken' : 'little';
  }

  /** Whether a kill is so recent that `holdsBack` is to be asked when memory is low. */
  isRecent(now: Now): boolean {
    return now.ms - this.exitedMs < HIDDEN_MS_MAX;
  }

  /**
   * Whether nobody is to be selected now, though `memory` is at its limits.
   * @param hiddenKib  free pages on the CPUs' own lists
   */
  holdsBack(memory: MemoryLevels, limits: Limits, hiddenKib: number, now: Now): boolean {
    if (!this.isRecent(now)) return false;
    const { seen } = this;
    seen.memAvailableKib = memory.memAvailableKib + hiddenKib;
    seen.anonPagesKib = memory.anonPagesKib;
    seen.swapTotalKib = memory.swapTotalKib;
    seen.swapFreeKib = memory.swapFreeKib;
    this.note(now);
    if (levelOf(seen, limits) === LEVEL_NONE) return true;
    if (!this.over && !this.isComing(limits, now)) this.over = true;
    return !this.over;
  }

  /** Takes in `seen`. Nobody asks while memory is fine: after such a gap what was on its way has arrived. */
  private note(now: Now): void {
    const { seen } = this;
    if (now.ms - this.lastLookMs >= RISING_MS) this.over = true;
    this.lastLookMs = now.ms;
    if (seen.anonPagesKib <= this.lowestAnonKib - RISE_KIB) {
      this.lowestAnonKib = seen.anonPagesKib;
      this.lastRiseMs = now.ms;
    }
    if (seen.memAvailableKib > this.bestKib) this.bestKib = seen.memAvailableKib;
  }

  /** Of what `seen` holds. */
  private isComing(limits: Limits, now: Now): boolean {
    const { seen } = this;
    if (this.bestKib - seen.memAvailableKib >= FALL_KIB) return false;
    if (now.ms - this.lastRiseMs >= RISING_MS || now.ms - this.exitedMs >= COMING_MS_MAX) return false;
    // If all of it came back, would it do?
    const missingKib = Math.max(0, this.expectedKib - this.gaveBackKib(seen));
    seen.memAvailableKib += missingKib;
    seen.anonPagesKib -= missingKib;
    return levelOf(seen, limits) === LEVEL_NONE;
  }
}
