/*
 * A trace (shared/trace.ts), read. What belongs to a look is put beside it: what was chosen, which signals went out, how it
 * ended. The last line may be torn, since whoever wrote it may have been ended with the guard; any other line that can't be read
 * makes the whole trace worthless. Pure.
 */
import type { Step } from '../decide/ladder.js';
import type { Outcome } from '../shared/incident.js';
import type { MemoryLevels } from '../shared/limits.js';
import { ROW_COLUMNS, type SPARED, TRACE_SCHEMA, type TraceChoice, type TraceHeader } from '../shared/trace.js';

/** One tick. */
export interface Look {
  /** Since the trace began. */
  tUs: number;
  memory: MemoryLevels;
  /** LOOK_ bits. */
  flags: number;
  /** What the guard did next. */
  step: Step;
  /** Of a selection; null where its line is missing. */
  choice: TraceChoice | null;
  /** Sent at this tick. */
  signals: number[];
  /** The kill ended at this tick. */
  end: { outcome: Outcome | typeof SPARED; errno: number } | null;
}

/** Numbers as in ROW_COLUMNS, then the name. */
export type Row = (number | string | null)[];

interface RecordedTable {
  tUs: number;
  rows: Row[];
  /** Whether every part of it is there. */
  whole: boolean;
}

export interface Trace {
  header: TraceHeader;
  looks: Look[];
  tables: Map<number, RecordedTable>;
  /** Lines that the guard had to drop. */
  missingLines: number;
  /** It reached its bound. */
  full: boolean;
  /** The last line is torn. */
  torn: boolean;
}

/** Why a trace can't be read. */
export class TraceError extends Error {}

type Fields = Record<string, unknown>;

const MEMORY_NUMBERS = 4;

/** @throws TraceError */
export function readTrace(text: string): Trace {
  const lines = text.split('\n');
  const last = lines.pop() as string;
  const [first = last, ...rest] = lines;
  const trace: Trace = {
    header: readHeader(parse(first, 1)),
    looks: [],
    tables: new Map(),
    missingLines: 0,
    full: false,
    torn: last !== '' && lines.length > 0,
  };
  for (const [index, line] of rest.entries()) take(trace, parse(line, index + 2), index + 2);
  return trace;
}

function parse(line: string, number: number): Fields {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  } catch {
    // Said below.
  }
  throw new TraceError(`line ${number}: not a whole JSON object`);
}

function readHeader(fields: Fields): TraceHeader {
  const { kind, schema, policy, machine } = fields;
  if (kind !== 'trace' || typeof schema !== 'number') throw new TraceError('line 1: not the header of a trace');
  if (schema > TRACE_SCHEMA) {
    throw new TraceError(
      `schema ${schema}, and this program knows ${TRACE_SCHEMA}: ask the oom-backstop that recorded it`,
    );
  }
  const numbers = [
    at(policy, 'limits', 'memTermPercent'),
    at(policy, 'selection', 'floorKib'),
    at(machine, 'memTotalKib'),
  ];
  const objects = [at(policy, 'patterns'), at(policy, 'selection'), at(policy, 'limits')];
  const whole = numbers.every(Number.isFinite) && objects.every((each) => typeof each === 'object' && each !== null);
  if (!whole) throw new TraceError('line 1: the header lacks the policy or the machine');
  return fields as unknown as TraceHeader;
}

function at(value: unknown, ...names: string[]): unknown {
  return names.reduce((each, name) => (each as Fields | null | undefined)?.[name], value);
}

/** Puts a line to where it belongs. */
function take(trace: Trace, fields: Fields, line: number): void {
  const refuse = (what: string): never => {
    throw new TraceError(`line ${line}: ${what}`);
  };
  const { t, n } = fields;
  if (!isCount(t)) return refuse('no time');
  if (isCount(n)) trace.missingLines += n;
  const look = trace.looks.at(-1);
  if ('m' in fields) trace.looks.push(lookOf(fields, t) ?? refuse('not a look'));
  else if ('choice' in fields) takeChoice(trace, fields['choice']) || refuse('not a choice');
  else if ('table' in fields) takeRows(trace, fields, t) || refuse('not a table');
  else if ('signal' in fields) look?.signals.push(Number(fields['signal']));
  else if ('outcome' in fields && look !== undefined) {
    look.end = { outcome: fields['outcome'] as Outcome | typeof SPARED, errno: Number(fields['errno']) };
  } else if ('full' in fields) trace.full = true;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function lookOf(fields: Fields, tUs: number): Look | null {
  const memory = memoryOf(fields['m']);
  if (memory === null || !isCount(fields['f'])) return null;
  const step = (fields['s'] ?? 'wait') as Step;
  return { tUs, memory, flags: fields['f'], step, choice: null, signals: [], end: null };
}

/** The numbers of a look, or of a choice. */
export function memoryOf(numbers: unknown): MemoryLevels | null {
  if (!Array.isArray(numbers) || numbers.length !== MEMORY_NUMBERS || !numbers.every(isCount)) return null;
  const [memAvailableKib, anonPagesKib, swapTotalKib, swapFreeKib] = numbers as [number, number, number, number];
  return { memAvailableKib, anonPagesKib, swapTotalKib, swapFreeKib };
}

/** It is written when nothing is urgent any more, which may be some looks later. */
function takeChoice(trace: Trace, value: unknown): boolean {
  const choice = value as TraceChoice;
  const numbers = [at(value, 'pid'), at(value, 'startTimeTicks'), at(value, 'table')];
  if (memoryOf(at(value, 'm')) === null || !numbers.every(isCount) || typeof choice.name !== 'string') return false;
  const look = trace.looks.findLast((each) => each.step === 'select');
  if (look !== undefined) look.choice = choice;
  return true;
}

function takeRows(trace: Trace, { table, part, rows, last }: Fields, tUs: number): boolean {
  if (!isCount(table) || !isCount(part) || !Array.isArray(rows) || !rows.every(isRow)) return false;
  const parts = trace.tables.get(table) ?? { tUs, rows: [], whole: false, parts: 0, torn: false };
  const counted = parts as RecordedTable & { parts: number; torn: boolean };
  counted.torn ||= counted.parts !== part;
  counted.parts = part + 1;
  counted.rows.push(...(rows as Row[]));
  counted.whole = last === true && !counted.torn;
  trace.tables.set(table, counted);
  return true;
}

function isRow(row: unknown): boolean {
  if (!Array.isArray(row) || row.length !== ROW_COLUMNS.length + 1) return false;
  const numbers = row.slice(0, ROW_COLUMNS.length);
  return numbers.every((each) => each === null || Number.isFinite(each)) && typeof row.at(-1) === 'string';
}
