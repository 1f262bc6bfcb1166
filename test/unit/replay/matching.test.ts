import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { equalByProtocol, similarity } from '../../../src/compare/index.ts';
import { CallBook, type RecordedCall } from '../../../src/replay/calls.ts';
import { bytes, call, get, ok, session } from './build.ts';

const at = '10.0.0.5:80';
const judge = { equal: equalByProtocol, similarity };
const clocks = { recordedMs: 1_700_000_000_000, liveMs: Date.UTC(2026, 10, 25, 13, 7, 11) };

const post = (body: object, headers = ''): string => {
  const text = JSON.stringify(body);
  return `POST /orders HTTP/1.1\r\nHost: api\r\n${headers}Content-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
};

function bookOf(requests: readonly string[], more: { request?: string; responses?: readonly string[]; protocol?: string } = {}): CallBook {
  const calls = requests.map((request, n) => call({ to: at, protocol: more.protocol ?? 'http', request, response: more.responses?.[n] ?? ok(String(n)) }));
  return new CallBook(session({ request: more.request ?? get('/'), response: ok('x'), calls }), judge);
}

/** As the engine asks, and uses what it finds. */
function ask(book: CallBook, request: string): RecordedCall | undefined {
  const found = book.exact(at, bytes(request)) ?? book.equal(at, bytes(request));
  const drift = found === undefined ? book.drift(at, bytes(request), clocks) : undefined;
  const call = found ?? drift?.call;
  if (call !== undefined) book.use(call, drift?.made);
  return call;
}
const indexes = (book: CallBook, requests: readonly string[]): (number | undefined)[] => requests.map((request) => ask(book, request)?.index);

describe('matching inside a session', () => {
  it('gives calls that differ in one query value, header or parameter each its own answer, in whatever order they come', () => {
    const variants: ((n: number) => string)[] = [
      (n) => get(`/stock?item=${n}&size=l`, 'api'),
      (n) => `GET /me HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer user-${n}\r\n\r\n`,
      (n) => post({ item: n, amount: 1 }),
    ];
    for (const variant of variants) {
      const order = Array.from({ length: 200 }, (_, n) => n * 73 % 200);
      assert.deepEqual(indexes(bookOf(Array.from({ length: 200 }, (_, n) => variant(n))), order.map(variant)), order);
    }
  });

  it('takes an equal call for the same although its headers, query and JSON are ordered otherwise and its trace id is another one', () => {
    const book = bookOf([post({ a: 1, b: 2 }, 'Traceparent: 00-a\r\n'), post({ a: 1, b: 3 }, 'Traceparent: 00-b\r\n')]);
    assert.equal(ask(book, post({ b: 3, a: 1 }, 'Traceparent: 00-c\r\n'))?.index, 1);
    assert.equal(ask(book, post({ b: 9, a: 1 }, 'Traceparent: 00-c\r\n')), undefined);
  });

  it('takes equal calls in recorded order, each once', () => {
    const book = bookOf(Array.from({ length: 5 }, (_, n) => post({ a: 1 }, `X-Request-Id: ${n}\r\n`)));
    assert.deepEqual(indexes(book, Array.from({ length: 6 }, (_, n) => post({ a: 1 }, `X-Request-Id: new${n}\r\n`))), [0, 1, 2, 3, 4, undefined]);
  });

  it('does not take for made by the service what a recorded answer holds: it was passed on, and is another parameter', () => {
    const [own, other] = [randomUUID(), randomUUID()];
    const book = bookOf([get('/rows', 'api'), get(`/row?id=${own}`, 'api')], { responses: [ok(JSON.stringify([other])), ok('1')] });
    assert.deepEqual(indexes(book, [get('/rows', 'api'), get(`/row?id=${other}`, 'api'), get(`/row?id=${randomUUID()}`, 'api')]), [0, undefined, 1]);
  });

  it('finds a call again whose id the service makes itself, and nothing else may differ', () => {
    const book = bookOf([post({ id: randomUUID(), item: 7 })]);
    assert.equal(ask(book, post({ id: randomUUID(), item: 8 })), undefined);
    assert.equal(ask(book, post({ id: randomUUID(), item: 7 }))?.index, 0);
  });

  it('lets an id that was made lead to the calls that name it, also when they come in another order', () => {
    const [one, two, a, b] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    const book = bookOf([post({ id: one }), post({ id: two }), get(`/orders/${one}`), get(`/orders/${two}`)]);
    assert.deepEqual(indexes(book, [post({ id: a }), post({ id: b }), get(`/orders/${b}`), get(`/orders/${a}`)]), [0, 1, 3, 2]);
  });

  it('does not take two ids for one, nor one for two', () => {
    const [one, two, a, b] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()];
    assert.deepEqual(indexes(bookOf([post({ id: one }), get(`/orders/${one}`)]), [post({ id: a }), get(`/orders/${b}`)]), [0, undefined]);
    assert.deepEqual(indexes(bookOf([post({ id: one }), get(`/orders/${two}`)]), [post({ id: a }), get(`/orders/${a}`)]), [0, undefined]);
  });

  it('does not take an id for the service\'s own that came in with the request or with an answer', () => {
    const [given, other] = [randomUUID(), randomUUID()];
    assert.equal(ask(bookOf([get(`/users/${given}`)], { request: get(`/me?user=${given}`) }), get(`/users/${other}`)), undefined);
    const book = bookOf([get('/whoami'), get(`/users/${given}`)], { responses: [ok(JSON.stringify({ id: given })), ok('1')] });
    assert.deepEqual(indexes(book, [get('/whoami'), get(`/users/${other}`), get(`/users/${given}`)]), [0, undefined, 1]);
  });

  it('finds a binary UUID and a binary time of PostgreSQL again, and no other parameter', () => {
    const bind = (hex: string): string => {
      const value = Buffer.from(hex, 'hex').toString('latin1');
      const body = `\0s1\0\0\x01\0\x01\0\x01\0\0\0${String.fromCharCode(value.length)}${value}\0\0`;
      return `B\0\0\0${String.fromCharCode(body.length + 4)}${body}E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04`;
    };
    const micros = (ms: number): string => (BigInt(ms - 946_684_800_000) * 1000n).toString(16).padStart(16, '0');
    const uuid = (): string => randomUUID().replaceAll('-', '');
    const finds = (recorded: string, live: string): boolean => ask(bookOf([bind(recorded)], { protocol: 'postgresql' }), bind(live)) !== undefined;
    assert.equal(finds(uuid(), uuid()), true);
    assert.equal(finds(micros(clocks.recordedMs + 5), micros(clocks.liveMs + 9)), true);
    assert.equal(finds(micros(clocks.recordedMs + 5), micros(clocks.liveMs - 86_400_123)), false);
    assert.equal(finds('0000000000000007', '0000000000000008'), false);
  });

  it('chunk finds the call with most pieces in common, after the last match first, and nothing that has none', () => {
    const long = (n: number, tail: string): string => `SEARCH ${String(n).padStart(40, '0')} ${'x'.repeat(140)} ${tail}`;
    const book = bookOf([long(1, 'a'), long(2, 'b'), long(1, 'c')], { protocol: 'unknown' });
    assert.equal(book.chunk(at, bytes(long(2, 'z')), undefined)?.call.index, 1);
    assert.equal(book.chunk(at, bytes(long(1, 'z')), 0)?.call.index, 2);
    assert.equal(book.chunk(at, bytes('nothing of the kind at all, whatsoever'), undefined), undefined);
    assert.ok((book.chunk(at, bytes(long(1, 'a')), undefined)?.score ?? 0) > 1, 'the first piece weighs as much as all on a fresh connection');
  });
});
