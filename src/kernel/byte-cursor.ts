/*
 * Reading numbers and words out of the bytes of a kernel file, without making a string.
 *
 * One cursor is reused for many files: `reset` it to the bytes that pread filled. All methods stop at
 * the end and none throws, whatever the bytes are: what can't be read as asked comes back as NaN or
 * false, and the parser of the file decides what that means.
 */

const SPACE = 0x20;
const TAB = 0x09;
const NEWLINE = 0x0a;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const KIB = 1024;

const NO_BYTES = new Uint8Array(0);

export class ByteCursor {
  bytes: Uint8Array = NO_BYTES;
  position = 0;
  end = 0;

  /** Starts over on `bytes[0 .. length)`. */
  reset(bytes: Uint8Array, length: number): void {
    this.bytes = bytes;
    this.position = 0;
    this.end = Math.max(0, Math.min(length, bytes.length));
  }

  /** The byte under the cursor, or -1 at the end. */
  peek(): number {
    return this.position < this.end ? (this.bytes[this.position] as number) : -1;
  }

  /** Goes past spaces and tabs. */
  skipBlanks(): void {
    let byte = this.peek();
    while (byte === SPACE || byte === TAB) {
      this.position++;
      byte = this.peek();
    }
  }

  /** Goes past the next newline; false when there is no further line. */
  nextLine(): boolean {
    while (this.position < this.end) {
      if (this.bytes[this.position++] === NEWLINE) return this.position < this.end;
    }
    return false;
  }

  /** Goes past `word` if it stands under the cursor. */
  accept(word: Uint8Array): boolean {
    if (this.end - this.position < word.length) return false;
    for (let i = 0; i < word.length; i++) {
      if (this.bytes[this.position + i] !== word[i]) return false;
    }
    this.position += word.length;
    return true;
  }

  /**
   * Reads a decimal integer after blanks; NaN if there is none. A number that JavaScript can't hold
   * exactly is held at Number.MAX_SAFE_INTEGER: the kernel's own are all far below.
   */
  integer(): number {
    this.skipBlanks();
    const negative = this.peek() === MINUS;
    if (negative) this.position++;
    let value = 0;
    let digits = 0;
    for (let byte = this.peek(); byte >= ZERO && byte <= NINE; byte = this.peek()) {
      value = value * 10 + (byte - ZERO);
      if (value > Number.MAX_SAFE_INTEGER) value = Number.MAX_SAFE_INTEGER;
      digits++;
      this.position++;
    }
    if (digits === 0) return Number.NaN;
    return negative ? -value : value;
  }

  /**
   * Reads a number of bytes after blanks; returns whole KiB, or NaN if there is none. Not by `integer`: what is beyond 2 GiB
   * would be garbage when handed on.
   */
  kibOfBytes(): number {
    this.skipBlanks();
    let value = 0;
    let digits = 0;
    for (let byte = this.peek(); byte >= ZERO && byte <= NINE; byte = this.peek()) {
      value = Math.min(value * 10 + (byte - ZERO), Number.MAX_SAFE_INTEGER);
      digits++;
      this.position++;
    }
    return digits === 0 ? Number.NaN : Math.floor(value / KIB);
  }

  /** Goes past one word (bytes up to the next blank or newline) after blanks; false if there is none. */
  skipWord(): boolean {
    this.skipBlanks();
    const start = this.position;
    let byte = this.peek();
    while (byte !== -1 && byte !== SPACE && byte !== TAB && byte !== NEWLINE) {
      this.position++;
      byte = this.peek();
    }
    return this.position > start;
  }
}

/** ASCII text as bytes, for `accept`. */
export function ascii(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}
