/* Live fire: what happens after a kill, and when no kill would help. */
import { spawn } from 'node:child_process';
import path from 'node:path';
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

const ROUNDS = 5;
const SECOND: HogOptions = { name: 'second', maxMib: 200, adj: 900, holdMs: 60_000 };
const BYSTANDERS: HogOptions[] = Array.from({ length: 4 }, () => ({
  name: 'small',
  maxMib: 20,
  adj: 0,
  holdMs: 60_000,
}));

function fire(more: Partial<Scenario>, args: string[] = [], persona: 'oom-backstop' | 'earlyoom' = 'oom-backstop') {
  return inNamespace({
    hogs: [],
    guard: { program: bin(persona), args: ['-M', 'LIMITS', '-r', '0', ...args] },
    limits: { headroomMib: 200 },
    ...more,
  });
}

const signalled = (result: ScenarioResult): (string | undefined)[] =>
  [...result.stderr.matchAll(/^sending SIG\w+ to process \d+ uid 0 "(\w+)"/gm)].map((match) => match[1]);

const died = (result: ScenarioResult): number => result.bystanders.filter(({ exit }) => exit !== null).length;

describeIf(namespacesWork, 'needs unshare --pid (root)', 'a kill that is verified', () => {
  it(`a 400 MiB hog dies, and the next in rank lives, ${ROUNDS} times in ${ROUNDS}`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const result = await fire({
        hogs: [{ maxMib: 400, rateMibPerS: 400, onTerm: 400 }],
        bystanders: [SECOND],
        untilStderr: 'gave back',
        afterMs: 1000,
      });
      expect(signalled(result)).toEqual(['hog']);
      expect(died(result)).toBe(0);
      expect(result.stderr).toMatch(/^it gave back \d+ of \d+ MiB$/m);
    }
  }, 90_000);

  it('who ignores SIGTERM gets SIGKILL after --kill-after, and the log says why', async () => {
    const result = await fire({ hogs: [{ maxMib: 400, rateMibPerS: 400, onTerm: 'ignore' }] }, ['--kill-after', '1s']);
    expect(signalled(result)).toEqual(['hog']);
    expect(result.stderr).toMatch(
      /^escalating to SIGKILL after 1\.0\d\d seconds: SIGTERM was ignored for 1\.000 seconds \(kill_after\)$/m,
    );
    expect(result.hogs[0]?.exit?.signal).toBe('SIGKILL');
  });

  it('who takes memory to the SIGKILL limit first gets SIGKILL for that', async () => {
    const result = await fire({
      hogs: [{ maxMib: 600, rateMibPerS: 400, onTerm: 'ignore' }],
      limits: { headroomMib: 200, killBelowMib: 100 },
    });
    expect(result.stderr).toMatch(
      /^escalating to SIGKILL after \d\.\d{3} seconds: memory is at or below the SIGKILL limits$/m,
    );
    expect(result.hogs[0]?.exit?.signal).toBe('SIGKILL');
  });
});

/*
 * The limits are percent of MemAvailable + AnonPages, which a tmpfs shrinks: on a machine that is nearly empty it would
 * have to fill all of memory to cross one. So there is a process of 2 GiB, outside of the namespace: not the guard's to see.
 */
async function withBallast<T>(body: () => Promise<T>): Promise<T> {
  const hog = path.join(import.meta.dirname, '../support/hog.mjs');
  const ballast = spawn(process.execPath, [hog, JSON.stringify({ name: 'ballast', maxMib: 2048, holdMs: 40_000 })]);
  try {
    ballast.stdin.write('{"limitPercent":-1,"basis":"user"}\n');
    for await (const text of ballast.stdout) if (String(text).includes('"full"')) break;
    return await body();
  } finally {
    ballast.kill('SIGKILL');
  }
}

describeIf(namespacesWork, 'needs unshare --pid (root)', 'a tmpfs that fills memory', () => {
  const FILLED = {
    // Far beyond the limit: what other tests have freed comes back to MemAvailable meanwhile, some hundred MiB of it.
    tmpfs: { maxMib: 1100, rateMibPerS: 400 },
    bystanders: BYSTANDERS,
    limits: { headroomMib: 450, basis: 'tmpfs' },
  } as const;

  it('nobody dies at the SIGTERM limit, and the log names the tmpfs, once', async () => {
    const result = await withBallast(() => fire({ ...FILLED, untilStderr: 'killing is paused', afterMs: 3000 }));
    expect(signalled(result)).toEqual([]);
    expect(died(result)).toBe(0);
    expect(result.stderr.match(/^no kill would help: \d+ MiB are tmpfs and shared memory/gm)).toHaveLength(1);
    const mib = Number(new RegExp(`^tmpfs ${result.tmpfs} holds (\\d+) MiB$`, 'm').exec(result.stderr)?.[1]);
    expect(mib).toBeGreaterThan(200);
  });

  it('at the SIGKILL limit one kill is tried, and no more', async () => {
    const limits = { ...FILLED.limits, killBelowMib: 0 };
    const result = await withBallast(() => fire({ ...FILLED, limits, untilStderr: 'gave back', afterMs: 3000 }));
    expect(signalled(result)).toHaveLength(1);
    expect(died(result)).toBe(1);
  });

  it('the control: as earlyoom, one after another', async () => {
    const result = await withBallast(() =>
      fire({ ...FILLED, untilStderr: 'nothing', timeoutMs: 8000 }, [], 'earlyoom'),
    );
    expect(died(result)).toBeGreaterThan(1);
  });
});
