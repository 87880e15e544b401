/* Live fire: who is signalled, with what, and who is not. */
import { expect, it } from 'vitest';
import {
  type HogOptions,
  inNamespace,
  namespacesWork,
  type Scenario,
  type ScenarioResult,
} from '../support/namespace.js';
import { bin } from '../support/programs.js';
import { describeIf } from '../support/requires.js';

const hog = (options: HogOptions = {}): HogOptions => ({ rateMibPerS: 400, maxMib: 500, ...options });

function fire(hogs: HogOptions[], args: string[] = [], more: Partial<Scenario> = {}): Promise<ScenarioResult> {
  return inNamespace({
    hogs,
    guard: { program: bin('earlyoom'), args: ['-M', 'LIMITS', '-r', '0', ...args] },
    ...more,
  });
}

/** The pids that the guard says it signalled, in order. */
function signalled(result: ScenarioResult): number[] {
  return [...result.stderr.matchAll(/^sending SIG\w+ to process (\d+)/gm)].map((match) => Number(match[1]));
}

const events = (result: ScenarioResult, index: number): string[] =>
  (result.hogs[index]?.events ?? []).map((event) => event.event);

describeIf(namespacesWork, 'needs unshare --pid (root)', 'a kill in a PID namespace', () => {
  it('sends SIGTERM at the SIGTERM limit, once, and says so in earlyoom’s words', async () => {
    const result = await fire([hog()]);
    const pid = result.hogs[0]?.pid;
    expect(signalled(result)).toEqual([pid]);
    expect(events(result, 0)).toContain('term');
    expect(result.hogs[0]?.exit).toMatchObject({ code: 0, signal: null });
    expect(result.stderr).toMatch(
      /^mem avail: +\d+ of +\d+ MiB \(\d+\.\d\d%\), swap free: .*\nlow memory! at or below SIGTERM limits: mem \d+\.\d\d%, swap +\d+\.\d\d%\n/m,
    );
    expect(result.stderr).toMatch(
      new RegExp(
        `^sending SIGTERM to process ${pid} uid 0 "hog": oom_score \\d+, oom_score_adj 1000, VmRSS \\d+ MiB, cmdline ".*"$`,
        'm',
      ),
    );
    expect(result.stderr).toMatch(new RegExp(`^process ${pid} exited after 0\\.\\d{3} seconds$`, 'm'));
  });

  it('sends SIGKILL where memory is at the SIGKILL limit already', async () => {
    const result = await fire([hog()], [], { limits: { killBelowMib: 0 } });
    expect(result.stderr).toContain('low memory! at or below SIGKILL limits');
    expect(result.stderr).toMatch(/^sending SIGKILL to process/m);
    expect(events(result, 0)).not.toContain('term');
    expect(result.hogs[0]?.exit?.signal).toBe('SIGKILL');
  });

  it('escalates to SIGKILL when a victim that ignores SIGTERM takes memory to the SIGKILL limit', async () => {
    const result = await fire([hog({ onTerm: 'ignore', maxMib: 700 })], [], { limits: { killBelowMib: 150 } });
    expect(signalled(result)).toHaveLength(1);
    expect(events(result, 0).filter((event) => event === 'term')).toHaveLength(1);
    expect(result.stderr).toMatch(/^escalating to SIGKILL after \d+\.\d{3} seconds$/m);
    expect(result.hogs[0]?.exit?.signal).toBe('SIGKILL');
  });

  it('escalates to SIGKILL after 10 s when the victim ignores SIGTERM and memory stays low', async () => {
    const result = await fire([hog({ onTerm: 'ignore', maxMib: 400 })]);
    expect(events(result, 0).filter((event) => event === 'term')).toHaveLength(1);
    expect(result.stderr).toMatch(/^escalating to SIGKILL after 10\.\d{3} seconds$/m);
    expect(result.hogs[0]?.exit?.signal).toBe('SIGKILL');
  });

  it('leaves a victim the time to end by itself while memory is above the SIGKILL limit', async () => {
    const result = await fire([hog({ onTerm: 600 })]);
    expect(signalled(result)).toHaveLength(1);
    expect(result.stderr).not.toContain('escalating');
    expect(result.hogs[0]?.exit).toMatchObject({ code: 0, signal: null });
  });

  it('kills the one with the highest oom_score and nobody else', async () => {
    const small = hog({ maxMib: 30, adj: 900, holdMs: 4000 });
    const result = await fire([small, hog(), small]);
    expect(signalled(result)).toEqual([result.hogs[1]?.pid]);
    expect(result.hogs[0]?.exit?.code).toBe(3);
    expect(result.hogs[2]?.exit?.code).toBe(3);
  });

  it('kills a second hog after the first', async () => {
    const result = await fire([hog({ maxMib: 290, rateMibPerS: 200 }), hog({ rateMibPerS: 100 })], [], {
      limits: { headroomMib: 350 },
    });
    expect(new Set(signalled(result))).toEqual(new Set(result.hogs.map(({ pid }) => pid)));
    expect(signalled(result)).toHaveLength(2);
  });

  it('--dryrun kills nobody', async () => {
    const result = await fire([hog({ holdMs: 1500 })], ['--dryrun']);
    expect(result.stderr).toContain('dryrun, not actually sending any signal');
    expect(events(result, 0)).not.toContain('term');
    expect(result.hogs[0]?.exit).toMatchObject({ code: 3, signal: null });
  });

  it('the own persona kills with the same limits', async () => {
    const result = await inNamespace({
      hogs: [hog()],
      guard: { program: bin('oom-backstop'), args: ['-M', 'LIMITS'] },
    });
    expect(signalled(result)).toEqual([result.hogs[0]?.pid]);
  });
});

