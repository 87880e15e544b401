/* An incident record, as the guard writes them. */
import type { IncidentRecord } from '../../../src/shared/incident.js';

const GIB = 1024 * 1024;
const MIB = 1024;

export function anIncident(changes: Partial<IncidentRecord> = {}): IncidentRecord {
  return {
    schema: 1,
    kind: 'incident',
    id: '20261121T184200Z-0001',
    atUnixMs: Date.UTC(2026, 10, 21, 18, 42, 0, 123),
    version: '0.1.0',
    persona: 'oom-backstop',
    outcome: 'exited',
    errno: null,
    why: {
      by: 'limits',
      rule: null,
      level: 'term',
      limits: { memTermPercent: 5, memKillPercent: 3, swapTermPercent: 100, swapKillPercent: 100 },
    },
    ranking: 'oom_score',
    floorKib: 4096,
    killGroup: false,
    before: {
      memTotalKib: 16 * GIB,
      memAvailableKib: 700 * MIB,
      anonPagesKib: 14 * GIB,
      swapTotalKib: 0,
      swapFreeKib: 0,
    },
    after: { memTotalKib: 16 * GIB, memAvailableKib: 6 * GIB, anonPagesKib: 9 * GIB, swapTotalKib: 0, swapFreeKib: 0 },
    pressure: { some: { avg10: 12.5, avg60: 3, totalMs: 99 }, full: { avg10: 1, avg60: 0.5, totalMs: 9 } },
    victim: {
      pid: 4711,
      startTimeTicks: 1,
      uid: 1000,
      name: 'hog',
      cmdline: 'hog --eat all',
      rssKib: 5 * GIB + MIB,
      anonKib: 5 * GIB,
      swapKib: 0,
      oomScore: 900,
      oomScoreAdj: 0,
      score: 900,
    },
    candidates: [
      {
        pid: 4711,
        name: 'hog',
        score: 900,
        oomScore: 900,
        oomScoreAdj: 0,
        rssKib: 5 * GIB,
        anonKib: 5 * GIB,
        passedOver: null,
      },
      {
        pid: 12,
        name: 'small',
        score: 700,
        oomScore: 700,
        oomScoreAdj: 0,
        rssKib: MIB,
        anonKib: MIB,
        passedOver: null,
      },
    ],
    expectedKib: 5 * GIB,
    gaveBackKib: 5 * GIB - MIB,
    timelineUs: {
      selected: 520,
      hookStarted: null,
      hookEnded: null,
      sigterm: 668,
      sigkill: null,
      mrelease: null,
      exited: 15_671,
      memoryBack: 15_794,
    },
    ...changes,
  };
}
