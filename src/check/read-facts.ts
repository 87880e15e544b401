/*
 * Reads the facts that `check` judges, each by the kernel interface that the guard itself uses: what is refused here is
 * refused there. Machine-wide files come from the procfs that the guard is to read; system calls, capabilities and limits
 * are those of this very process, which has to run as the guard would.
 *
 * Nothing is changed: the trigger is closed again, signal 0 is sent to this process, process_mrelease refuses a process
 * that is not dying, and what is locked goes with the process.
 */
import { accessSync, constants, existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { EINVAL, ENOSYS, strerror } from '../../native-shims/errno.js';
import { close, closeRange } from '../../native-shims/files.js';
import { addressOf, cString, fixedBuffer } from '../../native-shims/libc.js';
import { lockOnFault, memlockLimit } from '../../native-shims/memory.js';
import { pidfdOpen, pidfdSendSignal, processMrelease } from '../../native-shims/pidfd.js';
import { PosixRegex } from '../../native-shims/regex.js';
import { DBUS_SEND } from '../act/hooks.js';
import { lockableBytes } from '../guard/lock.js';
import { foreignExeError, selfPidIn } from '../guard/machine.js';
import { type Arcstats, emptyArcstats, parseArcstats } from '../kernel/arcstats.js';
import { compileGlob, matchesName } from '../kernel/cgroup-glob.js';
import type { Meminfo } from '../kernel/meminfo.js';
import { type Mount, parseMountinfo } from '../kernel/mountinfo.js';
import { parsePidCgroup } from '../kernel/pid-cgroup.js';
import { CAP_IPC_LOCK, CAP_KILL, parsePidStatusCapEff } from '../kernel/pid-status.js';
import { emptyPressure, parsePressure } from '../kernel/pressure.js';
import { parseSwaps } from '../kernel/swaps.js';
import { ruleWords } from '../report/rule-messages.js';
import { CgroupPath, CgroupTree, type Walker } from '../sample/cgroup-tree.js';
import { PressureTrigger } from '../sample/pressure-trigger.js';
import type { GuardOptions } from '../shared/options.js';
import type { RankedProcess } from '../shared/ranked-process.js';
import { rulesInForce } from '../shared/rules.js';
import type {
  Call,
  Calls,
  CgroupFacts,
  Facts,
  Hiding,
  HookFacts,
  PatternFacts,
  PressureFacts,
  Privileges,
  RuleFacts,
  VmSettings,
} from './facts.js';

/** No process has so many files: nothing is closed. */
const NO_FD = 0x7fffffff;

/** cgroup v1 says this much, less a page, for "no limit". */
const NO_LIMIT_BYTES = 2 ** 60;

interface FactsRequest {
  /** Its patterns compile. */
  options: GuardOptions;
  memory: Meminfo;
  /** All processes of the tree, worst first. */
  ranking: readonly RankedProcess[];
  /** Where sysfs is mounted. */
  sysfs: string;
}

/** The facts, as they are now. Never throws: what can't be read is in them. */
export function readFacts({ options, memory, ranking, sysfs }: FactsRequest): Facts {
  const { procfs } = options;
  const mountinfo = readText(`${procfs}/self/mountinfo`);
  const mounts = mountinfo === null ? null : parseMountinfo(mountinfo);
  return {
    memory,
    live: selfPidIn(procfs) === process.pid,
    pressure: readPressure(`${procfs}/pressure/memory`),
    cgroup: mounts === null ? null : readCgroup(procfs, mounts),
    calls: tryCalls(),
    privileges: readPrivileges(),
    hiding: readHiding(procfs, mounts ?? []),
    swapAreas: parseSwaps(readText(`${procfs}/swaps`) ?? ''),
    zswapEnabled: readText(`${sysfs}/module/zswap/parameters/enabled`)?.startsWith('Y') === true,
    arc: readArcstats(procfs),
    vm: readVmSettings(procfs),
    ranking,
    patterns: matchPatterns(options, ranking),
    exeError: foreignExeError(procfs),
    hooks: tryHooks(options),
    rules: readRules(options, mounts ?? []),
    sysrqError: accessError(`${procfs}/sysrq-trigger`, constants.W_OK),
  };
}

function readArcstats(procfs: string): Arcstats | null {
  const bytes = Buffer.from(readText(`${procfs}/spl/kstat/zfs/arcstats`) ?? '');
  const arc = emptyArcstats();
  return parseArcstats(bytes, bytes.length, arc) ? arc : null;
}

function readPressure(file: string): PressureFacts {
  const trigger = PressureTrigger.open(file);
  if (typeof trigger !== 'number') trigger.close();
  return {
    readError: pressureReadError(file),
    windowMs: typeof trigger === 'number' ? null : trigger.windowMs,
    triggerError: typeof trigger === 'number' ? strerror(-trigger) : null,
  };
}

function pressureReadError(file: string): string | null {
  try {
    // Where PSI was switched off at boot, the file is there and reading it is an error.
    const bytes = readFileSync(file);
    return parsePressure(bytes, bytes.length, emptyPressure()) ? null : 'not what the kernel writes';
  } catch (error) {
    return errorText(error);
  }
}

function readCgroup(procfs: string, mounts: readonly Mount[]): CgroupFacts {
  const own = parsePidCgroup(readText(`${procfs}/self/cgroup`) ?? '');
  const unified = mounts.find(({ type }) => type === 'cgroup2');
  const memoryV1 = mounts.find(({ type, superOptions }) => type === 'cgroup' && superOptions.includes('memory'));
  const unifiedPaths = unified === undefined ? [] : cgroupDirectories(unified, own.unified);
  const limits = [
    ...unifiedPaths.map((directory) => memoryLimit(`${directory}/memory.max`)),
    ...(memoryV1 === undefined ? [] : cgroupDirectories(memoryV1, own.memoryV1)).map((directory) =>
      memoryLimit(`${directory}/memory.limit_in_bytes`),
    ),
  ].filter((bytes) => bytes !== null);
  return {
    mountPoint: unified?.mountPoint ?? null,
    memoryController:
      unified !== undefined && /\bmemory\b/.test(readText(`${unified.mountPoint}/cgroup.controllers`) ?? ''),
    memoryPressure: unifiedPaths.some((directory) => existsSync(`${directory}/memory.pressure`)),
    kill: unified === undefined ? null : hasCgroupKill(unified.mountPoint, unifiedPaths),
    memoryLimitBytes: limits.length === 0 ? null : Math.min(...limits),
  };
}

/** The directories of a cgroup and of those above it, the mount point last; that alone if the cgroup is not below it. */
function cgroupDirectories({ root, mountPoint }: Mount, cgroup: string | null): string[] {
  const prefix = root === '/' ? '' : root;
  const below = cgroup !== null && `${cgroup}/`.startsWith(`${prefix}/`) && !cgroup.includes('/..');
  const names = below ? cgroup.slice(prefix.length).split('/').filter(Boolean) : [];
  return Array.from({ length: names.length + 1 }, (_, up) =>
    [mountPoint, ...names.slice(0, names.length - up)].join('/'),
  );
}

/** Bytes; null for no limit, or none that can be read. */
function memoryLimit(file: string): number | null {
  const text = readText(file)?.trim();
  const bytes = text === undefined || text === 'max' ? Number.NaN : Number(text);
  return bytes < NO_LIMIT_BYTES ? bytes : null;
}

/** Any cgroup but the root has the file, or none has. */
function hasCgroupKill(mountPoint: string, directories: readonly string[]): boolean | null {
  const [own] = directories;
  if (own !== undefined && own !== mountPoint) return existsSync(`${own}/cgroup.kill`);
  const child = childDirectory(mountPoint);
  return child === null ? null : existsSync(`${child}/cgroup.kill`);
}

function childDirectory(directory: string): string | null {
  try {
    const child = readdirSync(directory, { withFileTypes: true }).find((entry) => entry.isDirectory());
    return child === undefined ? null : path.join(directory, child.name);
  } catch {
    return null;
  }
}

function tryCalls(): Calls {
  const pidfd = pidfdOpen(process.pid);
  const onPidfd = (call: (fd: number) => number): number => (pidfd < 0 ? pidfd : call(pidfd));
  const page = fixedBuffer(1);
  const calls = {
    pidfdOpen: outcome(pidfd),
    pidfdSendSignal: outcome(onPidfd((fd) => pidfdSendSignal(fd, 0))),
    processMrelease: outcome(onPidfd(tryMrelease)),
    mlock2: outcome(lockOnFault(Number(addressOf(page)), page.length)),
    closeRange: outcome(closeRange(NO_FD, NO_FD)),
  };
  if (pidfd >= 0) close(pidfd);
  return calls;
}

/** As the call itself, but 0 for the right answer about a process that is not dying. */
function tryMrelease(pidfd: number): number {
  const result = processMrelease(pidfd);
  return result === -EINVAL ? 0 : result;
}

function outcome(result: number): Call {
  if (result >= 0) return { state: 'works', error: null };
  return { state: result === -ENOSYS ? 'absent' : 'refused', error: strerror(-result) };
}

function readPrivileges(): Privileges {
  const effective = parsePidStatusCapEff(readText('/proc/self/status') ?? '') ?? 0n;
  const has = (capability: bigint): boolean => ((effective >> capability) & 1n) === 1n;
  return {
    uid: process.geteuid?.() ?? 0,
    kill: has(CAP_KILL),
    ipcLock: has(CAP_IPC_LOCK),
    memlockLimitBytes: Math.max(0, memlockLimit()),
    lockableBytes: lockableBytes(),
  };
}

function readHiding(procfs: string, mounts: readonly Mount[]): Hiding {
  // Of several at one place, the last one is on top.
  const mount = mounts.filter(({ type, mountPoint }) => type === 'proc' && mountPoint === realPath(procfs)).at(-1);
  const value = mount?.superOptions.find((option) => option.startsWith('hidepid='))?.slice('hidepid='.length) ?? null;
  return {
    pid1Visible: readText(`${procfs}/1/stat`) !== null,
    hidepid: value === '0' || value === 'off' ? null : value,
  };
}

function readVmSettings(procfs: string): VmSettings {
  const setting = (name: string): number | null => {
    const text = readText(`${procfs}/sys/vm/${name}`)?.trim() ?? '';
    return /^\d+$/.test(text) ? Number(text) : null;
  };
  return {
    overcommitMemory: setting('overcommit_memory'),
    panicOnOom: setting('panic_on_oom'),
    oomKillAllocatingTask: setting('oom_kill_allocating_task'),
  };
}

function matchPatterns({ patterns }: GuardOptions, ranking: readonly RankedProcess[]): PatternFacts[] {
  const names = ranking.filter(({ reason }) => reason !== 'kernel thread').map(({ name }) => cString(name));
  return (['prefer', 'avoid', 'ignore'] as const).flatMap((which) => {
    const text = patterns[which];
    if (text === null) return [];
    const regex = PosixRegex.compile(text);
    return [{ option: `--${which}` as const, text, matches: names.filter((name) => regex?.matches(name)).length }];
  });
}

function tryHooks({ beforeKill, afterKill, notifyDbus }: GuardOptions): HookFacts[] {
  const programs = [
    { option: '-P', path: beforeKill },
    { option: '-N', path: afterKill },
    { option: '-n', path: notifyDbus ? DBUS_SEND : null },
  ] as const;
  return programs.flatMap(({ option, path: program }) => {
    if (program === null) return [];
    const error = program.startsWith('/') ? accessError(program, constants.X_OK) : 'not an absolute path';
    return [{ option, path: program, error }];
  });
}

/** Why `file` can't be used so (R_OK, W_OK, X_OK); null if it can. */
function accessError(file: string, mode: number): string | null {
  try {
    accessSync(file, mode);
    return null;
  } catch (error) {
    return errorText(error);
  }
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

function realPath(directory: string): string {
  try {
    return realpathSync(directory);
  } catch {
    return directory;
  }
}

function errorText(error: unknown): string {
  return strerror(-((error as NodeJS.ErrnoException).errno ?? 0));
}

/** The rules in force, with the cgroups that match now. */
function readRules(options: GuardOptions, mounts: readonly Mount[]): RuleFacts[] {
  const root = mounts.find(({ type }) => type === 'cgroup2')?.mountPoint ?? null;
  return rulesInForce(options.rules, options.defaultRule).map((rule) => {
    const { name, cgroup } = rule;
    const found = cgroup === null || root === null ? null : matchingCgroups(root, cgroup);
    const lacking = (file: string, mode: number): number =>
      (found ?? []).filter((directory) => accessError(`${directory}/${file}`, mode) !== null).length;
    return {
      name,
      words: ruleWords(rule),
      cgroup,
      whole: rule.scope === 'cgroup',
      matches: found === null ? null : found.length,
      unreadable: lacking('memory.pressure', constants.R_OK),
      unkillable: lacking('cgroup.kill', constants.F_OK),
    };
  });
}

/** The directories that a pattern matches, or null where the tree can't be read. */
function matchingCgroups(root: string, glob: string): string[] | null {
  const tree = CgroupTree.open(root);
  if (typeof tree === 'number') return null;
  const names = compileGlob(glob);
  const found: string[] = [];
  const walker: Walker = {
    enter: (depth, name, length, at) => {
      const matches = matchesName(names[depth - 1] as Uint8Array, name, length);
      if (matches && depth === names.length) found.push(path.join(root, `${at}`));
      return matches && depth < names.length;
    },
  };
  const result = tree.walk(new CgroupPath(), walker);
  tree.close();
  return result < 0 ? null : found;
}
