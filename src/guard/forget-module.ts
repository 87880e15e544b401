/* Has Node forget a bundle that was needed for the start only. */
import path from 'node:path';

interface LoadedModule {
  children: LoadedModule[];
}

/** Node's, in a bundle; there is none where the sources are run as they are (vitest). */
declare const require: { cache: Record<string, LoadedModule | undefined> } | undefined;

/**
 * Drops what Node keeps of the module in the file called `name`. It goes with the next collection, with its text, unless
 * somebody has still something of it.
 */
export function forgetModule(name: string): void {
  if (typeof require === 'undefined') return;
  for (const file of Object.keys(require.cache)) {
    if (path.basename(file) !== name) continue;
    const forgotten = require.cache[file];
    delete require.cache[file];
    for (const each of Object.values(require.cache)) {
      if (each !== undefined) each.children = each.children.filter((child) => child !== forgotten);
    }
  }
}
