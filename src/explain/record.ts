/*
 * Incident records, read. A line is taken as a whole or refused with the reason: half a line (the guard was ended while it wrote, the
 * file system was full), something that is no record, a record of a later version that may mean something else. Pure.
 */
import { INCIDENT_SCHEMA, type IncidentRecord, OUTCOMES, STEPS } from '../shared/incident.js';

/** What a value has to be: a type, one of some strings, an object with these fields, an array of such; `?`: or null. */
type Shape = 'number' | 'number?' | 'string' | 'string?' | 'boolean' | Set<string> | Fields | readonly [Shape];
interface Fields {
  readonly [name: string]: Shape;
}

const MEMORY: Fields = {
  memTotalKib: 'number',
  memAvailableKib: 'number',
  anonPagesKib: 'number',
  swapTotalKib: 'number',
  swapFreeKib: 'number',
};
const PRESSURE: Fields = { avg10: 'number?', avg60: 'number?', totalMs: 'number?' };
const RANKED: Fields = {
  pid: 'number',
  name: 'string',
  score: 'number?',
  oomScore: 'number?',
  oomScoreAdj: 'number?',
  rssKib: 'number?',
  anonKib: 'number?',
};
const RECORD: Fields = {
  id: 'string',
  atUnixMs: 'number',
  version: 'string',
  persona: 'string',
  outcome: new Set(OUTCOMES),
  errno: 'number?',
  why: {
    by: new Set(['limits', 'rule']),
    rule: 'string?',
    level: new Set(['term', 'kill']),
    limits: {
      memTermPercent: 'number',
      memKillPercent: 'number',
      swapTermPercent: 'number',
      swapKillPercent: 'number',
    },
  },
  ranking: new Set(['oom_score', 'rss', 'memory']),
  floorKib: 'number',
  killGroup: 'boolean',
  before: MEMORY,
  after: MEMORY,
  pressure: { some: PRESSURE, full: PRESSURE },
  victim: { ...RANKED, startTimeTicks: 'number', uid: 'number?', cmdline: 'string', swapKib: 'number?' },
  candidates: [{ ...RANKED, passedOver: 'string?' }],
  expectedKib: 'number?',
  gaveBackKib: 'number?',
  timelineUs: Object.fromEntries(STEPS.map((step) => [step, 'number?' as const])),
};

/** A line that was refused. */
interface Refused {
  /** From 1. */
  line: number;
  why: string;
}

export interface Incidents {
  records: IncidentRecord[];
  refused: Refused[];
  /** Whether the last line is one that was refused. */
  endsRefused: boolean;
}

/** The records in the text of a file, in its order. */
export function readIncidents(text: string): Incidents {
  const incidents: Incidents = { records: [], refused: [], endsRefused: false };
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (const [index, line] of lines.entries()) {
    const record = readIncident(line);
    incidents.endsRefused = typeof record === 'string';
    if (typeof record === 'string') incidents.refused.push({ line: index + 1, why: record });
    else incidents.records.push(record);
  }
  return incidents;
}

/** The record in a line, or why it is none. */
export function readIncident(line: string): IncidentRecord | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return 'torn: not a whole JSON object';
  }
  if (!isObject(value) || value['kind'] !== 'incident' || typeof value['schema'] !== 'number') {
    return 'not an incident record';
  }
  if (value['schema'] > INCIDENT_SCHEMA) {
    return `schema ${value['schema']}, and this program knows ${INCIDENT_SCHEMA}: ask the oom-backstop that wrote it`;
  }
  const wrong = mismatch(value, RECORD, '');
  return wrong === null ? (value as unknown as IncidentRecord) : `not an incident record: ${wrong}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What in `value` is not of the shape, or null. */
function mismatch(value: unknown, shape: Shape, path: string): string | null {
  if (typeof shape === 'string') return matches(value, shape) ? null : `${path} is no ${shape.replace('?', '')}`;
  if (shape instanceof Set) return shape.has(value as string) ? null : `${path} is none of ${[...shape].join(', ')}`;
  if (isList(shape)) {
    if (!Array.isArray(value)) return `${path} is no list`;
    return firstOf(value.map((each, index) => mismatch(each, shape[0], `${path}[${index}]`)));
  }
  if (!isObject(value)) return `${path} is no object`;
  const below = (name: string): string => (path === '' ? name : `${path}.${name}`);
  return firstOf(Object.entries(shape).map(([name, each]) => mismatch(value[name], each, below(name))));
}

function matches(value: unknown, type: string): boolean {
  if (value === null) return type.endsWith('?');
  return type.startsWith('number') ? Number.isFinite(value) : typeof value === type.replace('?', '');
}

function isList(shape: Fields | readonly [Shape]): shape is readonly [Shape] {
  return Array.isArray(shape);
}

function firstOf(found: readonly (string | null)[]): string | null {
  return found.find((each) => each !== null) ?? null;
}
