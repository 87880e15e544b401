/*
 * Patterns for cgroups: a path from the root of cgroup v2, name by name, where * stands for any bytes of a name and ? for one.
 *
 *   user.slice/user-*.slice      each user's slice, and what is below it is part of it
 *
 * Matched as bytes while the tree is walked, a name at a time, so that no string is made and nothing is entered in vain.
 */

const STAR = 0x2a;
const QUESTION = 0x3f;

/** Deeper patterns are a mistake: systemd nests users' cgroups about eight deep. */
const GLOB_DEPTH_MAX = 15;

/** What is wrong with a pattern, or null. */
export function globMistake(text: string): string | null {
  const names = text.replace(/^\//, '').replace(/\/$/, '').split('/');
  if (names.some((name) => name === '')) return names.length === 1 ? 'names no cgroup' : 'has an empty name';
  if (names.some((name) => name === '.' || name === '..')) return "has '.' or '..' in it";
  if (text.includes('\0') || text.includes('\n')) return 'holds a NUL or a newline';
  if (names.length > GLOB_DEPTH_MAX) return `deeper than ${GLOB_DEPTH_MAX}`;
  return null;
}

/** The pattern's names as bytes. `text` has no mistake. */
export function compileGlob(text: string): Uint8Array[] {
  const names = text.replace(/^\//, '').replace(/\/$/, '').split('/');
  return names.map((name) => new TextEncoder().encode(name));
}

/** Whether `bytes[0 .. length)` is a name that one name of a pattern matches, in time of their product at worst. */
export function matchesName(pattern: Uint8Array, bytes: Uint8Array, length: number): boolean {
  let at = 0;
  let of = 0;
  let starOf = -1;
  let starAt = 0;
  while (at < length) {
    const wanted = of < pattern.length ? (pattern[of] as number) : -1;
    if (wanted === STAR) {
      starOf = of++;
      starAt = at;
    } else if (wanted === QUESTION || wanted === bytes[at]) {
      of++;
      at++;
    } else if (starOf !== -1) {
      // The star before takes one byte more.
      of = starOf + 1;
      at = ++starAt;
    } else return false;
  }
  while (of < pattern.length && pattern[of] === STAR) of++;
  return of === pattern.length;
}
