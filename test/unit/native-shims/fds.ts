/* File descriptors that Node can't make: pipes, socket pairs, terminals and datagram sockets nobody reads. All are closed with the test. */
import { readFileSync, readSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import { close, O_NOCTTY, open } from '../../../native-shims/files.js';
import { cString, declare, declareRaw, fixedBuffer } from '../../../native-shims/libc.js';
import { POLLIN, PollSet } from '../../../native-shims/poll.js';

const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;

const pipe2 = declare('int pipe2(void *fds, int flags)');
const socketpair = declare('int socketpair(int domain, int type, int protocol, void *fds)');
const socket = declare('int socket(int domain, int type, int protocol)');
const bind = declare('int bind(int fd, void *address, unsigned int length)');
const posixOpenpt = declare('int posix_openpt(int flags)');
const grantpt = declare('int grantpt(int fd)');
const unlockpt = declare('int unlockpt(int fd)');
const ptsnameR = declareRaw('int ptsname_r(int fd, void *name, size_t length)');
const alarm = declareRaw('unsigned int alarm(unsigned int seconds)');

/** Two connected fds: what is written to `writer` can be read from `reader`. */
export interface Pair {
  reader: number;
  writer: number;
}

/** An fd that is there, or the test fails. */
export function own(fd: number): number {
  if (fd < 0) throw new Error(`no file descriptor: errno ${-fd}`);
  onTestFinished(() => void close(fd));
  return fd;
}

function pairOf(result: number, fds: Int32Array): Pair {
  if (result < 0) throw new Error(`no pair: errno ${-result}`);
  return { reader: own(fds[0] as number), writer: own(fds[1] as number) };
}

export function pipe(): Pair {
  const fds = new Int32Array(fixedBuffer(8).buffer);
  return pairOf(pipe2(Buffer.from(fds.buffer), O_CLOEXEC), fds);
}

export function socketPair(): Pair {
  const fds = new Int32Array(fixedBuffer(8).buffer);
  return pairOf(socketpair(AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0, Buffer.from(fds.buffer)), fds);
}

/** A terminal: `reader` is its master. */
export function terminal(): Pair {
  const reader = own(posixOpenpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  const name = fixedBuffer(64);
  if (grantpt(reader) < 0 || unlockpt(reader) < 0 || ptsnameR(reader, name, 64) !== 0) throw new Error('no terminal');
  return { reader, writer: own(open(name, O_RDWR | O_NOCTTY)) };
}

/** A unix datagram socket that listens at `path`, as a syslog daemon does. */
export function datagramListener(path: string): number {
  const fd = own(socket(AF_UNIX, SOCK_DGRAM | O_CLOEXEC, 0));
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), cString(path)]);
  const result = bind(fd, address, address.length);
  if (result < 0) throw new Error(`${path}: errno ${-result}`);
  return fd;
}

/** All that can be read from `fd` now, one string for each read. */
export function drain(fd: number): string[] {
  const pollSet = new PollSet(1);
  pollSet.watch(0, fd, POLLIN);
  const buffer = Buffer.alloc(65536);
  const chunks: string[] = [];
  while (pollSet.wait(0) > 0 && (pollSet.revents(0) & POLLIN) !== 0) {
    const length = readSync(fd, buffer);
    if (length === 0) break;
    chunks.push(buffer.toString('utf8', 0, length));
  }
  return chunks;
}

/** Whether O_NONBLOCK is set on the open file, which everybody who shares it would feel. */
export function isNonBlocking(fd: number): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] as string;
  return (Number.parseInt(flags, 8) & 0o4000) !== 0;
}

/** Runs `body`, whose calls must not block; if one does, this process ends by SIGALRM instead of hanging for ever. */
export function unblocked<T>(body: () => T): T {
  alarm(20);
  try {
    return body();
  } finally {
    alarm(0);
  }
}
