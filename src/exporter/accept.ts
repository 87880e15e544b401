/* Which of the two formats a scraper asks for (RFC 9110, 12.5.1, as far as there are two). Pure. */

/** A header that is longer names more types than anybody has. */
const TYPES_MAX = 32;

/** Whether OpenMetrics 1.0.0 is asked for, and not less than Prometheus's text. */
export function prefersOpenMetrics(accept: string | undefined): boolean {
  let openMetrics = 0;
  let text = 0;
  for (const each of (accept ?? '').split(',', TYPES_MAX)) {
    const [type = '', ...parameters] = each.split(';').map((part) => part.trim().toLowerCase());
    const q = qualityOf(parameters);
    if (type === 'application/openmetrics-text' && isOurVersion(parameters)) openMetrics = Math.max(openMetrics, q);
    else if (type === 'text/plain' || type === 'text/*') text = Math.max(text, q);
  }
  return openMetrics > 0 && openMetrics >= text;
}

function isOurVersion(parameters: readonly string[]): boolean {
  const version = parameters.find((each) => each.startsWith('version='));
  return version === undefined || version.replaceAll('"', '') === 'version=1.0.0';
}

function qualityOf(parameters: readonly string[]): number {
  const q = parameters.find((each) => each.startsWith('q='));
  if (q === undefined) return 1;
  const value = Number(q.slice(2));
  return value >= 0 && value <= 1 ? value : 0;
}
