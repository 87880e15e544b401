import { describe, expect, it } from 'vitest';
import { prefersOpenMetrics } from '../../../src/exporter/accept.js';

describe('OpenMetrics', () => {
  it.each([
    // Prometheus 2.42, and 3.
    [
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      true,
    ],
    [
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1',
      true,
    ],
    ['application/openmetrics-text', true],
    ['Application/OpenMetrics-Text; Version="1.0.0"', true],
    ['text/plain;q=0.5, application/openmetrics-text;q=0.5', true],
    ['application/openmetrics-text;version=0.0.1', false],
    ['application/openmetrics-text;version=2.0.0', false],
    ['application/openmetrics-text;q=0', false],
    ['application/openmetrics-text;q=nonsense', false],
    ['application/openmetrics-text;q=0.3, text/plain', false],
    ['text/html,application/xhtml+xml,*/*;q=0.8', false],
    ['*/*', false],
    [';;;,,,;q=', false],
    ['', false],
    [undefined, false],
  ])('%s: %s', (accept, wanted) => {
    expect(prefersOpenMetrics(accept)).toBe(wanted);
  });
});
