import { describe, expect, it } from 'vitest';
import type { Facts, RuleFacts } from '../../../src/check/facts.js';
import { examine } from '../../../src/check/findings.js';
import { ruleFindings } from '../../../src/check/rule-findings.js';
import { GOOD, NO_RULE, optionsOf } from './facts.js';

/** What is found of one rule. */
function found(rule: Partial<RuleFacts>, facts: Partial<Facts> = {}): [string, string] {
  const [first, ...more] = ruleFindings({ ...GOOD, ...facts, rules: [{ ...NO_RULE, ...rule }] });
  expect([first?.id, more]).toEqual(['psi-rule', []]);
  return [first?.severity as string, first?.found as string];
}

const PSI_OFF = { pressure: { readError: 'Operation not supported', windowMs: null, triggerError: 'x' } };
const OF_CGROUP: Partial<RuleFacts> = { cgroup: 'a/*', matches: 3 };

describe('a PSI rule', () => {
  it.each<[string, Partial<RuleFacts>, Partial<Facts>, [string, string]]>([
    ['of the machine', {}, {}, ['ok', '"r": w']],
    [
      'without PSI',
      {},
      PSI_OFF,
      ['warning', '"r" can not work: memory pressure can\'t be read: Operation not supported'],
    ],
    ['of cgroups', OF_CGROUP, {}, ['ok', '"r": 3 cgroups match: w']],
    ['that nothing matches', { ...OF_CGROUP, matches: 0 }, {}, ['note', '"r": no cgroup matches \'a/*\' now']],
    [
      'whose pressure is hidden',
      { ...OF_CGROUP, matches: 1, unreadable: 1 },
      {},
      ['warning', '"r": 1 cgroup matches, and memory.pressure of 1 of them can\'t be read'],
    ],
    [
      'that kills whole cgroups, without cgroup.kill',
      { ...OF_CGROUP, whole: true, unkillable: 2 },
      {},
      ['warning', '"r": 3 cgroups match, and 2 of them have no cgroup.kill: their largest process is killed instead'],
    ],
    [
      'that kills one process, without cgroup.kill',
      { ...OF_CGROUP, unkillable: 2 },
      {},
      ['ok', '"r": 3 cgroups match: w'],
    ],
    [
      'of cgroups, without cgroup v2',
      { cgroup: 'a' },
      {},
      ['warning', '"r" can not work: cgroup v2 is not mounted, or can\'t be read'],
    ],
    [
      'of cgroups, in a tree without mounts',
      { cgroup: 'a' },
      { cgroup: null },
      ['note', '"r": not known: the tree shows no mounts'],
    ],
  ])('%s', (_name, rule, facts, expected) => {
    expect(found(rule, facts)).toEqual(expected);
  });

  it('that is not there is a note; in the earlyoom persona nothing is said of rules', () => {
    expect(ruleFindings({ ...GOOD, rules: [] }).map(({ severity }) => severity)).toEqual(['note']);
    const ids = examine(GOOD, optionsOf([], 'earlyoom'), { mistakes: [], warnings: [] } as never).map(({ id }) => id);
    expect(ids).not.toContain('psi-rule');
  });
});
