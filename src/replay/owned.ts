/** Sessions whose bytes are their own. */
import type { Chunk } from '../connections/account.ts';
import type { Session, Talk } from '../sessions/session.ts';
import { lengthOf } from './calls.ts';
import { withoutDatagramBytes } from './sent-datagrams.ts';

/** Copies into one buffer: one for each chunk costs a few hundred bytes apiece, which for most is more than what is in it. */
class Copies {
  readonly #bytes: Uint8Array;
  #used = 0;

  constructor(size: number) {
    this.#bytes = new Uint8Array(size);
  }

  of<C extends Chunk>(list: readonly C[]): C[] {
    return list.map((chunk) => ('bytes' in chunk ? { ...chunk, bytes: this.#add(chunk.bytes) } : chunk));
  }

  talk<T extends Talk>(one: T): T {
    return { ...one, request: this.of(one.request), response: this.of(one.response) };
  }

  #add(bytes: Uint8Array): Uint8Array {
    const copy = this.#bytes.subarray(this.#used, this.#used + bytes.length);
    copy.set(bytes);
    this.#used += bytes.length;
    return copy;
  }
}

const sizeOfTalk = ({ request, response }: Talk): number => lengthOf(request) + lengthOf(response);

/** The same of one talk. */
export const ownedTalk = <T extends Talk>(one: T): T => new Copies(sizeOfTalk(one)).talk(one);

/** A copy that owns its bytes, so that keeping it keeps, and posting it copies, these and not the blocks they were read in. */
export function owned(session: Session): Session {
  const { inbound, outbound, prologues } = session;
  const copies = new Copies([inbound, ...outbound].reduce((sum, talk) => sum + sizeOfTalk(talk), 0) + prologues.reduce((sum, { chunks }) => sum + lengthOf(chunks), 0));
  return {
    ...withoutDatagramBytes(session), inbound: copies.talk(inbound), outbound: outbound.map((talk) => copies.talk(talk)),
    prologues: prologues.map((prologue) => ({ ...prologue, chunks: copies.of(prologue.chunks) })),
  };
}
