/*
 * The guard's log: one line at a time, never waiting for a reader. As text to stdout and stderr or to syslog, or as JSON to the log
 * writer (json-log.ts).
 *
 * A line that its reader does not take is dropped and counted; the first line that gets through again
 * is preceded by one that says how many are missing. Colours only on a terminal and without NO_COLOR. A stream that is the
 * journal's gets each line's severity before it, as sd-daemon(3) has it; the journal takes it off again.
 */
import { fstatSync } from 'node:fs';
import { EAGAIN, ENOTCONN } from '../../native-shims/errno.js';
import { isTerminal, NonBlockingWriter } from '../../native-shims/write.js';
import type { LineKind, LogTopic } from '../shared/log-record.js';
import type { JsonLine } from './json-line.js';
import { Fields, type JsonLog } from './json-log.js';
import { Line } from './line.js';

export type { LineKind } from '../shared/log-record.js';

const COLOURS: Record<LineKind, string> = {
  start: '',
  report: '',
  warn: '\x1b[33m',
  fatal: '\x1b[31m',
  debug: '\x1b[2m',
};
const COLOUR_END = '\x1b[0m';
/* <syslog.h>: severity + facility LOG_DAEMON (3 << 3) */
const SYSLOG_PRIORITY: Record<LineKind, number> = { start: 30, report: 30, warn: 28, fatal: 27, debug: 31 };
/* <sd-daemon.h>: SD_INFO, SD_WARNING, SD_ERR, SD_DEBUG; the facility is the unit's. */
const JOURNAL_PREFIX: Record<LineKind, string> = {
  start: '<6>',
  report: '<6>',
  warn: '<4>',
  fatal: '<3>',
  debug: '<7>',
};
const STDOUT = 1;
const STDERR = 2;

const NEWLINE = 0x0a;

/** Lines before it is known where they go, and what each was. */
interface HeldLine {
  kind: LineKind;
  bytes: Buffer;
}

/** One stream with what was lost on it. */
class Stream {
  /** Lost so far. */
  droppedLines = 0;
  private unsaid = 0;
  private cut = false;
  private readonly notice = new Line();

  /** @param isJournal  whether the journal reads it */
  private constructor(
    private readonly writer: NonBlockingWriter,
    private readonly isJournal: boolean,
    private readonly coloured: boolean,
  ) {}

  static forInheritedFd(fd: number): Stream {
    const coloured = process.env['NO_COLOR'] === undefined && isTerminal(fd);
    return new Stream(NonBlockingWriter.forInheritedFd(fd), isJournal(fd, process.env['JOURNAL_STREAM']), coloured);
  }

  /** One that does the same, and nobody hears it. */
  rehearsal(): Stream {
    return new Stream(this.writer.rehearsal(), this.isJournal, this.coloured);
  }

  /** Writes a line that ends in a newline, or drops it. */
  write(line: Line): void {
    if (this.put(this.unsaid === 0 ? line : this.withNotice(line))) {
      this.unsaid = 0;
      return;
    }
    this.unsaid++;
    this.droppedLines++;
  }

  /** What a line of `kind` begins with here. */
  before(kind: LineKind): string {
    if (this.isJournal) return JOURNAL_PREFIX[kind];
    return this.coloured ? COLOURS[kind] : '';
  }

  /** And what it ends with. */
  after(kind: LineKind): string {
    return this.coloured && COLOURS[kind] !== '' ? COLOUR_END : '';
  }

  /** The line after another one that says how many are missing: in one piece, so that neither gets through alone. */
  private withNotice(line: Line): Line {
    this.notice.clear();
    if (this.cut) this.notice.byte(NEWLINE);
    if (this.isJournal) this.notice.text(JOURNAL_PREFIX.warn);
    this.notice.text('dropped ').integer(this.unsaid).text(' log lines that nobody read\n');
    const text = line.length - 1; // its newline comes with closeLine
    for (let i = 0; i < text; i++) this.notice.byte(line.bytes[i] as number);
    closeLine(this.notice, '');
    return this.notice;
  }

  /** Whether all of `line` went out. */
  private put(line: Line): boolean {
    const written = this.writer.write(line.bytes, line.length);
    if (written > 0) this.cut = written < line.length;
    return written === line.length;
  }
}

/**
 * Whether `fd` is the very stream that systemd has connected to the journal: `journalStream`, the variable JOURNAL_STREAM, names its
 * device and inode (systemd.exec(5)). A stream that was redirected since is another one, whatever the variable says.
 */
export function isJournal(fd: number, journalStream: string | undefined): boolean {
  if (journalStream === undefined || !/^\d+:\d+$/.test(journalStream)) return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return journalStream === `${dev}:${ino}` && !isTerminal(fd);
  } catch {
    return false;
  }
}

/** Ends a line with `end` (ASCII) and a newline; a line that fills its buffer loses as much text as they need. */
function closeLine(line: Line, end: string): void {
  line.cutTo(line.bytes.length - end.length - 1);
  line.text(end).byte(NEWLINE);
}

/** The local syslog daemon's socket; connected anew when the daemon was restarted. */
class Syslog {
  /** Lost so far. */
  droppedLines = 0;
  private writer: NonBlockingWriter | null = null;

  constructor(private readonly path: string) {
    this.connect();
  }

  /** Sends one line, or drops it: nobody listens, or whoever does is stuck. */
  write(line: Line): void {
    if (!this.send(line)) this.droppedLines++;
  }

  private send(line: Line): boolean {
    const sent = this.writer?.write(line.bytes, line.length) ?? -ENOTCONN;
    if (sent >= 0 || sent === -EAGAIN) return sent >= 0;
    this.connect();
    return (this.writer?.write(line.bytes, line.length) ?? -ENOTCONN) >= 0;
  }

