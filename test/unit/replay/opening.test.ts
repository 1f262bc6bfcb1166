import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { equalByProtocol, similarity } from '../../../src/compare/index.ts';
import { protocolNamed } from '../../../src/protocols/index.ts';
import { postgresqlMessage as pg, readMessages } from '../../../src/protocols/postgresql-messages.ts';
import { Engine } from '../../../src/replay/engine.ts';
import { OutboundConnection } from '../../../src/replay/outbound.ts';
import { plainForm } from '../../../src/replay/plain.ts';
import { isAgreed } from '../../../src/replay/played.ts';
import { worldOf } from '../../../src/replay/world.ts';
import type { OutboundTalk, Session } from '../../../src/sessions/session.ts';
import { call, get, ok, prologue, session } from './build.ts';

const DESTINATION = '10.0.0.5:5432';
const latin = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const query = (sql: string): string => latin(pg('Q', Buffer.from(`${sql}\0`)));
const ready = (status: string): Buffer => pg('Z', Buffer.from(status));
/** One column of one row. */
const row = (value: string, status: string): string => latin(Buffer.concat([
  pg('T', Buffer.from('\0\x01v\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0', 'latin1')),
  pg('D', Buffer.from(`\0\x01\0\0\0${String.fromCharCode(value.length)}${value}`, 'latin1')), pg('C', Buffer.from('SELECT 1\0')), ready(status),
]));
const tag = (text: string, status: string): string => latin(Buffer.concat([pg('C', Buffer.from(`${text}\0`)), ready(status)]));
const startup = latin(Buffer.concat([Buffer.from([0, 0, 0, 16, 0, 3, 0, 0]), Buffer.from('user\0a\0\0')]));
const login = prologue(DESTINATION, [['C', startup], ['S', latin(Buffer.concat([pg('R', Buffer.from([0, 0, 0, 0])), ready('I')]))]]);

let atMs = 0;
const said = (sql: string, response: string, id = `p-${DESTINATION}`): OutboundTalk => {
  const talk = call({ to: DESTINATION, protocol: 'postgresql', request: query(sql), response, atMs: atMs += 1 });
  return { ...talk, connection: { ...talk.connection, id } };
};
const VERSION = said('select version()', row('PostgreSQL 16.1', 'T'));
/** As SQLAlchemy does on the first connection of a process. */
const asking = (): OutboundTalk[] => [
  said('BEGIN', tag('BEGIN', 'T')), { ...VERSION, request: said('select version()', '').request }, said('SAVEPOINT a', tag('SAVEPOINT', 'T')), said('RELEASE a', tag('RELEASE', 'T')), said('ROLLBACK', tag('ROLLBACK', 'I')),
];
const asked = (sql: string, answer: string, id?: string): OutboundTalk[] => [said('BEGIN', tag('BEGIN', 'T'), id), said(sql, row(answer, 'T'), id), said('COMMIT', tag('COMMIT', 'I'), id)];
const of = (id: string, calls: readonly OutboundTalk[], known = true): Session => session({ id, request: get(`/${id}`), response: ok('x'), calls, prologues: known ? [login] : [] });

const owned = (one: Session | undefined): number[] => (one?.outbound ?? []).flatMap((talk, at) => (isAgreed(talk) ? [at] : []));

/** What a service is told that says these things, one after the other, on one new connection while `plays` is in play. */
async function told(plays: Session, all: readonly Session[], statements: readonly string[]): Promise<{ answers: string[]; made: string[]; notes: string[] }> {
  const plain = plainForm(all, []);
  const world = worldOf(plain.sessions, { match: 'none', threshold: 0.7, onMiss: 'fail', answerMs: 1_000, quietMs: 50 }, plain);
  const engine = new Engine(world, { equal: equalByProtocol, similarity }, { protocol: protocolNamed, recognise: () => undefined }, () => performance.now());
  const play = engine.begin(plain.sessions.find(({ id }) => id === plays.id) ?? plays);
  const notes: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    new OutboundConnection(socket, { engine, destination: DESTINATION, serverPort: 5432, world, real: () => Promise.resolve(undefined), note: (text) => { notes.push(text); } });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const answers: string[] = [];
  const ask = async (request: string): Promise<string> => {
    client.write(Buffer.from(request, 'latin1'));
    let heard = Buffer.alloc(0);
    while (heard.at(-6) !== 0x5a) heard = Buffer.concat([heard, (await once(client, 'data'))[0] as Buffer]);
    return [...readMessages(heard, 'server')].map(({ type, body }) => (type === 'D' ? latin(body.subarray(6)) : type === 'C' ? latin(body.subarray(0, -1)) : type === 'Z' ? latin(body) : type)).join(' ');
  };
  await ask(startup);
  for (const sql of statements) answers.push(await ask(query(sql)));
  client.end();
  await once(client, 'close');
  server.close();
  return { answers, made: play.calls.map(({ request, how }) => `${how}: ${latin(request.subarray(5, -1))}`), notes: notes.filter((note) => !note.includes('no login was recorded')) };
}

