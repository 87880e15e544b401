/* A tree that looks like cgroup v2, for tests of what walks through one. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

/** What a cgroup's files hold; every cgroup has a cgroup.procs and a memory.pressure. */
export interface FakeCgroup {
  pids?: readonly number[];
  someTotalUs?: number;
  /** Others, by name. */
  files?: Record<string, string>;
}

/** Writes the cgroups, by their paths, and those above them, into a directory that goes with the test; returns it. */
export function cgroupTree(cgroups: Record<string, FakeCgroup>): string {
  const root = mkdtempSync(path.join(tmpdir(), 'oom-backstop-cgroup-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const [name, cgroup] of Object.entries(cgroups)) writeCgroup(root, name, cgroup);
  return root;
}

/** Adds a cgroup to a tree, or writes its files anew. */
export function writeCgroup(root: string, name: string, { pids = [], someTotalUs = 0, files = {} }: FakeCgroup): void {
  const directory = path.join(root, name);
  const above = path.dirname(name);
  if (above !== '.' && !existsSync(path.join(root, above))) writeCgroup(root, above, {});
  mkdirSync(directory, { recursive: true });
  const line = (kind: string): string => `${kind} avg10=0.00 avg60=0.00 avg300=0.00 total=${someTotalUs}\n`;
  writeFileSync(path.join(directory, 'cgroup.procs'), pids.map((pid) => `${pid}\n`).join(''));
  writeFileSync(path.join(directory, 'memory.pressure'), line('some') + line('full'));
  for (const [file, content] of Object.entries(files)) writeFileSync(path.join(directory, file), content);
}
