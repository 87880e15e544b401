/* Cgroups that tests make for themselves, wherever this machine mounts them (v1, v2 or both). */
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';

const MOUNTS = ['/sys/fs/cgroup/memory', '/sys/fs/cgroup/unified', '/sys/fs/cgroup'];
let made = 0;

/** Makes a cgroup that has one of `files`; returns that file's path, or null if none can be made here. */
export function makeCgroupWith(...files: readonly string[]): string | null {
  for (const mount of MOUNTS) {
    const directory = path.join(mount, `oom-backstop-test-${process.pid}-${made++}`);
    try {
      // Without recursive: a mount that is not there is not made up.
      mkdirSync(directory);
    } catch {
      continue;
    }
    const file = files.map((name) => path.join(directory, name)).find((name) => existsSync(name));
    if (file !== undefined) return file;
    rmdirSync(directory);
  }
  return null;
}

/** Whether `makeCgroupWith` works for these files. */
export function cgroupsHave(...files: readonly string[]): boolean {
  const file = makeCgroupWith(...files);
  if (file !== null) rmdirSync(path.dirname(file));
  return file !== null;
}
