/*
 * The form of the log as JSON (--log-format json): one record a line. The guard builds it (report/json-log.ts), dist/log.cjs
 * (log-writer/main.ts) adds pid, hostname and name and writes it by pino. `npm run docs` makes the README's tables from here.
 */

/** Raised when a field means something else than before; fields and topics may be added without. */
export const LOG_SCHEMA = 1;

/** What a record is when it is a line of the log. The event log's have names of their own. */
export const LOG_EVENT = 'log';

export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/**
 * What a line is: where it goes, how it looks, its severity.
 * start: what the guard says while starting (stderr); report: memory reports (stdout); warn: kills and
 * trouble (stderr, yellow); fatal (stderr, red); debug (stdout, dim).
 */
export type LineKind = 'start' | 'report' | 'warn' | 'fatal' | 'debug';

/** pino's levels: info, warn, fatal, debug. */
export const LOG_LEVELS: Record<LineKind, number> = { start: 30, report: 30, warn: 40, fatal: 60, debug: 20 };

/** The fields that every record has, in this order, and those of its topic after `kind`. */
export const LOG_BASE_FIELDS = {
  level: "pino's: 20 debug, 30 info, 40 warn, 60 fatal",
  time: 'when it was said, Unix time in ms',
  pid: "the guard's",
  hostname: 'of the machine',
  name: '`oom-backstop`',
  schema: `${LOG_SCHEMA}; raised when a field means something else than before`,
  event: '`log` for a line of the log',
  kind: '`start`, `report` (memory), `warn`, `fatal` or `debug`',
  msg: 'the line as text would be, without colour; cut where the record would be longer than 3.9 KB',
} as const;

interface TopicText {
  /** The line, or what it is about. */
  line: string;
  /** Field by field, in the order in which they are written: what it is. `victim.pid` is the field `pid` of the object `victim`. */
  fields: Readonly<Record<string, string>>;
}

const SIGNAL = '`SIGTERM` or `SIGKILL`';
/** With -d the start tries the selection. */
const SENT_SIGNAL = `${SIGNAL}, or \`0 (no-op signal)\` for the trial of the start with \`-d\``;
const PERCENT_LIMITS = { memPercent: 'of user mem total', swapPercent: 'of total swap' } as const;
const PID = { 'victim.pid': 'process id' } as const;

const topics = <T extends Record<string, TopicText>>(all: T): T => all;

/** Lines with numbers or names in them have a `topic`, and these as fields. null: not known. */
export const LOG_TOPICS = topics({
  memory: {
    line: '`mem avail: ...`, each report and each kill',
    fields: {
      memAvailableKib: 'MemAvailable, as the guard counts it',
      userMemTotalKib: 'MemAvailable + AnonPages: what percentages are of',
      swapFreeKib: 'free swap',
      swapTotalKib: 'all swap',
    },
  },
  totals: {
    line: '`mem total: ...`, at start',
    fields: { memTotalKib: 'MemTotal', userMemTotalKib: 'MemAvailable + AnonPages', swapTotalKib: 'all swap' },
  },
  limits: { line: '`sending SIGTERM when ...`, at start', fields: { signal: SIGNAL, ...PERCENT_LIMITS } },
  'low-memory': { line: '`low memory! at or below ...`', fields: { signal: SIGNAL, ...PERCENT_LIMITS } },
  'rule-fired': {
    line: '`PSI rule "...": some ...`',
    fields: {
      rule: 'its name',
      cgroup: 'its path; null: the machine',
      stall: '`some` or `full`',
      stallPercent: 'of the window',
      windowMs: 'the window',
      availablePercent: 'available memory',
      refaultsPerS: 'pages that came back right after they were dropped',
    },
  },
  sending: {
    line: '`sending SIGTERM to process ...`',
    fields: {
      signal: SENT_SIGNAL,
      'victim.pid': 'process id',
      'victim.uid': 'its effective user; null: not known',
      'victim.name': 'its comm',
      'victim.oomScore': '/proc/PID/oom_score',
      'victim.oomScoreAdj': '/proc/PID/oom_score_adj',
      'victim.rssKib': 'VmRSS',
      'victim.cmdline': 'its arguments, 256 bytes of them',
    },
  },
  group: {
    line: '`killing whole process group ...`',
    fields: { pgid: 'its number; null: not the whole of it', processes: 'how many' },
  },
  'whole-cgroup': {
    line: '`killing whole cgroup ...`',
    fields: { cgroup: 'its path', processes: 'how many' },
  },
  exited: { line: '`process ... exited after ...`', fields: { ...PID, afterMs: 'since its first signal' } },
  escalating: {
    line: '`escalating to SIGKILL ...`',
    fields: { afterMs: 'since SIGTERM', reason: '`limits`, `time` or `rule`' },
  },
  'did-not-exit': { line: '`process ... did not exit`', fields: PID },
  stuck: { line: '`process ... is stuck in the kernel ...`', fields: PID },
  'kill-failed': { line: '`kill failed: ...`', fields: { error: "the system's words" } },
  'gave-back': {
    line: '`it gave back ...`',
    fields: {
      gaveBackKib: 'what AnonPages fell by',
      expectedKib: 'what belonged to the victim',
      verdict: '`enough`; `taken`: by others, it seems; `little`: shared, or held by the kernel',
    },
  },
  'holds-back': {
    line: '`memory comes back: nobody else is killed ...`',
    fields: { hiddenKib: "free on CPUs' own lists" },
  },
  futile: {
    line: '`no kill would help: ...`',
    fields: { shmemKib: 'tmpfs and shared memory', reclaimableKib: 'what all processes would give back' },
  },
  tmpfs: { line: '`tmpfs ... holds ...`', fields: { path: 'where it is mounted', usedKib: 'what is in it' } },
  candidate: {
    line: 'with `-d`, each process that was looked at',
    fields: {
      'process.pid': 'process id',
      'process.uid': 'its effective user',
      'process.name': 'its comm',
      'process.oomScore': '/proc/PID/oom_score',
      'process.oomScoreAdj': '/proc/PID/oom_score_adj',
      'process.rssKib': 'VmRSS',
      leads: 'whether it would be the victim so far',
    },
  },
  dropped: {
    line: '`dropped N log lines that nobody read`, before the line that gets through again',
    fields: { lines: 'how many are missing here' },
  },
});
export type LogTopic = keyof typeof LOG_TOPICS;
