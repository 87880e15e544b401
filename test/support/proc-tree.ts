/* Makes a tree that looks like /proc, for tests of everything that reads one (--procfs). */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

/** One process; a field set to null leaves its file out. */
export interface FakeProcess {
  pid: number;
  comm?: string | Buffer | null;
  state?: string;
  ppid?: number;
  pgrp?: number;
  numThreads?: number;
  startTimeTicks?: number;
  rssPages?: number;
  /** Of the RSS, what is of files and shared memory. */
  sharedPages?: number;
  /** Nothing says so if it is left out. */
  swapKib?: number;
  /** Other threads, with the RSS that each shows. */
  threads?: readonly { tid: number; rssPages: number; exe?: string; cmdline?: string }[];
  oomScore?: number | string | null;
  oomScoreAdj?: number | string | null;
  uid?: number | null;
  /** Of a thread, the process that it belongs to. */
  tgid?: number;
  cmdline?: string | null;
  /** Where the link to the program leads; there is none if it is left out. */
  exe?: string;
  /** The path on cgroup v2, or with a newline the whole file; there is none if it is left out. */
  cgroup?: string;
  /** The whole stat file instead, or null for none. */
  stat?: string | null;
}

export const MEMINFO = `MemTotal:       16000000 kB
MemFree:        10000000 kB
MemAvailable:   12000000 kB
Buffers:          100000 kB
Cached:          2000000 kB
SwapTotal:       2000000 kB
SwapFree:        1500000 kB
AnonPages:       3000000 kB
`;

/** Removing a tree of 5,000 processes takes more than vitest's 10 s on a busy disk. */
const REMOVED_MS_MAX = 60_000;

/** Writes the tree into a directory that goes with the test; returns its path. */
export function procTree(processes: readonly FakeProcess[], meminfo: string | null = MEMINFO): string {
  const root = mkdtempSync(path.join(tmpdir(), 'oom-backstop-proc-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }), REMOVED_MS_MAX);
  if (meminfo !== null) writeFileSync(path.join(root, 'meminfo'), meminfo);
  for (const process of processes) writeProcess(root, process);
  return root;
}

/** Adds one process to a tree. */
export function writeProcess(root: string, process: FakeProcess): void {
  const { pid, comm = 'proc', state = 'S', ppid = 1, pgrp = pid, numThreads = 1 } = process;
  const { startTimeTicks = 1000 + pid, rssPages = 100, oomScore = 600, oomScoreAdj = 0, uid = 1000 } = process;
  const { sharedPages = 0, swapKib, threads = [] } = process;
  const directory = path.join(root, String(pid));
  mkdirSync(directory);
  const file = (name: string, content: string | Buffer | null): void => {
    if (content !== null) writeFileSync(path.join(directory, name), content);
  };
  const after = `${state} ${ppid} ${pgrp} ${pgrp} 0 -1 4194304 94 0 0 0 0 0 0 0 20 0 ${numThreads} 0 ${startTimeTicks} 227065856 ${rssPages} 18446744073709551615 0 0 0\n`;
  const stat = Buffer.concat([Buffer.from(`${pid} (`), Buffer.from(comm ?? ''), Buffer.from(`) ${after}`)]);
  file('stat', process.stat === undefined ? stat : process.stat);
  file('comm', comm === null ? null : Buffer.concat([Buffer.from(comm), Buffer.from('\n')]));
  file('oom_score', oomScore === null ? null : `${oomScore}\n`);
  file('oom_score_adj', oomScoreAdj === null ? null : `${oomScoreAdj}\n`);
  const swap = swapKib === undefined ? '' : `VmSwap:\t${swapKib} kB\n`;
  const status = `Name:\tproc\nTgid:\t${process.tgid ?? pid}\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\n${swap}`;
  file('status', uid === null ? null : status);
  file('statm', statmOf(rssPages, sharedPages));
  mkdirSync(path.join(directory, 'task', String(pid)), { recursive: true });
  writeFileSync(path.join(directory, 'task', String(pid), 'statm'), statmOf(rssPages, sharedPages));
  for (const thread of threads) {
    mkdirSync(path.join(directory, 'task', String(thread.tid)));
    writeFileSync(path.join(directory, 'task', String(thread.tid), 'statm'), statmOf(thread.rssPages, sharedPages));
    if (thread.exe !== undefined) symlinkSync(thread.exe, path.join(directory, 'task', String(thread.tid), 'exe'));
    const { cmdline } = thread;
    if (cmdline !== undefined) writeFileSync(path.join(directory, 'task', String(thread.tid), 'cmdline'), cmdline);
  }
  if (process.exe !== undefined) symlinkSync(process.exe, path.join(directory, 'exe'));
  const { cgroup } = process;
  if (cgroup !== undefined) file('cgroup', cgroup.includes('\n') ? cgroup : `0::${cgroup}\n`);
  file('cmdline', process.cmdline === undefined ? `proc\0--pid\0${pid}\0` : process.cmdline);
}

function statmOf(rssPages: number, sharedPages: number): string {
  return `${rssPages + 1000} ${rssPages} ${sharedPages} 5 0 112 0\n`;
}
