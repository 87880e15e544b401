/* Live fire: `oom-backstop drill` proves what works, says what does not, and touches nobody but its balloon. */
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { configDirectory, configFile } from '../support/config-files.js';
import { type DrillOutcome, drilling } from '../support/drill.js';
import { namespacesWork } from '../support/namespace.js';
import { bin } from '../support/programs.js';
import { describeIf } from '../support/requires.js';

const NOBODY = [
  'setpriv',
  '--reuid',
  '65534',
  '--regid',
  '65534',
  '--clear-groups',
  '--inh-caps',
  '-all',
  '--bounding-set',
  '-all',
];
const NO_CONFIG = ['--config', '/dev/null'];
const BYSTANDER_MIB = 400;

interface Document {
  ok: boolean;
  reason: string | null;
  signalled: { pid: number; name: string; signal: string } | null;
  crossed: { by: string; seenBy: string; balloonKib: number } | null;
  signalAfterCrossingMs: number | null;
  exitAfterSignalMs: number | null;
  memoryBackKib: number | null;
  memoryHadKib: number | null;
  firstVictim: { name: string } | null;
  differs: string[];
}

async function fire(
  args: string[],
  more: { user?: string[]; env?: Record<string, string>; killsIt?: boolean; bystanderMib?: number } = {},
): Promise<DrillOutcome & { document: Document | null }> {
  const { user = [], bystanderMib = 0, ...rest } = more;
  const outcome = await drilling({
    command: [...user, bin('oom-backstop'), 'drill', '--json', ...args],
    bystanderMib,
    ...rest,
  });
  return { ...outcome, document: outcome.stdout === '' ? null : (JSON.parse(outcome.stdout) as Document) };
}

/** A configuration that everybody may read. */
function config(text: string): string[] {
  const file = configFile(text);
  chmodSync(path.dirname(file), 0o755);
  return ['--config', file];
}

function expectWorked({ code, stderr, document, left }: Awaited<ReturnType<typeof fire>>, signal: string): void {
  expect(document?.reason).toBeNull();
  expect({ code, stderr, left }).toEqual({ code: 0, stderr: '', left: 0 });
  expect(document?.ok).toBe(true);
  expect(document?.signalled).toMatchObject({ name: 'oom-drill', signal });
  expect(document?.signalAfterCrossingMs).toBeGreaterThanOrEqual(0);
  expect(document?.exitAfterSignalMs).toBeGreaterThanOrEqual(0);
  expect(document?.memoryBackKib).toBeGreaterThanOrEqual((document?.memoryHadKib ?? 0) / 2);
}

describeIf(namespacesWork, 'needs unshare --pid (root)', 'a drill', () => {
  it('as root: the balloon dies by SIGTERM, and a larger bystander, who would be next, lives', async () => {
    const outcome = await fire(NO_CONFIG, { bystanderMib: BYSTANDER_MIB });
    expectWorked(outcome, 'SIGTERM');
    expect(outcome.document?.crossed?.by).toBe('balloon');
    expect(outcome.document?.firstVictim?.name).toBe('bystander');
    expect(outcome.bystanderExit).toBeNull();
  });

  it('as root with --signal kill: by SIGKILL', async () => {
    expectWorked(await fire(['--signal', 'kill', ...NO_CONFIG]), 'SIGKILL');
  });

  it('as an ordinary user without any capability, who may not signal the bystander', async () => {
    const outcome = await fire(NO_CONFIG, { user: NOBODY, bystanderMib: BYSTANDER_MIB });
    expectWorked(outcome, 'SIGTERM');
    expect(outcome.bystanderExit).toBeNull();
  });

  it.each(['memory', 'rss'])(
    'ranked by %s, with the bystander preferred and -g: nobody but the balloon',
    async (rankBy) => {
      const text = `[selection]\nrank_by = "${rankBy}"\nprefer = "^bystander$"\n[guard]\nkill_group = true\n`;
      const outcome = await fire(config(text), { bystanderMib: BYSTANDER_MIB });
      expectWorked(outcome, 'SIGTERM');
      expect(outcome.bystanderExit).toBeNull();
    },
  );

  it.each([
    [[], false],
    [['--hooks'], true],
  ])('%j: whether the configured hook has run: %j', async (flags, runs) => {
    const directory = configDirectory({ hook: '#!/bin/sh\necho "$EARLYOOM_NAME" > "$(dirname "$0")"/told\n' });
    chmodSync(path.join(directory, 'hook'), 0o755);
    const outcome = await fire([...flags, ...config(`[hooks]\nafter_kill = "${directory}/hook"\n`)]);
    expectWorked(outcome, 'SIGTERM');
    expect(outcome.document?.differs.some((each) => each.includes('/hook'))).toBe(!runs);
    const told = path.join(directory, 'told');
    expect(existsSync(told) ? readFileSync(told, 'utf8') : null).toBe(runs ? 'oom-drill\n' : null);
  });
});

describeIf(namespacesWork, 'needs unshare --pid (root)', 'a drill that has to fail', () => {
  it('the balloon ignores SIGTERM: it says so, and ends it all the same', async () => {
    const directory = configDirectory({
      'stubborn.cjs': "if (process.argv[1]?.endsWith('balloon.cjs')) process.exit = () => undefined;\n",
    });
    const env = { NODE_OPTIONS: `--require=${directory}/stubborn.cjs` };
    const { code, document, left } = await fire(['--timeout', '6s', ...NO_CONFIG], { env });
    expect({ code, left }).toEqual({ code: 1, left: 0 });
    expect(document?.reason).toBe('the balloon got SIGTERM and did not end within 6 s');
    expect(document?.signalled?.signal).toBe('SIGTERM');
  });

  it('the balloon is kept from growing far enough: the limit was not crossed', async () => {
    const { code, document, left } = await fire(['--size', '2GiB', '--timeout', '1s', ...NO_CONFIG]);
    expect({ code, left }).toEqual({ code: 1, left: 0 });
    expect(document?.reason).toMatch(/^the limit was not crossed within 1 s by a balloon of 2048 MiB/);
    expect(document?.signalled).toBeNull();
  });

  it.each([
    ['[selection]\nignore = "^oom"\n', 'matches the pattern of those that are ignored'],
    ['[selection]\nignore_root_user = true\n', 'run the drill as an ordinary user'],
  ])('%j: the policy would never choose the balloon', async (text, why) => {
    const { code, document, left } = await fire(config(text));
    expect({ code, left }).toEqual({ code: 1, left: 0 });
    expect(document?.reason).toContain(why);
  });
});

describeIf(namespacesWork, 'needs unshare --pid (root)', 'a drill that is ended by SIGKILL', () => {
  it('leaves no balloon behind', async () => {
    const { signal, seen, left } = await fire(['--size', '1GiB', ...NO_CONFIG], { killsIt: true });
    expect({ signal, seen, left }).toEqual({ signal: 'SIGKILL', seen: 1, left: 0 });
  });
});
