import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.js';
import { RULE_KEYS } from '../../../src/config/rules.js';
import type { Settings } from '../../../src/shared/options.js';
import { DEFAULT_RULE, type PressureRule, RULES_MAX, rulesInForce } from '../../../src/shared/rules.js';
import { configDirectory, configFile } from '../../support/config-files.js';

const TOTALS = { memTotalKib: 16_000_000, swapTotalKib: 2_000_000 };

function settingsOf(...files: string[]): Settings {
  const loaded = loadConfig(files, TOTALS);
  if ('errors' in loaded) throw new Error(loaded.errors.join('\n'));
  return loaded.settings;
}

/** The rules that these files make, one after the other. */
const rules = (...texts: string[]): readonly PressureRule[] => settingsOf(...texts.map(configFile)).rules;

function errors(text: string): string[] {
  const file = configFile(text);
  const loaded = loadConfig([file], TOTALS);
  return 'errors' in loaded ? loaded.errors.map((error) => error.replace(`${file}: `, '')) : [];
}

const NAMED: PressureRule = { ...DEFAULT_RULE, name: 'a' };
const rule = (keys: string, name = 'a'): string => `[[rule]]\nname = "${name}"\n${keys}\n`;
const IN_CGROUP: Partial<PressureRule> = { cgroup: 'x/*', availableBelowPercent: null };

describe('a rule', () => {
  it('with nothing but a name is the default one by another name', () => {
    expect(rules(rule(''))).toEqual([NAMED]);
  });

  it.each<[string, Partial<PressureRule>]>([
    ['kind = "full"', { kind: 'full' }],
    ['stall = "12.5%"', { stallPercent: 12.5 }],
    ['window = "2s"', { windowMs: 2000 }],
    ['for = "0s"', { forMs: 0 }],
    ['available_below = "8%"', { availableBelowPercent: 8 }],
    ['swap_free_below = "10%"', { swapFreeBelowPercent: 10 }],
    ['swap_free_below = "0%"', {}],
    ['refaults = false', { refaults: false }],
    ['action = "kill"', { action: 'kill' }],
    ['enabled = true', {}],
    ['cgroup = "x/*"', IN_CGROUP],
    ['cgroup = "x/*"\navailable_below = "30%"', { ...IN_CGROUP, availableBelowPercent: 30 }],
    ['cgroup = "x/*"\nscope = "cgroup"', { ...IN_CGROUP, scope: 'cgroup', action: 'kill' }],
    ['cgroup = "x/*"\nscope = "largest"', IN_CGROUP],
  ])('%s', (keys, expected) => {
    expect(rules(rule(keys))).toEqual([{ ...NAMED, ...expected }]);
  });

  it('of the table of keys: its examples together are valid, and each key is known', () => {
    const keys = RULE_KEYS.map(({ name, example }) => `${name} = ${JSON.stringify(example)}`).join('\n');
    expect(rules(`[[rule]]\n${keys}\n`)).toHaveLength(1);
    for (const { name, default: byDefault } of RULE_KEYS.filter((key) => key.name !== 'name')) {
      expect(rules(rule(`${name} = ${JSON.stringify(byDefault)}`))).toEqual([NAMED]);
    }
  });
});

describe('rules of several files', () => {
  it('add up in their order; one of the same name takes the place of the earlier, as a whole', () => {
    const first = rule('stall = "50%"') + rule('stall = "60%"', 'b');
    const merged = rules(first, rule('kind = "full"') + rule('', 'c'));
    expect(merged).toEqual([
      { ...NAMED, kind: 'full' },
      { ...NAMED, name: 'b', stallPercent: 60 },
      { ...NAMED, name: 'c' },
    ]);
  });

  it('in config.d can switch one off, and a later one on again', () => {
    const root = configDirectory({ 'a.toml': rule(''), 'b.toml': rule('enabled = false'), 'c.toml': rule('') });
    const files = ['a', 'b', 'c'].map((name) => `${root}/${name}.toml`);
    expect(settingsOf(...files.slice(0, 2)).rules).toEqual([]);
    expect(settingsOf(...files).rules).toEqual([NAMED]);
  });
});

