/** Whether a block's events include what the recorder says of itself: that it lost something, or was away. Much quicker than reading them. */
import { unzigzag, VarintReader } from '../bytes/varint.ts';

const reader = new VarintReader();

/** First bytes of the tags of Event's `lost` and `pause` (recording.proto), and the highest tag of the fields that stand before them. */
const LOST = 0x8a;
const PAUSE = 0x92;
const LAST_OF_HEAD = 0x28;

export interface BlockReports {
  /** A loss or a pause is in it, or what can't be read. */
  readonly any: boolean;
  /** Nanoseconds after the block's base time: its last event. */
  readonly lastNs: number;
}

/** `bytes`: a block's payload, as `nextEvent` reads it. */
export function reportsIn(bytes: Uint8Array): BlockReports {
  let at = 0;
  let lastNs = 0;
  while (at < bytes.length) {
    reader.reset(bytes, at, bytes.length);
    const size = reader.unsigned();
    const end = reader.at + size;
    if (reader.failed || end > bytes.length) return { any: true, lastNs };
    lastNs = 0;
    while (reader.at < end) {
      const tag = bytes[reader.at] as number;
      if (tag === LOST || tag === PAUSE) return { any: true, lastNs };
      if (tag > LAST_OF_HEAD) break;
      reader.at += 1;
      const value = reader.unsigned();
      if (tag === 0x08) lastNs = unzigzag(value);
    }
    at = end;
  }
  return { any: false, lastNs };
}
