/* Which name somebody may have meant. Pure. */

/** A longer name is no slip of ours, and comparing it would take long. */
const CHARS_MAX = 64;

/** The candidate that takes the fewest changes, the first of equals; null where every one is a different word. */
export function nearest(name: string, candidates: readonly string[]): string | null {
  if (name.length > CHARS_MAX) return null;
  let best: string | null = null;
  let fewest = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const changes = changesBetween(name.toLowerCase(), candidate);
    // Fewer than half of its letters are kept: not the same word.
    if (changes >= fewest || changes * 2 > Math.max(name.length, candidate.length)) continue;
    best = candidate;
    fewest = changes;
  }
  return best;
}

/** Letters inserted, deleted or replaced (Levenshtein's distance). */
function changesBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
