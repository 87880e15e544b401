/*
 * POSIX extended regular expressions (regex(7)), as far as they are regular: alternatives, groups, *, +, ?, {m,n}, ., bracket
 * expressions, ^ and $. A dot is a byte; a character that is not ASCII is the sequence of its bytes.
 *
 * What POSIX leaves undefined, and libcs understand differently, is refused rather than guessed: \d, \w, \<, a * that repeats
 * nothing, a { that is no interval. So are back references, for which no linear algorithm is known.
 */
import { ANY_BYTE, literal, type Node, PatternError, PatternReader } from './syntax.js';

/** RE_DUP_MAX of POSIX. */
const REPEAT_MAX = 255;

/** After these a repetition has nothing to repeat. */
const ANCHORS = ['begin', 'end'];

export function parseRegex(text: string): Node {
  const reader = new PatternReader(text);
  const node = choice(reader);
  if (reader.peek !== undefined) throw new PatternError('a ) without its (');
  return node;
}

function choice(reader: PatternReader): Node {
  const nodes = [branch(reader)];
  while (reader.accept('|')) nodes.push(branch(reader));
  return nodes.length === 1 ? (nodes[0] as Node) : { kind: 'choice', nodes };
}

function branch(reader: PatternReader): Node {
  const nodes: Node[] = [];
  while (reader.peek !== undefined && reader.peek !== '|' && reader.peek !== ')') nodes.push(piece(reader));
  return nodes.length === 1 ? (nodes[0] as Node) : { kind: 'sequence', nodes };
}

/** An atom with all its repetitions. */
function piece(reader: PatternReader): Node {
  let node = atom(reader);
  for (;;) {
    const range = repetition(reader);
    if (range === null) return node;
    if (ANCHORS.includes(node.kind)) throw new PatternError('a repetition of nothing');
    node = { kind: 'repeat', node, ...range };
  }
}

function repetition(reader: PatternReader): { min: number; max: number | null } | null {
  if (reader.accept('*')) return { min: 0, max: null };
  if (reader.accept('+')) return { min: 1, max: null };
  if (reader.accept('?')) return { min: 0, max: 1 };
  return reader.accept('{') ? interval(reader) : null;
}

/** {m}, {m,}, {m,n} or {,n}; its { was taken. */
function interval(reader: PatternReader): { min: number; max: number | null } {
  const text = reader.takeUntil('}');
  const match = /^(\d*)(,?)(\d*)$/.exec(text ?? '-');
  const [, from = '', comma = '', to = ''] = match ?? [];
  if (match === null || (from === '' && to === '')) throw new PatternError('a { that is no interval, and no \\{');
  const min = Number(from);
  const max = comma === '' ? min : to === '' ? null : Number(to);
  if (min > REPEAT_MAX || (max ?? 0) > REPEAT_MAX) throw new PatternError(`more than ${REPEAT_MAX} repetitions`);
  if (max !== null && max < min) throw new PatternError('an interval whose end is before its beginning');
  return { min, max };
}

function atom(reader: PatternReader): Node {
  const character = reader.take();
  switch (character) {
    case '(': {
      const node = choice(reader);
      if (!reader.accept(')')) throw new PatternError('a ( without its )');
      // Not the anchor itself, so that it may be repeated.
      return { kind: 'sequence', nodes: [node] };
    }
    case '[':
      return { kind: 'set', set: reader.bracket('^') };
    case '.':
      return ANY_BYTE;
    case '^':
      return { kind: 'begin' };
    case '$':
      return { kind: 'end' };
    case '*':
    case '+':
    case '?':
    case '{':
      throw new PatternError('a repetition of nothing');
    case '\\':
      return escaped(reader);
    default:
      return literal(character);
  }
}

function escaped(reader: PatternReader): Node {
  const { peek } = reader;
  if (peek === undefined) throw new PatternError('a \\ at the end');
  if (/[1-9]/.test(peek)) throw new PatternError(`the back reference \\${peek}`);
  if (/[A-Za-z0-9<>`']/.test(peek)) throw new PatternError(`\\${peek}, which POSIX does not have`);
  return literal(reader.take());
}
