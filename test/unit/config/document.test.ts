import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { DOCUMENTS } from '../../../src/config/document.js';
import { loadConfig } from '../../../src/config/load.js';
import { CONFIG_TABLE } from '../../../src/config/schema.js';
import { configFile } from '../../support/config-files.js';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const textOf = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const EXAMPLE = 'config/config.toml.example';
const TOTALS = { memTotalKib: 16_000_000, swapTotalKib: 2_000_000 };

describe('what is generated from the schema', () => {
  it.each(DOCUMENTS.map(({ file, renew }) => [file, renew] as const))(
    '%s is up to date (npm run docs)',
    (file, renew) => {
      const text = textOf(file);
      expect(renew(text)).toBe(text);
    },
  );

  it('names every key', () => {
    const names = CONFIG_TABLE.flatMap((section) => section.keys.map((key) => [section.name, key.name] as const));
    for (const [section, key] of names) {
      expect(textOf('README.md')).toContain(`| \`${section}.${key}\` |`);
      expect(textOf(EXAMPLE)).toMatch(new RegExp(`^#${key} = `, 'm'));
    }
  });
});

describe('the example file', () => {
  it('has a matcher that is valid, but for the user, whom not every machine has', () => {
    const table = /^# (\[\[match\]\]\n(?:# .*\n)+)/m.exec(textOf(EXAMPLE))?.[1]?.replace(/^# /gm, '') ?? '';
    const loaded = loadConfig([configFile(table.replace('"postgres"', '"root"'))], TOTALS);
    expect(loaded).toMatchObject({ settings: { matching: { tables: [{ action: 'protect' }] } } });
  });

  it('sets nothing: sections without keys', () => {
    expect(JSON.parse(JSON.stringify(parse(textOf(EXAMPLE))))).toEqual(
      Object.fromEntries(CONFIG_TABLE.map((section) => [section.name, {}])),
    );
  });

  it('has the defaults: with all keys uncommented nothing changes', () => {
    const uncommented = textOf(EXAMPLE).replace(/^#(\w+ = )/gm, '$1');
    expect(uncommented).not.toBe(textOf(EXAMPLE));
    expect(loadConfig([configFile(uncommented)], TOTALS)).toEqual(loadConfig([], TOTALS));
  });

  it.each(CONFIG_TABLE.flatMap((section) => section.keys.map((key) => [section.name, key.name, key.example] as const)))(
    '%s.%s: uncommenting it alone changes nothing, and its example is valid and changes something',
    (section, key, example) => {
      const uncommented = textOf(EXAMPLE).replace(
        new RegExp(`(\\n\\[${section}\\](?:(?!\\n\\[)[^])*?\\n)#(${key} = )`),
        '$1$2',
      );
      expect(uncommented).not.toBe(textOf(EXAMPLE));
      const defaults = loadConfig([], TOTALS);
      expect(loadConfig([configFile(uncommented)], TOTALS)).toEqual(defaults);
      const changed = loadConfig([configFile(`[${section}]\n${key} = ${JSON.stringify(example)}\n`)], TOTALS);
      expect(changed).toHaveProperty('settings');
      expect(changed).not.toEqual(defaults);
    },
  );

  it('is at most 120 columns wide, without blanks at the ends of lines', () => {
    for (const line of textOf(EXAMPLE).split('\n'))
      expect([line, line.length <= 120, line === line.trimEnd()]).toEqual([line, true, true]);
  });
});
