/* What a finding is, and the table of all that there are. Ids are for programs: an id keeps its meaning for ever. */

/** ok: as it should be. note: good to know. warning: the guard works, not as well as it could. error: it would not work. */
export type Severity = 'ok' | 'note' | 'warning' | 'error';

/** Each id with the severities that it can have (README, "Check your machine", has the same table: a test compares them). */
export const FINDINGS = {
  options: ['ok', 'note', 'warning', 'error'],
  procfs: ['ok', 'error'],
  'mem-limit': ['ok', 'warning'],
  'swap-limit': ['ok', 'note', 'warning'],
  pattern: ['ok', 'note', 'warning'],
  hook: ['ok', 'warning'],
  'kernel-oom': ['ok', 'warning'],
  match: ['ok', 'note', 'warning', 'error'],
  'largest-protected': ['ok', 'note'],
  victim: ['ok', 'warning'],
  'way-in': ['ok', 'warning'],
  'small-victims': ['ok', 'note', 'warning'],
  'other-daemon': ['ok', 'note', 'warning'],
  'cap-kill': ['ok', 'warning'],
  hidepid: ['ok', 'note', 'warning'],
  pidfd: ['ok', 'warning', 'error'],
  'process-mrelease': ['ok', 'note', 'warning'],
  'close-range': ['ok', 'note'],
  'memory-lock': ['ok', 'warning'],
  'own-memory-limit': ['ok', 'note', 'warning'],
  psi: ['ok', 'warning'],
  'psi-trigger': ['ok', 'note', 'warning'],
  cgroup2: ['ok', 'note'],
  'cgroup-memory': ['ok', 'note', 'warning'],
  'cgroup-pressure': ['ok', 'note'],
  'cgroup-kill': ['ok', 'note'],
  'psi-rule': ['ok', 'note', 'warning'],
  swap: ['ok', 'note'],
  zswap: ['ok', 'note'],
  'zfs-arc': ['ok', 'note', 'warning'],
  overcommit: ['ok', 'note'],
  'panic-on-oom': ['ok', 'note', 'warning'],
  'oom-kill-allocating-task': ['ok', 'note'],
} as const satisfies Record<string, readonly Severity[]>;

type FindingId = keyof typeof FINDINGS;

export interface Finding {
  id: FindingId;
  severity: Severity;
  /** What was found. May hold names that strangers chose, control characters included. */
  found: string;
  /** Why it matters. */
  why: string;
  /** What to do; null if nothing. */
  advice: string | null;
}

/** What of the judgement depends on what was found. */
interface Judgement<S extends Severity> {
  severity: S;
  found: string;
  advice?: string;
}

/** A finding; only severities that the table has for `id` are possible. */
export function finding<Id extends FindingId>(
  id: Id,
  why: string,
  { severity, found, advice }: Judgement<(typeof FINDINGS)[Id][number]>,
): Finding {
  return { id, severity, found, why, advice: advice ?? null };
}

const KIB_PER_MIB = 1024;
const BYTES_PER_MIB = 1048576;

/** Whole MiB of so many KiB, as text. */
export function mibOfKib(kib: number): string {
  return `${Math.floor(kib / KIB_PER_MIB)} MiB`;
}

/** Whole MiB of so many bytes, as text. */
export function mibOfBytes(bytes: number): string {
  return `${Math.floor(bytes / BYTES_PER_MIB)} MiB`;
}

/** `5.00 %` */
export function percent(value: number): string {
  return `${value.toFixed(2)} %`;
}

/** `1 process`, `2 processes` */
export function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
