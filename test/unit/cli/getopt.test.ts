import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { getopt, type OptionSpec, type Token } from '../../../src/cli/getopt.js';
import { optionsOf } from '../../../src/cli/guard-options.js';
import { describeIf } from '../../support/requires.js';

const SPECS: OptionSpec[] = optionsOf('earlyoom').flatMap((row) =>
  row.alias === undefined ? [row] : [row, { ...row, name: row.alias }],
);

/* Short to write: an option is `name` or `name=value`, an operand `(value)`, an error `!message`. */
function brief(tokens: Token[]): string[] {
  return tokens.map((token) => {
    if (token.kind === 'argument') return `(${token.value})`;
    if (token.kind === 'error') return `!${token.message}`;
    return SPECS.find((spec) => spec.name === token.name)?.takesValue ? `${token.name}=${token.value}` : token.name;
  });
}

describe('getopt', () => {
  it.each([
    ['nothing', [], []],
    ['a flag', ['-d'], ['d']],
    ['bundled flags', ['-dp'], ['d', 'p']],
    ['an attached value', ['-m5'], ['m=5']],
    ['a value of its own', ['-m', '5,3'], ['m=5,3']],
    ['flags with a value at the end of the bundle', ['-dpm5', '-gm', '6'], ['d', 'p', 'm=5', 'g', 'm=6']],
    ['"=" belongs to the value of a short option', ['-r=0', '-m=5'], ['r==0', 'm==5']],
    ['a value that looks like an option', ['-m', '-d', '--prefer', '--avoid'], ['m=-d', 'prefer=--avoid']],
    ['a value "--"', ['-m', '--', '--prefer', '--', '-d'], ['m=--', 'prefer=--', 'd']],
    ['an empty value', ['-m', '', '--prefer=', '--avoid', ''], ['m=', 'prefer=', 'avoid=']],
    ['long options both ways', ['--prefer=^a=b$', '--avoid', 'x y'], ['prefer=^a=b$', 'avoid=x y']],
    ['an abbreviation', ['--dr', '--pre=x', '--sort', '--he'], ['dryrun', 'prefer=x', 'sort-by-rss', 'help']],
    ['the exact name wins over the longer one', ['--ignore', 'x'], ['ignore=x']],
    ['an alias', ['--debug', '--help'], ['debug', 'help']],
    ['operands anywhere, handed over last', ['a', '-d', 'b', '-m', '5', 'c'], ['d', 'm=5', '(a)', '(b)', '(c)']],
    ['"--" ends the options', ['a', '-d', '--', '-p', '--', 'b'], ['d', '(a)', '(-p)', '(--)', '(b)']],
    ['"-" is an operand', ['-', '-d'], ['d', '(-)']],
    ['an empty argument is an operand', ['', '-d'], ['d', '()']],
    ['our own options, whole', ['--procfs', '/x', '--version'], ['procfs=/x', 'version']],
    [
      'our own options are not abbreviated',
      ['--vers', '--proc=x'],
      ["!unrecognized option '--vers'", "!unrecognized option '--proc=x'"],
    ],
    ["nor in the way of earlyoom's abbreviations", ['--p=x'], ['prefer=x']],
    ['an unknown short option', ['-xd'], ["!invalid option -- 'x'", 'd']],
    ['an unknown long option', ['--xyz'], ["!unrecognized option '--xyz'"]],
    ['an ambiguous one', ['--ig'], ["!option '--ig' is ambiguous; possibilities: '--ignore-root-user' '--ignore'"]],
    ['no value at the end', ['-d', '-m'], ['d', "!option requires an argument -- 'm'"]],
    ['no value at the end, long', ['--prefer'], ["!option '--prefer' requires an argument"]],
    ['a value for a flag', ['--dryrun=1'], ["!option '--dryrun' doesn't allow an argument"]],
  ])('%s', (_case, args, tokens) => {
    expect(brief(getopt(args, SPECS))).toEqual(tokens);
  });

  it('never throws, and forgets no operand, whatever the arguments are', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (args) => {
        expect(getopt(['--', ...args], SPECS)).toEqual(args.map((value) => ({ kind: 'argument', value })));
        expect(getopt(args, SPECS).length).toBeLessThanOrEqual(args.join('').length + args.length);
      }),
    );
  });
});

