/*
 * What is generated from the schema: config/config.toml.example, and the tables of keys in the README and in
 * oom-backstop.toml(5). `npm run docs` writes them, and a test fails when they are stale.
 */
import { wrap } from '../shared/wrap.js';
import { CONFIG_TABLE, type KeyRow, type SectionRow } from './schema.js';

interface Document {
  /** From the root of the repository. */
  file: string;
  /** The file as it should be, made from the file as it is. */
  renew: (text: string) => string;
}

export const DOCUMENTS: readonly Document[] = [
  { file: 'config/config.toml.example', renew: () => exampleFile() },
  {
    file: 'README.md',
    renew: (text) => between(text, '<!-- keys: npm run docs -->', '<!-- end of keys -->', markdownTable()),
  },
  {
    file: 'man/oom-backstop.toml.5',
    renew: (text) => between(text, '.\\" keys: npm run docs', '.\\" end of keys', manualEntries()),
  },
];

const WIDTH = 100;

/** Every key with its default, commented out, below its explanation. */
function exampleFile(): string {
  const head = [
    '# Configuration of oom-backstop: /etc/oom-backstop/config.toml, then /etc/oom-backstop/config.d/*.toml by name.',
    '# Of a key that is set more than once the last one counts; the command line counts more than any file. Every key is',
    '# shown with its default. oom-backstop.toml(5) says more. After a change: systemctl reload oom-backstop',
  ];
  return `${[head, ...CONFIG_TABLE.map(exampleSection)].map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function exampleSection(section: SectionRow): string[] {
  const keys = section.keys.flatMap((key) => [
    '',
    ...comment(key.description),
    ...comment(`Valid: ${key.valid}. On the command line: ${key.option}. Example: ${key.name} = ${toml(key.example)}`),
    `#${key.name} = ${toml(key.default)}`,
  ]);
  return [...comment(section.description), `[${section.name}]`, ...keys];
}

function comment(text: string): string[] {
  return wrap(text, WIDTH - '# '.length).map((line) => `# ${line}`);
}

/** JSON's strings without control characters are TOML's. */
function toml(value: string | boolean): string {
  return JSON.stringify(value);
}

function markdownTable(): string {
  const rows = CONFIG_TABLE.flatMap((section) => section.keys.map((key) => markdownRow(section, key)));
  return ['| key | meaning | valid | default | option |', '|---|---|---|---|---|', ...rows].join('\n');
}

function markdownRow(section: SectionRow, key: KeyRow): string {
  const options = key.option.split(', ').map((option) => `\`${option}\``);
  const cells = [
    `\`${section.name}.${key.name}\``,
    key.description,
    key.valid,
    `\`${toml(key.default)}\``,
    options.join(', '),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function manualEntries(): string {
  return CONFIG_TABLE.flatMap((section) => [
    `.SS [${section.name}]`,
    ...sentences(section.description),
    ...section.keys.flatMap(manualEntry),
  ]).join('\n');
}

function manualEntry(key: KeyRow): string[] {
  return [
    '.TP',
    `.BR ${roff(key.name)} " = " ${quoted(toml(key.default))}`,
    ...sentences(key.description),
    '.br',
    `Valid: ${roff(key.valid)}.`,
    '.br',
    `On the command line: ${roff(key.option)}.`,
    '.br',
    `Example: ${roff(`${key.name} = ${toml(key.example)}`)}`,
  ];
}

/** roff wants a sentence to begin on a line of its own. */
function sentences(text: string): string[] {
  return text.split(/(?<=[.;]) /).map(roff);
}

/** Text that roff prints as it is. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('"', '\\(dq')
    .replaceAll('^', '\\(ha')
    .replace(/^\./, '\\&.');
}

function quoted(text: string): string {
  return `"${roff(text)}"`;
}

function between(text: string, begin: string, end: string, body: string): string {
  const from = text.indexOf(`${begin}\n`);
  const to = text.indexOf(`${end}\n`);
  if (from === -1 || to < from) throw new Error(`no "${begin}" ... "${end}" to fill`);
  return `${text.slice(0, from + begin.length + 1)}${body}\n${text.slice(to)}`;
}
