/**
 * A session as koala's recorder writes it: one JSON object, bytes as text with `\xNN` for what is none, times in nanoseconds since the
 * Unix epoch, which a double can't hold. Made to be read by koala's own tools (docs/koala-format.md says what has no place in it).
 */
import { isUtf8 } from 'node:buffer';
import { stringify } from 'lossless-json';
import type { Direction } from '../events/event.ts';
import type { AppendedFile, Chunk, OutboundTalk, Prologue, Session } from '../sessions/session.ts';
import { marksOf, traceOf } from '../sessions/trace-of.ts';

/** As Go writes net.TCPAddr and net.UDPAddr. */
interface Address {
  readonly IP: string;
  readonly Port: number;
  readonly Zone: string;
}

/** As Go writes net.UnixAddr. */
interface UnixAddress {
  readonly Name: string;
  readonly Net: string;
}

interface Action {
  readonly ActionIndex: number;
  /** ns since the Unix epoch. */
  readonly OccurredAt: bigint;
  readonly ActionType: string;
}

type Unplaced = Omit<Action, 'ActionIndex'> & Readonly<Record<string, unknown>>;

const NOWHERE: Address = { IP: '', Port: 0, Zone: '' };
const NO_PATH: UnixAddress = { Name: '', Net: '' };
/** Also of connections to nowhere, for what is missing. */
const NO_TIME = 0n;

/** `indent`: over several lines, by two spaces. */
export function koalaText(session: Session, indent: boolean): string {
  return stringify(koalaSession(session), undefined, indent ? 2 : undefined) as string;
}

export function koalaSession(session: Session): Record<string, unknown> {
  const { inbound, startedAtUs } = session;
  const trace = traceOf(session);
  const thread = threadOf(inbound.request);
  const returned = inbound.response.length === 0 ? [] : [{ OccurredAt: timeOf(inbound.response), ActionType: 'ReturnInbound', Response: textOf(inbound.response) }];
  const unplaced: Unplaced[] = [
    ...session.outbound.map(callOf), ...session.prologues.flatMap((prologue) => setupsOf(prologue, startedAtUs)), ...returned,
    ...(session.datagrams ?? []).map(({ to, atUs, bytes }) => ({ OccurredAt: nanoseconds(atUs), ActionType: 'SendUDP', Peer: addressOf(to), Content: escaped(bytes) })),
    ...(session.appends ?? []).map(fileOf),
    ...(session.told ?? []).filter(({ command }) => command === 'read-storage')
      .map(({ atUs, bytes }) => ({ OccurredAt: nanoseconds(atUs), ActionType: 'ReadStorage', Content: escaped(bytes) })),
  ];
  unplaced.sort((one, other) => (one.OccurredAt < other.OccurredAt ? -1 : one.OccurredAt > other.OccurredAt ? 1 : 0));
  const actions: (Action & Readonly<Record<string, unknown>>)[] = unplaced.map((action, index) => ({ ActionIndex: index, ...action }));
  return {
    Context: session.id,
    SessionId: `${nanoseconds(startedAtUs)}-${thread}`,
    ThreadId: thread,
    TraceHeader: { ...session.traceHeader, ti: session.traceHeader?.['ti'] ?? trace?.traceId ?? session.id },
    TraceId: trace?.traceId ?? '',
    SpanId: trace?.spanId ?? '',
    NextSessionId: '',
    CallFromInbound: { ActionIndex: 0, OccurredAt: nanoseconds(startedAtUs), ActionType: 'CallFromInbound', ...peerOf(inbound.connection.remote), Request: textOf(inbound.request) },
    ReturnInbound: actions.find(({ ActionType }) => ActionType === 'ReturnInbound') ?? null,
    Actions: actions,
  };
}

function callOf(call: OutboundTalk): Unplaced {
  const { connection, request, response } = call;
  return {
    OccurredAt: timeOf(request.length > 0 ? request : response), ActionType: 'CallOutbound', SocketFD: fdOf(connection.id), ...peerOf(connection.remote),
    Request: textOf(request), ResponseTime: timeOf(response), Response: textOf(response), CSpanId: marksOf(call).spanId ?? '',
  };
}

