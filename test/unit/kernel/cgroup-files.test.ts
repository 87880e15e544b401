import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PidList, parseCgroupBytes } from '../../../src/kernel/cgroup-files.js';
import { hostileBytes } from './recorded.js';

/** What a list holds after these pieces of one file. */
function list(pieces: readonly (string | Uint8Array)[], room = 10) {
  const pids = new PidList(room);
  pids.clear();
  for (const piece of pieces) {
    const bytes = Buffer.from(piece as string);
    pids.take(bytes, bytes.length);
  }
  return { pids: [...pids.pids.subarray(0, pids.count)], incomplete: pids.incomplete };
}

describe('PidList', () => {
  it('reads one pid a line', () => {
    expect(list(['1\n23\n4567890\n'])).toEqual({ pids: [1, 23, 4567890], incomplete: false });
    expect(list([''])).toEqual({ pids: [], incomplete: false });
  });

  it('reads the same however the file is cut into pieces', () => {
    const pids = fc.array(fc.integer({ min: 1, max: 4_194_304 }), { maxLength: 10 });
    fc.assert(
      fc.property(pids, fc.array(fc.nat(80)), (some, cuts) => {
        const text = some.map((pid) => `${pid}\n`).join('');
        const at = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length];
        const pieces = at.slice(1).map((end, i) => text.slice(at[i], end));
        expect(list(pieces)).toEqual({ pids: some, incomplete: false });
      }),
    );
  });

  it.each([
    ['a process of another PID namespace', ['0\n7\n'], [7]],
    ['more than there is room for', ['1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n'], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    ['something that is no pid', ['7\nx\n'], [7]],
  ])('%s: incomplete', (_name, pieces, pids) => {
    expect(list(pieces)).toEqual({ pids, incomplete: true });
  });

  it('takes a last line without its end for none, also when another file follows', () => {
    const pids = new PidList(10);
    pids.clear();
    pids.take(Buffer.from('12\n34'), 5);
    pids.beginFile();
    pids.take(Buffer.from('56\n'), 3);
    expect([...pids.pids.subarray(0, pids.count)]).toEqual([12, 56]);
  });

  it('never holds what is no pid, nor more than its room, whatever the bytes are', () => {
    fc.assert(
      fc.property(hostileBytes(Buffer.from('1\n23\n4567890\n')), (bytes) => {
        const { pids } = list([bytes], 5);
        expect(pids.length).toBeLessThanOrEqual(5);
        for (const pid of pids) expect(pid > 0 && pid < 2 ** 31).toBe(true);
      }),
    );
  });
});

describe('parseCgroupBytes', () => {
  it.each([
    ['1073741824\n', 1073741824],
    ['0\n', 0],
    ['max\n', Number.NaN],
    ['', Number.NaN],
  ])('%j: %j', (text, bytes) => {
    expect(parseCgroupBytes(Buffer.from(text), text.length)).toBe(bytes);
  });
});
