/** Which recorded call a live one is held against, in which order they were made, and which nobody misses. */
import assert from 'node:assert/strict';
import { judgeCalls } from '../../../src/replay/judge-calls.ts';
import type { JudgeOptions } from '../../../src/replay/judge-calls.ts';
import type { LiveCall } from '../../../src/replay/played.ts';
import type { OutboundTalk, Prologue } from '../../../src/sessions/session.ts';
import { bytes, call, get, ok, prologue, session } from './build.ts';

const to = '10.0.0.5:80';
const recorded = (path: string, atMs: number, more: Partial<Parameters<typeof call>[0]> = {}): OutboundTalk => call({ to, protocol: 'http', request: get(path), response: ok('1'), atMs, ...more });
const live = (path: string, how: LiveCall['how'], more: Partial<LiveCall> = {}): LiveCall => ({ destination: to, protocol: 'http', request: bytes(get(path)), how, beganMs: 1, endedMs: 2, ...more });
const judged = (outbound: readonly OutboundTalk[], calls: readonly LiveCall[], { prologues = [], ...options }: Partial<JudgeOptions> & { prologues?: readonly Prologue[] } = {}): ReturnType<typeof judgeCalls>['calls'] =>
  judgeCalls(session({ request: get('/'), response: ok('x'), calls: outbound, prologues }), { calls }, { threshold: 0.7, ...options }).calls;
const verdicts = (...of: Parameters<typeof judged>): string[] => judged(...of).map(({ verdict, recorded: index }) => `${verdict} ${index ?? '-'}`);

describe('a live call without an answer', () => {
  it('is held against the unused recorded one of its destination that is most like it, the first among equals, and is never the same', () => {
    const stock = [recorded('/stock/aaaa/large?size=1', 1), recorded('/stock/abcd/large?size=1', 2), recorded('/stock/abcd/large?size=1', 3)];
    assert.deepEqual(verdicts(stock, [live('/stock/abcd/large?size=2', 'none')]), ['different 1', 'missing 0', 'missing 2']);
    assert.deepEqual(verdicts(stock, [live('/stock/abcd/large?size=1', 'exact', { recorded: 1 }), live('/stock/abcd/large?size=2', 'none')]), ['same 1', 'different 2', 'missing 0']);
    // Nor is it one that a later call is known to be.
    assert.deepEqual(verdicts(stock, [live('/stock/abcd/large?size=2', 'none'), live('/stock/abcd/large?size=1', 'exact', { recorded: 1 })]), ['different 2', 'same 1', 'missing 0']);
    // What differs is to be ignored: it got no answer all the same.
    assert.deepEqual(verdicts(stock, [live('/stock/abcd/large?size=2', 'none'), live('/stock/abcd/large?size=2', 'state')], { ignore: () => 'a rule' }), ['different 1', 'different 2', 'missing 0']);
    assert.deepEqual(verdicts([recorded('/stock/abcd', 1, { to: '10.0.0.6:80' })], [live('/stock/abcd', 'none')]), ['new -', 'missing 0']);
  });

  it('is new where it is less alike than the threshold, and that one is missing', () => {
    const one = [recorded('/stock/abcd/large?size=1', 1)];
    const near = live('/stock/wxyz/large?size=2', 'none');
    const score = judged(one, [near], { threshold: 0 })[0]?.score ?? 1;
    assert.ok(score > 0 && score < 1);
    assert.deepEqual(verdicts(one, [near], { threshold: score }), ['different 0']);
    assert.deepEqual(verdicts(one, [near], { threshold: score + 1e-9 }), ['new -', 'missing 0']);
  });

  it('is shown with the recorded calls most like it, and which of them answered others', () => {
    const stock = [recorded('/stock/abcd?size=1', 1), recorded('/elsewhere', 2), recorded('/stock/abcd?size=3', 3), recorded('/stock/abcd?size=22', 4), recorded('/quite/another/thing/x', 5)];
    const [, second] = judged(stock, [live('/stock/abcd?size=1', 'exact', { recorded: 0 }), live('/stock/abcd?size=2', 'none')], { explain: true });
    assert.deepEqual(second!.candidates?.map(({ recorded: index, used }) => [index, used]).sort(), [[0, true], [2, undefined], [3, undefined]]);
    const likely = judged(stock, [live('/stock/abcd?size=2', 'similar', { recorded: 2, score: 0.9 })], { explain: true })[0];
    assert.deepEqual(likely!.candidates?.find(({ recorded: index }) => index === 2)?.used, undefined);
  });
});

