import assert from 'node:assert/strict';
import { equalByProtocol, similarity } from '../../../src/compare/index.ts';
import { protocolNamed } from '../../../src/protocols/index.ts';
import { NOTHING_BYPASSED } from '../../../src/replay/bypass.ts';
import { Engine } from '../../../src/replay/engine.ts';
import { mockCalls } from '../../../src/replay/mock-calls.ts';
import { MockJudge, MockTally, refusedCall, type MockedCall } from '../../../src/replay/mocked.ts';
import type { LiveCall, Repeats } from '../../../src/replay/played.ts';
import { worldOf, type WorldOptions } from '../../../src/replay/world.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { bytes, call, get, ok, session } from './build.ts';

const API = '10.0.0.5:80';
const options: WorldOptions = { match: 'none', threshold: 0.7, onMiss: 'fail', answerMs: 1_000, quietMs: 50 };
const IDS = ['', '9f1c2e77-1c0b-4e0a-9d35-0f6a51b7c3d2', '3b8e64d0-77aa-4c11-8e02-d94c1fb0a6e5', 'c4d7a9b2-e05f-4f3d-b6c8-7a21903e5f14'] as const;
const ID = (n: 1 | 2 | 3): string => IDS[n];

interface Made {
  readonly answer: string;
  readonly told: MockedCall | undefined;
}

/** Asks what `paths` say, of a mock of `sessions`. */
class Asking {
  readonly #engine: Engine;
  readonly #judge: MockJudge;
  readonly #calls: LiveCall[];

  constructor(sessions: readonly Session[], repeats: Repeats = 'last', more: Partial<WorldOptions> = {}) {
    const mock = mockCalls(sessions, [], NOTHING_BYPASSED);
    let now = 0;
    this.#engine = new Engine({ ...worldOf([mock.session], { ...options, ...more }), repeats }, { equal: equalByProtocol, similarity }, { protocol: protocolNamed, recognise: () => undefined }, () => (now += 1));
    this.#calls = this.#engine.beginMock(mock.session).calls;
    this.#judge = new MockJudge(mock, { threshold: 0.7 });
  }

