import assert from 'node:assert/strict';
import { equalByProtocol, similarity } from '../../../src/compare/index.ts';
import { protocolNamed } from '../../../src/protocols/index.ts';
import { Engine, type Request } from '../../../src/replay/engine.ts';
import { worldOf, type WorldOptions } from '../../../src/replay/world.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { bytes, call, get, ok, prologue, session } from './build.ts';

const http = '10.0.0.5:80';
const redis = '10.0.0.6:6379';
const options: WorldOptions = { match: 'sim', threshold: 0.7, onMiss: 'fail', answerMs: 1_000, quietMs: 50 };
const text = (value: Uint8Array): string => Buffer.from(value).toString('latin1');

function engineOf(sessions: readonly Session[], more: Partial<WorldOptions> = {}): Engine {
  let now = 0;
  const engine = new Engine(worldOf(sessions, { ...options, ...more }), { equal: equalByProtocol, similarity }, {
    protocol: protocolNamed, recognise: () => undefined,
  }, () => (now += 1));
  for (const one of sessions) engine.learn(one);
  return engine;
}

const request = (to: string, protocol: string, content: string, more: Partial<Request> = {}): Request =>
  ({ destination: to, protocol, bytes: bytes(content), oneway: false, setup: false, ...more });

const page = (path: string): string => `GET /pages/${path} HTTP/1.1\r\nHost: api\r\nAccept: application/json\r\nUser-Agent: service\r\n\r\n`;

