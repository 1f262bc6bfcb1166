/**
 * Sessions in the form in which their calls are matched: see `statements/statements.ts`. Done once, over everything that a
 * recording holds: a statement may have been prepared in another session than the one that uses it, or in none.
 */
import { protocolNamed } from '../protocols/index.ts';
import type { AmbientTalk, Chunk, OutboundTalk, Prologue, Session, Talk } from '../sessions/session.ts';
import { bytesOf } from './calls.ts';
import { canonicalDestination } from './destination.ts';
import { isAgreed, type PlainTalk } from './played.ts';
import { Opening } from './opening.ts';
import { withRefusedLogins } from './refused-logins.ts';
import { prologuePairs } from './setups.ts';
import { recordedStatements, type Pair, type Prepared, type RecordedStatements } from './statements/statements.ts';

export interface Plain {
  readonly sessions: readonly Session[];
  readonly ambient: readonly AmbientTalk[];
  /** Outbound connections that were recorded from their first byte on; absent where that was not kept (session files). */
  readonly whole?: ReadonlySet<string>;
  /** By recorded destination. */
  readonly prepared: Readonly<Record<string, readonly Prepared[]>>;
  /** What drivers asked their servers because a connection was new, in its plain form, and the answers; by recorded destination. */
  readonly inquiries: Readonly<Record<string, readonly Pair[]>>;
}

export function plainForm(recorded: readonly Session[], ambient: readonly AmbientTalk[]): Plain {
  const sessions = recorded.map(withRefusedLogins);
  const readers = new Map<string, { readonly destination: string; readonly statements: RecordedStatements; readonly opening: RecordedOpening | undefined }>();
  const prologues = new Map(sessions.flatMap(({ prologues: some }) => some.map((prologue) => [prologue.connection, prologue] as const)));
  const plain = new Map<Talk, Talk>();
  const talks = [...sessions.flatMap(({ outbound }) => outbound), ...ambient];
  for (const talk of talks.sort((a, b) => beganUs(a) - beganUs(b))) {
    const { id, protocol, remote } = talk.connection;
    let reader = readers.get(id);
    if (reader === undefined) {
      const statements = recordedStatements(protocol);
      if (statements === undefined) continue;
      reader = { destination: canonicalDestination(remote), statements, opening: prologues.has(id) ? new RecordedOpening(protocol) : undefined };
      readers.set(id, reader);
      prime(statements, protocol, prologues.get(id));
    }
    const made = inPlainForm(talk, reader.statements);
    if (made !== talk) plain.set(talk, made);
    if (isAgreed(made)) continue;
    for (const own of reader.opening?.hear(talk, made) ?? []) plain.set(own, { ...own, agreed: true } as PlainTalk);
  }
  const read = [...readers.values()];
  const of = <T extends Talk>(talk: T): T => (plain.get(talk) as T | undefined) ?? talk;
  return {
    sessions: plain.size === 0 ? sessions : sessions.map((session) => ({ ...session, outbound: session.outbound.map(of) })),
    ambient: ambient.map(of),
    prepared: byDestination(read.map(({ destination, statements }) => [destination, statements.prepared]), distinct),
    inquiries: byDestination(read.map(({ destination, opening }) => [destination, opening?.inquiries ?? []]), (all) => all.slice(0, MAX_INQUIRIES)),
  };
}

/** All of each destination, as `among` leaves them. */
export function byDestination<T>(some: readonly (readonly [string, Iterable<T>])[], among: (all: T[]) => T[] = (all) => all): Record<string, T[]> {
  const gathered: Record<string, T[]> = {};
  for (const [destination, one] of some) (gathered[destination] ??= []).push(...one);
  return Object.fromEntries(Object.entries(gathered).map(([destination, all]) => [destination, among(all)]));
}

/** Of one destination; each connection asks much the same. */
const MAX_INQUIRIES = 256;

/** Follows one recorded connection from its login on. */
class RecordedOpening {
  readonly inquiries: Pair[] = [];
  readonly #opening: Opening;
  #held: Talk[] = [];

  constructor(protocol: string) {
    this.#opening = new Opening(protocol);
  }

  /** `plain`: the talk in its plain form. Which talks turn out to be the connection's own: no calls. */
  hear(talk: Talk, plain: Talk): readonly Talk[] {
    const request = bytesOf(plain.request);
    const step = this.#opening.hear(request);
    if (step === 'holds') this.#held.push(talk);
    if (step === 'inquires') this.inquiries.push({ request, response: bytesOf(plain.response) });
    const own = step === 'ends' ? [...this.#held, talk] : step === 'inquires' ? [talk] : [];
    if (step === 'ends' || step === 'over') this.#held = [];
    return own;
  }
}

const beganUs = (talk: Talk): number => talk.request[0]?.atUs ?? talk.response[0]?.atUs ?? 0;

function prime(statements: RecordedStatements, protocol: string, prologue: Prologue | undefined): void {
  if (prologue === undefined) return;
  for (const pair of prologuePairs(prologue, protocol, protocolNamed(protocol))) statements.read(pair);
}

/** When it was, and who was at it. */
const whose = (chunk: Chunk): Omit<Extract<Chunk, { bytes: Uint8Array }>, 'bytes'> => ({
  atUs: chunk.atUs, tid: chunk.tid, ...('goroutine' in chunk && chunk.goroutine !== undefined ? { goroutine: chunk.goroutine } : {}),
});

/** The chunks become one each way: the request as of its first, the answer as of its last moment. */
function inPlainForm<T extends OutboundTalk | AmbientTalk>(talk: T, statements: RecordedStatements): T | PlainTalk {
  const [request, response] = [bytesOf(talk.request), bytesOf(talk.response)];
  const read = statements.read({ request, response });
  if (read === undefined) return { ...talk, agreed: true };
  if (read.request === request && read.response === response) return talk;
  const [first, last] = [talk.request[0], talk.response.at(-1) ?? talk.request.at(-1)];
  if (first === undefined || last === undefined) return talk;
  return {
    ...talk, request: [{ ...whose(first), bytes: read.request }],
    response: read.response.length === 0 ? [] : [{ ...whose(last), bytes: read.response }],
  };
}

/** The calls of no session as a session's, so that they can be learnt: they answer the SUT's start, and what it does by itself. */
export function ofNoSession(like: Session, ambient: readonly AmbientTalk[]): Session {
  const outbound = ambient.filter((talk) => !isAgreed(talk)).map((talk): OutboundTalk => ({ ...talk, attribution: 'elimination', certainty: 'likely' }));
  return { ...like, id: '', outbound, prologues: [] };
}

/** One of each text: the one of which most is known. */
function distinct(prepared: readonly Prepared[]): Prepared[] {
  const best = new Map<string, Prepared>();
  for (const one of prepared) if ((best.get(one.sql)?.answer.length ?? -1) < one.answer.length) best.set(one.sql, one);
  return [...best.values()];
}
