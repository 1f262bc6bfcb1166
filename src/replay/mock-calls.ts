/**
 * What a mock plays: every call that recordings hold and that can be answered, of whatever session or of none, also of sessions that
 * are incomplete, as one list in recorded order. Pure.
 */
import { parseAddress } from '../bytes/address.ts';
import { protocolNamed } from '../protocols/index.ts';
import type { Frame, ProtocolName } from '../protocols/protocol.ts';
import type { AmbientTalk, OutboundTalk, Session } from '../sessions/session.ts';
import { withoutBypassed, type Bypassed } from './bypass.ts';
import { bytesOf, neverConnected } from './calls.ts';
import { canonicalDestination } from './destination.ts';
import { isAgreed } from './played.ts';
import { ofNoSession } from './plain.ts';
import { socketPath } from './playable.ts';
import { isRefusal, isTurnedAway, loginIn } from './refused-logins.ts';

/** Why a recorded call can't be played: it can't be read, a part of it is missing, it was not answered yet, its socket has no path. */
export type LeftOut = 'tls' | 'http2' | 'incomplete' | 'unanswered' | 'unix';

export interface MockCalls {
  /** Holds the calls, those of each connection that was refused too; `inbound.request` has the requests of all sessions, a chunk each. */
  readonly session: Session;
  /** Of each call the session that it was in; '': in none. */
  readonly origins: readonly string[];
  readonly leftOut: Readonly<Partial<Record<LeftOut, number>>>;
}

const HOLDER: Session = {
  id: '', startedAtUs: 0, durationMs: 0, entry: 'request', process: { tgid: 0, command: '' },
  inbound: { connection: { id: '', local: '', remote: '', protocol: 'unknown' }, request: [], response: [] },
  outbound: [], ties: { proven: 0, likely: 0, unknown: 0 }, prologues: [], names: {}, certificate: { state: 'complete', lost: [], unseen: [] },
};

interface Call {
  readonly talk: OutboundTalk;
  readonly origin: string;
}

/** `sessions`, and what of their recordings is in none. Calls that go to the real world are not among them. */
export function mockCalls(sessions: readonly Session[], ambient: readonly AmbientTalk[], bypassed: Bypassed): MockCalls {
  const own = new Set(sessions.map(({ inbound }) => canonicalDestination(inbound.connection.local)));
  // Who called the recorded service itself, and was recorded too (its test runner, say), is nobody that it depends on.
  const byItself = ofNoSession(HOLDER, ambient.filter(({ connection }) => !own.has(canonicalDestination(connection.remote))));
  const all = [...sessions, byItself].flatMap((session) => withoutBypassed(session, bypassed).outbound.map((talk): Call => ({ talk, origin: session.id })));
  const leftOut: Partial<Record<LeftOut, number>> = {};
  const answerable = all.filter(({ talk }) => {
    if (isAgreed(talk)) return false;
    const why = whyLeftOut(talk);
    if (why !== undefined) leftOut[why] = (leftOut[why] ?? 0) + 1;
    return why === undefined;
  });
  const calls = withoutPassing(answerable, sessions).sort((a, b) => beganUs(a.talk) - beganUs(b.talk));
  const startedAtUs = calls[0] === undefined ? 0 : beganUs(calls[0].talk);
  const request = sessions.flatMap(({ inbound }) => {
    const [first] = inbound.request;
    return first === undefined ? [] : [{ atUs: first.atUs, tid: first.tid, bytes: bytesOf(inbound.request) }];
  });
  return {
    session: { ...HOLDER, startedAtUs, inbound: { ...HOLDER.inbound, request }, outbound: calls.map(({ talk }) => talk) },
    origins: calls.map(({ origin }) => origin), leftOut,
  };
}

const beganUs = ({ request, response }: OutboundTalk): number => request[0]?.atUs ?? response[0]?.atUs ?? 0;
const hasGap = ({ request, response }: OutboundTalk): boolean => [...request, ...response].some((chunk) => 'gap' in chunk);

function whyLeftOut(talk: OutboundTalk): LeftOut | undefined {
  const { protocol, remote } = talk.connection;
  if (protocol === 'tls') return 'tls';
  if (protocol === 'http2') return 'http2';
  if (remote.startsWith('unix:') && (socketPath(remote) === undefined || neverConnected(talk))) return 'unix';
  if (hasGap(talk)) return 'incomplete';
  return neverConnected(talk) || talk.end !== undefined || isAnswered(talk, protocol) ? undefined : 'unanswered';
}

/** Whether the answer is there, as far as its protocol can tell. What ended in the middle of it was said by the connection's end. */
function isAnswered({ request, response }: OutboundTalk, protocol: ProtocolName): boolean {
  const framer = protocolNamed(protocol).framer();
  const frames: Frame[] = [];
  framer.push('client', bytesOf(request), frames);
  const asked = frames.filter(({ role }) => role === 'request').length;
  framer.push('server', bytesOf(response), frames);
  if (!framer.sure) return response.length > 0 || asked === 0;
  return frames.filter(({ role }) => role === 'response').length >= asked;
}

/**
 * Less what passed: connects that failed to where others got through, and logins that were refused and went through another time. A
 * mock is not asked in the recorded order, so nobody could tell which is meant; what never worked does not now.
 */
function withoutPassing(calls: readonly Call[], sessions: readonly Session[]): Call[] {
  const reached = new Set<string>();
  for (const { talk } of calls) if (!neverConnected(talk) && !isTurnedAway(talk)) reached.add(canonicalDestination(talk.connection.remote));
  const letIn = new Set(sessions.flatMap(({ prologues }) => prologues).flatMap(({ destination, chunks }) => chunks.flatMap((chunk) => {
    const key = chunk.direction === 'egress' && 'bytes' in chunk ? loginKey(destination, chunk.bytes) : undefined;
    return key === undefined ? [] : [key];
  })));
  return calls.filter(({ talk }) => {
    const { remote, protocol } = talk.connection;
    if (neverConnected(talk)) return parseAddress(remote) !== undefined && !reached.has(canonicalDestination(remote));
    if (isTurnedAway(talk)) return !reached.has(canonicalDestination(remote));
    const key = isRefusal(protocol, bytesOf(talk.response)) ? loginKey(remote, bytesOf(talk.request)) : undefined;
    return key === undefined || !letIn.has(key);
  });
}

function loginKey(destination: string, request: Uint8Array): string | undefined {
  const login = loginIn('postgresql', request) ?? loginIn('mysql', request);
  return login === undefined ? undefined : `${canonicalDestination(destination)} ${Buffer.from(login).toString('latin1')}`;
}
