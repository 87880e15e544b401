/*
 * How long to wait until the next sample, and how much of a core to spend on knowing the victim in advance. Pure:
 * the time is an argument, and the clock of what it costs is handed in.
 *
 * Memory can't fill faster than the machine can clear pages, so with H of headroom nothing can happen for
 * H / rate: far from the limit once a second is safe, and the closer the limit the shorter the wait. The rate is
 * earlyoom's, or twice what was measured where the machine is faster than that.
 *
 * The floor decides what standing right above the limit costs: at most 1 % of a core. It begins as what a wake-up and a
 * sample take (36 us of CPU on one machine, 100 on another), and then it is measured while memory stands: what the thread has used since,
 * for each of so many ticks, with all that belongs to them (sweeps, the state page, PSI rules) and with the caches as cold as they are.
 * While memory falls the floor is 1 ms, at most 15 % of a core, but only for as long as it falls. It falls where MemAvailable does, and where
 * AnonPages rises: what the kernel keeps free on the CPUs' own lists (100 MiB after a large process has ended, measured) does not count
 * as available, so that a hog which gets its pages from there shows in AnonPages only, until they are used up.
 *
 * The admin may allow waits of more than a second (--max-wait): a wake-up costs 40 us of CPU in C and 70 in Node however little is done
 * in it, so that far from the limits fewer of them are all that saves anything. Such a wait is taken only as far as not even all CPUs
 * together could reach the limit in it.
 */
import type { Limits, MemoryLevels } from '../shared/limits.js';
import { userMemTotalKib } from './limits.js';

/** The fastest filling that is planned for, in KiB/ms (about MiB/s): earlyoom's, seen with `stress -m 4`. */
const MEM_FILL_KIB_PER_MS = 6000;
/** Likewise for swap: earlyoom's, seen on zram. */
const SWAP_FILL_KIB_PER_MS = 800;
/** A filling that was measured may double. */
const MEASURED_MARGIN = 2;

/** The longest wait, unless the admin allows longer ones. */
export const WAIT_MS_MAX = 1000;
/** What one CPU fills in such a wait: twice what earlyoom's figure is for each of four. */
const CPU_FILL_KIB_PER_MS = 3000;

const WAIT_MS_MIN = 5;
const WAIT_FALLING_MS_MIN = 1;
const STANDING_SHARE_MAX = 0.01;
/** The longest floor that comes of measuring: what comes out of nothing must still be met early. A longer one is a slow machine's from the beginning. */
const WAIT_MEASURED_MS_MAX = 25;
/** As many ticks near the limit are measured together: a third of a second and more. */
const MEASURED_TICKS = 32;
const FALLING_SHARE_MAX = 0.15;

/** A fall between two samples (or a rise of AnonPages) from which on memory counts as falling: 5 ms of 50 MiB/s. */
const FALL_KIB_MIN = 256;
/** Before the first sample; a small integer to V8. */
const NEVER_EXCEEDED_KIB = 0x7fffffff;
/** For how long it counts after the last fall: longer than a hog pauses between two allocations. */
const FALLING_MS = 1000;

/** Time over which a rate is measured: MemAvailable moves in steps of some MiB. */
const RATE_WINDOW_MS = 20;

/**
 * When and how much to sweep (guard/shortlist.ts), as a share of a core: little while the limit could be reached
 * within ARM_MS by the fastest filling, much when it will be reached within NEAR_MS as things go, and most within URGENT_MS,
 * which a sweep of 2,000 processes needs 15 ms of.
 */
const ARM_MS = 340;
const ARMED_SHARE = 0.003;
const NEAR_MS = 2000;
const NEAR_SHARE = 0.1;
const URGENT_MS = 300;
const URGENT_SHARE = 0.3;
/** A sweep is made at ticks, so there have to be some. */
const NEAR_WAIT_MS_MAX = 10;
const URGENT_WAIT_MS_MAX = 3;

/** The time, in ms since any fixed moment: a field, because numbers with fractions are garbage when passed on. */
export interface Now {
  ms: number;
}

/** CPU time of the thread, in ms since any fixed moment. */
export interface CpuClock extends Now {
  /** Makes it what it is now. */
  update(): void;
}

export class Cadence {
  /** The wait before the next sample, in whole ms, from 1 to what the admin allows. */
  waitMs = WAIT_MS_MAX;
  /** The share of a core that a sweep may take from now on; 0: nobody needs it. */
  sweepShare = 0;
  private readonly memFall = new FallRate();
  private readonly swapFall = new FallRate();
  private standingMs = WAIT_MS_MIN;
  private standingMsMax = WAIT_MEASURED_MS_MAX;
  private fallingMs = WAIT_FALLING_MS_MIN;
  /** How many samples in a row were followed by a wait that may be too short, and what the thread had used at the first. */
  private standingTicks = 0;
  private usedMs = Number.NEGATIVE_INFINITY;
  private lastAvailableKib = 0;
  private lastAnonKib = NEVER_EXCEEDED_KIB;
  private lastFallMs = Number.NEGATIVE_INFINITY;
  private readonly fastestKibPerMs: number;

  /**
   * @param tickCostMs  CPU time of a wake-up and a sample
   * @param cpu         what the thread that ticks has used
   * @param waitMsMax   the longest wait that the admin allows
   * @param cpus        how many can fill memory at the same time
   */
  constructor(
    tickCostMs: number,
    private readonly cpu: CpuClock,
    private readonly waitMsMax = WAIT_MS_MAX,
    cpus = 1,
  ) {
    this.fastestKibPerMs = Math.max(MEM_FILL_KIB_PER_MS, CPU_FILL_KIB_PER_MS * cpus);
    this.setTickCost(tickCostMs);
  }

