import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyPressure, parsePressure } from '../../../src/kernel/pressure.js';
import { hostileBytes, kernelNumber, recorded } from './recorded.js';

const RECORDED = recorded('pressure-memory');

function parse(text: string | Uint8Array, length?: number) {
  const bytes = Buffer.from(text as string);
  const out = emptyPressure();
  return { ok: parsePressure(bytes, length ?? bytes.length, out), out };
}

describe('parsePressure', () => {
  it('reads what a real kernel wrote', () => {
    const totals = [...RECORDED.toString().matchAll(/total=([0-9]+)/g)].map((match) => Number(match[1]));
    expect(parse(RECORDED)).toEqual({ ok: true, out: { someTotalUs: totals[0], fullTotalUs: totals[1] } });
  });

  it.each([
    ['empty', ''],
    ['only the line of some (the cpu file of Linux 5.12)', 'some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n'],
    ['only the line of full', 'full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n'],
    ['a total missing', 'some avg10=0.00\nfull avg10=0.00 total=7\n'],
    ['a total without a number', 'some total=\nfull total=7\n'],
    ['a negative total', 'some total=-7\nfull total=7\n'],
    ['total inside another word', 'some subtotal=7\nfull total=7\n'],
    ['both on one line', 'some full total=7'],
  ])('refuses a file: %s', (_case, text) => {
    expect(parse(text).ok).toBe(false);
  });

  it.each([
    [
      'fields in another order and new ones',
      'full total=4 new=9\nirq total=8\nsome avg10=1.00 total=3 avg60=2.00\n',
      3,
      4,
    ],
    ['no newline at the end', 'some total=3\nfull total=4', 3, 4],
    [
      'totals beyond what JavaScript holds exactly',
      `some total=${'9'.repeat(30)}\nfull total=4`,
      Number.MAX_SAFE_INTEGER,
      4,
    ],
  ])('reads %s', (_case, text, someTotalUs, fullTotalUs) => {
    expect(parse(text)).toEqual({ ok: true, out: { someTotalUs, fullTotalUs } });
  });

  it('cut off anywhere in front of the last total, it is refused', () => {
    const needed = RECORDED.lastIndexOf('total=') + 'total='.length;
    for (let length = 0; length <= RECORDED.length; length++) expect(parse(RECORDED, length).ok).toBe(length > needed);
  });

  it('gives back any totals', () => {
    fc.assert(
      fc.property(kernelNumber, kernelNumber, (someTotalUs, fullTotalUs) => {
        const line = (kind: string, total: number): string =>
          `${kind} avg10=99.99 avg60=0.10 avg300=0.00 total=${total}\n`;
        const text = line('some', someTotalUs) + line('full', fullTotalUs);
        expect(parse(text)).toEqual({ ok: true, out: { someTotalUs, fullTotalUs } });
      }),
    );
  });

  it('never throws, and never accepts a total that is negative or none', () => {
    fc.assert(
      fc.property(hostileBytes(RECORDED), (bytes) => {
        const { ok, out } = parse(bytes);
        expect(ok).toBe(out.someTotalUs >= 0 && out.fullTotalUs >= 0);
      }),
    );
  });
});
