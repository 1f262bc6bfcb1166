/**
 * What the service's process keeps between sessions (a cache), seen from outside. A session that was recorded with a warm cache
 * lacks a call that it makes with a cold one, and the other way round. Both are recognised by equal calls of other sessions,
 * and by time: a cache kept nothing longer than the shortest while after which an equal call was made again, and nothing
 * shorter than the longest while without one. What time disproves is a call that is new, or not made any more.
 * So is one of a kind that the recording does not show to be made now and then: by some sessions of an endpoint, and not by all.
 */
import { canonicalText, compareTalk, requestModel } from '../compare/index.ts';
import { protocolNamed } from '../protocols/index.ts';
import type { Session } from '../sessions/session.ts';
import { bytesOf, callsOf, type RecordedCall } from './calls.ts';
import { endpointOf } from './endpoint.ts';
import { mayBeKept } from './kept-calls.ts';
import { keyOf } from './request-index.ts';

/** An equal call of another session. */
export interface KeptElsewhere {
  /** The session that made it; empty: none, the service did by itself (its start). */
  readonly session: string;
  /** How long before, by the clock of the recording (`state`) or of this run (`cached`). */
  readonly agoMs: number;
}

export interface StateAnswer extends KeptElsewhere {
  readonly call: RecordedCall;
}

type Asked = Pick<RecordedCall, 'destination' | 'request' | 'protocol'>;

interface RecordedEntry {
  readonly session: Session;
  readonly call: RecordedCall;
  readonly atUs: number;
}

interface LiveEntry {
  readonly session: string;
  readonly call: RecordedCall;
  readonly atMs: number;
}

/** Answered calls of this run that are remembered, and different ones among them. */
const MAX_PENDING = 20_000;
const MAX_KEYS = 50_000;
/** So often has a call to be seen again before that says anything. */
const MIN_PROOFS = 2;
const NOTHING = new Uint8Array(0);
/** Sessions whose recorded calls are searched. */
const MAX_SESSIONS = 2_000;

const keyOfCall = ({ destination, request, protocol }: Pick<RecordedCall, 'destination' | 'request' | 'protocol'>): string =>
  `${destination} ${keyOf(canonicalText(requestModel(request, protocol)))}`;

/** Sessions of an endpoint, and how many of each kind of call one of them made at most. */
interface Endpoint {
  sessions: number;
  readonly kinds: Map<string, { most: number; having: number }>;
}

/** What calls have in common that ask for different things of one kind. */
function kindOf({ destination, request, protocol }: Pick<RecordedCall, 'destination' | 'request' | 'protocol'>): string {
  const { text } = protocolNamed(protocol).summarise(request, NOTHING);
  return `${destination} ${text.replace(/'[^']*'/g, '*').split(/([\s/:=,&?()]+)/).map((word) => (/\d/.test(word) ? '*' : word)).join('')}`;
}

function countedKinds(calls: readonly RecordedCall[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const call of calls) counts.set(kindOf(call), (counts.get(kindOf(call)) ?? 0) + 1);
  return counts;
}

function endpointOfSession({ inbound }: Session): string {
  return endpointOf(protocolNamed(inbound.connection.protocol).summarise(bytesOf(inbound.request), NOTHING).text);
}

export class ProcessState {
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #recorded = new Map<string, RecordedEntry[]>();
  readonly #live = new Map<string, LiveEntry[]>();
  readonly #processes = new Set<number>();
  readonly #known = new Set<string>();
  /** Not indexed yet: most runs never ask. */
  #learnt: Session[] = [];
  #pending: LiveEntry[] = [];

