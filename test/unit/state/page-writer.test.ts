import { describe, expect, it } from 'vitest';
import { emptyVictim, type Victim } from '../../../src/shared/victim.js';
import * as layout from '../../../src/state/layout.js';
import { AT, BACK, KILL, LAG, PageWriter, TICK } from '../../../src/state/page-writer.js';

const NOON = { seconds: 1_795_802_055, milliseconds: 904 };
const NOON_MS = 1_795_802_055_904;

function victim(pid: number, name = 'hog'): Victim {
  const made = emptyVictim();
  made.name.set(Buffer.from(name).subarray(0, 16));
  return Object.assign(made, { pid, uid: 1000, rssKib: 500_000, nameLength: Math.min(name.length, 16) });
}

/** As a reader finds it, by the layout alone. */
function read(page: Uint8Array) {
  const bytes = Buffer.from(page);
  const number = (name: string): number => bytes.readDoubleLE(layout.NUMBERS_AT + layout.numberIndex(name) * 8);
  const text = (from: number, length: number): string =>
    bytes.toString('utf8', from, from + length).replace(/\0+$/, '');
  const decision = (slot: number) => {
    const at = layout.decisionAt(slot);
    const namesAt = at + layout.DECISION_NUMBERS.length * 8;
    const numbers = layout.DECISION_NUMBERS.map((name, place) => [name, bytes.readDoubleLE(at + place * 8)]);
    return {
      ...Object.fromEntries(numbers),
      comm: text(namesAt, layout.DECISION_COMM_BYTES),
      rule: text(namesAt + layout.DECISION_COMM_BYTES, layout.DECISION_RULE_BYTES),
    };
  };
  const header = {
    magic: text(layout.MAGIC_AT, 8),
    version: bytes.readUInt32LE(layout.VERSION_AT),
    bytes: bytes.readUInt32LE(layout.BYTES_AT),
    sequence: bytes.readUInt32LE(layout.SEQUENCE_AT),
    program: text(layout.PROGRAM_AT, layout.PROGRAM_BYTES),
  };
  return { header, number, decision };
}

/** A page that an older guard might have left. */
function older(change: (page: PageWriter) => void = () => undefined): Uint8Array {
  const page = new PageWriter('0.0.9');
  page.add(AT.startsTotal, 3);
  page.add(AT.killsTotal, 7);
  page.setTime(AT.lastKillUnixMs, NOON);
  page.observe(KILL, { ms: 12.5 }, 1);
  page.set(AT.memAvailableKib, 4711);
  page.beginDecision(NOON, victim(11, 'old'), null);
  page.decisionEnded(layout.OUTCOMES.indexOf('exited'), 400);
  page.endWrite();
  page.endWrite();
  change(page);
  return Uint8Array.from(page.bytes);
}

describe('the layout', () => {
  it('fits a page, its numbers are aligned, and no name is there twice', () => {
    expect(layout.decisionAt(layout.DECISIONS_KEPT)).toBeLessThanOrEqual(layout.PAGE_BYTES);
    expect([layout.NUMBERS_AT % 8, layout.DECISIONS_AT % 8, layout.DECISION_BYTES % 8]).toEqual([0, 0, 0]);
    expect(new Set(layout.NUMBERS).size).toBe(layout.NUMBERS.length);
    expect(layout.PROGRAM_AT + layout.PROGRAM_BYTES).toBe(layout.NUMBERS_AT);
  });

  it('lists follow each other in the order of their names', () => {
    const at = (name: string): number => layout.numberIndex(name);
    expect(at('killsTotal:earlyoom:rule:kernel') - AT.killsTotal).toBe(11);
    expect(at('killsTotal:earlyoom:limit:kill') - AT.killsTotal).toBe(7);
    expect(at('hookRunsTotal:notify:timeout') - AT.hookRunsTotal).toBe(11);
    expect(at('failuresTotal:nobody') - AT.failuresTotal).toBe(3);
    expect(at('crossingsTotal:kill') - AT.crossingsTotal).toBe(1);
    for (const [name, { first, bounds }] of Object.entries({ tick: TICK, lag: LAG, kill: KILL, back: BACK })) {
      expect(at(`${name}Bucket0`)).toBe(first);
      expect(at(`${name}BucketInf`)).toBe(first + bounds.length);
      expect(at(`${name}SumMs`)).toBe(first + bounds.length + 1);
    }
  });
});

