/*
 * The flags of the inherited stdin, stdout and stderr, read before anything else is loaded.
 *
 * Loading `node:util` the way a bundler does (koffi's does) makes Node 22 and later initialise process.stderr,
 * and that sets O_NONBLOCK on a pipe which the guard shares with others: with the shell that started it, with its hooks,
 * whose writes would then fail with EAGAIN. So `libc.ts` loads this first and puts the flags back afterwards.
 */
import { readFileSync } from 'node:fs';

/** The open file's status flags (fcntl F_GETFL) by fd; a closed fd has none. */
export const inheritedFlags: ReadonlyMap<number, number> = new Map(
  [0, 1, 2].flatMap((fd) => {
    const flags = statusFlags(fd);
    return flags === null ? [] : [[fd, flags] as const];
  }),
);

function statusFlags(fd: number): number | null {
  try {
    const octal = /^flags:\s+([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
    return octal === undefined ? null : Number.parseInt(octal, 8);
  } catch {
    return null;
  }
}
