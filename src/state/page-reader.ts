/*
 * Reads the state page: bytes in, a plain object or the reason for refusing them out. Pure, and never throws, whatever the bytes are.
 *
 * Nothing is guessed at: a page of another layout is refused whole, and so is one with a number that no guard writes (NaN, -2, a
 * persona that there is none of), because whoever wrote that cannot be believed in the rest either.
 */
import {
  BYTES_AT,
  DECISION_COMM_BYTES,
  DECISION_NUMBERS,
  DECISION_RULE_BYTES,
  DECISIONS_KEPT,
  decisionAt,
  LAYOUT_VERSION,
  MAGIC,
  MAGIC_AT,
  NOT_KNOWN,
  NUMBERS,
  NUMBERS_AT,
  numberIndex,
  OUTCOMES,
  PAGE_BYTES,
  PERSONAS,
  PHASES,
  PROGRAM_AT,
  PROGRAM_BYTES,
  SEQUENCE_AT,
  SIGNALS,
  VERSION_AT,
} from './layout.js';

/** One of the last decisions. What is not known is null. */
export interface Decision {
  unixMs: number;
  pid: number;
  uid: number | null;
  signal: (typeof SIGNALS)[number] | null;
  outcome: (typeof OUTCOMES)[number];
  rssKib: number | null;
  freedKib: number | null;
  killMs: number | null;
  backMs: number | null;
  /** As the process had named itself: anything. */
  comm: string;
  /** null: a limit. */
  rule: string | null;
}

export interface StatePage {
  /** The guard's version. */
  version: string;
  persona: (typeof PERSONAS)[number];
  phase: (typeof PHASES)[number];
  /** A number by its name in the layout; null where it is not known. @throws RangeError for a name that the layout has not */
  number: (name: string) => number | null;
  /** The newest first. */
  decisions: readonly Decision[];
}

/** `short`: too few bytes; `foreign`: not a state page; `version`: of another layout; `torn`: being written; `damaged`: holds what no guard writes. */
type RefusalKind = 'short' | 'foreign' | 'version' | 'torn' | 'damaged';

export interface Refusal {
  kind: RefusalKind;
  why: string;
}

export type PageRead = { page: StatePage } | { refused: Refusal };

/**
 * @param bytes  the whole file. That nobody has written to it meanwhile is the caller's to see to: `sequenceOf` before and after
 */
export function readStatePage(bytes: Uint8Array): PageRead {
  const refused = refusalOf(bytes);
  if (refused !== null) return { refused };
  const numbers = numbersAt(bytes, NUMBERS_AT, NUMBERS.length);
  const odd = numbers.findIndex((value) => !isWritten(value));
  if (odd !== -1) return damaged(`${NUMBERS[odd]} is ${numbers[odd]}`);
  const number = (name: string): number | null => known(numbers[numberIndex(name)]);
  const persona = oneOf(PERSONAS, number('persona'));
  if (persona === null) return damaged(`there is no persona ${number('persona')}`);
  const phase = oneOf(PHASES, number('phase'));
  if (phase === null) return damaged(`there is no phase ${number('phase')}`);
  const decisions: Decision[] = [];
  const total = number('decisionsTotal') ?? 0;
  for (let age = 1; age <= Math.min(total, DECISIONS_KEPT); age++) {
    const decision = decisionIn(bytes, (total - age) % DECISIONS_KEPT);
    if (decision === null) return damaged(`decision ${total - age} is none`);
    decisions.push(decision);
  }
  return { page: { version: text(bytes, PROGRAM_AT, PROGRAM_BYTES), persona, phase, number, decisions } };
}

/** The seqlock: odd while the page is written; null where the bytes end before it. */
export function sequenceOf(bytes: Uint8Array): number | null {
  return bytes.length < SEQUENCE_AT + 4 ? null : view(bytes).getUint32(SEQUENCE_AT, true);
}

function refusalOf(bytes: Uint8Array): Refusal | null {
  // What it is before how long it is: an empty file is short, a README is foreign.
  if (text(bytes, MAGIC_AT, Math.min(MAGIC.length, bytes.length)) !== MAGIC.slice(0, bytes.length))
    return { kind: 'foreign', why: 'not a state page of oom-backstop' };
  if (bytes.length < NUMBERS_AT) return short(bytes);
  const version = view(bytes).getUint32(VERSION_AT, true);
  if (version !== LAYOUT_VERSION) {
    const which = version > LAYOUT_VERSION ? 'a later' : 'an earlier';
    return {
      kind: 'version',
      why: `of ${which} layout, ${version}, and this program reads ${LAYOUT_VERSION}: guard and reader are of different releases`,
    };
  }
  const saysBytes = view(bytes).getUint32(BYTES_AT, true);
  if (saysBytes !== PAGE_BYTES)
    return {
      kind: 'damaged',
      why: `says that it has ${saysBytes} bytes, and layout ${LAYOUT_VERSION} has ${PAGE_BYTES}`,
    };
  if (bytes.length < PAGE_BYTES) return short(bytes);
  if ((sequenceOf(bytes) ?? 0) % 2 === 1) return { kind: 'torn', why: 'is being written' };
  return null;
}

function short(bytes: Uint8Array): Refusal {
  return { kind: 'short', why: `has ${bytes.length} bytes of ${PAGE_BYTES}` };
}

function damaged(why: string): PageRead {
  return { refused: { kind: 'damaged', why: `holds what no guard writes: ${why}` } };
}

/** null: there is no such decision. */
function decisionIn(bytes: Uint8Array, slot: number): Decision | null {
  if (!Number.isInteger(slot)) return null;
  const at = decisionAt(slot);
  const values = numbersAt(bytes, at, DECISION_NUMBERS.length);
  if (!values.every(isWritten)) return null;
  const number = (name: (typeof DECISION_NUMBERS)[number]): number | null =>
    known(values[DECISION_NUMBERS.indexOf(name)]);
  const outcome = oneOf(OUTCOMES, number('outcome'));
  const [unixMs, pid] = [number('unixMs'), number('pid')];
  if (outcome === null || unixMs === null || pid === null) return null;
  const signal = number('signal');
  if (signal !== null && oneOf(SIGNALS, signal) === null) return null;
  const commAt = at + DECISION_NUMBERS.length * 8;
  return {
    unixMs,
    pid,
    uid: number('uid'),
    signal: oneOf(SIGNALS, signal),
    outcome,
    rssKib: number('rssKib'),
    freedKib: number('freedKib'),
    killMs: number('killMs'),
    backMs: number('backMs'),
    comm: text(bytes, commAt, DECISION_COMM_BYTES),
    rule: text(bytes, commAt + DECISION_COMM_BYTES, DECISION_RULE_BYTES) || null,
  };
}

function numbersAt(bytes: Uint8Array, at: number, count: number): number[] {
  const numbers = view(bytes);
  return Array.from({ length: count }, (_, index) => numbers.getFloat64(at + index * 8, true));
}

function isWritten(value: number): boolean {
  return (value >= 0 && value <= Number.MAX_SAFE_INTEGER) || value === NOT_KNOWN;
}

function known(value: number | undefined): number | null {
  return value === undefined || value === NOT_KNOWN ? null : value;
}

function oneOf<A>(list: readonly A[], index: number | null): A | null {
  return index === null ? null : (list[index] ?? null);
}

/** Up to the first NUL. What is no UTF-8 holds U+FFFD. */
function text(bytes: Uint8Array, at: number, length: number): string {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset + at, length);
  const end = all.indexOf(0);
  return all.toString('utf8', 0, end === -1 ? length : end);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
