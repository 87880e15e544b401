/* Live fire, seen from outside: the state page and the event log after kills, restarts and deaths of the guard. */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { GuardEvent } from '../../src/shared/event.js';
import * as layout from '../../src/state/layout.js';
import { configDirectory } from '../support/config-files.js';
import { inNamespace, namespacesWork } from '../support/namespace.js';
import { bin } from '../support/programs.js';
import { type ReloadResult, type ReloadStep, reloading } from '../support/reload.js';
import { describeIf } from '../support/requires.js';

/* Far enough away for what else the machine does in half a minute. */
const HOG = { maxMib: 1400, rateMibPerS: 500, holdMs: 500 };
const NEAR = '[memory]\nterm = "LIMIT(800)"\nkill = "1%"\n';
/** Long enough for a start to be over, and for what waits to be written. */
const SEALED: ReloadStep = { sleep: 4000 };
const WRITTEN: ReloadStep = { sleep: 1500 };
const START: ReloadStep[] = [{ start: true }, { until: 'SIGKILL when' }, SEALED];

function runtimeDir(): string {
  const directory = mkdtempSync('/dev/shm/oom-backstop-test-');
  chmodSync(directory, 0o755);
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

function pageOf(file: string) {
  const bytes = readFileSync(file);
  const number = (name: string): number => bytes.readDoubleLE(layout.NUMBERS_AT + layout.numberIndex(name) * 8);
  const decision = (slot: number): Record<string, number | string> => {
    const at = layout.decisionAt(slot);
    const commAt = at + layout.DECISION_NUMBERS.length * 8;
    return {
      ...Object.fromEntries(layout.DECISION_NUMBERS.map((name, place) => [name, bytes.readDoubleLE(at + place * 8)])),
      comm: bytes.toString('utf8', commAt, commAt + layout.DECISION_COMM_BYTES).replace(/\0+$/, ''),
    };
  };
  return { number, decision, even: bytes.readUInt32LE(layout.SEQUENCE_AT) % 2 === 0 };
}

const eventsOf = (directory: string): GuardEvent[] =>
  readFileSync(path.join(directory, 'events.ndjson'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as GuardEvent);

const names = (events: GuardEvent[]): string[] => events.map(({ event }) => event);

/** Names of counters, histograms' buckets included, that are lower in the second page. */
function fallen(before: string, after: string): string[] {
  const [old, now] = [pageOf(before), pageOf(after)];
  const from = layout.numberIndex('startsTotal');
  return layout.NUMBERS.slice(from).filter((name) => now.number(name) < old.number(name));
}

function scenario(directory: string, steps: ReloadStep[]): Promise<ReloadResult> {
  const configuration = configDirectory({ 'config.toml': '' });
  const file = path.join(configuration, 'config.toml');
  const guard = [bin('oom-backstop'), '--config', file, '-r', '0', '--runtime-dir', directory];
  return reloading({ guard, file, steps: [{ write: NEAR }, ...steps] });
}

describeIf(namespacesWork, 'needs unshare --pid (root)', 'the state page of a guard', () => {
  it('has counted a kill once, at its label, with victim and timings; the events are in order', async () => {
    const directory = runtimeDir();
    const { hogs, guardPid } = await inNamespace({
      hogs: [{ rateMibPerS: 400, maxMib: 500, name: 'hog' }],
      guard: {
        program: bin('oom-backstop'),
        args: ['-M', 'LIMITS', '-r', '0', '--runtime-dir', directory, '-N', '/bin/true'],
      },
      settleMs: 1500,
      afterMs: 1500,
    });
    const { number, decision, even } = pageOf(path.join(directory, 'state'));
    // Others on this machine may have taken memory to the limit when nobody was there to be killed.
    const counted = layout.NUMBERS.filter((name) => /^(kills|dryrunKills|failures)Total/.test(name)).filter(
      (name) => name !== 'failuresTotal:nobody' && number(name) !== 0,
    );
    expect(counted).toEqual(['killsTotal:oom-backstop:limit:term']);
    expect([even, number('killsTotal:oom-backstop:limit:term'), number('pid')]).toEqual([true, 1, guardPid]);
    expect(number('crossingsTotal:term')).toBeGreaterThanOrEqual(1);
    expect([number('hookRunsTotal:after-kill:ok'), number('decisionsTotal'), number('droppedEventsTotal')]).toEqual([
      1, 1, 0,
    ]);
    const first = decision(0);
    expect(first).toMatchObject({ pid: hogs[0]?.pid, uid: 0, signal: 0, outcome: 1, comm: 'hog' });
    expect(first['killMs']).toBeGreaterThan(0);
    expect(first['backMs']).toBeGreaterThanOrEqual(first['killMs'] as number);
    expect(first['freedKib']).toBeGreaterThan(100 * 1024);
    expect(number('freedKibTotal')).toBe(first['freedKib']);
    expect(number('lastKillUnixMs')).toBeGreaterThanOrEqual(first['unixMs'] as number);
    // One span each.
    for (const name of ['kill', 'back']) {
      const buckets = layout.NUMBERS.filter((each) => each.startsWith(`${name}Bucket`));
      expect(buckets.reduce((sum, each) => sum + number(each), 0)).toBe(1);
    }

    const events = eventsOf(directory);
    expect(names(events)[0]).toBe('start');
    expect(names(events).at(-1)).toBe('stop');
    expect(events.every(({ schema }) => schema === 1)).toBe(true);
    const [crossed, signalled, ended] = ['crossed', 'signalled', 'ended'].map((name) => names(events).indexOf(name));
    expect(crossed).toBeGreaterThan(-1);
    expect(signalled).toBeGreaterThan(crossed as number);
    expect(ended).toBeGreaterThan(signalled as number);
    expect(names(events).slice(ended)).toContain('memory-back');
    expect(events.find(({ event }) => event === 'ended')).toMatchObject({
      pid: hogs[0]?.pid,
      name: 'hog',
      outcome: 'exited',
      signal: 'term',
      reason: 'limit',
      rule: null,
      freedKib: first['freedKib'],
    });
    expect(events).toContainEqual(expect.objectContaining({ event: 'hook', hook: 'after-kill', result: 'ok' }));
    const times = events.map(({ timeUnixMs }) => timeUnixMs);
    expect(Math.max(...times) - Math.min(...times)).toBeLessThan(60_000);
  });

  it('of the earlyoom persona counts under its own name, and its lines are earlyoom’s', async () => {
    const directory = runtimeDir();
    const { stderr } = await inNamespace({
      hogs: [{ rateMibPerS: 400, maxMib: 500 }],
      guard: {
        program: 'env',
        args: [`RUNTIME_DIRECTORY=${directory}`, bin('earlyoom'), '-M', 'LIMITS', '-r', '0'],
      },
      settleMs: 1500,
      afterMs: 1500,
    });
    const { number } = pageOf(path.join(directory, 'state'));
    expect([number('killsTotal:earlyoom:limit:term'), number('persona')]).toEqual([1, 1]);
    expect(stderr).not.toMatch(/state page|no records|events\.ndjson|lock/);
  });

  it('a dry run counts as such and as nothing else', async () => {
    const directory = runtimeDir();
    await inNamespace({
      hogs: [{ rateMibPerS: 400, maxMib: 500, holdMs: 1500 }],
      guard: {
        program: bin('oom-backstop'),
        args: ['--dryrun', '-M', 'LIMITS', '-r', '0', '--runtime-dir', directory],
      },
      settleMs: 1500,
      afterMs: 1500,
    });
    const { number, decision } = pageOf(path.join(directory, 'state'));
    expect(number('dryrunKillsTotal')).toBeGreaterThanOrEqual(1);
    expect([number('dryrun'), number('killsTotal:oom-backstop:limit:term'), number('lastKillUnixMs')]).toEqual([
      1, 0, -1,
    ]);
    expect(decision(0)['outcome']).toBe(layout.OUTCOMES.indexOf('dry run'));
  });

  it('no counter falls when the guard is restarted, or killed, or reloaded', async () => {
    const directory = runtimeDir();
    const state = path.join(directory, 'state');
    const kept = (name: string): string => path.join(directory, name);
    const copy = (name: string): ReloadStep => ({ copy: [state, kept(name)] });
    const { hogs, running } = await scenario(directory, [
      ...START,
      { fire: HOG },
      WRITTEN,
      copy('before'),
      { end: 'SIGTERM' },
      ...START,
      copy('restarted'),
      { end: 'SIGKILL' },
      ...START,
      copy('after-kill'),
      { hup: { times: 1, gapMs: 0 } },
      { until: 'starting anew with it\\n[^]*SIGKILL when' },
      SEALED,
      { fire: HOG },
      WRITTEN,
    ]);
    expect([running, hogs.map(({ events }) => events.includes('term'))]).toEqual([true, [true, true]]);
    const pages = ['before', 'restarted', 'after-kill', 'state'].map(kept);
    for (const [place, file] of pages.entries()) {
      expect(pageOf(file).number('startsTotal')).toBe(place + 1);
      expect(place === 0 ? [] : fallen(pages[place - 1] as string, file)).toEqual([]);
    }
    const { number, decision } = pageOf(state);
    expect([number('killsTotal:oom-backstop:limit:term'), number('decisionsTotal')]).toEqual([2, 2]);
    expect([decision(0)['pid'], decision(1)['pid']]).toEqual(hogs.map(({ pid }) => pid));
    expect(names(eventsOf(directory)).filter((name) => ['start', 'reload', 'stop'].includes(name))).toEqual([
      'start',
      'stop',
      'start',
      // Killed: of that nobody can tell.
      'start',
      'reload',
      'start',
      'stop',
    ]);
  });

  it('a second guard beside it, or a check, leaves it alone', async () => {
    const directory = runtimeDir();
    const state = path.join(directory, 'state');
    const held = 'no state page: .*/state: process \\d+ has it\\n';
    const { pid, stderr } = await scenario(directory, [
      ...START,
      { beside: { args: ['--dryrun'], until: held } },
      { beside: { args: ['--check-config', '-M', 'nonsense'], until: 'fatal' } },
      { fire: HOG },
      WRITTEN,
    ]);
    expect(stderr).not.toContain('no state page');
    const { number } = pageOf(state);
    const seen = ['pid', 'dryrun', 'startsTotal', 'killsTotal:oom-backstop:limit:term'].map(number);
    expect(seen).toEqual([pid, 0, 1, 1]);
    expect(names(eventsOf(directory)).filter((name) => name === 'start')).toHaveLength(1);
  });
});
