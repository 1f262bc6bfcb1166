/** Judges the calls of a played session against the recorded ones. Pure. */
import { compareTalk, kindsOf, similarity, type CompareOptions, type Noise } from '../compare/index.ts';
import type { Difference } from '../compare/index.ts';
import { protocolNamed } from '../protocols/index.ts';
import type { Fields, Frame, Framer, ProtocolName } from '../protocols/protocol.ts';
import type { OutboundTalk, Session } from '../sessions/session.ts';
import { MAX_COMPARED } from './best.ts';
import { bytesOf, neverConnected } from './calls.ts';
import { canonicalDestination } from './destination.ts';
import type { KeptElsewhere } from './process-state.ts';
import { isAgreed, type How, type LiveCall, type Played, type World } from './played.ts';
import type { Candidate, ReplayedCall } from './replayed.ts';
import { isOnlyNegotiation } from './setups.ts';

const NOTHING = new Uint8Array(0);
/** So many recorded calls are named for one that was not found among them. */
const MAX_CANDIDATES = 3;
const PERCENT = 100;

export type JudgeOptions = Pick<World, 'threshold'> & CompareOptions & {
  /** Also say which recorded calls each one was chosen among. */
  readonly explain?: boolean;
  /** What of a live connection's set-up (`LiveCall.settings`) is another than that of the recorded call; `equal`: its session's calls that ask the same. */
  readonly settings?: (session: Session, talk: OutboundTalk, live: string, equal: readonly OutboundTalk[]) => readonly Difference[];
};

export interface JudgedCalls {
  readonly calls: readonly ReplayedCall[];
  readonly ignored: number;
  readonly noise: readonly Noise[];
}

/** One line for a request: `GET /orders/7`. */
export function summaryOf(request: Uint8Array, response: Uint8Array, protocol: ProtocolName, fields?: Fields): string {
  return protocolNamed(protocol).summarise(request, response, fields).text;
}

export const summaryOfTalk = (talk: OutboundTalk): string => (neverConnected(talk) ? `connect (${talk.end?.kind ?? 'failed'})`
  : summaryOf(bytesOf(talk.request), bytesOf(talk.response), talk.connection.protocol));

/** What `compareTalk` found beyond what it lists. */
export const atLeast = (more: number): { more?: number } => (more > 0 ? { more } : {});

export function judgeCalls(session: Session, played: Pick<Played, 'calls' | 'cached'>, options: JudgeOptions): JudgedCalls {
  const unused = new Set(session.outbound.keys());
  for (const call of played.calls) if (call.recorded !== undefined) unused.delete(call.recorded);
  const calls: ReplayedCall[] = [];
  const done: { talk: OutboundTalk; live: LiveCall }[] = [];
  const noise: Noise[] = [];
  for (const call of played.calls) {
    // Whether a connection is closed within the session that used it or the next is chance.
    if (isFarewellRequest(call.request)) continue;
    const paired = pairOf(session, unused, call, options.threshold);
    const talk = paired === undefined ? undefined : session.outbound[paired.index];
    const explained = {
      how: call.how, because: reasonOf(call, paired),
      ...(options.explain === true && (call.how === 'none' || isLikeness(call.how)) ? { candidates: candidates(session, call, unused) } : {}),
    };
    const score = call.score ?? paired?.score;
    const base = { destination: call.destination, ...(call.certainty === undefined ? {} : { certainty: call.certainty }), ...(score === undefined ? {} : { score }) };
    if (paired === undefined || talk === undefined) {
      const verdict = call.how === 'state' ? 'state' : 'new';
      calls.push({ ...base, verdict, summary: call.how === 'refused' ? 'connect' : summaryOf(call.request, NOTHING, call.protocol), differences: [], ...explained });
      continue;
    }
    unused.delete(paired.index);
    const compared = compareCall(session, talk, call, `calls[${calls.length}].`, options);
    noise.push(...compared.noise);
    // An answer that was found by likeness is never a quiet "same", nor is an error.
    const changed = compared.differences.length > 0 || isLikeness(call.how) || call.how === 'none' || call.how === 'state';
    const verdict = changed ? 'different' : cameLate(talk, call, done) ? 'reordered' : 'same';
    done.push({ talk, live: call });
    calls.push({
      ...base, verdict, recorded: paired.index,
      summary: neverConnected(talk) ? summaryOfTalk(talk) : summaryOf(call.request, bytesOf(talk.response), talk.connection.protocol),
      differences: compared.differences, ...atLeast(compared.more), ...explained, ...(compared.drift.length > 0 ? { drift: compared.drift } : {}),
    });
  }
  calls.push(...notMade(session, unused, played.cached ?? []));
  return { calls, ignored: noise.length, noise };
}

