// Writes what is generated from the code: from the configuration's schema, and from the table of metrics.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

const root = new URL('../', import.meta.url);
// Below node_modules, where the packages that they import are found.
const cache = new URL('node_modules/.cache/docs/', root);
const sources = { config: 'src/config/document.ts', exporter: 'src/exporter/document.ts' };

await build({
  absWorkingDir: root.pathname,
  entryPoints: sources,
  outdir: cache.pathname,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  logLevel: 'warning',
});
for (const name of Object.keys(sources)) {
  const { DOCUMENTS } = await import(new URL(`${name}.mjs`, cache).href);
  for (const { file, renew } of DOCUMENTS) {
    const url = new URL(file, root);
    mkdirSync(new URL('.', url), { recursive: true });
    writeFileSync(url, renew(existing(url)));
  }
}

/** The file as it is; nothing where it is not there yet. */
function existing(url) {
  try {
    return readFileSync(url, 'utf8');
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return '';
  }
}
