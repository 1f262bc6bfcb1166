/** The kernel's loss counters, as events: what each cause lost since the last look. */
import type { Cause, LostEvent } from '../events/event.ts';
import { KERNEL_CAUSES } from '../events/layout.ts';
import { CpuCounts } from '../kernel/cpu-counts.ts';
import { OFFSET_CPU_LOSSES_OF, OFFSET_LOST_BYTES, OFFSET_LOST_EVENTS, SIZE_CPU_LOSSES, SIZE_LOST } from '../kernel/layout.ts';
import { MissedRuns } from '../kernel/missed.ts';
import type { Counted } from '../kernel/missed.ts';

export interface Loss {
  events: number;
  bytes: number;
}

export class LossCounters {
  readonly #counts: CpuCounts;
  readonly #skipped: MissedRuns | undefined;
  readonly #seen = new Map<number, Loss>();
  #missed = 0;

  /** `counted`: whose skipped runs are `probe-missed`; what they would have told shows elsewhere as a gap. */
  constructor(counts: CpuCounts, counted?: Counted) {
    this.#counts = counts;
    this.#skipped = counted && new MissedRuns(counted);
  }

  /** Those of the map `losses`. Throws EnvironmentError. */
  static of(lossesFd: number, cpus: number, counted?: Counted): LossCounters {
    return new LossCounters(CpuCounts.of(lossesFd, 'losses', SIZE_CPU_LOSSES, cpus), counted);
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

  close(): void {
    this.#counts.close();
    this.#skipped?.close();
  }

  #read(cause: number): Loss {
    const at = OFFSET_CPU_LOSSES_OF + cause * SIZE_LOST;
    return { events: this.#counts.sum(at + OFFSET_LOST_EVENTS), bytes: this.#counts.sum(at + OFFSET_LOST_BYTES) };
  }
}

/** @param atUs when it was found, Unix µs */
export function lostEvent(atUs: number, cause: Cause, events: number, bytes = 0): LostEvent {
  return { kind: 'lost', atUs, tgid: 0, tid: 0, context: 0, snapshot: false, cause, events, bytes };
}
