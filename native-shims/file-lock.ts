/*
 * A lock on a whole file that its owner's end takes away, however that comes (fcntl(2), F_SETLK): the kernel says who has it. Never waits.
 *
 * It belongs to the process, and goes as soon as the process closes *any* of its fds for the file: whoever holds one must not read the
 * file by its name. It is not inherited by children; execve releases it, if the fd is close-on-exec.
 */
import { declare, fixedBuffer } from './libc.js';

const F_GETLK = 5;
const F_SETLK = 6;
const F_WRLCK = 1;
const F_UNLCK = 2;

/* struct flock of 64-bit Linux: short type, short whence, i64 start at 8, i64 length at 16 (0: to the end), i32 pid at 24 */
const FLOCK_BYTES = 32;
const flock = fixedBuffer(FLOCK_BYTES);
const halfWords = new Int16Array(flock.buffer);
const words = new Int32Array(flock.buffer);
const PID_WORD = 6;

const fcntlNative = declare('int fcntl(int fd, int command, void *lock)');

function wholeFile(): void {
  flock.fill(0);
  halfWords[0] = F_WRLCK;
}

/** Locks a file that is open for writing. Returns 0 or -errno (-EAGAIN, -EACCES: another process has it). */
export function lockFile(fd: number): number {
  wholeFile();
  return fcntlNative(fd, F_SETLK, flock);
}

/** Who keeps `lockFile` from it: a pid, 0 for nobody or one of another PID namespace, or -errno. */
export function lockHolder(fd: number): number {
  wholeFile();
  const result = fcntlNative(fd, F_GETLK, flock);
  if (result < 0) return result;
  return halfWords[0] === F_UNLCK ? 0 : (words[PID_WORD] as number);
}
