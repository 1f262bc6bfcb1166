import assert from 'node:assert/strict';
import pc from 'picocolors';
import { exitOf } from '../../../src/cli/replay.ts';
import type { LiveCall, Played, ResponseEnd } from '../../../src/replay/played.ts';
import { whyNot } from '../../../src/replay/playable.ts';
import { judge, unplayed } from '../../../src/replay/verdict.ts';
import { sessionLines } from '../../../src/report/replay.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { bytes, call, get, ok, prologue, session } from './build.ts';

const to = '10.0.0.5:80';
const one = session({
  request: get('/'), response: ok('{"a":1}'),
  calls: [call({ to, protocol: 'http', request: get('/x?q=1'), response: ok('1'), atMs: 1 }), call({ to, protocol: 'http', request: get('/y'), response: ok('2'), atMs: 2 })],
});

function live(request: string, how: LiveCall['how'], recorded?: number, more: Partial<LiveCall> = {}): LiveCall {
  return { destination: to, protocol: 'http', request: bytes(request), how, beganMs: 1, endedMs: 2, ...(recorded === undefined ? {} : { recorded }), ...more };
}

function played(calls: readonly LiveCall[], more: Partial<Played> = {}): Played {
  return { session: one.id, response: bytes(ok('{"a":1}')), responseEnd: 'message', calls, durationMs: 3, ...more };
}

const both = [live(get('/x?q=1'), 'exact', 0), live(get('/y'), 'exact', 1, { beganMs: 3, endedMs: 4 })];
const threshold = 0.7;

