/** What the recorder's main thread and its ring worker share: a command word, and counters that only the worker writes. */

/** Index into the command words. */
export const COMMAND = 0;
/** Index into the command words: it moves when somebody waits for what is in the ring. */
export const HURRY = 1;
export const RUN = 0;
/** Read what is in the ring, write the end, stop. */
export const DRAIN = 1;
/** Stop at once: the recording ends with the last whole block. */
export const ABANDON = 2;

export const COUNTERS = {
  /** Payload bytes recorded. */
  bytes: 0,
  events: 1,
  /** Connections opened so far. */
  connections: 2,
  openConnections: 3,
  bytesWritten: 4,
  segments: 5,
  droppedSegments: 6,
  /** Fullest the ring was, in bytes. */
  ringPeak: 7,
  lostBytes: 8,
  lostEvents: 9,
  /** Processes that a filter chose in the midst of their life: when it moves, the main thread looks for what is older. */
  newcomers: 10,
} as const;

export interface Shared {
  readonly command: Int32Array;
  readonly counters: Float64Array;
  readonly buffer: SharedArrayBuffer;
}

const COMMAND_BYTES = 8;

export function makeShared(buffer = new SharedArrayBuffer(COMMAND_BYTES + 16 * 8)): Shared {
  return { buffer, command: new Int32Array(buffer, 0, 2), counters: new Float64Array(buffer, COMMAND_BYTES) };
}
