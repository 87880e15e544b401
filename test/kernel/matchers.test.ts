/* Live fire: who is chosen and who is spared by matchers and by --only-cgroup, among processes that stand by. */
import { spawn } from 'node:child_process';
import { chmodSync, constants, copyFileSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { cgroupsHave, makeCgroupWith } from '../support/cgroup.js';
import { type HogOptions, inNamespace, namespacesWork, type ScenarioResult } from '../support/namespace.js';
import { bin, run } from '../support/programs.js';
import { describeIf } from '../support/requires.js';

const LARGE: HogOptions = { name: 'large', maxMib: 400, holdMs: 60_000 };
const MIDDLE: HogOptions = { name: 'middle', maxMib: 280, holdMs: 60_000 };
const SMALL: HogOptions = { name: 'small', maxMib: 170, holdMs: 60_000 };

/** Memory is at the limit from the start, until one of them has ended. */
function fire(args: string[], bystanders: HogOptions[]): Promise<ScenarioResult> {
  return inNamespace({
    hogs: [],
    bystanders,
    guard: { program: bin('oom-backstop'), args: ['-M', 'LIMITS', '-r', '0', '--rank-by', 'memory', ...args] },
    limits: { headroomMib: -60 },
    untilStderr: 'gave back',
    afterMs: 0,
  });
}

/** The names of those who got a signal, in order. */
const signalled = (result: ScenarioResult): (string | undefined)[] =>
  [...result.stderr.matchAll(/^sending SIG\w+ to process \d+ uid 0 "(\w+)"/gm)].map((match) => match[1]);

/** A cgroup that goes with the test: its directory. */
function cgroup(): string {
  const directory = path.dirname(makeCgroupWith('cgroup.procs') as string);
  onTestFinished(() => rmdirSync(directory));
  return directory;
}

describeIf(namespacesWork, 'needs unshare --pid (root)', 'the largest of three processes', () => {
  it('the control: is killed where nobody is protected', async () => {
    const result = await fire([], [LARGE, MIDDLE, SMALL]);
    expect(signalled(result)[0]).toBe('large');
  });

  it('is spared by its arguments, and the next one is killed', async () => {
    const result = await fire(['--match', 'protect:cmdline=*"name":"large"*'], [LARGE, MIDDLE, SMALL]);
    expect(result.stderr).toContain('match 1: protect cmdline \'*\\"name\\":\\"large\\"*\'');
    expect(signalled(result)[0]).toBe('middle');
    expect(result.bystanders[0]?.exit).toBeNull();
  });

  it('is spared by its program, and the next one is killed', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'oom-backstop-match-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const program = path.join(directory, 'node');
    copyFileSync(process.execPath, program, constants.COPYFILE_FICLONE);
    chmodSync(program, 0o755);
    const result = await fire(['--match', `protect:exe=${directory}/*`], [{ ...LARGE, program }, MIDDLE, SMALL]);
    expect(signalled(result)[0]).toBe('middle');
    expect(result.bystanders[0]?.exit).toBeNull();
  });

  it('goes before a smaller one that is preferred, unless that is twice as large then', async () => {
    const preferSmall = ['--match', 'prefer:cmdline=/"name":"small"/'];
    expect(signalled(await fire(preferSmall, [MIDDLE, SMALL]))[0]).toBe('small');
    expect(signalled(await fire(preferSmall, [{ ...LARGE, maxMib: 600 }, SMALL]))[0]).toBe('large');
  });
});

/** As under the shipped unit, or as anybody. */
const asNobody = (...more: string[]): string[] => ['--reuid', '65534', '--regid', '65534', '--clear-groups', ...more];

describeIf(namespacesWork, 'needs root', "other users' programs", () => {
  const kill = ['--inh-caps', '+kill', '--ambient-caps', '+kill'];
  const guard = [bin('oom-backstop'), '--dryrun', '--config', '/dev/null', '-r', '0', '--match'];

  it('that can not be read are no program to protect by: the guard does not start', async () => {
    const { code, stderr } = await run('setpriv', [...asNobody(...kill), ...guard, 'protect:exe=/usr/**']);
    expect(code).toBe(14);
    expect(stderr).toContain("match 1 (exe): the programs of other users' processes can't be read: Permission denied");
  });

  it('that can not be read are not preferred, and that is said', async () => {
    const said = (_: string, stderr: string): boolean => stderr.includes('match 1 (exe) matches none');
    const { stderr } = await run('setpriv', [...asNobody(...kill), ...guard, 'prefer:exe=/usr/**'], { until: said });
    expect(stderr).toContain(
      "warning: match 1 (exe) matches none of other users' processes, whose programs can't be read",
    );
  });

  it('are nothing to a guard that keeps to its own user', async () => {
    const settled = (_: string, stderr: string): boolean => stderr.includes('will be killed');
    const { stderr } = await run('setpriv', [...asNobody(), ...guard, 'protect:exe=/usr/**'], { until: settled });
    expect(stderr).toContain('only processes of uid 65534 will be killed');
    expect(stderr).not.toContain("can't be read");
  });
});

describeIf(
  namespacesWork && cgroupsHave('cgroup.procs'),
  'needs unshare --pid (root) and cgroups',
  'by the cgroup of a process',
  () => {
    it('the largest is spared where its cgroup is protected', async () => {
      const directory = cgroup();
      const args = ['--match', `protect:cgroup=/${path.basename(directory)}`];
      const result = await fire(args, [{ ...LARGE, cgroup: directory }, MIDDLE, SMALL]);
      expect(signalled(result)[0]).toBe('middle');
      expect(result.bystanders[0]?.exit).toBeNull();
    });

    it('--only-cgroup works for whoever is not root', async () => {
      const directory = cgroup();
      const enter = `echo $$ > ${directory}/cgroup.procs; exec sleep 30`;
      const inside = spawn('sh', ['-c', enter], { stdio: 'ignore' });
      const outside = spawn('sleep', ['30'], { stdio: 'ignore' });
      onTestFinished(async () => {
        for (const child of [inside, outside]) {
          const ended = new Promise((resolve) => child.once('exit', resolve));
          child.kill('SIGKILL');
          await ended;
        }
      });
      for (const deadline = Date.now() + 5000; Date.now() < deadline; await sleep(5)) {
        if (readFileSync(`${directory}/cgroup.procs`, 'latin1').includes(String(inside.pid))) break;
      }
      const args = ['rank', '--json', '--floor', '0', '--only-cgroup', `/${path.basename(directory)}`];
      const { stdout } = await run('setpriv', [...asNobody(), bin('oom-backstop'), ...args]);
      const ranking = JSON.parse(stdout) as { pid: number; reason: string | null }[];
      expect(ranking.find(({ pid }) => pid === inside.pid)?.reason).toBeNull();
      expect(ranking.find(({ pid }) => pid === outside.pid)?.reason).toBe('--only-cgroup');
    });

    it('--only-cgroup leaves the larger one outside alone', async () => {
      const directory = cgroup();
      const args = ['--only-cgroup', `/${path.basename(directory)}`];
      const result = await fire(args, [LARGE, { ...MIDDLE, cgroup: directory }, { ...SMALL, cgroup: directory }]);
      expect(signalled(result)[0]).toBe('middle');
      expect(result.bystanders[0]?.exit).toBeNull();
    });
  },
);
