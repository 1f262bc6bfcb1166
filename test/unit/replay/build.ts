/** Builders of sessions for the replay tests: times and threads are made up, bytes are the test's. */
import type { Chunk } from '../../../src/connections/account.ts';
import type { OutboundTalk, Prologue, Session } from '../../../src/sessions/session.ts';

const START_US = 1_700_000_000_000_000;

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

export function chunk(text: string, afterMs = 0, tid = 1): Chunk {
  return { atUs: START_US + afterMs * 1000, tid, bytes: bytes(text) };
}

export interface CallFacts {
  readonly to?: string;
  readonly protocol?: string;
  readonly request?: string;
  readonly response?: string;
  readonly atMs?: number;
  readonly tid?: number;
  readonly end?: OutboundTalk['end'];
  readonly afterResponse?: true;
}

export function call({ to = '10.0.0.5:80', protocol = 'unknown', request = '', response = '', atMs = 1, tid = 1, end, afterResponse }: CallFacts): OutboundTalk {
  return {
    connection: { id: `c-${to}`, local: '10.0.0.1:40000', remote: to, protocol },
    request: request === '' ? [] : [chunk(request, atMs, tid)], response: response === '' ? [] : [chunk(response, atMs + 0.5, tid)],
    attribution: 'thread', certainty: 'proven',
    ...(end === undefined ? {} : { end }), ...(afterResponse === undefined ? {} : { afterResponse }),
  };
}

export interface SessionFacts {
  readonly id?: string;
  readonly request: string;
  readonly response: string;
  readonly protocol?: string;
  readonly listener?: string;
  readonly client?: string;
  readonly calls?: readonly OutboundTalk[];
  readonly prologues?: readonly Prologue[];
  readonly names?: Session['names'];
  readonly certificate?: Session['certificate'];
}

export function session(facts: SessionFacts): Session {
  return {
    id: facts.id ?? 'aaaaaaaaaaaa', startedAtUs: START_US, durationMs: 10, entry: 'request', process: { tgid: 1, command: 'service' },
    inbound: {
      connection: { id: '1', local: facts.listener ?? '127.0.0.1:8080', remote: facts.client ?? '10.9.9.9:50000', protocol: facts.protocol ?? 'http' },
      request: [chunk(facts.request)], response: facts.response === '' ? [] : [chunk(facts.response, 9)],
    },
    outbound: facts.calls ?? [], ties: { proven: facts.calls?.length ?? 0, likely: 0, unknown: 0 },
    prologues: facts.prologues ?? [], names: facts.names ?? {},
    certificate: facts.certificate ?? { state: 'complete', lost: [], unseen: [] },
  };
}

export function prologue(destination: string, turns: readonly (readonly ['C' | 'S', string])[]): Prologue {
  return {
    connection: `p-${destination}`, destination,
    chunks: turns.map(([side, text]) => ({ ...chunk(text), direction: side === 'C' ? 'egress' as const : 'ingress' as const })),
  };
}

/** An HTTP response with a body. */
export const ok = (body: string, type = 'application/json'): string =>
  `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

/** An HTTP request without a body. */
export const get = (path: string, host = 'service'): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