describe('a page', () => {
  it('says what it is, where a reader looks for it', () => {
    const { header, number } = read(new PageWriter('1.2.3').bytes);
    expect(header).toEqual({ magic: 'OOMBSTOP', version: 1, bytes: 4096, sequence: 0, program: '1.2.3' });
    expect(number('lastKillUnixMs')).toBe(layout.NOT_KNOWN);
  });

  it('has each number in its place', () => {
    const page = new PageWriter('1');
    page.set(AT.waitMs, 250);
    page.setTime(AT.heartbeatUnixMs, NOON);
    page.add(AT.freedKibTotal, 100);
    page.add(AT.freedKibTotal, 23);
    page.numbers[AT.memTermPercent] = 5.5;
    const { number } = read(page.bytes);
    const names = ['waitMs', 'heartbeatUnixMs', 'freedKibTotal', 'memTermPercent', 'killsTotal:earlyoom:limit:term'];
    expect(names.map(number)).toEqual([250, NOON_MS, 123, 5.5, 0]);
  });

  it('counts a span in the bucket whose bound it does not exceed, and adds up', () => {
    const page = new PageWriter('1');
    for (const ms of [5, 5.001, 0, -0.01, 10_000, 10_001]) page.observe(KILL, { ms }, 1);
    page.observe(KILL, { ms: 7 }, 0);
    const { number } = read(page.bytes);
    expect(['killBucket0', 'killBucket1', 'killBucket10', 'killBucketInf'].map(number)).toEqual([3, 1, 1, 1]);
    expect(number('killSumMs')).toBeCloseTo(5 + 5.001 + 10_000 + 10_001);
  });

  it('keeps the last eight decisions, each with its names', () => {
    const page = new PageWriter('1');
    for (let pid = 1; pid <= 10; pid++)
      page.beginDecision(NOON, victim(pid, `name ${pid} which is too long`), 'a-rule');
    page.decisionSignal(1);
    page.decisionKill({ ms: 30.25 });
    page.decisionBack({ ms: 31.5 });
    page.decisionEnded(layout.OUTCOMES.indexOf('exited'), 499_000);
    const { number, decision } = read(page.bytes);
    expect(number('decisionsTotal')).toBe(10);
    expect(decision(1)).toEqual({
      unixMs: NOON_MS,
      pid: 10,
      uid: 1000,
      signal: 1,
      outcome: 1,
      rssKib: 500_000,
      freedKib: 499_000,
      killMs: 30.25,
      backMs: 31.5,
      comm: 'name 10 which is',
      rule: 'a-rule',
    });
    expect(decision(2)).toMatchObject({ pid: 3, outcome: 0, freedKib: -1, killMs: -1, backMs: -1 });
  });

  it('leaves nothing of a longer name behind', () => {
    const page = new PageWriter('1');
    for (let pid = 1; pid <= 8; pid++) page.beginDecision(NOON, victim(pid, 'sixteen bytes ok'), 'x'.repeat(60));
    page.beginDecision(NOON, victim(9, 'a'), null);
    const { decision } = read(page.bytes);
    expect(decision(0)).toMatchObject({ comm: 'a', rule: '' });
    expect(decision(1)).toMatchObject({ comm: 'sixteen bytes ok', rule: 'x'.repeat(40) });
  });

  it('is odd while it is written, and then another than before; odd it stays after a write that has failed', () => {
    const page = new PageWriter('1');
    const sequences: number[] = [];
    const note = (): void => void sequences.push(read(page.bytes).header.sequence);
    for (const step of ['beginWrite', 'endWrite', 'beginWrite', 'beginWrite', 'endWrite'] as const) {
      page[step]();
      note();
    }
    expect(sequences).toEqual([1, 2, 3, 3, 4]);
  });

  it('goes through the largest sequence to the smallest', () => {
    const page = new PageWriter('1');
    new Uint32Array(page.bytes.buffer)[layout.SEQUENCE_AT / 4] = 2 ** 32 - 2;
    page.beginWrite();
    expect(read(page.bytes).header.sequence).toBe(2 ** 32 - 1);
    page.endWrite();
    expect(read(page.bytes).header.sequence).toBe(0);
  });
});

