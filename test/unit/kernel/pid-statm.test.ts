import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyPidStatm, parsePidStatm } from '../../../src/kernel/pid-statm.js';
import { hostileBytes, kernelNumber, RECORDED_PROCESSES, recorded } from './recorded.js';

function parse(text: string | Uint8Array, length?: number) {
  const bytes = Buffer.from(text as string);
  const out = emptyPidStatm();
  return { ok: parsePidStatm(bytes, length ?? bytes.length, out), out };
}

describe('parsePidStatm', () => {
  it.each(RECORDED_PROCESSES)('reads what a real kernel wrote of %s', (process) => {
    const bytes = recorded(`${process}/statm`);
    const [sizePages, residentPages, sharedPages] = bytes.toString().split(' ').map(Number);
    expect(parse(bytes)).toEqual({ ok: true, out: { sizePages, residentPages, sharedPages } });
  });

  it.each(['', '\n', '1', '1 2', '1 2 ', '1 2\n3', '1 2 -3', '-1 2 3', 'a 2 3', '1 x 3'])('refuses %j', (text) => {
    expect(parse(text).ok).toBe(false);
  });

  it('cut off in front of the third number, it is refused', () => {
    for (let length = 0; length <= 10; length++) expect(parse('55924 448 400 5 0 112 0', length).ok).toBe(false);
    expect(parse('55924 448 400 5 0 112 0', 13).out).toEqual({
      sizePages: 55924,
      residentPages: 448,
      sharedPages: 400,
    });
  });

  it('gives back any numbers', () => {
    fc.assert(
      fc.property(kernelNumber, kernelNumber, kernelNumber, (sizePages, residentPages, sharedPages) => {
        const text = `${sizePages} ${residentPages} ${sharedPages} 5 0 112 0\n`;
        expect(parse(text)).toEqual({ ok: true, out: { sizePages, residentPages, sharedPages } });
      }),
    );
  });

  it('never throws, and never accepts a number that is negative or none', () => {
    fc.assert(
      fc.property(hostileBytes(recorded('ordinary/statm')), (bytes) => {
        const { ok, out } = parse(bytes);
        expect(ok).toBe(Object.values(out).every((value) => value >= 0));
      }),
    );
  });
});
