/* Live fire: the programs that the guard starts, and that they can't hold it up. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { inNamespace, namespacesWork, type Scenario, type ScenarioResult } from '../support/namespace.js';
import { bin } from '../support/programs.js';
import { describeIf } from '../support/requires.js';

/** Longer than any kill here takes, shorter than the hooks that hang would last. */
const HELD_UP_MS = 2000;

function directory(): string {
  const made = mkdtempSync(path.join(tmpdir(), 'oom-backstop-hook-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

function script(inDirectory: string, body: string, mode = 0o755): string {
  const file = path.join(inDirectory, 'hook.sh');
  writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode });
  return file;
}

function fire(args: string[], more: Partial<Scenario> = {}): Promise<ScenarioResult> {
  const guard = { program: bin('earlyoom'), args: ['-M', 'LIMITS', '-r', '0', ...args] };
  return inNamespace({ hogs: [{ name: 'hog (x) "y', rateMibPerS: 400, maxMib: 500 }], guard, afterMs: 800, ...more });
}

/** From the crossing of the limit to the SIGTERM in the victim. */
function reactionMs(result: ScenarioResult): number {
  const at = (name: string): number => result.hogs[0]?.events.find(({ event }) => event === name)?.atMs ?? Number.NaN;
  return at('term') - at('crossed');
}

const NOTE_ENVIRONMENT = (file: string): string =>
  `env | grep '^EARLYOOM_' | sort > ${file}.tmp; mv ${file}.tmp ${file}`;

describeIf(namespacesWork, 'needs unshare --pid (root)', 'hooks', () => {
  it.each(['-N', '-P'])('%s gets the victim in its environment', async (option) => {
    const made = directory();
    const noted = path.join(made, 'environment');
    const result = await fire([option, script(made, NOTE_ENVIRONMENT(noted))]);
    const lines = readFileSync(noted, 'utf8').trim().split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/^EARLYOOM_CMDLINE=\/.*hog\.mjs \{/);
    expect(lines[0]?.length).toBeLessThanOrEqual('EARLYOOM_CMDLINE='.length + 256);
    expect(lines.slice(1)).toEqual([
      'EARLYOOM_NAME=hog (x) "y',
      `EARLYOOM_PID=${result.hogs[0]?.pid}`,
      'EARLYOOM_UID=0',
    ]);
  });

  it('what hooks write goes where the guard’s output goes', async () => {
    const hook = script(directory(), 'echo to stdout; echo to stderr >&2');
    const result = await fire(['-P', hook, '-N', hook]);
    expect(result.stdout.match(/^to stdout$/gm)).toHaveLength(2);
    expect(result.stderr.match(/^to stderr$/gm)).toHaveLength(2);
  });

  it('-P runs before the signal, -N after the end', async () => {
    const made = directory();
    const noted = path.join(made, 'alive');
    // A zombie whose parent has not collected it yet is dead.
    const alive = `grep -q '^State:.[^ZX]' /proc/$EARLYOOM_PID/status && echo "$1 alive" >> ${noted} || echo "$1 dead" >> ${noted}`;
    const before = script(made, `set -- before; ${alive}; sleep 0.05`);
    const after = path.join(made, 'after.sh');
    writeFileSync(after, `#!/bin/sh\nset -- after; ${alive}\n`, { mode: 0o755 });
    await fire(['-P', before, '-N', after]);
    expect(readFileSync(noted, 'utf8')).toBe('before alive\nafter dead\n');
  });

  it('a -P program that hangs holds the kill up by 200 ms and no more', async () => {
    const made = directory();
    const result = await fire(['-P', script(made, 'sleep 30')]);
    expect(reactionMs(result)).toBeGreaterThan(190);
    expect(reactionMs(result)).toBeLessThan(HELD_UP_MS);
    expect(result.hogs[0]?.exit).toMatchObject({ code: 0 });
  });

  it('a -P program that ends at once holds nothing up for 200 ms', async () => {
    const result = await fire(['-P', '/bin/true']);
    expect(result.hogs[0]?.exit).toMatchObject({ code: 0 });
    expect(result.stderr).toMatch(/exited after/);
  });

  it('hooks that flood their output do not hold the kill up', async () => {
    const made = directory();
    const flood = script(made, 'head -c 20000000 /dev/zero | tr "\\0" x');
    const result = await fire(['-P', flood, '-N', flood]);
    expect(reactionMs(result)).toBeLessThan(HELD_UP_MS);
    expect(result.hogs[0]?.exit).toMatchObject({ code: 0 });
  });

  it.each([
    ['is not executable', (made: string) => script(made, 'true', 0o644), 'Permission denied'],
    ['has vanished', (made: string) => path.join(made, 'gone.sh'), 'No such file or directory'],
    [
      'is no program',
      (made: string) => {
        const file = path.join(made, 'garbage');
        writeFileSync(file, '\x7fELF garbage', { mode: 0o755 });
        return file;
      },
      'could not be started',
    ],
  ])('a -P program that %s is said, and the kill goes on', async (_title, make, said) => {
    const result = await fire(['-P', make(directory())]);
    expect(result.stderr).toContain('-P program could not be started');
    expect(result.stderr).toContain(said);
    expect(reactionMs(result)).toBeLessThan(HELD_UP_MS);
  });

  it('leaves no zombie and never chooses its own hooks', async () => {
    const made = directory();
    const hungry = script(made, 'echo 1000 > /proc/self/oom_score_adj; sleep 3');
    const result = await fire(['-N', hungry, '-d'], {
      hogs: [
        { rateMibPerS: 400, maxMib: 500 },
        { rateMibPerS: 150, maxMib: 900 },
      ],
      afterMs: 3500,
      settleMs: 500,
    });
    const killed = [...result.stderr.matchAll(/^sending SIGTERM to process (\d+)/gm)].map((match) => Number(match[1]));
    expect(new Set(killed)).toEqual(new Set(result.hogs.map(({ pid }) => pid)));
    expect(result.stdout).toMatch(/-N script ended, status 0/);
  });
});
