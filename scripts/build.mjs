// Builds dist/main.cjs: one bundle with all of src/, tree-shaken, koffi and commander left to
// node_modules. CommonJS, because it starts faster and the bins need no file extension for it.
import { readFileSync } from 'node:fs';
import { build } from 'esbuild';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

await build({
  entryPoints: ['src/main.ts'],
  outfile: 'dist/main.cjs',
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  packages: 'external',
  define: { PACKAGE_VERSION: JSON.stringify(version) },
  logLevel: 'warning',
});
