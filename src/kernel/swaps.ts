/*
 * /proc/swaps (proc_swaps(5)): the swap areas that are on. Sizes in KiB.
 *
 *   Filename                                Type            Size            Used            Priority
 *   /dev/zram0                              partition       4194300         0               100
 *   /var/swap\040file                       file            2097148         0               -2
 */
import { unescapeOctal } from './mountinfo.js';

export interface SwapArea {
  /** The device or the file. */
  name: string;
  sizeKib: number;
  usedKib: number;
}

const AREA = /^(\S+)\s+(?:partition|file)\s+(\d+)\s+(\d+)\s/;

/** Reads the text of swaps; the heading and what is no area are passed over. */
export function parseSwaps(text: string): SwapArea[] {
  return text.split('\n').flatMap((line) => {
    const match = AREA.exec(line);
    if (match === null) return [];
    return [{ name: unescapeOctal(match[1] as string), sizeKib: Number(match[2]), usedKib: Number(match[3]) }];
  });
}
