/*
 * What V8 has compiled for the sealed guard stays: it is switched off then, and what it would throw away in a kill (because something
 * is of another kind than all that the rehearsal has shown it) would be interpreted for ever after. V8 itself tells of it.
 *
 * It also tells of the rehearsal, which is where such things are meant to happen: that is the control.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { inNamespace, namespacesWork } from '../support/namespace.js';
import { bin } from '../support/programs.js';
import { describeIf } from '../support/requires.js';

/** As bin/oom-backstop sets them, and the one that has V8 tell. */
const FLAGS = ['--max-semi-space-size=1', '--v8-pool-size=1', '--trace-deopt'];

/** What V8 compiles depends on how threads come in turns: once in a while something has not been seen. */
const TRIES_AGAIN = 4;

const HOG = { rateMibPerS: 400, maxMib: 900 };
/** Somebody who could be chosen, and is not. */
const BYSTANDER = { maxMib: 20, adj: 500, holdMs: 60_000 };

const KILLS: Record<string, { args?: string[]; limits?: { killBelowMib: number } }> = {
  'by SIGTERM': {},
  'by SIGKILL': { limits: { killBelowMib: 0 } },
  'with hooks': { args: ['-P', '/bin/true', '-N', '/bin/true'] },
  'with a log as JSON': { args: ['--log-format', 'json'] },
};

/** The functions whose code was thrown away, and why. */
function thrownAway(output: string): string[] {
  return [
    ...output.matchAll(/^\[bailout \(kind: [\w-]+, reason: (.*?)\): begin\. deoptimizing \S+ <JSFunction (\S*)/gm),
  ].map(([, reason, name]) => `${name}: ${reason}`);
}

describeIf(namespacesWork, 'needs unshare --pid (root)', 'a first kill and a second one', () => {
  it.each(Object.entries(KILLS))('%s throw no compiled code away', { retry: TRIES_AGAIN }, async (_, kills) => {
    // In memory, where a guard keeps its event log.
    const runtimeDir = mkdtempSync('/dev/shm/oom-backstop-code-');
    onTestFinished(() => rmSync(runtimeDir, { recursive: true, force: true }));
    const args = ['-M', 'LIMITS', '-r', '0', '--runtime-dir', runtimeDir, ...(kills.args ?? [])];
    const { stdout, stdoutBefore, hogs } = await inNamespace({
      bystanders: [BYSTANDER],
      hogs: [HOG, HOG],
      // Both of its streams in one, in order.
      guard: { program: 'sh', args: ['-c', 'exec "$@" 2>&1', 'sh', 'node', ...FLAGS, bin('oom-backstop'), ...args] },
      ...(kills.limits === undefined ? {} : { limits: kills.limits }),
      sealsIn: runtimeDir,
    });
    expect(hogs.map(({ exit }) => exit)).not.toContain(null);
    expect(thrownAway(stdout.slice(0, stdoutBefore))).not.toEqual([]);
    // What comes after the last record is the end of the guard itself.
    const untilRecorded = stdout.lastIndexOf('incident ');
    expect(untilRecorded).toBeGreaterThan(stdoutBefore);
    expect(thrownAway(stdout.slice(stdoutBefore, untilRecorded))).toEqual([]);
  });
});
