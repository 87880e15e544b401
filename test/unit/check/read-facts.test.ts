/* The facts of made trees, and of this machine as far as they can be told in another way. */
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Facts } from '../../../src/check/facts.js';
import { readFacts } from '../../../src/check/read-facts.js';
import type { RankedProcess } from '../../../src/shared/ranked-process.js';
import { procTree } from '../../support/proc-tree.js';
import { GOOD, MIB, optionsOf, ranked } from './facts.js';

/** Writes files into a tree, with the directories that they need; a text of null is a directory. */
function addFiles(root: string, files: Record<string, string | null>): string {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(root, name);
    mkdirSync(text === null ? file : path.dirname(file), { recursive: true });
    if (text !== null) writeFileSync(file, text);
  }
  return root;
}

function factsOf(tree: string, args: readonly string[] = [], ranking: readonly RankedProcess[] = []): Facts {
  const options = optionsOf(['--procfs', tree, ...args]);
  return readFacts({ options, memory: GOOD.memory, ranking, sysfs: path.join(tree, 'sys-fs') });
}

const made = (files: Record<string, string | null> = {}): string => addFiles(procTree([]), files);

describe('an empty tree', () => {
  it('shows none of what it lacks', () => {
    const facts = factsOf(procTree([]));
    expect(facts).toMatchObject({
      live: false,
      cgroup: null,
      hiding: { pid1Visible: false, hidepid: null },
      swapAreas: [],
      zswapEnabled: false,
      arc: null,
      vm: { overcommitMemory: null, panicOnOom: null, oomKillAllocatingTask: null },
      sysrqError: 'No such file or directory',
    });
    const gone = 'No such file or directory';
    expect(facts.pressure).toEqual({ readError: gone, windowMs: null, triggerError: gone });
  });

  it('has nothing to do with what this process may do: that is tried', () => {
    const facts = factsOf(procTree([]));
    expect(facts.calls.pidfdOpen.state).toBe('works');
    expect(facts.privileges.uid).toBe(process.geteuid?.());
    expect(facts.privileges.lockableBytes).toBeGreaterThan(10 * MIB);
    const effective = BigInt(`0x${/^CapEff:\t(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`);
    expect(facts.privileges.kill).toBe(((effective >> 5n) & 1n) === 1n);
  });
});

describe('a made tree', () => {
  it('what is read of it', () => {
    const tree = made({
      'pressure/memory':
        'some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n',
      '1/stat': '1 (init) S',
      swaps: 'Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 100 1 100\n',
      'sys-fs/module/zswap/parameters/enabled': 'Y\n',
      'spl/kstat/zfs/arcstats': 'c_min 4 10240\nsize 4 30720\n',
      'sys/vm/overcommit_memory': '2\n',
      'sys/vm/panic_on_oom': '1\n',
      'sys/vm/oom_kill_allocating_task': 'x\n',
      'sysrq-trigger': '',
    });
    expect(factsOf(tree)).toMatchObject({
      // A trigger is never written to a file that is not the kernel's.
      pressure: { readError: null, windowMs: null, triggerError: 'Function not implemented' },
      hiding: { pid1Visible: true },
      swapAreas: [{ name: '/dev/zram0', sizeKib: 100, usedKib: 1 }],
      zswapEnabled: true,
      arc: { sizeKib: 30, minKib: 10 },
      vm: { overcommitMemory: 2, panicOnOom: 1, oomKillAllocatingTask: null },
      sysrqError: null,
    });
    expect(readFileSync(path.join(tree, 'pressure/memory'), 'utf8')).toMatch(/^some .*total=0\n$/s);
  });

  it('pressure that is no pressure can not be read', () => {
    expect(factsOf(made({ 'pressure/memory': 'some\n' })).pressure.readError).toBe('not what the kernel writes');
  });

  it('is live only if it shows this process under its pid', () => {
    const [own, other] = [procTree([]), procTree([])];
    symlinkSync(String(process.pid), path.join(own, 'self'));
    symlinkSync('1', path.join(other, 'self'));
    expect([factsOf(own).live, factsOf(other).live]).toEqual([true, false]);
  });

  it('hidepid is that of the procfs on top, and 0 is none', () => {
    const tree = made();
    const mounts = (...values: string[]): string =>
      values.map((value) => `1 1 0:1 / ${tree} rw - proc proc rw,hidepid=${value}\n`).join('');
    addFiles(tree, {
      'self/mountinfo': `${mounts('1', 'invisible')}1 1 0:1 / /elsewhere rw - proc proc rw,hidepid=1\n`,
    });
    expect(factsOf(tree).hiding.hidepid).toBe('invisible');
    writeFileSync(path.join(tree, 'self/mountinfo'), mounts('invisible', '0'));
    expect(factsOf(tree).hiding.hidepid).toBeNull();
  });

  it('a pattern is matched with all names but those of kernel threads', () => {
    const processes = [
      ranked(5, { name: 'java' }),
      ranked(6, { name: 'javac' }),
      ranked(7, { name: 'kjava', reason: 'kernel thread', eligible: false }),
      ranked(8, { name: 'other', reason: 'itself', eligible: false }),
    ];
    const args = ['--prefer', 'java', '--ignore', '^(java|other)$'];
    expect(factsOf(made(), args, processes).patterns).toEqual([
      { option: '--prefer', text: 'java', matches: 2 },
      { option: '--ignore', text: '^(java|other)$', matches: 2 },
    ]);
  });

  it('a hook has to be absolute and executable', () => {
    const tree = made({ good: '', bad: '' });
    chmodSync(path.join(tree, 'good'), 0o755);
    const hooks = (...args: string[]) => factsOf(tree, args).hooks.map(({ option, error }) => [option, error]);
    expect(hooks('-P', `${tree}/good`, '-N', `${tree}/bad`)).toEqual([
      ['-P', null],
      ['-N', 'Permission denied'],
    ]);
    expect(hooks('-N', 'good')).toEqual([['-N', 'not an absolute path']]);
    expect(hooks('-n').map(([option]) => option)).toEqual(['-n']);
  });
});

