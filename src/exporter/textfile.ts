/*
 * The metrics as a file for node_exporter's textfile collector: written beside PATH under a name that the collector passes over, then
 * renamed, so that nobody ever reads half of it. What fails is said once and tried again.
 */
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

const MODE = 0o644;

export class Textfile {
  private readonly temporary: string;
  private timer: NodeJS.Timeout | null = null;
  private writing: Promise<void> = Promise.resolve();
  private ended = false;
  private failed = false;
  private wrote = false;

  /** @param say  gets a line when it can be written no longer, or again */
  constructor(
    private readonly file: string,
    private readonly intervalMs: number,
    private readonly content: () => Promise<string>,
    private readonly say: (line: string) => void,
  ) {
    // Not *.prom: that is what the collector reads.
    this.temporary = path.join(path.dirname(file), `.${path.basename(file)}.tmp`);
  }

  /** Writes it now, and then at every interval, counted from the end of the last write. */
  start(): void {
    if (this.ended) return;
    this.writing = this.write().then(() => {
      if (!this.ended) this.timer = setTimeout(() => this.start(), this.intervalMs);
    });
  }

  /** Takes the file away: what it says would stay true for ever. */
  async end(): Promise<void> {
    this.ended = true;
    if (this.timer !== null) clearTimeout(this.timer);
    await this.writing;
    if (this.wrote) await rm(this.file, { force: true }).catch(() => undefined);
  }

  private async write(): Promise<void> {
    try {
      await replace(this.file, this.temporary, await this.content());
      this.wrote = true;
      if (this.failed) this.say(`--textfile ${this.file} can be written again`);
      this.failed = false;
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException;
      if (!this.failed)
        this.say(`--textfile ${this.file} cannot be written (${code}), trying again every ${this.intervalMs / 1000} s`);
      this.failed = true;
    }
  }
}

async function replace(file: string, temporary: string, content: string): Promise<void> {
  // One of before, or what somebody else has put there: a link must not be followed.
  await rm(temporary, { force: true });
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const handle = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, MODE);
  try {
    try {
      await handle.writeFile(content);
      // Whatever the umask: node_exporter is another user.
      await handle.chmod(MODE);
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}
