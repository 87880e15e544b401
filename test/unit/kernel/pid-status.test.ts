import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePidStatusCapEff, parsePidStatusTgid, parsePidStatusUid } from '../../../src/kernel/pid-status.js';
import { hostileBytes, RECORDED_PROCESSES, recorded } from './recorded.js';

const parse = (text: string | Uint8Array, length?: number): number => {
  const bytes = Buffer.from(text as string);
  return parsePidStatusUid(bytes, length ?? bytes.length);
};

describe('parsePidStatusUid', () => {
  it.each(RECORDED_PROCESSES)('reads the effective uid that a real kernel wrote of %s', (process) => {
    const bytes = recorded(`${process}/status`);
    expect(parse(bytes)).toBe(Number(/^Uid:\t\d+\t(\d+)\t/m.exec(bytes.toString('latin1'))?.[1]));
  });

  it('takes the second of the four: who it acts as, not who started it', () => {
    expect(parse('Name:\tcat\nUid:\t1000\t0\t0\t0\n')).toBe(0);
    expect(parse('Name:\tcat\nUid:\t0\t1000\t1000\t1000')).toBe(1000);
    expect(parse('Uid:\t1\t4294967294\t2\t3\n')).toBe(4294967294);
  });

  it('is not taken in by a name with newlines, which the kernel escapes', () => {
    expect(parse('Name:\ta\\nUid:\\t0\t0\nUid:\t1000\t1000\t1000\t1000\n')).toBe(1000);
    expect(recorded('newlines/status').toString()).toMatch(/^Name:\ta\\nUid:/);
  });

  it.each([
    '',
    'Name:\tcat\n',
    'Uid:',
    'Uid:\t5',
    'Uid:\t5\n6\n',
    'Uid:\t5\t-6\n',
    'Uid:\tx\ty\n',
    ' Uid:\t5\t6\n',
    'Gid:\t5\t6\n',
  ])('finds none in %j', (text) => {
    expect(parse(text)).toBe(-1);
  });

  it('cut off in front of the second number, it finds none', () => {
    const text = 'Name:\tcat\nUid:\t1000\t1001\t1002\t1003\n';
    const needed = text.indexOf('1001');
    for (let length = 0; length <= needed; length++) expect(parse(text, length)).toBe(-1);
    expect(parse(text, needed + 4)).toBe(1001);
  });

  it('never throws, and gives a whole number from -1 on', () => {
    fc.assert(
      fc.property(hostileBytes(recorded('ordinary/status')), (bytes) => {
        const uid = parse(bytes);
        expect(Number.isSafeInteger(uid) && uid >= -1).toBe(true);
      }),
    );
  });
});

describe('parsePidStatusTgid', () => {
  const tgidOf = (text: string | Buffer): number => parsePidStatusTgid(Buffer.from(text as string), text.length);

  it.each(RECORDED_PROCESSES)('reads the thread group that a real kernel wrote of %s', (process) => {
    const bytes = recorded(`${process}/status`);
    expect(tgidOf(bytes)).toBe(Number(/^Tgid:\t(\d+)$/m.exec(bytes.toString('latin1'))?.[1]));
  });

  it.each(['', 'Name:\tTgid:\n', 'Tgid:', 'Tgid:\t-1\n', 'NStgid:\t5\n'])('finds none in %j', (text) => {
    expect(tgidOf(text)).toBe(-1);
  });
});

describe('parsePidStatusCapEff', () => {
  it('reads the effective set, not one of the others', () => {
    const text =
      'CapInh:\t0000000000000001\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000000020\nCapBnd:\t0000000000000002\n';
    expect(parsePidStatusCapEff(text)).toBe(0x20n);
    expect(parsePidStatusCapEff('CapEff:\t000001fffeffffff\n')).toBe(0x1fffeffffffn);
  });

  it('finds none where there is none', () => {
    for (const text of ['', 'CapEff:\n', 'CapEff:\tx\n', 'XCapEff:\t1\n'])
      expect(parsePidStatusCapEff(text)).toBeNull();
  });
});
