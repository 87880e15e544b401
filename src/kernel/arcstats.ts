/*
 * /proc/spl/kstat/zfs/arcstats (OpenZFS): the cache of ZFS, which the kernel does not count as available memory.
 *
 *   13 1 0x01 147 39984 3931338412 1273486459
 *   name                            type data
 *   c_min                           4    788963456
 *   size                            4    8589934592
 *
 * `size` is what the cache holds now; down to `c_min` it shrinks when memory is short. Bytes.
 */

export interface Arcstats {
  sizeBytes: number;
  minBytes: number;
}

/** Reads the text of arcstats; null if `size` or `c_min` is missing. */
export function parseArcstats(text: string): Arcstats | null {
  const size = /^size\s+\d+\s+(\d+)$/m.exec(text)?.[1];
  const min = /^c_min\s+\d+\s+(\d+)$/m.exec(text)?.[1];
  return size === undefined || min === undefined ? null : { sizeBytes: Number(size), minBytes: Number(min) };
}
