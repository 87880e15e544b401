// Builds the bundles, tree-shaken, with all packages left to node_modules: dist/main.cjs, the guard; dist/commands.cjs,
// the commands besides it, apart because the source of whatever is loaded stays in memory; dist/config.cjs, which
// reads configuration files in a process of its own (src/config/main.ts); dist/balloon.cjs, the victim of a drill
// (src/drill/balloon.ts); and dist/exporter.cjs, the exporter, which bin/oom-backstop starts without any of the others. CommonJS, because it starts faster and the bins need no file extension for it.
import { readFileSync } from 'node:fs';
import { build } from 'esbuild';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** src/main.ts imports src/cli/commands.ts when it has to: a bundle of its own beside its own. */
const commandsApart = {
  name: 'commands apart',
  setup: (bundling) =>
    bundling.onResolve({ filter: /\/cli\/commands\.js$/ }, () => ({ path: './commands.cjs', external: true })),
};

await build({
  entryPoints: {
    main: 'src/main.ts',
    commands: 'src/cli/commands.ts',
    config: 'src/config/main.ts',
    balloon: 'src/drill/balloon.ts',
    exporter: 'src/cli/exporter-program.ts',
  },
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  packages: 'external',
  plugins: [commandsApart],
  define: { PACKAGE_VERSION: JSON.stringify(version) },
  logLevel: 'warning',
});