describe('the default rule', () => {
  const inForce = (text: string): readonly PressureRule[] => {
    const { rules: own, defaultRule } = settingsOf(configFile(text));
    return rulesInForce(own, defaultRule);
  };

  it('is there, beside others too', () => {
    expect(inForce('')).toEqual([DEFAULT_RULE]);
    expect(inForce(rule(''))).toEqual([DEFAULT_RULE, NAMED]);
  });

  it.each([
    ['by its switch', '[pressure]\ndefault_rule = false\n', []],
    ['by its name', rule('enabled = false', 'thrashing'), []],
    ['by another of its name', rule('stall = "80%"', 'thrashing'), [{ ...DEFAULT_RULE, stallPercent: 80 }]],
  ])('is switched off %s', (_name, text, expected) => {
    expect(inForce(text)).toEqual(expected);
  });
});

describe('what is wrong with rules', () => {
  it.each<[string, string, string]>([
    [
      'no name',
      '[[rule]]\n',
      "[[rule]] 1: name: missing (valid: 1 to 32 letters, digits, '_', '.' or '-', once in a file)",
    ],
    [
      'a name that is none',
      '[[rule]]\nname = "a b"\n',
      "[[rule]] 1: name = 'a b': not such a name (valid: 1 to 32 letters",
    ],
    ['stall', rule('stall = "120%"'), "[[rule]] 1: stall = '120%': more than 100% (valid: a share such as '40%'"],
    ['no stall', rule('stall = "0%"'), "[[rule]] 1: stall = '0%': less than 1% (valid: "],
    ['a size', rule('stall = "5MiB"'), "[[rule]] 1: stall = '5MiB': not a share (valid: "],
    ['a number', rule('stall = 40'), '[[rule]] 1: stall = 40: not a string (valid: '],
    ['window', rule('window = "50ms"'), "[[rule]] 1: window = '50ms': less than 100ms (valid: "],
    ['a long window', rule('window = "1min"'), "[[rule]] 1: window = '1min': more than 10s (valid: "],
    ['for', rule('for = "5"'), "[[rule]] 1: for = '5': no unit (valid: "],
    ['a bound', rule('available_below = "60%"'), "[[rule]] 1: available_below = '60%': more than 50% (valid: "],
    ['kind', rule('kind = "most"'), `[[rule]] 1: kind = 'most': not a string (valid: "some" or "full")`],
    ['refaults', rule('refaults = "yes"'), "[[rule]] 1: refaults = 'yes': not a boolean (valid: true or false)"],
    ['a pattern', rule('cgroup = "a//b"'), "[[rule]] 1: cgroup = 'a//b': has an empty name (valid: a path"],
    [
      'an unknown key',
      rule('cgruop = "a"'),
      "[[rule]] 1: cgruop = 'a': unknown key (valid: name, enabled, cgroup, kind,",
    ],
    ['scope without a cgroup', rule('scope = "cgroup"'), "[[rule]] 1: scope = 'cgroup': there is no cgroup (valid: "],
    [
      'SIGTERM to a cgroup',
      rule('cgroup = "a"\nscope = "cgroup"\naction = "term"'),
      "[[rule]] 1: action = 'term': cgroup.kill sends SIGKILL (valid: ",
    ],
    [
      'pressure alone',
      rule('cgroup = "a"\nrefaults = false'),
      '[[rule]] 1: refaults = false: pressure alone is no reason to kill (valid: true, or swap_free_below',
    ],
    ['a name twice', rule('') + rule(''), "[[rule]] 2: name = 'a': used before in this file (valid: "],
    ['a single table', '[rule]\nname = "a"\n', 'rule = a table: not an array of tables (valid: [[rule]], in double'],
    ['a key', 'rule = 5\n', 'rule = 5: not an array of tables (valid: [[rule]], in double'],
  ])('%s', (_name, text, expected) => {
    const found = errors(text);
    expect(found).toHaveLength(1);
    expect(found[0]?.slice(0, expected.length)).toBe(expected);
  });

  it('is all said at once, with what is wrong elsewhere', () => {
    const text = `[memory]\nterm = "x"\n${rule('stall = "x"\nfor = "x"')}${rule('kind = 1', 'b')}`;
    expect(errors(text).map((error) => error.replace(/:.*/, ''))).toEqual([
      "memory.term = 'x'",
      '[[rule]] 1',
      '[[rule]] 1',
      '[[rule]] 2',
    ]);
  });

  it('is more of them than there may be, over all files', () => {
    const many = Array.from({ length: RULES_MAX + 1 }, (_, index) => rule('', `r${index}`)).join('');
    expect(errors(many)).toEqual([`[[rule]]: ${RULES_MAX + 1} rules in all (valid: at most ${RULES_MAX})`]);
  });
});
