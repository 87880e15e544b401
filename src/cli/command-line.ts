/*
 * What makes options of a command line and a configuration file: all that the guard needs of src/cli/, and only once. It is a bundle of its
 * own (scripts/build.mjs), which a guard forgets when it has its options: V8 keeps the text of what is loaded, and whatever
 * stands in it, for as long as the module is there. 0.15 MiB of the guard's 9 (measured).
 */
export {
  checksOnly,
  configFileOf,
  defaultSettings,
  logFormatOf,
  mayRun,
  parseGuardOptions,
  procfsOf,
} from './guard-options.js';
export { helpText } from './help.js';
export { readConfig } from './read-config.js';