export const isLikeness = (how: How): boolean => how === 'chunk' || how === 'similar' || how === 'nearest';

export interface ComparedCall {
  readonly differences: readonly Difference[];
  readonly more: number;
  readonly noise: readonly Noise[];
  readonly drift: readonly { readonly path: string; readonly kind: string }[];
}

/** Paths begin with `at`. What differs in a call that was found by drift is drift, and noise. */
export function compareCall(session: Session, talk: OutboundTalk, call: LiveCall, at: string, options: JudgeOptions): ComparedCall {
  const compared = compareAsked(talk, call, at, options);
  const settings = settingsDifferences(session, talk, call, options);
  if (settings.length === 0) return compared;
  const differences = [...compared.differences];
  const noise = [...compared.noise];
  for (const one of settings) {
    const placed = { ...one, path: at + one.path };
    const rule = options.ignore?.(placed);
    if (rule === undefined) differences.push(placed);
    else noise.push({ path: placed.path, rule });
  }
  return { ...compared, differences, noise };
}

function settingsDifferences(session: Session, talk: OutboundTalk, call: LiveCall, { settings }: JudgeOptions): readonly Difference[] {
  if (settings === undefined || call.settings === undefined) return [];
  const request = bytesOf(talk.request);
  return settings(session, talk, call.settings, session.outbound.filter((other) => other.connection.remote === talk.connection.remote && Buffer.compare(bytesOf(other.request), request) === 0));
}

function compareAsked(talk: OutboundTalk, call: LiveCall, at: string, { ignore, list }: CompareOptions): ComparedCall {
  if (call.how === 'exact' || call.how === 'refused') return { differences: [], more: 0, noise: [], drift: [] };
  const response = bytesOf(talk.response);
  const drift: { path: string; kind: string }[] = [];
  const placed = (difference: Difference): Difference => ({ ...difference, path: at + difference.path });
  const { differences, more, noise } = compareTalk({ request: bytesOf(talk.request), response }, { request: call.request, response }, talk.connection.protocol, {
    ...(list === undefined ? {} : { list: (path) => list(at + path) }),
    ignore: (difference) => {
      if (call.how !== 'drift' || isUnproven(difference, call)) return ignore?.(placed(difference));
      const kind = driftOf(difference);
      drift.push({ path: at + difference.path, kind });
      return `made by the service: ${kind}`;
    },
  });
  return { differences: differences.map(placed), more, noise: noise.map((one) => ({ ...one, path: at + one.path })), drift };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value) ?? '');
const isUnproven = ({ recorded }: Difference, { unproven = [] }: LiveCall): boolean => unproven.some((value) => textOf(recorded).includes(value));

function driftOf({ recorded, live }: Difference): string {
  const kinds = kindsOf(textOf(recorded), textOf(live)) ?? [];
  return kinds.length === 0 ? 'value' : kinds.join(', ');
}

/** Why this recorded call, or none, in words. */
export function reasonOf({ how, kept, repeated }: LiveCall, paired: { score?: number } | undefined): string {
  const score = paired?.score;
  switch (how) {
    case 'exact': return 'the same bytes';
    case 'equal': return 'the same to its protocol';
    case 'drift': return 'the same but for values that the service makes itself';
    case 'state': return paired !== undefined ? `another call than recorded; answered as in ${whose(kept)}` : `this session has no such call; ${whose(kept)} had the answer ${ago(kept)} before, when recorded`;
    case 'chunk': return 'most pieces in common (--match chunk)';
    case 'similar': return 'the most similar one (--match sim)';
    case 'nearest': return 'nothing matched; the nearest one (--on-miss nearest)';
    case 'refused': return paired === undefined ? 'tried to connect once more than recorded' : 'failed to connect, as recorded';
    case 'none':
      if (repeated === true) return 'made once more than recorded';
      return score === undefined ? 'no recorded call that is left is like it' : `not answered; the most like it is ${Math.round(score * PERCENT)}% alike`;
  }
}

