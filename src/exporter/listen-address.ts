/* The address of --listen. Pure. */
import { isIPv4, isIPv6 } from 'node:net';

export interface ListenAddress {
  host: string;
  port: number;
}

export const VALID_ADDRESS =
  'HOST:PORT, [IPv6]:PORT, or none; port 0 for any that is free; 0.0.0.0 or [::] as host for all interfaces';

const PORT_MAX = 65_535;
/** A label of a host name, and dots between them (RFC 1123). */
const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/;

/** The address, null for `none`, or what is wrong with it. */
export function parseListenAddress(text: string): ListenAddress | null | string {
  if (text === 'none') return null;
  const [, bracketed, plain = '', digits = ''] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,9})$/.exec(text) ?? [];
  if (digits === '') return 'not an address';
  const port = Number(digits);
  if (port > PORT_MAX) return `there is no port ${port}`;
  if (bracketed !== undefined) return isIPv6(bracketed) ? { host: bracketed, port } : `${bracketed} is no IPv6 address`;
  if (plain === '') return 'no host';
  if (isIPv4(plain)) return { host: plain, port };
  // A name of digits and dots is an address that is mistyped.
  return HOST_NAME.test(plain) && !/^[\d.]+$/.test(plain)
    ? { host: plain, port }
    : `${plain} is neither an address nor a host's name`;
}

/** As a browser wants it. */
export function urlOf({ host, port }: ListenAddress): string {
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}/`;
}
