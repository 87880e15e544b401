/*
 * Globs: the whole text has to match. `*` is any bytes, `?` any byte, `[...]` one of a set (`[!...]` none of it), `\` takes the
 * next character as it is. In a path `*`, `?` and `[...]` stop at a slash, and `**` is any bytes, slashes included.
 */
import { ANY_BYTE, literal, type Node, PatternError, PatternReader, setOf } from './syntax.js';

const SLASH = 0x2f;
const NO_SLASH: Node = { kind: 'set', set: setOf((byte) => byte !== SLASH) };

const anyNumberOf = (node: Node): Node => ({ kind: 'repeat', node, min: 0, max: null });
/** What may follow the path of a cgroup in that of one below it. */
const BELOW: Node = { kind: 'sequence', nodes: [literal('/'), anyNumberOf(ANY_BYTE)] };

/** How a text is made: of characters, of a path's, or of a path's with everything below it. */
export type GlobForm = 'text' | 'path' | 'tree';

export function parseGlob(text: string, form: GlobForm): Node {
  const reader = new PatternReader(text);
  const one = form === 'text' ? ANY_BYTE : NO_SLASH;
  const nodes: Node[] = [];
  while (reader.peek !== undefined) nodes.push(item(reader, one));
  // Any bytes at an end are what a search passes over by itself, and faster.
  if (isAnything(nodes.at(-1))) nodes.pop();
  else nodes.push(...ending(text, form), { kind: 'end' });
  if (isAnything(nodes[0])) nodes.shift();
  else nodes.unshift({ kind: 'begin' });
  return { kind: 'sequence', nodes };
}

function isAnything(node: Node | undefined): boolean {
  return node?.kind === 'repeat' && node.node === ANY_BYTE;
}

/** What may follow the path that was written. */
function ending(text: string, form: GlobForm): Node[] {
  if (form !== 'tree') return [];
  // The root's path ends in a slash as it is.
  return [text === '/' ? anyNumberOf(ANY_BYTE) : { kind: 'repeat', node: BELOW, min: 0, max: 1 }];
}

function item(reader: PatternReader, one: Node): Node {
  const character = reader.take();
  switch (character) {
    case '*':
      return anyNumberOf(reader.accept('*') ? ANY_BYTE : one);
    case '?':
      return one;
    case '[': {
      const set = reader.bracket('!^');
      if (one === NO_SLASH) set[SLASH] = 0;
      return { kind: 'set', set };
    }
    case '\\':
      if (reader.peek === undefined) throw new PatternError('a \\ at the end');
      return literal(reader.take());
    default:
      return literal(character);
  }
}
