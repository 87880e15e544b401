/* The configuration, where there is one: which files, and what they say. Without files it loads and starts nothing. */
import { defaultFiles } from '../config/files.js';
import type { Meminfo } from '../kernel/meminfo.js';
import type { Settings } from '../shared/options.js';

export interface Configured {
  files: readonly string[];
  settings: Settings;
  warnings: readonly string[];
}

/**
 * Reads `file` alone or, where that is null, the default files; null if there are none.
 * @param meminfo  reads memory now: sizes in the files become shares of it
 * @throws FatalError with everything that is wrong
 */
export async function readConfig(file: string | null, meminfo: () => Meminfo): Promise<Configured | null> {
  const files = file === null ? defaultFiles() : [file];
  if (files.length === 0) return null;
  const { runReader } = await import('../config/run-reader.js');
  return { files, ...runReader(files, meminfo()) };
}
