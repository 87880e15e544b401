/* `oom-backstop status`: is the guard up and well, how near are the limits, what was killed. For people, as JSON, and by its exit code. */
import { Command } from 'commander';
import { memAvailablePercent, swapFreePercent, userMemTotalKib } from '../decide/limits.js';
import { heartbeatAgeMs } from '../observe/health.js';
import { type Look, look } from '../observe/look.js';
import { complaints, outcomeOf, percent, signalOf, size, span, sumOf, time } from '../observe/words.js';
import { FAILURES, NUMBERS, PERSONAS, REASONS, SIGNALS } from '../state/layout.js';
import type { Decision, StatePage } from '../state/page-reader.js';
import { statePageDirectory } from './guards-directory.js';
import { safeJson, safeText } from './terminal-safe.js';

const EXIT_WELL = 0;
const EXIT_NOT_WELL = 1;
const EXIT_NOT_UP = 2;
/** The page can't be read, so nothing is known; and wrong usage. */
export const EXIT_STATUS_REFUSED = 3;

const LABEL_WIDTH = 10;

interface StatusFlags {
  json?: true;
  runtimeDir?: string;
  procfs: string;
}

/** The command: 0 up and well, 1 up and not well, 2 not up, 3 not known. */
export function statusCommand(write: (text: string) => void, exitWith: (exitCode: number) => void): Command {
  return new Command('status')
    .description('say whether the guard is up and well, how near the limits are, and what it has killed')
    .option('--json', 'as one JSON document')
    .option('--runtime-dir <dir>', 'where the guard keeps its state page')
    .option('--procfs <dir>', 'read another tree than /proc', '/proc')
    .addHelpText(
      'after',
      '\nExit code: 0 up and well, 1 up and something is not as it should be, 2 not up, 3 the state page cannot be read, or wrong usage',
    )
    .action(async (flags: StatusFlags) => {
      const seen = look(flags.runtimeDir ?? (await statePageDirectory()), flags.procfs);
      const exitCode = exitCodeOf(seen);
      write(flags.json === true ? `${safeJson(asDocument(seen, exitCode))}\n` : asText(seen));
      exitWith(exitCode);
    });
}

function exitCodeOf({ page, refused, health }: Look): number {
  if (page === null) return refused?.kind === 'missing' ? EXIT_NOT_UP : EXIT_STATUS_REFUSED;
  if (!health.up) return EXIT_NOT_UP;
  return complaints(page).length > 0 ? EXIT_NOT_WELL : EXIT_WELL;
}

function asText(seen: Look): string {
  const { page } = seen;
  const lines = [
    headline(seen),
    ...(page === null ? [] : [memoryLine(page), swapLine(page)]),
    pressureLine(seen),
    ...(page === null ? [] : [killsLine(page)]),
    kernelLine(seen),
    ...(page === null ? [] : complaints(page).map((each) => line('Not well', each))),
    ...(page === null ? [] : decisionLines(page.decisions)),
  ];
  return lines.map((each) => `${safeText(each)}\n`).join('');
}

