import { describe, expect, it } from 'vitest';
import { ProcessList } from '../../../src/guard/process-list.js';

describe('ProcessList', () => {
  it('knows a process by pid and start time together', () => {
    const list = new ProcessList();
    list.add(20, 500);
    expect([list.has(20, 500), list.has(20, 501), list.has(21, 500)]).toEqual([true, false, false]);
  });

  it('remembers the last sixteen', () => {
    const list = new ProcessList();
    for (let pid = 1; pid <= 17; pid++) list.add(pid, pid);
    expect([list.has(1, 1), list.has(2, 2), list.has(17, 17)]).toEqual([false, true, true]);
  });
});
