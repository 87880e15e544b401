import { describe, expect, it } from 'vitest';
import { type LadderFacts, nextStep, type Phase, type Step } from '../../../src/decide/ladder.js';
import { LEVEL_KILL, LEVEL_NONE, LEVEL_TERM } from '../../../src/shared/limits.js';

const NAMES = { [LEVEL_NONE]: 'none', [LEVEL_TERM]: 'term', [LEVEL_KILL]: 'kill' } as const;
const PRE_HOOK_MS = 200;
const TERM_MS = 10_000;
const KILL_MS = 10_000;
const STUCK_MS = 1000;
const BOTH = [false, true];

/* Every combination of facts: each table below says what a phase does, and every row of the whole is checked against it. */
const ALL: LadderFacts[] = ([LEVEL_NONE, LEVEL_TERM, LEVEL_KILL] as const).flatMap((level) =>
  BOTH.flatMap((victimGone) =>
    BOTH.flatMap((preHookDone) =>
      BOTH.flatMap((paused) =>
        [0, 1, PRE_HOOK_MS - 1, PRE_HOOK_MS, TERM_MS - 1, TERM_MS, 1e9].flatMap((elapsedMs) =>
          [0, STUCK_MS - 1, STUCK_MS].map((stuckMs) => ({
            level,
            victimGone,
            preHookDone,
            elapsedMs,
            paused,
            killAfterMs: TERM_MS,
            stuckMs,
          })),
        ),
      ),
    ),
  ),
);

const TABLE: Record<Phase, (facts: LadderFacts) => Step> = {
  watching: ({ level, paused }) => {
    const table = { none: 'wait', term: 'select', kill: 'select' } as const;
    return paused ? 'wait' : table[NAMES[level]];
  },
  'pre-hook': ({ level, victimGone, preHookDone, elapsedMs }) => {
    const over = preHookDone || elapsedMs >= PRE_HOOK_MS;
    const table = { none: 'let-go', term: over ? 'signal' : 'wait', kill: over ? 'signal' : 'wait' } as const;
    return victimGone ? 'exited' : table[NAMES[level]];
  },
  terminating: ({ level, victimGone, elapsedMs }) => {
    const early = { none: 'wait', term: 'wait', kill: 'escalate-by-limit' } as const;
    const late = { none: 'give-up', term: 'escalate-by-time', kill: 'escalate-by-limit' } as const;
    return victimGone ? 'exited' : (elapsedMs < TERM_MS ? early : late)[NAMES[level]];
  },
  killing: ({ victimGone, elapsedMs, stuckMs, level }) => {
    const stuck = stuckMs >= STUCK_MS && level !== LEVEL_NONE;
    return victimGone ? 'exited' : elapsedMs < KILL_MS && !stuck ? 'wait' : 'give-up';
  },
};

const brief = (facts: LadderFacts): string => JSON.stringify(facts);

describe('nextStep', () => {
  it.each(Object.keys(TABLE) as Phase[])('%s: the table, for every combination of facts', (phase) => {
    const wrong = ALL.filter((facts) => nextStep(phase, facts) !== TABLE[phase](facts));
    expect(wrong.map(brief)).toEqual([]);
    expect(ALL).toHaveLength(504);
  });

  const steps = (phase: Phase, where: (facts: LadderFacts) => boolean): Set<Step> =>
    new Set(ALL.filter(where).map((facts) => nextStep(phase, facts)));
  const always = (): boolean => true;

  it('signals nobody while watching: there is no victim yet', () => {
    expect(steps('watching', always)).toEqual(new Set(['wait', 'select']));
    expect(steps('watching', ({ level, paused }) => level === LEVEL_NONE || paused)).toEqual(new Set(['wait']));
  });

  it('selects nobody while a kill is under way', () => {
    for (const phase of ['pre-hook', 'terminating', 'killing'] as const)
      expect(steps(phase, always)).not.toContain('select');
  });

  it('never signals and never escalates a victim that has gone, or after memory has come back', () => {
    for (const phase of ['pre-hook', 'terminating', 'killing'] as const) {
      expect(steps(phase, ({ victimGone }) => victimGone)).toEqual(new Set(['exited']));
      const recovered = steps(phase, ({ level }) => level === LEVEL_NONE);
      for (const step of ['signal', 'escalate-by-limit', 'escalate-by-time'] as const)
        expect(recovered).not.toContain(step);
    }
  });

  it('never waits for longer than its bounds', () => {
    expect(steps('pre-hook', ({ elapsedMs }) => elapsedMs >= PRE_HOOK_MS)).not.toContain('wait');
    expect(steps('terminating', ({ elapsedMs }) => elapsedMs >= TERM_MS)).not.toContain('wait');
    expect(steps('killing', ({ elapsedMs }) => elapsedMs >= KILL_MS)).not.toContain('wait');
  });
});
