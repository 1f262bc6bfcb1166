/**
 * Sessions, ambient talks and connection accounts as the JSON that scripts read (a contract: add to it, never rename;
 * `docs/json.md`). Bytes are text where they are UTF-8, else base64, so neither is ever ambiguous or lossy. Times count in
 * whole microseconds from the session's start, which is RFC 3339 with microseconds.
 */
import { isUtf8 } from 'node:buffer';
import type { Cause, Direction } from '../events/event.ts';
import type { AmbientTalk, Attribution, Certainty, Certificate, Chunk, ConnectionAccount, Datagram, Session, Talk, TalkConnection, TalkEnd, Told, Write } from './session.ts';
import type { Fields } from '../protocols/protocol.ts';
import type { ToldCommand } from './told.ts';
import { marksOf, traceIds, traceOf } from './trace-of.ts';
import type { TraceIds } from './trace-of.ts';

export { sessionFromJson } from './json-read.ts';

export const SESSION_FORMAT = 'koala-bpf/session@1';

export type ChunkJson =
  | { atUs: number; tid: number; goroutine?: number; text: string }
  | { atUs: number; tid: number; goroutine?: number; base64: string }
  | { atUs: number; tid: number; gap: number; cause: Cause };

export interface TalkJson {
  connection: TalkConnection;
  request: ChunkJson[];
  response: ChunkJson[];
  fields?: Fields;
  end?: TalkEnd;
}

export type ToldJson = { command: ToldCommand; atUs: number; tid: number } & ({ text: string } | { base64: string });

export type DatagramJson = Omit<Datagram, 'bytes'> & ({ text: string } | { base64: string });

export interface AppendedFileJson {
  file: string;
  writes: (Omit<Write, 'bytes'> & ({ text: string } | { base64: string }))[];
}

export type OutboundTalkJson = TalkJson & { attribution: Attribution; certainty: Certainty; afterResponse?: true; alternatives?: readonly string[]; trace?: TraceIds };

export interface SessionJson {
  format: typeof SESSION_FORMAT;
  id: string;
  startedAt: string;
  durationMs: number;
  entry: Session['entry'];
  process: Session['process'];
  inbound: TalkJson;
  outbound: OutboundTalkJson[];
  ties: Session['ties'];
  prologues: { connection: string; destination: string; chunks: (ChunkJson & { direction: Direction })[] }[];
  names: Session['names'];
  told?: ToldJson[];
  datagrams?: DatagramJson[];
  appends?: AppendedFileJson[];
  traceHeader?: Readonly<Record<string, string>>;
  trace?: TraceIds;
  certificate: Certificate;
}

export type AmbientJson = { ambient: true; tgid: number; startedAt: string; candidates: readonly string[] } & TalkJson;

export type ConnectionJson = Omit<ConnectionAccount, 'openedAtUs' | 'closedAtUs'> & { openedAt: string; closedAt?: string };

/** What `ls --json` prints of a session: no bytes. */
export type SessionRowJson = Omit<SessionJson, 'inbound' | 'outbound' | 'prologues' | 'told' | 'datagrams' | 'appends' | 'traceHeader' | 'trace' | 'certificate'> & {
  summary: string;
  status?: string;
  inbound: { connection: TalkConnection; end?: TalkEnd };
  outbound: number;
  prologues: { connection: string; destination: string }[];
  certificate: { state: Certificate['state'] };
};

export function sessionJson(session: Session): SessionJson {
  const { startedAtUs } = session;
  return {
    ...headOf(session),
    inbound: talkJson(session.inbound, startedAtUs),
    outbound: session.outbound.map((call) => ({
      ...talkJson(call, startedAtUs),
      attribution: call.attribution,
      certainty: call.certainty,
      ...(call.afterResponse === undefined ? {} : { afterResponse: call.afterResponse }),
      ...(call.alternatives === undefined ? {} : { alternatives: call.alternatives }),
      ...traceField(traceIds(marksOf(call))),
    })),
    ties: session.ties,
    prologues: session.prologues.map(({ connection, destination, chunks }) => ({
      connection, destination, chunks: chunks.map((chunk) => ({ ...chunkJson(chunk, startedAtUs), direction: chunk.direction })),
    })),
    names: session.names,
    ...(session.told === undefined ? {} : { told: session.told.map((told) => toldJson(told, startedAtUs)) }),
    ...(session.datagrams === undefined ? {} : { datagrams: session.datagrams.map((datagram) => actJson(datagram, startedAtUs)) }),
    ...(session.appends === undefined ? {} : { appends: session.appends.map(({ file, writes }) => ({ file, writes: writes.map((write) => actJson(write, startedAtUs)) })) }),
    ...(session.traceHeader === undefined ? {} : { traceHeader: session.traceHeader }),
    ...traceField(traceOf(session)),
    certificate: session.certificate,
  };
}

