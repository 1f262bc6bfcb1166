/** A recorded prologue, ready to be played on any number of connections: the login, and the requests that followed it. */
import { loginBytes, loginOf, type Login } from './logins.ts';
import { canonicalDestination } from './destination.ts';
import { Settings } from './settings.ts';
import { recordedStatements, type Pair } from './statements/statements.ts';
import type { Frame, Protocol, ProtocolName } from '../protocols/protocol.ts';
import type { Prologue } from '../sessions/session.ts';

/** A set-up request, in the plain form in which live ones are asked (`statements/statements.ts`), and its answer. */
export type SetupPair = Pair;

export interface Setup {
  readonly destination: string;
  readonly protocol: ProtocolName;
  /** What the server said before the client did, where it is no part of a login. */
  readonly greeting?: Uint8Array;
  /** Set-up requests after the login and their answers, in recorded order. */
  readonly pairs: readonly SetupPair[];
  readonly login?: Login;
}

/** Both streams of a prologue, the server's length at each client byte being known by `turns`. */
interface Streams {
  readonly client: Buffer;
  readonly server: Buffer;
  /** In time order: who spoke, up to which offset of its stream. */
  readonly turns: readonly { readonly side: 'client' | 'server'; readonly from: number; readonly to: number }[];
}

function streamsOf(prologue: Prologue): Streams {
  const parts = { client: [] as Uint8Array[], server: [] as Uint8Array[] };
  const length = { client: 0, server: 0 };
  const turns: { side: 'client' | 'server'; from: number; to: number }[] = [];
  for (const chunk of prologue.chunks) {
    if (!('bytes' in chunk)) continue;
    const side = chunk.direction === 'egress' ? 'client' : 'server';
    const from = length[side];
    parts[side].push(chunk.bytes);
    length[side] += chunk.bytes.length;
    const last = turns.at(-1);
    if (last?.side === side) last.to = length[side];
    else turns.push({ side, from, to: length[side] });
  }
  return { client: Buffer.concat(parts.client), server: Buffer.concat(parts.server), turns };
}

/** Cut by framing where that is sure, else by the turn of direction. */
function pairsOf(streams: Streams, protocol: Protocol | undefined, skip: { client: number; server: number }): SetupPair[] {
  const framer = protocol?.framer();
  if (framer !== undefined) {
    const frames: Frame[] = [];
    for (const { side, from, to } of streams.turns) framer.push(side, streams[side].subarray(from, to), frames);
    if (framer.sure) return framedPairs(streams, frames, skip);
  }
  const pairs: SetupPair[] = [];
  streams.turns.forEach((turn, at) => {
    const next = streams.turns[at + 1];
    if (turn.side !== 'client' || turn.to <= skip.client) return;
    pairs.push({
      request: streams.client.subarray(Math.max(turn.from, skip.client), turn.to),
      response: next === undefined ? Buffer.alloc(0) : streams.server.subarray(next.from, next.to),
    });
  });
  return pairs;
}

function framedPairs(streams: Streams, frames: readonly Frame[], skip: { client: number; server: number }): SetupPair[] {
  const responses = frames.filter(({ role, side }) => side === 'server' && role === 'response');
  const pairs: SetupPair[] = [];
  let answered = 0;
  let said = skip.server;
  for (const request of frames.filter(({ side }) => side === 'client')) {
    const response = request.role === 'request' ? responses[answered++] : undefined;
    if (request.start < skip.client) continue;
    const to = response?.end ?? said;
    pairs.push({ request: streams.client.subarray(request.start, request.end), response: streams.server.subarray(said, Math.max(to, said)) });
    said = Math.max(to, said);
  }
  return pairs;
}

/** The requests after the login and their answers, as they were. */
export function prologuePairs(prologue: Prologue, name: ProtocolName, protocol: Protocol | undefined): Pair[] {
  const streams = streamsOf(prologue);
  return pairsOf(streams, protocol, loginLengths(name, streams, loginOf(name, streams)));
}

/** Nothing but how the connection will be carried was said in it. */
export const isOnlyNegotiation = (prologue: Prologue): boolean => withoutTlsRequests(streamsOf(prologue).client).length === 0;

/** What the prologue made of its connection; undefined where the login that belongs to it was not recorded. */
export function prologueSettings(prologue: Prologue, name: ProtocolName, protocol: Protocol | undefined): Settings | undefined {
  const streams = streamsOf(prologue);
  const login = loginOf(name, streams);
  if (login?.invented === true) return undefined;
  const settings = new Settings(name);
  const skip = loginLengths(name, streams, login);
  if (login !== undefined) settings.logIn(withoutTlsRequests(streams.client.subarray(0, skip.client)));
  for (const { request } of pairsOf(streams, protocol, skip)) settings.hear(request);
  return settings;
}

/** PostgreSQL's SSLRequest and GSSENCRequest: eight bytes each. */
function withoutTlsRequests(client: Buffer): Buffer {
  let at = 0;
  while (at + 8 <= client.length && client.readUInt32BE(at) === 8) at += 8;
  return client.subarray(at);
}

/** How many of each side's bytes the login took. */
function loginLengths(name: ProtocolName, streams: Streams, login: Login | undefined): { client: number; server: number } {
  if (login === undefined) return { client: 0, server: 0 };
  const server = loginBytes(name, streams);
  // The client's part of the login is what it had said before the server's last word of it.
  const over = streams.turns.findIndex((turn) => turn.side === 'server' && turn.to >= server);
  return { client: streams.turns.slice(0, over).findLast((turn) => turn.side === 'client')?.to ?? 0, server };
}

/** Makes a prologue playable. */
export function setupOf(prologue: Prologue, name: ProtocolName, protocol: Protocol | undefined): Setup {
  const streams = streamsOf(prologue);
  const login = loginOf(name, streams);
  const statements = recordedStatements(name);
  const first = streams.turns[0];
  return {
    destination: canonicalDestination(prologue.destination),
    protocol: name,
    pairs: pairsOf(streams, protocol, loginLengths(name, streams, login)).flatMap((pair) => (statements === undefined ? pair : statements.read(pair) ?? [])),
    ...(login === undefined ? {} : { login }),
    ...(login === undefined && first?.side === 'server' ? { greeting: streams.server.subarray(0, first.to) } : {}),
  };
}
