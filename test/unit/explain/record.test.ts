import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readIncident, readIncidents } from '../../../src/explain/record.js';
import { anIncident } from './incident.js';

const line = (changes: object = {}): string => JSON.stringify({ ...anIncident(), ...changes });

describe('a line of the incident file', () => {
  it('that the guard wrote is taken, with fields that a later guard may have added', () => {
    expect(readIncident(line())).toEqual(anIncident());
    expect(readIncident(line({ more: 1 }))).toMatchObject({ id: anIncident().id });
  });

  it('that is torn is refused, wherever it is torn', () => {
    const whole = line();
    fc.assert(
      fc.property(fc.nat(whole.length - 1), (length) => {
        expect(readIncident(whole.slice(0, length))).toMatch(/^torn/);
      }),
    );
  });

  it.each([
    ['of something else', '{"level":"info"}', /^not an incident record$/],
    ['with a list', '[]', /^not an incident record$/],
    ['with a word', 'null', /^not an incident record$/],
    ['of a later schema', line({ schema: 2 }), /^schema 2, and this program knows 1/],
    ['without its victim', line({ victim: null }), /^not an incident record: victim is no object$/],
    ['with words for numbers', line({ atUnixMs: 'now' }), /atUnixMs is no number/],
    ['with an outcome that is none', line({ outcome: 'magic' }), /outcome is none of exited, gone/],
    ['with a candidate that is none', line({ candidates: [{}] }), /candidates\[0\]\.pid is no number/],
    ['with candidates that are no list', line({ candidates: {} }), /candidates is no list/],
  ])('%s is refused', (_case, text, why) => {
    expect(readIncident(text)).toMatch(why);
  });

  it('of any JSON is taken whole or refused with words, and nothing is thrown', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(typeof readIncident(text)).toBe('string');
      }),
    );
  });
});

describe('the incident file', () => {
  it('gives its records in order, and says which lines are none', () => {
    const text = [line({ id: 'a' }), 'nonsense', line({ id: 'b' }), ''].join('\n');
    const { records, refused, endsRefused } = readIncidents(text);
    expect(records.map((each) => each.id)).toEqual(['a', 'b']);
    expect(refused.map((each) => each.line)).toEqual([2]);
    expect(endsRefused).toBe(false);
  });

  it('that ends in half a line says so', () => {
    expect(readIncidents(`${line()}\n${line().slice(0, 50)}`)).toMatchObject({ endsRefused: true });
  });

  it('that is empty holds nothing', () => {
    expect(readIncidents('')).toEqual({ records: [], refused: [], endsRefused: false });
  });
});
