/*
 * `oom-backstop check`: what the guard would do with a command line, and what on this machine keeps it from it. Text for people,
 * one JSON document for programs; the exit code is the verdict.
 */
import { Command } from 'commander';
import { counted, type Finding, finding, type Severity } from '../check/finding.js';
import { examine, type Verdict, verdictOf } from '../check/findings.js';
import { type Policy, policyOf, policyWords } from '../check/policy.js';
import { readFacts } from '../check/read-facts.js';
import { compilePatterns, openMeminfo, openProcfs } from '../guard/machine.js';
import type { Meminfo } from '../kernel/meminfo.js';
import { Line } from '../report/line.js';
import type { LineKind } from '../report/log.js';
import { isFatal } from '../shared/exit.js';
import type { GuardOptions, PatternTexts, Persona, Settings } from '../shared/options.js';
import { wrap } from '../shared/wrap.js';
import { configFileOf, defaultSettings, examineGuardOptions, type OptionLog, procfsOf } from './guard-options.js';
import { rankProcesses } from './rank-command.js';
import { readConfig } from './read-config.js';
import { safeJson, safeText } from './terminal-safe.js';

const SYSFS = '/sys';

/** The codes of this command are its own: the guard's say why it did not start. */
const EXIT_CODES: Record<Verdict, number> = { ok: 0, warning: 1, error: 2 };

interface CheckFlags {
  json?: true;
  earlyoom?: true;
}

/** What --json prints (README, "Check your machine"). */
interface CheckDocument {
  /** null: there is no machine to apply it to. */
  policy: Policy | null;
  findings: Finding[];
  verdict: Verdict;
}

/** A document, and what its text needs besides. */
interface Checked {
  document: CheckDocument;
  memory: Meminfo | null;
}

/**
 * The command, which writes what it has to say with `write` and hands its exit code to `exitWith`: 0 nothing above a note, 1 warnings,
 * 2 the guard would not work.
 */
export function checkCommand(write: (text: string) => void, exitWith: (exitCode: number) => void): Command {
  return new Command('check')
    .description('say what the guard would do with these options, and what on this machine keeps it from it')
    .usage('[guard options] [--json] [--earlyoom]')
    .argument('[options...]', "the guard's own (oom-backstop --help)")
    .option('--json', 'as a JSON document')
    .option('--earlyoom', 'with the defaults of earlyoom')
    .allowUnknownOption()
    .addHelpText('after', '\nExit code: 0 nothing above a note, 1 warnings, 2 the guard would not work')
    .action(async (args: string[], flags: CheckFlags) => {
      const checked = await check(args, flags.earlyoom === true ? 'earlyoom' : 'oom-backstop');
      write(flags.json === true ? `${safeJson(checked.document)}\n` : asText(checked));
      exitWith(EXIT_CODES[checked.document.verdict]);
    });
}

async function check(args: readonly string[], persona: Persona): Promise<Checked> {
  try {
    const procfs = procfsOf(args, persona);
    openProcfs(procfs);
    const { memory } = openMeminfo(procfs);
    const log = new KeptMessages();
    const { settings, wrong } = await settingsFor(args, persona, memory);
    const { options, mistakes } = examineGuardOptions(args, persona, log, () => memory, settings);
    const wrongPatterns = dropWrongPatterns(options);
    const patterns = compilePatterns(options.patterns, options.sparesWayIn);
    const ranking = rankProcesses(procfs, patterns, options.selection, options.matching);
    const facts = readFacts({ options, memory, ranking, sysfs: SYSFS });
    const messages = { mistakes: [...wrong, ...mistakes, ...wrongPatterns], warnings: log.warnings };
    const findings = examine(facts, options, messages);
    return { document: { policy: policyOf(options, memory), findings, verdict: verdictOf(findings) }, memory };
  } catch (error) {
    if (!isFatal(error)) throw error;
    return { document: nothingToExamine(error.messages.join('; ')), memory: null };
  }
}