describe('the order of calls', () => {
  const first = (tid: number, more: Partial<OutboundTalk> = {}): OutboundTalk => ({ ...recorded('/first', 1, { tid }), ...more });
  const reversed = [live('/second', 'exact', { recorded: 1, beganMs: 1, endedMs: 2 }), live('/first', 'exact', { recorded: 0, beganMs: 2, endedMs: 4 })];

  it('is another one where a thread makes a call only after the one that it made when this was answered, be it in the same instant', () => {
    assert.deepEqual(verdicts([first(1), recorded('/second', 1.5, { tid: 1 })], reversed), ['same 1', 'reordered 0']);
    assert.deepEqual(verdicts([first(1), recorded('/second', 1.4, { tid: 1 })], reversed), ['same 1', 'same 0'], 'they overlapped');
    assert.deepEqual(verdicts([first(1), recorded('/second', 2, { tid: 1 })], [reversed[1]!, reversed[0]!]), ['same 0', 'same 1']);
  });

  it('is none of what different threads, or goroutines, do', () => {
    assert.deepEqual(verdicts([first(1), recorded('/second', 3, { tid: 2 })], reversed), ['same 1', 'same 0']);
    const by = (talk: OutboundTalk, goroutine: number): OutboundTalk => ({ ...talk, request: talk.request.map((chunk) => ({ ...chunk, goroutine })) });
    assert.deepEqual(verdicts([by(first(1), 7), by(recorded('/second', 3, { tid: 1 }), 8)], reversed), ['same 1', 'same 0']);
    assert.deepEqual(verdicts([by(first(1), 7), by(recorded('/second', 3, { tid: 2 }), 7)], reversed), ['same 1', 'reordered 0']);
  });

  it('goes by when an answer had come whole, and when a request began', () => {
    const long = call({ to, protocol: 'http', request: get('/first'), response: ok('1'), atMs: 1 });
    const [head] = long.response;
    const slowly = { ...long, response: [head!, { ...head!, atUs: head!.atUs + 5_000 }] };
    assert.deepEqual(verdicts([slowly, recorded('/second', 3)], reversed), ['same 1', 'same 0'], 'the second began while the first was being answered');
    const other = recorded('/second', 1.2);
    const [asked] = other.request;
    assert.deepEqual(verdicts([first(1), { ...other, request: [asked!, { ...asked!, atUs: asked!.atUs + 5_000, bytes: bytes('') }] }], reversed), ['same 1', 'same 0'], 'it began before, and ended after');
  });
});

describe('what a connection was set up with', () => {
  it('is held against that of the recorded calls of its destination that ask the same, and named with the call\'s path', () => {
    const asks = [recorded('/x', 1), recorded('/x', 2), recorded('/y', 3), recorded('/x', 4, { to: '10.0.0.6:80' })];
    const seen: string[][] = [];
    const rules: string[] = [];
    const calls = judged(asks, [live('/x', 'exact', { recorded: 0, settings: 'search_path=b' })], {
      settings: (_session, _talk, _live, equal) => {
        seen.push(equal.map((talk) => String(asks.indexOf(talk))));
        return [{ path: 'connection.user', kind: 'changed', recorded: 'a', live: 'b' }];
      },
      ignore: ({ path }) => { rules.push(path); return undefined; },
    });
    assert.deepEqual([seen, calls[0]!.verdict, calls[0]!.differences.map(({ path }) => path), rules], [[['0', '1']], 'different', ['calls[0].connection.user'], ['calls[0].connection.user']]);
  });
});

describe('a value that looks made by the service', () => {
  it('is told of where it is not proven, also within a longer one', () => {
    const [before, now] = ['0b9f1f4e-3a55-4f0e-9d0b-1c2d3e4f5a6b', '7c1e2d3f-9b8a-4c6d-8e7f-a0b1c2d3e4f5'];
    const found = (unproven: readonly string[]): string => verdicts([recorded(`/items/of-${before}/all`, 1)], [live(`/items/of-${now}/all`, 'drift', { recorded: 0, unproven })])[0]!;
    assert.deepEqual([found([]), found([before])], ['same 0', 'different 0']);
  });
});

describe('nobody misses', () => {
  const db = (request: string, response: string, id = 'db'): OutboundTalk => {
    const talk = call({ to: '10.0.0.7:5432', protocol: 'postgresql', request, response });
    return { ...talk, connection: { ...talk.connection, id } };
  };
  const login = db('\0\0\0\x0f\0\x03\0\0user\0\0\0', 'R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I');
  const query = db('Q\0\0\0\x0dSELECT 1\0', 'C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I');
  const goodbye = db('X\0\0\0\x04', '');

  it('a call that only prepared what others do', () => {
    assert.deepEqual(verdicts([{ ...query, ...{ agreed: true } }], []), []);
  });

  it('a spare connection that was set up and ended, but every call on one that was used', () => {
    assert.deepEqual(verdicts([login, goodbye], []), []);
    assert.deepEqual(verdicts([login, goodbye, db('Q\0\0\0\x0dSELECT 1\0', 'C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I', 'other')], []), ['missing 2']);
    assert.deepEqual(verdicts([login, query, { ...login }], []), ['missing 0', 'missing 1', 'missing 2']);
    const redis = (words: string, response: string): OutboundTalk => call({ to: '10.0.0.6:6379', protocol: 'redis', request: `${words}\r\n`, response });
    const auth = redis('AUTH secret', '+OK\r\n');
    assert.deepEqual([verdicts([auth, auth], []), verdicts([auth, redis('GET a', '$1\r\nx\r\n'), auth], [])], [[], ['missing 0', 'missing 1', 'missing 2']]);
    // It was set up by then: a login there is a call.
    const before = [{ ...prologue('10.0.0.7:5432', [['C', '\0\0\0\x0f\0\x03\0\0user\0\0\0'], ['S', 'R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I']]), connection: 'db' }];
    assert.deepEqual(verdicts([login], [], { prologues: before }), ['missing 0']);
  });

  it('nothing that can\'t be read: bytes that begin like a login, or none', () => {
    assert.deepEqual(verdicts([db('\0\0\0\x0f\0\x03\0\0user\0\0\0', 'no answer of that protocol')], []), ['missing 0']);
    assert.deepEqual(verdicts([db('', 'R\0\0\0\x08\0\0\0\0')], []), ['missing 0']);
    const full = call({ to: '10.0.0.8:3306', protocol: 'mysql', response: '\x17\0\0\0\xff\x10\x04Too many connections' });
    assert.deepEqual(verdicts([full], []), ['missing 0'], 'turned away before it had asked');
    const both = db('\0\0\0\x0f\0\x03\0\0user\0\0\0Q\0\0\0\x0dSELECT 1\0', 'R\0\0\0\x08\0\0\0\0Z\0\0\0\x05IC\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I');
    assert.deepEqual(verdicts([both], []), ['missing 0']);
  });
});
