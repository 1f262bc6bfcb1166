/**
 * The derived things, as the program holds them (bytes as Uint8Array). Their JSON form, the contract that scripts read,
 * is made and read by `src/sessions/json.ts` and documented in `docs/json.md`.
 */
import type { Chunk } from '../connections/account.ts';
import type { TieReasons, WhyNot } from '../contexts/reasons.ts';
import type { Attribution, Certainty } from '../contexts/tie.ts';
import type { Cause, Direction } from '../events/event.ts';
import type { Talk } from '../talks/talk.ts';
import type { AppendedFile } from './appends.ts';
import type { Datagram } from './datagrams.ts';
import type { Told } from './told.ts';

// Each stands in the folder that makes it, so that folders above this one can name it (DESIGN: layout).
export type { Chunk, ConnectionAccount, StreamAccount } from '../connections/account.ts';
export type { Doubt, Support, TieReasons, WhyNot } from '../contexts/reasons.ts';
export type { Attribution, Certainty } from '../contexts/tie.ts';
export type { ProtocolName } from '../protocols/protocol.ts';
export type { AppendedFile, Write } from './appends.ts';
export type { Datagram } from './datagrams.ts';
export type { Told } from './told.ts';
export type { Talk, TalkConnection, TalkEnd } from '../talks/talk.ts';

export interface OutboundTalk extends Talk {
  readonly attribution: Attribution;
  readonly certainty: Certainty;
  readonly afterResponse?: true;
  readonly alternatives?: readonly string[];
  /** Only where they were asked for (`DerivationOptions.reasons`); not part of its JSON. */
  readonly reasons?: TieReasons;
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
  readonly kind: 'tls' | 'udp' | 'udp-sent' | 'quic' | 'unattributed' | 'seen-late' | (string & {});
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
  /** What the service said by helper datagrams while it worked for it (docs/helpers.md). Absent: nothing. */
  readonly told?: readonly Told[];
  /** What it sent by UDP. Absent: nothing. */
  readonly datagrams?: readonly Datagram[];
  /** What it appended to files. Absent: nothing, or it was not recorded. */
  readonly appends?: readonly AppendedFile[];
  readonly traceHeader?: Readonly<Record<string, string>>;
  readonly certificate: Certificate;
}

/** An outbound talk of no session. */
export interface AmbientTalk extends Talk {
  readonly ambient: true;
  readonly tgid: number;
  readonly startedAtUs: number;
  /** Ids of the sessions that were open in its process when it began. */
  readonly candidates: readonly string[];
  /** Only where it was asked for (`DerivationOptions.reasons`); not part of its JSON. */
  readonly whyNot?: readonly WhyNot[];
}
