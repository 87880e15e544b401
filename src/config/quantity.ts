/* Limits ("5%", "512MiB") and times ("10s") as the configuration file writes them: always with their unit. Pure. */

/** A limit: a share in percent, or a size in KiB. */
export type Limit = { percent: number } | { kib: number };

/* Fifteen digits are exact in a double, and nobody has a number that is longer. */
const QUANTITY = /^(\d{1,15}(?:\.\d{1,15})?) ?([A-Za-z%]*)$/;

const KIB_PER_UNIT: Readonly<Record<string, number>> = {
  KiB: 1,
  MiB: 1024,
  GiB: 1024 ** 2,
  TiB: 1024 ** 3,
};

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
};

const MAX_WAIT_MS_MIN = 1000;
/** Whoever reads the state page takes a guard for dead that has said nothing for some seconds more than that. */
const MAX_WAIT_MS_MAX = 10_000;

/** Reads a limit; one in percent is at most `percentMax`. Returns what is wrong where something is. */
export function parseLimit(text: string, percentMax: number): Limit | string {
  const quantity = split(text);
  if (typeof quantity === 'string') return quantity;
  const { value, unit } = quantity;
  if (unit === '%') return value > percentMax ? `more than ${percentMax}%` : { percent: value };
  const kib = ownValue(KIB_PER_UNIT, unit);
  return kib === undefined ? wrongUnit(unit) : { kib: value * kib };
}

/** Reads a size. Returns KiB, or what is wrong. */
export function parseSizeKib(text: string): number | string {
  const quantity = split(text);
  if (typeof quantity === 'string') return quantity;
  const kib = ownValue(KIB_PER_UNIT, quantity.unit);
  return kib === undefined ? wrongUnit(quantity.unit) : quantity.value * kib;
}

/** Reads a time. Returns milliseconds, or what is wrong. */
export function parseDurationMs(text: string): number | string {
  const quantity = split(text);
  if (typeof quantity === 'string') return quantity;
  const ms = ownValue(MS_PER_UNIT, quantity.unit);
  return ms === undefined ? wrongUnit(quantity.unit) : quantity.value * ms;
}

/** Reads the longest wait between two looks at memory. Returns milliseconds, or what is wrong. */
export function parseMaxWaitMs(text: string): number | string {
  const ms = parseDurationMs(text);
  if (typeof ms === 'string') return ms;
  return ms < MAX_WAIT_MS_MIN ? 'less than 1s' : ms > MAX_WAIT_MS_MAX ? 'more than 10s' : ms;
}

function split(text: string): { value: number; unit: string } | string {
  const match = QUANTITY.exec(text);
  if (match === null) return 'not a number and its unit';
  return { value: Number(match[1]), unit: match[2] as string };
}

function wrongUnit(unit: string): string {
  return unit === '' ? 'no unit' : `unknown unit ${unit}`;
}

/** `toString` is no unit. */
function ownValue(table: Readonly<Record<string, number>>, key: string): number | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
