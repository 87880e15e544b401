import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Moment } from '../../../native-shims/clock.js';
import { SIGKILL, SIGTERM } from '../../../native-shims/pidfd.js';
import type { LadderFacts, Phase } from '../../../src/decide/ladder.js';
import { EventLog } from '../../../src/guard/event-log.js';
import { EVENTS, RecordFile } from '../../../src/guard/record-file.js';
import type { StateFile } from '../../../src/guard/state-file.js';
import { newPage, type StatePolicy, StateRecorder } from '../../../src/guard/state-recorder.js';
import type { MemorySampler } from '../../../src/sample/memory-sampler.js';
import type { GuardEvent } from '../../../src/shared/event.js';
import { LEVEL_KILL, LEVEL_NONE, LEVEL_TERM, type Level } from '../../../src/shared/limits.js';
import { emptyVictim } from '../../../src/shared/victim.js';
import { DECISION_NUMBERS, decisionAt, HOOK_RESULTS, HOOKS, NUMBERS, numberIndex } from '../../../src/state/layout.js';
import { recordingLog } from '../recording-log.js';

const ENOSPC = 28;
const EPERM = 1;
const POLICY: StatePolicy = {
  persona: 'oom-backstop',
  limits: { memTermPercent: 5.5, memKillPercent: 3, swapTermPercent: 100, swapKillPercent: 100 },
  dryrun: false,
};

/** A recorder whose time is set, with its page, its log and its events. */
function recorder(policy = POLICY, state: Partial<StateFile> = { isOurs: true, path: 'state', write: () => 0 }) {
  const directory = mkdtempSync('/dev/shm/oom-backstop-test-');
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const { log, lines } = recordingLog();
  Object.assign(log, { droppedLines: 0 });
  const page = newPage(policy);
  const memory = { memTotalKib: 1000, memAvailableKib: 500, anonPagesKib: 400, swapTotalKib: 0, swapFreeKib: 0 };
  const files = {
    state: state as StateFile,
    events: RecordFile.in({ path: directory, fd: openSync(directory, 'r') }, EVENTS),
  };
  const sampler = { memory } as MemorySampler;
  const made = new StateRecorder(page, files, EventLog.ofGuard(log), policy, { log, sampler }, 1000);
  const now = new Moment();
  now.update();
  made.countTicks(true);
  const victim = emptyVictim();
  Object.assign(victim, { pid: 4711, uid: 1000, rssKib: 300_000, nameLength: 3 });
  victim.name.set(Buffer.from('hog'));
  /** A whole tick, at which `act` happens between deciding and the end. */
  const tick = (level: Level, act: () => void = () => undefined, phase: Phase = 'watching', byRule = false): void => {
    made.waits();
    now.ms += 10.5;
    made.woke(false, 1000, now);
    made.looked(phase, { level } as LadderFacts, byRule, now);
    act();
    made.ticked(phase, level, true, 1000, now);
  };
  const number = (name: string): number => page.numbers[numberIndex(name)] as number;
  const events = (): GuardEvent[] =>
    readdirSync(directory).length === 0
      ? []
      : readFileSync(path.join(directory, 'events.ndjson'), 'utf8')
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as GuardEvent);
  const names = (): string[] => events().map(({ event }) => event);
  const decision = (): Record<string, number> => {
    const view = new DataView(page.bytes.buffer);
    return Object.fromEntries(
      DECISION_NUMBERS.map((name, place) => [name, view.getFloat64(decisionAt(0) + place * 8, true)]),
    );
  };
  /** Chooses and signals. */
  const strike = (signal = SIGTERM, rule: string | null = null) => {
    made.crossed(rule, now);
    made.selected(victim);
    made.signalled(signal);
  };
  const counted = (pattern: RegExp): Record<string, number> =>
    Object.fromEntries(
      [...page.numbers.keys()]
        .map((index) => NUMBERS[index] as string)
        .filter((name) => pattern.test(name) && number(name) !== 0)
        .map((name) => [name, number(name)]),
    );
  return { made, page, memory, lines, log, now, victim, tick, number, events, names, decision, strike, counted };
}