/** What the guard would start from; where its configuration is wrong, what it would say, and the defaults. */
async function settingsFor(
  args: readonly string[],
  persona: Persona,
  memory: Meminfo,
): Promise<{ settings: Settings; wrong: string[] }> {
  const settings = defaultSettings(persona);
  if (persona === 'earlyoom') return { settings, wrong: [] };
  try {
    const configured = await readConfig(configFileOf(args, persona), () => memory);
    return { settings: configured?.settings ?? settings, wrong: [] };
  } catch (error) {
    if (!isFatal(error)) throw error;
    return { settings, wrong: [...error.messages] };
  }
}

/** The guard would not start, and there is nothing to examine either. */
function nothingToExamine(found: string): CheckDocument {
  const why = 'The guard knows memory and processes by procfs.';
  const findings = [finding('procfs', why, { severity: 'error', found, advice: 'Name a procfs that can be read.' })];
  return { policy: null, findings, verdict: verdictOf(findings) };
}

/** Takes patterns that do not compile out of the options; returns what is wrong with each. */
function dropWrongPatterns(options: GuardOptions): string[] {
  return (Object.keys(options.patterns) as (keyof PatternTexts)[]).flatMap((which) => {
    try {
      compilePatterns({ prefer: null, avoid: null, ignore: null, [which]: options.patterns[which] }, false);
      return [];
    } catch (error) {
      if (!isFatal(error)) throw error;
      options.patterns[which] = null;
      return [`--${which}: ${error.message}`];
    }
  });
}

const WARNING = 'warning: ';

/** Keeps what the parser warns of; what it merely tells is in the policy. */
class KeptMessages implements OptionLog {
  debugEnabled = false;
  readonly warnings: string[] = [];
  private readonly line = new Line();

  begin(): Line {
    return this.line.clear();
  }

  end(): void {
    const text = this.line.bytes.toString('utf8', 0, this.line.length);
    if (text.startsWith(WARNING)) this.warnings.push(text.slice(WARNING.length));
  }

  say(_kind: LineKind, text: string): void {
    this.begin().text(text);
    this.end();
  }

  useSyslog(): void {
    // The findings go where the command's output goes.
  }
}

const WIDTH = 80;
const SEVERITIES: readonly Severity[] = ['error', 'warning', 'note', 'ok'];
const SEVERITY_COLUMNS = 9;

const VERDICTS: Record<Verdict, string> = {
  ok: 'good',
  warning: 'it works, not as well as it could',
  error: 'it would not work',
};

/** The policy, the findings (the worst first), the verdict. */
function asText({ document: { policy, findings, verdict }, memory }: Checked): string {
  const words = policy === null || memory === null ? [] : policyWords(policy, memory.swapTotalKib);
  const sorted = SEVERITIES.flatMap((severity) => findings.filter((each) => each.severity === severity));
  const counts = SEVERITIES.filter((severity) => severity !== 'ok').map((severity) =>
    counted(findings.filter((each) => each.severity === severity).length, severity, `${severity}s`),
  );
  return [
    ...(words.length === 0 ? [] : ['Policy', ...words.flatMap((sentence) => indented('  ', '  ', sentence)), '']),
    'Findings',
    ...sorted.flatMap(findingLines),
    '',
    `Verdict: ${VERDICTS[verdict]} (${counts.join(', ')})`,
    '',
  ].join('\n');
}

function findingLines({ severity, id, found, why, advice }: Finding): string[] {
  const margin = ' '.repeat(SEVERITY_COLUMNS);
  const lines = indented(severity.padEnd(SEVERITY_COLUMNS), margin, `${id}: ${found}`);
  if (severity === 'ok') return lines;
  const more = (title: string, text: string): string[] => indented(`${margin}${title} `, `${margin}     `, text);
  return [...lines, ...more('Why:', why), ...(advice === null ? [] : more('Do: ', advice))];
}

/** `text` in lines of at most WIDTH columns (longer words aside), the first after `first`, the others after `rest`. */
function indented(first: string, rest: string, text: string): string[] {
  return wrap(safeText(text), WIDTH - rest.length).map((line, index) => (index === 0 ? first : rest) + line);
}
