/*
 * Values of -m, -s, -M, -S and -r, read as C's strtod(3) reads them, because that is what earlyoom does:
 * leading blanks, a sign, decimal or hexadecimal, an exponent, inf. Pure.
 */

const BLANKS = /^[ \t\n\v\f\r]*/;
const DECIMAL = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/;
const HEXADECIMAL = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)(?:[pP]([+-]?[0-9]+))?/;
const SPECIAL = /^([+-]?)(?:(inf(?:inity)?)|nan)/i;

/** The longest value that earlyoom takes. */
const VALUE_BYTES_MAX = 255;

/** The number at the start of `text` and what follows it; without a number, 0 and all of `text`. */
export function strtod(text: string): { value: number; rest: string } {
  const blanks = (BLANKS.exec(text) as RegExpExecArray)[0].length;
  const number = text.slice(blanks);
  const hex = HEXADECIMAL.exec(number);
  if (hex !== null && (hex[2] !== '' || hex[3] !== '')) {
    return { value: hexadecimal(hex), rest: number.slice(hex[0].length) };
  }
  const decimal = DECIMAL.exec(number);
  if (decimal !== null) return { value: Number(decimal[0]), rest: number.slice(decimal[0].length) };
  const special = SPECIAL.exec(number);
  if (special !== null) {
    const magnitude = special[2] === undefined ? Number.NaN : Number.POSITIVE_INFINITY;
    return { value: special[1] === '-' ? -magnitude : magnitude, rest: number.slice(special[0].length) };
  }
  return { value: 0, rest: text };
}

function hexadecimal(match: RegExpExecArray): number {
  const whole = match[2] as string;
  const fraction = match[3] as string;
  const digits = [...(whole + fraction)].reduce((sum, digit) => sum * 16 + Number.parseInt(digit, 16), 0);
  if (digits === 0) return 0;
  const value = digits * 2 ** (Number(match[4] ?? 0) - 4 * fraction.length);
  return match[1] === '-' ? -value : value;
}

/** SIGTERM's and SIGKILL's value. */
export interface LimitPair {
  term: number;
  kill: number;
}

/**
 * Reads `TERM[,KILL]`, each from 0 to `max`, not both 0; KILL is half of TERM if not given.
 * Returns the pair, with TERM possibly below KILL, or what is wrong with it.
 */
export function parseLimitPair(text: string, max: number): LimitPair | string {
  const bytes = Buffer.byteLength(text);
  if (bytes > VALUE_BYTES_MAX) return `argument too long (${bytes} bytes)`;
  const comma = text.indexOf(',');
  const term = parsePart(comma === -1 ? text : text.slice(0, comma), max);
  if (typeof term === 'string') return term;
  const kill = comma === -1 ? term / 2 : parsePart(text.slice(comma + 1), max);
  if (typeof kill === 'string') return kill;
  if (term === 0 && kill === 0) return 'both SIGTERM and SIGKILL values are zero';
  return { term, kill };
}

function parsePart(text: string, max: number): number | string {
  const { value, rest } = strtod(text);
  if (rest !== '') return `trailing garbage '${rest}'`;
  if (Number.isNaN(value)) return 'not a number';
  if (value > max) return `value ${text.trim()} exceeds limit ${max}`;
  if (value < 0) return `value ${text.trim()} below zero`;
  return value;
}
