import { describe, expect, it } from 'vitest';
import { adviceFor } from '../../../src/explain/advice.js';
import { explain, headline, timeOf } from '../../../src/explain/words.js';
import type { IncidentCandidate, IncidentRecord } from '../../../src/shared/incident.js';
import { anIncident } from './incident.js';

const MIB = 1024;

const text = (changes: Partial<IncidentRecord> = {}): string =>
  explain(anIncident(changes))
    .map(({ title, lines }) => [title, ...lines].join('\n'))
    .join('\n');
const advice = (changes: Partial<IncidentRecord> = {}): string =>
  adviceFor(anIncident(changes))
    .map(({ because, remedy }) => `${because} ${remedy}`)
    .join('\n');

const { victim, timelineUs, why, candidates } = anIncident();
const larger = (changes: Partial<IncidentCandidate> = {}): IncidentCandidate[] => [
  ...candidates,
  {
    pid: 99,
    name: 'java',
    score: 800,
    oomScore: 800,
    oomScoreAdj: 0,
    rssKib: 9e6,
    anonKib: 9e6,
    passedOver: null,
    ...changes,
  },
];

describe('an incident in words', () => {
  it('says when, what fell below what, and the pressure', () => {
    expect(timeOf(anIncident())).toBe('2026-11-21 18:42:00 UTC');
    expect(text()).toContain(
      "Memory had fallen to SIGTERM's limit, 5.00 % of memory: 700 MiB of 15036 MiB (4.66 %) were available, there is no swap.",
    );
    expect(text()).toContain('some 12.50 % over 10 s, 3.00 % over 60 s; full 1.00 % over 10 s, 0.50 % over 60 s.');
  });

  it('says who it was, what came back and how long each step took', () => {
    expect(text()).toContain('SIGTERM went to process 4711 "hog" of uid 1000, arguments "hog --eat all"; it ended.');
    expect(text()).toContain('5119 MiB of 5120 MiB expected came back');
    expect(text()).toContain('0.7 ms  SIGTERM was sent');
    expect(text()).toContain('15.7 ms  its end was seen');
    expect(text()).not.toContain('process_mrelease');
  });

  it('says of each of the others why it was not that one', () => {
    const spared = text({ candidates: larger({ name: 'sshd', passedOver: 'the way in' }) });
    expect(spared).toContain('process 99 "sshd": score 800, of its own 8789 MiB; passed over: the way in');
    expect(spared).toContain('process 12 "small": score 700, of its own 1 MiB; lower in the order');
    expect(spared).not.toContain('process 4711 "hog": score');
  });

  it("names the limits of SIGKILL, swap's limits and a rule where it was those", () => {
    const limits = { ...why.limits, swapKillPercent: 10 };
    const before = { ...anIncident().before, swapTotalKib: 1000, swapFreeKib: 50 };
    const kill = text({ why: { ...why, level: 'kill', limits }, before });
    expect(kill).toContain("SIGKILL's limit, 3.00 % of memory and 10.00 % of swap");
    expect(kill).toContain('5.00 % of swap were free');
    expect(text({ why: { ...why, by: 'rule', rule: 'stalled' } })).toContain(
      'The rule stalled asked for SIGTERM: 700 MiB',
    );
  });

  it.each([
    ['gone', { outcome: 'gone' as const }, 'it had ended before the signal'],
    ['failed', { outcome: 'failed' as const, errno: 1 }, 'the kill failed (error 1)'],
    ['dry run', { outcome: 'dry run' as const }, 'nobody was signalled'],
    ['outlived SIGKILL', { outcome: 'outlived SIGKILL' as const }, 'it was still there when the guard gave it up'],
  ])('tells the outcome: %s', (_outcome, changes, expected) => {
    expect(text(changes)).toContain(expected);
  });

  it('says what is not known', () => {
    const none = { avg10: null, avg60: null, totalMs: null };
    const unknown = text({
      pressure: { some: none, full: none },
      expectedKib: null,
      gaveBackKib: null,
      victim: { ...victim, anonKib: null, score: null },
    });
    expect(unknown).toContain('Memory pressure (PSI) is not known.');
    expect(unknown).toContain('of its own unknown');
    expect(unknown).toContain('How much was to be expected is not known.');
  });

  it('says that memory did not come back', () => {
    expect(text({ timelineUs: { ...timelineUs, memoryBack: null } })).toContain(
      'A second after its end memory was still',
    );
  });

  it('has a headline', () => {
    expect(headline(anIncident())).toBe(
      '20261121T184200Z-0001  SIGTERM 4711 "hog": exited, 5119 MiB of 5120 MiB expected came back',
    );
  });
});

describe('advice', () => {
  it('always says how to protect the victim, its name as a pattern for exactly that', () => {
    expect(advice({ victim: { ...victim, name: "a.b'c" } })).toContain(
      `--ignore '^a\\.b'\\''c$' ([selection] ignore = "^a\\\\.b'c$")`,
    );
  });

  it('to rank by memory, where a small one with a raised oom_score_adj died before a larger one', () => {
    const marked = { ...victim, oomScoreAdj: 500, anonKib: 50 * MIB };
    const given = advice({ victim: marked, candidates: larger() });
    expect(given).toContain(
      '"java" (process 99) held 8789 MiB, the victim 50 MiB: its oom_score_adj of 500 put it first.',
    );
    expect(given).toContain('--rank-by memory');
    expect(advice({ victim: marked, candidates: larger(), ranking: 'memory' })).not.toContain('--rank-by');
    expect(advice()).not.toContain('--rank-by');
  });

  it.each([
    ['the way in', '--no-way-in'],
    ['--ignore', 'take its name out of --ignore'],
    ['--ignore-root-user', 'leave --ignore-root-user'],
    ['oom_score_adj -1000', 'OOMScoreAdjust='],
    ['set aside', 'earlier incidents'],
  ])('where a larger one was passed over: %s', (passedOver, expected) => {
    expect(advice({ candidates: larger({ passedOver }) })).toContain(expected);
    expect(advice({ candidates: larger({ passedOver, anonKib: MIB }) })).not.toContain(expected);
  });

  it.each<[string, Partial<IncidentRecord>, string]>([
    ['too little came back', { gaveBackKib: MIB }, 'Shmem'],
    ['it may not be signalled', { outcome: 'failed', errno: 1 }, 'CAP_KILL'],
    ['it was a dry run', { outcome: 'dry run' }, 'dryrun = false'],
    ['it outlived SIGTERM', { outcome: 'outlived SIGTERM' }, 'SIGKILL at once'],
    ['it outlived SIGKILL', { outcome: 'outlived SIGKILL' }, 'put aside'],
    [
      'the hook was slow',
      { timelineUs: { ...timelineUs, hookStarted: 0, hookEnded: 150_000 } },
      '150 ms for the -P program',
    ],
    [
      'it got no SIGTERM first',
      { why: { ...why, level: 'kill' }, timelineUs: { ...timelineUs, sigterm: null, sigkill: 700 } },
      'a higher SIGTERM limit',
    ],
  ])('where %s', (_case, changes, expected) => {
    expect(advice(changes)).toContain(expected);
    expect(advice()).not.toContain(expected);
  });
});
