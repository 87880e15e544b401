/* Who a user is: start-up only. */
import { readFileSync } from 'node:fs';

/** 2^32 - 1 is nobody's: the kernel means "unchanged" by it. */
const UID_MAX = 0xffff_fffe;

/** The uid of a user of /etc/passwd, or the uid itself; null for neither. */
export function lookUpUid(user: string): number | null {
  if (/^\d{1,10}$/.test(user)) return Number(user) <= UID_MAX ? Number(user) : null;
  const uid = passwdLines()
    .map((line) => line.split(':'))
    .find(([name]) => name === user)?.[2];
  return uid === undefined || !/^\d{1,10}$/.test(uid) ? null : Number(uid);
}

function passwdLines(): string[] {
  try {
    return readFileSync('/etc/passwd', 'utf8').split('\n');
  } catch {
    return [];
  }
}
