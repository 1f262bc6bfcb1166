/** When which bytes of an answer are said. Pure. */
import type { Chunk } from '../connections/account.ts';

export interface Pace {
  /** Times the recorded pauses; 0: at once. */
  readonly latency: number;
  /** What one system call moved is sent by one, and not run together with the next. */
  readonly chunks: boolean;
}

export const AT_ONCE: Pace = { latency: 0, chunks: false };

export interface Step {
  /** After the step before it, or after the request. */
  readonly afterMs: number;
  readonly bytes: Uint8Array;
}

/** Between chunks that are to be read one by one: longer than a reader that waits for one takes to come back. */
const APART_MS = 2;

export interface Recorded {
  readonly request: readonly Chunk[];
  readonly response: readonly Chunk[];
}

/**
 * `bytes`: the answer that is to be sent, mostly what was recorded; where it is not (the names of prepared statements), it goes
 * as one, at the moment of the recorded last byte.
 */
export function paced(bytes: Uint8Array, { request, response }: Recorded, { latency, chunks }: Pace): Step[] {
  const asked = request.at(-1)?.atUs ?? response[0]?.atUs ?? 0;
  const parts = response.flatMap((chunk) => ('bytes' in chunk ? [chunk] : []));
  const isRecorded = parts.reduce((sum, part) => sum + part.bytes.length, 0) === bytes.length;
  const last = parts.at(-1);
  const whole = { atUs: last?.atUs ?? asked, bytes };
  let before = asked;
  return (isRecorded && parts.length > 0 ? parts : [whole]).map((part, at) => {
    const pauseMs = (Math.max(0, part.atUs - before) / 1000) * latency;
    before = Math.max(before, part.atUs);
    return { afterMs: Math.max(pauseMs, chunks && at > 0 ? APART_MS : 0), bytes: part.bytes };
  });
}
