import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePcpPages } from '../../../src/kernel/zoneinfo.js';
import { hostileBytes, recorded } from './recorded.js';

const pages = (text: string | Buffer): number => parsePcpPages(Buffer.from(text), Buffer.byteLength(text));

describe('parsePcpPages', () => {
  it('adds up the count of each CPU in each zone of a recorded file', () => {
    const file = recorded('zoneinfo');
    const counts = [...file.toString('latin1').matchAll(/^\s+count:\s+(\d+)/gm)].map((match) => Number(match[1]));
    expect(counts.length).toBeGreaterThanOrEqual(4);
    expect(pages(file)).toBe(counts.reduce((sum, count) => sum + count));
  });

  it('counts nothing else: not high, batch or what only looks like it', () => {
    const text =
      '  pagesets\n    cpu: 0\n              count:    12\n              high:     99\n              batch:    63\n      nr_count: 7\n';
    expect(pages(text)).toBe(12);
  });

  it.each(['', '\n', 'count:', '   count: many\n', 'count: -5\n'])('%j: none', (text) => {
    expect(pages(text)).toBe(0);
  });

  it('whatever the bytes are: a number, and not less than none', () => {
    fc.assert(
      fc.property(hostileBytes(recorded('zoneinfo')), (bytes) => {
        expect(parsePcpPages(bytes, bytes.length)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
