/*
 * The guard's log: one line at a time, to stdout and stderr or to syslog, never waiting for a reader.
 *
 * A line that its reader does not take is dropped and counted; the first line that gets through again
 * is preceded by one that says how many are missing. Colours only on a terminal and without NO_COLOR.
 */
import { EAGAIN, ENOTCONN } from '../../native-shims/errno.js';
import { isTerminal, NonBlockingWriter } from '../../native-shims/write.js';
import { Line } from './line.js';

/**
 * What a line is: where it goes, how it looks, its syslog severity.
 * start: what the guard says while starting (stderr); report: memory reports (stdout); warn: kills and
 * trouble (stderr, yellow); fatal (stderr, red); debug (stdout, dim).
 */
export type LineKind = 'start' | 'report' | 'warn' | 'fatal' | 'debug';

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
const STDOUT = 1;
const STDERR = 2;

const NEWLINE = 0x0a;

/** One stream with what was lost on it. */
class Stream {
  private droppedLines = 0;
  /** All that ever were. */
  droppedTotal = 0;
  readonly coloured: boolean;
  private readonly writer: NonBlockingWriter;
  private cut = false;
  private readonly notice = new Line();

  constructor(fd: number) {
    this.writer = NonBlockingWriter.forInheritedFd(fd);
    this.coloured = process.env['NO_COLOR'] === undefined && isTerminal(fd);
  }

  /** Writes a line that ends in a newline, or drops it. */
  write(line: Line): void {
    if (this.put(this.droppedLines === 0 ? line : this.withNotice(line))) this.droppedLines = 0;
    else {
      this.droppedLines++;
      this.droppedTotal++;
    }
  }

  /** The line after another one that says how many are missing: in one piece, so that neither gets through alone. */
  private withNotice(line: Line): Line {
    this.notice.clear();
    if (this.cut) this.notice.byte(NEWLINE);
    this.notice.text('dropped ').integer(this.droppedLines).text(' log lines that nobody read\n');
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

/** Ends a line with `end` (ASCII) and a newline; a line that fills its buffer loses as much text as they need. */
function closeLine(line: Line, end: string): void {
  line.cutTo(line.bytes.length - end.length - 1);
  line.text(end).byte(NEWLINE);
}

/** The local syslog daemon's socket; connected anew when the daemon was restarted. */
class Syslog {
  droppedTotal = 0;
  private writer: NonBlockingWriter | null = null;

  constructor(private readonly path: string) {
    this.connect();
  }

  /** Sends one line, or drops it: nobody listens, or whoever does is stuck. */
  write(line: Line): void {
    let sent = this.writer?.write(line.bytes, line.length) ?? -ENOTCONN;
    if (sent < 0 && sent !== -EAGAIN) {
      this.connect();
      sent = this.writer?.write(line.bytes, line.length) ?? -ENOTCONN;
    }
    if (sent < 0) this.droppedTotal++;
  }

  private connect(): void {
    this.writer?.close();
    const writer = NonBlockingWriter.connectUnixDatagram(this.path);
    this.writer = typeof writer === 'number' ? null : writer;
  }
}

export class Log {
  debugEnabled = false;
  /** Lines are made and then go nowhere. */
  quiet = false;
  private readonly line = new Line();
  private kind: LineKind = 'start';
  private readonly stdout = new Stream(STDOUT);
  private readonly stderr = new Stream(STDERR);
  private syslog: Syslog | null = null;

  /** @param ident  the name that syslog shows */
  constructor(private readonly ident: string) {}

  /** How many lines nobody has taken so far. */
  get droppedTotal(): number {
    return this.stdout.droppedTotal + this.stderr.droppedTotal + (this.syslog?.droppedTotal ?? 0);
  }

  /** Sends everything to the syslog daemon at `path` from now on. */
  useSyslog(path: string): void {
    this.syslog = new Syslog(path);
  }

  /** Begins a line; build it on what is returned, then `end`. */
  begin(kind: LineKind): Line {
    this.kind = kind;
    this.line.clear();
    if (this.syslog !== null) {
      this.line.text('<').integer(SYSLOG_PRIORITY[kind]).text('>').text(this.ident);
      this.line.text('[').integer(process.pid).text(']: ');
    } else {
      this.line.text(this.colour());
    }
    if (kind === 'fatal') this.line.text('fatal: ');
    return this.line;
  }

  /** Sends the line that `begin` began. */
  end(): void {
    if (this.quiet) return;
    if (this.syslog !== null) {
      this.syslog.write(this.line);
      return;
    }
    closeLine(this.line, this.colour() === '' ? '' : COLOUR_END);
    this.stream().write(this.line);
  }

  /** A whole line of our own text. */
  say(kind: LineKind, text: string): void {
    this.begin(kind).text(text);
    this.end();
  }

  private stream(): Stream {
    return this.kind === 'report' || this.kind === 'debug' ? this.stdout : this.stderr;
  }

  private colour(): string {
    return this.stream().coloured ? COLOURS[this.kind] : '';
  }
}
