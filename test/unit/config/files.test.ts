import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { CONFIG_DIRECTORY, defaultFiles } from '../../../src/config/files.js';
import { configDirectory } from '../../support/config-files.js';

/** What `defaultFiles` finds, relative to the directory. */
const found = (directory: string): string[] => defaultFiles(directory).map((file) => path.relative(directory, file));

describe('defaultFiles', () => {
  it('are those of /etc/oom-backstop', () => {
    expect(CONFIG_DIRECTORY).toBe('/etc/oom-backstop');
  });

  it('are none without the directory, in an empty one, and in one with an empty config.d', () => {
    expect(found('/nowhere/oom-backstop')).toEqual([]);
    const directory = configDirectory();
    expect(found(directory)).toEqual([]);
    mkdirSync(path.join(directory, 'config.d'));
    expect(found(directory)).toEqual([]);
  });

  it('are config.toml first, then config.d by name, byte by byte', () => {
    const names = ['9.toml', '10.toml', 'b.toml', 'B.toml', 'a.toml', 'ä.toml', 'z.toml'];
    const files = Object.fromEntries(names.map((name) => [`config.d/${name}`, '']));
    expect(found(configDirectory({ 'config.toml': '', ...files }))).toEqual([
      'config.toml',
      ...['10.toml', '9.toml', 'B.toml', 'a.toml', 'b.toml', 'z.toml', 'ä.toml'].map((name) => `config.d/${name}`),
    ]);
  });

  it('are config.d alone, without config.toml', () => {
    expect(found(configDirectory({ 'config.d/a.toml': '' }))).toEqual(['config.d/a.toml']);
  });

  it('are nothing else that lies there', () => {
    const others = ['config.d/a.toml~', 'config.d/.a.toml', 'config.d/a.conf', 'config.d/sub/a.toml', 'other.toml'];
    expect(found(configDirectory(Object.fromEntries(others.map((name) => [name, '']))))).toEqual([]);
  });

  it('are links that lead nowhere, too: reading them is an error', () => {
    const directory = configDirectory({ 'config.d/a.toml': '' });
    symlinkSync('/nowhere/at-all', path.join(directory, 'config.toml'));
    symlinkSync('/nowhere/at-all', path.join(directory, 'config.d/b.toml'));
    expect(found(directory)).toEqual(['config.toml', 'config.d/a.toml', 'config.d/b.toml']);
  });

  it('can not be told where config.d is no directory', () => {
    const directory = configDirectory({ 'config.toml': '' });
    writeFileSync(path.join(directory, 'config.d'), '');
    expect(() => defaultFiles(directory)).toThrow(
      expect.objectContaining({
        exitCode: 78,
        messages: [expect.stringContaining(`${directory}/config.d: Not a directory`)],
      }),
    );
  });
});