const whose = (kept: KeptElsewhere | undefined): string => (kept === undefined || kept.session === '' ? 'the service by itself' : `session ${kept.session}`);
const ago = (kept: KeptElsewhere | undefined): string => `${((kept?.agoMs ?? 0) / 1000).toFixed(1)} s`;

/** Recorded calls that nobody made: missing, or kept by the process. Goodbyes and connections that were only set up are not missed. */
function notMade(session: Session, unused: ReadonlySet<number>, cached: NonNullable<Played['cached']>): ReplayedCall[] {
  if (unused.size === 0) return [];
  const onlySetUp = connectionsOnlySetUp(session);
  const kept = new Map(cached.map((one) => [one.recorded, one]));
  return [...unused].flatMap((index) => {
    const talk = session.outbound[index];
    if (talk === undefined || isFarewell(talk) || isAgreed(talk) || onlySetUp.has(talk.connection.id)) return [];
    const elsewhere = kept.get(index);
    return [{
      verdict: elsewhere === undefined ? 'missing' as const : 'cached' as const, destination: canonicalDestination(talk.connection.remote), recorded: index, differences: [],
      summary: summaryOfTalk(talk),
      ...(elsewhere === undefined ? {} : { because: `${whose(elsewhere)} got the same answer ${ago(elsewhere)} before, in this run` }),
    }];
  });
}

function mostLike(session: Session, indexes: Iterable<number>, call: LiveCall): { index: number; score: number }[] {
  const scored: { index: number; score: number }[] = [];
  for (const index of indexes) {
    const talk = session.outbound[index];
    if (talk === undefined || canonicalDestination(talk.connection.remote) !== call.destination) continue;
    if (scored.length >= MAX_COMPARED) break;
    scored.push({ index, score: similarity(bytesOf(talk.request), call.request) });
  }
  return scored.sort((a, b) => b.score - a.score || a.index - b.index);
}

/**
 * The recorded call that a live one is compared with: whose answer it got, else the unused one that it is most like. Where a call
 * like one that another session answered was not made, it is that one, changed: not both what the process forgot and what it kept.
 */
function pairOf(session: Session, unused: ReadonlySet<number>, call: LiveCall, threshold: number): { index: number; score?: number } | undefined {
  if (call.recorded !== undefined) return { index: call.recorded };
  if (call.repeated === true) return undefined;
  const [best] = mostLike(session, unused, call);
  return best !== undefined && best.score >= threshold ? best : undefined;
}

function candidates(session: Session, call: LiveCall, unused: ReadonlySet<number>): Candidate[] {
  return mostLike(session, session.outbound.keys(), call).slice(0, MAX_CANDIDATES).map(({ index, score }) => {
    const talk = session.outbound[index]!;
    return {
      recorded: index, score, summary: summaryOfTalk(talk),
      ...(unused.has(index) || index === call.recorded ? {} : { used: true }),
    };
  });
}

const atUs = (talk: OutboundTalk, part: 'request' | 'response', at: 0 | -1): number | undefined => talk[part].at(at)?.atUs;

/** The goroutine that made it, which may have gone from thread to thread; else the thread. */
function madeBy({ request: [first] }: OutboundTalk): string {
  return first !== undefined && 'goroutine' in first ? `goroutine ${first.goroutine}` : `thread ${first?.tid}`;
}

/**
 * True when this call was recorded wholly before, by the same thread, another one that was now answered before this one began.
 * Calls that overlapped, or that different threads made, have no order.
 */
function cameLate(talk: OutboundTalk, call: LiveCall, done: readonly { talk: OutboundTalk; live: LiveCall }[]): boolean {
  const answeredUs = atUs(talk, 'response', -1);
  const whose = madeBy(talk);
  return answeredUs !== undefined && done.some(({ talk: other, live }) => madeBy(other) === whose
    && (atUs(other, 'request', 0) ?? 0) >= answeredUs && live.endedMs <= call.beganMs);
}

/** Connections that were set up (a login, `SET`) and ended before any call: a pool's spare ones. Nobody misses them. */
function connectionsOnlySetUp(session: Session): ReadonlySet<string> {
  const withPrologue = new Set(session.prologues.filter((prologue) => !isOnlyNegotiation(prologue)).map(({ connection }) => connection));
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

export function isFarewellRequest(bytes: Uint8Array): boolean {
  const request = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 32)).toString('latin1');
  return request === 'X\0\0\0\x04' || request === '\x01\0\0\0\x01' || /^(\*1\r\n\$4\r\n)?quit\r\n$/i.test(request);
}
