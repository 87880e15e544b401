/* Where the guard keeps what others read: for the commands that read it. Without koffi, for the exporter's sake. */
import { existsSync, readFileSync } from 'node:fs';
import { defaultRuntimeDir, SYSTEM_RUNTIME_DIR } from '../guard/runtime-dir.js';
import { emptyMeminfo, type Meminfo, parseMeminfo } from '../kernel/meminfo.js';
import { EXIT_OTHER, FatalError } from '../shared/exit.js';
import { STATE_FILE } from '../state/layout.js';
import { readConfig } from './read-config.js';

/**
 * The directory that the guard would take; what is wrong with its configuration is not a reader's to say.
 * @throws FatalError
 */
export async function guardsDirectory(): Promise<string> {
  const directory = (await configuredDirectory()) ?? defaultRuntimeDir();
  if (directory !== null) return directory;
  throw new FatalError(EXIT_OTHER, 'no runtime directory (valid: --runtime-dir DIR, or $XDG_RUNTIME_DIR)');
}

/** Where the state page is: as above, and the machine's for a user who runs no guard of his own. */
export async function statePageDirectory(): Promise<string> {
  const own = (await configuredDirectory()) ?? defaultRuntimeDir();
  return own !== null && existsSync(`${own}/${STATE_FILE}`) ? own : SYSTEM_RUNTIME_DIR;
}

async function configuredDirectory(): Promise<string | null> {
  const configured = await readConfig(null, memoryNow).catch(() => null);
  return configured?.settings.runtimeDir ?? null;
}

/** Sizes in the configuration become shares of it, which is of no interest here. */
function memoryNow(): Meminfo {
  const memory = emptyMeminfo();
  const bytes = readFileSync('/proc/meminfo');
  parseMeminfo(bytes, bytes.length, memory);
  return memory;
}
