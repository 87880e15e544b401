/* The README's tables on `check` are the code's. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { FINDINGS } from '../../../src/check/finding.js';

const README = readFileSync(path.resolve(import.meta.dirname, '../../../README.md'), 'utf8');
const SECTION = /^### Findings\n(.*?)^##/ms.exec(README)?.[1] ?? '';

it('names every finding with its severities, in the order of the code', () => {
  const rows = [...SECTION.matchAll(/^\| `([a-z0-9-]+)` \| ([a-z, ]+) \|/gm)];
  const documented = rows.map(([, id, severities]) => [id, (severities as string).split(', ')]);
  expect(documented).toEqual(Object.entries(FINDINGS));
});
