import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseReclaim, parseVmstat } from '../../../src/kernel/vmstat.js';
import { hostileBytes, recorded } from './recorded.js';

const RECORDED = recorded('vmstat');
const TEXT = RECORDED.toString();
const UNTOUCHED = { allocatedPages: 1, allocatedBytes: 2, oomKills: 3 };

function parse(text: string | Uint8Array, length?: number) {
  const bytes = Buffer.from(text as string);
  const out = { ...UNTOUCHED };
  return { ok: parseVmstat(bytes, length ?? bytes.length, out), out };
}

const sumOf = (text: string): number =>
  [...text.matchAll(/^pgalloc_\w+ ([0-9]+)$/gm)].reduce((sum, match) => sum + Number(match[1]), 0);

describe('parseVmstat', () => {
  it('reads what a real kernel wrote', () => {
    const { ok, out } = parse(RECORDED);
    expect([ok, out.allocatedPages]).toEqual([true, sumOf(TEXT)]);
    expect(out.allocatedPages).toBeGreaterThan(1_000_000);
    expect(out.oomKills).toBe(Number(/^oom_kill ([0-9]+)$/m.exec(TEXT)?.[1]));
    expect(out.allocatedBytes).toBe(TEXT.indexOf('\n', TEXT.indexOf('\nallocstall_') + 1) + 1);
  });

  it('adds up all kinds of zone, those that are not known yet as well, wherever they stand', () => {
    const text = 'pgalloc_dma 1\nnr_free_pages 9\npgalloc_new 20\noom_kill 7\npgalloc_device 300\nlast 9\n';
    expect(parse(text)).toEqual({
      ok: true,
      out: { allocatedPages: 321, allocatedBytes: text.length, oomKills: 7 },
    });
  });

  it.each([
    ['empty', ''],
    ['none of them', 'pgfree 1\noom_kill 7\n'],
    ['the last of them at the end: more may follow', 'oom_kill 7\npgalloc_dma 1\n'],
    ['nothing whole behind the last of them', 'pgalloc_dma 1\npgalloc_normal 2'],
    ['one without a number', 'pgalloc_dma\npgalloc_normal 2\nlast 9\n'],
    ['one without a number, and one on the next line', 'pgalloc_dma \n5\nlast 9\n'],
    ['a negative one', 'pgalloc_dma -1\npgalloc_normal 2\nlast 9\n'],
    ['a name that only ends so', 'xpgalloc_dma 1\nlast 9\n'],
  ])('refuses a file and leaves the values before alone: %s', (_case, text) => {
    expect(parse(text)).toEqual({ ok: false, out: UNTOUCHED });
  });

  it.each([
    ['there is no oom_kill', ''],
    ['it has no number', 'oom_kill \n'],
    ['it is negative', 'oom_kill -5\n'],
    ['its line is cut off', 'oom_kill 5'],
    ['only its name begins so', 'oom_killed 5\noom_kill_x 5\n'],
  ])('does not know of OOM kills where %s', (_case, line) => {
    const { ok, out } = parse(`pgalloc_dma 1\nlast 9\n${line}`);
    expect([ok, out.oomKills]).toEqual([true, -1]);
  });

  it('cut off anywhere, it is either refused or the whole sum; never a part of it', () => {
    const needed = parse(RECORDED).out.allocatedBytes;
    for (let length = 0; length <= RECORDED.length; length++) {
      const { ok, out } = parse(RECORDED, length);
      expect(ok).toBe(length >= needed);
      if (ok) expect([out.allocatedPages, out.allocatedBytes]).toEqual([sumOf(TEXT), needed]);
    }
    expect(parse(RECORDED, -5).ok).toBe(false);
  });

  it('gives back the sum of any numbers, with anything else between them', () => {
    const pages = fc.array(fc.nat(2 ** 40), { minLength: 1, maxLength: 6 });
    const noise = fc.array(fc.stringMatching(/^[a-z_]{1,20} [0-9]{1,12}$/), { maxLength: 5 });
    fc.assert(
      fc.property(pages, noise, fc.nat(), (numbers, lines, oomKills) => {
        const others = lines.filter((line) => !/^(pgalloc_|oom_kill )/.test(line)).map((line) => `${line}\n`);
        const zones = numbers.map((number, zone) => `pgalloc_zone${zone} ${number}\n${others.join('')}`);
        const { ok, out } = parse(`${others.join('')}${zones.join('')}oom_kill ${oomKills}\n`);
        expect([ok, out.allocatedPages]).toEqual([true, numbers.reduce((sum, number) => sum + number, 0)]);
        expect(out.oomKills).toBe(oomKills);
      }),
    );
  });

  it('never throws, and never accepts a sum that is negative or none', () => {
    fc.assert(
      fc.property(hostileBytes(RECORDED), fc.integer({ min: -1, max: 6000 }), (bytes, length) => {
        const { ok, out } = parse(bytes, length);
        if (!ok) expect(out).toEqual(UNTOUCHED);
        expect(out.allocatedPages).toBeGreaterThanOrEqual(0);
        expect(out.oomKills).toBeGreaterThanOrEqual(-1);
      }),
    );
  });
});

describe('parseReclaim', () => {
  function reclaim(text: string | Uint8Array, length?: number) {
    const bytes = Buffer.from(text as string);
    const out = { refaultPages: -7 };
    return { ok: parseReclaim(bytes, length ?? bytes.length, out), pages: out.refaultPages };
  }

  it('adds up the refaults and the direct scans that a real kernel wrote', () => {
    const counters = TEXT.matchAll(/^(?:workingset_refault_\w+|pgscan_direct) ([0-9]+)$/gm);
    const sum = [...counters].reduce((total, match) => total + Number(match[1]), 0);
    expect(reclaim(RECORDED)).toEqual({ ok: true, pages: sum });
  });

  it.each([
    ['of one kind (before Linux 5.9)', 'workingset_refault 5\npgscan_direct 3\n', 8],
    ['without direct scans', 'workingset_refault_anon 5\nworkingset_refault_file 6\n', 11],
    ['beside names that only begin so', 'workingset_refault_anon 5\npgscan_direct_throttle 9\nxpgscan_direct 9\n', 5],
  ])('reads them %s', (_name, text, pages) => {
    expect(reclaim(text)).toEqual({ ok: true, pages });
  });

  it.each([
    ['empty', ''],
    ['without refaults', 'pgscan_direct 3\n'],
    ['cut off in its only line', 'workingset_refault 5'],
    ['without a number', 'workingset_refault_anon \npgscan_direct 3\n'],
    ['with a negative one', 'workingset_refault_anon 5\npgscan_direct -3\n'],
  ])('refuses a file and leaves the value before alone: %s', (_name, text) => {
    expect(reclaim(text)).toEqual({ ok: false, pages: -7 });
  });

  it('never throws, and never accepts what is negative or none', () => {
    fc.assert(
      fc.property(hostileBytes(RECORDED), fc.integer({ min: -1, max: 6000 }), (bytes, length) => {
        const { ok, pages } = reclaim(bytes, length);
        expect(ok ? pages >= 0 : pages === -7).toBe(true);
      }),
    );
  });
});
