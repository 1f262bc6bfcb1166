/** Cuts what a live client sends into requests: by its protocol's framing where that is sure, else by whoever asks (`take`). */
import type { Frame, Framer } from '../protocols/protocol.ts';

export interface Cut {
  readonly request: Uint8Array;
  /** Stream position of its first byte. */
  readonly from: number;
  /** No answer is expected. */
  readonly oneway: boolean;
  /** Only sets the connection up. */
  readonly setup: boolean;
}

export class RequestCutter {
  readonly #framer: Framer | undefined;
  /** Stream position of offset 0. */
  readonly #base: number;
  /** Client bytes from stream offset `#taken` on. */
  #parts: Uint8Array[] = [];
  #taken = 0;
  #pushed = 0;

  /** `base`: bytes that the client had sent before those that are pushed here. */
  constructor(framer: Framer | undefined, base = 0) {
    this.#framer = framer;
    this.#base = base;
  }

  /** Whether framing decides where requests end. */
  get sure(): boolean {
    return this.#framer?.sure === true;
  }

  get pendingBytes(): number {
    return this.#pushed - this.#taken;
  }

  /** Stream position of the first byte that belongs to no cut request yet. */
  get position(): number {
    return this.#base + this.#taken;
  }

  /** The client's bytes that belong to no cut request yet. */
  pending(): Uint8Array {
    if (this.#parts.length > 1) this.#parts = [Buffer.concat(this.#parts)];
    return this.#parts[0] ?? new Uint8Array(0);
  }

  /** Takes more of the client's bytes (kept: the caller must not reuse them); returns the requests that are whole now. */
  push(bytes: Uint8Array): Cut[] {
    this.#parts.push(bytes);
    this.#pushed += bytes.length;
    return this.#cut((frames) => this.#framer?.push('client', bytes, frames));
  }

  /** The client sends no more. */
  end(): Cut[] {
    return this.#cut((frames) => this.#framer?.end('client', frames));
  }

  /** Tells the framing what the server answered. */
  answered(bytes: Uint8Array): void {
    this.#framer?.push('server', bytes, []);
  }

  /** Everything pending, or its first `length` bytes, as one request. */
  take(length = this.pendingBytes): Cut {
    const pending = this.pending();
    const from = this.position;
    this.#parts = length < pending.length ? [pending.subarray(length)] : [];
    this.#taken += length;
    return { request: pending.subarray(0, length), from, oneway: false, setup: false };
  }

  #cut(run: (frames: Frame[]) => void): Cut[] {
    const frames: Frame[] = [];
    run(frames);
    return frames.flatMap((frame) => {
      // What was taken before its frame was whole is not cut again.
      if (frame.side !== 'client' || frame.end <= this.#taken) return [];
      const { request, from } = this.take(frame.end - this.#taken);
      return [{ request, from, oneway: frame.role === 'oneway', setup: frame.setup === true }];
    });
  }
}
