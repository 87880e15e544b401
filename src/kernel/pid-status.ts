/*
 * /proc/PID/status (Documentation/filesystems/proc.rst, table 1-2): the effective user id.
 *
 *   Name:   cat
 *   Uid:    1000    1000    1000    1000
 *
 * The four are real, effective, saved and file system id. The owner of /proc/PID is no substitute:
 * it is root for every process that is not dumpable, whoever runs it.
 * The name's newlines are escaped by the kernel, so no process can fake a Uid line.
 */
import { ascii, ByteCursor } from './byte-cursor.js';

const UID = ascii('Uid:');
const cursor = new ByteCursor();

/** Reads the effective uid from the first `length` of `bytes`; -1 if there is none. */
export function parsePidStatusUid(bytes: Uint8Array, length: number): number {
  cursor.reset(bytes, length);
  do {
    if (!cursor.accept(UID)) continue;
    cursor.integer();
    const effective = cursor.integer();
    return effective >= 0 ? effective : -1;
  } while (cursor.nextLine());
  return -1;
}
