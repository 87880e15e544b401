/*
 * One line of JSON, built in a fixed buffer: what the guard writes for programs makes no garbage, as its log does
 * (line.ts). Commas come by themselves. JSON can't be cut: what does not fit makes the whole line worthless, and `fits`
 * says so.
 */
import { A_FRACTION } from '../../native-shims/clock.js';
import { printableSize } from './line.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const SPACE = 0x20;
const DEL = 0x7f;
const NEWLINE = 0x0a;
/** The first byte of U+0080 to U+00BF in UTF-8. */
const C1_FIRST_BYTE = 0xc2;
const HEX = '0123456789abcdef';

/* The digits of Number.MAX_SAFE_INTEGER, and some. */
const digits = new Uint8Array(24);

/** A number on its way: handed from one function to another, one with a fraction would be garbage. */
const number = { value: A_FRACTION };

export class JsonLine {
  readonly bytes: Buffer;
  length = 0;
  /** Whether everything has fitted so far. */
  fits = true;
  private comma = false;

  constructor(bytesMax: number) {
    this.bytes = Buffer.from(new ArrayBuffer(bytesMax));
  }

  clear(): this {
    this.length = 0;
    this.fits = true;
    this.comma = false;
    return this;
  }

  /** `{` or `[`, as a value. */
  open(bracket: '{' | '['): this {
    this.separate();
    this.byte(bracket.charCodeAt(0));
    this.comma = false;
    return this;
  }

  close(bracket: '}' | ']'): this {
    this.byte(bracket.charCodeAt(0));
    this.comma = true;
    return this;
  }

  /** The name of the value that comes next; our own: ASCII. */
  key(name: string): this {
    this.separate();
    this.quoted(name);
    this.byte(COLON);
    this.comma = false;
    return this;
  }

  /** A string of our own: ASCII without quotes, backslashes and control characters. */
  string(text: string): this {
    this.separate();
    this.quoted(text);
    this.comma = true;
    return this;
  }

  /** null, true, false, or what is JSON already. */
  literal(text: string): this {
    this.separate();
    this.ascii(text);
    this.comma = true;
    return this;
  }

  /** The whole part of a number. */
  integer(value: number): this {
    this.separate();
    this.digits(value, 1);
    this.comma = true;
    return this;
  }

  /** The microseconds from `since` to `now`: read here, because a time that is handed over would be garbage. */
  microseconds(now: { ms: number }, since: { ms: number }): this {
    this.separate();
    let rest = Math.max(0, Math.round((now.ms - since.ms) * 1000));
    let count = 0;
    do {
      digits[count++] = ZERO + (rest % 10);
      rest = Math.floor(rest / 10);
    } while (rest > 0 && count < digits.length);
    while (count > 0) this.byte(digits[--count] as number);
    this.comma = true;
    return this;
  }

  /** The milliseconds of a span with three decimals: read here, for the same reason. */
  milliseconds(span: { ms: number }): this {
    this.separate();
    number.value = Math.max(0, Math.round(span.ms * 1000));
    const whole = Math.floor(number.value / 1000);
    this.digits(whole, 1);
    this.byte(DOT);
    this.digits(number.value - whole * 1000, 3);
    this.comma = true;
    return this;
  }

  /** A whole number, or null where it is `none`. */
  integerUnless(value: number, none: number): this {
    return value === none ? this.literal('null') : this.integer(value);
  }

  /** The whole number in `column[row]`, or null where it is `none`: out of a column of floats it would be garbage if it were handed over. */
  at(column: Float64Array, row: number, none: number): this {
    if (column[row] === none) return this.literal('null');
    this.separate();
    let rest = Math.max(0, column[row] as number);
    let count = 0;
    do {
      digits[count++] = ZERO + (rest % 10);
      rest = Math.floor(rest / 10);
    } while (rest > 0 && count < digits.length);
    while (count > 0) this.byte(digits[--count] as number);
    this.comma = true;
    return this;
  }