/** `text`, `status`: what its protocol makes of the inbound talk. */
export function sessionRowJson(session: Session, { text, status }: { readonly text: string; readonly status?: string }): SessionRowJson {
  const { connection, end } = session.inbound;
  return {
    ...headOf(session),
    summary: text,
    ...(status === undefined ? {} : { status }),
    inbound: { connection, ...(end === undefined ? {} : { end }) },
    outbound: session.outbound.length,
    ties: session.ties,
    prologues: session.prologues.map((prologue) => ({ connection: prologue.connection, destination: prologue.destination })),
    names: session.names,
    certificate: { state: session.certificate.state },
  };
}

export function ambientJson(talk: AmbientTalk): AmbientJson {
  const { tgid, startedAtUs, candidates } = talk;
  return { ambient: true, tgid, startedAt: rfc3339(startedAtUs), candidates, ...talkJson(talk, startedAtUs) };
}

export function connectionJson(account: ConnectionAccount): ConnectionJson {
  const { id, role, tgid, command, local, remote, learnt, openedAtUs, closedAtUs, ingress, egress, end, sessions } = account;
  return {
    id, role, tgid, command, local, remote, learnt, openedAt: rfc3339(openedAtUs),
    ...(closedAtUs === undefined ? {} : { closedAt: rfc3339(closedAtUs) }), ingress, egress, end, sessions,
  };
}

/** Unix µs as RFC 3339 in UTC with six digits of fraction. */
export function rfc3339(atUs: number): string {
  const us = Math.round(atUs);
  const ms = Math.floor(us / 1000);
  return `${new Date(ms).toISOString().slice(0, -1)}${String(us - ms * 1000).padStart(3, '0')}Z`;
}

function headOf({ id, startedAtUs, durationMs, entry, process }: Session): Pick<SessionJson, 'format' | 'id' | 'startedAt' | 'durationMs' | 'entry' | 'process'> {
  return { format: SESSION_FORMAT, id, startedAt: rfc3339(startedAtUs), durationMs: Math.round(durationMs * 1000) / 1000, entry, process };
}

function talkJson(talk: Talk, startedAtUs: number): TalkJson {
  return {
    connection: talk.connection,
    request: talk.request.map((chunk) => chunkJson(chunk, startedAtUs)),
    response: talk.response.map((chunk) => chunkJson(chunk, startedAtUs)),
    ...(talk.fields === undefined ? {} : { fields: talk.fields }),
    ...(talk.end === undefined ? {} : { end: talk.end }),
  };
}

function chunkJson(chunk: Chunk, startedAtUs: number): ChunkJson {
  const facts = { atUs: Math.round(chunk.atUs) - Math.round(startedAtUs), tid: chunk.tid };
  if ('gap' in chunk) return { ...facts, gap: chunk.gap, cause: chunk.cause };
  return { ...facts, ...(chunk.goroutine === undefined ? {} : { goroutine: chunk.goroutine }), ...bytesJson(chunk.bytes) };
}

const traceField = (trace: TraceIds | undefined): { trace?: TraceIds } => (trace === undefined ? {} : { trace });

function toldJson({ command, atUs, tid, bytes }: Told, startedAtUs: number): ToldJson {
  return { command, atUs: Math.round(atUs) - Math.round(startedAtUs), tid, ...bytesJson(bytes) };
}

/** A datagram, or a write. */
function actJson<A extends { readonly atUs: number; readonly bytes: Uint8Array }>({ bytes, ...act }: A, startedAtUs: number): Omit<A, 'bytes'> & ({ text: string } | { base64: string }) {
  return { ...act, atUs: Math.round(act.atUs) - Math.round(startedAtUs), ...bytesJson(bytes) };
}

function bytesJson(some: Uint8Array): { text: string } | { base64: string } {
  const bytes = Buffer.from(some.buffer, some.byteOffset, some.byteLength);
  return isUtf8(bytes) ? { text: bytes.toString('utf8') } : { base64: bytes.toString('base64') };
}