describe('cgroups', () => {
  /** A tree whose mounts are directories in it; `mounted` is the directory of v2 that is mounted. */
  function withCgroups(own: string, files: Record<string, string | null>, mounted = '/'): Facts['cgroup'] {
    const tree = made();
    addFiles(tree, {
      'v2/cgroup.controllers': 'cpu memory pids\n',
      'self/mountinfo': [
        `1 1 0:1 ${mounted} ${tree}/v2 rw - cgroup2 cgroup2 rw\n`,
        `1 1 0:1 / ${tree}/v1 rw - cgroup cgroup rw,memory\n`,
      ].join(''),
      'self/cgroup': own,
      ...files,
    });
    const { cgroup } = factsOf(tree);
    return cgroup === null ? null : { ...cgroup, mountPoint: cgroup.mountPoint?.replace(tree, '') ?? null };
  }

  it('the lowest limit of all those above counts, v1 or v2', () => {
    const files = {
      'v2/a/b/memory.max': 'max\n',
      'v2/a/b/memory.pressure': '',
      'v2/a/b/cgroup.kill': '',
      'v2/a/memory.max': `${200 * MIB}\n`,
      'v1/x/memory.limit_in_bytes': `${300 * MIB}\n`,
      'v1/memory.limit_in_bytes': '9223372036854771712\n',
    };
    expect(withCgroups('4:memory:/x\n0::/a/b\n', files)).toEqual({
      mountPoint: '/v2',
      memoryController: true,
      memoryPressure: true,
      kill: true,
      memoryLimitBytes: 200 * MIB,
    });
    const lower = { ...files, 'v1/x/memory.limit_in_bytes': `${100 * MIB}\n` };
    expect(withCgroups('4:memory:/x\n0::/a/b\n', lower)?.memoryLimitBytes).toBe(100 * MIB);
  });

  it('without any there is no limit', () => {
    const files = { 'v1/memory.limit_in_bytes': '9223372036854771712\n' };
    expect(withCgroups('4:memory:/\n0::/\n', files)).toMatchObject({ memoryLimitBytes: null, memoryPressure: false });
  });

  it('in the root, cgroup.kill is looked for below it', () => {
    expect(withCgroups('0::/\n', {})?.kill).toBeNull();
    expect(withCgroups('0::/\n', { 'v2/child': null })?.kill).toBe(false);
    expect(withCgroups('0::/\n', { 'v2/child/cgroup.kill': '' })?.kill).toBe(true);
  });

  it('a mount of a part of the hierarchy is taken as that', () => {
    const files = { 'v2/b/memory.max': `${MIB}\n`, 'v2/memory.max': 'max\n' };
    expect(withCgroups('0::/a/b\n', files, '/a')?.memoryLimitBytes).toBe(MIB);
    expect(withCgroups('0::/ab/b\n', files, '/a')?.memoryLimitBytes).toBeNull();
    expect(withCgroups('0::/../b\n', files)?.memoryLimitBytes).toBeNull();
  });

  it('without a mount of v2 there is none', () => {
    const tree = made({ 'self/mountinfo': '1 1 0:1 / /proc rw - proc proc rw\n' });
    expect(factsOf(tree).cgroup).toEqual({
      mountPoint: null,
      memoryController: false,
      memoryPressure: false,
      kill: null,
      memoryLimitBytes: null,
    });
  });
});

describe('this machine', () => {
  it('shows itself, and leaves no file open', () => {
    const facts = factsOf('/proc');
    expect(facts.live).toBe(true);
    expect(facts.hiding.pid1Visible).toBe(true);
    expect(facts.cgroup).not.toBeNull();
    const { windowMs, triggerError } = facts.pressure;
    expect(windowMs === null).toBe(triggerError !== null);
  });
});
