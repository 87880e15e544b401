/* `oom-backstop explain`: an incident record in plain words, or as JSON. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { strerror } from '../../native-shims/errno.js';
import { adviceFor } from '../explain/advice.js';
import { type Incidents, readIncidents } from '../explain/record.js';
import { explain, headline, timeOf } from '../explain/words.js';
import { EXIT_OTHER, FatalError } from '../shared/exit.js';
import { INCIDENT_FILE, type IncidentRecord, OLDER_INCIDENT_FILE } from '../shared/incident.js';
import { wrap } from '../shared/wrap.js';
import { guardsDirectory } from './guards-directory.js';
import { safeJson, safeText } from './terminal-safe.js';

/** A record that was asked for can't be read. */
const EXIT_REFUSED = 2;

const WIDTH = 100;

interface ExplainFlags {
  json?: true;
  last?: true;
  list?: true;
  runtimeDir?: string;
}

/** What is read of a file. */
interface FileRead extends Incidents {
  file: string;
}

/** The command: 0, 1 there is no such incident, 2 a record is there but can't be read. */
export function explainCommand(write: (text: string) => void, exitWith: (exitCode: number) => void): Command {
  return new Command('explain')
    .description('say what happened at a kill, why it was that process, and what to change if that was wrong')
    .argument('[id]', 'the incident; without it the last one')
    .option('--last', 'the last one')
    .option('--list', 'all that are recorded, the last one last')
    .option('--json', 'as JSON')
    .option('--runtime-dir <dir>', 'where the guard keeps its records')
    .addHelpText(
      'after',
      '\nExit code: 0, 1 there is no such incident, 2 a record is torn, foreign or of a later version',
    )
    .action(async (id: string | undefined, flags: ExplainFlags) => {
      const files = readFiles(flags.runtimeDir ?? (await guardsDirectory()));
      if (flags.list === true) {
        write(listed(files, flags.json === true));
        exitWith(files.some((each) => each.refused.length > 0) ? EXIT_REFUSED : 0);
        return;
      }
      const record = id === undefined ? lastOf(files) : byId(files, id);
      write(flags.json === true ? `${safeJson({ record, advice: adviceFor(record) })}\n` : asText(record));
    });
}

/** The older file first; one that is not there holds nothing. */
function readFiles(directory: string): FileRead[] {
  return [OLDER_INCIDENT_FILE, INCIDENT_FILE].flatMap((name) => {
    const file = path.join(directory, name);
    try {
      return [{ file, ...readIncidents(readFileSync(file, 'utf8')) }];
    } catch (error) {
      const { code, errno = 0 } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return [];
      throw new FatalError(EXIT_OTHER, `${file}: ${strerror(-errno)}`);
    }
  });
}

/** @throws FatalError */
function lastOf(files: readonly FileRead[]): IncidentRecord {
  const last = files.findLast((each) => each.records.length > 0 || each.refused.length > 0);
  if (last?.endsRefused === true) throw refusal(last);
  const record = last?.records.at(-1);
  if (record !== undefined) return record;
  throw new FatalError(EXIT_OTHER, 'no incident is recorded (valid: the --runtime-dir of a guard that has killed)');
}

/** @throws FatalError */
function byId(files: readonly FileRead[], id: string): IncidentRecord {
  const record = files.flatMap((each) => each.records).find((each) => each.id === id);
  if (record !== undefined) return record;
  const doubtful = files.find((each) => each.refused.length > 0);
  if (doubtful !== undefined) throw refusal(doubtful, `${id} is not among the records that can be read; `);
  throw new FatalError(EXIT_OTHER, `${id}: no such incident (valid: an id from explain --list)`);
}

function refusal({ file, refused }: FileRead, before = ''): FatalError {
  const { line, why } = refused.at(-1) as { line: number; why: string };
  return new FatalError(EXIT_REFUSED, `${before}${file}, line ${line}: ${why}`);
}

function listed(files: readonly FileRead[], json: boolean): string {
  const records = files.flatMap((each) => each.records);
  const refused = files.flatMap((each) => each.refused.map(({ line, why }) => ({ file: each.file, line, why })));
  if (json) return `${safeJson({ records, refused })}\n`;
  const lines = [
    ...records.map(headline),
    ...refused.map(({ file, line, why }) => `${file}, line ${line}: refused: ${why}`),
  ];
  return lines.map((line) => `${safeText(line)}\n`).join('');
}

function asText(record: IncidentRecord): string {
  const head = `Incident ${record.id}, ${timeOf(record)} (${record.persona} ${record.version})`;
  const sections = explain(record).map(({ title, lines }) => {
    const wrapped = lines.flatMap((line) => wrapLine(safeText(line)));
    return `\n${title}\n${wrapped.map((line) => `  ${line}\n`).join('')}`;
  });
  return `${safeText(head)}\n${sections.join('')}`;
}

/** A list's further lines are indented under its first; a time's column stays as it is. */
function wrapLine(line: string): string[] {
  const lead = /^(- | *[\d.]+ m?s {2})/.exec(line)?.[0] ?? '';
  return wrap(line.slice(lead.length), WIDTH - lead.length).map((each, index) =>
    index === 0 ? lead + each : ' '.repeat(lead.length) + each,
  );
}
