/*
 * One look at the guard as Prometheus's text, or OpenMetrics'. prom-client writes the formats; its own Counter and Histogram
 * count what happens in this process and cannot be told a total, so each metric is an object of the kind that its
 * AggregatorRegistry registers, which only has to say its values when asked. A registry for each look: it holds nothing
 * that a later look could find.
 */
import { type Metric, Registry, type RegistryContentType } from 'prom-client';
import type { Look } from '../observe/look.js';
import { METRICS, type MetricRow } from './metrics.js';

/** What prom-client writes as a line; a bucket's name is not its metric's. */
interface Line {
  metricName?: string;
  labels: Readonly<Record<string, string | number>>;
  value: number;
}

/** How a metric stands in the registry, which renames counters for OpenMetrics. */
interface Registered {
  name: string;
  help: string;
  type: MetricRow['type'];
  aggregator: 'sum';
  get: () => Promise<{ name: string; help: string; type: string; aggregator: string; values: readonly Line[] }>;
}

export const TEXT_TYPE: RegistryContentType = Registry.PROMETHEUS_CONTENT_TYPE;
export const OPENMETRICS_TYPE: RegistryContentType = Registry.OPENMETRICS_CONTENT_TYPE;

export function exposition(look: Look, contentType: RegistryContentType): Promise<string> {
  const registry = new Registry();
  (registry as Registry<RegistryContentType>).setContentType(contentType);
  for (const row of METRICS) {
    const values = linesOf(row, look);
    // Not even HELP and TYPE of what has no series.
    if (values.length > 0) registry.registerMetric(registered(row, values) as unknown as Metric);
  }
  return registry.metrics();
}

function registered({ name, help, type }: MetricRow, values: readonly Line[]): Registered {
  return {
    name,
    help,
    type,
    aggregator: 'sum',
    async get() {
      return { name: this.name, help, type, aggregator: 'sum', values };
    },
  };
}

function linesOf(row: MetricRow, look: Look): Line[] {
  if (row.type !== 'histogram') return row.read(look);
  const read = row.read(look);
  if (read === null) return [];
  return [
    ...read.buckets.map(({ le, count }) => ({ metricName: `${row.name}_bucket`, labels: { le }, value: count })),
    { metricName: `${row.name}_bucket`, labels: { le: '+Inf' }, value: read.count },
    { metricName: `${row.name}_sum`, labels: {}, value: read.sum },
    { metricName: `${row.name}_count`, labels: {}, value: read.count },
  ];
}
