/**
 * A session on its way to the thread that plays it: its calls are written down one after the other, and read when somebody asks for
 * them. As objects they cost both threads more than the playing: a recording has hundreds of thousands, and most are never asked for.
 */
import { PackReader, PackWriter } from '../bytes/pack.ts';
import type { Chunk } from '../connections/account.ts';
import type { Cause } from '../events/event.ts';
import type { OutboundTalk, Session, TalkConnection } from '../sessions/session.ts';
import type { Pack } from './pack.ts';

export interface PackedSession extends Omit<Session, 'outbound'> {
  readonly calls: Uint8Array;
}

type Rest = Omit<OutboundTalk, 'connection' | 'request' | 'response'>;

/** Of an instant since 2005 in µs, a double keeps quarters: counted in these, times are exact. */
const TIME_STEPS = 4;
const GAP = 0;
const BYTES = 1;
const BYTES_OF_GOROUTINE = 2;

const writer = new PackWriter();

/** Its bytes are in `pack`, ready to be posted with its buffers. */
export function packedSession({ outbound, ...session }: Session, pack: Pack): PackedSession {
  const { inbound } = session;
  const own = (list: readonly Chunk[]): Chunk[] => list.map((chunk) => ('bytes' in chunk ? { ...chunk, bytes: pack.add(chunk.bytes) } : chunk));
  writeCalls(outbound, session.startedAtUs);
  return { ...session, inbound: { ...inbound, request: own(inbound.request), response: own(inbound.response) }, calls: pack.add(writer.take()) };
}

/** The session again, whose calls are views of `calls`, made when first asked for. */
export function unpackedSession({ calls, ...session }: PackedSession): Session {
  let outbound: OutboundTalk[] | undefined;
  return {
    ...session,
    get outbound() {
      return (outbound ??= readCalls(calls, session.startedAtUs));
    },
  };
}

function writeCalls(outbound: readonly OutboundTalk[], startedAtUs: number): void {
  // What several calls share is written where it comes first; later ones name it by its number.
  const connections = new Map<TalkConnection, number>();
  const rests = new Map<string, number>();
  const isNew = <T>(known: Map<T, number>, one: T): boolean => {
    const number = known.get(one) ?? known.size;
    writer.unsigned(number);
    if (number < known.size) return false;
    known.set(one, number);
    return true;
  };
  const chunks = (list: readonly Chunk[]): void => {
    writer.unsigned(list.length);
    for (const chunk of list) writeChunk(chunk, startedAtUs);
  };
  writer.unsigned(outbound.length);
  for (const { connection, request, response, ...rest } of outbound) {
    if (isNew(connections, connection)) for (const text of [connection.id, connection.local, connection.remote, connection.protocol]) writer.text(text);
    const told = JSON.stringify(rest);
    if (isNew(rests, told)) writer.text(told);
    chunks(request);
    chunks(response);
  }
}

function writeChunk(chunk: Chunk, startedAtUs: number): void {
  const goroutine = 'bytes' in chunk ? chunk.goroutine : undefined;
  writer.unsigned('gap' in chunk ? GAP : goroutine === undefined ? BYTES : BYTES_OF_GOROUTINE);
  writer.signed(Math.round((chunk.atUs - startedAtUs) * TIME_STEPS));
  writer.unsigned(chunk.tid);
  if ('gap' in chunk) {
    writer.unsigned(chunk.gap);
    writer.text(chunk.cause);
    return;
  }
  if (goroutine !== undefined) writer.unsigned(goroutine);
  writer.bytes(chunk.bytes);
}

function readCalls(calls: Uint8Array, startedAtUs: number): OutboundTalk[] {
  const reader = new PackReader(calls);
  const connections: TalkConnection[] = [];
  const rests: Rest[] = [];
  const known = <T>(some: T[], read: () => T): T => {
    const number = reader.unsigned();
    return (some[number] ??= read());
  };
  const chunks = (): Chunk[] => {
    const list: Chunk[] = [];
    for (let left = reader.unsigned(); left > 0; left -= 1) list.push(readChunk(reader, startedAtUs));
    return list;
  };
  const outbound: OutboundTalk[] = [];
  for (let left = reader.unsigned(); left > 0; left -= 1) {
    const connection = known(connections, () => ({ id: reader.text(), local: reader.text(), remote: reader.text(), protocol: reader.text() }));
    const rest = known(rests, () => JSON.parse(reader.text()) as Rest);
    outbound.push(Object.assign({ connection, request: chunks(), response: chunks() }, rest));
  }
  return outbound;
}

function readChunk(reader: PackReader, startedAtUs: number): Chunk {
  const kind = reader.unsigned();
  const atUs = startedAtUs + reader.signed() / TIME_STEPS;
  const tid = reader.unsigned();
  if (kind === GAP) return { atUs, tid, gap: reader.unsigned(), cause: reader.text() as Cause };
  return kind === BYTES ? { atUs, tid, bytes: reader.bytes() } : { atUs, tid, goroutine: reader.unsigned(), bytes: reader.bytes() };
}
