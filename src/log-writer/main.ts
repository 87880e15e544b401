/*
 * dist/log.cjs, the log writer (--log-format json): reads records from its stdin, which the guard writes (report/json-log.ts), and logs
 * each by pino to its stdout, the guard's. In a process of its own, because pino makes garbage and takes megabytes, and so that
 * whoever reads the log can hold up this process only: while stdout takes nothing, nothing more is read, the pipe fills, and the guard
 * counts what it drops.
 *
 * It ends with its input, that is, with the guard. Signals that are meant for the guard (a service manager's to all of its
 * processes) are not for it: the last lines would be lost. If its reader takes nothing then, it ends all the same, after a time.
 * When the reader is gone it ends at once, and the guard goes on as text.
 *
 * After a reload there are two for a moment: the guard is the same process, which executed itself anew, and has closed the first one's
 * pipe. The second one waits until the first has written everything, and longer than that if their reader takes nothing: no line is
 * lost, doubled, or in another one's middle.
 *
 * Arguments: the guard's pid; its name; the pid of the log writer before this one, where there is one.
 */
import { read, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { destination, pino } from 'pino';

const STDIN = 0;
const STDOUT = 1;

const CHUNK_BYTES = 64 * 1024;

/** What a reader gets to take the last lines. */
const END_MS_MAX = 3000;

/** At the writer before: usually it has ended already. And at the guard, while nothing is read that would tell of its end. */
const LOOK_AT_WRITER_MS = 10;
const LOOK_AT_GUARD_MS = 500;

/** A disk that was full may have room again. */
const RETRY_MS = 1000;

const NEWLINE = 0x0a;

interface GuardRecord {
  level?: number;
  time?: number;
  /** Of an event. */
  timeUnixMs?: number;
  msg?: string;
  /** An event's victim; `pid` alone is the guard's. */
  pid?: number;
  uid?: number;
  name?: string;
  rssKib?: number;
}

const [guardPid, name, before] = process.argv.slice(2);

process.title = `${name} log`;
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);

const stdout = destination({ dest: STDOUT, sync: false });
let full = false;
let goOn: (() => void) | null = null;
let ending = false;
stdout.on('drain', () => {
  full = false;
  goOn?.();
  goOn = null;
});
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') endNow();
  // What could not be written is kept, and tried again with the next line.
  setTimeout(() => stdout.write(''), RETRY_MS);
});

let time = 0;
const logger = pino(
  {
    level: 'trace',
    // Each record has the guard's, of when it was said.
    timestamp: () => `,"time":${time}`,
    // Not pino's way, by which a record's own field of such a name would be there twice.
    base: null,
  },
  {
    write: (line: string) => {
      full = !stdout.write(line);
    },
  },
);
const base = { pid: Number(guardPid), hostname: hostname(), name };
const labels = new Map(
  Object.entries(pino.levels.labels).map(([level, label]) => [Number(level), label as pino.Level]),
);

function log(text: string): void {
  let record: GuardRecord;
  try {
    record = JSON.parse(text);
  } catch {
    // Cut: the guard has counted it as dropped.
    return;
  }
  const { level = pino.levels.values['info'] as number, msg, ...fields } = record;
  time = fields.time ?? fields.timeUnixMs ?? Date.now();
  delete fields.time;
  delete fields.timeUnixMs;
  logger[labels.get(level) ?? 'info']({ ...base, ...withVictim(fields) }, msg as string);
}

/** The event log has its victim's pid and name where this one has the guard's: here they are in an object, as in the other records. */
function withVictim(fields: Omit<GuardRecord, 'level' | 'msg'>): object {
  if (fields.name === undefined) return fields;
  const { pid, uid, name, rssKib, ...others } = fields;
  return { ...others, victim: { pid, uid, name, rssKib } };
}

/** Logs the whole lines of `bytes`; returns what is left of the last one. */
function logLines(bytes: Buffer): Buffer {
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    if (end > start) log(bytes.toString('utf8', start, end));
    start = end + 1;
  }
  return Buffer.from(bytes.subarray(start));
}

const chunk = Buffer.alloc(CHUNK_BYTES);
const readChunk = (): Promise<number> =>
  new Promise((resolve) => {
    read(STDIN, chunk, 0, CHUNK_BYTES, null, (error, bytes) => resolve(error === null ? bytes : 0));
  });
/** Until stdout takes more, or the guard has ended: who does not read does not see the end either. */
async function drained(): Promise<void> {
  const looking = setInterval(endIfGuardHas, LOOK_AT_GUARD_MS);
  await new Promise<void>((resolve) => {
    goOn = resolve;
  });
  clearInterval(looking);
}

/** Its children get another parent then. */
function endIfGuardHas(): void {
  if (process.ppid !== Number(guardPid)) endSoon();
}

/** Within the time that a reader gets. */
function endSoon(): void {
  if (ending) return;
  ending = true;
  setTimeout(endNow, END_MS_MAX).unref();
}

/** By a signal: an exit would wait for the next record, which a thread is reading, and for the reader once more (pino flushes then). */
function endNow(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** A process that has ended is a zombie until the guard has collected it. */
function hasEnded(pid: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.charAt(stat.lastIndexOf(')') + 2) === 'Z';
  } catch {
    return true;
  }
}

async function run(): Promise<void> {
  for (; before !== undefined && !hasEnded(before); endIfGuardHas()) await sleep(LOOK_AT_WRITER_MS);
  let rest: Buffer = Buffer.alloc(0);
  for (let bytes = await readChunk(); bytes > 0; bytes = await readChunk()) {
    rest = logLines(Buffer.concat([rest, chunk.subarray(0, bytes)]));
    if (full) await drained();
  }
  endSoon();
  stdout.end();
}

void run();
