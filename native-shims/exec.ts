/*
 * Replacing this process's program by another one, or by itself once more: same pid, same parent, same children.
 *
 * What goes over: pid, niceness, oom_score_adj, limits, working directory, fds 0 to 2 (spawn.ts has unmarked them) and what else
 * was inherited without being close-on-exec.
 * What does not: all other threads, every fd that is close-on-exec (all that Node and native-shims open), locked memory, signal handlers,
 * and of a user without privileges all capabilities that are not ambient.
 */
import { cString, declare } from './libc.js';
import { PointerArray } from './spawn.js';

const execveNative = declare('int execve(void *path, void *argv, void *envp)');

/** Returns only if it fails: -errno. */
export function execve(path: string, args: readonly string[], environment: readonly Uint8Array[]): number {
  const argv = new PointerArray(args.map((arg) => cString(arg)));
  const envp = new PointerArray(environment.map((variable) => cString(variable)));
  return execveNative(cString(path), argv.pointers, envp.pointers);
}
