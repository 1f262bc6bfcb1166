/** What a connection carried: chunks as they came, and the account of each stream. */
import type { Cause } from '../events/event.ts';

/** What one system call moved, or a hole. `atUs` here is Unix µs; the JSON form counts from the session's start. */
export type Chunk =
  | { readonly atUs: number; readonly tid: number; readonly bytes: Uint8Array }
  | { readonly atUs: number; readonly tid: number; readonly gap: number; readonly cause: Cause };

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
