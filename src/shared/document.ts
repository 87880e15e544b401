/* Files, or parts of them, that are generated from the code (`npm run docs`); tests fail when one is stale. Pure. */

export interface Document {
  /** From the root of the repository. */
  file: string;
  /** The file as it should be, made from the file as it is. */
  renew: (text: string) => string;
}

/** `text` with `body` between the lines `begin` and `end`. */
export function between(text: string, begin: string, end: string, body: string): string {
  const from = text.indexOf(`${begin}\n`);
  const to = text.indexOf(`${end}\n`);
  if (from === -1 || to < from) throw new Error(`no "${begin}" ... "${end}" to fill`);
  return `${text.slice(0, from + begin.length + 1)}${body}\n${text.slice(to)}`;
}
