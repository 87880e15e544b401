/* Live fire: SIGHUP to a guard. A new policy is taken by the same process, a bad one is refused, and nothing is left behind. */
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { configDirectory } from '../support/config-files.js';
import { namespacesWork } from '../support/namespace.js';
import { bin } from '../support/programs.js';
import { type ReloadResult, type ReloadStep, reloading } from '../support/reload.js';
import { describeIf } from '../support/requires.js';

const FAR = '[memory]\nterm = "2%"\nkill = "1%"\n';
const NEAR = '[memory]\nterm = "LIMIT(250)"\nkill = "1%"\n';
const WRONG = '[memory]\nterm = "200%"\nkill = "5 apples"\n[selection]\nignore = "("\n';
const HOG = { maxMib: 600, rateMibPerS: 200, holdMs: 500 };

const RELOADED = 'starting anew with it\\n[^]*SIGKILL when';
const RELOADED_JSON = 'starting anew with it"}\\n[^]*SIGKILL when';
const REFUSED = 'is refused, and the policy stays as it was';

/** Long enough for a start to be over. */
const SEALED: ReloadStep = { sleep: 4000 };
const HUP: ReloadStep = { hup: { times: 1, gapMs: 0 } };

function scenario(steps: ReloadStep[], guard: string[] = [], more: Record<string, string> = {}): Promise<ReloadResult> {
  const directory = configDirectory({ 'config.toml': FAR, ...more });
  chmodSync(directory, 0o755);
  const file = path.join(directory, 'config.toml');
  writeFileSync(file, FAR);
  const command = [...guard, bin('oom-backstop'), '--config', file, '-r', '0'];
  return reloading({ guard: command, file, steps: [{ start: true }, { until: 'SIGKILL when' }, ...steps] });
}

/** The pids that were signalled, in order. */
const signalled = ({ stderr }: ReloadResult): number[] =>
  [...stderr.matchAll(/^sending SIG\w+ to process (\d+)/gm)].map((match) => Number(match[1]));

const starts = ({ stderr }: ReloadResult): number => [...stderr.matchAll(/^oom-backstop v/gm)].length;