const OUTCOMES = /^(kills|dryrunKills|failures)Total/;

describe('a kill', () => {
  it('is counted when its victim has ended, by the last signal, with what it took and gave', () => {
    const { made, now, tick, strike, counted, number, decision, events } = recorder();
    tick(LEVEL_TERM, strike);
    expect([counted(OUTCOMES), decision()['outcome']]).toEqual([{}, 0]);
    tick(LEVEL_TERM, () => made.signalled(SIGKILL), 'terminating');
    tick(LEVEL_TERM, () => {
      made.freed(250_000);
      made.ended('exited', 0, now);
    });
    expect(counted(OUTCOMES)).toEqual({ 'killsTotal:oom-backstop:limit:kill': 1 });
    expect([number('freedKibTotal'), number('decisionsTotal'), number('backSumMs')]).toEqual([250_000, 1, 0]);
    expect(decision()).toMatchObject({ pid: 4711, uid: 1000, signal: 1, outcome: 1, freedKib: 250_000, backMs: -1 });
    expect(decision()['killMs']).toBe(number('killSumMs'));
    tick(LEVEL_NONE);
    expect(decision()['backMs']).toBe(number('backSumMs'));
    expect(number('backSumMs')).toBeGreaterThan(number('killSumMs'));
    expect(events()).toMatchObject([
      { event: 'crossed', level: 'term', reason: 'limit', rule: null, memory: { memAvailableKib: 500 } },
      { event: 'signalled', signal: 'term', pid: 4711, uid: 1000, name: 'hog', rssKib: 300_000 },
      { event: 'signalled', signal: 'kill' },
      { event: 'ended', outcome: 'exited', signal: 'kill', freedKib: 250_000, errno: null },
      { event: 'memory-back' },
    ]);
    const killMs = events().find(({ event }) => event === 'ended') as { killMs: number };
    expect(killMs.killMs).toBeCloseTo(number('killSumMs'), 3);
  });

  it('whose victim gives its memory back before it ends is over first, and memory back then', () => {
    const { made, now, tick, strike, names } = recorder();
    tick(LEVEL_TERM, strike);
    tick(LEVEL_NONE, undefined, 'terminating');
    tick(LEVEL_NONE, () => made.ended('exited', 0, now));
    tick(LEVEL_NONE);
    expect(names()).toEqual(['crossed', 'signalled', 'ended', 'memory-back']);
  });

  it('by a rule has the rule’s name, and its label', () => {
    const { made, now, tick, strike, counted, events, page } = recorder();
    tick(LEVEL_TERM, () => strike(SIGTERM, 'thrashing'), 'watching', true);
    tick(LEVEL_NONE, () => made.ended('exited', 0, now));
    expect(counted(OUTCOMES)).toEqual({ 'killsTotal:oom-backstop:rule:term': 1 });
    expect(events()[0]).toMatchObject({ event: 'crossed', reason: 'rule', rule: 'thrashing' });
    const at = decisionAt(0) + DECISION_NUMBERS.length * 8;
    expect(Buffer.from(page.bytes).toString('latin1', at, at + 25)).toBe('hog\0\0\0\0\0\0\0\0\0\0\0\0\0thrashing');
  });

  it('of earlyoom has earlyoom’s label', () => {
    const { made, now, tick, strike, counted } = recorder({ ...POLICY, persona: 'earlyoom' });
    tick(LEVEL_TERM, strike);
    tick(LEVEL_NONE, () => made.ended('exited', 0, now));
    expect(counted(OUTCOMES)).toEqual({ 'killsTotal:earlyoom:limit:term': 1 });
  });

  it.each([
    ['outlived SIGTERM', true, { 'failuresTotal:outlived-term': 1 }, 1, 2],
    ['outlived SIGKILL', true, { 'failuresTotal:outlived-kill': 1 }, 1, 3],
    ['failed', true, { 'failuresTotal:syscall': 1 }, 1, 4],
    ['failed', false, { 'failuresTotal:syscall': 1 }, 1, 4],
    ['dry run', false, { dryrunKillsTotal: 1 }, 1, 5],
    // Gone before anybody did anything.
    ['exited', false, {}, 0, 0],
  ] as const)('that %s, signalled: %s, counts as %j', (outcome, signalled, expected, decisions, index) => {
    const { made, now, tick, victim, strike, counted, number, decision } = recorder();
    tick(LEVEL_TERM, () => {
      if (signalled) return strike();
      made.crossed(null, now);
      made.selected(victim);
    });
    tick(LEVEL_TERM, () => made.ended(outcome, outcome === 'failed' ? EPERM : 0, now));
    expect(counted(OUTCOMES)).toEqual(expected);
    expect([number('decisionsTotal'), decision()['outcome'], number('lastKillUnixMs')]).toEqual([decisions, index, -1]);
  });

  it('that brings memory back after the next one has begun has not brought it back', () => {
    const { made, now, tick, strike, number } = recorder();
    tick(LEVEL_TERM, strike);
    tick(LEVEL_TERM, () => made.ended('exited', 0, now));
    tick(LEVEL_TERM, strike);
    tick(LEVEL_TERM, () => made.ended('outlived SIGTERM', 0, now));
    tick(LEVEL_NONE);
    expect(number('backSumMs')).toBe(0);
  });

  it('of the kernel is counted when it was called, and a dry run of it as one', () => {
    const { made, tick, counted, number } = recorder();
    tick(LEVEL_KILL, () => made.kernelOomCalled(null, false));
    tick(LEVEL_KILL, () => made.kernelOomCalled('r', true));
    tick(LEVEL_KILL, () => made.kernelOomFailed(EPERM));
    expect(counted(OUTCOMES)).toEqual({
      'killsTotal:oom-backstop:limit:kernel': 1,
      dryrunKillsTotal: 1,
      'failuresTotal:syscall': 1,
    });
    expect(number('lastKillUnixMs')).toBeGreaterThan(0);
  });
});

