/* Trees that look like /proc and /sys of a machine with ZFS or swap on zram. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const MIB = 1 << 20;

/** Writes `root`/spl/kstat/zfs/arcstats. */
export function writeArcstats(root: string, sizeMib: number, minMib: number): void {
  const directory = path.join(root, 'spl/kstat/zfs');
  mkdirSync(directory, { recursive: true });
  const row = (name: string, value: number): string => `${name.padEnd(32)}4    ${value}\n`;
  const rows =
    row('hits', 19) + row('c', 5) + row('c_min', minMib * MIB) + row('c_max', 7) + row('size', sizeMib * MIB);
  writeFileSync(path.join(directory, 'arcstats'), `13 1 0x01 147 39984 3931338412 1273486459\nname type data\n${rows}`);
}

/** Writes `root`/swaps: name, size and use of each area. */
export function writeSwaps(root: string, areas: readonly [string, number, number][]): void {
  const lines = areas.map(([name, sizeMib, usedMib]) => `${name} partition ${sizeMib * 1024} ${usedMib * 1024} 100\n`);
  writeFileSync(path.join(root, 'swaps'), `Filename Type Size Used Priority\n${lines.join('')}`);
}

/** Writes `sysfs`/block/zramN/mm_stat. */
export function writeMmStat(sysfs: string, device: number, storedMib: number, costsMib: number, limitMib = 0): void {
  const directory = path.join(sysfs, `block/zram${device}`);
  mkdirSync(directory, { recursive: true });
  const numbers = [storedMib * MIB, 1, costsMib * MIB, limitMib * MIB, 0, 0, 0, 0, 0];
  writeFileSync(path.join(directory, 'mm_stat'), `${numbers.join(' ')}\n`);
}
