import { describe, expect, it } from 'vitest';
import { optionsOf } from '../../../src/cli/guard-options.js';
import { helpText } from '../../../src/cli/help.js';

describe.each(['earlyoom', 'oom-backstop'] as const)('the help of %s', (persona) => {
  const help = helpText(persona);
  const lines = help.split('\n');

  it('begins with the usage and ends, as scripts look for, with "this help text"', () => {
    expect(lines[0]).toBe(`Usage: ${persona} [OPTION]...`);
    expect(help.endsWith('this help text\n')).toBe(true);
  });

  it('shows every option with its alias and its value once, at the beginning of a line', () => {
    for (const { name, alias, valueName } of optionsOf(persona)) {
      const names = [name, ...(alias === undefined ? [] : [alias])].map((each) =>
        each.length === 1 ? `-${each}` : `--${each}`,
      );
      const left = `  ${names.join(', ')}${valueName === undefined ? '' : ` ${valueName}`}`;
      expect(lines.filter((line) => line === left || line.startsWith(`${left} `))).toHaveLength(1);
    }
  });

  it('is at most 80 columns wide, without blanks at the ends of lines', () => {
    for (const line of lines) expect([line, line.length <= 80, line === line.trimEnd()]).toEqual([line, true, true]);
  });

  it('shows --config to whom it belongs', () => {
    expect(lines.some((line) => line.startsWith('  --config FILE'))).toBe(persona === 'oom-backstop');
  });

  it('names its own defaults and leaves no placeholder', () => {
    const unwrapped = help.replace(/\s+/g, ' ');
    expect(unwrapped).toContain(persona === 'earlyoom' ? '(default 10,5;' : '(default 5,3;');
    expect(unwrapped).toContain(persona === 'earlyoom' ? '(default 10,5)' : '(default 100,100)');
    expect(help).not.toContain('%');
  });
});