describe('a crossing', () => {
  it('is counted once for each time that memory was above', () => {
    const { tick, counted } = recorder();
    const levels: Level[] = [
      LEVEL_TERM,
      LEVEL_TERM,
      LEVEL_KILL,
      LEVEL_TERM,
      LEVEL_NONE,
      LEVEL_KILL,
      LEVEL_NONE,
      LEVEL_NONE,
    ];
    for (const level of levels) tick(level);
    expect(counted(/^crossings/)).toEqual({ 'crossingsTotal:term': 2, 'crossingsTotal:kill': 2 });
  });

  it('from which nothing follows is told once a second; one with a kill always', () => {
    const { made, now, tick, strike, names } = recorder();
    for (let time = 0; time < 20; time++) {
      tick(LEVEL_TERM);
      tick(LEVEL_NONE);
    }
    expect(names()).toEqual(['crossed', 'memory-back']);
    tick(LEVEL_TERM, strike);
    tick(LEVEL_NONE, () => made.ended('exited', 0, now));
    expect(names().slice(2)).toEqual(['crossed', 'signalled', 'ended', 'memory-back']);
    tick(LEVEL_TERM);
    tick(LEVEL_NONE);
    expect(names().slice(6)).toEqual([]);
    // Too early to be told at once, and followed by a kill later.
    tick(LEVEL_TERM);
    tick(LEVEL_TERM, strike);
    tick(LEVEL_NONE, () => made.ended('exited', 0, now));
    expect(names().slice(6)).toEqual(['crossed', 'signalled', 'ended', 'memory-back']);
    now.ms += 1000;
    tick(LEVEL_TERM);
    tick(LEVEL_NONE);
    expect(names().slice(10)).toEqual(['crossed', 'memory-back']);
  });

  it('with nobody to kill says so, after the crossing', () => {
    const { made, tick, names, counted } = recorder();
    tick(LEVEL_TERM, () => made.nobody('no candidate'));
    tick(LEVEL_TERM, () => made.nobody('shared memory'));
    tick(LEVEL_NONE);
    expect(names()).toEqual(['crossed', 'nobody', 'nobody', 'memory-back']);
    expect(counted(OUTCOMES)).toEqual({ 'failuresTotal:nobody': 1 });
  });
});

