// Builds the bundles, tree-shaken, with all packages left to node_modules: dist/main.cjs, the guard; dist/command-line.cjs, which reads its
// command line and is forgotten then (src/guard/forget-module.ts), and dist/commands.cjs, the commands besides it, both apart because the
// source of whatever is loaded stays in memory; dist/config.cjs, which
// reads configuration files in a process of its own (src/config/main.ts); dist/balloon.cjs, the victim of a drill
// (src/drill/balloon.ts); dist/log.cjs, which writes the log as JSON (src/log-writer/main.ts); and dist/exporter.cjs, the
// exporter, which bin/oom-backstop starts without any of the others. CommonJS, because it starts faster and the bins need no file extension for it.
import { readFileSync } from 'node:fs';
import { build } from 'esbuild';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** The guard imports these when it has to: bundles of their own beside its own. */
const apart = {
  name: 'apart',
  setup: (bundling) =>
    bundling.onResolve({ filter: /\/(commands|command-line)\.js$/ }, ({ path }) => ({
      path: `./${path.slice(path.lastIndexOf('/') + 1, -'.js'.length)}.cjs`,
      external: true,
    })),
};

await build({
  entryPoints: {
    main: 'src/main.ts',
    commands: 'src/cli/commands.ts',
    'command-line': 'src/cli/command-line.ts',
    config: 'src/config/main.ts',
    balloon: 'src/drill/balloon.ts',
    exporter: 'src/cli/exporter-program.ts',
    log: 'src/log-writer/main.ts',
  },
  outdir: 'dist',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  packages: 'external',
  plugins: [apart],
  // By require, which can forget what it has loaded (src/guard/forget-module.ts).
  supported: { 'dynamic-import': false },
  define: { PACKAGE_VERSION: JSON.stringify(version) },
  logLevel: 'warning',
  // V8 keeps a program's text: 0.2 MiB less of the guard's 9. `node --enable-source-maps bin/oom-backstop` shows the names again.
  minify: true,
  sourcemap: 'linked',
  sourcesContent: false,
});