describeIf(namespacesWork, 'needs unshare --pid (root)', 'SIGHUP to a guard', () => {
  it('has the same process take new limits, and a hog dies at them', async () => {
    const result = await scenario([
      SEALED,
      { note: true },
      { fire: HOG },
      { write: NEAR },
      HUP,
      { until: RELOADED },
      SEALED,
      { note: true },
      { fire: HOG },
    ]);
    expect(starts(result)).toBe(2);
    expect(result.running).toBe(true);
    const [spared, killed] = result.hogs;
    expect(spared?.exit).toMatchObject({ code: 3 });
    expect(signalled(result)).toEqual([killed?.pid]);
    expect(killed?.events).toContain('term');
    const [before, after] = result.notes;
    expect(after).toMatchObject({ name: 'oom-backstop', fds: before?.fds, children: 0, capEff: before?.capEff });
    // Sealed as before: locked as much, and no larger.
    expect(after?.lockedKib).toBeGreaterThan(0.9 * (before?.lockedKib ?? 0));
    expect(after?.rssKib).toBeLessThan(1.25 * (before?.rssKib ?? 0));
  });

  it('as JSON has one log writer at a time, and every line of every start, once and in its order', async () => {
    const directory = configDirectory({ 'config.toml': FAR });
    const file = path.join(directory, 'config.toml');
    const guard = [bin('oom-backstop'), '--config', file, '-r', '0.05', '--log-format', 'json'];
    const apart: ReloadStep[] = Array.from({ length: 3 }, () => [HUP, { until: RELOADED_JSON }, SEALED]).flat();
    const steps = [{ start: true }, { until: 'SIGKILL when' }, SEALED, { note: true }, ...apart, { note: true }];
    const result = await reloading({ guard, file, stream: 'stdout', steps: steps as ReloadStep[] });
    expect(result.running).toBe(true);
    expect(result.stderr).toBe('');
    const records = result.stdout
      .split('\n')
      .slice(0, -1)
      .map((line): { time: number; kind: string; msg: string; pid: number } => JSON.parse(line));
    const times = records.map(({ time }) => time);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(new Set(records.map(({ time, msg }) => `${time} ${msg}`)).size).toBe(records.length);
    expect(new Set(records.map(({ pid }) => pid))).toEqual(new Set([result.pid]));
    const said = records.filter(({ kind }) => kind === 'start').map(({ msg }) => msg);
    const ofStart = said.slice(0, said.indexOf('SIGHUP: checking the configuration'));
    expect(ofStart.length).toBeGreaterThan(4);
    const hup = ['SIGHUP: checking the configuration', 'SIGHUP: the configuration is good, starting anew with it'];
    const still = (lines: string[]): string[] => lines.map((line) => line.replace(/\d+/g, '#'));
    expect(still(said)).toEqual(still([ofStart, ...[1, 2, 3].map(() => [...hup, ...ofStart])].flat()));
    const [before, after] = result.notes;
    expect(after).toMatchObject({ fds: before?.fds, children: 1 });
  });

  it('refuses a bad file with every mistake in it, and a hog dies at the old limits', async () => {
    const result = await scenario([
      { write: NEAR },
      HUP,
      { until: RELOADED },
      SEALED,
      { write: WRONG },
      HUP,
      { until: REFUSED },
      { fire: HOG },
    ]);
    expect(starts(result)).toBe(2);
    for (const key of ['memory.term', 'memory.kill', 'selection.ignore'])
      expect(result.stderr).toMatch(new RegExp(`^fatal: .*${key} = `, 'm'));
    expect(signalled(result)).toEqual([result.hogs[0]?.pid]);
    expect(result.running).toBe(true);
  });

  it('refuses where the program itself could not start any more, as after a broken upgrade', async () => {
    const directory = configDirectory({
      'oom-backstop': `#!/usr/bin/env node\nrequire(${JSON.stringify(bin('oom-backstop'))});\n`,
    });
    const program = path.join(directory, 'oom-backstop');
    chmodSync(program, 0o755);
    const file = path.join(directory, 'config.toml');
    writeFileSync(file, FAR);
    const steps: ReloadStep[] = [
      { start: true },
      { until: 'SIGKILL when' },
      SEALED,
      { replace: 'throw new Error()' },
      HUP,
      { until: REFUSED },
    ];
    const result = await reloading({ guard: [program, '--config', file, '-r', '0'], file, steps });
    expect(result.stderr).toContain('its check ended with exit code 1\n');
    expect(result.running).toBe(true);
  });

  it('twenty in a row leave no fd, no child and no zombie, and the last file counts', async () => {
    const burst: ReloadStep = { hup: { times: 20, gapMs: 2 } };
    const apart: ReloadStep[] = Array.from({ length: 3 }, () => [HUP, { until: RELOADED }, SEALED]).flat();
    const result = await scenario([
      SEALED,
      { note: true },
      burst,
      { until: RELOADED },
      SEALED,
      ...apart,
      { write: WRONG },
      { hup: { times: 20, gapMs: 2 } },
      { until: REFUSED },
      { note: true },
      { write: NEAR },
      HUP,
      { until: RELOADED },
      SEALED,
      { note: true },
      { fire: HOG },
    ]);
    expect(result.running).toBe(true);
    const [before, ...after] = result.notes;
    for (const note of after) expect(note).toMatchObject({ fds: before?.fds, children: 0 });
    expect(signalled(result)).toEqual([result.hogs[0]?.pid]);
  });

  it('six with 0.4 s between them are one reload', async () => {
    const result = await scenario([SEALED, { hup: { times: 6, gapMs: 400 } }, { until: RELOADED }, SEALED]);
    expect(result.running).toBe(true);
    expect(starts(result)).toBe(2);
  });

  it('during a kill waits until it is over', async () => {
    const stubborn = { ...HOG, onTerm: 1500 };
    const result = await scenario([
      { write: NEAR },
      HUP,
      { until: RELOADED },
      SEALED,
      { begin: stubborn },
      { until: 'sending SIGTERM to' },
      HUP,
      { until: RELOADED },
    ]);
    const said = result.stderr.slice(result.stderr.indexOf('sending SIGTERM to'));
    expect(said.indexOf('checking')).toBeLessThan(said.indexOf('exited after'));
    expect(said.indexOf('exited after')).toBeGreaterThan(-1);
    expect(said.indexOf('exited after')).toBeLessThan(said.indexOf('starting anew'));
  });

  it('while it starts is done when it has started', async () => {
    const result = await scenario([HUP, { until: RELOADED }, SEALED]);
    expect(starts(result)).toBe(2);
    expect(result.running).toBe(true);
  });

  it('an unprivileged guard with ambient capabilities has them afterwards, and again none that its hooks would get', async () => {
    const user = [
      'setpriv',
      '--reuid',
      '65534',
      '--regid',
      '65534',
      '--clear-groups',
      '--inh-caps',
      '+kill',
      '--ambient-caps',
      '+kill',
    ];
    const result = await scenario(
      [
        SEALED,
        { note: true },
        HUP,
        { until: RELOADED },
        SEALED,
        { note: true },
        HUP,
        { until: RELOADED },
        { note: true },
      ],
      user,
    );
    expect(result.notes.map(({ capEff }) => Number.parseInt(capEff, 16))).toEqual([32, 32, 32]);
    expect(result.notes.map(({ capAmb }) => Number.parseInt(capAmb, 16))).toEqual([0, 0, 0]);
    expect(result.stderr).not.toContain('without CAP_KILL');
  });
});
