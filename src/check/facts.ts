/*
 * What `check` knows of the machine, in plain values: read-facts.ts fills it in, the findings are judged by it. An error is its
 * text here, so that whoever judges needs no numbers of errors.
 */
import type { Arcstats } from '../kernel/arcstats.js';
import type { Meminfo } from '../kernel/meminfo.js';
import type { SwapArea } from '../kernel/swaps.js';
import type { PatternTexts } from '../shared/options.js';
import type { RankedProcess } from '../shared/ranked-process.js';

export interface Facts {
  memory: Meminfo;
  /** Whether the tree is a procfs that shows this process under its own pid: whether the guard could kill by it. */
  live: boolean;
  pressure: PressureFacts;
  /** null: the tree says nothing of mounts. */
  cgroup: CgroupFacts | null;
  calls: Calls;
  privileges: Privileges;
  hiding: Hiding;
  /** The areas that are on. */
  swapAreas: readonly SwapArea[];
  zswapEnabled: boolean;
  /** null: no ZFS. */
  arc: Arcstats | null;
  vm: VmSettings;
  /** All processes, worst first. */
  ranking: readonly RankedProcess[];
  /** One for each pattern that was given. */
  patterns: readonly PatternFacts[];
  /** Why the programs of other users' processes can't be read; null if they can. */
  exeError: string | null;
  /** One for each program that the guard is to start. */
  hooks: readonly HookFacts[];
  /** One for each PSI rule that is in force. */
  rules: readonly RuleFacts[];
  /** Why sysrq-trigger can't be written to; null if it can. */
  sysrqError: string | null;
}

export interface PressureFacts {
  /** Why pressure/memory can't be read; null if it can. */
  readError: string | null;
  /** The window that the kernel granted for a trigger, ms; null for none. */
  windowMs: number | null;
  /** Why none. */
  triggerError: string | null;
}

/** A PSI rule, and the cgroups that it watches now. */
export interface RuleFacts {
  name: string;
  /** What it does and when, in words. */
  words: string;
  /** null: it watches the machine. */
  cgroup: string | null;
  /** Whether it kills whole cgroups. */
  whole: boolean;
  /** How many cgroups match now; null where there is no tree to look at. */
  matches: number | null;
  /** Of them, those whose memory.pressure can't be read. */
  unreadable: number;
  /** Of them, those without a cgroup.kill. */
  unkillable: number;
}

export interface CgroupFacts {
  /** Where cgroup v2 is mounted; null: nowhere. */
  mountPoint: string | null;
  /** Whether v2 has the memory controller (it may be on v1). */
  memoryController: boolean;
  /** Whether there is a memory.pressure. */
  memoryPressure: boolean;
  /** Whether there is a cgroup.kill; null: no cgroup below the root to tell by. */
  kill: boolean | null;
  /** The lowest memory limit of the cgroup that this process is in and of those above, v1 or v2; null: none. */
  memoryLimitBytes: number | null;
}

/** What a system call did when it was tried: worked, or does not exist (ENOSYS), or was refused. */
export interface Call {
  state: 'works' | 'absent' | 'refused';
  /** Why not; null if it works. */
  error: string | null;
}

export interface Calls {
  pidfdOpen: Call;
  pidfdSendSignal: Call;
  processMrelease: Call;
  mlock2: Call;
  closeRange: Call;
}

export interface Privileges {
  /** Effective. */
  uid: number;
  /** CAP_KILL in force. */
  kill: boolean;
  /** CAP_IPC_LOCK in force. */
  ipcLock: boolean;
  /** RLIMIT_MEMLOCK; Infinity for none. */
  memlockLimitBytes: number;
  /** Address space that the guard locks. */
  lockableBytes: number;
}

export interface Hiding {
  pid1Visible: boolean;
  /** The value of the mount option hidepid; null where it is not in force. */
  hidepid: string | null;
}

/** /proc/sys/vm; null where it can't be read. */
export interface VmSettings {
  overcommitMemory: number | null;
  panicOnOom: number | null;
  oomKillAllocatingTask: number | null;
}

export interface PatternFacts {
  option: `--${keyof PatternTexts}`;
  text: string;
  /** How many processes, kernel threads aside, have a name that matches now. */
  matches: number;
}

export interface HookFacts {
  option: '-P' | '-N' | '-n';
  path: string;
  /** Why it can't be started; null if it can. */
  error: string | null;
}
