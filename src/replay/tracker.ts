/**
 * Whose call is it? The service's system calls, as the kernel's probes see them, go through the same derivation as when
 * recording; at each call that reaches the proxy it is asked early. The ring is read by the proxy's own thread: a probe has
 * written its event before the bytes it tells of are sent, so it is there when they have arrived.
 */
import { formatAddress } from '../bytes/address.ts';
import type { Event } from '../events/event.ts';
import { OFFSET_SAMPLE_AT_NS } from '../events/layout.ts';
import { readU64, sampleToEvent } from '../events/sample.ts';
import { LossCounters } from '../record/losses.ts';
import type { Probes } from '../kernel/probes.ts';
import { possibleCpus } from '../kernel/probes.ts';
import { RingReader } from '../kernel/ring.ts';
import { Derivation } from '../sessions/derivation.ts';
import type { Owner } from '../sessions/owner.ts';

/** What the tracker's thread needs of the probes, which another thread loaded. */
export interface TrackerSource {
  readonly ringFd: number;
  readonly ringBytes: number;
  readonly lossesFd: number;
  readonly cpus: number;
}

/** Bytes of a message that are looked at: enough to frame it by. */
export const TRACKED_MESSAGE_BYTES = 64 << 10;
export const TRACKER_RING_BYTES = 16 << 20;
/** Bytes kept of each talk. */
const MAX_TALK_BYTES = 4_096;
/** An event that is being written while its bytes are read is there soon, or was lost. */
const WAIT_MS = 1;
/** After so many events that never came, nobody waits any more. */
const MAX_WAITS = 100;
const LOOK_FOR_LOSSES_MS = 250;

export function trackerSource(probes: Probes): TrackerSource {
  return { ringFd: probes.ringFd, ringBytes: probes.ringBytes, lossesFd: probes.lossesFd, cpus: possibleCpus() };
}

/** Connections of the service by their two ends, and what the derivation makes of them. No ring here: events and a clock. */
export class Attribution {
  readonly #derivation = new Derivation({ recordingId: 'replay', maxTalkBytes: MAX_TALK_BYTES });
  /** Connection number by "local remote". */
  readonly #outbound = new Map<string, number>();
  readonly #ends = new Map<number, string>();

  push(event: Event): void {
    if (event.kind === 'open' && event.learnt !== 'accept') {
      const ends = endsOf(formatAddress(event.local), formatAddress(event.remote));
      this.#outbound.set(ends, event.connection);
      this.#ends.set(event.connection, ends);
    } else if (event.kind === 'close' && (event.phase === 'done' || event.phase === 'failed')) this.#forget(event.connection);
    this.#derivation.push(event);
  }

  /** As `Derivation.ownerOf`, for the connection from `local` to `remote`, both of the service's own view. */
  ownerOf(local: string, remote: string, position: number): Owner | 'unseen' | undefined {
    const connection = this.#outbound.get(endsOf(local, remote));
    return connection === undefined ? 'unseen' : this.#derivation.ownerOf(connection, position);
  }

  #forget(connection: number): void {
    const ends = this.#ends.get(connection);
    if (ends === undefined) return;
    this.#ends.delete(connection);
    if (this.#outbound.get(ends) === connection) this.#outbound.delete(ends);
  }
}

const endsOf = (local: string, remote: string): string => `${local} ${remote}`;

/** A process of the service runs another program, or (`parent`: whose) begins: who loaded the probes is to look at it. */
type OnProcess = (tgid: number, parent?: number) => void;

export class Tracker {
  readonly #ring: RingReader;
  readonly #losses: LossCounters;
  readonly #attribution = new Attribution();
  readonly #onProcess: OnProcess;
  #lookedMs = 0;
  #waits = 0;

  constructor(source: TrackerSource, onProcess: OnProcess) {
    this.#onProcess = onProcess;
    this.#ring = new RingReader(source.ringFd, source.ringBytes);
    this.#losses = LossCounters.of(source.lossesFd, source.cpus);
  }

  /** Takes in what has happened. To be called now and then too, so that the ring does not fill. */
  follow(): void {
    const ring = this.#ring;
    if (ring.waiting > 0) {
      ring.drain((offset) => {
        // Of the monotonic clock, as `process.hrtime`.
        const event = sampleToEvent(ring.bytes, ring.view, offset, readU64(ring.view, offset + OFFSET_SAMPLE_AT_NS) / 1000);
        if (event === undefined) return;
        if (event.kind === 'process' && event.what === 'exec') this.#onProcess(event.tgid);
        if (event.kind === 'process' && event.what === 'fork') this.#onProcess(event.childTgid, event.tgid);
        this.#attribution.push(event);
      }, ring.size);
    }
    const nowMs = performance.now();
    if (nowMs - this.#lookedMs < LOOK_FOR_LOSSES_MS) return;
    this.#lookedMs = nowMs;
    for (const lost of this.#losses.look(Number(process.hrtime.bigint() / 1000n))) this.#attribution.push(lost);
  }

  /** Whose call begins at `position` of the connection from `local` to `remote`; undefined: nobody can tell. */
  ownerOf(local: string, remote: string, position: number): Owner | undefined {
    this.follow();
    let owner = this.#attribution.ownerOf(local, remote, position);
    if (owner === 'unseen' && this.#waits < MAX_WAITS) {
      this.#waits += 1;
      const until = performance.now() + WAIT_MS;
      while (owner === 'unseen' && performance.now() < until) {
        this.follow();
        owner = this.#attribution.ownerOf(local, remote, position);
      }
      if (owner !== 'unseen') this.#waits -= 1;
    }
    return owner === 'unseen' ? undefined : owner;
  }

  close(): void {
    this.#ring.close();
    this.#losses.close();
  }
}
