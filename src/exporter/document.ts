/* What is generated from the table of metrics: the one in the README. `npm run docs` writes it, and a test fails when it is stale. */
import { between, type Document } from '../shared/document.js';
import { METRICS, type MetricRow } from './metrics.js';

export const DOCUMENTS: readonly Document[] = [
  {
    file: 'README.md',
    renew: (text) => between(text, '<!-- metrics: npm run docs -->', '<!-- end of metrics -->', metricsTable()),
  },
];

const PRESENT: Record<MetricRow['present'], string> = { always: 'always', page: 'with a page', up: 'while up' };

function metricsTable(): string {
  const rows = METRICS.map(
    ({ name, type, help, labels, present }) =>
      `| \`${name}\` | ${type} | ${labelsOf(labels)} | ${PRESENT[present]} | ${help.replaceAll('|', '\\|')} |`,
  );
  return ['| metric | type | labels | there | meaning |', '|---|---|---|---|---|', ...rows].join('\n');
}

function labelsOf(labels: MetricRow['labels']): string {
  return Object.entries(labels)
    .map(([label, values]) => `\`${label}\`: ${typeof values === 'string' ? values : values.join(', ')}`)
    .join('; ');
}
