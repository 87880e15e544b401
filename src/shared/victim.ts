/* The process that was chosen, with what the log and the hooks say of it: copied once, since its row is overwritten by the next scan. */

/** Bytes kept of the arguments: as many as earlyoom hands to its hooks. */
export const CMDLINE_BYTES_MAX = 256;

export interface Victim {
  pid: number;
  startTimeTicks: number;
  /** Effective uid, or -1 if it could not be read. */
  uid: number;
  oomScore: number;
  oomScoreAdj: number;
  rssKib: number;
  /** Of it, what a kill gives back; -1 if it could not be read. */
  anonKib: number;
  /** The comm, `nameLength` bytes of it. */
  readonly name: Uint8Array;
  nameLength: number;
  /** The arguments joined by spaces, `cmdlineLength` bytes. */
  readonly cmdline: Uint8Array;
  cmdlineLength: number;
}

/** Not an integer: what is put there comes out of columns of floats, and an integer's field that gets a float makes V8 throw away the code that knew it. */
const A_FLOAT = 0.5;

export function emptyVictim(): Victim {
  return {
    pid: 0,
    startTimeTicks: A_FLOAT,
    uid: 0,
    oomScore: 0,
    oomScoreAdj: 0,
    rssKib: A_FLOAT,
    anonKib: A_FLOAT,
    name: new Uint8Array(16),
    nameLength: 0,
    cmdline: new Uint8Array(CMDLINE_BYTES_MAX),
    cmdlineLength: 0,
  };
}
