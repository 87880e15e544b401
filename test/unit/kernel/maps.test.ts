import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMappings } from '../../../src/kernel/maps.js';
import { hostileBytes } from './recorded.js';

const TEXT = '00b72000-025fe000 r-xp 00772000 fe:00 260689                             /usr/bin/node\n';
const FIELDS = `Size:              27184 kB
KernelPageSize:        4 kB
Rss:               20576 kB
Private_Dirty:         0 kB
Anonymous:             8 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
Swap:                  4 kB
SwapPss:               2 kB
Locked:                0 kB
VmFlags: rd ex mr mw me
`;

const nameOf = (name: string): string | undefined =>
  parseMappings(`7f00-8f00 r--p 00000000 fe:00 12${name === '' ? '' : ` ${name}`}\n`)[0]?.name;

describe('parseMappings', () => {
  it('reads a heading', () => {
    expect(parseMappings(TEXT)).toEqual([
      {
        start: 0xb72000,
        end: 0x25fe000,
        readable: true,
        writable: false,
        executable: true,
        shared: false,
        inode: 260689,
        name: '/usr/bin/node',
        writtenKib: Number.NaN,
      },
    ]);
  });

  it('adds up what was written, in memory and in swap, and knows it of smaps only', () => {
    const written = (text: string): number[] => parseMappings(text).map(({ writtenKib }) => writtenKib);
    expect(written(TEXT + FIELDS)).toEqual([12]);
    expect(written(TEXT + TEXT)).toEqual([Number.NaN, Number.NaN]);
    expect(written(TEXT + TEXT + FIELDS + TEXT)).toEqual([Number.NaN, 12, Number.NaN]);
    expect(written(FIELDS + TEXT)).toEqual([Number.NaN]);
    // No field of a mapping that is itself passed over.
    expect(written(`${TEXT}ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n${FIELDS}`)).toEqual([
      Number.NaN,
    ]);
  });

  it.each([
    ['', ''],
    ['[heap]', '[heap]'],
    ['                   /a b/ c (deleted)', '/a b/ c (deleted)'],
    ['/tmp/two\\012lines', '/tmp/two\\012lines'],
    ['/tmp/trailing ', '/tmp/trailing '],
    ['/00400000-00500000 r-xp 00000000 fe:00 12', '/00400000-00500000 r-xp 00000000 fe:00 12'],
    ['/carriage\rreturn\u2028', '/carriage\rreturn\u2028'],
    ['anon_inode:[io_uring]', 'anon_inode:[io_uring]'],
  ])('takes a name to the end of the line: %j', (written, name) => {
    expect(nameOf(written)).toBe(name);
  });

  it.each([
    ['no inode', '7f00-8f00 r--p 00000000 fe:00\n'],
    ['no end', '7f00 r--p 00000000 fe:00 12\n'],
    ['an end before the start', '8f00-7f00 r--p 00000000 fe:00 12\n'],
    ['an empty range', '7f00-7f00 r--p 00000000 fe:00 12\n'],
    ['unknown rights', '7f00-8f00 rw?p 00000000 fe:00 12\n'],
    ['addresses of the kernel', 'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n'],
    ['nothing', ''],
    ['empty lines', '\n\n'],
  ])('passes over %s', (_case, text) => {
    expect(parseMappings(text)).toEqual([]);
    expect(parseMappings(text + TEXT)).toHaveLength(1);
  });

  it('needs no newline at the end, and a cut-off line is at worst a shorter name', () => {
    expect(parseMappings(TEXT.trimEnd())[0]?.name).toBe('/usr/bin/node');
    for (let length = 0; length < TEXT.length; length++) {
      const [mapping] = parseMappings(TEXT.slice(0, length));
      expect('/usr/bin/node'.startsWith(mapping?.name ?? '')).toBe(true);
    }
  });

  it('reads this process: smaps and maps agree, in order and without overlap', () => {
    const smaps = parseMappings(readFileSync('/proc/self/smaps', 'latin1'));
    const node = smaps.filter(({ name }) => name === process.execPath);
    expect(node.some(({ executable, writtenKib }) => executable && writtenKib === 0)).toBe(true);
    expect(node.some(({ writable, writtenKib }) => writable && writtenKib > 0)).toBe(true);
    expect(smaps.every(({ writtenKib }) => writtenKib >= 0)).toBe(true);
    for (const [index, { start }] of smaps.entries()) {
      expect(start).toBeGreaterThanOrEqual(smaps[index - 1]?.end ?? 0);
    }
    const ranges = parseMappings(readFileSync('/proc/self/maps', 'latin1')).map(({ start }) => start);
    for (const { start } of node) expect(ranges).toContain(start);
  });

  it('never throws, and gives no range that is none', () => {
    fc.assert(
      fc.property(hostileBytes(Buffer.from(TEXT + FIELDS + TEXT)), (bytes) => {
        for (const { start, end, inode } of parseMappings(Buffer.from(bytes).toString('latin1'))) {
          expect(Number.isSafeInteger(start) && Number.isSafeInteger(end) && start < end).toBe(true);
          expect(inode).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });
});
