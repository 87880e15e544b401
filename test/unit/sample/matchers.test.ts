import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { EACCES, ENAMETOOLONG, ENOMEM } from '../../../native-shims/errno.js';
import * as kernelFiles from '../../../native-shims/files.js';
import { Matchers } from '../../../src/sample/matchers.js';
import { PID_CGROUP, PID_CMDLINE, PID_EXE, type PidFile, PidFiles } from '../../../src/sample/pid-files.js';
import { NO_CHILDREN, ProcessScan } from '../../../src/sample/process-scan.js';
import {
  CandidateTable,
  MARK_AVOIDED,
  MARK_GONE,
  MARK_OUTSIDE,
  MARK_PREFERRED,
  MARK_PROTECTED,
  MARK_UNREADABLE,
} from '../../../src/shared/candidates.js';
import type { MatchAction, Matching, MatchKey } from '../../../src/shared/matching.js';
import { type Conditions, tablesOf } from '../../support/matching.js';
import { type FakeProcess, procTree } from '../../support/proc-tree.js';

const PID = 40;
const POSTGRES: FakeProcess = {
  pid: PID,
  comm: 'postgres',
  uid: 105,
  exe: '/usr/lib/postgresql/15/bin/postgres',
  cgroup: '/system.slice/postgresql@15-main.service',
  cmdline: 'postgres: 15/main: writer\0\0',
};

const NAMES: [number, string][] = [
  [MARK_PREFERRED, 'preferred'],
  [MARK_AVOIDED, 'avoided'],
  [MARK_PROTECTED, 'protected'],
  [MARK_OUTSIDE, 'outside'],
  [MARK_UNREADABLE, 'unreadable'],
  [MARK_GONE, 'gone'],
];

interface Asked {
  marks: string[];
  match: number;
}

/** Asks all matchers of one process. */
function ask(process: FakeProcess, matching: Matching, spoil: (directory: string) => void = () => undefined): Asked {
  const root = procTree([process]);
  const files = PidFiles.open(root) as PidFiles;
  onTestFinished(() => void kernelFiles.close(files.directoryFd));
  const none = { prefer: null, avoid: null, ignore: null, wayIn: null, needUid: false, selfPid: null };
  const scan = new ProcessScan(files, { ...none, matchers: Matchers.of(files, matching) }, NO_CHILDREN);
  const table = new CandidateTable(1);
  const row = scan.addScore(table, process.pid);
  spoil(path.join(root, String(process.pid)));
  scan.readBias(table, row);
  scan.readProtection(table, row);
  const marks = NAMES.flatMap(([mark, name]) => (table.hasMark(row, mark) ? [name] : []));
  return { marks, match: table.match[row] as number };
}

const holds = (conditions: Conditions, process = POSTGRES): boolean =>
  ask(process, tablesOf(['prefer', conditions])).marks.includes('preferred');

