/*
 * /proc/zoneinfo (proc_zoneinfo(5)): of all it tells of the zones of memory, the free pages that each CPU keeps for itself.
 *
 *   Node 0, zone   Normal
 *     pages free     4521077
 *     pagesets
 *       cpu: 0
 *                 count:    102334
 *                 high:     110231
 *
 * They are free, and yet neither in MemFree nor in MemAvailable. Since Linux 6.7 a CPU may keep up to an eighth of a zone
 * divided by the number of CPUs.
 */
import { ascii, ByteCursor } from './byte-cursor.js';

const COUNT = ascii('count:');
const cursor = new ByteCursor();

/** The pages that the CPUs keep in the zones of the first `length` of `bytes`; 0 where it does not say. */
export function parsePcpPages(bytes: Uint8Array, length: number): number {
  cursor.reset(bytes, length);
  let pages = 0;
  do {
    cursor.skipBlanks();
    if (!cursor.accept(COUNT)) continue;
    const count = cursor.integer();
    if (count >= 0) pages += count;
  } while (cursor.nextLine());
  return pages;
}
