/*
 * POSIX extended regular expressions: libc's own regcomp and regexec, so that a pattern means here
 * what it meant to earlyoom. Node never calls setlocale(3), so they work on bytes, as earlyoom's do.
 */
import { cString, declareRaw, fixedBuffer } from './libc.js';

/* regex.h, the same numbers in glibc and musl */
const REG_EXTENDED = 1;
const REG_NOSUB = 8;

/* sizeof(regex_t) is 64 in glibc and musl on 64-bit machines; the rest is margin. */
const REGEX_T_BYTES = 256;

const regcomp = declareRaw('int regcomp(void *preg, void *pattern, int flags)');
const regexec = declareRaw('int regexec(void *preg, void *text, size_t nmatch, void *pmatch, int flags)');

export class PosixRegex {
  private constructor(
    readonly pattern: string,
    private readonly preg: Buffer,
  ) {}

  /** Compiles `pattern`; null if it is not a valid extended regular expression. */
  static compile(pattern: string): PosixRegex | null {
    const preg = fixedBuffer(REGEX_T_BYTES);
    if (regcomp(preg, cString(pattern), REG_EXTENDED | REG_NOSUB) !== 0) return null;
    return new PosixRegex(pattern, preg);
  }

  /** Whether the NUL-terminated `text` holds a match. */
  matches(text: Uint8Array): boolean {
    return regexec(this.preg, text, 0, null, 0) === 0;
  }
}
