/** Builds events with a fake clock: a scene is written as what threads do, and derived. */
import { Derivation } from '../../../src/sessions/derivation.ts';
import type { DerivationOptions } from '../../../src/sessions/derivation.ts';
import type { AmbientTalk, Chunk, ConnectionAccount, Session } from '../../../src/sessions/session.ts';
import type {
  AcceptedEvent, AppendEvent, Cause, CloseEvent, DataEvent, Direction, Event, GapEvent, HelperEvent, IntentEvent, LostEvent, OpenEvent, ProcessEvent, SentEvent, UdpEvent,
} from '../../../src/events/event.ts';

export const SECOND = 1_000_000;
const START_US = 1_700_000_000 * SECOND;

export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

export function textOf(chunks: readonly Chunk[]): string {
  return chunks.map((chunk) => ('bytes' in chunk ? Buffer.from(chunk.bytes).toString('latin1') : `<${chunk.gap} ${chunk.cause}>`)).join('');
}

interface Streams {
  ingress: number;
  egress: number;
}

export class Scene {
  readonly events: Event[] = [];
  nowUs = START_US;
  tgid = 100;
  #streams = new Map<number, Streams>();

  get #base(): { atUs: number; tgid: number; context: number; snapshot: boolean } {
    this.nowUs += 10;
    return { atUs: this.nowUs, tgid: this.tgid, context: 0, snapshot: false };
  }

  wait(us: number): this {
    this.nowUs += us;
    return this;
  }

  add(event: Event): this {
    this.events.push(event);
    return this;
  }

  of(connection: number): Streams {
    const known = this.#streams.get(connection) ?? { ingress: 0, egress: 0 };
    this.#streams.set(connection, known);
    return known;
  }

  open(connection: number, tid: number, learnt: OpenEvent['learnt'], more: Partial<OpenEvent> = {}): this {
    const inbound = learnt === 'accept';
    const event: OpenEvent = {
      ...this.#base, kind: 'open', connection, tid, learnt, role: learnt === 'seen' ? 'unknown' : inbound ? 'inbound' : 'outbound', family: 'ipv4',
      local: inbound ? { host: '10.0.0.1', port: 80 } : { host: '10.0.0.1', port: 40_000 + connection },
      remote: inbound ? { host: '10.0.0.9', port: 50_000 + connection } : { host: '10.0.0.2', port: 9_000 },
      netns: 1, socketInode: connection, ingressFrom: 0, egressFrom: 0, command: 'service', ...more,
    };
    const streams = this.of(connection);
    streams.ingress = event.ingressFrom;
    streams.egress = event.egressFrom;
    return this.add(event);
  }

  accept(connection: number, tid = 1, more: Partial<OpenEvent> = {}): this {
    return this.open(connection, tid, 'accept', more);
  }

  connect(connection: number, tid = 1, more: Partial<OpenEvent> = {}): this {
    return this.open(connection, tid, 'connect', more);
  }

  data(connection: number, direction: Direction, tid: number, text: string, more: Partial<DataEvent> = {}): this {
    const bytes = bytesOf(text);
    const streams = this.of(connection);
    const event: DataEvent = {
      ...this.#base, kind: 'data', connection, direction, tid, position: streams[direction], length: bytes.length, cause: 'none', bytes,
      fromPacket: false, more: false, ...more,
    };
    streams[direction] = Math.max(streams[direction], event.position + event.length);
    return this.add(event);
  }

  read(connection: number, tid: number, text: string, more: Partial<DataEvent> = {}): this {
    return this.data(connection, 'ingress', tid, text, more);
  }

  write(connection: number, tid: number, text: string, more: Partial<DataEvent> = {}): this {
    return this.data(connection, 'egress', tid, text, more);
  }

  /** The last send took only `length` bytes, counted from `position`. */
  accepted(connection: number, tid: number, position: number, length: number): this {
    this.of(connection).egress = position + length;
    const event: AcceptedEvent = { ...this.#base, kind: 'accepted', connection, direction: 'egress', tid, position, length };
    return this.add(event);
  }

  intent(connection: number, tid: number, length: number): this {
    const event: IntentEvent = { ...this.#base, kind: 'intent', connection, direction: 'egress', tid, position: this.of(connection).egress, length };
    return this.add(event);
  }

  sent(connection: number, tid: number, position: number, length: number): this {
    const event: SentEvent = { ...this.#base, kind: 'sent', connection, direction: 'egress', tid, position, length };
    const streams = this.of(connection);
    streams.egress = Math.max(streams.egress, position + length);
    return this.add(event);
  }

  packet(connection: number, position: number, text: string): this {
    return this.write(connection, 0, text, { position, fromPacket: true, tgid: 0 });
  }

  gap(connection: number, direction: Direction, tid: number, length: number, cause: Cause): this {
    const streams = this.of(connection);
    const event: GapEvent = { ...this.#base, kind: 'gap', connection, direction, tid, position: streams[direction], length, cause };
    streams[direction] += length;
    return this.add(event);
  }

  /** Bytes that no event tells of. */
  skip(connection: number, direction: Direction, length: number): this {
    this.of(connection)[direction] += length;
    return this;
  }

  close(connection: number, tid = 1, phase: CloseEvent['phase'] = 'done', more: Partial<CloseEvent> = {}): this {
    const { ingress, egress } = this.of(connection);
    return this.add({
      ...this.#base, kind: 'close', connection, tid, phase, byRemote: false, reset: false, error: 0, ingressFinal: ingress, egressFinal: egress, ...more,
    });
  }

  process(what: ProcessEvent['what'], tid: number, more: Partial<ProcessEvent> = {}): this {
    return this.add({
      ...this.#base, kind: 'process', what, tid, childTgid: this.tgid, childTid: tid, parentTgid: 1, exitCode: 0, command: 'service', path: '', ...more,
    });
  }

  lost(cause: Cause, events: number): this {
    const event: LostEvent = { ...this.#base, kind: 'lost', tid: 0, cause, events, bytes: 0 };
    return this.add(event);
  }

  udp(direction: Direction, tid: number, port: number, bytes: Uint8Array): this {
    const event: UdpEvent = {
      ...this.#base, kind: 'udp', tid, direction, local: { host: '10.0.0.1', port: 33_333 }, remote: { host: '10.0.0.53', port }, netns: 1,
      length: bytes.length, bytes,
    };
    return this.add(event);
  }

  append(tid: number, path: string, position: number, text: string, more: Partial<AppendEvent> = {}): this {
    const bytes = bytesOf(text);
    return this.add({ ...this.#base, kind: 'append', tid, path, inode: 77, position, length: bytes.length, cause: 'none', bytes, more: false, ...more });
  }

  /** A datagram to 127.127.127.127:127: `body` follows the command and its newline. */
  helper(tid: number, command: string, { flags = 0, body = '', ...more }: { flags?: number; body?: string } & Partial<HelperEvent> = {}): this {
    return this.add({ ...this.#base, kind: 'helper', tid, flags, bytes: bytesOf(`to-koala!${command}\n${body}`), ...more });
  }

  pause(resumedAfterUs: number): this {
    const base = this.#base;
    this.nowUs += resumedAfterUs;
    return this.add({ ...base, kind: 'pause', tid: 0, resumedAtUs: resumedAfterUs === 0 ? 0 : this.nowUs });
  }

  /** Time goes by, and something that concerns nobody happens. */
  pass(us: number): this {
    return this.wait(us).process('seen', 999, { tgid: 999 });
  }

  /** Time goes by, nothing happens, and the recorder says so. `sent`: what connections have sent, all by default. */
  mark(us: number, sent: Readonly<Record<number, number>> = Object.fromEntries([...this.#streams].map(([connection, { egress }]) => [connection, egress]))): this {
    this.nowUs += us;
    const taken = Object.entries(sent).map(([connection, position]) => ({ connection: Number(connection), position }));
    return this.add({ kind: 'mark', atUs: this.nowUs, tgid: 0, tid: 0, context: 0, snapshot: false, sent: taken });
  }

  /** Four threads behind port 80 that serve a connection each, and take another while the rest are at work: no event loop could so often. */
  workers(tids: readonly number[] = [91, 92, 93, 94], from = 9_000): this {
    const serving = new Map<number, number>();
    let next = from;
    const take = (tid: number): void => {
      serving.set(tid, next);
      this.accept(next, tid).read(next, tid, GET(WORKED));
      next += 1;
    };
    const answer = (tid: number): void => {
      const connection = serving.get(tid) as number;
      this.write(connection, tid, OK('w')).close(connection, tid, 'local-fin').close(connection, tid);
    };
    tids.forEach(take);
    for (let round = 0; round < 3; round += 1) for (const tid of tids) { answer(tid); take(tid); }
    tids.forEach(answer);
    return this;
  }

  derive(options: Partial<DerivationOptions> & { orderly?: boolean } = {}): Findings {
    return derived(this.events, options);
  }
}

export interface Findings {
  sessions: Session[];
  ambient: AmbientTalk[];
  connections: Map<string, ConnectionAccount>;
}

export function derived(events: readonly Event[], { orderly = true, ...options }: Partial<DerivationOptions> & { orderly?: boolean } = {}): Findings {
  const found: Findings = { sessions: [], ambient: [], connections: new Map() };
  const derivation = new Derivation({
    recordingId: 'test',
    onSession: (session) => found.sessions.push(session),
    onAmbient: (talk) => found.ambient.push(talk),
    onConnection: (account) => found.connections.set(account.id, account),
    ...options,
  });
  for (const event of events) derivation.push(event);
  derivation.finish(orderly);
  found.sessions.sort((a, b) => a.startedAtUs - b.startedAtUs);
  return found;
}

/** The path of what `workers` served. */
const WORKED = '/worked';
/** Sessions but those of `workers`. */
export const besides = (sessions: readonly Session[]): Session[] => sessions.filter((session) => !textOf(session.inbound.request).startsWith(GET(WORKED)));

/** The target of a request, as far as it is a path. */
export const pathIn = (text: string): string => /\/\S*/.exec(text)?.[0] ?? '';
/** `/path: /call attribution certainty, …; state` of each session but those of `workers`. */
export const told = ({ sessions }: Findings): string[] => besides(sessions).map(({ inbound, outbound, certificate }) =>
  `${pathIn(textOf(inbound.request))}: ${outbound.map((call) => `${pathIn(textOf(call.request))} ${call.attribution} ${call.certainty}`).join(', ')}; ${certificate.state}`);
/** The paths of talks of no session. */
export const strays = ({ ambient }: Findings): string[] => ambient.map((talk) => pathIn(textOf(talk.request)));

/** With a trace id that is all the same digit. */
export const marked = (target: string, digit: string | number, span = '1'): string =>
  `GET ${target} HTTP/1.1\r\nHost: x\r\ntraceparent: 00-${String(digit).repeat(32)}-${span.repeat(16)}-01\r\n\r\n`;
export const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
export const OK = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
