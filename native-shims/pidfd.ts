/*
 * Processes as the kill path needs them: by pidfd where the kernel has it (5.3), by pid where not.
 * The system call numbers are the same on x86-64 and arm64 (asm-generic/unistd.h).
 */
import { declare, syscallPlain } from './libc.js';

const SYS_pidfd_send_signal = 424;
const SYS_pidfd_open = 434;
const SYS_process_mrelease = 448;

export const SIGTERM = 15;
export const SIGKILL = 9;
export const SIGSTOP = 19;

const killNative = declare('int kill(int pid, int sig)');
const getpgidNative = declare('int getpgid(int pid)');

/** A file descriptor that stands for one process and never for a later one with its pid. Returns the fd or -errno. */
export function pidfdOpen(pid: number): number {
  return syscallPlain(SYS_pidfd_open, pid, 0, 0, 0, 0);
}

/** Returns 0 or -errno (-ESRCH: it is gone, -EPERM). */
export function pidfdSendSignal(pidfd: number, signal: number): number {
  return syscallPlain(SYS_pidfd_send_signal, pidfd, signal, 0, 0, 0);
}

/**
 * Frees the memory of a process that is already dying (Linux 5.15). Only after SIGKILL.
 * Returns 0, or -errno: -EINVAL it is not dying, -EAGAIN try again, -ESRCH nothing left to free,
 * which does not mean that it has been freed already.
 */
export function processMrelease(pidfd: number): number {
  return syscallPlain(SYS_process_mrelease, pidfd, 0, 0, 0, 0);
}

/** kill(2); a negative pid is a process group. Returns 0 or -errno. */
export function kill(pid: number, signal: number): number {
  return killNative(pid, signal);
}

/** The process group of `pid`, or -errno. */
export function getpgid(pid: number): number {
  return getpgidNative(pid);
}