describe('the verdict on a session', () => {
  it('is same when the answer and every call are', () => {
    assert.deepEqual(judge(one, played(both), { threshold }).verdict, 'same');
  });

  it('is different when one call is missing, new, changed or found by likeness only, whatever the answer', () => {
    const cases: [readonly LiveCall[], string[]][] = [
      [both.slice(0, 1), ['same', 'missing']],
      [[...both, live(get('/new'), 'none', undefined, { destination: '10.0.0.6:80' })], ['same', 'same', 'new']],
      [[live(get('/x?q=2'), 'none'), both[1] ?? live('', 'none')], ['different', 'same']],
      [[live(get('/x?q=1'), 'similar', 0, { score: 0.9 }), both[1] ?? live('', 'none')], ['different', 'same']],
    ];
    for (const [calls, expected] of cases) {
      const { verdict, calls: judged, response } = judge(one, played(calls), { threshold });
      assert.deepEqual([verdict, response.verdict, judged.map((each) => each.verdict)], ['different', 'same', expected]);
    }
  });

  it('puts the index of the call before the path of its difference', () => {
    const { calls } = judge(one, played([both[0] ?? live('', 'none'), live(get('/z'), 'similar', 1, { score: 0.9 })]), { threshold });
    assert.ok(calls[1]?.differences.length);
    for (const { path } of calls[1]?.differences ?? []) assert.match(path, /^calls\[1\]\.request\./);
  });

  it('does not take a repeated call for a changed one', () => {
    const calls = [both[0] ?? live('', 'none'), live(get('/x?q=1'), 'none', undefined, { repeated: true })];
    assert.deepEqual(judge(one, played(calls), { threshold }).calls.map(({ verdict }) => verdict), ['same', 'new', 'missing']);
  });

  it('takes the goodbye of a connection for no call: it may come in the next session, before what it was recorded after', () => {
    const goodbye = call({ to, protocol: 'redis', request: 'QUIT\r\n', response: '+OK\r\n', atMs: 3 });
    const { request, response } = { request: get('/'), response: ok('{"a":1}') };
    const two = session({ request, response, calls: [call({ to, protocol: 'http', request: get('/x?q=1'), response: ok('1'), atMs: 1 }), goodbye] });
    const early = [live('QUIT\r\n', 'exact', 1, { protocol: 'redis' }), live(get('/x?q=1'), 'exact', 0, { beganMs: 3, endedMs: 4 })];
    const judged = judge(two, { ...played(early), session: two.id }, { threshold });
    assert.deepEqual([judged.verdict, judged.calls.map(({ summary, verdict }) => `${summary} ${verdict}`)], ['same', ['GET /x?q=1 same']]);
  });

  it('names calls of one thread that changed places, but not calls that overlapped', () => {
    const reversed = [live(get('/y'), 'exact', 1), live(get('/x?q=1'), 'exact', 0, { beganMs: 3, endedMs: 4 })];
    assert.deepEqual(judge(one, played(reversed), { threshold }).calls.map(({ verdict }) => verdict), ['same', 'reordered']);
    const overlapping = [live(get('/y'), 'exact', 1, { beganMs: 1, endedMs: 9 }), live(get('/x?q=1'), 'exact', 0, { beganMs: 2, endedMs: 4 })];
    assert.deepEqual(judge(one, played(overlapping), { threshold }).calls.map(({ verdict }) => verdict), ['same', 'same']);
  });

  it('is an error when there is no answer where one was recorded, and says how it ended', () => {
    for (const [end, reason] of [['timeout', /in time/], ['refused', /refused/], ['reset', /reset/], ['fin', /closed/]] as const) {
      const { verdict, reason: said } = judge(one, played(both, { response: new Uint8Array(0), responseEnd: end }), { threshold });
      assert.equal(verdict, 'error');
      assert.match(said ?? '', reason);
    }
  });

  it('is an error when the service refuses, also where no answer was recorded', () => {
    const silent = { ...one, inbound: { ...one.inbound, response: [] } };
    const { verdict, response } = judge(silent, played(both, { response: new Uint8Array(0), responseEnd: 'refused' }), { threshold });
    assert.deepEqual([verdict, response.verdict], ['error', 'different']);
  });

  it('is different when the answer breaks off, even after the same bytes', () => {
    const { verdict, response } = judge(one, played(both, { responseEnd: 'reset' }), { threshold });
    assert.deepEqual([verdict, response.differences.map(({ path }) => path)], ['different', ['response.end']]);
  });

  it('is different when an answer that had broken off does so in another way, or not any more', () => {
    const half = ok('1').slice(0, -1);
    const ended = (kind: 'reset' | 'fin', response: string) => ({ ...session({ request: get('/'), response }), inbound: { ...session({ request: get('/'), response }).inbound, end: { kind, by: 'local' as const } } });
    const found = (recorded: Session, response: string, responseEnd: ResponseEnd): unknown[] =>
      judge(recorded, played([], { response: bytes(response), responseEnd }), { threshold }).response.differences.filter(({ path }) => path === 'response.end').map(({ recorded: before, live: now }) => [before, now]);
    assert.deepEqual(found(ended('reset', half), half, 'reset'), []);
    assert.deepEqual(found(ended('reset', half), half, 'fin'), [['reset', 'fin']]);
    assert.deepEqual(found(ended('reset', half), ok('1'), 'message'), [['reset', 'whole']]);
    assert.deepEqual(found(ended('fin', half), half, 'reset'), [['fin', 'reset']]);
    assert.deepEqual(found(ended('fin', half), half, 'fin'), []);
    assert.deepEqual(found(ended('reset', ''), '', 'fin'), [['reset', 'fin']], 'nothing was answered, in another way');
    assert.deepEqual(found(ended('reset', ok('1')), ok('1'), 'message'), [], 'the connection was reset after a whole answer');
    assert.deepEqual(found(ended('reset', ok('1')), ok('1'), 'reset'), [['whole', 'reset']]);
  });

  it('does not miss a login after which nothing was asked, but misses a call', () => {
    const db = (request: string, response: string): ReturnType<typeof call> => call({ to: '10.0.0.7:5432', protocol: 'postgresql', request, response });
    const login = db('\0\0\0\x0f\0\x03\0\0user\0\0\0', 'R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I');
    const query = db('Q\0\0\0\x0dSELECT 1\0', 'C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I');
    const verdicts = (calls: ReturnType<typeof call>[]): string[] => judge(session({ request: get('/'), response: ok('1'), calls }), played([], { response: bytes(ok('1')) }), { threshold })
      .calls.map(({ verdict, recorded }) => `${verdict} ${recorded}`);
    assert.deepEqual(verdicts([login]), []);
    assert.deepEqual(verdicts([login, query]), ['missing 0', 'missing 1']);
    const prologues = [prologue('10.0.0.7:5432', [['C', '\0\0\0\x08\x04\xd2\x16\x2f'], ['S', 'N']])].map((one) => ({ ...one, connection: login.connection.id }));
    const asked = { ...session({ request: get('/'), response: ok('1'), calls: [login] }), prologues };
    assert.deepEqual(judge(asked, played([], { response: bytes(ok('1')) }), { threshold }).calls, [], 'nor one that came after it had asked for TLS');
  });

  it('says how many differences it does not list', () => {
    const many = (from: number): string => ok(JSON.stringify(Array.from({ length: 5_000 }, (_, n) => n + from)));
    const { response } = judge(session({ request: get('/'), response: many(0) }), played([], { response: bytes(many(7_000)) }), { threshold });
    assert.equal(response.differences.length + (response.more ?? 0), 5_000);
    assert.ok((response.more ?? 0) > 0);
    assert.ok(sessionLines({ ...judge(one, played(both), { threshold }), response }, pc.createColors(false)).length < 100);
  });

  it('is the same where the process had kept or forgotten something, but not when asked to be strict', () => {
    const kept = { session: 'other', agoMs: 1_000 };
    const happened = played([both[0]!, live(get('/z'), 'state', undefined, { kept })], { cached: [{ recorded: 1, ...kept }] });
    const apart = session({ request: get('/'), response: ok('{"a":1}'), calls: [one.outbound[0]!, call({ to: '10.0.0.6:80', protocol: 'http', request: get('/y'), response: ok('2'), atMs: 2 })] });
    const { verdict, calls } = judge(apart, happened, { threshold });
    assert.deepEqual([verdict, calls.map((each) => each.verdict)], ['same', ['same', 'state', 'cached']]);
    assert.match(calls.map(({ because }) => because).join('; '), /session other had the answer 1\.0 s before, when recorded; session other got the same answer 1\.0 s before, in this run/);
    assert.equal(judge(apart, happened, { threshold, strict: true }).verdict, 'different');
  });

  it('takes a call that another session answered, and a like one that was not made, for one that changed', () => {
    const kept = { session: 'other', agoMs: 1_000 };
    const happened = played([both[0]!, live(get('/y?v=2'), 'state', undefined, { kept })], { cached: [{ recorded: 1, ...kept }] });
    const { verdict, calls } = judge(one, happened, { threshold });
    assert.deepEqual([verdict, calls.map((each) => each.verdict), calls[1]?.differences.map(({ path }) => path)],
      ['different', ['same', 'different'], ['calls[1].request.query.v']]);
  });

  it('names drift by its path and kind, and counts it as noise', () => {
    const request = (id: string): string => `GET /x?q=1&id=${id} HTTP/1.1\r\nHost: service\r\n\r\n`;
    const made = session({ request: get('/'), response: ok('1'), calls: [call({ to, protocol: 'http', request: request('0b9f1f4e-3a55-4f0e-9d0b-1c2d3e4f5a6b'), response: ok('1') })] });
    const { verdict, calls, noise, ignored } = judge(made, played([live(request('7c1e2d3f-9b8a-4c6d-8e7f-a0b1c2d3e4f5'), 'drift', 0)], { response: bytes(ok('1')) }), { threshold });
    const path = 'calls[0].request.query.id';
    assert.deepEqual([verdict, calls[0]?.verdict, calls[0]?.drift, noise, ignored], ['same', 'same', [{ path, kind: 'uuid' }], [{ path, rule: 'made by the service: uuid' }], 1]);
  });

  it('tells of a value that looks made by the service and is not proven to be, unless it is declared', () => {
    const request = (id: string): string => `GET /x?q=1&id=${id} HTTP/1.1\r\nHost: service\r\n\r\n`;
    const [recorded, now] = ['0b9f1f4e-3a55-4f0e-9d0b-1c2d3e4f5a6b', '7c1e2d3f-9b8a-4c6d-8e7f-a0b1c2d3e4f5'];
    const made = session({ request: get('/'), response: ok('1'), calls: [call({ to, protocol: 'http', request: request(recorded), response: ok('1') })] });
    const judged = (ignore?: () => string): ReturnType<typeof judge> => judge(made, played([live(request(now), 'drift', 0, { unproven: [recorded] })], { response: bytes(ok('1')) }), { threshold, ...(ignore === undefined ? {} : { ignore }) });
    assert.deepEqual(judged().calls.map(({ verdict, how, differences }) => [verdict, how, differences]),
      [['different', 'drift', [{ path: 'calls[0].request.query.id', kind: 'changed', recorded, live: now }]]]);
    assert.deepEqual([judged(() => 'a rule').verdict, judged(() => 'a rule').noise], ['same', [{ path: 'calls[0].request.query.id', rule: 'a rule' }]]);
  });

  it('does not miss a goodbye', () => {
    const quit = session({ request: get('/'), response: ok('1'), calls: [call({ to: '10.0.0.6:6379', protocol: 'redis', request: '*1\r\n$4\r\nQUIT\r\n', response: '+OK\r\n' })] });
    assert.equal(judge(quit, played([], { response: bytes(ok('1')) }), { threshold }).verdict, 'same');
  });
});

