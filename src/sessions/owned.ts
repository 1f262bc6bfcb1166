/** What is still open, copied out of the blocks of the recording in which it lies: a few bytes would keep a whole block in memory. */
import type { Connection } from '../connections/connection.ts';
import { ownAppends } from './appends.ts';
import { ownDatagrams } from './datagrams.ts';
import type { OpenSession } from './open-session.ts';
import { cutterOf } from './served.ts';
import type { Spoken } from './spoken.ts';

export function ownOpen(connections: Iterable<Connection>, sessions: Iterable<OpenSession>): void {
  for (const connection of connections) {
    connection.egress.own(owned);
    connection.ingress.own(owned);
    cutterOf(connection).own(owned, isGone);
  }
  for (const session of sessions) {
    session.told = session.told?.map((told) => ({ ...told, bytes: owned(told.bytes) }));
    ownDatagrams(session, owned);
    ownAppends(session, owned);
    for (const talk of [session.talk, ...session.calls]) {
      talk.request.own(owned);
      talk.response.own(owned);
    }
  }
}

function isGone(talk: Spoken): boolean {
  return (talk.session ?? talk.tie?.job)?.gone ?? talk.over;
}

/** A copy, unless the bytes fill most of their buffer already. */
function owned(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength <= 2 * bytes.byteLength ? bytes : bytes.slice();
}
