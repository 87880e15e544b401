/*
 * What the benches start guards with: what systemd would give them. Whatever else a developer's shell has set belongs to none of
 * them: NODE_EXTRA_CA_CERTS alone has each Node read all certificates when it starts, 1.1 MiB that stay and some ms (measured).
 * And a runtime directory in memory, as the unit has, so that ours keeps its state page while it is measured; the others don't look.
 */
import { mkdtempSync, rmSync } from 'node:fs';

const RUNTIME_DIRECTORY = mkdtempSync('/dev/shm/oom-backstop-bench-');
process.on('exit', () => rmSync(RUNTIME_DIRECTORY, { recursive: true, force: true }));

export const SERVICE_ENVIRONMENT = { PATH: process.env.PATH, LANG: 'C.UTF-8', RUNTIME_DIRECTORY };
