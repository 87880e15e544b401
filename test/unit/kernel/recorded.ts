/* What the parser tests share: the recorded files, and bytes that no kernel would write. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';

const ROOT = path.resolve(import.meta.dirname, '../../fixtures/proc');

/** The processes of test/support/record-proc.sh. */
export const RECORDED_PROCESSES = [
  'ordinary',
  'kernel-thread',
  'brackets',
  'newlines',
  'latin1',
  'zombie-main',
] as const;

/** A recorded file, byte for byte. */
export function recorded(name: string): Buffer {
  return readFileSync(path.join(ROOT, name));
}

/** Bytes of any kind: random ones, and a text with random pieces cut out of it and others put in. */
export function hostileBytes(text: Uint8Array): fc.Arbitrary<Uint8Array> {
  const pieces = fc.constantFrom('', '-', ' ', '\n', '\0', ')', '(', ':', '=', '9'.repeat(400), '\xff', '1e9', '-1');
  const spliced = fc
    .tuple(fc.nat(text.length), fc.nat(40), pieces)
    .map(([at, cut, piece]) =>
      Buffer.concat([text.subarray(0, at), Buffer.from(piece, 'latin1'), text.subarray(at + cut)]),
    );
  return fc.oneof(fc.uint8Array({ maxLength: 600 }), spliced);
}

/** A number as the kernel may print it, held exactly by JavaScript. */
export const kernelNumber = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 1, 4_194_304, Number.MAX_SAFE_INTEGER));
