import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseLastPid } from '../../../src/kernel/loadavg.js';
import { hostileBytes, kernelNumber, recorded } from './recorded.js';

const RECORDED = recorded('loadavg');

function parse(text: string | Uint8Array, length?: number): number {
  const bytes = Buffer.from(text as string);
  return parseLastPid(bytes, length ?? bytes.length);
}

describe('parseLastPid', () => {
  it('reads what a real kernel wrote', () => {
    expect(parse(RECORDED)).toBe(Number(/([0-9]+)\n$/.exec(RECORDED.toString())?.[1]));
  });

  it.each([
    ['empty', ''],
    ['a field short', '0.00 0.00 0.00 1/99\n'],
    ['the pid on another line', '0.00 0.00 0.00 1/99\n4711\n'],
    ['no number', '0.00 0.00 0.00 1/99 pid\n'],
    ['negative, as in a namespace that has given out none', '0.00 0.00 0.00 1/99 -1\n'],
  ])('has none for a file: %s', (_case, text) => {
    expect(parse(text)).toBeNaN();
  });

  it('has none where the read failed or stopped anywhere', () => {
    expect(parse(RECORDED, -5)).toBeNaN();
    for (let length = 0; length < RECORDED.length; length++) expect(parse(RECORDED, length)).toBeNaN();
  });

  it('gives back any pid', () => {
    fc.assert(
      fc.property(kernelNumber, (pid) => {
        expect(parse(`1.41 16.61 13.78 1/10095 ${pid}\n`)).toBe(pid);
      }),
    );
  });

  it('never throws, and never gives a negative one', () => {
    fc.assert(
      fc.property(hostileBytes(RECORDED), (bytes) => {
        expect(parse(bytes) < 0).toBe(false);
      }),
    );
  });
});
