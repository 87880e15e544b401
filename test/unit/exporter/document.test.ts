import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { DOCUMENTS } from '../../../src/exporter/document.js';
import { METRICS } from '../../../src/exporter/metrics.js';

const textOf = (file: string): string => readFileSync(path.resolve(import.meta.dirname, '../../..', file), 'utf8');

it.each(DOCUMENTS.map(({ file, renew }) => [file, renew] as const))(
  '%s: the table of metrics is up to date (npm run docs)',
  (file, renew) => {
    const text = textOf(file);
    expect(renew(text)).toBe(text);
  },
);

it('names every metric', () => {
  for (const { name } of METRICS) expect(textOf('README.md')).toContain(`| \`${name}\` |`);
});
