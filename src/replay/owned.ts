/** Sessions whose bytes are their own. */
import type { Chunk } from '../connections/account.ts';
import type { Session, Talk } from '../sessions/session.ts';

const chunks = <C extends Chunk>(list: readonly C[]): C[] => list.map((chunk) => ('bytes' in chunk ? { ...chunk, bytes: new Uint8Array(chunk.bytes) } : chunk));

/** The same of one talk. */
export const ownedTalk = <T extends Talk>(one: T): T => ({ ...one, request: chunks(one.request), response: chunks(one.response) });

/** A copy that owns its bytes, so that keeping it keeps, and posting it copies, these and not the blocks they were read in. */
export function owned(session: Session): Session {
  return {
    ...session, inbound: ownedTalk(session.inbound), outbound: session.outbound.map(ownedTalk),
    prologues: session.prologues.map((prologue) => ({ ...prologue, chunks: chunks(prologue.chunks) })),
  };
}
