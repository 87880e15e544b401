/*
 * /proc/PID/oom_score and /proc/PID/oom_score_adj (Documentation/filesystems/proc.rst, 3.1 and 3.2):
 * one number each. oom_score is 0 to 2000 (since Linux 5.9 an idle process shows 666, not 0);
 * oom_score_adj is -1000 (never kill) to 1000.
 */

const MINUS = 0x2d;
const ZERO = 0x30;

/**
 * Reads the number in the first `length` of `bytes`; NaN if there is none. One too large to be held exactly is held at
 * Number.MAX_SAFE_INTEGER. Not by ByteCursor: this is asked of each process in a scan, and is so
 * short that V8 makes one piece of code of it and of the read.
 */
export function parseOomNumber(bytes: Uint8Array, length: number): number {
  const end = Math.min(length, bytes.length);
  const first = end > 0 && bytes[0] === MINUS ? 1 : 0;
  let value = 0;
  let at = first;
  for (; at < end; at++) {
    const digit = (bytes[at] as number) - ZERO;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  if (at === first) return Number.NaN;
  const held = Math.min(value, Number.MAX_SAFE_INTEGER);
  return first === 1 ? 0 - held : held;
}
