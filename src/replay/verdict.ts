/** Judges what happened against what was recorded. Pure. */
import { compareTalk, similarity, type Difference, type Noise } from '../compare/index.ts';
import { bytesOf } from './calls.ts';
import { canonicalDestination } from './destination.ts';
import { isAgreed, type LiveCall, type Played, type World } from './played.ts';
import type { Replayed, ReplayedCall } from './replayed.ts';
import { protocolNamed } from '../protocols/index.ts';
import type { Frame, Framer, ProtocolName } from '../protocols/protocol.ts';
import type { OutboundTalk, Session } from '../sessions/session.ts';

const NOTHING = new Uint8Array(0);

/** One line for a request: `GET /orders/7`. */
export function summaryOf(request: Uint8Array, response: Uint8Array, protocol: ProtocolName): string {
  return protocolNamed(protocol).summarise(request, response).text;
}

export function sessionSummary(session: Session): string {
  const { request, response, connection } = session.inbound;
  return summaryOf(bytesOf(request), bytesOf(response), connection.protocol);
}

/** A session that was not played. */
export function unplayed(session: Session, verdict: 'skipped' | 'error', reason: string, durationMs = 0): Replayed {
  return {
    event: 'session', session: session.id, summary: sessionSummary(session), verdict, reason, durationMs, ignored: 0, noise: [],
    response: { verdict: 'same', differences: [] }, calls: [],
  };
}

const END_WORDS: Readonly<Record<string, string>> = {
  refused: 'the service refused the connection', timeout: 'the service did not answer in time',
  reset: 'the service reset the connection', fin: 'the service closed the connection without an answer',
};

/** The verdict on a played session. */
export function judge(session: Session, played: Played, world: Pick<World, 'threshold'>): Replayed {
  const recorded = { request: bytesOf(session.inbound.request), response: bytesOf(session.inbound.response) };
  const { calls, ignored: ignoredInCalls, noise } = judgeCalls(session, played.calls, world.threshold);
  const unanswered = played.response.length === 0 && recorded.response.length > 0;
  if (unanswered && played.responseEnd in END_WORDS) {
    return { ...unplayed(session, 'error', END_WORDS[played.responseEnd] ?? '', round(played.durationMs)), calls };
  }
  const response = compareTalk(recorded, { request: recorded.request, response: played.response }, session.inbound.connection.protocol);
  const differences = [...response.differences, ...endDifferences(session, played)];
  const same = differences.length === 0 && calls.every(({ verdict }) => verdict === 'same');
  return {
    event: 'session', session: session.id, summary: sessionSummary(session), verdict: same ? 'same' : 'different',
    durationMs: round(played.durationMs), ignored: response.ignored + ignoredInCalls,
    noise: [...response.noise, ...noise],
    response: { verdict: differences.length === 0 ? 'same' : 'different', differences, ...atLeast(response.more) }, calls,
  };
}

/** What `compareTalk` found beyond what it lists. */
const atLeast = (more: number): { more?: number } => (more > 0 ? { more } : {});
const round = (ms: number): number => Math.round(ms * 1000) / 1000;

/** An answer that broke off, where the recorded one did not; and the other way round. */
function endDifferences(session: Session, { responseEnd }: Played): Difference[] {
  const end = session.inbound.end;
  const brokeOff = end?.kind === 'reset' && end.by === 'local';
  if (responseEnd === 'reset' && !brokeOff) return [{ path: 'response.end', kind: 'changed', recorded: 'whole', live: 'reset' }];
  if (responseEnd === 'timeout') return [{ path: 'response.end', kind: 'changed', recorded: 'whole', live: 'timeout' }];
  return [];
}