describe('events', () => {
  it('wait while a kill is under way, and while memory is low for a second', () => {
    const { made, now, tick, strike, names } = recorder();
    tick(LEVEL_TERM, strike, 'terminating');
    now.ms += 5000;
    tick(LEVEL_TERM, undefined, 'terminating');
    expect(names()).toEqual([]);
    tick(LEVEL_TERM, () => made.ended('exited', 0, now));
    expect(names()).toEqual([]);
    now.ms += 1000;
    tick(LEVEL_TERM);
    expect(names()).toEqual(['crossed', 'signalled', 'ended']);
  });

  it('that do not fit are dropped whole, and counted', () => {
    const { made, tick, number, names } = recorder();
    tick(LEVEL_TERM, () => {
      for (let time = 0; time < 1000; time++) made.failed('meminfo', 0);
    });
    tick(LEVEL_NONE);
    tick(LEVEL_NONE);
    expect(number('droppedEventsTotal')).toBeGreaterThan(500);
    const errors = names().filter((name) => name === 'error');
    expect(errors.length + number('droppedEventsTotal')).toBeGreaterThanOrEqual(1000);
    tick(LEVEL_NONE, () => made.failed('trigger', 0));
    expect(names().filter((name) => name === 'error')).toHaveLength(errors.length + 1);
  });

  it('of hooks come at the tick’s end, and are counted at once', () => {
    const { made, tick, counted, events } = recorder();
    const place = [HOOKS.indexOf('notify'), HOOK_RESULTS.indexOf('timeout')] as const;
    made.hookEnded(...place);
    made.hookEnded(...place);
    expect([counted(/^hookRuns/), events()]).toEqual([{ 'hookRunsTotal:notify:timeout': 2 }, []]);
    tick(LEVEL_NONE);
    expect(events()).toMatchObject([1, 2].map(() => ({ event: 'hook', hook: 'notify', result: 'timeout' })));
  });

  it('tell of start, lock, reload, its refusal in whatever words, and stop, at once where the guard ends', () => {
    const { made, tick, events } = recorder();
    made.started();
    made.sealed({ lockedBytes: 2048, refusedBytes: 1, errno: EPERM, limitBytes: 0, narrowed: [] });
    made.reloadRefused('"\n\u{1f600}'.repeat(200));
    tick(LEVEL_NONE);
    made.reloads();
    made.stops('SIGTERM');
    expect(events()).toMatchObject([
      { event: 'start', persona: 'oom-backstop', dryrun: false, limits: { memTermPercent: 5.5 }, pid: process.pid },
      { event: 'sealed', lockedKib: 2, refusedKib: 1, errno: EPERM },
      { event: 'reload-refused' },
      { event: 'reload' },
      { event: 'stop', signal: 'SIGTERM' },
    ]);
  });
});

