/*
 * /proc/swaps (proc_swaps(5)): the swap areas that are on. Sizes in KiB.
 *
 *   Filename                                Type            Size            Used            Priority
 *   /dev/zram0                              partition       4194300         0               100
 *   /var/swap\040file                       file            2097148         0               -2
 */
import { ascii, ByteCursor } from './byte-cursor.js';
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

/** The areas on zram, as the guard needs them: by device number, and what is free in each. */
export interface ZramSwaps {
  count: number;
  /** N of zramN. */
  readonly device: Int32Array;
  readonly freeKib: Float64Array;
}

/** More areas than one for each core of a large machine are not looked at. */
const ZRAM_AREAS_MAX = 64;

export function emptyZramSwaps(): ZramSwaps {
  return { count: 0, device: new Int32Array(ZRAM_AREAS_MAX), freeKib: new Float64Array(ZRAM_AREAS_MAX) };
}

const ZRAM = ascii('zram');
const SLASH = 0x2f;
/** Minor numbers have 20 bits. */
const ZRAM_DEVICES_MAX = 1 << 20;
const cursor = new ByteCursor();

/** Reads the zram areas in the first `length` of `bytes` into `out`, without making a string. */
export function parseZramSwaps(bytes: Uint8Array, length: number, out: ZramSwaps): void {
  cursor.reset(bytes, length);
  out.count = 0;
  do {
    const device = zramDevice(bytes);
    if (device < 0 || out.count === ZRAM_AREAS_MAX) continue;
    cursor.skipWord(); // its type
    const sizeKib = cursor.integer();
    const usedKib = cursor.integer();
    if (!(sizeKib >= 0 && usedKib >= 0)) continue;
    out.device[out.count] = device;
    out.freeKib[out.count++] = Math.max(0, sizeKib - usedKib);
  } while (cursor.nextLine());
}

/** N, if the line's first word ends in /zramN; else -1. Leaves the cursor behind the word. */
function zramDevice(bytes: Uint8Array): number {
  const start = cursor.position;
  if (cursor.peek() !== SLASH || !cursor.skipWord()) return -1;
  const end = cursor.position;
  let name = end;
  while (bytes[name - 1] !== SLASH) name--;
  if (name <= start) return -1;
  cursor.position = name;
  if (!cursor.accept(ZRAM)) return -1;
  const device = cursor.integer();
  return cursor.position === end && device >= 0 && device < ZRAM_DEVICES_MAX ? device : -1;
}
