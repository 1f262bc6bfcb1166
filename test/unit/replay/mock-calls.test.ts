import assert from 'node:assert/strict';
import { postgresqlMessage } from '../../../src/protocols/postgresql-messages.ts';
import { NOTHING_BYPASSED } from '../../../src/replay/bypass.ts';
import { mockCalls } from '../../../src/replay/mock-calls.ts';
import type { AmbientTalk, OutboundTalk } from '../../../src/sessions/session.ts';
import { call, chunk, get, ok, prologue, session, type CallFacts } from './build.ts';

const http = (path: string, more: Partial<CallFacts> = {}): OutboundTalk => call({ to: '10.0.0.5:80', protocol: 'http', request: get(path), response: ok(path), ...more });
const ambient = (talk: OutboundTalk): AmbientTalk => ({ ...talk, ambient: true, tgid: 1, startedAtUs: 0, candidates: [] });
const one = (calls: readonly OutboundTalk[], more = {}) => session({ request: get('/'), response: ok('x'), calls, ...more });
const paths = (outbound: readonly OutboundTalk[]): string[] => outbound.map(({ request: [first] }) => (first !== undefined && 'bytes' in first ? Buffer.from(first.bytes).toString().split(' ')[1] ?? '' : 'connect'));

describe('what a mock plays', () => {
  it('is every call of all sessions and of none, in the order in which they were made, with the session that each was in', () => {
    const { session: all, origins, leftOut } = mockCalls([
      one([http('/3', { atMs: 3 }), http('/1', { atMs: 1 })], { id: 'aaaa' }), one([http('/2', { atMs: 2 })], { id: 'bbbb' }),
    ], [ambient(http('/0', { atMs: 0 }))], NOTHING_BYPASSED);
    assert.deepEqual(paths(all.outbound), ['/0', '/1', '/2', '/3']);
    assert.deepEqual(origins, ['', 'aaaa', 'bbbb', 'aaaa']);
    assert.deepEqual(leftOut, {});
  });

  it('has the whole calls of a session that is incomplete, and counts those that can\'t be played, by why', () => {
    const gap = { ...http('/gap'), response: [{ atUs: 1, tid: 1, gap: 10, cause: 'ring-full' as const }] };
    const { session: all, leftOut } = mockCalls([one([
      http('/whole'), gap, http('/cut', { response: ok('half').slice(0, -2) }), http('/none', { response: '' }), http('/closed', { response: ok('half').slice(0, -2), end: { kind: 'fin', by: 'remote' } }),
      call({ to: '10.0.0.5:443', protocol: 'tls', request: '\x16\x03\x01' }), call({ to: '10.0.0.5:81', protocol: 'http2', request: 'PRI' }), call({ to: 'unix:log', request: 'x' }),
    ], { certificate: { state: 'incomplete', lost: [], unseen: [] } })], [], NOTHING_BYPASSED);
    assert.deepEqual(paths(all.outbound), ['/whole', '/closed']);
    assert.deepEqual(leftOut, { incomplete: 1, unanswered: 2, tls: 1, http2: 1, unix: 1 });
  });

  it('leaves out what asks twice and is answered once, and a server that turned clients away which it took in another time', () => {
    const twice = http('/a', { request: get('/a') + get('/b') });
    const full = (to: string): OutboundTalk => call({ to, protocol: 'mysql', response: '\x17\0\0\x00\xff\x10\x04Too many connections', end: { kind: 'fin', by: 'remote' } });
    const asked = call({ to: '10.0.0.8:3306', protocol: 'mysql', request: '\x01\0\0\0\x0e', response: '\x07\0\0\x01\0\0\0\x02\0\0\0' });
    const { session: all, leftOut } = mockCalls([one([twice, full('10.0.0.8:3306'), asked, full('10.0.0.9:3306')])], [], NOTHING_BYPASSED);
    assert.deepEqual([all.outbound.map(({ connection, request }) => [connection.remote, request.length]), leftOut], [[['10.0.0.8:3306', 1], ['10.0.0.9:3306', 0]], { unanswered: 1 }]);
  });

  it('leaves out what goes to the real world, and what a client of the recorded service asked it', () => {
    const client = ambient(http('/asked', { to: '127.0.0.1:8080' }));
    const { session: all } = mockCalls([one([http('/1'), http('/2', { to: '10.0.0.6:80' })])], [client], { ...NOTHING_BYPASSED, addresses: [{ host: '10.0.0.6' }] });
    assert.deepEqual(paths(all.outbound), ['/1']);
  });

  it('fails a connect that never worked, and not one that worked another time', () => {
    const refused = (to: string): OutboundTalk => call({ to, end: { kind: 'refused', by: 'remote' } });
    const { session: all } = mockCalls([one([refused('10.0.0.5:80'), http('/1'), refused('10.0.0.9:9')])], [], NOTHING_BYPASSED);
    assert.deepEqual(all.outbound.map(({ connection, request }) => [connection.remote, request.length]), [['10.0.0.9:9', 0], ['10.0.0.5:80', 1]]);
  });

  it('refuses a login that never went through, and not one that did another time', () => {
    const login = (user: string): string => {
      const body = `\0\x03\0\0user\0${user}\0\0`;
      return `\0\0\0${String.fromCharCode(body.length + 4)}${body}`;
    };
    const error = Buffer.from(postgresqlMessage('E', Buffer.from('SFATAL\0C53300\0Mno\0\0'))).toString('latin1');
    const pg = (user: string): OutboundTalk => call({ to: '10.0.0.7:5432', protocol: 'postgresql', request: login(user), response: error, end: { kind: 'fin', by: 'remote' } });
    const { session: all } = mockCalls([one([pg('good'), pg('bad')], { prologues: [prologue('10.0.0.7:5432', [['C', login('good')], ['S', 'R']])] })], [], NOTHING_BYPASSED);
    assert.equal(all.outbound.length, 1);
    assert.deepEqual(all.outbound[0]?.request, [chunk(login('bad'), 1)]);
  });

  it('is nothing where nothing was recorded', () => {
    assert.deepEqual(mockCalls([], [], NOTHING_BYPASSED).origins, []);
  });
});