  /** `hundredths` / 100, with two decimals. */
  hundredths(value: number): this {
    this.separate();
    const whole = Math.floor(Math.abs(value) / 100);
    if (value < 0) this.byte(MINUS);
    this.digits(whole, 1);
    this.byte(DOT);
    this.digits(Math.abs(value) - whole * 100, 2);
    this.comma = true;
    return this;
  }

  /** A number of at least 0 with four decimals. */
  decimal(value: number): this {
    this.separate();
    number.value = Math.round(value * 10_000);
    const whole = Math.floor(number.value / 10_000);
    this.digits(whole, 1);
    this.byte(DOT);
    this.digits(number.value - whole * 10_000, 4);
    this.comma = true;
    return this;
  }

  /**
   * UTF-8 that a stranger chose, `bytes[start .. end)`, as a string: control characters (C0, DEL, C1), quotes and
   * backslashes escaped, and U+FFFD for each byte that is no UTF-8.
   */
  utf8(bytes: Uint8Array, start: number, end: number): this {
    this.separate();
    this.byte(QUOTE);
    for (let i = start; i < end; ) {
      const size = printableSize(bytes, i, end);
      if (size > 1) for (let k = 0; k < size; k++) this.byte(bytes[i + k] as number);
      else if (isC1(bytes, i, end)) this.escape(bytes[++i] as number);
      else if ((bytes[i] as number) > DEL) this.ascii('\\ufffd');
      else this.character(bytes[i] as number);
      i += size;
    }
    this.byte(QUOTE);
    this.comma = true;
    return this;
  }

  /** The same bytes one by one, each as the character of its number: what was read can be had again exactly. */
  latin1(bytes: Uint8Array, start: number, end: number): this {
    this.separate();
    this.byte(QUOTE);
    for (let i = start; i < end; i++) this.character(bytes[i] as number);
    this.byte(QUOTE);
    this.comma = true;
    return this;
  }

  /** A number in at least `width` digits, as a part of a string (`raw`). */
  padded(value: number, width: number): this {
    this.digits(value, width);
    return this;
  }

  /** ASCII as it is, as a part of a string that `raw` began. */
  ascii(text: string): this {
    for (let i = 0; i < text.length; i++) this.byte(text.charCodeAt(i));
    return this;
  }

  /** Begins a string that is put together from parts; `end` it. */
  begin(): this {
    this.separate();
    this.byte(QUOTE);
    return this;
  }

  end(): this {
    this.byte(QUOTE);
    this.comma = true;
    return this;
  }

  newline(): this {
    this.byte(NEWLINE);
    return this;
  }

  private separate(): void {
    if (this.comma) this.byte(COMMA);
  }

  private quoted(text: string): void {
    this.byte(QUOTE);
    this.ascii(text);
    this.byte(QUOTE);
  }

  private character(byte: number): void {
    if (byte === QUOTE || byte === BACKSLASH) {
      this.byte(BACKSLASH);
      this.byte(byte);
    } else if (byte >= SPACE && byte < DEL) this.byte(byte);
    else this.escape(byte);
  }

  private escape(byte: number): void {
    this.ascii('\\u00');
    this.byte(HEX.charCodeAt(byte >> 4));
    this.byte(HEX.charCodeAt(byte & 0xf));
  }

  /** At least `width` of them. */
  private digits(value: number, width: number): void {
    let rest = Math.abs(Math.trunc(value));
    let count = 0;
    do {
      digits[count++] = ZERO + (rest % 10);
      rest = Math.floor(rest / 10);
    } while (rest > 0 && count < digits.length);
    if (value <= -1) this.byte(MINUS);
    for (let i = count; i < width; i++) this.byte(ZERO);
    while (count > 0) this.byte(digits[--count] as number);
  }

  private byte(value: number): void {
    if (this.length < this.bytes.length) this.bytes[this.length++] = value;
    else this.fits = false;
  }
}

/** Whether a C1 control character stands at `i`. */
function isC1(bytes: Uint8Array, i: number, end: number): boolean {
  if (bytes[i] !== C1_FIRST_BYTE || i + 1 >= end) return false;
  const next = bytes[i + 1] as number;
  return next >= 0x80 && next < 0xa0;
}
