/* A log that keeps its lines instead of writing them. */
import { Line } from '../../src/report/line.js';
import type { LineKind, Log } from '../../src/report/log.js';

export interface RecordingLog {
  log: Log;
  /** `kind: text` of each line. */
  lines: string[];
}

export function recordingLog(): RecordingLog {
  const lines: string[] = [];
  const line = new Line();
  let kind: LineKind = 'start';
  const log: Pick<Log, 'begin' | 'end' | 'say' | 'useSyslog' | 'debugEnabled'> = {
    debugEnabled: false,
    begin(newKind) {
      kind = newKind;
      return line.clear();
    },
    end() {
      lines.push(`${kind}: ${line.bytes.toString('utf8', 0, line.length)}`);
    },
    say(newKind, text) {
      this.begin(newKind).text(text);
      this.end();
    },
    useSyslog(path) {
      lines.push(`syslog at ${path}`);
    },
  };
  return { log: log as Log, lines };
}
