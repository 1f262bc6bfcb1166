/** The service and the sessions of the replay benchmarks. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { OutboundTalk, Session } from '../src/sessions/session.ts';

export const PORT = 18_090;
export const DEPENDENCY = '10.1.2.3:80';
const START_US = 1_700_000_000_000_000;

/** Compiles bench/replay-service.c into a folder; needs a C compiler. */
export function buildService(folder: string): string {
  const service = join(folder, 'service');
  execFileSync('cc', ['-O2', '-pthread', '-o', service, fileURLToPath(new URL('replay-service.c', import.meta.url))]);
  return service;
}

const chunk = (text: string, atUs: number) => ({ atUs: START_US + atUs, tid: 1, bytes: new Uint8Array(Buffer.from(text)) });

function callOf(item: number): OutboundTalk {
  const body = `item ${item}`;
  return {
    connection: { id: '2', local: '10.0.0.1:40000', remote: DEPENDENCY, protocol: 'http' },
    request: [chunk(`GET /items/${item} HTTP/1.1\r\nHost: items\r\n\r\n`, 10)],
    response: [chunk(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`, 20)],
    attribution: 'thread', certainty: 'proven',
  };
}

/** Clients that are connected at a time, where a connection carries several sessions. */
const CLIENTS = 16;

/** The client connection of session `n`: each carries `kept` of them, CLIENTS are open at a time and take turns. */
function clientOf(n: number, kept: number): number {
  return kept === 1 ? n : Math.floor(n / (CLIENTS * kept)) * CLIENTS + (n % CLIENTS);
}

/** Session `n` of those that make `calls` calls each, no two of them equal. */
export function sessionOf(n: number, calls: number, kept: number): Session {
  const client = clientOf(n, kept);
  const target = calls === 0 ? `/plain/${n}` : `/calls/${n * calls}/${calls}`;
  return {
    id: `s${n}`, startedAtUs: START_US, durationMs: 1, entry: 'request', process: { tgid: 1, command: 'service' },
    inbound: {
      connection: { id: `${client}`, local: `127.0.0.1:${PORT}`, remote: `10.9.${(client >> 8) & 255}.${client & 255}:50000`, protocol: 'http' },
      request: [chunk(`GET ${target} HTTP/1.1\r\nHost: service\r\n\r\n`, 0)],
      response: [chunk('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 100)],
    },
    outbound: Array.from({ length: calls }, (_, at) => callOf(n * calls + at)),
    ties: { proven: calls, likely: 0, unknown: 0 }, prologues: [], names: {}, certificate: { state: 'complete', lost: [], unseen: [] },
  };
}
