import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseListenAddress, urlOf } from '../../../src/exporter/listen-address.js';

describe('--listen', () => {
  it.each([
    ['127.0.0.1:9819', { host: '127.0.0.1', port: 9819 }],
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['0.0.0.0:65535', { host: '0.0.0.0', port: 65_535 }],
    ['[::1]:9819', { host: '::1', port: 9819 }],
    ['[fe80::1%lo]:1', { host: 'fe80::1%lo', port: 1 }],
    ['localhost:9819', { host: 'localhost', port: 9819 }],
    ['metrics.example.org:80', { host: 'metrics.example.org', port: 80 }],
    ['none', null],
  ])('%s', (text, address) => {
    expect(parseListenAddress(text)).toEqual(address);
  });

  it.each([
    ['', 'not an address'],
    ['9819', 'not an address'],
    ['127.0.0.1', 'not an address'],
    ['127.0.0.1:', 'not an address'],
    ['127.0.0.1:http', 'not an address'],
    ['127.0.0.1:-1', 'not an address'],
    ['127.0.0.1:9819 ', 'not an address'],
    ['::1:9819', 'not an address'],
    ['http://127.0.0.1:9819', 'not an address'],
    [':9819', 'no host'],
    ['127.0.0.1:65536', 'there is no port 65536'],
    ['127.0.0:80', "127.0.0 is neither an address nor a host's name"],
    ['999.1.1.1:80', "999.1.1.1 is neither an address nor a host's name"],
    ['*:80', "* is neither an address nor a host's name"],
    ['-a:80', "-a is neither an address nor a host's name"],
    ['[127.0.0.1]:80', '127.0.0.1 is no IPv6 address'],
    ['[]:80', ' is no IPv6 address'],
  ])('%j: %s', (text, why) => {
    expect(parseListenAddress(text)).toBe(why);
  });

  it('whatever it is: an address that can be written as a URL, or what is wrong', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const address = parseListenAddress(text);
        if (typeof address === 'object' && address !== null) new URL(urlOf(address));
      }),
    );
  });

  it('is written as a URL', () => {
    expect(urlOf({ host: '127.0.0.1', port: 80 })).toBe('http://127.0.0.1:80/');
    expect(urlOf({ host: '::1', port: 80 })).toBe('http://[::1]:80/');
  });
});
