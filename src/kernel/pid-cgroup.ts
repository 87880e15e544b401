/*
 * /proc/PID/cgroup (cgroups(7)): the cgroups of a process, one line for each hierarchy.
 *
 *   4:memory:/user.slice
 *   0::/system.slice/oom-backstop.service
 *
 * Hierarchy 0 is cgroup v2 (Linux 4.5); a path is relative to the hierarchy's root.
 */

export interface PidCgroup {
  /** The path on cgroup v2; null if there is none. */
  unified: string | null;
  /** The path on the v1 hierarchy that has the memory controller; null if there is none. */
  memoryV1: string | null;
}

/** Reads the text of a cgroup file. */
export function parsePidCgroup(text: string): PidCgroup {
  return {
    unified: /^0::(\/.*)$/m.exec(text)?.[1] ?? null,
    memoryV1: /^[1-9]\d*:(?:[^:\n]*,)?memory(?:,[^:\n]*)?:(\/.*)$/m.exec(text)?.[1] ?? null,
  };
}
