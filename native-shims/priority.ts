/* What the guard sets on itself: name, niceness, capabilities of its children; and what it asks about the machine. */
import { cString, declare } from './libc.js';

const PR_SET_NAME = 15;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_IS_SET = 1;
const PR_CAP_AMBIENT_RAISE = 2;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
/** There are 41 in Linux 6.18; one that the kernel does not know is not set. */
const CAPABILITIES_MAX = 64;
const PRIO_PROCESS = 0;

const prctlName = declare('int prctl(int option, void *name, long a, long b, long c)');
const prctlPlain = declare('int prctl(int option, long a, long b, long c, long d)');
const setpriorityNative = declare('int setpriority(int which, unsigned int who, int priority)');
const getpagesize = declare('int getpagesize()');

/** Sets the comm of the calling thread, which for the main thread is what ps shows; at most 15 bytes are kept. */
export function setProcessName(name: string): number {
  return prctlName(PR_SET_NAME, cString(name), 0, 0, 0);
}

/**
 * Empties the ambient capability set, so that hooks start without the guard's CAP_KILL.
 * Per thread: call it before the first hook, whose thread then inherits it. Returns 0 or -errno (before Linux 4.3).
 */
export function clearAmbientCapabilities(): number {
  return prctlPlain(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/** The numbers of the calling thread's ambient capabilities. */
export function ambientCapabilities(): number[] {
  const numbers = Array.from({ length: CAPABILITIES_MAX }, (_, capability) => capability);
  return numbers.filter((capability) => prctlPlain(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) === 1);
}

/** Puts a capability into the ambient set, so that the next program has it; it must be permitted and inheritable. Returns 0 or -errno. */
export function raiseAmbientCapability(capability: number): number {
  return prctlPlain(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
}

/** Niceness of this process, -20 to 19. Returns 0 or -errno. */
export function setNiceness(niceness: number): number {
  return setpriorityNative(PRIO_PROCESS, 0, niceness);
}

/** Bytes in a page. */
export function pageSize(): number {
  return getpagesize();
}
