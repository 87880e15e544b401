import { describe, expect, it } from 'vitest';
import { groupRows, groupTargets } from '../../../src/decide/process-group.js';
import {
  MARK_CHILD,
  MARK_IGNORED,
  MARK_SELF,
  MARK_SET_ASIDE,
  MARK_UNREADABLE,
} from '../../../src/shared/candidates.js';
import { EARLYOOM_SELECTION } from '../../../src/shared/selection.js';
import { BY_SCORE, type Candidate, tableOf } from './candidates.js';

const VICTIM: Candidate = { pid: 20, pgrp: 20, oomScoreAdj: 0 };
const MEMBER: Candidate = { pid: 21, pgrp: 20, oomScoreAdj: 0 };
const STRANGER: Candidate = { pid: 30, pgrp: 30, oomScoreAdj: 0 };

describe('groupTargets', () => {
  it('is the whole group, in one signal', () => {
    const table = tableOf([STRANGER, VICTIM, MEMBER]);
    expect(groupTargets(table, 1, BY_SCORE)).toEqual({ pgid: 20, rows: [1, 2] });
    expect(groupTargets(table, 2, BY_SCORE)).toEqual({ pgid: 20, rows: [1, 2] }); // whoever of it was chosen
    expect(groupRows(table, 20)).toEqual([1, 2]);
  });

  it.each([
    ['the guard itself', { marks: MARK_SELF }],
    ["a hook of the guard's", { marks: MARK_CHILD }],
    ['oom_score_adj -1000', { oomScoreAdj: -1000 }],
    ['--ignore', { marks: MARK_IGNORED }],
    ['one that could not be read', { marks: MARK_UNREADABLE }],
    ['pid 1', { pid: 1 }],
    ['a kernel thread', { ppid: 2 }],
  ])('with %s in the group, the others get the signal one by one', (_case, spared) => {
    const table = tableOf([VICTIM, { ...MEMBER, ...spared }, { ...MEMBER, pid: 22 }]);
    expect(groupTargets(table, 0, BY_SCORE)).toEqual({ pgid: 0, rows: [0, 2] });
  });

  it("with root's process in the group under --ignore-root-user, likewise", () => {
    const table = tableOf([
      { ...VICTIM, uid: 1000 },
      { ...MEMBER, uid: 0 },
    ]);
    expect(groupTargets(table, 0, { ...EARLYOOM_SELECTION, ignoreRootUser: true })).toEqual({
      pgid: 0,
      rows: [0],
    });
    expect(groupTargets(table, 0, BY_SCORE)).toEqual({ pgid: 20, rows: [0, 1] });
  });

  it.each([
    ['dead', { state: 'Z', numThreads: 1 }],
    ['set aside', { marks: MARK_SET_ASIDE }],
  ])('a member that is %s does not stand in the way of the one signal', (_case, harmless) => {
    const table = tableOf([VICTIM, { ...MEMBER, ...harmless }]);
    expect(groupTargets(table, 0, BY_SCORE)).toEqual({ pgid: 20, rows: [0] });
  });

  it.each([0, 1, -1])('of group %d is the victim alone: that group is never signalled', (pgrp) => {
    const table = tableOf([
      { ...VICTIM, pgrp },
      { ...MEMBER, pgrp },
    ]);
    expect(groupTargets(table, 0, BY_SCORE)).toEqual({ pgid: 0, rows: [0] });
  });
});