  private connect(): void {
    this.writer?.close();
    const writer = NonBlockingWriter.connectUnixDatagram(this.path);
    this.writer = typeof writer === 'number' ? null : writer;
  }
}

const LOST = Buffer.from('the log writer has ended: the log goes on as text');

const NO_FIELDS = new Fields(false);

export class Log {
  debugEnabled = false;
  /** Lines are made and then go nowhere. */
  quiet = false;
  private readonly line = new Line();
  /** What is written as text while the log is JSON. */
  private readonly text = new Line();
  private kind: LineKind = 'start';
  private syslog: Syslog | null = null;
  private json: JsonLog | null = null;
  /** Lost by a log writer that has ended. */
  private droppedBefore = 0;
  private held: HeldLine[] | null = null;

  /** @param ident  the name that syslog shows */
  constructor(
    private readonly ident: string,
    private readonly stdout = Stream.forInheritedFd(STDOUT),
    private readonly stderr = Stream.forInheritedFd(STDERR),
  ) {}

  /** Says the same in the same form as `log`, down to the system calls, and nobody hears it. Not those of syslog, where an empty message is one. */
  static rehearsal(log: Log): Log {
    const rehearsal = new Log(log.ident, log.stdout.rehearsal(), log.stderr.rehearsal());
    rehearsal.quiet = log.syslog !== null;
    rehearsal.json = log.json?.rehearsal() ?? null;
    return rehearsal;
  }

  /** Sends everything to the syslog daemon at `path` from now on. */
  useSyslog(path: string): void {
    this.syslog = new Syslog(path);
  }

  /** Sends everything as JSON to a log writer from now on. */
  useJson(json: JsonLog): void {
    this.json = json;
  }

  /** Keeps lines until it is known where they go. */
  hold(): void {
    this.held = [];
  }

  /** Says what was kept. */
  release(): void {
    const held = this.held ?? [];
    this.held = null;
    for (const { kind, bytes } of held) {
      const line = this.begin(kind);
      for (const byte of bytes) line.byte(byte);
      this.end();
    }
  }

  /** Has everything written that still can be: the process is about to end. */
  finish(): void {
    this.release();
    this.json?.finish();
    this.json = null;
  }

  /** Whether anybody takes notice of fields. */
  get isJson(): boolean {
    return this.json !== null;
  }

  /** The process that writes it, which is a child of this one; 0: there is none. */
  get writerPid(): number {
    return this.json?.writerPid ?? 0;
  }

  /** How many lines were lost so far, wherever they were to go; it only rises. */
  get droppedLines(): number {
    const json = this.droppedBefore + (this.json?.droppedLines ?? 0);
    return this.stdout.droppedLines + this.stderr.droppedLines + (this.syslog?.droppedLines ?? 0) + json;
  }

  /** Begins a line; build it on what is returned, then `end`. */
  begin(kind: LineKind): Line {
    this.kind = kind;
    this.line.clear();
    if (this.json !== null) this.json.fields.clear();
    else if (this.syslog !== null) {
      this.line.text('<').integer(SYSLOG_PRIORITY[kind]).text('>').text(this.ident);
      this.line.text('[').integer(process.pid).text(']: ');
    } else if (this.held === null) {
      this.line.text(this.stream().before(kind));
    }
    if (kind === 'fatal') this.line.text('fatal: ');
    return this.line;
  }

  /** What the line that was begun says in numbers and names, for who reads it as JSON. */
  about(topic: LogTopic): Fields {
    return (this.json === null ? NO_FIELDS : this.json.fields).topic(topic);
  }

  /** Sends the line that `begin` began. */
  end(): void {
    if (this.json !== null) {
      const taken = this.json.write(this.kind, this.line, this.quiet);
      // Whoever starts a program looks at its stderr for why it has ended.
      if (taken && this.kind !== 'fatal') return;
      if (!taken) this.loseJson();
      if (!this.quiet) this.writeText(this.line.bytes, this.line.length);
      return;
    }
    if (this.quiet) return;
    if (this.held !== null) {
      this.held.push({ kind: this.kind, bytes: Buffer.from(this.line.bytes.subarray(0, this.line.length)) });
      return;
    }
    if (this.syslog !== null) {
      this.syslog.write(this.line);
      return;
    }
    closeLine(this.line, this.stream().after(this.kind));
    this.stream().write(this.line);
  }

  /** A whole line of our own text. */
  say(kind: LineKind, text: string): void {
    this.begin(kind).text(text);
    this.end();
  }

  /** A record of the event log, whole with its newline: as JSON it goes where the log goes, as text nowhere. */
  event(line: JsonLine): void {
    if (this.json !== null && !this.json.event(line, this.quiet)) this.loseJson();
  }

  /** The log writer has ended, or its reader has. */
  private loseJson(): void {
    this.droppedBefore += this.json?.droppedLines ?? 0;
    this.json = null;
    const { kind } = this;
    this.kind = 'warn';
    this.writeText(LOST, LOST.length);
    this.kind = kind;
  }

  /** Writes as text what was built without what it begins with as text. */
  private writeText(bytes: Uint8Array, length: number): void {
    const { text } = this;
    text.clear().text(this.stream().before(this.kind));
    for (let i = 0; i < length; i++) text.byte(bytes[i] as number);
    closeLine(text, this.stream().after(this.kind));
    this.stream().write(text);
  }

  private stream(): Stream {
    return this.kind === 'report' || this.kind === 'debug' ? this.stdout : this.stderr;
  }
}
