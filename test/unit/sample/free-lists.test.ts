import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { FreeLists } from '../../../src/sample/free-lists.js';
import { procTree } from '../../support/proc-tree.js';

function listsOf(root: string): FreeLists {
  const lists = FreeLists.open(root);
  if (typeof lists === 'number') throw new Error(`${root}: ${lists}`);
  return lists;
}

it('says with -errno that there is no zoneinfo', () => {
  expect(FreeLists.open(procTree([]))).toBe(-2); // ENOENT
});

it('reads the file anew each time, to its end, in KiB', () => {
  const root = procTree([]);
  const file = path.join(root, 'zoneinfo');
  const node = (count: number): string =>
    `Node 0, zone Normal\n  pagesets\n    cpu: 0\n              count:    ${count}\n`;
  writeFileSync(file, node(100));
  const lists = listsOf(root);
  expect(lists.read()).toBe(400);
  // More than one buffer, as on a machine with many nodes.
  writeFileSync(file, `${node(5)}${'\n'.repeat(262144 - node(5).length)}${node(7)}`);
  expect(lists.read()).toBe(48);
  writeFileSync(file, '');
  expect(lists.read()).toBe(0);
  lists.close();
});

it('the machine that these tests run on has such lists', () => {
  const lists = listsOf('/proc');
  expect(lists.read()).toBeGreaterThan(0);
  lists.close();
});
