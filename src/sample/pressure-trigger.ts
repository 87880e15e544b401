/*
 * A PSI trigger (Documentation/accounting/psi.rst, "Monitoring for pressure thresholds"; Linux 5.2): the kernel
 * wakes the guard when tasks stall for memory, whatever MemAvailable says. It decides nothing: being woken means to
 * look now instead of when the cadence says so (up to 1 s away while much seems available; with swap, or
 * where MemAvailable says too much, that is when a machine gets stuck).
 *
 *   write   some STALL_US WINDOW_US
 *   poll    POLLPRI, once each time that the stall within a window reaches STALL_US, at most once per window
 *
 * `some`, not `full`: one busy task hides `full` on a whole machine, and `some` comes first.
 *
 * A stall of 5 % of the window. The lowest that a machine without swap showed on its way down was 5 %, at 91 MiB
 * available, and 61 % at 52 MiB: there is little time between. Lower would cost nothing either: a needless
 * look takes 36 us, once per window, which at worst is 0.01 % of a core. But the kernel looks at the sum every tenth of
 * a window (50 ms), and half of one is what a machine that has begun to thrash reaches at the first look.
 *
 * A window of 500 ms needs CAP_SYS_RESOURCE; the news then came 46 to 156 ms after the stall began (measured, as all
 * of this, on a process that thrashes in a small cgroup). Without it (Linux 6.5 and later) the window must be a
 * multiple of 2 s and is looked at only as the averages are made, every 2 s: 680 to 2,225 ms. Beside a look each
 * second that hardly helps the machine as a whole; it does for a cgroup that is not looked at otherwise.
 *
 * An fd without a trigger polls POLLPRI and POLLERR at once, for ever, and so does one whose trigger is gone (its
 * cgroup was removed): a guard that polls it spins. So the fd is handed out only once the trigger stands, and given back by
 * `handle` as soon as it is lost.
 */
import { statfsSync } from 'node:fs';
import { ENOSYS } from '../../native-shims/errno.js';
import { close, O_NONBLOCK, O_RDWR, open, openat, write } from '../../native-shims/files.js';
import { cString } from '../../native-shims/libc.js';
import { POLLPRI } from '../../native-shims/poll.js';

/** Tried in this order. */
const WINDOWS_MS = [500, 2000] as const;
const STALL_PERCENT = 5;
const US_PER_MS = 1000;

/** What is written; after an error the fd has no trigger and may be written again. */
const TRIGGER_LINES = WINDOWS_MS.map((windowMs) => {
  const windowUs = windowMs * US_PER_MS;
  // The kernel puts a NUL over the last byte, so that has to be one that nobody needs.
  return cString(`some ${(windowUs * STALL_PERCENT) / 100} ${windowUs}\n`);
});

/* linux/magic.h. Anywhere else (a recorded tree under --procfs) the write would end up in somebody's file. */
const PROC_SUPER_MAGIC = 0x9fa0;
const CGROUP2_SUPER_MAGIC = 0x63677270;

/** What `handle` was told. */
export type TriggerEvent = 'woken' | 'lost' | 'nothing';

export class PressureTrigger {
  /** What to poll `fd` for. */
  readonly events = POLLPRI;

  private constructor(
    private openFd: number,
    private acceptedMs: number,
  ) {}

  /** The window that the kernel accepted, ms. */
  get windowMs(): number {
    return this.acceptedMs;
  }

  /** For the PollSet; -1, which poll ignores, once the trigger is lost or closed. */
  get fd(): number {
    return this.openFd;
  }

  /**
   * Sets a trigger on `path`: /proc/pressure/memory or a cgroup's memory.pressure. Returns it, or -errno: ENOENT (no
   * PSI), EPERM (before 6.5 without CAP_SYS_RESOURCE), EINVAL (no window accepted), EOPNOTSUPP (PSI switched off),
   * EACCES, EROFS (as the unit was hardened), ENOSYS (not a file of procfs or cgroup2).
   */
  static open(path: string): PressureTrigger | number {
    const fd = open(cString(path), O_RDWR | O_NONBLOCK);
    if (fd < 0) return fd;
    const trigger = PressureTrigger.unset();
    const result = isKernelFile(path) ? trigger.arm(fd) : -ENOSYS;
    if (result === 0) return trigger;
    close(fd);
    return result;
  }

  /** One that is not set: for `set`, which makes nothing. */
  static unset(): PressureTrigger {
    return new PressureTrigger(-1, 0);
  }

  /**
   * Sets this trigger, which is not set, on a file of procfs or cgroup2, whose path (NUL-terminated) is relative to
   * `directoryFd`. Returns 0 or -errno, as `open`.
   */
  set(directoryFd: number, path: Uint8Array): number {
    const fd = openat(directoryFd, path, O_RDWR | O_NONBLOCK);
    if (fd < 0) return fd;
    const result = this.arm(fd);
    if (result < 0) close(fd);
    return result;
  }

  private arm(fd: number): number {
    let result = 0;
    for (let window = 0; window < WINDOWS_MS.length; window++) {
      const line = TRIGGER_LINES[window] as Uint8Array;
      result = write(fd, line, line.length - 1);
      if (result < 0) continue;
      this.openFd = fd;
      this.acceptedMs = WINDOWS_MS[window] as number;
      return 0;
    }
    return result;
  }

  /**
   * Takes in what the PollSet saw on `fd`. 'woken': stalled, once per window at most. 'lost': no news will come any
   * more and `fd` is closed, so the caller has to clear its slot before the next wait.
   */
  handle(revents: number): TriggerEvent {
    if (revents === 0) return 'nothing';
    if (revents === POLLPRI) return 'woken';
    this.close();
    return 'lost';
  }

  /** Removes the trigger. Clear its slot first: poll returns at once for an fd that is closed. */
  close(): void {
    if (this.openFd >= 0) close(this.openFd);
    this.openFd = -1;
  }
}

function isKernelFile(path: string): boolean {
  try {
    const { type } = statfsSync(path);
    return type === PROC_SUPER_MAGIC || type === CGROUP2_SUPER_MAGIC;
  } catch {
    return false; // gone since it was opened
  }
}
