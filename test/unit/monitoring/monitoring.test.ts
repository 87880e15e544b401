/*
 * The shipped rules and dashboard by themselves: that they name what the exporter has, and that no alert goes untested. What they say of
 * real data is promtool's (npm run check) and test/kernel/prometheus.test.ts's.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { METRICS } from '../../../src/exporter/metrics.js';
import { dashboard, dashboardQueries } from '../../support/dashboard.js';
import { MONITORING } from '../../support/prometheus.js';

const rules = readFileSync(path.join(MONITORING, 'rules/oom-backstop.yml'), 'utf8').replace(/^\s*#.*$/gm, '');
const ruleTests = readFileSync(path.join(MONITORING, 'rules/oom-backstop.test.yml'), 'utf8').replace(/^\s*#.*$/gm, '');
const alerts = [...rules.matchAll(/^ {6}- alert: (\w+)$/gm)].map(([, name]) => name as string);
const columns = 24;

/** All series' names: a histogram has three. */
const SERIES = METRICS.flatMap(({ name, type }) =>
  type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
);

/** Of the exporter's metrics: for `absent` of one's own making, not for a picture. */
const NOT_SHOWN = ['oom_backstop_state_page_readable', 'oom_backstop_heartbeat_timestamp_seconds'];

/** `{label="value"}` and `{label=~"a|b"}` of a text, as [metric, label, value]; negations and variables aside. */
function matchers(text: string): [string, string, string][] {
  return [...text.matchAll(/(\w+)\{([^}]*)\}/g)].flatMap(([, metric = '', inside = '']) =>
    [...inside.matchAll(/(\w+)(?:=|=~|!=)"([^"$]*)"/g)].flatMap(([, label = '', values = '']) =>
      values.split('|').map((value): [string, string, string] => [metric, label, value]),
    ),
  );
}

/** Those that no series of the exporter can have. */
function impossible(text: string): string[] {
  const wrong = matchers(text).filter(([metric, label, value]) => {
    if (metric === 'up') return false;
    const known = METRICS.find(({ name }) => name === metric)?.labels[label];
    return known === undefined || (typeof known !== 'string' && !known.includes(value));
  });
  return wrong.map(([metric, label, value]) => `${metric}{${label}="${value}"}`);
}

const expressions = rules.replace(/^ {8}annotations:\n(?: {10}.*\n?)*/gm, '');

describe('the alert rules', () => {
  it('name series that the exporter has', () => {
    const named = [...new Set(expressions.match(/\boom_backstop_\w+/g))];
    expect(named.length).toBeGreaterThan(15);
    expect(named.filter((name) => !SERIES.includes(name))).toEqual([]);
  });

  it('ask for labels and values that these have', () => {
    expect(matchers(expressions).length).toBeGreaterThan(8);
    expect(impossible(expressions)).toEqual([]);
    expect(impossible('oom_backstop_kills_total{signal="hup"}')).toHaveLength(1);
  });

  it('each has a severity, a summary and a description', () => {
    const parts = rules.split(/^ {6}- alert: /m).slice(1);
    expect(parts.filter((part) => !/severity: (critical|warning|info)\n/.test(part))).toEqual([]);
    expect(parts.filter((part) => !/summary: .*\n\s+description: /.test(part))).toEqual([]);
  });

  it('are those of the README’s table, with their severities', () => {
    const readme = readFileSync(path.join(MONITORING, 'README.md'), 'utf8');
    const documented = [...readme.matchAll(/^\| `(OomBackstop\w+)` \| (\w+) \|/gm)].map(([, name, how]) => [name, how]);
    const shipped = [...rules.matchAll(/- alert: (\w+)\n[\s\S]*?severity: (\w+)\n/g)].map(([, name, how]) => [
      name,
      how,
    ]);
    expect(documented).toEqual(shipped);
  });

  it.each(alerts)('%s: a test has it fire, and another not', (name) => {
    expect(ruleTests).toMatch(new RegExp(`alertname: ${name}\\n\\s+eval_time: \\S+\\n\\s+exp_alerts:`));
    expect(ruleTests).toMatch(new RegExp(`\\{ alertname: ${name}, eval_time: \\S+ \\}`));
  });
});

describe('the dashboard', () => {
  const queries = dashboardQueries();
  const { panels, templating } = dashboard;

  it('names series that the exporter has, and shows all of them', () => {
    const named = new Set(queries.flatMap(({ expr }) => expr.match(/\boom_backstop_\w+/g) ?? []));
    expect([...named].filter((name) => !SERIES.includes(name))).toEqual([]);
    const shown = (name: string): boolean => named.has(name) || named.has(`${name}_bucket`);
    expect(METRICS.filter(({ name }) => !shown(name)).map(({ name }) => name)).toEqual(NOT_SHOWN.toSorted());
  });

  it('asks for labels and values that these have', () => {
    expect(impossible(queries.map(({ expr }) => expr.replaceAll('instance=~"$instance"', '')).join('\n'))).toEqual([]);
  });

  it('goes by the machines that are chosen, and by Grafana’s own intervals', () => {
    for (const { where, expr } of queries) {
      const selectors = expr.match(/oom_backstop_\w+(\{[^}]*\})?/g) ?? [];
      expect(
        selectors.filter((selector) => !selector.includes('instance=~"$instance"')),
        where,
      ).toEqual([]);
      const windows = [...expr.matchAll(/\[(.*?)\]/g)].map(([, window]) => window);
      expect(
        windows.filter((window) => !['$__rate_interval', '$__range', '24h'].includes(window ?? '')),
        where,
      ).toEqual([]);
    }
  });

  it('uses the data source that is chosen, everywhere', () => {
    const sources = [
      ...panels.flatMap(({ datasource, targets = [] }) => [datasource, ...targets.map((target) => target.datasource)]),
      templating.list.find(({ name }) => name === 'instance')?.datasource,
    ].filter((source) => source !== undefined);
    expect(sources.length).toBeGreaterThan(panels.length);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's variable
    expect(new Set(sources.map(({ uid }) => uid))).toEqual(new Set(['${datasource}']));
    expect(templating.list.map(({ name, type }) => `${name}: ${type}`)).toEqual([
      'datasource: datasource',
      'instance: query',
    ]);
  });

  it('has panels with ids of their own that explain themselves and lie side by side', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(panels.filter(({ type, description }) => type !== 'row' && !description).map(({ title }) => title)).toEqual(
      [],
    );
    const taken = new Map<string, string>();
    for (const { title, gridPos } of panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(columns);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.get(`${x} ${y}`), `${title} lies over another`).toBeUndefined();
          taken.set(`${x} ${y}`, title);
        }
      }
    }
  });
});
