import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PidList } from '../../../src/kernel/cgroup-files.js';
import {
  CgroupPath,
  CgroupTree,
  cgroup2MountPoint,
  WALK_DEPTH_MAX,
  WALK_DIRECTORIES_MAX,
  type Walker,
} from '../../../src/sample/cgroup-tree.js';
import { cgroupTree } from '../../support/cgroup-tree.js';
import { procTree } from '../../support/proc-tree.js';

const ENOENT = 2;

function open(root: string): CgroupTree {
  const tree = CgroupTree.open(root);
  if (typeof tree === 'number') throw new Error(`${root}: ${tree}`);
  onTestFinished(() => tree.close());
  return tree;
}

function pathOf(name: string): CgroupPath {
  const path = new CgroupPath();
  for (const each of name.split('/').filter(Boolean)) path.enter(Buffer.from(each), Buffer.byteLength(each));
  return path;
}

/** The cgroups that a walk meets, and enters as far as `enters` says. */
function walked(tree: CgroupTree, from = '', enters: (name: string) => boolean = () => true): string[] {
  const met: string[] = [];
  const walker: Walker = {
    enter: (_depth, _name, _length, at) => {
      met.push(`${at}`);
      return enters(`${at}`);
    },
  };
  expect(tree.walk(pathOf(from), walker)).toBe(0);
  return met.sort();
}

function processes(tree: CgroupTree, name: string, room = 100) {
  const pids = new PidList(room);
  const result = tree.processesOf(pathOf(name), pids);
  return { result, pids: [...pids.pids.subarray(0, pids.count)].sort((a, b) => a - b), incomplete: pids.incomplete };
}

const SESSIONS = {
  'user.slice/user-1000.slice/session-1.scope': { pids: [10, 11] },
  'user.slice/user-1000.slice/user@1000.service/app.slice': { pids: [12] },
  'user.slice/user-1001.slice': { pids: [20] },
  'system.slice/sshd.service': { pids: [30] },
};

const fds = (): number => readdirSync('/proc/self/fd').length;

describe('a walk', () => {
  it('meets every cgroup once, with its path, and no file', () => {
    expect(walked(open(cgroupTree(SESSIONS)))).toEqual([
      'system.slice',
      'system.slice/sshd.service',
      'user.slice',
      'user.slice/user-1000.slice',
      'user.slice/user-1000.slice/session-1.scope',
      'user.slice/user-1000.slice/user@1000.service',
      'user.slice/user-1000.slice/user@1000.service/app.slice',
      'user.slice/user-1001.slice',
    ]);
  });

  it('enters nothing that the walker does not enter, and begins where it is told', () => {
    const tree = open(cgroupTree(SESSIONS));
    expect(walked(tree, '', (name) => name === 'user.slice')).toEqual([
      'system.slice',
      'user.slice',
      'user.slice/user-1000.slice',
      'user.slice/user-1001.slice',
    ]);
    expect(walked(tree, 'system.slice')).toEqual(['system.slice/sshd.service']);
    expect(tree.cut).toBe(false);
  });

  it('says so where it does not come to the end: too deep, or too many', () => {
    const deep = Array.from({ length: WALK_DEPTH_MAX + 1 }, () => 'd').join('/');
    const tree = open(cgroupTree({ [deep]: {} }));
    expect(walked(tree)).toHaveLength(WALK_DEPTH_MAX);
    expect(tree.cut).toBe(true);
    expect(WALK_DIRECTORIES_MAX).toBeGreaterThan(1000);
  });

  it('of a cgroup that is gone is -errno, and no walk leaves a file open', () => {
    const tree = open(cgroupTree(SESSIONS));
    const before = fds();
    expect(tree.walk(pathOf('gone'), { enter: () => true })).toBe(-ENOENT);
    walked(tree);
    processes(tree, 'user.slice');
    expect(fds()).toBe(before);
  });

  it('passes over a name for which there is no room', () => {
    const at = pathOf('');
    const long = Buffer.alloc(255, 'a');
    for (let name = 0; name < 3; name++) expect(at.enter(long, long.length)).toBe(true);
    const { length } = at;
    expect([at.enter(long, long.length), at.length]).toEqual([false, length]);
  });
});

