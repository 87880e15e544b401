/* The exit codes (documented in the README and the man pages; earlyoom's where it has one) and the error that carries one. */

export const EXIT_OK = 0;
/** Something that has no code of its own; the message says what. */
export const EXIT_OTHER = 1;
/** The procfs directory can't be entered. */
export const EXIT_PROC_DIRECTORY = 4;
/** The procfs directory can't be listed. */
export const EXIT_PROC_OPEN = 5;
/** A regular expression does not compile. */
export const EXIT_REGEX = 6;
/** An unknown option, or an argument that is none. */
export const EXIT_USAGE = 13;
/** A wrong value for any other option. */
export const EXIT_PARAMETER = 14;
/** A wrong memory limit. */
export const EXIT_MEM_LIMIT = 15;
/** A wrong swap limit. */
export const EXIT_SWAP_LIMIT = 16;
/** What was asked for is taken or not there: the exporter's address. EX_UNAVAILABLE of sysexits.h, which is none of earlyoom's. */
export const EXIT_UNAVAILABLE = 69;
/** The configuration file: what can't be read, and whatever is wrong in it. EX_CONFIG of sysexits.h, which is none of earlyoom's. */
export const EXIT_CONFIG = 78;
export const EXIT_MEMINFO_OPEN = 102;
export const EXIT_MEMINFO_READ = 103;
/** /proc/meminfo lacks an entry. */
export const EXIT_MEMINFO_ENTRY = 104;
/** An entry of /proc/meminfo has no number. */
export const EXIT_MEMINFO_NUMBER = 105;

/** Ends the program before anything was touched: each of `messages` after "fatal: " (none for an empty one), and the exit code. */
export class FatalError extends Error {
  override readonly name = 'FatalError';
  readonly messages: readonly string[];

  constructor(
    readonly exitCode: number,
    ...messages: string[]
  ) {
    super(messages.join('\n'));
    this.messages = messages.filter((message) => message !== '');
  }
}

/** Whether it is a FatalError, of this bundle or of another one (src/cli/command-line.ts), which has a class of its own. */
export function isFatal(error: unknown): error is FatalError {
  return error instanceof Error && error.name === 'FatalError';
}