function judgeCalls(session: Session, live: readonly LiveCall[], threshold: number): { calls: ReplayedCall[]; ignored: number; noise: Noise[] } {
  const unused = new Set(session.outbound.keys());
  for (const call of live) if (call.recorded !== undefined) unused.delete(call.recorded);
  const calls: ReplayedCall[] = [];
  const done: { talk: OutboundTalk; live: LiveCall }[] = [];
  const noise: Noise[] = [];
  let ignored = 0;
  for (const call of live) {
    const paired = call.recorded ?? (call.repeated === true ? undefined : nearest(session, unused, call, threshold));
    const talk = paired === undefined ? undefined : session.outbound[paired];
    const base = { destination: call.destination, ...(call.certainty === undefined ? {} : { certainty: call.certainty }), ...(call.score === undefined ? {} : { score: call.score }) };
    if (paired === undefined || talk === undefined) {
      if (isFarewellRequest(call.request)) continue;
      calls.push({ ...base, verdict: 'new', summary: summaryOf(call.request, NOTHING, call.protocol), differences: [] });
      continue;
    }
    unused.delete(paired);
    const response = bytesOf(talk.response);
    const at = `calls[${calls.length}].`;
    const { differences, more, ignored: volatile, noise: rules } = call.how === 'exact' || call.how === 'refused' ? { differences: [], more: 0, ignored: 0, noise: [] }
      : compareTalk({ request: bytesOf(talk.request), response }, { request: call.request, response }, talk.connection.protocol);
    ignored += volatile;
    noise.push(...rules.map((one) => ({ ...one, path: at + one.path })));
    // An answer that was found by likeness is never a quiet "same".
    const changed = differences.length > 0 || (call.how !== 'exact' && call.how !== 'equal' && call.how !== 'refused');
    const verdict = changed ? 'different' : cameLate(talk, call, done) ? 'reordered' : 'same';
    done.push({ talk, live: call });
    calls.push({
      ...base, verdict, recorded: paired,
      summary: call.how === 'refused' ? `connect (${talk.end?.kind ?? 'failed'})` : summaryOf(call.request, response, talk.connection.protocol),
      differences: differences.map((difference) => ({ ...difference, path: at + difference.path })), ...atLeast(more),
    });
  }
  const onlySetUp = unused.size === 0 ? new Set<string>() : connectionsOnlySetUp(session);
  for (const index of unused) {
    const talk = session.outbound[index];
    if (talk === undefined || isFarewell(talk) || isAgreed(talk) || onlySetUp.has(talk.connection.id)) continue;
    calls.push({
      verdict: 'missing', destination: canonicalDestination(talk.connection.remote), recorded: index, differences: [],
      summary: summaryOf(bytesOf(talk.request), bytesOf(talk.response), talk.connection.protocol),
    });
  }
  return { calls, ignored, noise };
}

/** The unused recorded call that a live call without an answer is most like, for the report. */
function nearest(session: Session, unused: ReadonlySet<number>, call: LiveCall, threshold: number): number | undefined {
  let best: { index: number; score: number } | undefined;
  for (const index of unused) {
    const talk = session.outbound[index];
    if (talk === undefined || canonicalDestination(talk.connection.remote) !== call.destination) continue;
    const score = similarity(bytesOf(talk.request), call.request);
    if (score >= threshold && (best === undefined || score > best.score)) best = { index, score };
  }
  return best?.index;
}

const atUs = (talk: OutboundTalk, part: 'request' | 'response', at: 0 | -1): number | undefined => talk[part].at(at)?.atUs;

/**
 * True when this call was recorded wholly before, by the same thread, another one that was now answered before this one began.
 * Calls that overlapped, or that different threads made, have no order.
 */
function cameLate(talk: OutboundTalk, call: LiveCall, done: readonly { talk: OutboundTalk; live: LiveCall }[]): boolean {
  const answeredUs = atUs(talk, 'response', -1);
  const tid = talk.request[0]?.tid;
  return answeredUs !== undefined && done.some(({ talk: other, live }) => other.request[0]?.tid === tid
    && (atUs(other, 'request', 0) ?? 0) >= answeredUs && live.endedMs <= call.beganMs);
}

/** Connections that were set up (a login, `SET`) and ended before any call: a pool's spare ones. Nobody misses them. */
function connectionsOnlySetUp(session: Session): ReadonlySet<string> {
  const withPrologue = new Set(session.prologues.map(({ connection }) => connection));
  const found = new Set<string>();
  const framers = new Map<string, Framer>();
  for (const talk of session.outbound) {
    const { id, protocol } = talk.connection;
    if (withPrologue.has(id) || protocol === 'unknown' || isFarewell(talk)) continue;
    const framer = framers.get(id) ?? protocolNamed(protocol).framer();
    const isFirst = !framers.has(id);
    framers.set(id, framer);
    const frames: Frame[] = [];
    framer.push('client', bytesOf(talk.request), frames);
    const asked = [...frames];
    framer.push('server', bytesOf(talk.response), frames);
    if (isFirst) found.add(id);
    if (!framer.sure || asked.length === 0 || asked.some(({ setup }) => setup !== true)) found.delete(id);
  }
  return found;
}

/** Goodbyes (PostgreSQL Terminate, MySQL COM_QUIT, Redis QUIT): a pool that keeps its connection says none. */
export const isFarewell = (talk: OutboundTalk): boolean => isFarewellRequest(bytesOf(talk.request));

function isFarewellRequest(bytes: Uint8Array): boolean {
  const request = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 32)).toString('latin1');
  return request === 'X\0\0\0\x04' || request === '\x01\0\0\0\x01' || /^(\*1\r\n\$4\r\n)?quit\r\n$/i.test(request);
}
