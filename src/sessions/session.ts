/**
 * The derived things, as the program holds them (bytes as Uint8Array). Their JSON form, the contract that scripts read,
 * is made and read by `src/sessions/json.ts` and documented in `docs/json.md`.
 */
import type { Cause, Direction } from '../events/event.ts';

export type ProtocolName = 'http' | 'http2' | 'tls' | 'redis' | 'postgresql' | 'mysql' | 'fastcgi' | 'unknown' | (string & {});

/** What one system call moved, or a hole. `atUs` here is Unix µs; the JSON form counts from the session's start. */
export type Chunk =
  | { readonly atUs: number; readonly tid: number; readonly bytes: Uint8Array }
  | { readonly atUs: number; readonly tid: number; readonly gap: number; readonly cause: Cause };

export interface TalkConnection {
  readonly id: string;
  /** "IP:PORT", "[v6]:PORT" or "unix:/path". */
  readonly local: string;
  readonly remote: string;
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
  readonly end?: TalkEnd;
}

export type Attribution =
  | 'thread' | 'born' | 'goroutine' | 'virtual-thread' | 'helper' | 'delegation' | 'trace' | 'handed-over'
  | 'continuation' | 'elimination' | 'content' | 'pattern' | 'runtime';
export type Certainty = 'proven' | 'likely';

export interface OutboundTalk extends Talk {
  readonly attribution: Attribution;
  readonly certainty: Certainty;
  readonly afterResponse?: true;
  readonly alternatives?: readonly string[];
}

/** Everything on an outbound connection before its first call: greeting, auth, SET, PREPARE. */
export interface Prologue {
  /** Connection id, as in `Talk.connection.id`. */
  readonly connection: string;
  /** The remote, as text. */
  readonly destination: string;
  readonly chunks: readonly (Chunk & { readonly direction: Direction })[];
}

export interface LostBytes {
  readonly connection: string;
  readonly direction: Direction;
  readonly from: number;
  readonly bytes: number;
  readonly cause: Cause;
}

export interface Unseen {
  readonly kind: 'tls' | 'udp' | 'quic' | 'unattributed' | 'seen-late' | (string & {});
  readonly count: number;
  readonly detail?: string;
}

export interface Certificate {
  /** `open`: the recording ended before the session did. */
  readonly state: 'complete' | 'incomplete' | 'open';
  readonly lost: readonly LostBytes[];
  readonly unseen: readonly Unseen[];
}

export interface Session {
  readonly id: string;
  /** Unix µs. */
  readonly startedAtUs: number;
  readonly durationMs: number;
  readonly entry: 'request' | 'message' | 'job' | 'start';
  readonly process: { readonly tgid: number; readonly command: string };
  readonly inbound: Talk;
  readonly outbound: readonly OutboundTalk[];
  readonly ties: { readonly proven: number; readonly likely: number; readonly unknown: number };
  readonly prologues: readonly Prologue[];
  /** Host name to addresses, as the process resolved them (DNS seen in the recording). */
  readonly names: Readonly<Record<string, readonly string[]>>;
  readonly certificate: Certificate;
}

/** An outbound talk of no session. */
export interface AmbientTalk extends Talk {
  readonly ambient: true;
  readonly tgid: number;
  readonly startedAtUs: number;
  /** Ids of the sessions that were open in its process when it began. */
  readonly candidates: readonly string[];
}

/** A connection's account: the byte truth. JSON: `Connection` of the contract. */
export interface ConnectionAccount {
  readonly id: string;
  readonly role: 'inbound' | 'outbound';
  readonly tgid: number;
  readonly command: string;
  readonly local: string;
  readonly remote: string;
  readonly learnt: 'accept' | 'connect' | 'seen';
  readonly openedAtUs: number;
  readonly closedAtUs?: number;
  readonly ingress: StreamAccount;
  readonly egress: StreamAccount;
  readonly end: 'fin' | 'reset' | 'refused' | 'timeout' | 'open' | (string & {});
  readonly sessions: number;
}

export interface StreamAccount {
  /** Position at which the recorder began to see the stream; 0: from its first byte. */
  readonly from: number;
  /** Payload bytes recorded from there on, gaps not counted. */
  readonly bytes: number;
  /** Lower-case hex SHA-256 over those bytes in stream order. */
  readonly sha256: string;
  readonly gaps: readonly { readonly from: number; readonly bytes: number; readonly cause: Cause }[];
}
