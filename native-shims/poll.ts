/* poll(2) over a fixed set of slots: the guard's only place to sleep. */
import { declare, fixedBuffer } from './libc.js';

export const POLLIN = 0x001;
export const POLLPRI = 0x002;
export const POLLOUT = 0x004;
/** Reported without being asked for. */
export const POLLERR = 0x008;

const pollNative = declare('int poll(void *fds, unsigned long nfds, int timeout)');

/* struct pollfd { int fd; short events; short revents; } */
const POLLFD_BYTES = 8;

/** A fixed number of struct pollfd; a slot whose fd is -1 is ignored by the kernel. */
export class PollSet {
  private readonly buffer: Buffer;
  private readonly fds: Int32Array;
  private readonly events: Int16Array;

  constructor(private readonly slots: number) {
    this.buffer = fixedBuffer(slots * POLLFD_BYTES);
    this.fds = new Int32Array(this.buffer.buffer, this.buffer.byteOffset, slots * 2);
    this.events = new Int16Array(this.buffer.buffer, this.buffer.byteOffset, slots * 4);
    for (let slot = 0; slot < slots; slot++) this.clear(slot);
  }

  /** Watches `fd` for `events` (POLLIN ...) in `slot`. */
  watch(slot: number, fd: number, events: number): void {
    this.fds[slot * 2] = fd;
    this.events[slot * 4 + 2] = events;
    this.events[slot * 4 + 3] = 0;
  }

  clear(slot: number): void {
    this.watch(slot, -1, 0);
  }

  /** What the last `wait` saw on `slot` (a mask, 0 for nothing). */
  revents(slot: number): number {
    return this.events[slot * 4 + 3] as number;
  }

  /** Sleeps until an event or `timeoutMs` (0: only looks). Returns the number of slots with events, or -errno (-EINTR). */
  wait(timeoutMs: number): number {
    return pollNative(this.buffer, this.slots, timeoutMs);
  }
}
