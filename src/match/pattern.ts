/* Patterns as the admin writes them: a glob, or between slashes a regular expression. */
import { type GlobForm, parseGlob } from './glob-syntax.js';
import { Program } from './program.js';
import { parseRegex } from './regex-syntax.js';
import { PatternError } from './syntax.js';

/** Of a pattern: far more than anybody writes by hand. */
const PATTERN_BYTES_MAX = 512;

/** Compiles a pattern for texts of a form; says in words what is wrong with it. */
export function compilePattern(text: string, form: GlobForm): Program | string {
  if (text === '') return 'empty';
  if (text.includes('\0')) return 'holds a NUL';
  if (new TextEncoder().encode(text).length > PATTERN_BYTES_MAX) return `longer than ${PATTERN_BYTES_MAX} bytes`;
  const regex = regexIn(text);
  if (regex === '') return 'an empty regular expression';
  try {
    return Program.of(regex === null ? parseGlob(text, form) : parseRegex(regex));
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    return `can't be used: ${error.message}`;
  }
}

/** The regular expression between the slashes, or null for a glob. */
export function regexIn(text: string): string | null {
  return text.length >= 2 && text.startsWith('/') && text.endsWith('/') ? text.slice(1, -1) : null;
}
