/* The shipped Grafana dashboard, as far as its queries go, and what Grafana does to them before Prometheus gets them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { MONITORING } from './prometheus.js';

interface Target {
  expr: string;
  legendFormat: string;
  refId: string;
  datasource: { uid: string };
}

interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  datasource?: { uid: string };
  targets?: Target[];
}

interface Dashboard {
  panels: Panel[];
  schemaVersion: number;
  annotations: { list: { name: string; expr?: string }[] };
  templating: { list: { name: string; type: string; definition?: string; datasource?: { uid: string } }[] };
}

export interface DashboardQuery {
  /** "panel: A", to find it by. */
  where: string;
  expr: string;
  legendFormat: string;
}

export const dashboard = JSON.parse(
  readFileSync(path.join(MONITORING, 'grafana/oom-backstop.json'), 'utf8'),
) as Dashboard;

/** All of panels and annotations, as they stand in the file. */
export function dashboardQueries(): DashboardQuery[] {
  return [
    ...dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr, legendFormat, refId }) => ({ where: `${title}: ${refId}`, expr, legendFormat })),
    ),
    ...dashboard.annotations.list.flatMap(({ name, expr }) =>
      expr === undefined ? [] : [{ where: `annotation ${name}`, expr, legendFormat: '' }],
    ),
  ];
}

/** With Grafana's variables replaced, all machines chosen. */
export function substituted(expr: string, variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables).reduce((text, [name, value]) => text.replaceAll(`$${name}`, value), expr);
}