describe('a session', () => {
  it('is not played when its certificate does not prove it, unless asked for', () => {
    const open = { ...one, certificate: { state: 'open', lost: [], unseen: [] } } as const;
    assert.match(whyNot(open, false) ?? '', /it was not over when the recording was read/);
    assert.equal(whyNot(open, true), undefined);
    assert.equal(whyNot(one, false), undefined);
  });

  it('is played where all that was out of sight is datagrams that were sent, and says how many it does not compare', () => {
    const lacking = (kind: string, count: number): Session => session({ request: get('/'), response: ok('1'), certificate: { state: 'incomplete', lost: [], unseen: [{ kind, count }] } });
    assert.match(whyNot(lacking('udp', 1), false) ?? '', /unseen: 1 udp/);
    assert.equal(whyNot(lacking('udp-sent', 2), false), undefined);
    assert.equal(judge(lacking('udp-sent', 2), played([], { response: bytes(ok('1')) }), { threshold }).datagrams, 2);
  });

  it('is not played with TLS inside, even when asked for', () => {
    const tls = { ...one, certificate: { state: 'incomplete', lost: [], unseen: [{ kind: 'tls', count: 1 }] } } as const;
    assert.match(whyNot(tls, true) ?? '', /TLS/);
  });

  const calling = (facts: Parameters<typeof call>[0]): string | undefined =>
    whyNot(session({ request: get('/'), response: ok('1'), calls: [call({ request: 'x', ...facts })] }), false);

  it('is not played where its request, or a call of it, is HTTP/2, and says which, even when asked for', () => {
    assert.equal(whyNot(session({ request: 'x', response: 'y', protocol: 'http2' }), true), 'its request is HTTP/2, which cannot be played yet');
    assert.equal(calling({ to: '10.0.0.7:50051', protocol: 'http2' }), 'it calls 10.0.0.7:50051 over HTTP/2, which cannot be played yet');
  });

  it('that is not played is named by its header fields, where only these tell what it asked', () => {
    const asked = session({ request: 'x', response: 'y', protocol: 'http2' });
    const fields = { request: [[':method', 'GET'] as const, [':path', '/a'] as const], response: [] };
    assert.equal(unplayed({ ...asked, inbound: { ...asked.inbound, fields } }, 'skipped', 'why').summary, 'GET /a');
  });

  it('is played when it calls a unix socket by its path', () => {
    assert.equal(calling({ to: 'unix:/run/mysqld/mysqld.sock' }), undefined);
  });

  it('is not played when it calls a unix socket that has no path, or that it could not connect to', () => {
    assert.match(calling({ to: 'unix:' }) ?? '', /absolute path/);
    assert.match(calling({ to: 'unix:run/db.sock' }) ?? '', /unix:run\/db\.sock.*absolute path/);
    assert.match(calling({ to: 'unix:/run/db.sock', request: '', end: { kind: 'refused', by: 'remote' } }) ?? '', /failed to connect to unix:\/run\/db\.sock/);
  });
});

describe('the exit status', () => {
  const summary = { event: 'summary', sessions: 3, same: 0, different: 0, skipped: 0, errors: 0, wallMs: 1 } as const;
  it('is 0 only when something was compared and nothing differs', () => {
    assert.equal(exitOf({ ...summary, same: 3 }), 0);
    assert.equal(exitOf({ ...summary, same: 1, skipped: 2 }), 0);
    assert.equal(exitOf({ ...summary, same: 2, different: 1 }), 1);
    assert.equal(exitOf({ ...summary, same: 2, errors: 1 }), 1);
    assert.equal(exitOf({ ...summary, same: 2, untied: 1 }), 0);
    assert.equal(exitOf({ ...summary, same: 2, untied: 1 }, true), 1, 'with --strict a call of nobody\'s is no success');
    assert.equal(exitOf({ ...summary, skipped: 3 }), 3);
    assert.equal(exitOf({ ...summary, sessions: 0 }), 3);
  });
});
