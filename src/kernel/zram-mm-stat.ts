/*
 * /sys/block/zramN/mm_stat (Documentation/admin-guide/blockdev/zram.rst; Linux 4.1): what a compressed disk in memory holds
 * and costs. Bytes in the file, KiB here:
 *
 *   4096000000 1187423111 1238360064        0 1238364160    31337        0        0        0
 *   orig_data_size compr_data_size mem_used_total mem_limit ...
 *
 * mem_used_total is what is really spent, the allocator's losses included; a mem_limit of 0 is none.
 */
import { ByteCursor } from './byte-cursor.js';

export interface ZramMmStat {
  origDataKib: number;
  memUsedTotalKib: number;
  memLimitKib: number;
}

export function emptyZramMmStat(): ZramMmStat {
  return { origDataKib: 0, memUsedTotalKib: 0, memLimitKib: 0 };
}

const cursor = new ByteCursor();

/** Reads the first `length` of `bytes` into `out`. Returns false, with `out` as it was, if they are not an mm_stat. */
export function parseZramMmStat(bytes: Uint8Array, length: number, out: ZramMmStat): boolean {
  cursor.reset(bytes, length);
  const orig = cursor.kibOfBytes();
  cursor.skipWord();
  const used = cursor.kibOfBytes();
  const limit = cursor.kibOfBytes();
  if (!(orig >= 0 && used >= 0 && limit >= 0)) return false;
  out.origDataKib = orig;
  out.memUsedTotalKib = used;
  out.memLimitKib = limit;
  return true;
}