describe('what a driver says because its connection is new', () => {
  it('is no call of the session that was the first to come, with the transaction that it did it in', () => {
    const plain = plainForm([of('a', [...asking(), ...asked('select 1 from items', 'one')]), of('b', asked('select 2 from items', 'two'))], []);
    assert.deepEqual(plain.sessions.map(owned), [[0, 1, 2, 3, 4], []]);
    assert.deepEqual(plain.inquiries[DESTINATION]?.map(({ request }) => latin(request.subarray(5, -1))), ['select version()']);
  });

  it('is a call where something else was said before on that connection, or its beginning was not recorded', () => {
    assert.deepEqual(owned(plainForm([of('a', [...asked('select 1 from items', 'one'), ...asking()])], []).sessions[0]), []);
    assert.deepEqual(owned(plainForm([of('a', asking(), false)], []).sessions[0]), []);
    assert.deepEqual(owned(plainForm([of('a', [said('BEGIN', tag('BEGIN', 'T')), said('COMMIT', tag('COMMIT', 'I'))])], []).sessions[0]), [], 'a transaction of nothing');
  });

  it('is answered as recorded, whichever session is in play when it is said, and is none of its calls', async () => {
    const [first, second] = [of('a', [...asking(), ...asked('select 1 from items', 'one')]), of('b', asked('select 2 from items', 'two'))];
    const { answers, made, notes } = await told(second, [first, second], ['BEGIN', 'select version()', 'SAVEPOINT a', 'RELEASE a', 'ROLLBACK', 'BEGIN', 'select 2 from items', 'COMMIT']);
    assert.deepEqual(answers, ['BEGIN T', 'T PostgreSQL 16.1 SELECT 1 T', 'SAVEPOINT T', 'RELEASE T', 'ROLLBACK I', 'BEGIN T', 'T two SELECT 1 T', 'COMMIT I']);
    assert.deepEqual([made, notes], [['exact: BEGIN', 'exact: select 2 from items', 'exact: COMMIT'], []]);
  });

  it('is answered by a made-up server, and that is said, where no connection was recorded from its start', async () => {
    const only = of('a', asked('select 1 from items', 'one'), false);
    const { answers, made, notes } = await told(only, [only], ['select version()', 'show transaction isolation level', "SELECT oid FROM pg_type WHERE typname = 'hstore'", 'BEGIN', 'select 1 from items', 'COMMIT']);
    assert.match(answers[0]!, /^T PostgreSQL 15\.0 on .* SELECT 1 I$/);
    assert.deepEqual(answers.slice(1), ['T read committed SHOW I', 'T SELECT 0 I', 'BEGIN T', 'T one SELECT 1 T', 'COMMIT I']);
    assert.deepEqual(made, ['exact: BEGIN', 'exact: select 1 from items', 'exact: COMMIT']);
    assert.equal(new Set(notes).size, 1);
    assert.match(notes[0]!, /what drivers ask a new connection was not recorded; answers were invented/);
  });

  it('does not hide a call that is new: a transaction of its own, and an inquiry after the first call', async () => {
    const only = of('a', asked('select 1 from items', 'one'));
    const { made } = await told(only, [only], ['BEGIN', 'select 9 from items', 'ROLLBACK', 'BEGIN', 'select 1 from items', 'COMMIT', 'select version()']);
    assert.deepEqual(made, ['exact: BEGIN', 'none: select 9 from items', 'none: ROLLBACK', 'none: BEGIN', 'exact: select 1 from items', 'exact: COMMIT', 'none: select version()']);
  });
});
