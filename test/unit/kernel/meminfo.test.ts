import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  emptyMeminfo,
  MEMINFO_ENTRIES,
  MEMINFO_OK,
  parseMeminfo,
  parseMeminfoShmem,
} from '../../../src/kernel/meminfo.js';
import { hostileBytes, kernelNumber, recorded } from './recorded.js';

const RECORDED = recorded('meminfo');
const UNTOUCHED = { memTotalKib: 1, memAvailableKib: 2, anonPagesKib: 3, swapTotalKib: 4, swapFreeKib: 5 };

function parse(text: string | Uint8Array, length?: number) {
  const bytes = Buffer.from(text as string);
  const out = { ...UNTOUCHED };
  return { result: parseMeminfo(bytes, length ?? bytes.length, out), out };
}

const FULL = `MemTotal: 100 kB
MemFree: 7 kB
MemAvailable: 90 kB
SwapTotal: 50 kB
SwapFree: 40 kB
AnonPages: 10 kB
`;

describe('parseMeminfo', () => {
  it('reads what a real kernel wrote', () => {
    const text = RECORDED.toString();
    const value = (key: string): number => Number(new RegExp(`^${key}: *([0-9]+) kB$`, 'm').exec(text)?.[1]);
    const { result, out } = parse(RECORDED);
    expect(result).toBe(MEMINFO_OK);
    expect(out).toEqual({
      memTotalKib: value('MemTotal'),
      memAvailableKib: value('MemAvailable'),
      anonPagesKib: value('AnonPages'),
      swapTotalKib: value('SwapTotal'),
      swapFreeKib: value('SwapFree'),
    });
    expect(out.memTotalKib).toBeGreaterThan(out.memAvailableKib);
  });

  it.each(MEMINFO_ENTRIES.map((entry, index) => [entry, index + 1] as const))(
    'without %s says so, and with it but no number says that, and leaves the sample before alone',
    (entry, number) => {
      for (const [text, expected] of [
        [FULL.replace(new RegExp(`^${entry}.*\n`, 'm'), ''), number],
        [FULL.replace(entry, `X${entry}`), number],
        [FULL.replace(new RegExp(`^${entry}.*\n`, 'm'), `${entry} kB\n`), -number],
        [FULL.replace(new RegExp(`^${entry}.*\n`, 'm'), `${entry} -5 kB\n`), -number],
      ] as const) {
        const { result, out } = parse(text);
        expect(result).toBe(expected);
        expect(out).toEqual(UNTOUCHED);
      }
    },
  );

  it('takes the first of two equal entries', () => {
    expect(parse(`MemTotal: 1 kB\n${FULL}`).out.memTotalKib).toBe(1);
  });

  it('names the first missing entry of an empty file', () => {
    expect(parse('').result).toBe(1);
  });

  it('does not take SwapFree for MemFree, nor an entry in the middle of a line', () => {
    expect(parse(FULL.replace('MemTotal:', 'HugeMemTotal:')).result).toBe(1);
    expect(parse(FULL.replace('MemFree: 7 kB', 'Fake: MemTotal: 7 kB')).out.memTotalKib).toBe(100);
  });

  it('cut off anywhere in front of the last digit that it needs, it lacks an entry or a number; it never mixes samples', () => {
    const last = FULL.indexOf('10 kB');
    for (let length = 0; length <= FULL.length; length++) {
      const { result, out } = parse(FULL, length);
      if (length <= last) expect([result, out]).toEqual([result, UNTOUCHED]);
      expect(result === MEMINFO_OK).toBe(length > last);
    }
  });

  it('gives back any values, with anything else between them', () => {
    const lines = fc.array(fc.stringMatching(/^[A-Z][A-Za-z()_]{0,20}: +[0-9]{1,12}( kB)?$/), { maxLength: 5 });
    fc.assert(
      fc.property(
        fc.tuple(kernelNumber, kernelNumber, kernelNumber, kernelNumber, kernelNumber),
        lines,
        (values, noise) => {
          const others = noise.filter((line) => !MEMINFO_ENTRIES.some((entry) => line.startsWith(entry)));
          const text = MEMINFO_ENTRIES.map((entry, i) =>
            [...others, `${entry.padEnd(16)}${values[i]} kB`].join('\n'),
          ).join('\n');
          const { result, out } = parse(text); // without a newline at the end
          const [memTotalKib, memAvailableKib, swapTotalKib, swapFreeKib, anonPagesKib] = values;
          expect(result).toBe(MEMINFO_OK);
          expect(out).toEqual({ memTotalKib, memAvailableKib, anonPagesKib, swapTotalKib, swapFreeKib });
        },
      ),
    );
  });

  it('never throws, and never says OK with a number that is negative or none', () => {
    fc.assert(
      fc.property(hostileBytes(RECORDED), fc.integer({ min: -1, max: 3000 }), (bytes, length) => {
        const out = emptyMeminfo();
        const result = parseMeminfo(bytes, length, out);
        expect(Math.abs(result)).toBeLessThanOrEqual(MEMINFO_ENTRIES.length);
        for (const value of Object.values(out)) expect(value).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('parseMeminfoShmem', () => {
  const shmem = (text: string | Buffer): number => parseMeminfoShmem(Buffer.from(text), Buffer.byteLength(text));

  it('reads it from a recorded file', () => {
    const file = recorded('meminfo');
    expect(shmem(file)).toBe(Number(/^Shmem: +(\d+)/m.exec(file.toString('latin1'))?.[1]));
  });

  it.each(['', 'ShmemHugePages: 5 kB\n', 'Shmem: much\n', 'Shmem: -1 kB\n'])('%j: it does not say', (text) => {
    expect(shmem(text)).toBe(-1);
  });

  it('whatever the bytes are: a number or -1', () => {
    fc.assert(
      fc.property(hostileBytes(recorded('meminfo')), (bytes) => {
        expect(parseMeminfoShmem(bytes, bytes.length)).toBeGreaterThanOrEqual(-1);
      }),
    );
  });
});