describe('the engine', () => {
  const calls = ['1', '2'].map((n) => call({ to: http, protocol: 'http', request: page(n), response: ok(n) }));
  const one = session({ request: get('/'), response: ok('x'), calls });

  it('answers exactly, and remembers which recorded call it was', () => {
    const engine = engineOf([one]);
    engine.begin(one);
    assert.equal(text(engine.ask(request(http, 'http', page('2'))).bytes), ok('2'));
    assert.equal(text(engine.ask(request(http, 'http', page('1'))).bytes), ok('1'));
    assert.deepEqual(engine.finish().map(({ how, recorded }) => [how, recorded]), [['exact', 1], ['exact', 0]]);
  });

  it('gives no answer twice', () => {
    const engine = engineOf([one], { match: 'none' });
    engine.begin(one);
    engine.ask(request(http, 'http', page('1')));
    assert.match(text(engine.ask(request(http, 'http', page('1'))).bytes), /^HTTP\/1\.1 502 /);
    assert.deepEqual(engine.finish().map(({ how }) => how), ['exact', 'none']);
  });

  it('takes a similar call only from the threshold on and only where asked to', () => {
    const changed = page('1').replace('service', 'gateway');
    const how = (more: Partial<WorldOptions>, content: string): string | undefined => {
      const engine = engineOf([one], more);
      engine.begin(one);
      engine.ask(request(http, 'http', content));
      return engine.finish()[0]?.how;
    };
    assert.equal(how({ threshold: 0.5 }, changed), 'similar');
    assert.equal(how({ match: 'none' }, changed), 'none');
    assert.equal(how({ threshold: 1 }, changed), 'none');
    assert.equal(how({ threshold: 1, onMiss: 'nearest' }, changed), 'nearest');
    assert.equal(how({}, 'DELETE /everything HTTP/1.0\r\n\r\n'), 'none');
  });

  describe('of a call in which a value differs that services make', () => {
    const asking = (id: string, value: string, path = '/') => session({ id, request: get(path), response: ok('x'), calls: [call({ to: http, protocol: 'http', request: page(value), response: ok('1') })] });
    const found = (sessions: readonly Session[], now: string): unknown[] => {
      const engine = engineOf(sessions, { match: 'none' });
      engine.begin(sessions[0]!);
      assert.equal(text(engine.ask(request(http, 'http', page(now))).bytes), ok('1'), 'it is answered all the same');
      return engine.finish().map(({ how, unproven }) => [how, unproven]);
    };
    const [key, other, now] = ['0b9f1f4e-3a55-4f0e-9d0b-1c2d3e4f5a6b', '51a3c3de-1b2c-4d3e-8f90-a1b2c3d4e5f6', '7c1e2d3f-9b8a-4c6d-8e7f-a0b1c2d3e4f5'];

    it('says that it is not the service\'s own where two recorded sessions had the same', () => {
      assert.deepEqual(found([asking('a', key), asking('b', other)], now), [['drift', undefined]]);
      assert.deepEqual(found([asking('a', key), asking('b', key)], now), [['drift', [key]]]);
    });

    it('says that a number is no clock\'s, and a date none of today, where it is neither', () => {
      const startedMs = asking('a', '').startedAtUs / 1000;
      assert.deepEqual(found([asking('a', String(startedMs))], String(Date.now())), [['drift', undefined]]);
      const [then, today] = [startedMs, Date.now()].map((ms) => new Date(ms).toISOString().slice(0, 10));
      assert.deepEqual(found([asking('a', then!)], today!), [['drift', undefined]]);
      assert.deepEqual(found([asking('a', then!, `/?day=${then}`)], today!), [['drift', [then]]], 'the date was asked for');
      const apart = (ms: number): string => String(ms + 20_000);
      assert.deepEqual(found([asking('a', String(startedMs))], apart(Date.now())), [['drift', [String(startedMs)]]]);
    });
  });

  it('takes a call that was only recorded of the start for the start\'s, once, and only where there is one', () => {
    const atStart = call({ to: http, protocol: 'http', request: page('warm'), response: ok('w'), atMs: -1_000 });
    const beat = call({ to: http, protocol: 'http', request: page('beat'), response: ok('b'), atMs: 5 });
    const made = (starts: boolean, first: string | undefined, content: string): unknown[] => {
      const engine = engineOf([one], { match: 'none' });
      engine.learnBackground({ ...session({ id: '', request: get('/'), response: '', calls: [atStart, beat] }) }, starts);
      if (first !== undefined) engine.ask(request(http, 'http', first));
      engine.takeIdle();
      engine.begin(one);
      engine.ask(request(http, 'http', content));
      return [engine.finish().length, ...engine.takeIdle().map(({ during }) => during)];
    };
    assert.deepEqual(made(true, undefined, page('warm')), [0, true], 'the start may not be over yet');
    assert.deepEqual(made(true, page('warm'), page('warm')), [1], 'the start has made it: it is new');
    assert.deepEqual(made(false, undefined, page('warm')), [1], 'a service that runs already does not start');
    assert.deepEqual(made(false, page('beat'), page('beat')), [0, true], 'what it does all the time it does now');
  });

  describe('with several sessions in play', () => {
    const counter = (id: string, n: string, ...more: string[]) => session({
      id, request: get('/'), response: ok('x'),
      calls: [call({ to: http, protocol: 'http', request: get('/counter'), response: ok(n) }), ...more.map((path) => call({ to: http, protocol: 'http', request: page(path), response: ok(path) }))],
    });
    const [a, b] = [counter('a', '1', 'of-a'), counter('b', '2', 'of-b')];
    const answerTo = (engine: Engine, content: string, owner?: Request['owner']): string =>
      text(engine.ask(request(http, 'http', content, owner === undefined ? {} : { owner })).bytes);

    it('answers a proven call from its own session alone, also with a miss', () => {
      const engine = engineOf([a, b]);
      const plays = [engine.begin(a), engine.begin(b)];
      const of = (at: number) => ({ play: plays[at] as (typeof plays)[0], certainty: 'proven' as const });
      assert.equal(answerTo(engine, get('/counter'), of(1)), ok('2'));
      assert.equal(answerTo(engine, get('/counter'), of(0)), ok('1'));
      assert.match(answerTo(engine, get('/counter'), of(0)), /^HTTP\/1\.1 502 /, 'once more than recorded');
      assert.deepEqual(plays.map((play) => engine.finish(play).map(({ how, certainty, ambiguous }) => [how, certainty, ambiguous])),
        [[['exact', 'proven', undefined], ['none', 'proven', undefined]], [['exact', 'proven', undefined]]]);
    });

    it('answers a likely call from its session first, then by content, and says where another answer was as good', () => {
      const engine = engineOf([a, b]);
      const plays = [engine.begin(a), engine.begin(b)];
      const owner = { play: plays[1] as (typeof plays)[0], certainty: 'likely' as const };
      assert.equal(answerTo(engine, get('/counter'), owner), ok('2'));
      assert.equal(answerTo(engine, page('of-a'), owner), ok('of-a'));
      assert.deepEqual(plays.map((play) => engine.finish(play).map(({ certainty, ambiguous }) => [certainty, ambiguous])),
        [[['likely', undefined]], [['likely', true]]]);
    });

    it('answers a call that nobody can tie by content, from the session that began first, and says so', () => {
      const engine = engineOf([a, b]);
      const plays = [engine.begin(b), engine.begin(a)];
      assert.equal(answerTo(engine, page('of-a')), ok('of-a'));
      assert.equal(answerTo(engine, get('/counter')), ok('2'));
      assert.equal(answerTo(engine, get('/counter')), ok('1'));
      assert.deepEqual(plays.map((play) => engine.finish(play).map(({ certainty, ambiguous }) => [certainty, ambiguous])),
        [[['unknown', true]], [['unknown', undefined], ['unknown', undefined]]]);
    });

    it('does not count a late call of a session that is over against those in play', () => {
      const engine = engineOf([a, b]);
      const play = engine.begin(a);
      engine.finish(play);
      const other = engine.begin(b);
      assert.equal(answerTo(engine, page('of-a'), { play, certainty: 'likely' }), ok('of-a'));
      assert.deepEqual(engine.finish(other), []);
      assert.deepEqual(engine.takeIdle().map(({ answered }) => answered), [true]);
    });

    it('answers a call for another client of the service as its own, and leaves the sessions theirs', () => {
      const engine = engineOf([a, b]);
      const play = engine.begin(a);
      for (const certainty of ['proven', 'likely'] as const) assert.equal(answerTo(engine, page('of-a'), { play: undefined, certainty }), ok('of-a'));
      assert.deepEqual(play.calls, []);
      assert.equal(answerTo(engine, page('of-a'), { play, certainty: 'likely' }), ok('of-a'));
      assert.deepEqual(engine.finish(play).map(({ how }) => how), ['exact']);
      assert.deepEqual(engine.takeIdle().map(({ answered }) => answered), [true, true]);
    });

    describe('after it has its answer', () => {
      const late = (engine: Engine, certainty: 'proven' | 'likely' | undefined, play: ReturnType<Engine['begin']>, content: string): void => {
        engine.ask(request(http, 'http', content, certainty === undefined ? {} : { owner: { play, certainty } }));
      };
      const made = (certainty: 'proven' | 'likely' | undefined, content: string, last = true): (string | number | undefined)[][] => {
        const engine = engineOf([a, b]);
        const [play, other] = [engine.begin(a), engine.begin(b)];
        engine.ask(request(http, 'http', get('/counter'), { owner: { play, certainty: 'proven' } }));
        engine.over(play);
        if (last) engine.finish(other);
        late(engine, certainty, play, content);
        return engine.finish(play).slice(1).map(({ how, recorded }) => [how, recorded]);
      };

      it('has the calls that are known for its own, recorded or new', () => {
        assert.deepEqual(made('likely', page('of-a')), [['exact', 1]]);
        assert.deepEqual(made('proven', page('nobody')), [['none', undefined]]);
        assert.deepEqual(made('likely', page('nobody'), false), [['none', undefined]]);
        assert.deepEqual(made('proven', page('of-b')), [['none', undefined]], 'another session\'s call, made for this one, is new');
      });

      it('has what nothing recorded is like, where it was the last one; what the service may do by itself is its own', () => {
        assert.deepEqual(made(undefined, page('nobody')), [['none', undefined]]);
        assert.deepEqual(made(undefined, page('of-b')), []);
        assert.deepEqual(made('likely', page('of-b')), []);
      });

      it('is told of for a while; then such a call is counted as nobody\'s', () => {
        const engine = engineOf([a, b]);
        engine.finish(engine.begin(a));
        engine.ask(request(http, 'http', page('nobody')));
        engine.ask(request(http, 'http', page('of-b')));
        engine.ask(request(http, 'http', page('stranger'), { owner: { play: undefined, certainty: 'proven' } }));
        assert.deepEqual(engine.takeIdle().map(({ answered, odd }) => [answered, odd]), [[false, true], [true, undefined], [false, undefined]]);
      });
    });

    it('trusts ties after many proven ones, and no more after one that is not', () => {
      const calls = Array.from({ length: 64 }, (_, n) => `${n}`);
      const many = counter('m', '0', ...calls);
      const engine = engineOf([many, a]);
      const [play] = [engine.begin(many), engine.begin(a)];
      for (const path of calls) {
        assert.equal(engine.trusted, false);
        answerTo(engine, page(path), { play, certainty: 'proven' });
      }
      assert.equal(engine.trusted, true);
      answerTo(engine, page('of-a'));
      assert.equal(engine.trusted, false);
    });
  });

  it('answers a call whose id the service made itself, and none of another session that seems to be its own', () => {
    const put = (id: string, item: number): string => `GET /put?id=${id}&item=${item} HTTP/1.1\r\nHost: api\r\n\r\n`;
    const [a, b, c] = ['0b9f1f4e-3a55-4f0e-9d0b-1c2d3e4f5a6b', '7c1e2d3f-9b8a-4c6d-8e7f-a0b1c2d3e4f5', 'f1e2d3c4-5b6a-4788-9099-8a7b6c5d4e3f'];
    const made = session({ request: get('/'), response: ok('x'), calls: [call({ to: http, protocol: 'http', request: put(a, 1), response: ok('1') }), call({ to: http, protocol: 'http', request: put(b, 2), response: ok('2') })] });
    const engine = engineOf([made], { match: 'none' });
    engine.begin(made);
    assert.equal(text(engine.ask(request(http, 'http', put(c, 2))).bytes), ok('2'));
    assert.match(text(engine.ask(request(http, 'http', put(c, 1))).bytes), /^HTTP\/1\.1 502 /, 'one id is not two');
    assert.deepEqual(engine.finish().map(({ how, recorded }) => [how, recorded]), [['drift', 1], ['none', undefined]]);
  });

  it('takes a time for the service\'s own as far from the clock that it goes by as recorded', () => {
    const at = (ms: number): string => `GET /put?at=${ms} HTTP/1.1\r\nHost: api\r\n\r\n`;
    const recordedMs = 1_700_000_000_000;
    const made = session({ request: get('/'), response: ok('x'), calls: [call({ to: http, protocol: 'http', request: at(recordedMs + 5), response: ok('1') })] });
    const how = (wallMs: number, liveMs: number): string | undefined => {
      const engine = new Engine(worldOf([made], { ...options, match: 'none' }), { equal: equalByProtocol, similarity }, { protocol: protocolNamed, recognise: () => undefined }, () => 0, () => wallMs);
      engine.begin(made);
      engine.ask(request(http, 'http', at(liveMs)));
      return engine.finish()[0]?.how;
    };
    const [today, recorded] = [recordedMs + 86_400_123, recordedMs + 40];
    assert.deepEqual([how(today, today + 7), how(recorded, recorded + 7), how(today, recorded), how(recorded, today)], ['drift', 'drift', 'none', 'none']);
  });

  it('answers what its session lacks as another session had it before, once, and says whose', () => {
    const asks = session({ id: 'asks', request: get('/'), response: ok('x'), calls: [call({ to: http, protocol: 'http', request: page('1'), response: ok('kept') })] });
    const base = session({ id: 'lacks', request: get('/'), response: ok('x') });
    const lacks = { ...base, startedAtUs: base.startedAtUs + 5_000_000 };
    const engine = engineOf([asks, lacks], { match: 'none' });
    const play = engine.begin(lacks);
    assert.equal(text(engine.ask(request(http, 'http', page('1'))).bytes), ok('kept'));
    assert.match(text(engine.ask(request(http, 'http', page('1'))).bytes), /^HTTP\/1\.1 502 /, 'a cache would have had it by now');
    assert.deepEqual(engine.finish(play).map(({ how, kept }) => [how, kept?.session]), [['state', 'asks'], ['none', undefined]]);
    const later = engine.begin(asks);
    assert.deepEqual(engine.cachedOf(later).map(({ recorded, session: whose }) => [recorded, whose]), [[0, 'lacks']]);
  });

  it('answers by pieces in common where chunk is asked for', () => {
    const engine = engineOf([one], { match: 'chunk' });
    engine.begin(one);
    engine.ask(request(http, 'http', page('2').replace('service', 'gateway')));
    assert.deepEqual(engine.finish().map(({ how, recorded }) => [how, recorded]), [['chunk', 1]]);
  });

  it('does not look at another destination, however equal the call', () => {
    const engine = engineOf([one], { onMiss: 'nearest' });
    engine.begin(one);
    engine.ask(request('10.0.0.7:80', 'http', page('1')));
    assert.deepEqual(engine.finish().map(({ how }) => how), ['none']);
  });

  it('answers the requests of a set-up as often as there are connections, and counts none as a call', () => {
    const auth = '*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n';
    const with_ = session({
      request: get('/'), response: ok('x'), calls: [call({ to: redis, protocol: 'redis', request: 'GET a\r\n', response: '$1\r\n1\r\n' })],
      prologues: [prologue(redis, [['C', auth], ['S', '+OK\r\n']])],
    });
    const engine = engineOf([with_]);
    engine.begin(with_);
    for (let time = 0; time < 3; time += 1) assert.equal(text(engine.ask(request(redis, 'redis', auth, { setup: true })).bytes), '+OK\r\n');
    assert.deepEqual(engine.finish(), []);
  });

  it('agrees to a set-up that nobody recorded, but to no call', () => {
    const engine = engineOf([one]);
    engine.begin(one);
    assert.equal(text(engine.ask(request(redis, 'redis', 'SELECT 1\r\n', { setup: true })).bytes), '+OK\r\n');
    assert.match(text(engine.ask(request(redis, 'redis', 'GET a\r\n')).bytes), /^-ERR koala-bpf/);
  });

  it('does not call a set-up request unanswered that it agrees to between sessions', () => {
    const engine = engineOf([one]);
    assert.equal(text(engine.ask(request(redis, 'redis', 'AUTH secret\r\n', { setup: true })).bytes), '+OK\r\n');
    assert.deepEqual(engine.takeIdle().map(({ answered }) => answered), [true]);
  });

  it('answers what is asked between sessions by content, using nothing up', () => {
    const engine = engineOf([one]);
    assert.equal(text(engine.ask(request(http, 'http', page('1'))).bytes), ok('1'));
    assert.match(text(engine.ask(request(http, 'http', page('9'))).bytes), /^HTTP\/1\.1 502 /);
    assert.deepEqual(engine.takeIdle().map(({ answered, summary }) => [answered, summary]), [[true, 'GET /pages/1'], [false, 'GET /pages/9']]);
    engine.begin(one);
    assert.equal(engine.awaited.length, 2);
  });

  describe('ends a connection as it was recorded', () => {
    const then = (response: string, end: Session['inbound']['end'], protocol = 'http'): string => {
      const s = session({ request: get('/'), response: ok('x'), calls: [call({ to: http, protocol, request: page('1'), response, end })] });
      const engine = engineOf([s]);
      engine.begin(s);
      return engine.ask(request(http, protocol, page('1'))).then;
    };
    it('when the answer broke off', () => { assert.equal(then(ok('12345').slice(0, -2), { kind: 'reset', by: 'remote' }), 'reset'); });
    it('when its end was the end of the answer', () => {
      assert.equal(then('HTTP/1.1 200 OK\r\n\r\nto the end', { kind: 'fin', by: 'remote' }), 'fin');
      assert.equal(then(ok('1').replace('\r\n', '\r\nConnection: close\r\n'), { kind: 'fin', by: 'remote' }), 'fin');
    });
    it('but keeps it when the end came long after a whole answer', () => { assert.equal(then(ok('1'), { kind: 'fin', by: 'remote' }), 'keep'); });
    it('but keeps it when the service itself had closed it', () => { assert.equal(then('HTTP/1.1 200 OK\r\n\r\nx', { kind: 'fin', by: 'local' }), 'keep'); });
    it('after a FastCGI answer, unless the client asked to keep it, whatever the recording saw of the end', () => {
      const then = (flags: string): string => {
        const begin = `\x01\x01\0\x01\0\x08\0\0\0\x01${flags}\0\0\0\0\0`;
        const s = session({ request: get('/'), response: ok('x'), calls: [call({ to: http, protocol: 'fastcgi', request: begin, response: 'answer' })] });
        const engine = engineOf([s]);
        engine.begin(s);
        return engine.ask(request(http, 'fastcgi', begin)).then;
      };
      assert.deepEqual([then('\0'), then('\x01')], ['fin', 'keep']);
    });
    it('when its protocol is not known', () => { assert.equal(then('bye', { kind: 'fin', by: 'remote' }, 'unknown'), 'fin'); });
  });

  it('knows names from recorded Host headers, where they are names', () => {
    const s = session({ request: get('/'), response: ok('x'), calls: [
      call({ to: http, protocol: 'http', request: get('/', 'api.internal:80'), response: ok('1') }),
      call({ to: http, protocol: 'http', request: get('/', '10.0.0.5'), response: ok('1') }),
    ] });
    assert.deepEqual(worldOf([s], options).names, { 'api.internal': ['10.0.0.5'] });
  });
});
