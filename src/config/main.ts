/*
 * dist/config.cjs, the program that reads configuration files for the guard, in a process of its own: zod and the TOML
 * parser take megabytes, which the guard would keep.
 *
 * Arguments: MemTotal and SwapTotal in KiB, then the files. Output: what came of them, as JSON.
 */
import { writeSync } from 'node:fs';
import { loadConfig } from './load.js';

const STDOUT = 1;

const [memTotalKib, swapTotalKib, ...files] = process.argv.slice(2);
const loaded = loadConfig(files, { memTotalKib: Number(memTotalKib), swapTotalKib: Number(swapTotalKib) });
const bytes = Buffer.from(JSON.stringify(loaded));
for (let done = 0; done < bytes.length; ) done += writeSync(STDOUT, bytes, done);