const GETOPT = '/usr/bin/getopt';
/* getopt(1) has no option that may not be abbreviated, so ours are left out of both sides. */
const SHARED = SPECS.filter((spec) => spec.exactOnly !== true);
const shortOptions = SHARED.filter((spec) => spec.name.length === 1);
const longOptions = SHARED.filter((spec) => spec.name.length > 1);
const colon = (spec: OptionSpec): string => `${spec.name}${spec.takesValue ? ':' : ''}`;

interface Outcome {
  /** Options with their values, then `--`, then the operands. */
  words: string[];
  errors: string[];
}

/** getopt(1), which is libc's getopt_long: options, values and operands in sh quoting on stdout, complaints on stderr. */
function libcGetopt(args: string[]): Outcome {
  const table = ['-o', shortOptions.map(colon).join(''), '-l', longOptions.map(colon).join(','), '-n', 'x', '-s', 'sh'];
  const { stdout, stderr, error } = spawnSync(GETOPT, [...table, '--', ...args], {
    encoding: 'utf8',
    env: { LC_ALL: 'C' },
    timeout: 5000,
  });
  if (error !== undefined) throw error;
  const words = [...stdout.matchAll(/ ((?:'[^']*'|\\'|[^ '\\\n])+)/g)].map((match) => unquoted(match[1] as string));
  return {
    words,
    errors: stderr
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.replace(/^x: /, '')),
  };
}

const unquoted = (word: string): string => word.replace(/'([^']*)'|\\'/g, (_all, inside?: string) => inside ?? "'");

function ourGetopt(args: string[]): Outcome {
  const words: string[] = [];
  const operands: string[] = [];
  const errors: string[] = [];
  for (const token of getopt(args, SHARED)) {
    if (token.kind === 'error') errors.push(token.message);
    else if (token.kind === 'argument') operands.push(token.value);
    else {
      words.push(`${token.name.length > 1 ? '--' : '-'}${token.name}`);
      if (SHARED.find((spec) => spec.name === token.name)?.takesValue) words.push(token.value);
    }
  }
  return { words: [...words, '--', ...operands], errors };
}

describeIf(existsSync(GETOPT), `no ${GETOPT}`, "getopt against libc's own", () => {
  const value = fc.constantFrom('5', '10,5', '=0', '-1', '', 'a b', "it's", '^(x|y)$', '--', '-', '-d', 'é', '*');
  const letters = fc.constantFrom(...shortOptions.map((spec) => spec.name), 'x', '=', '5');
  const cluster = fc.array(letters, { minLength: 1, maxLength: 4 }).map((names) => `-${names.join('')}`);
  const long = fc
    .tuple(fc.constantFrom(...longOptions.map((spec) => spec.name), 'xyz'), fc.nat(20), fc.option(value))
    .map(
      ([name, length, attached]) => `--${name.slice(0, Math.max(1, length))}${attached === null ? '' : `=${attached}`}`,
    );
  const argument = fc.oneof(
    { weight: 3, arbitrary: cluster },
    { weight: 4, arbitrary: long },
    { weight: 3, arbitrary: value },
  );

  const args = fc.array(argument, { maxLength: 6 });

  it('gives the same options, values and operands in the same order, and as many complaints', () => {
    fc.assert(
      fc.property(args, (list) => {
        const [ours, libcs] = [ourGetopt(list), libcGetopt(list)];
        expect(ours.words).toEqual(libcs.words);
        expect(ours.errors).toHaveLength(libcs.errors.length);
      }),
      { numRuns: 300 },
    );
  }, 30_000);

  it('complains in the same words', () => {
    fc.assert(
      fc.property(args, (list) => {
        expect(ourGetopt(list).errors).toEqual(libcGetopt(list).errors);
      }),
      { numRuns: 100 },
    );
  }, 30_000);

  it('is a comparison that notices a difference', () => {
    expect(libcGetopt(['-m', "it's", '--dr', 'op'])).toEqual({
      words: ['-m', "it's", '--dryrun', '--', 'op'],
      errors: [],
    });
    expect(libcGetopt(['--ig', '-x']).errors).toEqual([
      "option '--ig' is ambiguous; possibilities: '--ignore-root-user' '--ignore'",
      "invalid option -- 'x'",
    ]);
  });
});
