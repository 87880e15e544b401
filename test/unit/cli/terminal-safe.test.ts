import { expect, it } from 'vitest';
import { safeJson, safeText } from '../../../src/cli/terminal-safe.js';

const HOSTILE = 'a\nb\x1b[2J\x07\x7f\u009b31m\0"\\é';

it('JSON holds no raw control character but its own newlines, and says the same', () => {
  const json = safeJson({ name: HOSTILE });
  expect(json.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  expect(JSON.parse(json)).toEqual({ name: HOSTILE });
});

it('text is one line without control characters; what is printable stays', () => {
  expect(safeText(HOSTILE)).toBe('a\\u000ab\\u001b[2J\\u0007\\u007f\\u009b31m\\u0000"\\é');
});
