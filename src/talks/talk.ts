/** A talk, as the program holds it: one request and its response on one connection. */
import type { Chunk } from '../connections/account.ts';
import type { ShownConnection } from '../connections/connection.ts';
import type { Fields, ProtocolName } from '../protocols/protocol.ts';

export interface TalkConnection extends ShownConnection {
  readonly protocol: ProtocolName;
}

export interface TalkEnd {
  readonly kind: 'fin' | 'reset' | 'refused' | 'timeout' | 'unreachable' | 'failed' | 'exit';
  readonly by: 'local' | 'remote';
  readonly errno?: number;
}

/** One request and its response on one connection. For outbound talks `request` is egress, for inbound ingress. */
export interface Talk {
  readonly connection: TalkConnection;
  readonly request: readonly Chunk[];
  readonly response: readonly Chunk[];
  /** Where the bytes alone don't tell them (HTTP/2). */
  readonly fields?: Fields;
  readonly end?: TalkEnd;
}
