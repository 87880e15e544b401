// Writes what is generated from the configuration's schema (src/config/document.ts).
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';

const root = new URL('../', import.meta.url);
// Below node_modules, where the packages that it imports are found.
const bundle = new URL('node_modules/.cache/config-docs.mjs', root);

await build({
  absWorkingDir: root.pathname,
  entryPoints: ['src/config/document.ts'],
  outfile: bundle.pathname,
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  logLevel: 'warning',
});
const { DOCUMENTS } = await import(bundle.href);
for (const { file, renew } of DOCUMENTS) {
  const url = new URL(file, root);
  mkdirSync(new URL('.', url), { recursive: true });
  writeFileSync(url, renew(existing(url)));
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
