/*
 * A machine that is simulated tick by tick: processes with anonymous memory that grow, end and give it back, page lists of the
 * CPUs that hide what was freed, and a guard that is nothing but Recovery and the limits. Deterministic: what happens
 * is in the plan.
 */
import { levelOf } from '../../../src/decide/limits.js';
import { Recovery } from '../../../src/decide/recovery.js';
import { LEVEL_NONE, type Level, type Limits, type MemoryLevels } from '../../../src/shared/limits.js';

export const TICK_MS = 5;

interface SimulatedProcess {
  kib: number;
  /** Grows so fast while there is memory. */
  growsKibPerTick?: number;
}

export interface Plan {
  totalKib: number;
  limits: Limits;
  processes: readonly SimulatedProcess[];
  /** Ticks from the signal to the exit. */
  exitTicks: number;
  /** Ticks from the exit until the last of its memory is freed. */
  freeTicks: number;
  /** Of what is freed, what goes to the CPUs' lists first, 0 to 1. */
  hiddenShare: number;
  /** What comes out of the lists at each tick. */
  drainKibPerTick: number;
  /** Whether the guard looks for memory that comes back, or selects at the next tick. */
  verifies: boolean;
  ticks: number;
}

export interface Outcome {
  kills: { tick: number; kib: number }[];
  /** By tick. */
  levels: Level[];
  /** Ticks at which the guard held back. */
  held: boolean[];
  /** What can be had, MemAvailable and the lists, by tick. */
  realKib: number[];
}

export function simulate(plan: Plan): Outcome {
  const machine = new Machine(plan);
  const outcome: Outcome = { kills: [], levels: [], held: [], realKib: [] };
  for (let tick = 0; tick < plan.ticks; tick++) machine.tick(tick, outcome);
  return outcome;
}

class Machine {
  private readonly recovery = new Recovery();
  private readonly now = { ms: 0 };
  private readonly memory: MemoryLevels = { memAvailableKib: 0, anonPagesKib: 0, swapTotalKib: 0, swapFreeKib: 0 };
  private readonly living: { kib: number; growsKibPerTick: number }[];
  private hiddenKib = 0;
  /** Of victims that have ended: what is to be freed at each tick. */
  private freeing: { kib: number; perTick: number }[] = [];
  private victim: { kib: number; exitTick: number } | null = null;

  constructor(private readonly plan: Plan) {
    this.living = plan.processes.map(({ kib, growsKibPerTick = 0 }) => ({ kib, growsKibPerTick }));
  }

  tick(tick: number, outcome: Outcome): void {
    this.now.ms = 1e6 + tick * TICK_MS;
    this.run();
    if (this.victim !== null && tick >= this.victim.exitTick) this.exit(this.victim);
    this.free();
    this.sample();
    const level = levelOf(this.memory, this.plan.limits);
    outcome.levels.push(level);
    outcome.realKib.push(this.memory.memAvailableKib + this.hiddenKib);
    const held = level !== LEVEL_NONE && this.victim === null && this.holdsBack();
    outcome.held.push(held);
    if (level !== LEVEL_NONE && !held && this.victim === null) this.kill(tick, outcome);
  }

  private run(): void {
    for (const process of this.living) {
      const left = this.plan.totalKib - this.usedKib();
      const kib = Math.min(process.growsKibPerTick, left);
      process.kib += kib;
      // Whoever grows is served from the lists first.
      this.hiddenKib = Math.max(0, this.hiddenKib - kib);
    }
  }

  private usedKib(): number {
    const sum = (all: { kib: number }[]): number => all.reduce((kib, each) => kib + each.kib, 0);
    return sum(this.living) + sum(this.freeing) + (this.victim?.kib ?? 0);
  }

  private exit(victim: { kib: number }): void {
    this.freeing.push({ kib: victim.kib, perTick: Math.ceil(victim.kib / Math.max(1, this.plan.freeTicks)) });
    this.victim = null;
    if (this.plan.freeTicks === 0) this.free();
    this.sample();
    this.recovery.exited(this.memory, this.now);
  }

  private free(): void {
    for (const each of this.freeing) {
      const kib = Math.min(each.kib, each.perTick);
      each.kib -= kib;
      this.hiddenKib += Math.floor(kib * this.plan.hiddenShare);
    }
    this.freeing = this.freeing.filter(({ kib }) => kib > 0);
    this.hiddenKib = Math.max(0, this.hiddenKib - this.plan.drainKibPerTick);
  }

  private sample(): void {
    const usedKib = this.usedKib();
    this.memory.anonPagesKib = usedKib;
    this.memory.memAvailableKib = Math.max(0, this.plan.totalKib - usedKib - this.hiddenKib);
  }

  private holdsBack(): boolean {
    return this.plan.verifies && this.recovery.holdsBack(this.memory, this.plan.limits, this.hiddenKib, this.now);
  }

  private kill(tick: number, outcome: Outcome): void {
    const largest = this.living.reduce(
      (a, b) => (b.kib > a.kib ? b : a),
      this.living[0] ?? { kib: 0, growsKibPerTick: 0 },
    );
    if (largest.kib === 0) return;
    this.living.splice(this.living.indexOf(largest), 1);
    this.recovery.signalled(this.memory, largest.kib);
    this.victim = { kib: largest.kib, exitTick: tick + this.plan.exitTicks };
    outcome.kills.push({ tick, kib: largest.kib });
  }
}
