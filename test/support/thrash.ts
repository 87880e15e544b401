/* Live fire for PSI rules: a cgroup smaller than what its processes work on, and a guard, in a PID namespace. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';

const SCENARIO = path.join(import.meta.dirname, 'thrash-scenario.mjs');
const UNSHARE = ['--pid', '--fork', '--mount-proc', '--kill-child'];
const V2_MOUNTS = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'];
const V1_MOUNT = '/sys/fs/cgroup/memory';
const MIB = 1 << 20;

interface ThrasherOptions {
  name: string;
  anonMib: number;
  /** 0: stands by. */
  fileMib: number;
  /** Whether it is in the cgroup. */
  inside: boolean;
}

interface ThrashScenario {
  guard: { program: string; args: string[] };
  processes: ThrasherOptions[];
  limitMib: number;
  seconds: number;
  /** A regular expression on the guard's stderr that ends it before. */
  until?: string;
}

export interface ThrashResult {
  stderr: string;
  /** `some` of the pressure file while they thrashed. */
  stallPercent: number;
  guardLives: boolean;
  processes: { name: string; pid: number; exit: { code: number | null; signal: string | null } | null }[];
}

/** A cgroup with a memory limit and a memory.pressure, on v2, or on v1 and v2 with the same processes. */
export interface Cage {
  /** Its name, from the root of v2. */
  name: string;
  /** The directory on v2. */
  directory: string;
  cgroups: string[];
  limitFile: string;
}

/** Makes a cage, or returns null where none can be made. */
function makeCage(): Cage | null {
  const name = `oom-backstop-test-${process.pid}-${Date.now()}`;
  for (const mount of V2_MOUNTS) {
    const directory = path.join(mount, name);
    try {
      mkdirSync(directory);
    } catch {
      continue;
    }
    const limitFile = path.join(directory, 'memory.max');
    if (existsSync(path.join(directory, 'memory.pressure')) && existsSync(limitFile)) {
      return { name, directory, cgroups: [directory], limitFile };
    }
    const v1 = path.join(V1_MOUNT, name);
    try {
      if (existsSync(path.join(directory, 'memory.pressure'))) {
        mkdirSync(v1);
        return { name, directory, cgroups: [directory, v1], limitFile: path.join(v1, 'memory.limit_in_bytes') };
      }
    } catch {
      // No v1 memory controller either.
    }
    rmdirSync(directory);
  }
  return null;
}

async function removeCage({ cgroups }: Cage): Promise<void> {
  for (const directory of cgroups) {
    for (let attempt = 0; ; attempt++) {
      try {
        rmdirSync(directory);
        break;
      } catch (error) {
        // A cgroup can be removed a little after its last process's exit.
        if (attempt === 100) throw error;
        await new Promise((done) => setTimeout(done, 50));
      }
    }
  }
}

/** Whether cages can be made here. */
export function cagesWork(): boolean {
  const cage = makeCage();
  if (cage !== null) for (const directory of cage.cgroups) rmdirSync(directory);
  return cage !== null;
}

/** A cage that goes with the test. */
export function cage(): Cage {
  const made = makeCage();
  if (made === null) throw new Error('no cgroup with a limit and a memory.pressure can be made here');
  onTestFinished(() => removeCage(made));
  return made;
}

/** Has the processes thrash in `where` beside the guard. @param pressureFile  whose pressure is measured */
export async function thrash(
  where: Cage,
  { guard, processes, limitMib, seconds, until }: ThrashScenario,
  pressureFile = path.join(where.directory, 'memory.pressure'),
): Promise<ThrashResult> {
  // Not /tmp, which may be a tmpfs: what fills that can't be reclaimed.
  const files = mkdtempSync('/var/tmp/oom-backstop-thrash-');
  onTestFinished(() => rmSync(files, { recursive: true, force: true }));
  writeFileSync(where.limitFile, String(limitMib * MIB));
  const scenario = {
    guard,
    pressureFile,
    seconds,
    until,
    processes: processes.map(({ inside, ...options }) => ({
      ...options,
      cgroups: inside ? where.cgroups : [],
      file: path.join(files, options.name),
    })),
  };
  const args = [...UNSHARE, process.execPath, SCENARIO, JSON.stringify(scenario)];
  const { stdout } = await promisify(execFile)('unshare', args, { timeout: 80_000, maxBuffer: 16 << 20 });
  return JSON.parse(stdout) as ThrashResult;
}
