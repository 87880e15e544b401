import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CgroupNames } from '../../../src/kernel/cgroup-names.js';
import { CgroupPaths } from '../../../src/kernel/cgroup-paths.js';

const ID = '4f0c1e7b9d2a48356e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d';
const OTHER = 'a'.repeat(64);
const USER = '/user.slice/user-1000.slice/user@1000.service';

interface Names {
  unit?: string;
  user?: string;
  container?: string;
}

/** The names in a path that stands in the middle of other bytes. */
function namesOf(path: string): Names {
  const bytes = Buffer.from(`xx${path}yy`);
  const names = new CgroupNames();
  names.read(Buffer.from('/docker/leftover.service'), 0, 24);
  names.read(bytes, 2, bytes.length - 2);
  const text = ({ start, end }: { start: number; end: number }): string => bytes.toString('utf8', start, end);
  return {
    ...(names.unit.end === 0 ? {} : { unit: text(names.unit) }),
    ...(names.userUnit.end === 0 ? {} : { user: text(names.userUnit) }),
    ...(names.container.end === 0 ? {} : { container: text(names.container) }),
  };
}

describe('CgroupNames', () => {
  it.each<[string, string, Names]>([
    ['the root', '/', {}],
    ['init', '/init.scope', { unit: 'init.scope' }],
    ['a service', '/system.slice/postgresql@15-main.service', { unit: 'postgresql@15-main.service' }],
    ['a cgroup of a service', '/system.slice/ssh.service/sub/other.service', { unit: 'ssh.service' }],
    ['slices in slices', '/a.slice/a-b.slice/c.service', { unit: 'c.service' }],
    ['a slice alone', '/system.slice', {}],
    ['a mount', '/system.slice/home-x.mount', { unit: 'home-x.mount' }],
    ['an escaped name', '/system.slice/_cgroup.service', { unit: 'cgroup.service' }],
    ['a login session', '/user.slice/user-1000.slice/session-3.scope', { unit: 'session-3.scope' }],
    [
      "a user's unit",
      `${USER}/app.slice/app-firefox-12.scope`,
      { unit: 'user@1000.service', user: 'app-firefox-12.scope' },
    ],
    ["a user's manager", `${USER}/init.scope`, { unit: 'user@1000.service', user: 'init.scope' }],
    ["a user's cgroup that is no unit", `${USER}/mine/x.service`, { unit: 'user@1000.service' }],
    [
      'a service of a user that is called as one of the system',
      `${USER}/app.slice/sshd.service`,
      { unit: 'user@1000.service', user: 'sshd.service' },
    ],
    [
      'a user manager below a service that only looks like one',
      '/system.slice/a.service/user@0.service/b.service',
      { unit: 'a.service' },
    ],
    ['what is no unit above one', '/mine/sshd.service', {}],
    ['a suffix alone', '/system.slice/.service', {}],
    ['Docker by systemd', `/system.slice/docker-${ID}.scope`, { unit: `docker-${ID}.scope`, container: ID }],
    ['Docker by cgroupfs', `/docker/${ID}`, { container: ID }],
    [
      'Kubernetes by systemd',
      `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-${ID}.scope`,
      { unit: `cri-containerd-${ID}.scope`, container: ID },
    ],
    ['Kubernetes by cgroupfs', `/kubepods/besteffort/pod12-34/${ID}`, { container: ID }],
    ['CRI-O', `/kubepods.slice/crio-${ID}.scope`, { unit: `crio-${ID}.scope`, container: ID }],
    ['containerd, which took a systemd path for one', `/a.slice:cri-containerd:${ID}`, { container: ID }],
    ['Podman', `/machine.slice/libpod-${ID}.scope/container`, { unit: `libpod-${ID}.scope`, container: ID }],
    ["Podman's monitor", `/machine.slice/libpod-conmon-${ID}.scope`, { unit: `libpod-conmon-${ID}.scope` }],
    [
      'Podman without root',
      `${USER}/user.slice/libpod-${ID}.scope/container`,
      { unit: 'user@1000.service', user: `libpod-${ID}.scope`, container: ID },
    ],
    ['LXC', '/lxc/web/init.scope', { container: 'web' }],
    ['LXC since 4', '/lxc.payload.web/system.slice/a.service', { container: 'web' }],
    ['LXC in a directory', '/lxc.payload/web', { container: 'web' }],
    ["LXC's monitor", '/lxc.monitor.web', {}],
    ['LXC without a name', '/lxc.payload.', {}],
    ['a container in a container, by the outer one', `/docker/${ID}/docker/${OTHER}`, { container: ID }],
    ['a container that makes itself another', `/lxc/web/docker-${OTHER}.scope`, { container: 'web' }],
    ['63 digits', `/docker/${ID.slice(1)}`, {}],
    ['65 digits', `/docker/0${ID}`, {}],
    ['capital digits', `/docker/${ID.toUpperCase()}`, {}],
    ['digits with something else before', `/docker/x${ID}`, {}],
  ])('%s: %s', (_case, path, names) => {
    expect(namesOf(path)).toEqual(names);
  });

  it('finds nothing but pieces of the path, whatever it is', () => {
    const name = fc.oneof(
      fc.constantFrom(
        'a.slice',
        'user@1.service',
        'lxc',
        'lxc.payload',
        'docker',
        ID,
        `x-${ID}.scope`,
        '.service',
        '_',
        '..',
      ),
      fc.string({ maxLength: 5 }),
    );
    fc.assert(
      fc.property(fc.array(name, { maxLength: 6 }), (path) => {
        const names = path.flatMap((each) => each.split('/')).filter((each) => each !== '');
        const found = Object.values(namesOf(`/${names.join('/')}`)) as string[];
        for (const each of found) expect(names.some((whole) => whole.includes(each))).toBe(true);
      }),
    );
  });
});

