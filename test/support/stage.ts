/* Live fire, step by step: a real guard in a PID namespace that does what it is told, while the test looks at it from outside. */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { HogOptions } from './namespace.js';

type Step =
  /** LIMITS in an argument becomes the -M value of limits `headroomMib` below what is available. */
  | { do: 'start'; program: string; args: string[]; headroomMib: number }
  | { do: 'stop' }
  | { do: 'signal'; signal: NodeJS.Signals }
  | { do: 'balloon'; hog: HogOptions }
  | { do: 'look' };

export interface Balloon {
  pid: number;
  events: { event: string }[];
  exit: { code: number | null; signal: string | null } | null;
}

export interface GuardSeen {
  /** "FD TARGET" of each. */
  openFiles: string[];
  /** All that it has said, on both streams, since it was started. */
  said: string;
}

const UNSHARE = ['--pid', '--fork', '--mount-proc', '--kill-child'];

export class Stage {
  private readonly child: ChildProcess;
  private readonly answers: AsyncIterator<string>;

  constructor() {
    const program = [process.execPath, path.join(import.meta.dirname, 'stage.mjs')];
    this.child = spawn('unshare', [...UNSHARE, ...program], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines: Interface = createInterface({ input: this.child.stdout as NodeJS.ReadableStream });
    this.answers = lines[Symbol.asyncIterator]();
  }

  start(program: string, args: string[], headroomMib: number): Promise<{ pid: number }> {
    return this.step({ do: 'start', program, args, headroomMib });
  }

  /** By SIGTERM; how it ended. */
  stop(): Promise<{ code: number | null; signal: string | null }> {
    return this.step({ do: 'stop' });
  }

  signal(signal: NodeJS.Signals): Promise<{ sent: boolean }> {
    return this.step({ do: 'signal', signal });
  }

  balloon(hog: HogOptions): Promise<Balloon> {
    return this.step({ do: 'balloon', hog });
  }

  look(): Promise<GuardSeen> {
    return this.step({ do: 'look' });
  }

  /** Ends all that is in it. */
  async end(): Promise<void> {
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.stdin?.end();
    await gone;
  }

  private async step<Answer>(step: Step): Promise<Answer> {
    this.child.stdin?.write(`${JSON.stringify(step)}\n`);
    const { value, done } = await this.answers.next();
    if (done === true) throw new Error(`the stage ended before ${step.do}`);
    const answer = JSON.parse(value) as Answer & { error?: string };
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }
}
