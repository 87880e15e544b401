/*
 * The process that is being killed: from opening its pidfd to the end.
 *
 * The order of calls is the point of this file:
 *   open       pidfd_open first: from here on the pid can't come to mean another process unnoticed
 *   verify     then compare the start time: is the process that we opened the one that we chose?
 *   signal     through the pidfd, or to the process group
 *   release    process_mrelease, only after SIGKILL (the kernel refuses it before), again on EAGAIN
 *   hasExited  poll on the pidfd: the whole process, all its threads
 * Kernels before 5.3 have no pidfd: then it is kill(2) and a look at /proc/PID/stat.
 */
import { A_FRACTION } from '../../native-shims/clock.js';
import { EAGAIN, ENOSYS } from '../../native-shims/errno.js';
import { close } from '../../native-shims/files.js';
import { getpgid, kill, pidfdOpen, pidfdSendSignal, processMrelease, SIGKILL } from '../../native-shims/pidfd.js';
import { POLLIN, type PollSet } from '../../native-shims/poll.js';
import type { ProcessScan } from '../sample/process-scan.js';

/** A process, for good: no other one has both. */
export interface ProcessIdentity {
  pid: number;
  startTimeTicks: number;
}

/** What dies with the victim (-g). */
export interface Group {
  /** Signalled as a whole, or 0: the members are signalled one by one. */
  pgid: number;
  members: ProcessIdentity[];
}

export class Target {
  private pidfd = -1;
  private readonly identity: ProcessIdentity = { pid: 0, startTimeTicks: A_FRACTION };
  private group: Group | null = null;
  private wantsRelease = false;

  constructor(
    private readonly scan: ProcessScan,
    private readonly pollSet: PollSet,
    private readonly pollSlot: number,
  ) {}

  /** Takes hold of a process. Returns 0, or -errno (-ESRCH: it is gone). */
  open(identity: ProcessIdentity, group: Group | null): number {
    this.identity.pid = identity.pid;
    this.identity.startTimeTicks = identity.startTimeTicks;
    this.group = group;
    this.wantsRelease = false;
    const pidfd = pidfdOpen(identity.pid);
    this.pidfd = Math.max(pidfd, -1);
    if (pidfd >= 0) this.pollSet.watch(this.pollSlot, pidfd, POLLIN);
    return pidfd >= 0 || pidfd === -ENOSYS ? 0 : pidfd;
  }

  /** Whether it is still the process that was chosen, and alive. */
  verify(): boolean {
    return this.scan.isAlive(this.identity.pid, this.identity.startTimeTicks);
  }

  /** Whether it sits where no signal reaches it. */
  isStuck(): boolean {
    return this.scan.isStuck(this.identity.pid, this.identity.startTimeTicks);
  }

  /** Sends a signal to it and to its group. Returns 0 or -errno (-ESRCH: nobody was left). */
  signal(signal: number): number {
    if (signal === SIGKILL) this.wantsRelease = true;
    if (this.group === null) return this.signalVictim(signal);
    // Still a member? Once the victim has left it, or ended, the number may come to mean another group.
    const whole = this.group.pgid > 0 && getpgid(this.identity.pid) === this.group.pgid;
    if (whole) return kill(-this.group.pgid, signal);
    for (const member of this.group.members) {
      if (member.pid !== this.identity.pid) signalVerified(this.scan, member, signal);
    }
    return this.signalVictim(signal);
  }

  /** After SIGKILL: has the kernel free its memory now, once. Returns process_mrelease's result, or null if there was nothing to do. */
  release(): number | null {
    if (!this.wantsRelease || this.pidfd < 0) return null;
    const result = processMrelease(this.pidfd);
    this.wantsRelease = result === -EAGAIN;
    return result;
  }

  /** Whether it has ended. Needs a `pollSet.wait` since `open`. */
  hasExited(): boolean {
    return this.pidfd >= 0 ? (this.pollSet.revents(this.pollSlot) & POLLIN) !== 0 : !this.verify();
  }

  /** Lets go of it. */
  close(): void {
    if (this.pidfd >= 0) close(this.pidfd);
    this.pidfd = -1;
    this.pollSet.clear(this.pollSlot);
  }

  protected signalVictim(signal: number): number {
    return this.pidfd >= 0 ? pidfdSendSignal(this.pidfd, signal) : kill(this.identity.pid, signal);
  }
}

/** Signals a member of the group, if it is still the process that was seen. */
function signalVerified(scan: ProcessScan, member: ProcessIdentity, signal: number): void {
  const pidfd = pidfdOpen(member.pid);
  if (scan.isAlive(member.pid, member.startTimeTicks)) {
    if (pidfd >= 0) pidfdSendSignal(pidfd, signal);
    else if (pidfd === -ENOSYS) kill(member.pid, signal);
  }
  if (pidfd >= 0) close(pidfd);
}
