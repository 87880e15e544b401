/*
 * --kernel-oom: the kernel's own OOM killer picks and kills, on `f` written to /proc/sysrq-trigger
 * (Documentation/admin-guide/sysrq.rst). Since Linux 5.17 it always kills somebody.
 */
import { O_WRONLY, open, pwrite } from '../../native-shims/files.js';
import { cString } from '../../native-shims/libc.js';

const TRIGGER = Buffer.from('f');

export class KernelOomKiller {
  private constructor(private readonly fd: number) {}

  /** Opens `procfs`/sysrq-trigger. Returns it, or -errno (not root, or a read-only /proc). */
  static open(procfs: string): KernelOomKiller | number {
    const fd = open(cString(`${procfs}/sysrq-trigger`), O_WRONLY);
    return fd < 0 ? fd : new KernelOomKiller(fd);
  }

  /** Has the kernel kill somebody. Returns 0 or -errno. */
  trigger(): number {
    return Math.min(pwrite(this.fd, TRIGGER, TRIGGER.length, 0), 0);
  }
}
