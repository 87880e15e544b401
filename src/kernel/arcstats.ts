/*
 * /proc/spl/kstat/zfs/arcstats (OpenZFS): the cache of ZFS, which the kernel does not count as available memory.
 *
 *   13 1 0x01 147 39984 3931338412 1273486459
 *   name                            type data
 *   c_min                           4    788963456
 *   size                            4    8589934592
 *
 * `size` is what the cache holds now; down to `c_min` it shrinks when memory is short. Bytes in the file, KiB here. Fields come and go with
 * OpenZFS's versions; these two have been there from the beginning.
 */
import { ascii, ByteCursor } from './byte-cursor.js';

export interface Arcstats {
  sizeKib: number;
  minKib: number;
}

export function emptyArcstats(): Arcstats {
  return { sizeKib: 0, minKib: 0 };
}

const SIZE = ascii('size ');
const MIN = ascii('c_min ');
const cursor = new ByteCursor();

/** Reads the first `length` of `bytes` into `out`. Returns false, with `out` as it was, if `size` or `c_min` is missing. */
export function parseArcstats(bytes: Uint8Array, length: number, out: Arcstats): boolean {
  cursor.reset(bytes, length);
  let size = -1;
  let min = -1;
  do {
    if (size < 0 && cursor.accept(SIZE)) size = valueOfRow();
    else if (min < 0 && cursor.accept(MIN)) min = valueOfRow();
  } while ((size < 0 || min < 0) && cursor.nextLine());
  if (size < 0 || min < 0) return false;
  out.sizeKib = size;
  out.minKib = min;
  return true;
}

/** The number behind the type; -1 if there is none. */
function valueOfRow(): number {
  cursor.integer();
  const value = cursor.kibOfBytes();
  return value >= 0 ? value : -1;
}