describe('a condition', () => {
  it.each<[MatchKey, string[], string[]]>([
    ['comm', ['postgres', 'post*', '/^p/'], ['postgre', 'gres', '/^gres/']],
    ['cmdline', ['postgres: * writer', '*main*', '/ writer$/'], ['postgres', 'writer', '/writer $/']],
    [
      'exe',
      ['/usr/lib/postgresql/**', '/usr/lib/*/15/bin/postgres', '/bin\\/postgres$/'],
      ['/usr/lib/*', '/usr/*/postgres'],
    ],
    ['user', ['105'], ['0', '1000']],
    ['cgroup', ['/system.slice', '/system.slice/postgresql@*', '/', '/^\\/system/'], ['/system', '/user.slice']],
    ['unit', ['postgresql@*.service', '*.service', '/^postgresql@/'], ['postgresql.service', 'user/*', 'system.slice']],
    ['container', [], ['*']],
  ])('%s: %j, and not %j', (key, matching, others) => {
    expect(matching.filter((pattern) => !holds({ [key]: pattern }))).toEqual([]);
    expect(others.filter((pattern) => holds({ [key]: pattern }))).toEqual([]);
  });

  it('of a user finds him by name', () => {
    expect(holds({ user: 'root' }, { ...POSTGRES, uid: 0 })).toBe(true);
    expect(holds({ user: 'root' })).toBe(false);
  });

  it("of a unit finds a user's behind user/ only, which no user can give to one of the system", () => {
    const firefox = { ...POSTGRES, cgroup: '/user.slice/user-7.slice/user@7.service/app.slice/firefox.service' };
    expect(holds({ unit: 'user/firefox.service' }, firefox)).toBe(true);
    expect(holds({ unit: 'user@7.service' }, firefox)).toBe(true);
    expect(holds({ unit: 'firefox.service' }, firefox)).toBe(false);
    expect(holds({ unit: '*' }, { ...firefox, cgroup: '/' })).toBe(false);
    const long = `${'u'.repeat(247)}.service`;
    expect(holds({ unit: `user/${long}` }, { ...POSTGRES, cgroup: `/user.slice/user@7.service/${long}` })).toBe(true);
  });

  it('of a container finds the id or any', () => {
    const id = 'b'.repeat(64);
    const docker = { ...POSTGRES, cgroup: `/system.slice/docker-${id}.scope` };
    expect(['*', id, 'bbbb*'].filter((pattern) => !holds({ container: pattern }, docker))).toEqual([]);
    expect(holds({ container: 'bbbb' }, docker)).toBe(false);
  });

  it('of a cgroup asks each path on v1 where there is none on v2', () => {
    const v1 = { ...POSTGRES, cgroup: '4:memory:/box/a\n1:name=systemd:/system.slice/a.service\n0::/\n' };
    expect(['/box', '/system.slice'].filter((pattern) => !holds({ cgroup: pattern }, v1))).toEqual([]);
    expect(holds({ unit: 'a.service' }, v1)).toBe(true);
  });

  it('of the program does without what the kernel adds to one that was replaced', () => {
    expect(holds({ exe: '/opt/a' }, { ...POSTGRES, exe: '/opt/a (deleted)' })).toBe(true);
    expect(holds({ exe: '/opt/a' }, { ...POSTGRES, exe: '/opt/a (deleted) ' })).toBe(false);
  });

  it('of the program and the arguments asks a thread that lives, where the main one is a zombie', () => {
    const { exe, ...rest } = POSTGRES;
    const threads = [
      { tid: 41, rssPages: 0, cmdline: '' },
      { tid: 42, rssPages: 9, exe: exe as string, cmdline: 'postgres\0-D\0' },
    ];
    const zombie = { ...rest, state: 'Z', numThreads: 3, cmdline: '', threads };
    expect(holds({ exe: '/usr/lib/postgresql/**' }, zombie)).toBe(true);
    expect(holds({ cmdline: 'postgres -D' }, zombie)).toBe(true);
    expect(holds({ exe: '/**' }, { ...zombie, threads: [] })).toBe(false);
    expect(holds({ cmdline: '*' }, { ...zombie, threads: [] })).toBe(false);
  });

  it('looks at the first 4096 bytes of the arguments', () => {
    const cmdline = (bytes: number): string => `${'x'.repeat(bytes)}\0end\0`;
    expect(holds({ cmdline: '*end*' }, { ...POSTGRES, cmdline: cmdline(4092) })).toBe(true);
    expect(holds({ cmdline: '*end*' }, { ...POSTGRES, cmdline: cmdline(4093) })).toBe(false);
  });
});

describe('tables', () => {
  it('hold if all their conditions do', () => {
    expect(holds({ comm: 'postgres', user: '105', unit: 'postgresql*' })).toBe(true);
    expect(holds({ comm: 'postgres', user: '106', unit: 'postgresql*' })).toBe(false);
  });

  it.each<[string, Matching, Asked]>([
    ['none', tablesOf(['protect', { comm: 'x' }], ['prefer', { comm: 'y' }]), { marks: [], match: 0 }],
    ['any', tablesOf(['prefer', { comm: 'x' }], ['prefer', { comm: 'p*' }]), { marks: ['preferred'], match: 2 }],
    [
      'the first of two',
      tablesOf(['avoid', { comm: 'p*' }], ['avoid', { user: '105' }]),
      { marks: ['avoided'], match: 1 },
    ],
    [
      'avoid before prefer',
      tablesOf(['prefer', { comm: '*' }], ['avoid', { comm: '*' }]),
      { marks: ['avoided'], match: 2 },
    ],
    [
      'protect before both',
      tablesOf(['prefer', { comm: '*' }], ['avoid', { comm: '*' }], ['protect', { comm: '*' }]),
      { marks: ['avoided', 'protected'], match: 3 },
    ],
  ])('mark by %s', (_case, matching, asked) => {
    expect(ask(POSTGRES, matching)).toEqual(asked);
  });

  it('are not asked further once one holds, nor a table once a condition does not', () => {
    const read = vi.spyOn(PidFiles.prototype, 'read');
    const readLink = vi.spyOn(PidFiles.prototype, 'readLink');
    onTestFinished(() => void vi.restoreAllMocks());
    const once = tablesOf(
      ['prefer', { cmdline: '*', cgroup: '/user.slice', exe: '/**' }],
      ['avoid', { cgroup: '/system.slice', unit: '*' }],
    );
    ask(POSTGRES, once);
    expect(read.mock.calls.map(([, file]) => file).filter((file) => file === PID_CGROUP)).toHaveLength(1);
    expect(read.mock.calls.map(([, file]) => file)).not.toContain(PID_CMDLINE);
    expect(readLink).not.toHaveBeenCalled();
  });
});

