/*
 * The cgroups that PSI rules watch: found by their patterns, found again as they come and go, each with a PSI trigger that
 * wakes the guard when tasks in it stall.
 *
 *   discover   each DISCOVERY_MS a walk through those parts of the tree that a pattern can match. Who is still there keeps its
 *              state; a cgroup of the same name with another inode is another one
 *   wake       a trigger's news: the cgroup is looked at from now on, until its stall is over; a lost trigger: it is gone
 *   look       memory.pressure of those that are looked at
 *
 * Where the kernel grants no trigger (before 6.5, without CAP_SYS_RESOURCE) a cgroup is looked at once a second instead.
 * All is in fixed slots: no more than CGROUP_WATCHES_MAX at a time.
 */
import { A_FRACTION, type Moment } from '../../native-shims/clock.js';
import type { PollSet } from '../../native-shims/poll.js';
import { type PressureReading, RuleWatch } from '../decide/pressure-rule.js';
import { compileGlob, matchesName } from '../kernel/cgroup-glob.js';
import { CgroupPath, type CgroupTree, MEMORY_PRESSURE, WALK_DEPTH_MAX, type Walker } from '../sample/cgroup-tree.js';
import { PressureFile } from '../sample/pressure-file.js';
import { PressureTrigger } from '../sample/pressure-trigger.js';
import type { MemoryLevels } from '../shared/limits.js';
import { DEFAULT_RULE, type PressureRule } from '../shared/rules.js';

/** Two fds each. */
export const CGROUP_WATCHES_MAX = 64;

/** A cgroup that is made and thrashes within this time has the machine's own limits above it. */
const DISCOVERY_MS = 5000;

/** For how long a cgroup is looked at after its trigger's last news, or its last stall: longer than the longest trigger's window. */
const ACTIVE_MS = 2500;
/** How often it is looked at without a trigger. */
const UNTRIGGERED_MS = 1000;

/** One cgroup that one rule watches. */
export class CgroupWatch {
  readonly path = new CgroupPath();
  readonly trigger = PressureTrigger.unset();
  readonly file = new PressureFile();
  readonly state = new RuleWatch(DEFAULT_RULE);
  used = false;
  /** Whether the kernel granted the trigger. */
  triggered = false;
  /** By the walk that is under way. */
  seen = false;
  inodeLow = 0;
  inodeHigh = 0;
  activeUntilMs = A_FRACTION;
  nextLookMs = A_FRACTION;
}

export class CgroupWatches {
  /** Some cgroup that matches is not watched: too many, or the walk was cut. */
  overflow = false;
  /** How many are watched. */
  count = 0;
  /** How many of them the kernel grants no trigger. */
  untriggered = 0;
  private readonly slots = Array.from({ length: CGROUP_WATCHES_MAX }, () => new CgroupWatch());
  private readonly globs: Uint8Array[][];
  private readonly alive = new Int32Array(WALK_DEPTH_MAX + 1);
  private readonly root = new CgroupPath();
  private nextDiscoveryMs = A_FRACTION;

  /**
   * @param rules     those with a cgroup
   * @param pollSlot  the first of CGROUP_WATCHES_MAX in `pollSet`
   * @param triggers  whether to set triggers: the kernel waits for all its readers (RCU) as one is removed, some ms each
   */
  constructor(
    private readonly rules: readonly PressureRule[],
    readonly tree: CgroupTree,
    private readonly pollSet: PollSet,
    private readonly pollSlot: number,
    private readonly triggers: boolean,
  ) {
    this.globs = rules.map(({ cgroup }) => compileGlob(cgroup as string));
    this.alive[0] = 2 ** rules.length - 1;
  }

  /** Finds out which cgroups there are, if it is time to. */
  discover(now: Moment): void {
    if (now.ms < this.nextDiscoveryMs) return;
    this.nextDiscoveryMs = now.ms + DISCOVERY_MS;
    this.overflow = false;
    for (let slot = 0; slot < CGROUP_WATCHES_MAX; slot++) this.slot(slot).seen = false;
    this.tree.walk(this.root, this.walker);
    if (this.tree.cut) this.overflow = true;
    for (let slot = 0; slot < CGROUP_WATCHES_MAX; slot++) {
      if (this.slot(slot).used && !this.slot(slot).seen) this.release(slot);
    }
  }

  /** Has the next `discover` do so. */
  discoverNext(): void {
    this.nextDiscoveryMs = 0;
  }

  /** Takes in the triggers' news. */
  wake(now: Moment): void {
    for (let slot = 0; slot < CGROUP_WATCHES_MAX; slot++) {
      const revents = this.pollSet.revents(this.pollSlot + slot);
      if (revents === 0) continue;
      const watch = this.slot(slot);
      if (watch.trigger.handle(revents) === 'woken') watch.activeUntilMs = now.ms + ACTIVE_MS;
      else this.release(slot);
    }
  }

  /** Whether anything is to be looked at now. */
  isDue(now: Moment): boolean {
    for (let slot = 0; slot < CGROUP_WATCHES_MAX; slot++) if (this.slotIsDue(slot, now)) return true;
    return false;
  }

