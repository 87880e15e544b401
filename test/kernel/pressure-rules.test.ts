/* Live fire by PSI rules: whom they kill in a cgroup that thrashes, and that they kill nobody where memory is plentiful. */
import { expect, it } from 'vitest';
import { configFile } from '../support/config-files.js';
import { namespacesWork } from '../support/namespace.js';
import { bin } from '../support/programs.js';
import { describeIf } from '../support/requires.js';
import { type Cage, cage, cagesWork, type ThrashResult, thrash } from '../support/thrash.js';

/* Of 48 MiB they hold 28, and each works on a file of 24 MiB. */
const LIMIT_MIB = 48;
const PROCESSES = [
  { name: 'small', anonMib: 4, fileMib: 24, inside: true },
  { name: 'big', anonMib: 24, fileMib: 24, inside: true },
  // Larger than both, and outside.
  { name: 'bystander', anonMib: 150, fileMib: 0, inside: false },
];

const SECONDS = 20;

/** How each of them has ended: by a signal, by itself, or not. */
const ends = ({ processes }: ThrashResult): Record<string, string | null> =>
  Object.fromEntries(processes.map(({ name, exit }) => [name, exit === null ? null : (exit.signal ?? `${exit.code}`)]));

function guarded(where: Cage, rule: string, until: string): Promise<ThrashResult> {
  const name = where.name.replace(/\d+$/, '*');
  const config = configFile(`[[rule]]\nname = "cage"\ncgroup = "${name}"\nstall = "20%"\n${rule}`);
  const guard = { program: bin('oom-backstop'), args: ['-r', '0', '--config', config] };
  return thrash(where, { guard, processes: PROCESSES, limitMib: LIMIT_MIB, seconds: SECONDS, until });
}

const NEEDS = 'needs unshare --pid (root), and cgroups with a memory limit and a memory.pressure';

describeIf(namespacesWork && cagesWork(), NEEDS, 'a PSI rule for cgroups', () => {
  it('kills the largest process of the cgroup that thrashes, and nobody else', async () => {
    const where = cage();
    const result = await guarded(where, '', 'exited after');
    const big = result.processes.find(({ name }) => name === 'big')?.pid;
    expect(result.stderr).toMatch(
      new RegExp(`^PSI rule "cage", cgroup ${where.name}: some [0-9.]+ % of 500 ms, available [0-9.]+ %, `, 'm'),
    );
    expect(result.stderr).toContain(`sending SIGTERM to process ${big} uid`);
    expect(ends(result)).toEqual({ small: null, big: 'SIGTERM', bystander: null });
  });

  it('kills all of the cgroup with scope = "cgroup", and nobody else', async () => {
    const where = cage();
    const result = await guarded(where, 'scope = "cgroup"\n', 'exited after');
    expect(result.stderr).toContain(`killing whole cgroup ${where.name}, 2 processes`);
    expect(ends(result)).toEqual({ small: 'SIGKILL', big: 'SIGKILL', bystander: null });
    expect(result.guardLives).toBe(true);
  });

  it('spares a cgroup that holds somebody who must not be killed: only its largest process is', async () => {
    const where = cage();
    const config = configFile(
      `[selection]\nignore = "^small$"\n[[rule]]\nname = "cage"\ncgroup = "${where.name}"\nstall = "20%"\nscope = "cgroup"\n`,
    );
    const guard = { program: bin('oom-backstop'), args: ['-r', '0', '--config', config] };
    const result = await thrash(where, {
      guard,
      processes: PROCESSES,
      limitMib: LIMIT_MIB,
      seconds: SECONDS,
      until: 'exited after',
    });
    expect(result.stderr).toMatch(
      / is not killed as a whole: process \d+ "small" in it must not be killed \(--ignore\);/,
    );
    expect(ends(result)).toEqual({ small: null, big: 'SIGKILL', bystander: null });
  });
});

describeIf(namespacesWork && cagesWork(), NEEDS, 'the default rule', () => {
  it('kills nobody while much memory is available, however high the pressure', async () => {
    const guard = { program: bin('oom-backstop'), args: ['-r', '0', '--config', '/dev/null'] };
    // With two more of them somebody stalls most of the time.
    const more = ['third', 'fourth'].map((name) => ({ name, anonMib: 1, fileMib: 24, inside: true }));
    const scenario = { guard, processes: [...PROCESSES, ...more], limitMib: LIMIT_MIB, seconds: 6 };
    const result = await thrash(cage(), scenario, '/proc/pressure/memory');
    expect(result.stallPercent).toBeGreaterThan(40);
    expect(result.stderr).toContain('PSI rule "thrashing": SIGTERM to the largest process when some >= 40 %');
    expect(result.stderr).not.toMatch(/sending SIG\w+ to|low memory|PSI rule "thrashing": some [0-9.]+ %/);
    expect(new Set(Object.values(ends(result)))).toEqual(new Set([null]));
    expect(result.guardLives).toBe(true);
  });
});