  /** What a wake-up and a sample take, CPU time in ms: less once all of it is compiled. */
  setTickCost(ms: number): void {
    this.standingMs = floorMs(WAIT_MS_MIN, ms / STANDING_SHARE_MAX);
    this.standingMsMax = Math.max(this.standingMs, WAIT_MEASURED_MS_MAX);
    this.fallingMs = floorMs(WAIT_FALLING_MS_MIN, ms / FALLING_SHARE_MAX);
  }

  /** Has what is measured next come out so much dearer, ms: for the rehearsal, in which a tick may never cost enough to matter. */
  addCost(ms: number): void {
    this.usedMs -= ms;
  }

  /**
   * Takes in a sample. The limits that come next are SIGTERM's, or SIGKILL's while a victim is asked (`asked`).
   * The numbers with fractions stay in this one function: handed from one to the next they would be garbage.
   */
  observe(memory: MemoryLevels, limits: Limits, asked: boolean, now: Now): void {
    this.memFall.observe(memory.memAvailableKib, now);
    this.swapFall.observe(memory.swapFreeKib, now);
    const memLimit = asked ? limits.memKillPercent : limits.memTermPercent;
    const swapLimit = asked ? limits.swapKillPercent : limits.swapTermPercent;
    const memKib = memory.memAvailableKib - (memLimit * userMemTotalKib(memory)) / 100;
    const swapKib = memory.swapFreeKib - (swapLimit * memory.swapTotalKib) / 100;
    // The shortest time in which both limits can be reached ...
    const memRate = Math.max(MEM_FILL_KIB_PER_MS, MEASURED_MARGIN * this.memFall.kibPerMs);
    const swapRate = Math.max(SWAP_FILL_KIB_PER_MS, MEASURED_MARGIN * this.swapFall.kibPerMs);
    const soonestMs = Math.max(memKib / memRate, swapKib / swapRate, 0);
    // ... and when they are if it goes on like this.
    const memMs = memKib > 0 ? memKib / this.memFall.kibPerMs : 0;
    const swapMs = swapKib > 0 ? swapKib / this.swapFall.kibPerMs : 0;
    // At the limit there is nothing to prepare for: a machine that stays there must not pay for sweeps.
    const goesOnMs = Math.max(memMs, swapMs);
    const near = soonestMs > 0 && goesOnMs <= NEAR_MS;
    const urgent = near && goesOnMs <= URGENT_MS;
    const armed = soonestMs <= ARM_MS;
    this.sweepShare = urgent ? URGENT_SHARE : near ? NEAR_SHARE : armed ? ARMED_SHARE : 0;
    this.noteFall(memory, now);
    const floor = now.ms - this.lastFallMs < FALLING_MS ? this.fallingMs : this.standingMs;
    const longest = Math.min(Math.max(WAIT_MS_MAX, Math.floor(memKib / this.fastestKibPerMs)), this.waitMsMax);
    const most = urgent ? Math.max(URGENT_WAIT_MS_MAX, floor) : near ? NEAR_WAIT_MS_MAX : longest;
    this.waitMs = Math.min(Math.max(Math.floor(soonestMs), floor), most);
    if (floor === this.standingMs && this.waitMs <= this.standingMsMax) this.measure();
    else this.standingTicks = 0;
  }

  /** Once more it stands near the limit: has the floor become what so many ticks have cost. */
  private measure(): void {
    const { cpu } = this;
    if (this.standingTicks++ % MEASURED_TICKS !== 0) return;
    cpu.update();
    const affordableMs = Math.ceil((cpu.ms - this.usedMs) / (MEASURED_TICKS * STANDING_SHARE_MAX));
    this.usedMs = cpu.ms;
    if (this.standingTicks === 1) return;
    const { standingMsMax } = this;
    // Neither Math.min nor Math.max: what they make of such a number is garbage.
    this.standingMs =
      affordableMs < WAIT_MS_MIN ? WAIT_MS_MIN : affordableMs > standingMsMax ? standingMsMax : affordableMs;
    this.standingTicks = 1;
  }

  private noteFall({ memAvailableKib, anonPagesKib }: MemoryLevels, now: Now): void {
    const fallKib = this.lastAvailableKib - memAvailableKib;
    const riseKib = anonPagesKib - this.lastAnonKib;
    if (fallKib >= FALL_KIB_MIN || riseKib >= FALL_KIB_MIN) this.lastFallMs = now.ms;
    this.lastAvailableKib = memAvailableKib;
    this.lastAnonKib = anonPagesKib;
  }
}

/** How fast a number of KiB falls; a fall that ends is forgotten by halves, because hogs pause. */
class FallRate {
  kibPerMs = 0;
  private fromKib = 0;
  private sinceMs = Number.NEGATIVE_INFINITY;

  observe(kib: number, now: Now): void {
    const elapsedMs = now.ms - this.sinceMs;
    if (elapsedMs < RATE_WINDOW_MS) return;
    this.kibPerMs = Math.max((this.fromKib - kib) / elapsedMs, this.kibPerMs / 2);
    this.fromKib = kib;
    this.sinceMs = now.ms;
  }
}

function floorMs(least: number, affordable: number): number {
  return Math.min(Math.max(least, Math.ceil(affordable)), WAIT_MS_MAX);
}
