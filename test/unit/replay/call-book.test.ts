/** What the recorded calls of one session, or of a mock, are found by when they are not simply the same. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { equalByProtocol, similarity } from '../../../src/compare/index.ts';
import { CallBook, type BookOf } from '../../../src/replay/calls.ts';
import { likeOf, nearestOf } from '../../../src/replay/likeness.ts';
import type { Play } from '../../../src/replay/play.ts';
import { bytes, call, get, ok, session } from './build.ts';

const at = '10.0.0.5:80';
const START_MS = 1_700_000_000_000;
const clocks = { recordedMs: START_MS, liveMs: Date.UTC(2026, 10, 25, 13, 7, 11) };

const book = (calls: readonly Parameters<typeof call>[0][], of: BookOf = 'session', request = get('/')): CallBook =>
  new CallBook(session({ request, response: ok('x'), calls: calls.map((facts) => call({ to: at, protocol: 'http', response: ok('1'), ...facts })) }), { equal: equalByProtocol, similarity }, of);
const asking = (...requests: readonly string[]): CallBook => book(requests.map((request) => ({ request })));
const drift = (of: CallBook, request: string): number | undefined => {
  const found = of.drift(at, bytes(request), clocks);
  if (found !== undefined) of.use(found.call, found.made);
  return found?.call.index;
};

describe('a call with values that the service makes itself', () => {
  it('is the one that was recorded with them, among however many that differ in nothing else and in whatever order', () => {
    const recorded = Array.from({ length: 100 }, () => randomUUID());
    const live = recorded.map(() => randomUUID());
    const orders = asking(...recorded.map((id) => `PUT /orders/${id} HTTP/1.1\r\nHost: service\r\n\r\n`), ...recorded.map((id) => get(`/orders/${id}`)));
    live.forEach((id, n) => assert.equal(drift(orders, `PUT /orders/${id} HTTP/1.1\r\nHost: service\r\n\r\n`), n));
    for (const n of [99, 0, 70, 1]) assert.equal(drift(orders, get(`/orders/${live[n]}`)), 100 + n);
  });

  it('gets once more the answer of the last one, also of very many, or in turn with cycle', () => {
    const made = (): string => get(`/made/${randomUUID()}`);
    const many = asking(...Array.from({ length: 70 }, made));
    for (let n = 0; n < 70; n += 1) drift(many, made());
    assert.equal(many.driftAgain(at, bytes(made()), 'last', clocks)?.call.index, 69);
    const two = asking(made(), made());
    assert.deepEqual((['last', 'cycle'] as const).map((repeats) => two.driftAgain(at, bytes(made()), repeats, clocks)?.call.index), [1, 0]);
  });

  it('is held against its own moment in a mock, whose calls are those of many sessions, and against its session\'s begin else', () => {
    const hour = 3_600_000;
    const later = [{ request: get(`/since?at=${START_MS + hour}`), atMs: hour }];
    const now = bytes(get(`/since?at=${clocks.liveMs}`));
    assert.deepEqual([book(later, 'mock').drift(at, now, clocks)?.call.index, book(later).drift(at, now, clocks)?.call.index], [0, undefined]);
  });

  it('is another one where what differs came in with the request, however that writes it', () => {
    const id = randomUUID();
    for (const given of [id, id.replaceAll('-', ''), id.toUpperCase(), encodeURIComponent(`{${id}}`)]) {
      const own = book([{ request: get(`/of/${id}`) }], 'session', get(`/?user=${given}`));
      assert.equal(drift(own, get(`/of/${randomUUID()}`)), undefined, given);
      assert.equal(own.isAsked(id), true, given);
    }
    const answered = book([{ request: get('/first'), response: ok(`"${id}"`) }, { request: get(`/of/${id}`) }]);
    assert.deepEqual([answered.isAsked(id), drift(answered, get(`/of/${randomUUID()}`))], [false, undefined]);
    // That an answer repeats what came in makes it no later.
    const both = book([{ request: get(`/of/${id}`), response: ok(`"${id}"`) }], 'session', get(`/?user=${id}`));
    assert.equal(both.isAsked(id), true);
  });
});

describe('a recorded call that was used', () => {
  it('is like no other one any more, and nothing goes on as it does; a mock gives it again', () => {
    for (const of of ['session', 'mock'] as const) {
      const one = book([{ request: get('/stock/1') }], of);
      assert.deepEqual([one.nearest(at, bytes(get('/stock/2')))?.call.index, one.goesOn(at, bytes('GET /st')), one.resembles(at, bytes(get('/stock/1')))], [0, true, true]);
      one.use(one.calls[0]!);
      assert.deepEqual([one.nearest(at, bytes(get('/stock/2')))?.call.index, one.goesOn(at, bytes('GET /st')), one.resembles(at, bytes(get('/stock/1')))], [of === 'mock' ? 0 : undefined, false, false]);
    }
  });

  it('resembles one that differs in values that the service makes itself, until it is used', () => {
    const made = asking(get(`/made/${randomUUID()}`));
    const live = bytes(get(`/made/${randomUUID()}`));
    assert.equal(made.resembles(at, live), true);
    made.use(made.calls[0]!);
    assert.equal(made.resembles(at, live), false);
  });
});

describe('the nearest recorded call', () => {
  it('is the first among equals, in one session and in several, and similar from the threshold on', () => {
    const plays = [asking('/far/away'), asking(get('/stock/1'), get('/stock/3')), asking(get('/stock/1'))].map((one) => ({ book: one, latest: () => undefined }) as unknown as Play);
    const near = (threshold: number): unknown => {
      const found = likeOf({ destination: at, bytes: bytes(get('/stock/2')) }, plays, { match: 'sim', onMiss: 'fail', threshold });
      return found && [plays.indexOf(found.play), found.call.index, found.how];
    };
    const score = nearestOf(plays, at, bytes(get('/stock/2')))!.score;
    assert.ok(score > 0 && score < 1);
    assert.deepEqual([near(score), near(score + 1e-9)], [[1, 0, 'similar'], undefined]);
  });
});

describe('a recorded request', () => {
  it('does not go on where it ends', () => {
    const two = asking('GET /a', 'GET /ab');
    assert.deepEqual(['GET /', 'GET /a', 'GET /ab', 'GET /abc'].map((beginning) => two.goesOn(at, bytes(beginning))), [true, true, false, false]);
  });

  it('is read as its destination\'s protocol, also where that was not known of one that came before', () => {
    const post = (body: string): string => `POST /o HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const mixed = book([{ request: 'hello', protocol: 'unknown' }, { request: post('{"a":1,"b":2}') }]);
    assert.equal(mixed.equal(at, bytes(post('{"b":2,"a":1}')))?.index, 1);
  });

  it('that only prepared what others do, or never reached its server, is none that can be asked for', () => {
    const { outbound, ...rest } = session({ request: get('/'), response: ok('x'), calls: [call({ to: at, protocol: 'http', request: get('/1'), response: ok('1') }), call({ to: at, end: { kind: 'refused', by: 'remote' } }), call({ to: at, end: { kind: 'reset', by: 'remote' } })] });
    const of = new CallBook({ ...rest, outbound: [{ ...outbound[0]!, ...{ agreed: true } }, outbound[1]!, outbound[2]!] }, { equal: equalByProtocol, similarity });
    assert.deepEqual(of.calls.map(({ index }) => index), [2], 'one that was reset had been connected');
  });
});

describe('koala\'s chunk strategy', () => {
  const pieces = (...of: readonly string[]): string => of.map((one) => one.repeat(16)).join('');
  const recorded = book([{ request: pieces('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'), protocol: 'unknown' }, { request: pieces('p', 'q', 'r', 's', 't', 'u', 'v', 'w'), protocol: 'unknown' }]);
  const found = (request: string, after?: number): number | undefined => recorded.chunk(at, bytes(request), after)?.call.index;

  it('wants 17 of 20 pieces to be found in order once a call of the connection was found, and but one in ten before', () => {
    assert.deepEqual([found(pieces('p', 'q', 'r', 's', 't', 'u', 'v', 'X'), 0), found(pieces('p', 'q', 'r', 's', 't', 'u', 'X', 'Y'), 0)], [1, undefined]);
    assert.deepEqual([found(pieces('X', 'Y', 'Z', 's', 't', 'u', 'v', 'w')), found(pieces('X', 'Y', 'Z', '1', '2', '3', '4', 'w')), found(pieces('X', 'Y', 'Z', '1', '2', '3', '4', '5', '6', '7', '8', 'w'))], [1, 1, undefined]);
    assert.equal(found(pieces('w', 'v', 'u', 't', 's', 'r', 'q', 'p'), 0), undefined, 'turned round');
  });

  it('takes one from before where none of those after it will do', () => {
    assert.deepEqual([found(pieces('a', 'b', 'c', 'd', 'e', 'f', 'g', 'X'), 0), found(pieces('a', 'b', 'c', 'd', 'e', 'f', 'X', 'Y'), 0)], [0, undefined]);
  });
});
