/* What the guard loads: the bundle runs a module when it is first imported, so what only a command needs must not be imported before. */
import path from 'node:path';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** The files that are loaded with `entry`, not on demand. */
async function loadedWith(entry: string): Promise<string[]> {
  const options = { bundle: true, write: false, platform: 'node', format: 'cjs', packages: 'external' } as const;
  const { metafile } = await build({ ...options, entryPoints: [entry], absWorkingDir: ROOT, metafile: true });
  const loaded = new Set([entry]);
  for (const file of loaded) {
    const imports = metafile.inputs[file]?.imports ?? [];
    for (const each of imports) if (each.kind === 'import-statement') loaded.add(each.path);
  }
  return [...loaded];
}

it('the guard loads neither a command nor what a command needs', async () => {
  const guard = await loadedWith('src/main.ts');
  expect(guard).toContain('src/guard/guard.ts');
  const needless =
    /^src\/(check|explain|replay|exporter|observe)\/|^src\/cli\/(commands|run-program|exporter-program|command-line|guard-options|help|getopt|read-config|\w+-command\.(?<!guard-command\.))|^(commander|prom-client)$/;
  expect(guard.filter((file) => needless.test(file))).toEqual([]);
});

it('which could be seen: the commands load all of it', async () => {
  const commands = await loadedWith('src/cli/commands.ts');
  expect(commands).toEqual(expect.arrayContaining(['src/check/findings.ts', 'src/cli/check-command.ts', 'commander']));
});

it('the exporter loads nothing of the guard, nor koffi', async () => {
  const exporter = await loadedWith('src/cli/exporter-program.ts');
  expect(exporter).toEqual(expect.arrayContaining(['src/exporter/metrics.ts', 'prom-client']));
  const needless = /^native-shims\/(?!errno)|^src\/(sample|act|report|check)\/|^src\/guard\/(?!runtime-dir)|^koffi$/;
  expect(exporter.filter((file) => needless.test(file))).toEqual([]);
});