  /** A recorded session's calls can be asked for from now on; once is enough. */
  learn(session: Session): void {
    if (this.#known.has(session.id) || this.#known.size >= MAX_SESSIONS) return;
    this.#known.add(session.id);
    this.#processes.add(session.process.tgid);
    this.#learnt.push(session);
  }

  /** A live call was answered as `call` was. `session`: the id of the one it was made in; empty while none was played. */
  answered(session: string, call: RecordedCall, nowMs: number): void {
    if (this.#pending.length >= MAX_PENDING) this.#pending = this.#pending.slice(MAX_PENDING / 2);
    this.#pending.push({ session, call, atMs: nowMs });
  }

  /**
   * The latest equal call that another session had made before `session` was over, when it was recorded. Undefined where that was
   * not kept: the recording mostly shows it made again sooner; or this run has made it already in less time than it was kept
   * then, as often as there were processes; or such a call is made always, or never. `before`: what `session` was so answered already.
   */
  answerFor(session: Session, request: Asked, nowMs: number, before: readonly Asked[] = []): StateAnswer | undefined {
    if (!mayBeKept(request.request, request.protocol)) return undefined;
    this.#index();
    const key = keyOfCall(request);
    const untilUs = session.startedAtUs + session.durationMs * 1000;
    let latest: RecordedEntry | undefined;
    for (const entry of this.#recorded.get(key) ?? []) {
      if (entry.session.id !== session.id && entry.atUs < untilUs && (latest === undefined || entry.atUs >= latest.atUs)) latest = entry;
    }
    if (latest === undefined || !this.#isMadeNowAndThen(session, latest.session, kindOf(request), before)) return undefined;
    const keptMs = Math.max(0, session.startedAtUs - latest.atUs) / 1000;
    const since = (this.#live.get(key) ?? []).filter(({ atMs }) => nowMs - atMs < keptMs).length;
    if (since >= this.#processes.size || this.#isAskedAnew(key, latest.session.process.tgid, keptMs)) return undefined;
    return { call: latest.call, session: latest.session.id, agoMs: keptMs };
  }

  /**
   * Why `call` of `session`, which was not made, need not have been: another session of this run (or the same one, played before
   * it began at `beganMs`) got the same answer to the same call, not longer ago than a cache can have kept it by what was seen.
   */
  keptFor(session: Session, call: RecordedCall, beganMs: number, nowMs: number): KeptElsewhere | undefined {
    if (!mayBeKept(call.request, call.protocol)) return undefined;
    this.#index();
    const key = keyOfCall(call);
    const made = this.#live.get(key) ?? [];
    const last = made.findLast(({ session: other, atMs }) => other !== session.id || atMs < beganMs);
    if (last === undefined || !agree(last.call, call)) return undefined;
    const agoMs = nowMs - last.atMs;
    const keptMs = Math.min(this.#shortestRecordedMs(key, session.process.tgid, call), this.#shortestLiveMs(made) / 2);
    return agoMs < keptMs ? { session: last.session, agoMs } : undefined;
  }

  /** Whether some session of the same endpoint made more calls of this kind than this one, or not all of the endpoint that made it do. */
  #isMadeNowAndThen(session: Session, maker: Session, kind: string, before: readonly Asked[]): boolean {
    const own = (countedKinds(callsOf(session)).get(kind) ?? 0) + before.filter((one) => kindOf(one) === kind).length;
    if (own < (this.#endpoints.get(endpointOfSession(session))?.kinds.get(kind)?.most ?? 0)) return true;
    const makers = maker.id === '' ? undefined : this.#endpoints.get(endpointOfSession(maker));
    return makers !== undefined && (makers.kinds.get(kind)?.having ?? 0) < makers.sessions;
  }

  #countKinds(session: Session, calls: readonly RecordedCall[]): void {
    if (session.id === '') return;
    const name = endpointOfSession(session);
    let endpoint = this.#endpoints.get(name);
    if (endpoint === undefined) this.#endpoints.set(name, endpoint = { sessions: 0, kinds: new Map() });
    endpoint.sessions += 1;
    for (const [kind, count] of countedKinds(calls)) {
      const known = endpoint.kinds.get(kind);
      if (known === undefined) endpoint.kinds.set(kind, { most: count, having: 1 });
      else {
        known.most = Math.max(known.most, count);
        known.having += 1;
      }
    }
  }

  /** Whether one process, when recorded, mostly made this call again sooner than after `keptMs`: then it kept nothing that long. */
  #isAskedAnew(key: string, tgid: number, keptMs: number): boolean {
    const times = (this.#recorded.get(key) ?? []).flatMap((entry) => (entry.session.process.tgid === tgid ? [entry.atUs] : [])).sort((a, b) => a - b);
    const sooner = times.filter((atUs, at) => at > 0 && atUs - times[at - 1]! < keptMs * 1000).length;
    return sooner >= MIN_PROOFS && sooner * 2 >= times.length - 1;
  }

  /** The shortest while after which one process made this call again, up to `call` itself. */
  #shortestRecordedMs(key: string, tgid: number, call: RecordedCall): number {
    const atUs = call.talk.request[0]?.atUs ?? Infinity;
    const times = (this.#recorded.get(key) ?? []).flatMap((entry) => (entry.session.process.tgid === tgid && entry.atUs <= atUs ? [entry.atUs] : []));
    return shortest(times.sort((a, b) => a - b), 1) / 1000;
  }

  /** The shortest while in this run in which it was made more often than there were processes. */
  #shortestLiveMs(made: readonly LiveEntry[]): number {
    return shortest(made.map(({ atMs }) => atMs), Math.max(1, this.#processes.size));
  }

  #index(): void {
    for (const session of this.#learnt) {
      const calls = callsOf(session);
      this.#countKinds(session, calls);
      for (const call of calls) append(this.#recorded, keyOfCall(call), { session, call, atUs: call.talk.request[0]?.atUs ?? session.startedAtUs });
    }
    this.#learnt = [];
    for (const entry of this.#pending) append(this.#live, keyOfCall(entry.call), entry);
    this.#pending = [];
    for (const key of this.#live.keys()) {
      if (this.#live.size <= MAX_KEYS) break;
      this.#live.delete(key);
    }
  }
}

/** So many equal calls are remembered, the latest. */
const MAX_EQUAL = 64;

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [value]);
  else {
    known.push(value);
    if (known.length > 2 * MAX_EQUAL) known.splice(0, MAX_EQUAL);
  }
}

/** The shortest time between one of `times` (ascending) and the one `apart` places on; Infinity when there are too few. */
function shortest(times: readonly number[], apart: number): number {
  let least = Infinity;
  for (let at = apart; at < times.length; at += 1) least = Math.min(least, times[at]! - times[at - apart]!);
  return least;
}

function agree(one: RecordedCall, other: RecordedCall): boolean {
  const { request } = other;
  return compareTalk({ request, response: other.response }, { request, response: one.response }, other.protocol).verdict === 'same';
}
