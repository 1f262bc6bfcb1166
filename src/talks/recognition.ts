/** What a connection said before its protocol was known. */
import type { Protocol, Side } from '../protocols/protocol.ts';

export type Recognise = (client: Uint8Array, server: Uint8Array, hint: { readonly serverPort: number }) => Protocol | 'more' | undefined;

/** What is looked at of each side, and how long an undecided connection is remembered. */
const maxLookedAt = 4096;
const maxUndecidedBytes = 65_536;
const maxUndecidedPieces = 256;
const NOTHING = new Uint8Array(0);

export interface LoggedPiece {
  readonly side: Side;
  readonly position: number;
  readonly length: number;
  readonly bytes: Uint8Array | undefined;
}

export class RecognitionLog {
  readonly pieces: LoggedPiece[] = [];
  readonly #recognise: Recognise;
  #bytes = 0;

  constructor(recognise: Recognise) {
    this.#recognise = recognise;
  }

  get empty(): boolean {
    return this.pieces.length === 0;
  }

  add(side: Side, position: number, length: number, bytes: Uint8Array | undefined): void {
    this.pieces.push({ side, position, length, bytes });
    this.#bytes += length;
  }

  /** Undefined: it is none that we know, or it took too long to tell. */
  recognise(serverPort: number): Protocol | 'more' | undefined {
    const found = this.#recognise(this.head('client'), this.head('server'), { serverPort });
    if (found !== 'more') return found;
    return this.#bytes > maxUndecidedBytes || this.pieces.length > maxUndecidedPieces ? undefined : 'more';
  }

  /** Its first bytes, up to the first hole. */
  head(side: Side): Uint8Array {
    let head: Uint8Array = NOTHING;
    for (const piece of this.pieces) {
      if (piece.side !== side) continue;
      if (piece.bytes === undefined || head.length >= maxLookedAt) break;
      head = head.length === 0 ? piece.bytes : joined(head, piece.bytes);
    }
    return head;
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
