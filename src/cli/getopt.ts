/*
 * getopt_long(3) as glibc has it: bundled flags (-dp), attached values (-m5), values after "=" for long
 * options only (so -r=0 has the value "=0"), unambiguous abbreviations of long options, arguments anywhere
 * between the options, "--" ends them. Users' command lines rely on each of these, and
 * commander, which the commands use, knows neither the abbreviations nor GNU's order.
 *
 * Pure: arguments in, tokens out, in the order in which getopt would hand them over.
 */

export interface OptionSpec {
  /** One character for a short option, more for a long one. */
  name: string;
  takesValue: boolean;
  /** A long option of ours that earlyoom does not have: never part of an abbreviation, or it would break one. */
  exactOnly?: boolean;
}

export type Token =
  | { kind: 'option'; name: string; value: string }
  | { kind: 'argument'; value: string }
  /** What getopt would have said, without the program's name before it. */
  | { kind: 'error'; message: string };

/** The tokens of `args`. Arguments that are no options come last, as GNU getopt permutes them. */
export function getopt(args: readonly string[], specs: readonly OptionSpec[]): Token[] {
  const tokens: Token[] = [];
  const operands: Token[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    if (arg === '--') {
      operands.push(...args.slice(i + 1).map((value): Token => ({ kind: 'argument', value })));
      break;
    }
    const next = args[i + 1];
    if (arg.startsWith('--')) i += longOption(arg.slice(2), next, specs, tokens);
    else if (arg.startsWith('-') && arg.length > 1) i += shortOptions(arg.slice(1), next, specs, tokens);
    else operands.push({ kind: 'argument', value: arg });
  }
  return [...tokens, ...operands];
}

/** Appends the token of one long option; returns how many further arguments it took. */
function longOption(text: string, next: string | undefined, specs: readonly OptionSpec[], tokens: Token[]): number {
  const equals = text.indexOf('=');
  const given = equals === -1 ? text : text.slice(0, equals);
  const attached = equals === -1 ? undefined : text.slice(equals + 1);
  const spec = findLong(given, specs);
  if (Array.isArray(spec)) {
    const message =
      spec.length === 0
        ? `unrecognized option '--${text}'`
        : `option '--${text}' is ambiguous; possibilities: ${spec.map((s) => `'--${s.name}'`).join(' ')}`;
    tokens.push({ kind: 'error', message });
    return 0;
  }
  if (!spec.takesValue) {
    if (attached === undefined) tokens.push({ kind: 'option', name: spec.name, value: '' });
    else tokens.push({ kind: 'error', message: `option '--${spec.name}' doesn't allow an argument` });
    return 0;
  }
  const value = attached ?? next;
  if (value === undefined) tokens.push({ kind: 'error', message: `option '--${spec.name}' requires an argument` });
  else tokens.push({ kind: 'option', name: spec.name, value });
  return attached === undefined && next !== undefined ? 1 : 0;
}

/** The one option that is meant, or the several (or no) ones that could be. */
function findLong(given: string, specs: readonly OptionSpec[]): OptionSpec | OptionSpec[] {
  const long = specs.filter((spec) => spec.name.length > 1);
  const exact = long.find((spec) => spec.name === given);
  if (exact !== undefined) return exact;
  const matches = long.filter((spec) => spec.exactOnly !== true && spec.name.startsWith(given));
  return matches.length === 1 ? (matches[0] as OptionSpec) : matches;
}

/** Appends the tokens of a cluster of short options; returns how many further arguments it took. */
function shortOptions(
  cluster: string,
  next: string | undefined,
  specs: readonly OptionSpec[],
  tokens: Token[],
): number {
  for (let at = 0; at < cluster.length; at++) {
    const name = cluster[at] as string;
    const spec = specs.find((candidate) => candidate.name === name);
    if (spec === undefined) {
      tokens.push({ kind: 'error', message: `invalid option -- '${name}'` });
      continue;
    }
    if (!spec.takesValue) {
      tokens.push({ kind: 'option', name, value: '' });
      continue;
    }
    const attached = cluster.slice(at + 1);
    if (attached !== '') tokens.push({ kind: 'option', name, value: attached });
    else if (next !== undefined) tokens.push({ kind: 'option', name, value: next });
    else tokens.push({ kind: 'error', message: `option requires an argument -- '${name}'` });
    return attached === '' && next !== undefined ? 1 : 0;
  }
  return 0;
}