describe('taking over', () => {
  it('goes on with the counters and the ring, and with nothing else', () => {
    const page = new PageWriter('1');
    page.add(AT.startsTotal, 1);
    page.set(AT.memAvailableKib, 1);
    expect(page.takeOver(older())).toBeNull();
    const { header, number, decision } = read(page.bytes);
    const names = ['startsTotal', 'killsTotal:oom-backstop:limit:term', 'lastKillUnixMs', 'killBucket2', 'killSumMs'];
    expect(names.map(number)).toEqual([4, 7, NOON_MS, 1, 12.5]);
    expect(number('memAvailableKib')).toBe(1);
    expect(decision(0)).toMatchObject({ pid: 11, comm: 'old', freedKib: 400 });
    // No reader takes what comes for what was.
    expect(header).toMatchObject({ program: '1', sequence: 2 });
  });

  it('takes note of what went wrong before, and not of what goes wrong now', () => {
    const page = new PageWriter('1');
    page.add(AT.droppedLogLinesTotal, 1);
    const left = older((old) => {
      old.add(AT.droppedLogLinesTotal, 3);
      old.add(layout.numberIndex('hookRunsTotal:notify:timeout'), 2);
      old.add(layout.numberIndex('hookRunsTotal:notify:ok'), 50);
    });
    expect(page.takeOver(left)).toBeNull();
    expect(['troublesBefore', 'droppedLogLinesTotal'].map(read(page.bytes).number)).toEqual([5, 4]);
  });

  it('keeps what was counted before, with the newest decisions last', () => {
    const page = new PageWriter('1');
    for (let pid = 101; pid <= 103; pid++) page.beginDecision(NOON, victim(pid), null);
    const left = older((old) => {
      for (let pid = 12; pid <= 17; pid++) old.beginDecision(NOON, victim(pid), null);
    });
    expect(page.takeOver(left)).toBeNull();
    page.decisionEnded(layout.OUTCOMES.indexOf('exited'), 5);
    const { number, decision } = read(page.bytes);
    expect(number('decisionsTotal')).toBe(10);
    // 11 and 12 had the places of 102 and 103.
    expect([2, 3, 4, 5, 6, 7, 0, 1].map((slot) => decision(slot)['pid'])).toEqual([13, 14, 15, 16, 17, 101, 102, 103]);
    expect(decision(1)).toMatchObject({ freedKib: 5 });
  });

  it('takes a page whose guard was killed while it wrote, and ends the kill that was under way', () => {
    const left = older((old) => {
      old.beginDecision(NOON, victim(12), null);
      old.beginWrite();
    });
    const page = new PageWriter('1');
    expect(page.takeOver(left)).toBeNull();
    const { header, number, decision } = read(page.bytes);
    expect([header.sequence % 2, number('killsTotal:oom-backstop:limit:term')]).toEqual([1, 7]);
    expect(decision(1)['outcome']).toBe(layout.OUTCOMES.indexOf('failed'));
    expect(decision(2)['outcome']).toBe(0);
  });

  const poke = (change: (view: DataView) => void): Uint8Array => {
    const bytes = older();
    change(new DataView(bytes.buffer));
    return bytes;
  };
  const number = (name: string, value: number): Uint8Array =>
    poke((view) => view.setFloat64(layout.NUMBERS_AT + layout.numberIndex(name) * 8, value, true));
  const ofDecision = (place: number, value: number): Uint8Array =>
    poke((view) => view.setFloat64(layout.decisionAt(0) + place * 8, value, true));

  it.each([
    ['none', new Uint8Array(), 'has 0 bytes, and a state page has 4096'],
    ['a short one', older().subarray(0, 4095), 'has 4095 bytes, and a state page has 4096'],
    ['zeros', new Uint8Array(4096), 'is no state page'],
    ['a foreign file', Buffer.alloc(8192, 'x'), 'is no state page'],
    ['a future one', poke((view) => view.setUint32(8, 2, true)), "has layout version 2, and this guard's is 1"],
    ['one of another size', poke((view) => view.setUint32(12, 8192, true)), 'says that it has 8192 bytes, and'],
    ['a counter below 0', number('ticksTotal', -1), 'says that ticksTotal is -1'],
    ['a counter that is none', number('startsTotal', Number.NaN), 'says that startsTotal is NaN'],
    ['a counter with a fraction', number('tickBucket0', 0.5), 'says that tickBucket0 is 0.5'],
    ['an endless sum', number('lagSumMs', Number.POSITIVE_INFINITY), 'says that lagSumMs is Infinity'],
    ['an impossible time', number('lastKillUnixMs', -2), 'says that lastKillUnixMs is -2'],
    ['an outcome that there is not', ofDecision(4, 6), 'says of a decision that outcome is 6'],
    ['a signal that there is not', ofDecision(3, 1.5), 'says of a decision that signal is 1.5'],
  ])('refuses %s, says why, and changes nothing', (_what, left, why) => {
    const page = new PageWriter('1');
    page.add(AT.startsTotal, 1);
    const before = Uint8Array.from(page.bytes);
    expect(page.takeOver(left)).toContain(why);
    expect(page.bytes).toEqual(before);
  });
});
