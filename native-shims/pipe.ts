/* A pipe whose writer never waits: what its reader does not take in time does not fit, and -EAGAIN says so. */
import { close, O_NONBLOCK } from './files.js';
import { declare, fixedBuffer } from './libc.js';

/** 0o2000000 on every Linux architecture that Node runs on. */
const O_CLOEXEC = 0o2000000;
const F_GETFL = 3;
const F_SETFL = 4;
const F_SETPIPE_SZ = 1031;

const pipe2 = declare('int pipe2(void *fds, int flags)');
const fcntl = declare('int fcntl(int fd, int command, long argument)');

export interface Pipe {
  /** Waits for bytes, as a program that is started with it expects. */
  readFd: number;
  /** Never waits. Up to PIPE_BUF (4096) bytes go in whole or not at all. */
  writeFd: number;
}

/**
 * Makes one, of `bytes` where the kernel allows it (1 MiB for anybody), else of its default of 64 KiB. Both ends are closed
 * on exec. Returns -errno.
 */
export function openPipe(bytes: number): Pipe | number {
  const fds = new Int32Array(fixedBuffer(8).buffer);
  const result = pipe2(Buffer.from(fds.buffer), O_CLOEXEC);
  if (result < 0) return result;
  const [readFd, writeFd] = fds as unknown as [number, number];
  const flags = fcntl(writeFd, F_GETFL, 0);
  const set = flags < 0 ? flags : fcntl(writeFd, F_SETFL, flags | O_NONBLOCK);
  if (set < 0) {
    close(readFd);
    close(writeFd);
    return set;
  }
  fcntl(writeFd, F_SETPIPE_SZ, bytes);
  return { readFd, writeFd };
}
