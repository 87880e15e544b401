/*
 * /proc/PID/status (Documentation/filesystems/proc.rst, table 1-2): the thread group, the effective user id, the
 * effective capabilities, and what is in swap (a kernel thread and a zombie have no such line).
 *
 *   Name:   cat
 *   Tgid:   551716
 *   Uid:    1000    1000    1000    1000
 *   VmSwap:        0 kB
 *   CapEff: 0000000000000020
 *
 * The four are real, effective, saved and file system id. The owner of /proc/PID is no substitute:
 * it is root for every process that is not dumpable, whoever runs it.
 * The name's newlines are escaped by the kernel, so no process can fake a Uid line.
 */
import { ascii, ByteCursor } from './byte-cursor.js';

const TGID = ascii('Tgid:');
const UID = ascii('Uid:');
const VM_SWAP = ascii('VmSwap:');
const cursor = new ByteCursor();

/** Reads the pid of the process that it belongs to from the first `length` of `bytes`; -1 if there is none. */
export function parsePidStatusTgid(bytes: Uint8Array, length: number): number {
  return findEntry(bytes, length, TGID) ? nonNegative(cursor.integer()) : -1;
}

/** Reads the effective uid from the first `length` of `bytes`; -1 if there is none. */
export function parsePidStatusUid(bytes: Uint8Array, length: number): number {
  if (!findEntry(bytes, length, UID)) return -1;
  cursor.integer();
  return nonNegative(cursor.integer());
}

/** Reads what it has in swap from the first `length` of `bytes`, KiB; -1 if there is none. */
export function parsePidStatusSwap(bytes: Uint8Array, length: number): number {
  return findEntry(bytes, length, VM_SWAP) ? nonNegative(cursor.integer()) : -1;
}

/** Bits of linux/capability.h. */
export const CAP_KILL = 5n;
export const CAP_IPC_LOCK = 14n;

/** The effective capabilities in the text of a status file, one bit each (linux/capability.h); null if there are none. */
export function parsePidStatusCapEff(text: string): bigint | null {
  const digits = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(text)?.[1];
  return digits === undefined ? null : BigInt(`0x${digits}`);
}

/** Moves the cursor behind `key`, wherever a line begins with it. */
function findEntry(bytes: Uint8Array, length: number, key: Uint8Array): boolean {
  cursor.reset(bytes, length);
  do {
    if (cursor.accept(key)) return true;
  } while (cursor.nextLine());
  return false;
}

function nonNegative(value: number): number {
  return value >= 0 ? value : -1;
}
