/* The Prometheus text format as the exporter writes it, read back: each sample under its name and labels, and what type its metric has. */

export interface Exposition {
  /** By sample: `name{labels}` as it stands there. */
  samples: ReadonlyMap<string, number>;
  /** By metric. */
  types: ReadonlyMap<string, string>;
}

export function readExposition(text: string): Exposition {
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (name !== undefined && type !== undefined) types.set(name, type);
    const [, sample, value] = /^([^#].*) (\S+)$/.exec(line) ?? [];
    if (sample !== undefined) samples.set(sample, Number(value));
  }
  return { samples, types };
}

/** What never falls: counters, and the buckets, sums and counts of histograms. */
export function counters({ samples, types }: Exposition): Map<string, number> {
  const rising = (sample: string): boolean => {
    const name = sample.split('{', 1)[0] as string;
    return types.get(name) === 'counter' || types.get(name.replace(/_(bucket|sum|count)$/, '')) === 'histogram';
  };
  return new Map([...samples].filter(([sample]) => rising(sample)));
}
