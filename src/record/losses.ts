/** The kernel's loss counters, as events: what each cause lost since the last look. */
import type { Cause, LostEvent } from '../events/event.ts';
import { KERNEL_CAUSES } from '../events/layout.ts';
import { OFFSET_LOST_BYTES, OFFSET_LOST_EVENTS, SIZE_LOST } from '../kernel/layout.ts';
import type { BpfMap } from '../kernel/map.ts';
import { u32 } from '../kernel/map.ts';
import { MissedRuns } from '../kernel/missed.ts';
import type { Counted } from '../kernel/missed.ts';

export interface Loss {
  events: number;
  bytes: number;
}

export class LossCounters {
  readonly #map: BpfMap;
  readonly #skipped: MissedRuns | undefined;
  readonly #seen = new Map<number, Loss>();
  #missed = 0;

  /** `counted`: whose skipped runs are `probe-missed`; what they would have told shows elsewhere as a gap. */
  constructor(map: BpfMap, counted?: Counted) {
    this.#map = map;
    this.#skipped = counted && new MissedRuns(counted);
  }

  /** @param atUs the look's time, Unix µs */
  look(atUs: number): LostEvent[] {
    const found: LostEvent[] = [];
    const missed = this.#skipped?.count() ?? 0;
    if (missed > this.#missed) found.push(lostEvent(atUs, 'probe-missed', missed - this.#missed));
    this.#missed = missed;
    KERNEL_CAUSES.forEach((cause, index) => {
      const now = this.#read(index);
      const seen = this.#seen.get(index) ?? { events: 0, bytes: 0 };
      if (now.events === seen.events && now.bytes === seen.bytes) return;
      this.#seen.set(index, now);
      found.push(lostEvent(atUs, cause as Cause, now.events - seen.events, now.bytes - seen.bytes));
    });
    return found;
  }

  #read(cause: number): Loss {
    const value = this.#map.get(u32(cause));
    const sum = { events: 0, bytes: 0 };
    if (value === undefined) return sum;
    const view = new DataView(value.buffer);
    for (let at = 0; at < value.length; at += SIZE_LOST) {
      sum.events += Number(view.getBigUint64(at + OFFSET_LOST_EVENTS, true));
      sum.bytes += Number(view.getBigUint64(at + OFFSET_LOST_BYTES, true));
    }
    return sum;
  }
}

/** @param atUs when it was found, Unix µs */
export function lostEvent(atUs: number, cause: Cause, events: number, bytes = 0): LostEvent {
  return { kind: 'lost', atUs, tgid: 0, tid: 0, context: 0, snapshot: false, cause, events, bytes };
}
