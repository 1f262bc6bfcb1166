/** What a list shows of a session: the line that its protocol makes of it, and whether TLS was in the way. */
import { protocolNamed } from '../protocols/index.ts';
import type { Summary } from '../protocols/protocol.ts';
import type { Session } from '../sessions/session.ts';
import type { Talk } from '../talks/talk.ts';

/** A summary looks at the beginning only. */
const MAX_SUMMARY_BYTES = 64 * 1024;

/** The bytes of chunks up to the first hole. */
function beginning(chunks: Talk['request']): Uint8Array {
  const parts: Uint8Array[] = [];
  let size = 0;
  for (const chunk of chunks) {
    if (!('bytes' in chunk) || size >= MAX_SUMMARY_BYTES) break;
    parts.push(chunk.bytes);
    size += chunk.bytes.length;
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

export function summariseTalk(talk: Talk): Summary {
  return protocolNamed(talk.connection.protocol).summarise(beginning(talk.request), beginning(talk.response), talk.fields);
}

/** TLS inside: its plain text was out of sight, so the session can't be replayed. */
export function hasTls(session: Session): boolean {
  return session.inbound.connection.protocol === 'tls' || session.outbound.some((talk) => talk.connection.protocol === 'tls') ||
    session.certificate.unseen.some((unseen) => unseen.kind === 'tls');
}
