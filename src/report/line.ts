/*
 * One line of text, built in a fixed buffer: the guard's log lines make no garbage and need no memory
 * when there is none. What does not fit is cut.
 */
import { fixedBuffer } from '../../native-shims/libc.js';
import { WRITE_BYTES_MAX } from '../../native-shims/write.js';
import { cutUtf8Tail, utf8Size } from '../kernel/pid-name.js';

const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const SPACE = 0x20;
const ZERO = 0x30;
const MINUS = 0x2d;
const DOT = 0x2e;
const HEX = '0123456789abcdef';

/* The digits of Number.MAX_SAFE_INTEGER, and some. */
const digits = new Uint8Array(24);

export class Line {
  readonly bytes = fixedBuffer(WRITE_BYTES_MAX);
  length = 0;

  clear(): this {
    this.length = 0;
    return this;
  }

  /** Takes away what goes beyond `length` bytes, and the first half of a character that this cuts. */
  cutTo(length: number): void {
    if (this.length <= length) return;
    this.length = length - cutUtf8Tail(this.bytes, length);
  }

  byte(value: number): this {
    if (this.length < WRITE_BYTES_MAX) this.bytes[this.length++] = value;
    return this;
  }

  /** Our own text: ASCII. */
  text(text: string): this {
    for (let i = 0; i < text.length; i++) this.byte(text.charCodeAt(i));
    return this;
  }

  /** Text from outside that is not to be trusted, such as an option's value. */
  foreign(text: string): this {
    return this.escaped(Buffer.from(text), 0, Buffer.byteLength(text));
  }

  /** `%*d`: a whole number, right-aligned in at least `width` columns. */
  integer(value: number, width = 0): this {
    let rest = Math.abs(Math.trunc(value));
    let count = 0;
    do {
      digits[count++] = ZERO + (rest % 10);
      rest = Math.floor(rest / 10);
    } while (rest > 0 && count < digits.length);
    const columns = value < 0 ? count + 1 : count;
    for (let i = columns; i < width; i++) this.byte(SPACE);
    if (value < 0) this.byte(MINUS);
    while (count > 0) this.byte(digits[--count] as number);
    return this;
  }

  /** `%*.Nf`: a number >= 0 with `decimals` places, right-aligned in at least `width` columns. */
  fixed(value: number, decimals: number, width = 0): this {
    const scale = 10 ** decimals;
    const scaled = Math.round(value * scale);
    this.integer(Math.floor(scaled / scale), width - decimals - 1);
    this.byte(DOT);
    for (let unit = scale / 10; unit >= 1; unit /= 10) this.byte(ZERO + (Math.floor(scaled / unit) % 10));
    return this;
  }

  /** `part` of `whole` as `percent` would write it; of nothing, `none` percent. A percentage that is handed over would be garbage. */
  share(part: number, whole: number, none: number): this {
    const hundredths = whole > 0 ? Math.round(((part * 100) / whole) * 100) : none * 100;
    const rest = hundredths % 100;
    this.integer(Math.floor(hundredths / 100), 2).byte(DOT);
    return this.byte(ZERO + Math.floor(rest / 10))
      .byte(ZERO + (rest % 10))
      .text('%');
  }

  /** `%5.2f%%` */
  percent(value: number): this {
    return this.fixed(value, 2, 5).text('%');
  }

  /**
   * Bytes that a stranger chose (a process's name or arguments), so that they can neither steer a terminal nor
   * fake a line: control characters (C0, DEL, C1), quotes, backslashes and invalid UTF-8 as \n, \", \\, \xNN.
   */
  escaped(bytes: Uint8Array, start: number, end: number): this {
    let i = start;
    const stop = end - cutUtf8Tail(bytes, end, start);
    while (i < stop) {
      const size = printableSize(bytes, i, stop);
      if (size > 1) this.character(bytes, i, size);
      else this.escapedByte(bytes[i] as number);
      i += size;
    }
    return this;
  }

  /** A character of several bytes, or nothing: half of one would not be UTF-8. */
  private character(bytes: Uint8Array, start: number, size: number): void {
    if (this.length + size > WRITE_BYTES_MAX) return;
    for (let k = 0; k < size; k++) this.byte(bytes[start + k] as number);
  }

  private escapedByte(byte: number): void {
    if (byte === QUOTE || byte === BACKSLASH) this.byte(BACKSLASH).byte(byte);
    else if (byte === 0x0a) this.text('\\n');
    else if (byte === 0x09) this.text('\\t');
    else if (byte >= SPACE && byte < 0x7f) this.byte(byte);
    else
      this.text('\\x')
        .text(HEX[byte >> 4] as string)
        .text(HEX[byte & 0xf] as string);
  }
}

/** Text from outside as it can be shown on a terminal, cut to a line. */
export function printable(text: string): string {
  const line = new Line().foreign(text);
  return line.bytes.toString('utf8', 0, line.length);
}

/** Bytes of the UTF-8 character at `i`: 2 to 4 for a valid one beyond ASCII that is no C1 control, else 1. */
export function printableSize(bytes: Uint8Array, i: number, end: number): number {
  const first = bytes[i] as number;
  const size = utf8Size(first);
  if (size === 1 || i + size > end) return 1;
  let codePoint = first & (0x7f >> size);
  for (let k = 1; k < size; k++) {
    const next = bytes[i + k] as number;
    if ((next & 0xc0) !== 0x80) return 1;
    codePoint = (codePoint << 6) | (next & 0x3f);
  }
  const shortest = size === 4 ? 0x10000 : size === 3 ? 0x800 : 0x80;
  const surrogate = codePoint >= 0xd800 && codePoint <= 0xdfff;
  const c1 = codePoint < 0xa0;
  return codePoint < shortest || codePoint > 0x10ffff || surrogate || c1 ? 1 : size;
}
