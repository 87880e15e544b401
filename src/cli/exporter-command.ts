/* `oom-backstop exporter`: the state page for Prometheus, node_exporter and people, by a process of its own. */
import { Command } from 'commander';
import { parseDurationMs } from '../config/quantity.js';
import { parseListenAddress, VALID_ADDRESS } from '../exporter/listen-address.js';
import { runExporter } from '../exporter/run.js';
import { EXIT_PARAMETER, FatalError } from '../shared/exit.js';
import { statePageDirectory } from './guards-directory.js';

/** As near to the guard as node_exporter's 9100 is to everything else; see the list of default ports of Prometheus's exporters. */
const DEFAULT_ADDRESS = '127.0.0.1:9819';
const DEFAULT_INTERVAL = '15s';
const INTERVAL_MS_MIN = 1000;
const INTERVAL_MS_MAX = 3_600_000;

interface ExporterFlags {
  listen: string;
  runtimeDir?: string;
  procfs: string;
  textfile?: string;
  textfileInterval: string;
}

/** The command; it goes on until a signal ends it. */
export function exporterCommand(write: (text: string) => void): Command {
  return new Command('exporter')
    .description(
      'serve what the guard counts: /metrics for Prometheus (text, or OpenMetrics), /healthz (200, or 503 and why), and a page for people at /',
    )
    .option('--listen <address>', 'HOST:PORT, [IPv6]:PORT, or none', DEFAULT_ADDRESS)
    .option('--runtime-dir <dir>', 'where the guard keeps its state page')
    .option('--procfs <dir>', 'read another tree than /proc', '/proc')
    .option('--textfile <path>', "keep the metrics in this file as well, for node_exporter's textfile collector")
    .option('--textfile-interval <time>', 'how often it is written, 1s to 1h', DEFAULT_INTERVAL)
    .addHelpText(
      'after',
      '\nExit code: 0 ended by SIGTERM or SIGINT, 13 an unknown option, 14 a wrong value, 69 it cannot listen there',
    )
    .action(async (flags: ExporterFlags) => {
      const listen = addressOf(flags.listen);
      const textfile = flags.textfile ?? null;
      if (listen === null && textfile === null)
        throw new FatalError(EXIT_PARAMETER, '--listen none: nothing to do (valid: with --textfile PATH)');
      if (textfile === '') throw new FatalError(EXIT_PARAMETER, '--textfile: no path (valid: a file, PATH.prom)');
      const textfileIntervalMs = intervalOf(flags.textfileInterval);
      const runtimeDir = flags.runtimeDir ?? (await statePageDirectory());
      await runExporter({ listen, runtimeDir, procfs: flags.procfs, textfile, textfileIntervalMs }, write);
    });
}

/** @throws FatalError */
function addressOf(value: string): ReturnType<typeof parseListenAddress> & (object | null) {
  const address = parseListenAddress(value);
  if (typeof address === 'string')
    throw new FatalError(EXIT_PARAMETER, `--listen ${value}: ${address} (valid: ${VALID_ADDRESS})`);
  return address;
}

/** @throws FatalError */
function intervalOf(value: string): number {
  const ms = parseDurationMs(value);
  if (typeof ms === 'number' && ms >= INTERVAL_MS_MIN && ms <= INTERVAL_MS_MAX) return ms;
  const why = typeof ms === 'string' ? ms : 'out of range';
  throw new FatalError(EXIT_PARAMETER, `--textfile-interval ${value}: ${why} (valid: 1s to 1h)`);
}
