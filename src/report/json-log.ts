/*
 * The log as JSON, as far as the guard has to do with it: one compact record a line (shared/log-record.ts), built in fixed buffers
 * and handed to the log writer, a child of the guard's that writes it by pino (log-writer/main.ts, guard/open-log.ts). pino makes
 * garbage and waits for its reader; neither is for the guard.
 *
 *   Log ── begin, text, about, end ──> JsonLog ── pipe, never waiting ──> dist/log.cjs ── pino ──> stdout
 *
 * What the pipe does not take is dropped and counted; the first record that it takes again follows one that says how many are missing,
 * in the same write: neither gets through alone. A write of at most PIPE_BUF bytes goes into a pipe whole or not at all.
 */
import { WallTime } from '../../native-shims/clock.js';
import { EPIPE } from '../../native-shims/errno.js';
import { reap, STILL_RUNNING } from '../../native-shims/spawn.js';
import { type NonBlockingWriter, WRITE_BYTES_MAX } from '../../native-shims/write.js';
import { type LineKind, LOG_EVENT, LOG_LEVELS, LOG_SCHEMA, type LogTopic } from '../shared/log-record.js';
import { JsonLine } from './json-line.js';
import type { Line } from './line.js';

/** What the notice of dropped lines takes, and some. */
const NOTICE_BYTES_MAX = 256;
const RECORD_BYTES_MAX = WRITE_BYTES_MAX - NOTICE_BYTES_MAX;
/** Longer than any topic's, foreign text of 256 bytes included that is all escapes. */
const FIELDS_BYTES_MAX = 2048;
/** A path in a field is cut there. */
const TEXT_BYTES_MAX = 1536;
/** `"}` and the newline. */
const END_BYTES = 3;

/** The writer starts in 0.1 s and needs less than a millisecond for a line, unless its own reader holds it up. */
const FINISH_MS_MAX = 1000;
const FINISH_LOOK_MS = 2;

/**
 * What a line says in numbers and names, besides its text. As text they are there already: then nothing of it is done.
 * Without fractions: a number that has one would be garbage.
 */
export class Fields {
  readonly line = new JsonLine(FIELDS_BYTES_MAX);

  /** @param active  whether anybody wants them */
  constructor(private readonly active: boolean) {}

  clear(): void {
    this.line.clear();
  }

  topic(topic: LogTopic): this {
    if (this.active) this.line.key('topic').string(topic);
    return this;
  }

  integer(name: string, value: number): this {
    if (this.active) this.line.key(name).integer(value);
    return this;
  }

  /** null where it is `none`. */
  integerUnless(name: string, value: number, none: number): this {
    if (this.active) this.line.key(name).integerUnless(value, none);
    return this;
  }

  /** `hundredths` / 100. */
  hundredths(name: string, hundredths: number): this {
    if (this.active) this.line.key(name).hundredths(hundredths);
    return this;
  }

  flag(name: string, value: boolean): this {
    if (this.active) this.line.key(name).literal(value ? 'true' : 'false');
    return this;
  }

  /** Words of our own: ASCII. */
  words(name: string, words: string): this {
    if (this.active) this.line.key(name).string(words);
    return this;
  }

  /** UTF-8 that a stranger chose. */
  bytes(name: string, bytes: Uint8Array, start: number, end: number): this {
    if (this.active) this.line.key(name).utf8Within(bytes, start, end, TEXT_BYTES_MAX);
    return this;
  }

  nothing(name: string): this {
    if (this.active) this.line.key(name).literal('null');
    return this;
  }

  open(name: string): this {
    if (this.active) this.line.key(name).open('{');
    return this;
  }

  close(): this {
    if (this.active) this.line.close('}');
    return this;
  }
}

export class JsonLog {
  readonly fields = new Fields(true);
  /** Lost on the pipe so far. */
  droppedLines = 0;
  private unsaid = 0;
  private readonly record = new JsonLine(RECORD_BYTES_MAX);
  private readonly together = new JsonLine(WRITE_BYTES_MAX);
  private readonly wall = new WallTime();

  /**
   * @param writer     the pipe; null: records are made and go nowhere
   * @param writerPid  who reads it; 0: nobody of ours
   */
  constructor(
    private readonly writer: NonBlockingWriter | null,
    readonly writerPid: number,
  ) {}

  /** One that does the same, down to the system calls, and nobody hears it. */
  rehearsal(): JsonLog {
    return new JsonLog(this.writer?.rehearsal() ?? null, 0);
  }

  /** Sends a line with its fields, or drops it. Returns false if nobody will read the pipe any more. */
  write(kind: LineKind, line: Line, goesNowhere: boolean): boolean {
    const { record, fields } = this;
    this.begin(record, kind).members(fields.line).key('msg');
    record
      .utf8Within(line.bytes, 0, line.length, RECORD_BYTES_MAX - END_BYTES)
      .close('}')
      .newline();
    return goesNowhere || this.put(record);
  }

  /** Sends a record that was built elsewhere, of at most RECORD_BYTES_MAX bytes with its newline, or drops it. */
  event(line: JsonLine, goesNowhere: boolean): boolean {
    return goesNowhere || this.put(line);
  }

  /** Has the writer end when it has written everything, and waits for that: when the guard itself ends. */
  finish(): void {
    this.writer?.close();
    if (this.writerPid === 0) return;
    const wait = new Int32Array(new SharedArrayBuffer(4));
    for (let ms = 0; ms < FINISH_MS_MAX && reap(this.writerPid) === STILL_RUNNING; ms += FINISH_LOOK_MS)
      Atomics.wait(wait, 0, 0, FINISH_LOOK_MS);
  }

  private begin(record: JsonLine, kind: LineKind): JsonLine {
    this.wall.update();
    record.clear().open('{').key('level').integer(LOG_LEVELS[kind]);
    record.key('time').literal('').padded(this.wall.seconds, 1).padded(this.wall.milliseconds, 3);
    return record.key('schema').integer(LOG_SCHEMA).key('event').string(LOG_EVENT).key('kind').string(kind);
  }

  private put(record: JsonLine): boolean {
    if (this.writer === null) return true;
    if (!record.fits || record.length > RECORD_BYTES_MAX) return this.drop();
    const line = this.unsaid === 0 ? record : this.withNotice(record);
    const written = this.writer.write(line.bytes, line.length);
    if (written === line.length) {
      this.unsaid = 0;
      return true;
    }
    return written !== -EPIPE && this.drop();
  }

  private drop(): true {
    this.unsaid++;
    this.droppedLines++;
    return true;
  }

  private withNotice(record: JsonLine): JsonLine {
    const { together, unsaid } = this;
    this.begin(together, 'warn').key('topic').string('dropped').key('lines').integer(unsaid);
    together.key('msg').begin().ascii('dropped ').padded(unsaid, 1).ascii(' log lines that nobody read').end();
    return together.close('}').newline().append(record);
  }
}
