import assert from 'node:assert/strict';
import { postgresqlMessage } from '../../../src/protocols/postgresql-messages.ts';
import { bytesOf } from '../../../src/replay/calls.ts';
import { isAgreed } from '../../../src/replay/played.ts';
import { isRefusal, loginIn, withRefusedLogins } from '../../../src/replay/refused-logins.ts';
import type { OutboundTalk } from '../../../src/sessions/session.ts';
import { bytes, call, get, ok, session } from './build.ts';

const packet = (sequence: number, body: string): string => `${String.fromCharCode(body.length)}\0\0${String.fromCharCode(sequence)}${body}`;
const ERROR = '\xff\x15\x04#28000Access denied';

interface Said {
  readonly user?: string;
  readonly database?: string;
  readonly proof?: string;
  readonly attributes?: string;
}

/** HandshakeResponse41 with a database, a plugin and attributes, among them the client's process id. */
function mysqlLogin({ user = 'shop', database = 'goods', proof = 'h'.repeat(20), attributes = '_pid4711' }: Said = {}): string {
  return packet(1, `\x8d\xa2\x3a\0\0\0\0\x40\x08${'\0'.repeat(23)}${user}\0${String.fromCharCode(proof.length)}${proof}${database}\0mysql_native_password\0${attributes}`);
}

function talks(protocol: string, turns: readonly (readonly [string, string])[], id = 'one'): OutboundTalk[] {
  return turns.map(([request, response], at) => ({ ...call({ protocol, request, response, atMs: at + 1 }), connection: { id, local: '10.0.0.1:40001', remote: '10.0.0.5:1', protocol } }));
}

/** What of the calls is matched: request and answer. */
function told(outbound: readonly OutboundTalk[]): string[][] {
  return withRefusedLogins(session({ request: get('/'), response: ok('x'), calls: outbound })).outbound.filter((talk) => !isAgreed(talk))
    .map(({ request, response }) => [request, response].map((chunks) => Buffer.from(bytesOf(chunks)).toString('latin1')));
}

const plain = (login: string): string => Buffer.from(loginIn('mysql', bytes(login)) ?? []).toString('latin1');

describe('logins that were refused', () => {
  it('to MySQL are one call, whatever else the server asked for, and its error follows the login at once', () => {
    const login = mysqlLogin();
    assert.deepEqual(told(talks('mysql', [[login, packet(2, ERROR)]])), [[plain(login), packet(2, ERROR)]]);
    const switched = talks('mysql', [[login, packet(2, '\xfecaching_sha2_password\0abc')], [packet(3, 'proof'), packet(4, '\x01\x04')], [packet(5, 'secret'), packet(6, ERROR)]]);
    assert.deepEqual(told(switched), [[plain(login), packet(2, ERROR)]]);
  });

  it('are told apart by user, database and character set, and not by the proof or the process id', () => {
    assert.equal(plain(mysqlLogin({ proof: 'another proof', attributes: '_pid4712' })), plain(mysqlLogin()));
    assert.equal(plain(mysqlLogin({ proof: '' })), plain(mysqlLogin()));
    for (const other of [{ user: 'root' }, { database: 'till' }, { database: '' }]) assert.notEqual(plain(mysqlLogin(other)), plain(mysqlLogin()));
    assert.equal(loginIn('mysql', bytes(packet(0, '\x03select 1'))), undefined);
  });

  it('are none where the client was let in, also where it met an error later', () => {
    const turns = [[mysqlLogin(), packet(2, '\0\0\0\x02\0\0\0')], [packet(0, '\x03set x'), packet(1, ERROR)]] as const;
    assert.deepEqual(told(talks('mysql', turns)), turns.map((turn) => [...turn]));
    const startup = '\0\0\0\x13\0\x03\0\0user\0shop\0\0';
    const pg = (type: string, body: string): string => postgresqlMessage(type, Buffer.from(body, 'latin1')).toString('latin1');
    const letIn = [[startup, pg('R', '\0\0\0\0') + pg('Z', 'I')], [pg('Q', 'x\0'), pg('E', 'C42601\0\0') + pg('Z', 'I')]] as const;
    assert.deepEqual(told(talks('postgresql', letIn)), letIn.map((turn) => [...turn]));
    assert.deepEqual(told(talks('postgresql', [[startup, pg('E', 'C28P01\0\0')]])), [[startup, pg('E', 'C28P01\0\0')]]);
  });

  it('are told from answers that let in', () => {
    assert.deepEqual([packet(2, ERROR), packet(2, '\0\0\0'), ''].map((answer) => isRefusal('mysql', bytes(answer))), [true, false, false]);
    assert.deepEqual(['E\0\0\0\x04', 'R\0\0\0\x04'].map((answer) => isRefusal('postgresql', bytes(answer))), [true, false]);
    assert.equal(isRefusal('http', bytes('E')), false);
  });
});
