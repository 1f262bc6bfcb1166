/** In words, why a session is complete or not. The kinds: docs/derivation.md. */
import type { Certificate, LostBytes, Unseen } from '../sessions/session.ts';
import { counted, oneLine, size } from './text.ts';

export interface Reason {
  readonly kind: string;
  readonly words: string;
}

export const lostWords = ({ bytes, connection, direction, from, cause }: LostBytes): string =>
  `${size(bytes)} of connection ${connection} ${direction} @${from} are missing: ${cause}`;

/** One line an item; never empty. */
export function certificateReasons({ state, lost, unseen }: Certificate): Reason[] {
  const reasons = [
    ...(state === 'open' ? [{ kind: 'open', words: 'the recording ended before the session did, or nobody can say that it had ended' }] : []),
    ...lost.map((one) => ({ kind: 'bytes', words: lostWords(one) })),
    ...unseen.map((one) => ({ kind: one.kind, words: unseenWords(one) })),
  ];
  return reasons.length > 0 ? reasons : [
    { kind: 'bytes', words: 'no byte of its talks and of its connections\' set-up is missing' },
    { kind: 'unseen', words: 'every call that its process made up to its answer is tied to a session, and nothing else was out of sight: no TLS, no datagrams but DNS and those that it sent itself, no loss, no pause' },
  ];
}

export function unseenWords({ kind, count, detail }: Unseen): string {
  const of = detail === undefined || detail === '' ? '' : ` (${oneLine(detail)})`;
  const connections = counted(count, 'connection');
  switch (kind) {
    case 'tls': return `${connections} of it spoke TLS, whose plain text was not seen${of}`;
    case 'http2': return `${connections} of it spoke HTTP/2 that could not be cut into its streams, or whose header fields could not be read${of}`;
    case 'udp': return `its process received ${counted(count, 'datagram')} before it had answered: whose they were is not known${of}`;
    case 'udp-sent': return `its process sent ${counted(count, 'datagram')} before it had answered of which only the beginning was kept, or of which nobody knows whose they were${of}`;
    case 'quic': return `its process sent or received ${counted(count, 'QUIC datagram')} before it had answered: whose they were is not known${of}`;
    case 'helper': return `its process sent ${counted(count, 'helper datagram')} before it had answered that had no effect${of}: what they meant to say is not known`;
    case 'unattributed': return `${counted(count, 'call')} that its process made before it had answered ${count === 1 ? 'is' : 'are'} tied to no session, or to more than one: ${count === 1 ? 'it' : 'they'} may have been this one's`;
    case 'seen-late': return `the recorder met ${connections} of it in mid-stream, where what came before matters${of}`;
    case 'unframed': return `on ${connections} of it nobody can say for sure where its talk begins or ends${of}`;
    case 'lost': return `${counted(count, 'event')} ${count === 1 ? 'was' : 'were'} lost while it was open, and may have been of it`;
    case 'pause': return 'the recorder was away while it was open';
    case 'unsettled': return `it was given out before ${connections} of it proved that all was sent: too many sessions waited${of}`;
    default: return `out of sight: ${count} ${kind}${of}`;
  }
}
