/* A log that keeps its lines, and what they say in fields, instead of writing them. */
import { Fields } from '../../src/report/json-log.js';
import { Line } from '../../src/report/line.js';
import type { LineKind, Log } from '../../src/report/log.js';

export interface RecordingLog {
  log: Log;
  /** `kind: text` of each line. */
  lines: string[];
  /** The topic and the fields of each line that has them. */
  fields: Record<string, unknown>[];
}

export function recordingLog(): RecordingLog {
  const lines: string[] = [];
  const fields: Record<string, unknown>[] = [];
  const line = new Line();
  const said = new Fields(true);
  let kind: LineKind = 'start';
  const log: Pick<Log, 'begin' | 'about' | 'end' | 'event' | 'say' | 'useSyslog' | 'debugEnabled' | 'isJson'> = {
    debugEnabled: false,
    isJson: true,
    begin(newKind) {
      kind = newKind;
      said.clear();
      return line.clear();
    },
    about(topic) {
      return said.topic(topic);
    },
    end() {
      lines.push(`${kind}: ${line.bytes.toString('utf8', 0, line.length)}`);
      const { bytes, length } = said.line;
      if (length > 0) fields.push(JSON.parse(`{${bytes.toString('utf8', 0, length)}}`));
    },
    event() {},
    say(newKind, text) {
      this.begin(newKind).text(text);
      this.end();
    },
    useSyslog(path) {
      lines.push(`syslog at ${path}`);
    },
  };
  return { log: log as Log, lines, fields };
}
