/* The help text of the guard's options, made from their table. */
import type { Persona } from '../shared/options.js';
import { wrap } from '../shared/wrap.js';
import { type OptionRow, optionsOf } from './guard-options.js';

const INDENT = 28;
const WIDTH = 80;

const DEFAULT_TEXTS: Record<Persona, Record<string, string>> = {
  'oom-backstop': { '%m': '5,3', '%s': '100,100' },
  earlyoom: { '%m': '10,5', '%s': '10,5' },
};

const COMMANDS = `
Commands (oom-backstop COMMAND --help tells more):
  check [OPTION]...         say what the guard would do with these options, and
                            what on this machine keeps it from it
  drill                     prove on this machine, now, that the configuration
                            kills: a balloon of its own, and nobody else
  rank                      list all processes in the order in which they would
                            be killed
  explain [ID]              say what happened at a kill, the last one or this,
                            and what to change if that was wrong
  status                    say whether the guard is up and well, how near the
                            limits are and what it has killed
  exporter                  serve metrics for Prometheus and a page for people;
                            a process of its own, without any privilege
  replay TRACE [OPTION]...  say what these options would have done, by a trace
                            that --record has made
`;

/** The whole help; its last line is that of --help. */
export function helpText(persona: Persona): string {
  const usage =
    persona === 'earlyoom'
      ? 'Usage: earlyoom [OPTION]...\n'
      : `Usage: oom-backstop [OPTION]...\n       oom-backstop COMMAND ...\n${COMMANDS}`;
  return `${usage}\n${optionsOf(persona)
    .map((row) => optionText(row, persona))
    .join('')}`;
}

function optionText(row: OptionRow, persona: Persona): string {
  const dashes = (name: string): string => (name.length === 1 ? `-${name}` : `--${name}`);
  const names = row.alias === undefined ? dashes(row.name) : `${dashes(row.name)}, ${dashes(row.alias)}`;
  const left = `  ${names}${row.valueName === undefined ? '' : ` ${row.valueName}`}`;
  const help = row.help.replace(/%[ms]/g, (key) => DEFAULT_TEXTS[persona][key] ?? key);
  const lines = wrap(help, WIDTH - INDENT);
  const first = left.length < INDENT ? `${left.padEnd(INDENT)}${lines.shift() ?? ''}\n` : `${left}\n`;
  return first + lines.map((line) => `${' '.repeat(INDENT)}${line}\n`).join('');
}