describe('what is not known', () => {
  const denied = (): void => {
    const readLink = PidFiles.prototype.readLink;
    vi.spyOn(PidFiles.prototype, 'readLink').mockImplementation(function (this: PidFiles, pid, file, buffer) {
      return file === PID_EXE ? -EACCES : readLink.call(this, pid, file, buffer);
    });
    onTestFinished(() => void vi.restoreAllMocks());
  };
  const failing = (which: PidFile, errno: number): void => {
    const read = PidFiles.prototype.read;
    vi.spyOn(PidFiles.prototype, 'read').mockImplementation(function (this: PidFiles, pid, file, buffer) {
      return file === which ? -errno : read.call(this, pid, file, buffer);
    });
    onTestFinished(() => void vi.restoreAllMocks());
  };

  it.each<[string, MatchAction, Conditions, string[]]>([
    ['is spared, where everything else holds', 'protect', { exe: '/opt/a', comm: 'postgres' }, ['protected']],
    ['is not, where something else does not hold', 'protect', { exe: '/opt/a', comm: 'mysqld' }, []],
    ['nor avoided', 'avoid', { exe: '/**' }, []],
    ['nor preferred', 'prefer', { exe: '/**' }, []],
  ])('whose program may not be read %s', (_case, action, conditions, marks) => {
    denied();
    expect(ask(POSTGRES, tablesOf([action, conditions])).marks).toEqual(marks);
  });

  it('whose owner can not be read is spared by user', () => {
    expect(ask({ ...POSTGRES, uid: null }, tablesOf(['protect', { user: '105' }])).marks).toEqual(['protected']);
    expect(ask({ ...POSTGRES, uid: null }, tablesOf(['prefer', { user: '105' }])).marks).toEqual([]);
  });

  it.each<[string, Conditions, FakeProcess]>([
    ['no arguments', { cmdline: '*' }, { ...POSTGRES, cmdline: '' }],
    ['arguments of nothing but NULs', { cmdline: '*' }, { ...POSTGRES, cmdline: '\0\0' }],
    ['no file of arguments', { cmdline: '*' }, { ...POSTGRES, cmdline: null }],
    ['no program, as a kernel thread', { exe: '/**' }, { pid: PID }],
    ['no cgroup', { cgroup: '/' }, { pid: PID }],
    ['an empty file of cgroups', { cgroup: '/' }, { pid: PID, cgroup: '\n' }],
  ])('who has %s matches nothing, for protect neither', (_case, conditions, process) => {
    expect(ask(process, tablesOf(['protect', conditions], ['prefer', conditions])).marks).toEqual([]);
  });

  it('who hides in a cgroup with a path too long for the kernel is not spared', () => {
    failing(PID_CGROUP, ENAMETOOLONG);
    expect(ask(POSTGRES, tablesOf(['protect', { cgroup: '/' }])).marks).toEqual([]);
  });

  it('what can not be read for now makes a process unreadable, and nobody is chosen by half of what is known', () => {
    failing(PID_CGROUP, ENOMEM);
    expect(ask(POSTGRES, tablesOf(['protect', { cgroup: '/' }])).marks).toEqual(['unreadable']);
    expect(ask(POSTGRES, tablesOf(['prefer', { unit: '*' }])).marks).toEqual(['unreadable']);
    expect(ask(POSTGRES, { tables: [], onlyCgroup: '/' }).marks).toEqual(['unreadable']);
  });

  it('who has ended meanwhile matches nothing', () => {
    const asked = ask(POSTGRES, tablesOf(['protect', { cgroup: '/' }], ['prefer', { exe: '/**' }]), (directory) =>
      rmSync(directory, { recursive: true }),
    );
    expect(asked.marks).toEqual([]);
  });

  it('a link that is no link, and a file that is a directory', () => {
    const asked = ask(POSTGRES, tablesOf(['prefer', { exe: '/**' }]), (directory) => {
      rmSync(path.join(directory, 'exe'));
      writeFileSync(path.join(directory, 'exe'), 'x');
    });
    expect(asked.marks).toEqual([]);
    const broken = ask(POSTGRES, tablesOf(['prefer', { cmdline: '*' }]), (directory) => {
      rmSync(path.join(directory, 'cmdline'));
      mkdirSync(path.join(directory, 'cmdline'));
    });
    expect(broken.marks).toEqual(['unreadable']);
  });
});

describe('--only-cgroup', () => {
  const asked = (onlyCgroup: string, cgroup?: string): string[] =>
    ask(cgroup === undefined ? { pid: PID } : { pid: PID, cgroup }, { tables: [], onlyCgroup }).marks;

  it('leaves the cgroup and those below it', () => {
    expect(asked('/box', '/box')).toEqual([]);
    expect(asked('/box', '/box/a/b')).toEqual([]);
    expect(asked('/b*', '/box/a')).toEqual([]);
    expect(asked('/box', '/boxes')).toEqual(['outside']);
    expect(asked('/box', '/')).toEqual(['outside']);
  });

  it('excludes whose cgroup is not known', () => {
    expect(asked('/')).toEqual(['outside']);
  });
});

it('no matchers are no object', () => {
  const files = PidFiles.open('/proc') as PidFiles;
  onTestFinished(() => void kernelFiles.close(files.directoryFd));
  expect(Matchers.of(files, { tables: [], onlyCgroup: null })).toBeNull();
});