describe('ticks', () => {
  it('count, but not in a row of the rehearsal’s, nor the time between it and the next', () => {
    const { made, now, tick, number } = recorder();
    made.countTicks(false);
    for (let time = 0; time < 5; time++) tick(LEVEL_NONE);
    made.countTicks(true);
    now.ms -= 5000;
    tick(LEVEL_NONE);
    expect([number('ticksTotal'), number('tickSumMs')]).toEqual([1, 0]);
    tick(LEVEL_NONE);
    expect(number('ticksTotal')).toBe(2);
  });

  it('that ended by their timeout tell how late it was', () => {
    const { made, now, number } = recorder();
    const wait = (timedOut: boolean, waitMs: number, afterMs: number): void => {
      made.waits();
      now.update();
      now.ms += afterMs;
      made.woke(timedOut, waitMs, now);
      made.ticked('watching', LEVEL_NONE, true, 1000, now);
    };
    wait(true, 100, 104);
    expect(number('lagBucket5')).toBe(1);
    expect(number('lagSumMs')).toBeGreaterThanOrEqual(4);
    const before = number('lagSumMs');
    // By an event; without a wait.
    wait(false, 100, 50);
    wait(true, 0, 3);
    expect(number('lagSumMs')).toBe(before);
  });

  it('say what they saw; one that could not read memory keeps the last sample', () => {
    const { made, now, memory, tick, number } = recorder();
    tick(LEVEL_NONE);
    memory.memAvailableKib = 1;
    made.lookFailed();
    made.ticked('killing', LEVEL_NONE, false, 100, now);
    const names = ['memAvailableKib', 'sampleFailuresTotal', 'phase', 'waitMs', 'memTermPercent', 'startsTotal'];
    expect(names.map(number)).toEqual([500, 1, 3, 250, 5.5, 1]);
    expect(number('heartbeatMonotonicMs')).toBe(now.ms);
  });

  it.each([
    ['near the limit four times a second', 11, 100, 5],
    ['far from it every second tick', 1000, 10, 5],
    ['each tick where waits are longer than that', 3000, 10, 10],
  ] as const)('that bring nothing new are written %s', (_, waitMs, ticks, written) => {
    let writes = 0;
    const { made, now, page } = recorder(POLICY, { isOurs: true, path: 'state', write: () => writes++ * 0 });
    for (let tick = 0; tick < ticks; tick++) {
      now.ms += waitMs;
      made.ticked('watching', LEVEL_NONE, true, waitMs, now);
      // Who reads it is told how old it may get, and no more.
      expect(page.numbers[numberIndex('waitMs')]).toBeGreaterThanOrEqual(waitMs);
    }
    expect(writes).toBe(written);
  });

  it('that bring something new are written at once', () => {
    let writes = 0;
    const { made, now, tick, strike } = recorder(POLICY, { isOurs: true, path: 'state', write: () => writes++ * 0 });
    tick(LEVEL_NONE);
    for (const act of [strike, () => made.ended('exited', 0, now)]) tick(LEVEL_TERM, act);
    tick(LEVEL_NONE);
    expect(writes).toBe(4);
    tick(LEVEL_NONE, () => made.hookEnded(0, 0));
    expect(writes).toBe(5);
  });

  it('count lines of the log that nobody took', () => {
    const { log, tick, number } = recorder();
    Object.assign(log, { droppedLines: 3 });
    tick(LEVEL_NONE);
    tick(LEVEL_NONE);
    expect(number('droppedLogLinesTotal')).toBe(3);
  });
});

describe('a page that', () => {
  it.each([
    ['oom-backstop', 2],
    ['earlyoom', 0],
  ] as const)('can’t be written stops nothing, and is told by %s once for each time', (persona, told) => {
    const results = [-ENOSPC, -ENOSPC, 0, -ENOSPC];
    const { tick, lines, now } = recorder(
      { ...POLICY, persona },
      { isOurs: true, path: '/run/state', write: () => results.shift() ?? 0 },
    );
    for (let time = 0; time < 5; time++) {
      tick(LEVEL_NONE);
      now.ms += 2000;
    }
    expect(lines).toEqual(Array(told).fill('warn: /run/state could not be written: ENOSPC'));
  });

  it('another guard has is asked for every 10 s while nothing is urgent, and no event is written beside that guard’s', () => {
    let taken = 0;
    const writes: number[] = [];
    const state: Partial<StateFile> = {
      isOurs: false,
      path: 'state',
      write: () => writes.push(taken) * 0,
      take: () => {
        taken++;
        if (taken === 2) state.isOurs = true;
        return 0;
      },
    };
    const { made, now, tick, names } = recorder(POLICY, state);
    made.failed('trigger', 0);
    for (let time = 0; time < 5; time++) tick(LEVEL_NONE);
    expect([taken, writes, names()]).toEqual([1, [], []]);
    now.ms += 10_000;
    tick(LEVEL_TERM);
    tick(LEVEL_NONE, undefined, 'killing');
    expect(taken).toBe(1);
    tick(LEVEL_NONE);
    made.failed('trigger', 0);
    tick(LEVEL_NONE);
    expect([taken, writes, names()]).toEqual([2, [2], ['error']]);
  });
});
