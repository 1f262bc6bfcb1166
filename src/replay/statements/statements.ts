/**
 * Prepared statements are agreed on once a connection and then used by name: "execute S_3 with 7". Which connection has
 * agreed on what is chance: another run of the same program prepares on other connections, at other moments, or not yet.
 * So calls are matched in their plain form, which stands alone ("prepare this text, execute it with 7"), and what only agrees
 * (to prepare, to close) is no call. The recorded answer to the plain form is then told to the live client as it awaits it.
 */
import type { ProtocolName } from '../../protocols/protocol.ts';
import { LiveMysql, RecordedMysql } from './mysql.ts';
import { LivePostgresql, RecordedPostgresql } from './postgresql.ts';

/** A statement that some recorded connection prepared. */
export interface Prepared {
  readonly protocol: ProtocolName;
  readonly sql: string;
  /** What the server answers to its preparation. PostgreSQL: 1, t and T or n, where known. MySQL: with id 0. */
  readonly answer: Uint8Array;
}

export interface Pair {
  readonly request: Uint8Array;
  readonly response: Uint8Array;
}

/** Reads the talks of one recorded connection, in order from its first. */
export interface RecordedStatements {
  /** The talk in its plain form (itself, where it leans on nothing); undefined: it only agrees on something. */
  read(talk: Pair): Pair | undefined;
  readonly prepared: Iterable<Prepared>;
}

/** What a live client said: settled between it and us, or a call in its plain form. */
export type Said =
  | { readonly settled: Uint8Array }
  /** `tell`: the bytes this client awaits where `answer` is the answer to the plain form. `missed`: it is an error of ours. */
  | { readonly plain: Uint8Array; tell(answer: Uint8Array, missed: boolean): Uint8Array };

/** Reads the requests of one live connection. */
export interface LiveStatements {
  read(request: Uint8Array): Said;
}

/** Finds what was recorded of a statement's preparation. */
export interface Catalogue {
  /** Of this text; else of the one most like it that has as many parameters. */
  find(sql: string): Prepared | undefined;
}

export function recordedStatements(protocol: ProtocolName): RecordedStatements | undefined {
  if (protocol === 'postgresql') return new RecordedPostgresql();
  return protocol === 'mysql' ? new RecordedMysql() : undefined;
}

export function liveStatements(protocol: ProtocolName, catalogue: Catalogue): LiveStatements | undefined {
  if (protocol === 'postgresql') return new LivePostgresql(catalogue);
  return protocol === 'mysql' ? new LiveMysql(catalogue) : undefined;
}
