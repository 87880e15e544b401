/* Which configuration files there are. The guard runs this at every start, so it loads nothing. */
import { lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { strerror } from '../../native-shims/errno.js';
import { EXIT_CONFIG, FatalError } from '../shared/exit.js';

export const CONFIG_DIRECTORY = '/etc/oom-backstop';

/**
 * `config.toml` and `config.d/*.toml` in `directory`, as far as they are there, in the order in which they are read: the
 * latter by name, byte by byte (as `LC_ALL=C ls`). A link that leads nowhere is there: reading it is an error.
 * @throws FatalError where it can't be told what is there
 */
export function defaultFiles(directory = CONFIG_DIRECTORY): string[] {
  const file = path.join(directory, 'config.toml');
  const dropIns = path.join(directory, 'config.d');
  const names = orAbsent(dropIns, () => readdirSync(dropIns)) ?? [];
  return [
    ...(orAbsent(file, () => lstatSync(file)) === null ? [] : [file]),
    ...names
      .filter((name) => name.endsWith('.toml') && !name.startsWith('.'))
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .map((name) => path.join(dropIns, name)),
  ];
}

/** What `look` finds at `name`, or null where there is nothing. */
function orAbsent<T>(name: string, look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    const { code, errno = 0 } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new FatalError(
      EXIT_CONFIG,
      `${name}: ${strerror(-errno)} (valid: readable by the guard's user, or not there)`,
    );
  }
}
