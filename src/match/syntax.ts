/* What a pattern means, as a tree: what the two notations (regex-syntax.ts, glob-syntax.ts) are parsed into, and program.ts is made from. */

export type Node =
  /** These bytes, one after the other. */
  | { kind: 'bytes'; bytes: Uint8Array }
  /** One byte out of a set: 256 flags. */
  | { kind: 'set'; set: Uint8Array }
  | { kind: 'sequence'; nodes: readonly Node[] }
  | { kind: 'choice'; nodes: readonly Node[] }
  /** `max` null: without end. */
  | { kind: 'repeat'; node: Node; min: number; max: number | null }
  /** Nothing, at the beginning or at the end of the text. */
  | { kind: 'begin' }
  | { kind: 'end' };

/** A pattern that is refused; the message says why. */
export class PatternError extends Error {}

const BYTE_VALUES = 256;

/** The set of the bytes for which `has` says so. */
export function setOf(has: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: BYTE_VALUES }, (_, byte) => (has(byte) ? 1 : 0));
}

export const ANY_BYTE: Node = { kind: 'set', set: setOf(() => true) };

const between = (low: number, high: number) => (byte: number) => byte >= low && byte <= high;
const isDigit = between(0x30, 0x39);
const isUpper = between(0x41, 0x5a);
const isLower = between(0x61, 0x7a);
const isAlpha = (byte: number): boolean => isUpper(byte) || isLower(byte);
const isAlnum = (byte: number): boolean => isDigit(byte) || isAlpha(byte);
const isGraph = between(0x21, 0x7e);

/** The character classes of POSIX, of ASCII. */
const CLASSES: Record<string, (byte: number) => boolean> = {
  alnum: isAlnum,
  alpha: isAlpha,
  blank: (byte) => byte === 0x20 || byte === 0x09,
  cntrl: (byte) => byte < 0x20 || byte === 0x7f,
  digit: isDigit,
  graph: isGraph,
  lower: isLower,
  print: between(0x20, 0x7e),
  punct: (byte) => isGraph(byte) && !isAlnum(byte),
  space: (byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d),
  upper: isUpper,
  xdigit: (byte) => isDigit(byte) || between(0x41, 0x46)(byte) || between(0x61, 0x66)(byte),
};

/** Reads a pattern from its first character to the last. */
export class PatternReader {
  private position = 0;
  private readonly characters: readonly string[];

  constructor(text: string) {
    this.characters = Array.from(text);
  }

  /** The next character, which is not taken; undefined at the end. */
  get peek(): string | undefined {
    return this.characters[this.position];
  }

  take(): string {
    return this.characters[this.position++] as string;
  }

  /** Takes the next character if it is this one. */
  accept(character: string): boolean {
    if (this.peek !== character) return false;
    this.position++;
    return true;
  }

  /** Takes what comes up to `end`, and `end`; null if there is none. */
  takeUntil(end: string): string | null {
    const from = this.position;
    for (let at = from; at + end.length <= this.characters.length; at++) {
      if (this.characters.slice(at, at + end.length).join('') !== end) continue;
      this.position = at + end.length;
      return this.characters.slice(from, at).join('');
    }
    return null;
  }

  /**
   * A bracket expression, whose `[` was taken: sets of ASCII characters, ranges and classes.
   * @param negations  the characters that mean "none of these" after `[`
   */
  bracket(negations: string): Uint8Array {
    const negated = this.peek !== undefined && negations.includes(this.peek);
    if (negated) this.take();
    const set = setOf(() => false);
    // A ] that comes first is one of the set.
    for (let first = true; first || this.peek !== ']'; first = false) this.bracketItem(set);
    this.take();
    return negated ? set.map((has) => 1 - has) : set;
  }

  private bracketItem(set: Uint8Array): void {
    if (this.peek === undefined) throw new PatternError('a [ without its ]');
    const character = this.take();
    const kind = character === '[' ? this.peek : undefined;
    if (kind === ':') return this.bracketClass(set);
    if (kind === '.' || kind === '=') throw new PatternError(`[${kind} in a bracket expression`);
    const low = asciiOf(character);
    const isRange = this.peek === '-' && this.characters[this.position + 1] !== ']';
    if (!isRange) {
      set[low] = 1;
      return;
    }
    this.take();
    if (this.peek === undefined) throw new PatternError('a [ without its ]');
    const high = asciiOf(this.take());
    if (high < low) throw new PatternError('a range whose end is before its beginning');
    set.fill(1, low, high + 1);
  }

  private bracketClass(set: Uint8Array): void {
    this.take();
    const name = this.takeUntil(':]');
    const has = name === null ? undefined : Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
    if (has === undefined) throw new PatternError(`no such class as [:${name ?? ''}:]`);
    for (let byte = 0; byte < BYTE_VALUES; byte++) if (has(byte)) set[byte] = 1;
  }
}

function asciiOf(character: string): number {
  const code = character.codePointAt(0) as number;
  if (code > 0x7f) throw new PatternError('a bracket expression with characters that are not ASCII');
  return code;
}

/** A character of a pattern that means itself: all its bytes. */
export function literal(character: string): Node {
  return { kind: 'bytes', bytes: new TextEncoder().encode(character) };
}