  /** How many are under way to a kill, and so are looked at closely. */
  stirring(now: Moment): number {
    let stirring = 0;
    for (let slot = 0; slot < CGROUP_WATCHES_MAX; slot++) {
      if (this.slot(slot).used && now.ms < this.slot(slot).activeUntilMs) stirring++;
    }
    return stirring;
  }

  /** Looks at those that are due; `reading` holds what is the machine's. Returns the first whose rule fires, or null. */
  look(reading: PressureReading, memory: MemoryLevels, now: Moment): CgroupWatch | null {
    let fired: CgroupWatch | null = null;
    for (let slot = 0; slot < CGROUP_WATCHES_MAX; slot++) {
      if (this.slotIsDue(slot, now) && this.lookAt(slot, reading, memory, now)) fired ??= this.slot(slot);
    }
    return fired;
  }

  /** Looks at one that has fired, once more. */
  follow(watch: CgroupWatch, reading: PressureReading, memory: MemoryLevels, now: Moment): void {
    const slot = this.slots.indexOf(watch);
    if (watch.used) this.lookAt(slot, reading, memory, now);
  }

  /** Somebody was killed: all windows begin anew. */
  restart(now: Moment): void {
    for (let slot = 0; slot < CGROUP_WATCHES_MAX; slot++) this.slot(slot).state.restart(now);
  }

  /** Gives the files back. */
  close(): void {
    for (let slot = 0; slot < CGROUP_WATCHES_MAX; slot++) if (this.slot(slot).used) this.release(slot);
    this.tree.close();
  }

  private slot(slot: number): CgroupWatch {
    return this.slots[slot] as CgroupWatch;
  }

  private slotIsDue(slot: number, now: Moment): boolean {
    const watch = this.slot(slot);
    if (!watch.used) return false;
    return now.ms < watch.activeUntilMs || (!watch.triggered && now.ms >= watch.nextLookMs);
  }

  private lookAt(slot: number, reading: PressureReading, memory: MemoryLevels, now: Moment): boolean {
    const watch = this.slot(slot);
    watch.nextLookMs = now.ms + UNTRIGGERED_MS;
    if (!watch.file.read()) {
      this.release(slot);
      return false;
    }
    reading.someTotalUs = watch.file.pressure.someTotalUs;
    reading.fullTotalUs = watch.file.pressure.fullTotalUs;
    reading.atLimit = this.tree.isAtLimit(watch.path);
    const fires = watch.state.look(reading, memory, now);
    if (watch.state.isStirring) watch.activeUntilMs = now.ms + ACTIVE_MS;
    return fires;
  }

  /** Enters what a pattern's next name matches, and watches what its last one does. */
  private readonly walker: Walker = {
    enter: (depth, name, length, path, inodeLow, inodeHigh) => {
      const before = this.alive[depth - 1] as number;
      let after = 0;
      for (let rule = 0; rule < this.globs.length; rule++) {
        const glob = this.globs[rule] as Uint8Array[];
        if ((before & (1 << rule)) === 0 || !matchesName(glob[depth - 1] as Uint8Array, name, length)) continue;
        if (glob.length === depth) this.found(rule, path, inodeLow, inodeHigh);
        else after |= 1 << rule;
      }
      this.alive[depth] = after;
      return after !== 0;
    },
  };

  private found(rule: number, path: CgroupPath, inodeLow: number, inodeHigh: number): void {
    let free = -1;
    for (let slot = 0; slot < CGROUP_WATCHES_MAX; slot++) {
      const watch = this.slot(slot);
      if (!watch.used) {
        if (free === -1) free = slot;
        continue;
      }
      if (watch.state.rule !== this.rules[rule] || !watch.path.equals(path)) continue;
      if (watch.inodeLow === inodeLow && watch.inodeHigh === inodeHigh) {
        watch.seen = true;
        return;
      }
      this.release(slot);
      free = slot;
    }
    if (free === -1) this.overflow = true;
    else this.take(free, rule, path, inodeLow, inodeHigh);
  }

  private take(slot: number, rule: number, path: CgroupPath, inodeLow: number, inodeHigh: number): void {
    const watch = this.slot(slot);
    watch.path.copy(path);
    // Gone again, or without PSI.
    if (watch.file.openAt(this.tree.rootFd, watch.path.withFile(MEMORY_PRESSURE)) < 0) return;
    watch.used = true;
    watch.seen = true;
    watch.inodeLow = inodeLow;
    watch.inodeHigh = inodeHigh;
    watch.activeUntilMs = 0;
    watch.nextLookMs = 0;
    watch.state.begin(this.rules[rule] as PressureRule);
    this.count++;
    const granted = this.triggers && this.tree.isLive && this.setTrigger(watch);
    watch.triggered = granted;
    if (granted) this.pollSet.watch(this.pollSlot + slot, watch.trigger.fd, watch.trigger.events);
    else this.untriggered++;
  }

  private setTrigger(watch: CgroupWatch): boolean {
    return watch.trigger.set(this.tree.rootFd, watch.path.withFile(MEMORY_PRESSURE)) === 0;
  }

  private release(slot: number): void {
    const watch = this.slot(slot);
    if (!watch.triggered) this.untriggered--;
    this.pollSet.clear(this.pollSlot + slot);
    watch.trigger.close();
    watch.file.close();
    watch.used = false;
    this.count--;
  }
}
