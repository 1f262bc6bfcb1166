/** Sessions whose bytes are their own. */
import type { Chunk } from '../connections/account.ts';
import type { OutboundTalk, Session, Talk } from '../sessions/session.ts';

/** A copy that owns its bytes, so that keeping it keeps, and posting it copies, these and not the blocks they were read in. */
export function owned(session: Session): Session {
  const chunks = <C extends Chunk>(list: readonly C[]): C[] => list.map((chunk) => ('bytes' in chunk ? { ...chunk, bytes: new Uint8Array(chunk.bytes) } : chunk));
  const talk = <T extends Talk | OutboundTalk>(one: T): T => ({ ...one, request: chunks(one.request), response: chunks(one.response) });
  return {
    ...session, inbound: talk(session.inbound), outbound: session.outbound.map(talk),
    prologues: session.prologues.map((prologue) => ({ ...prologue, chunks: chunks(prologue.chunks) })),
  };
}
