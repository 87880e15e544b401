/*
 * Looks at the guard for whoever asks. Those who ask at nearly the same time share one look and its text, so that a thousand scrapes a
 * second cost what some twenty do.
 */
import type { RegistryContentType } from 'prom-client';
import { type Look, look } from '../observe/look.js';
import { exposition } from './exposition.js';

/** A scrape may be so old. The guard itself looks every second where memory is plenty. */
const SHARED_MS = 50;

export class Observer {
  private last: Look | null = null;
  private texts = new Map<RegistryContentType, Promise<string>>();
  private said = '';

  /** @param say  gets a line when the state page can be read no longer, or again */
  constructor(
    private readonly runtimeDir: string,
    private readonly procfs: string,
    private readonly say: (line: string) => void,
    private readonly monotonicMs: () => number = () => performance.now(),
  ) {}

  private takenMs = Number.NEGATIVE_INFINITY;

  look(): Look {
    const nowMs = this.monotonicMs();
    if (this.last !== null && nowMs - this.takenMs < SHARED_MS) return this.last;
    this.last = look(this.runtimeDir, this.procfs);
    this.takenMs = nowMs;
    this.texts = new Map();
    this.report(this.last);
    return this.last;
  }

  metrics(contentType: RegistryContentType): Promise<string> {
    const seen = this.look();
    const shared = this.texts.get(contentType) ?? exposition(seen, contentType);
    this.texts.set(contentType, shared);
    return shared;
  }

  /** Once for each news. */
  private report({ path, refused }: Look): void {
    const line = refused === null ? `the state page ${path} can be read` : `the state page ${path} ${refused.why}`;
    if (line === this.said) return;
    this.said = line;
    this.say(line);
  }
}
