/* State pages for tests of their readers, written by the layout alone: what a guard would write, and what none would. */
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
  PROGRAM_AT,
  SEQUENCE_AT,
  SIGNALS,
  VERSION_AT,
} from '../../src/state/layout.js';

export interface MadeDecision extends Partial<Record<(typeof DECISION_NUMBERS)[number], number>> {
  comm?: string;
  rule?: string;
}

/** CLOCK_MONOTONIC. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

const GIB = 1024 * 1024;

/** A guard that is up and has killed twice. */
const ORDINARY: Readonly<Record<string, number>> = {
  pid: 812,
  persona: 0,
  dryrun: 0,
  phase: 0,
  waitMs: 1000,
  memTotalKib: 24 * GIB,
  memAvailableKib: 12 * GIB,
  anonPagesKib: 8 * GIB,
  swapTotalKib: 4 * GIB,
  swapFreeKib: 3 * GIB,
  memTermPercent: 5,
  memKillPercent: 3,
  swapTermPercent: 50,
  swapKillPercent: 25,
  startsTotal: 2,
  ticksTotal: 4711,
  'crossingsTotal:term': 2,
  'killsTotal:oom-backstop:limit:term': 1,
  'killsTotal:oom-backstop:rule:kill': 1,
  freedKibTotal: 3 * GIB,
  tickBucket3: 4700,
  tickBucketInf: 11,
  tickSumMs: 500,
  killBucket2: 2,
  killSumMs: 40,
};

const DECISIONS: readonly MadeDecision[] = [
  { pid: 4711, uid: 1000, comm: 'leak', signal: SIGNALS.indexOf('term'), freedKib: 2 * GIB, killMs: 12, backMs: 40 },
  { pid: 4712, uid: 1001, comm: 'hog', rule: 'thrashing', signal: SIGNALS.indexOf('kill'), freedKib: GIB, killMs: 28 },
];

export interface MadePage {
  numbers?: Readonly<Record<string, number>>;
  decisions?: readonly MadeDecision[];
  version?: string;
  sequence?: number;
}

/** A page as a guard would write it now. */
export function statePage({
  numbers = {},
  decisions = DECISIONS,
  version = '0.1.0',
  sequence = 2,
}: MadePage = {}): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  page.write(MAGIC, MAGIC_AT, 'ascii');
  page.writeUInt32LE(LAYOUT_VERSION, VERSION_AT);
  page.writeUInt32LE(PAGE_BYTES, BYTES_AT);
  page.writeUInt32LE(sequence, SEQUENCE_AT);
  page.write(version, PROGRAM_AT, 'ascii');
  const nowMs = Date.now();
  const written: Record<string, number> = {
    startedUnixMs: nowMs - 3_600_000,
    heartbeatUnixMs: nowMs,
    heartbeatMonotonicMs: monotonicMs(),
    lastKillUnixMs: decisions.length > 0 ? nowMs - 60_000 : NOT_KNOWN,
    ...ORDINARY,
    decisionsTotal: decisions.length,
    ...numbers,
  };
  for (const name of NUMBERS) page.writeDoubleLE(written[name] ?? 0, NUMBERS_AT + numberIndex(name) * 8);
  for (const [index, decision] of decisions.entries())
    writeDecision(page, decision, index % DECISIONS_KEPT, nowMs - 60_000);
  return page;
}

function writeDecision(page: Buffer, decision: MadeDecision, slot: number, unixMs: number): void {
  const made = { unixMs, pid: 1, uid: 0, signal: 0, outcome: OUTCOMES.indexOf('exited'), rssKib: GIB, ...decision };
  const at = decisionAt(slot);
  for (const [index, name] of DECISION_NUMBERS.entries()) page.writeDoubleLE(made[name] ?? NOT_KNOWN, at + index * 8);
  const commAt = at + DECISION_NUMBERS.length * 8;
  page.write(decision.comm ?? '', commAt, DECISION_COMM_BYTES, 'utf8');
  page.write(decision.rule ?? '', commAt + DECISION_COMM_BYTES, DECISION_RULE_BYTES, 'utf8');
}
