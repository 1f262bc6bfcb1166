/**
 * What finding a live call among recorded ones costs, in a session of 10,000 of them, the making of the index included. Run:
 * `node --import tsx bench/match.ts [--calls N] [--rounds N]`. CPU time of this thread; the least of the rounds says most on a busy machine.
 */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { equalByProtocol, similarity } from '../src/compare/index.ts';
import { CallBook } from '../src/replay/calls.ts';
import type { OutboundTalk, Session } from '../src/sessions/session.ts';

const { values } = parseArgs({ options: { calls: { type: 'string', default: '10000' }, rounds: { type: 'string', default: '5' } } });
const CALLS = Number(values.calls);
const ROUNDS = Number(values.rounds);
const START_US = 1_700_000_000_000_000;
const TO = '10.1.2.3:80';
const CLOCKS = { recordedMs: START_US / 1000, liveMs: START_US / 1000 };

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const respOf = (words: readonly string[]): string => `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;

interface Form {
  readonly protocol: 'http' | 'redis';
  /** Request `n`, with a value that the service makes itself; `order`: the same written another way. */
  request(n: number, made: string, order: 'recorded' | 'live'): string;
}

const FORMS: Readonly<Record<string, Form>> = {
  'HTTP, 300 bytes of JSON': {
    protocol: 'http',
    request: (n, made, order) => {
      const body = JSON.stringify(order === 'recorded' ? { id: made, item: n, note: `order ${n} of the shop`, lines: [{ sku: `sku-${n % 97}`, quantity: n % 7 }] }
        : { item: n, id: made, lines: [{ quantity: n % 7, sku: `sku-${n % 97}` }], note: `order ${n} of the shop` });
      const head = [`Host: items`, 'Accept: */*', 'Content-Type: application/json', `Content-Length: ${body.length}`];
      return `POST /items/${n}?page=${n % 13} HTTP/1.1\r\n${(order === 'recorded' ? head : head.reverse()).join('\r\n')}\r\n\r\n${body}`;
    },
  },
  'Redis, a command': { protocol: 'redis', request: (n, made, order) => respOf([order === 'recorded' ? 'SET' : 'set', `order:${n}`, made]) },
};

function sessionOf(form: Form, made: readonly string[]): Session {
  const chunk = (text: string) => ({ atUs: START_US, tid: 1, bytes: bytes(text) });
  const outbound = made.map((value, n): OutboundTalk => ({
    connection: { id: '2', local: '10.0.0.1:40000', remote: TO, protocol: form.protocol },
    request: [chunk(form.request(n, value, 'recorded'))], response: [chunk('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')], attribution: 'thread', certainty: 'proven',
  }));
  return {
    id: 's', startedAtUs: START_US, durationMs: 1, entry: 'request', process: { tgid: 1, command: 'service' },
    inbound: { connection: { id: '1', local: '127.0.0.1:80', remote: '10.9.0.1:50000', protocol: 'http' }, request: [chunk('GET / HTTP/1.1\r\nHost: a\r\n\r\n')], response: [] },
    outbound, ties: { proven: CALLS, likely: 0, unknown: 0 }, prologues: [], names: {}, certificate: { state: 'complete', lost: [], unseen: [] },
  };
}

type Step = 'bytes' | 'meaning' | 'drift';

/** µs of CPU a call. */
function cost(form: Form, step: Step): number {
  const made = Array.from({ length: CALLS }, () => randomUUID());
  const session = sessionOf(form, made);
  const live = made.map((value, n) => bytes(form.request(n, step === 'drift' ? randomUUID() : value, step === 'bytes' ? 'recorded' : 'live')));
  const book = new CallBook(session, { equal: equalByProtocol, similarity });
  const began = process.cpuUsage();
  live.forEach((request, n) => {
    // As the engine asks: each step when the one before found nothing.
    let call = book.exact(TO, request);
    if (call === undefined && step !== 'bytes') call = book.equal(TO, request);
    const drift = call === undefined && step === 'drift' ? book.drift(TO, request, CLOCKS) : undefined;
    call ??= drift?.call;
    if (call?.index !== n) throw new Error(`call ${n} was taken for ${call?.index}`);
    book.use(call, drift?.made);
  });
  const { user, system } = process.cpuUsage(began);
  return (user + system) / CALLS;
}

console.log(`Found among ${CALLS} recorded calls: µs of CPU a call (best of ${ROUNDS}; median)\n\n| request | by its bytes | by its meaning | by drift |\n|---|---|---|---|`);
for (const [name, form] of Object.entries(FORMS)) {
  const cells = (['bytes', 'meaning', 'drift'] as const).map((step) => {
    const some = Array.from({ length: ROUNDS }, () => cost(form, step)).sort((a, b) => a - b);
    return `${some[0]?.toFixed(1)} (${some[some.length >> 1]?.toFixed(1)})`;
  });
  console.log(`| ${name} | ${cells.join(' | ')} |`);
}
