import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { close, O_DIRECTORY, O_RDONLY, open } from '../../../native-shims/files.js';
import { cString } from '../../../native-shims/libc.js';
import { PidWalk } from '../../../src/sample/pid-walk.js';
import { procTree } from '../../support/proc-tree.js';

function walkOf(directory: string): PidWalk {
  const fd = open(cString(directory), O_RDONLY | O_DIRECTORY);
  onTestFinished(() => void close(fd));
  return new PidWalk(fd);
}

/** What `next` returns until the end or an error, that included. */
function rest(walk: PidWalk): number[] {
  const out = [];
  for (;;) {
    const pid = walk.next();
    out.push(pid);
    if (pid <= 0) return out;
  }
}

const byNumber = (a: number, b: number): number => a - b;

describe('PidWalk', () => {
  it('gives every number once, then 0, again and again after a restart', () => {
    const root = procTree([]);
    const pids = Array.from({ length: 3000 }, (_, index) => 10 + index);
    for (const pid of pids) mkdirSync(path.join(root, String(pid)));
    const walk = walkOf(root);
    for (let round = 0; round < 2; round++) {
      expect(walk.restart()).toBe(0);
      const seen = rest(walk);
      expect(seen.pop()).toBe(0);
      expect(seen.sort(byNumber)).toEqual(pids);
    }
  });

  it('begins anew in the middle', () => {
    const root = procTree([]);
    for (const name of ['7', '8', '9', 'x', '1x']) mkdirSync(path.join(root, name));
    const walk = walkOf(root);
    walk.restart();
    walk.next();
    walk.restart();
    expect(rest(walk).sort(byNumber)).toEqual([0, 7, 8, 9]);
  });

  it('says what is wrong with the directory', () => {
    const walk = new PidWalk(-1);
    expect(walk.restart()).toBe(-9); // EBADF
    expect(walk.next()).toBe(-9);
  });
});