function pathsOf(text: string, length = Buffer.byteLength(text)): string[] {
  const bytes = Buffer.from(text);
  const paths = new CgroupPaths();
  paths.read(Buffer.from('1:a:/left/over\n'), 15);
  paths.read(bytes, length);
  return Array.from({ length: paths.count }, (_, i) => bytes.toString('utf8', paths.starts[i], paths.ends[i]));
}

describe('CgroupPaths', () => {
  it.each<[string, string, string[]]>([
    ['v2', '0::/system.slice/a.service\n', ['/system.slice/a.service']],
    ['v2 in the root', '0::/\n', ['/']],
    ['v1', '2:cpu,cpuacct:/a\n1:name=systemd:/b\n', ['/a', '/b']],
    ['v1, partly in the root', '3:pids:/\n2:memory:/a\n', ['/a']],
    ['v1 in the root', '3:pids:/\n2:memory:/\n', ['/']],
    ['both, by v2', '4:memory:/a\n1:name=systemd:/c\n0::/c\n', ['/c']],
    ['both, by v2 that comes first', '0::/c\n4:memory:/a\n', ['/c']],
    ['both, where v2 is not used', '4:memory:/a\n0::/\n', ['/a']],
    ['a path with colons', '0::/a:b::/c\n', ['/a:b::/c']],
    ['what looks like v2 and is none', '10::/a\n', ['/a']],
    ['a line without its end', '4:memory:/a\n0::/cut', ['/a']],
    ['nothing', '', []],
    ['garbage', 'a\n:\n::\n0:\n0::\n0::a\n1:x\n\n', []],
  ])('%s', (_case, text, paths) => {
    expect(pathsOf(text)).toEqual(paths);
  });

  it('takes no more than it has room for', () => {
    const lines = Array.from({ length: 40 }, (_, index) => `${index + 1}:x${index}:/p${index}\n`).join('');
    expect(pathsOf(lines)).toHaveLength(16);
    expect(pathsOf(`${lines}0::/last\n`)).toEqual(['/last']);
  });

  it('reads no further than it is told, and survives any bytes', () => {
    expect(pathsOf('0::/a\n0::/b\n', 6)).toEqual(['/a']);
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('0', '1', ':', '/', 'a', '\n', '\0'), maxLength: 40 }), (text) => {
        for (const path of pathsOf(text)) expect(path).toMatch(/^\//);
      }),
    );
  });
});
