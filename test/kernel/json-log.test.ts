/* Live fire: a guard that logs as JSON. Its log writer is never the victim, and can't keep it from a kill. */
import { expect, it } from 'vitest';
import { inNamespace, namespacesWork, type Scenario, type ScenarioResult } from '../support/namespace.js';
import { bin } from '../support/programs.js';
import { describeIf } from '../support/requires.js';

function fire(more: Partial<Scenario> = {}, ...args: string[]): Promise<ScenarioResult> {
  const guard = ['--config', '/dev/null', '--log-format', 'json', '-M', 'LIMITS', '--no-psi-rule', ...args];
  return inNamespace({
    hogs: [{ rateMibPerS: 400, maxMib: 1400 }],
    // Far away: what else runs on this machine must not cross it.
    limits: { headroomMib: 900 },
    guard: { program: bin('oom-backstop'), args: guard },
    ...more,
  });
}

const recordsOf = ({ stdout }: ScenarioResult): Record<string, unknown>[] =>
  stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

describeIf(namespacesWork, 'needs unshare --pid (root)', 'a kill of a guard that logs as JSON', () => {
  it('is told in records, and the guard ends by its signal', async () => {
    const result = await fire({}, '-r', '0');
    const [hog] = result.hogs;
    expect(hog?.events.map(({ event }) => event)).toContain('term');
    expect(result.stderr).toBe('');
    expect(result.guardExit).toEqual({ code: null, signal: 'SIGTERM' });
    const records = recordsOf(result);
    const topics = records.map(({ topic }) => topic).filter((topic) => topic !== undefined);
    const kill = ['memory', 'low-memory', 'sending', 'exited', 'gave-back'];
    expect(topics.slice(topics.indexOf('memory')).slice(0, kill.length)).toEqual(kill);
    expect(records.find(({ topic }) => topic === 'sending')).toMatchObject({
      level: 40,
      pid: result.guardPid,
      signal: 'SIGTERM',
      victim: { pid: hog?.pid, name: 'hog', oomScoreAdj: 1000 },
    });
    expect(records.find(({ topic }) => topic === 'exited')).toMatchObject({ victim: { pid: hog?.pid } });
  });

  it('never takes the log writer, if nobody else is left', async () => {
    const result = await fire({ untilStdout: 'Could not find a process to kill' }, '-r', '0', '--ignore', '^hog$');
    const records = recordsOf(result);
    // A child of the rehearsal may be, while the guard starts.
    const victims = records.filter(({ topic }) => topic === 'sending').map(({ victim }) => victim as { name: string });
    expect(victims.filter(({ name }) => name !== 'sleep')).toEqual([]);
    expect(records.some(({ msg }) => String(msg).startsWith('Could not find a process to kill'))).toBe(true);
    expect(result.stderr).toBe('');
  });

  it('happens although the log writer is stopped and the pipe to it is full; what was lost is said afterwards', async () => {
    const result = await fire({ stopsLogWriter: true }, '-r', '1');
    const [hog] = result.hogs;
    expect(hog?.events.map(({ event }) => event)).toContain('term');
    expect(hog?.exit).toMatchObject({ code: 0 });
    const records = recordsOf(result);
    const notice = records.find(({ topic }) => topic === 'dropped');
    // The kill's own lines, at least.
    expect(notice?.['lines']).toBeGreaterThanOrEqual(4);
    expect(records.some(({ topic }) => topic === 'sending')).toBe(false);
    expect(records[records.indexOf(notice as never) + 1]).toMatchObject({ topic: 'memory', kind: 'report' });
    expect(result.guardExit).toEqual({ code: null, signal: 'SIGTERM' });
  });
});