/** Shell commands that start the guard ("$@") with an output that takes nothing. */
const STUCK_OUTPUTS: Record<string, string> = {
  'is a full disk': 'exec "$@" >/dev/full 2>&1',
  'is a pipe that is full, and its reader stopped': [
    'fifo=$(mktemp -u) && mkfifo "$fifo" && exec 3<>"$fifo" && rm "$fifo"',
    'dd if=/dev/zero of=/proc/self/fd/3 bs=4096 count=1024 oflag=nonblock 2>/dev/null',
    'exec "$@" >&3 2>&3',
  ].join('; '),
  'is closed': 'exec "$@" >&- 2>&-',
};

describeIf(namespacesWork, 'needs unshare --pid (root)', 'a kill by a guard whose output', () => {
  it.each(Object.entries(STUCK_OUTPUTS))('%s', async (_name, command) => {
    const { hogs, stderr, guardExit } = await inNamespace({
      hogs: [hog()],
      guard: {
        program: 'sh',
        args: ['-c', command, 'sh', bin('oom-backstop'), '-d', '-M', 'LIMITS', '-N', '/bin/true'],
      },
    });
    expect(stderr).toBe('');
    expect(hogs[0]?.events.map(({ event }) => event)).toContain('term');
    expect(hogs[0]?.exit).toMatchObject({ code: 0, signal: null });
    // Ended by the test: it has outlived its kill.
    expect(guardExit).toEqual({ code: null, signal: 'SIGTERM' });
  });
});

describeIf(namespacesWork, 'needs unshare --pid (root)', 'who is chosen', () => {
  /* The big one would be chosen; `small` is big enough to be chosen by name. */
  const two = [hog({ name: 'small', maxMib: 200, holdMs: 5000 }), hog({ name: 'big', maxMib: 500, holdMs: 5000 })];

  it.each([
    ['--prefer ^small$', ['--prefer', '^small$'], 0],
    ['--avoid ^big$', ['--avoid', '^big$'], 0],
    ['--ignore (big|other)', ['--ignore', '(big|other)'], 0],
    ['neither', [], 1],
  ])('%s', async (_title, args, chosen) => {
    const result = await fire(two, args, { untilStderr: 'exited after', limits: { headroomMib: 600 } });
    expect(signalled(result)[0]).toBe(result.hogs[chosen]?.pid);
    expect(events(result, 1 - chosen)).not.toContain('term');
  });

  it('--sort-by-rss chooses the larger RSS over the higher oom_score', async () => {
    const hogs = [hog({ maxMib: 60, adj: 1000, holdMs: 5000 }), hog({ maxMib: 500, adj: 300, holdMs: 5000 })];
    const result = await fire(hogs, ['--sort-by-rss'], { untilStderr: 'exited after' });
    expect(signalled(result)).toEqual([result.hogs[1]?.pid]);
  });

  it('--ignore-root-user chooses nobody when all are root’s', async () => {
    const result = await fire([hog({ holdMs: 1500 })], ['--ignore-root-user']);
    expect(result.stderr).toContain('Could not find a process to kill. Sleeping 1 second.');
    expect(result.hogs[0]?.exit?.code).toBe(3);
  });
});

describeIf(namespacesWork, 'needs unshare --pid (root)', '-g', () => {
  it('kills the whole process group', async () => {
    const result = await fire([hog({ children: 3, maxMib: 600, ownGroup: true })], ['-g']);
    expect(result.stderr).toMatch(/killing whole process group \d+ \(-g flag is active\)/);
    const termed = new Set(
      (result.hogs[0]?.events ?? []).filter(({ event }) => event === 'term').map(({ pid }) => pid),
    );
    expect(termed.size).toBe(4);
    expect(result.guardExit).toMatchObject({ signal: 'SIGTERM' });
  });

  it('without -g kills the victim only', async () => {
    const result = await fire([hog({ children: 2, maxMib: 600, ownGroup: true, holdMs: 3000 })], [], {
      untilStderr: 'exited after',
      limits: { headroomMib: 500 },
    });
    const termed = new Set(
      (result.hogs[0]?.events ?? []).filter(({ event }) => event === 'term').map(({ pid }) => pid),
    );
    expect(termed.size).toBe(1);
  });

  it('spares a group whose leader is outside the namespace: only the victim dies, and the guard lives', async () => {
    const result = await fire([hog(), hog({ maxMib: 20, holdMs: 3000 })], ['-g']);
    expect(signalled(result)).toEqual([result.hogs[0]?.pid]);
    expect(events(result, 1)).not.toContain('term');
    expect(result.guardExit).toMatchObject({ signal: 'SIGTERM' });
  });
});