  ask(request: string, to = API): Made {
    const { bytes: answer } = this.#engine.ask({ destination: to, protocol: 'http', bytes: bytes(request), oneway: false, setup: false });
    return { answer: Buffer.from(answer).toString().split('\r\n\r\n')[1] ?? '', told: this.#judge.judge({ call: this.#calls.at(-1)! }) };
  }
}

const of = (id: string, ...pairs: readonly (readonly [string, string])[]): Session =>
  session({ id, request: get(`/${id}`), response: ok('x'), calls: pairs.map(([request, answer], at) => call({ to: API, protocol: 'http', request, response: ok(answer), atMs: at })) });

describe('a mock', () => {
  it('answers from all sessions, whoever asks in whatever order, each recorded answer once and in recorded order', () => {
    const mock = new Asking([of('aaaa', [get('/price'), '1'], [get('/stock'), '5']), of('bbbb', [get('/price'), '2'])]);
    assert.deepEqual([get('/stock'), get('/price'), get('/price')].map((request) => mock.ask(request).answer), ['5', '1', '2']);
  });

  it('answers what is asked more often than recorded as the last time, and says so', () => {
    const mock = new Asking([of('aaaa', [get('/price'), '1'], [get('/price'), '2'])]);
    const made = [1, 2, 3, 4].map(() => mock.ask(get('/price')));
    assert.deepEqual(made.map(({ answer }) => answer), ['1', '2', '2', '2']);
    assert.deepEqual(made.map(({ told }) => [told?.verdict, told?.repeated]), [['same', undefined], ['same', undefined], ['same', true], ['same', true]]);
    assert.deepEqual(made[3]?.told?.recorded, { session: 'aaaa', summary: 'GET /price' });
  });

  it('with cycle begins again from the first answer; with none has none', () => {
    const sessions = [of('aaaa', [get('/price'), '1'], [get('/price'), '2'])];
    const cycling = new Asking(sessions, 'cycle');
    assert.deepEqual([1, 2, 3, 4, 5].map(() => cycling.ask(get('/price')).answer), ['1', '2', '1', '2', '1']);
    const strict = new Asking(sessions, 'none');
    assert.deepEqual([1, 2, 3].map(() => strict.ask(get('/price')).told?.verdict), ['same', 'same', 'new']);
  });

  it('answers a call with an id that the service makes anew each time, also the second time, and what then is asked by that id', () => {
    const post = (id: string): string => `POST /orders HTTP/1.1\r\nHost: service\r\nContent-Length: 45\r\n\r\n{"id":"${id}"}`;
    const mock = new Asking([of('aaaa', [post(ID(1)), 'made'], [get(`/orders/${ID(1)}`), 'it'])]);
    for (const n of [2, 3] as const) {
      const made = mock.ask(post(ID(n)));
      assert.deepEqual([made.answer, made.told?.verdict, made.told?.how], ['made', 'same', 'drift'], `time ${n}`);
      assert.equal(mock.ask(get(`/orders/${ID(n)}`)).answer, 'it');
    }
  });

  it('does not answer about one thing what is asked about another: an id that came in with a request is no made one', () => {
    const asked = session({ id: 'aaaa', request: get(`/users/${ID(1)}`), response: ok('x'), calls: [call({ to: API, protocol: 'http', request: get(`/u/${ID(1)}`), response: ok('Ann') })] });
    const made = new Asking([asked]).ask(get(`/u/${ID(2)}`));
    assert.equal(made.told?.verdict, 'new');
  });

  it('names what nothing answers, the recorded call that is most like it, and how that differs', () => {
    const mock = new Asking([of('aaaa', [get('/price/7'), '7'], [get('/stock'), '5'])]);
    const { told } = mock.ask(get('/price/9'));
    assert.deepEqual([told?.verdict, told?.how, told?.nearest], ['new', 'none', { session: 'aaaa', summary: 'GET /price/7' }]);
    assert.deepEqual(told?.differences, [{ path: 'request.path', kind: 'changed', recorded: '/price/7', live: '/price/9' }]);
    const elsewhere = mock.ask(get('/x'), '10.0.0.8:80').told;
    assert.deepEqual([elsewhere?.verdict, elsewhere?.because, elsewhere?.nearest], ['new', 'nothing was recorded there', undefined]);
  });

  it('names no failed connect as the nearest, and none for what was only made once more than recorded; a goodbye is no call', () => {
    const failed = session({ id: 'bbbb', request: get('/'), response: ok('x'), calls: [call({ to: '10.0.0.9:9', end: { kind: 'refused', by: 'remote' } })] });
    const mock = new Asking([of('aaaa', [get('/price'), '1']), failed], 'none');
    const [, again] = [mock.ask(get('/price')), mock.ask(get('/price'))];
    assert.deepEqual([again.told?.verdict, again.told?.because, again.told?.nearest], ['new', 'made once more than recorded', undefined]);
    const elsewhere = mock.ask(get('/x'), '10.0.0.9:9').told;
    assert.deepEqual([elsewhere?.because, elsewhere?.nearest], ['nothing was recorded there', undefined]);
    assert.equal(mock.ask('QUIT\r\n').told, undefined);
  });

  it('calls an answer that was found by likeness different, also where no difference is left to be named', () => {
    const mock = mockCalls([of('aaaa', [get('/price/7'), '7'])], [], NOTHING_BYPASSED);
    const judge = new MockJudge(mock, { threshold: 0.7, ignore: () => 'a rule' });
    const asked: LiveCall = { destination: API, protocol: 'http', request: bytes(get('/price/8')), how: 'similar', recorded: 0, score: 0.9, beganMs: 1, endedMs: 2 };
    assert.deepEqual([judge.judge({ call: asked })?.verdict, judge.judge({ call: { ...asked, how: 'equal' } })?.verdict], ['different', 'same']);
  });

  it('answers by likeness only where asked to, again and again, and calls it different', () => {
    const mock = new Asking([of('aaaa', [get('/price/7'), '7'])], 'last', { match: 'sim' });
    for (const path of ['/price/8', '/price/9']) {
      const { answer, told } = mock.ask(get(path));
      assert.deepEqual([answer, told?.verdict, told?.how], ['7', 'different', 'similar']);
    }
  });

  it('counts each call by what became of it, and failed connects as often as they were made', () => {
    const tally = new MockTally();
    const base = { event: 'call', destination: API, summary: '', because: '', differences: [] } as const;
    tally.add({ ...base, verdict: 'same', how: 'exact', repeated: true });
    tally.add({ ...base, verdict: 'same', how: 'refused', times: 3 });
    tally.add({ ...base, verdict: 'new', how: 'none', repeated: true });
    tally.add(refusedCall(99));
    assert.deepEqual(tally.counts, { calls: 6, same: 4, different: 0, passed: 0, new: 2, repeated: 1, how: { exact: 1, refused: 3, none: 2 } });
  });
});
