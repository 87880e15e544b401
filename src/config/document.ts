/*
 * What is generated from the schema: config/config.toml.example, and the tables of keys in the README and in
 * oom-backstop.toml(5). `npm run docs` writes them, and a test fails when they are stale.
 */
import { between, type Document } from '../shared/document.js';
import { wrap } from '../shared/wrap.js';
import { MATCH_ROWS } from './match.js';
import { RULE_KEYS, RULES_DESCRIPTION } from './rules.js';
import { CONFIG_TABLE, type KeyRow, type SectionRow } from './schema.js';

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
  const parts = [head, ...CONFIG_TABLE.map(exampleSection), exampleMatch(), exampleRule()];
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** A rule as an example, all of it commented out: there may be any number of them, and there is none by default. */
function exampleRule(): string[] {
  const keys = RULE_KEYS.flatMap((key) => [
    '',
    ...comment(key.description),
    ...comment(`Valid: ${key.valid}. Default: ${toml(key.default)}`),
    `##${key.name} = ${toml(key.example)}`,
  ]);
  return [...comment(RULES_DESCRIPTION), '##[[rule]]', ...keys];
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

const MATCH_TEXT =
  'Matchers: whom to prefer, avoid or protect by more than the name. Any number of tables, those of all files together; all conditions of one have to hold.';

/** All of it is explanation: a matcher has no default. */
function exampleMatch(): string[] {
  const rows = MATCH_ROWS.flatMap(({ name, description, valid, example }) => [
    '#',
    ...comment(`${name}: ${description} Valid: ${valid}. Example: ${name} = ${toml(example)}`),
  ]);
  const table = ['[[match]]', 'action = "protect"', 'unit = "postgresql*.service"', 'user = "postgres"'];
  return [...comment(`${MATCH_TEXT} On the command line: --match.`), ...rows, '#', ...table.map((line) => `# ${line}`)];
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
  const matches = MATCH_ROWS.map(({ name, description, valid }) =>
    tableRow([`\`[[match]] ${name}\``, description, valid, '', '`--match`']),
  );
  const rules = RULE_KEYS.map((key) =>
    tableRow([`\`[[rule]] ${key.name}\``, key.description, key.valid, `\`${toml(key.default)}\``, '']),
  );
  return ['| key | meaning | valid | default | option |', '|---|---|---|---|---|', ...rows, ...matches, ...rules].join(
    '\n',
  );
}

function markdownRow(section: SectionRow, key: KeyRow): string {
  const options = key.option.split(', ').map((option) => `\`${option}\``);
  return tableRow([
    `\`${section.name}.${key.name}\``,
    key.description,
    key.valid,
    `\`${toml(key.default)}\``,
    options.join(', '),
  ]);
}

function tableRow(cells: readonly string[]): string {
  const shown = cells.map((cell) => cell.replaceAll('|', '\\|'));
  // Two stars would make what stands between them slanted; within backquotes they don't.
  return `| ${shown.map((cell) => (cell.startsWith('`') ? cell : cell.replaceAll('*', '\\*'))).join(' | ')} |`;
}

function manualEntries(): string {
  return [...manualSections(), ...manualMatch(), ...manualRules()].join('\n');
}

function manualSections(): string[] {
  return CONFIG_TABLE.flatMap((section) => [
    `.SS [${section.name}]`,
    ...sentences(section.description),
    ...section.keys.flatMap(manualEntry),
  ]);
}

function manualMatch(): string[] {
  const rows = MATCH_ROWS.flatMap((row) => manualItem(`.B ${roff(row.name)}`, row));
  return ['.SS [[match]]', ...sentences(MATCH_TEXT), 'On the command line: \\-\\-match.', ...rows];
}

function manualRules(): string[] {
  const rows = RULE_KEYS.flatMap((key) => manualItem(headOf(key), key));
  return ['.SS [[rule]]', ...sentences(RULES_DESCRIPTION), ...rows];
}

function manualEntry(key: KeyRow): string[] {
  return manualItem(headOf(key), key, '.br', `On the command line: ${roff(key.option)}.`);
}

/** A key and its default. */
function headOf(key: { name: string; default: string | boolean }): string {
  return `.BR ${roff(key.name)} " = " ${quoted(toml(key.default))}`;
}

/** One of a list; `more` goes before the example. */
function manualItem(
  head: string,
  { name, description, valid, example }: Pick<KeyRow, 'name' | 'description' | 'valid' | 'example'>,
  ...more: string[]
): string[] {
  const last = `Example: ${roff(`${name} = ${toml(example)}`)}`;
  return ['.TP', head, ...sentences(description), '.br', `Valid: ${roff(valid)}.`, ...more, '.br', last];
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