function line(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)} ${text}`;
}

function headline({ page, health, unixMs }: Look): string {
  if (page === null) return `The guard is not up, or not seen${health.up ? '' : `: ${health.why}`}.`;
  const who = `${page.persona} ${page.version}${page.number('dryrun') === 1 ? ', dry run' : ''}`;
  if (!health.up)
    return `The guard is not up: ${health.why} (${who}). All below is as of ${time(page.number('heartbeatUnixMs'))}.`;
  const started = page.number('startedUnixMs');
  const doing = page.phase === 'watching' ? '' : `, killing now (${page.phase})`;
  const upFor = span(started === null ? null : Math.max(0, unixMs - started));
  return `The guard is up: pid ${page.number('pid')} since ${time(started)} (${upFor}), ${who}${doing}.`;
}

function memoryLine(page: StatePage): string {
  const memory = memoryOf(page);
  if (memory === null) return line('Memory', 'not known');
  const total = userMemTotalKib(memory);
  const at = (name: string): string => limitAt(page.number(name), total);
  return line(
    'Memory',
    `${size(memory.memAvailableKib)} of ${size(total)} available (${percent(memAvailablePercent(memory))}), SIGTERM at ${at('memTermPercent')}, SIGKILL at ${at('memKillPercent')}`,
  );
}

function swapLine(page: StatePage): string {
  const [total, free] = [page.number('swapTotalKib'), page.number('swapFreeKib')];
  if (total === null || free === null) return line('Swap', 'not known');
  if (total === 0) return line('Swap', 'none');
  const share = percent(
    swapFreePercent({ memAvailableKib: 0, anonPagesKib: 0, swapTotalKib: total, swapFreeKib: free }),
  );
  const at = (name: string): string => limitAt(page.number(name), total);
  const ignored = page.number('swapTermPercent') === 100 && page.number('swapKillPercent') === 100;
  const limits = ignored
    ? 'not asked about'
    : `SIGTERM at ${at('swapTermPercent')}, SIGKILL at ${at('swapKillPercent')}`;
  return line('Swap', `${size(free)} of ${size(total)} free (${share}), ${limits}`);
}

function limitAt(share: number | null, totalKib: number): string {
  return share === null ? 'an unknown limit' : `${percent(share)} (${size((share * totalKib) / 100)})`;
}

function pressureLine({ pressure }: Look): string {
  if (pressure === null) return line('Pressure', 'not known (no PSI)');
  const { someAvg10Percent, fullAvg10Percent } = pressure;
  return line('Pressure', `some ${percent(someAvg10Percent)}, full ${percent(fullAvg10Percent)} (last 10 s)`);
}

function killsLine(page: StatePage): string {
  const bySignal = SIGNALS.map((signal) => ({ signal, count: killsBy(page, signal) })).filter(({ count }) => count > 0);
  const total = bySignal.reduce((sum, { count }) => sum + count, 0);
  const which =
    total === 0 ? '' : ` (${bySignal.map(({ signal, count }) => `${count} by ${SIGNAL_NAMES[signal]}`).join(', ')})`;
  const failed = sumOf(
    page,
    FAILURES.map((each) => `failuresTotal:${each}`),
  );
  const dry = page.number('dryrunKillsTotal') ?? 0;
  const more = [
    `${size(page.number('freedKibTotal'))} given back`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(dry > 0 ? [`${dry} in dry runs`] : []),
  ];
  return line('Kills', `${total}${which}, ${more.join(', ')}`);
}

const SIGNAL_NAMES: Record<(typeof SIGNALS)[number], string> = {
  term: 'SIGTERM',
  kill: 'SIGKILL',
  kernel: 'the kernel',
};

function killsBy(page: StatePage, signal: string): number {
  return sumOf(
    page,
    PERSONAS.flatMap((persona) => REASONS.map((reason) => `killsTotal:${persona}:${reason}:${signal}`)),
  );
}

function kernelLine({ kernelOomKills }: Look): string {
  return line('Kernel', kernelOomKills === null ? 'OOM kills not known' : `${kernelOomKills} OOM kills since boot`);
}

function decisionLines(decisions: readonly Decision[]): string[] {
  if (decisions.length === 0) return [];
  const rows = decisions.map((each) => {
    const uid = each.uid === null ? '' : `, uid ${each.uid}`;
    const why = each.rule === null ? '' : `, rule ${each.rule}`;
    return `  ${time(each.unixMs)}  ${signalOf(each)}  "${each.comm}" (pid ${each.pid}${uid}, ${size(each.rssKib)})${why}: ${outcomeOf(each)}`;
  });
  return ['Last kills', ...rows];
}

function memoryOf(page: StatePage) {
  const [memAvailableKib, anonPagesKib] = [page.number('memAvailableKib'), page.number('anonPagesKib')];
  if (memAvailableKib === null || anonPagesKib === null) return null;
  return { memAvailableKib, anonPagesKib, swapTotalKib: 0, swapFreeKib: 0 };
}

/** What is documented in the README, "status". */
function asDocument(seen: Look, exitCode: number): Record<string, unknown> {
  const { page, path, refused, health, pressure, kernelOomKills, monotonicMs } = seen;
  return {
    schema: 1,
    up: health.up,
    why: health.up ? null : health.why,
    verdict: ['well', 'not-well', 'not-up', 'unknown'][exitCode],
    statePage: { path, refused: refused?.kind ?? null },
    guard:
      page === null
        ? null
        : {
            version: page.version,
            persona: page.persona,
            phase: page.phase,
            dryrun: page.number('dryrun') === 1,
            heartbeatAgeMs: finite(heartbeatAgeMs(page, monotonicMs)),
          },
    complaints: page === null ? [] : complaints(page),
    numbers: page === null ? null : Object.fromEntries(NUMBERS.map((name) => [name, page.number(name)])),
    pressure,
    kernelOomKills,
    decisions: page === null ? [] : page.decisions,
  };
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