describe('the processes of a cgroup', () => {
  it('are its own and those of all below it', () => {
    const tree = open(cgroupTree(SESSIONS));
    expect(processes(tree, 'user.slice')).toEqual({ result: 0, pids: [10, 11, 12, 20], incomplete: false });
    expect(processes(tree, 'system.slice/sshd.service')).toEqual({ result: 0, pids: [30], incomplete: false });
  });

  it('are read to the end of a long file', () => {
    const pids = Array.from({ length: 3000 }, (_, index) => 100_000 + index);
    const tree = open(cgroupTree({ a: { pids } }));
    expect(processes(tree, 'a', 4000)).toEqual({ result: 0, pids, incomplete: false });
    expect(processes(tree, 'a', 2999).incomplete).toBe(true);
  });

  it('are not all known where one below can not be read', () => {
    const root = cgroupTree(SESSIONS);
    const tree = open(root);
    const file = path.join(root, 'user.slice/user-1001.slice/cgroup.procs');
    writeFileSync(file, '0\n');
    expect(processes(tree, 'user.slice')).toEqual({ result: 0, pids: [10, 11, 12], incomplete: true });
    expect(processes(tree, 'gone').result).toBe(-ENOENT);
  });
});

describe('a cgroup at its limit', () => {
  const at = (files: Record<string, string>): boolean => open(cgroupTree({ a: { files } })).isAtLimit(pathOf('a'));

  it.each([
    ['the limit reached', { 'memory.current': '960\n', 'memory.max': '1000\n', 'memory.high': 'max\n' }, true],
    ['its high limit reached', { 'memory.current': '960\n', 'memory.max': '9999\n', 'memory.high': '1000\n' }, true],
    ['some room', { 'memory.current': '900\n', 'memory.max': '1000\n', 'memory.high': 'max\n' }, false],
    ['no limit', { 'memory.current': '900\n', 'memory.max': 'max\n', 'memory.high': 'max\n' }, false],
    ['the memory controller on v1', {}, false],
    ['nothing in it', { 'memory.current': '0\n', 'memory.max': '0\n' }, false],
  ])('with %s: %j', (_name, files, expected) => {
    expect(at(files)).toBe(expected);
  });
});

describe('cgroup.kill', () => {
  it('is told to kill', () => {
    const root = cgroupTree({ 'a/b': { files: { 'cgroup.kill': '' } } });
    expect(open(root).killAll(pathOf('a/b'))).toBe(0);
    expect(readFileSync(path.join(root, 'a/b/cgroup.kill'), 'utf8')).toBe('1');
  });

  it('that is not there is an error', () => {
    expect(open(cgroupTree({ a: {} })).killAll(pathOf('a'))).toBe(-ENOENT);
  });
});

describe('where cgroup v2 is', () => {
  it('is known from mountinfo, wherever that is', () => {
    const root = procTree([]);
    expect(cgroup2MountPoint(root)).toBe(null);
    const hybrid =
      '30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n31 25 0:27 / /cg\\040two rw - cgroup2 cgroup2 rw\n';
    expect(cgroup2MountPoint(withMountinfo(root, hybrid))).toBe('/cg two');
    expect(cgroup2MountPoint(withMountinfo(procTree([]), '1 2 0:3 / / rw - ext4 /dev/sda rw\n'))).toBe(null);
  });

  it('is no directory: -errno', () => {
    expect(CgroupTree.open('/nowhere')).toBe(-ENOENT);
    expect(open(cgroupTree({})).isLive).toBe(false);
  });
});

function withMountinfo(root: string, text: string): string {
  mkdirSync(path.join(root, 'self'));
  writeFileSync(path.join(root, 'self/mountinfo'), text);
  return root;
}