/** koala knows no set-up of a connection: where it fell into the session, it was calls; a greeting one without a request. */
function setupsOf({ connection, destination, chunks }: Prologue, startedAtUs: number): Unplaced[] {
  const [first] = chunks;
  if (first === undefined || first.atUs < startedAtUs) return [];
  const turns: { asked: Prologue['chunks'][number][]; answered: Prologue['chunks'][number][] }[] = [];
  for (const chunk of chunks) {
    let turn = turns.at(-1);
    if (turn === undefined || (isAsked(chunk.direction) && turn.answered.length > 0)) turns.push((turn = { asked: [], answered: [] }));
    (isAsked(chunk.direction) ? turn.asked : turn.answered).push(chunk);
  }
  return turns.map(({ asked, answered }) => ({
    OccurredAt: timeOf(asked.length > 0 ? asked : answered), ActionType: 'CallOutbound', SocketFD: fdOf(connection), ...peerOf(destination),
    Request: textOf(asked), ResponseTime: timeOf(answered), Response: textOf(answered), CSpanId: '',
  }));
}

const isAsked = (direction: Direction): boolean => direction === 'egress';

/** One action a file, at its first write. */
function fileOf({ file, writes }: AppendedFile): Unplaced {
  return { OccurredAt: nanoseconds(writes[0]?.atUs ?? 0), ActionType: 'AppendFile', FileName: file, Content: escaped(Buffer.concat(writes.map(({ bytes }) => bytes))) };
}

/** Which descriptor it was is not recorded: the connection's number tells connections apart as well. */
const fdOf = (connection: string): number => Number(connection);

const threadOf = (chunks: readonly Chunk[]): number => chunks.find(({ tid }) => tid !== 0)?.tid ?? 0;
const timeOf = (chunks: readonly Chunk[]): bigint => (chunks[0] === undefined ? NO_TIME : nanoseconds(chunks[0].atUs));
const textOf = (chunks: readonly Chunk[]): string => escaped(Buffer.concat(chunks.flatMap((chunk) => ('bytes' in chunk ? [chunk.bytes] : []))));

/** Unix µs, with quarters of them. */
function nanoseconds(atUs: number): bigint {
  const us = Math.floor(atUs);
  return BigInt(us) * 1000n + BigInt(Math.round((atUs - us) * 1000));
}

/** `IP:PORT`, `[v6]:PORT` or `unix:/path`. */
function peerOf(endpoint: string): { readonly Peer: Address; readonly UnixAddr: UnixAddress } {
  const path = /^unix:(.*)$/s.exec(endpoint)?.[1];
  return path === undefined ? { Peer: addressOf(endpoint), UnixAddr: NO_PATH } : { Peer: NOWHERE, UnixAddr: { Name: path, Net: 'unix' } };
}

function addressOf(endpoint: string): Address {
  const [, v6, v4, port] = /^(?:\[(.+)\]|([^:]*)):(\d+)$/.exec(endpoint) ?? [];
  return { IP: v6 ?? v4 ?? '', Port: Number(port ?? 0), Zone: '' };
}

// `\` begins an escape; controls but tab, line feed and carriage return are no text; U+FFFD stands for what is none.
const NO_TEXT = /[\\\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffd]/g;

/** Bytes as koala shows them, without loss: UTF-8 is text, but `\` is `\x5c`, and each byte of what is no text `\xNN`. */
export function escaped(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return utf8(bytes).replace(NO_TEXT, (character) => hexOf(Buffer.from(character)));
  let text = '';
  let from = 0;
  for (let at = 0; at < bytes.length;) {
    const size = sequenceAt(bytes, at);
    if (size === 0) {
      if (at > from) text += escaped(bytes.subarray(from, at));
      text += hexOf(bytes.subarray(at, at + 1));
      from = at + 1;
    }
    at += size || 1;
  }
  return text + (from < bytes.length ? escaped(bytes.subarray(from)) : '');
}

/** Bytes of the UTF-8 character that begins at `at`; 0: none does. */
function sequenceAt(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] as number;
  const size = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 0;
  return at + size <= bytes.length && isUtf8(bytes.subarray(at, at + size)) ? size : 0;
}

const utf8 = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
const hexOf = (bytes: Uint8Array): string => [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
