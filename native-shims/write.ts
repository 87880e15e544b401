/*
 * Writes that can't block: to a pipe, a terminal, a socket or a file that a stuck reader holds up.
 *
 * A log line that waits for its reader (journald stopped under memory pressure, a terminal in ^S, a
 * full pipe) would stop the guard. O_NONBLOCK set on the inherited fd would be set for everybody
 * who shares that open file, so:
 *   pipe, terminal   opened anew through /proc/self/fd with O_NONBLOCK: an open file of our own
 *   socket           send(2) with MSG_DONTWAIT
 *   regular file     plain write: the kernel knows no non-blocking one for page cache; said in the README
 *   whatever can't be opened anew   poll(POLLOUT, 0) first, then at most PIPE_BUF bytes
 */
import { fstatSync } from 'node:fs';
import { EAGAIN, EINTR, ENAMETOOLONG } from './errno.js';
import { close, O_NOCTTY, O_NONBLOCK, O_WRONLY, open, write } from './files.js';
import { cString, declare, declareRaw, fixedBuffer } from './libc.js';
import { POLLOUT, PollSet } from './poll.js';

/** The most that one `write` takes: POSIX writes up to PIPE_BUF to a pipe whole or not at all. */
export const WRITE_BYTES_MAX = 4096;

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const SOCKADDR_UN_PATH_BYTES_MAX = 107;

const sendNative = declare('int64_t send(int fd, void *buf, size_t count, int flags)');
const socketNative = declare('int socket(int domain, int type, int protocol)');
const connectNative = declare('int connect(int fd, void *address, unsigned int length)');

const isattyNative = declareRaw('int isatty(int fd)');

/** Whether `fd` is a terminal. Not node:tty's, which brings Node's streams and sockets with it. */
export function isTerminal(fd: number): boolean {
  return isattyNative(fd) === 1;
}

type How = 'nonblocking' | 'send' | 'plain' | 'poll-first';

/** One place to write to, which never makes the caller wait. */
export class NonBlockingWriter {
  private readonly pollSet: PollSet | null;

  private constructor(
    private readonly fd: number,
    private readonly how: How,
    private readonly rehearses = false,
  ) {
    this.pollSet = how === 'poll-first' ? new PollSet(1) : null;
    this.pollSet?.watch(0, fd, POLLOUT);
  }

  /** A writer for an inherited fd (1 or 2). Never fails: a closed fd answers -EBADF at each write. */
  static forInheritedFd(fd: number): NonBlockingWriter {
    let stat: ReturnType<typeof fstatSync>;
    try {
      stat = fstatSync(fd);
    } catch {
      return new NonBlockingWriter(fd, 'plain');
    }
    if (stat.isSocket()) return new NonBlockingWriter(fd, 'send');
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return new NonBlockingWriter(fd, 'plain');
    const own = open(cString(`/proc/self/fd/${fd}`), O_WRONLY | O_NONBLOCK | O_NOCTTY);
    return own >= 0 ? new NonBlockingWriter(own, 'nonblocking') : new NonBlockingWriter(fd, 'poll-first');
  }

  /** A writer for an fd of our own that has O_NONBLOCK, such as a pipe's (pipe.ts). */
  static forOwnFd(fd: number): NonBlockingWriter {
    return new NonBlockingWriter(fd, 'nonblocking');
  }

  /** A writer for a unix datagram socket such as /dev/log. Returns it, or -errno. */
  static connectUnixDatagram(path: string): NonBlockingWriter | number {
    const pathBytes = Buffer.from(path);
    if (pathBytes.length > SOCKADDR_UN_PATH_BYTES_MAX) return -ENAMETOOLONG;
    const fd = socketNative(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return fd;
    const address = fixedBuffer(2 + pathBytes.length + 1);
    address.writeUInt16LE(AF_UNIX, 0);
    address.set(pathBytes, 2);
    const result = connectNative(fd, address, address.length);
    if (result < 0) close(fd);
    return result < 0 ? result : new NonBlockingWriter(fd, 'send');
  }

  /**
   * A writer that makes this one's system calls, for no bytes: to a pipe, a file, a terminal or a stream socket nothing comes of it
   * (to a datagram socket an empty message). The fd stays this one's.
   */
  rehearsal(): NonBlockingWriter {
    return new NonBlockingWriter(this.fd, this.how, true);
  }

  /**
   * Writes the first `length` (at most WRITE_BYTES_MAX) bytes of `buffer`, or as many as fit now.
   * Returns the number of bytes, or -errno (-EAGAIN: nothing fits now).
   */
  write(buffer: Uint8Array, length: number): number {
    const result = this.writeNow(buffer, this.rehearses ? 0 : length);
    return this.rehearses && result === 0 ? length : result;
  }

  private writeNow(buffer: Uint8Array, length: number): number {
    if (this.how === 'send') return sendNative(this.fd, buffer, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (this.pollSet !== null && this.pollSet.wait(0) <= 0) return -EAGAIN;
    const result = write(this.fd, buffer, length);
    return result === -EINTR ? -EAGAIN : result;
  }

  /** Gives the fd back. */
  close(): void {
    close(this.fd);
  }
}
