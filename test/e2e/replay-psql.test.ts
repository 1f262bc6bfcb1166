/** PostgreSQL's own client at the replayer: libpq's word on what it is let in by. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { equalByProtocol, similarity } from '../../src/compare/index.ts';
import { protocolNamed } from '../../src/protocols/index.ts';
import { postgresqlMessage } from '../../src/protocols/postgresql-messages.ts';
import { Engine } from '../../src/replay/engine.ts';
import { OutboundConnection } from '../../src/replay/outbound.ts';
import { worldOf } from '../../src/replay/world.ts';
import { call, get, ok, prologue, session } from '../unit/replay/build.ts';

const DESTINATION = '10.0.0.7:5432';
const message = (type: string, body: string): string => postgresqlMessage(type, Buffer.from(body, 'latin1')).toString('latin1');
const READY = message('Z', 'I');
const STARTUP = '\0\0\0\x22\0\x03\0\0user\0shop\0database\0goods\0\0';
const ADMITTED = message('R', '\0\0\0\0') + message('S', 'server_version\x0016.1\0') + message('S', 'client_encoding\0UTF8\0') + message('K', 'aaaabbbb') + READY;
const COLUMN = message('T', '\0\x01stock\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0');
const ROW = message('D', '\0\x01\0\0\0\x02\x34\x32') + message('C', 'SELECT 1\0');

/** What psql says when it asks for the stock. */
function psql(port: number, more: string): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn('psql', ['-X', '-A', '-t', '-c', 'select stock', `host=127.0.0.1 port=${port} user=shop dbname=goods connect_timeout=30 ${more}`], {
    stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PGPASSWORD: 'not the one', LC_ALL: 'C' }, timeout: 60_000,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => { stdout += text.toString(); });
  child.stderr.on('data', (text: Buffer) => { stderr += text.toString(); });
  return new Promise((resolve) => { child.on('close', (status) => { resolve({ status, stdout, stderr }); }); });
}

describe('psql at the replayer', function () {
  this.timeout(90_000);
  let server: Server | undefined;

  before(async function () {
    if (spawnSync('psql', ['--version']).status !== 0) {
      console.log('      skipped: there is no psql here');
      this.skip();
    }
    const asks = call({ to: DESTINATION, protocol: 'postgresql', request: message('Q', 'select stock\0'), response: COLUMN + ROW + READY });
    const one = session({ request: get('/'), response: ok('x'), calls: [asks], prologues: [prologue(DESTINATION, [['C', STARTUP], ['S', ADMITTED]])] });
    const world = worldOf([one], { match: 'none', threshold: 0.7, onMiss: 'fail', answerMs: 30_000, quietMs: 50 });
    const engine = new Engine(world, { equal: equalByProtocol, similarity }, { protocol: protocolNamed, recognise: () => undefined }, () => performance.now());
    engine.begin(one);
    server = createServer({ allowHalfOpen: true }, (socket) => {
      new OutboundConnection(socket, { engine, destination: DESTINATION, serverPort: 5432, world, real: () => Promise.resolve(undefined), note: () => undefined });
    });
    await new Promise<void>((resolve) => { server?.listen(0, '127.0.0.1', resolve); });
  });

  after(() => { server?.close(); });

  const port = (): number => (server?.address() as AddressInfo).port;

  it('is let in whatever its password, also when it asks for TLS first, and gets the recorded row', async () => {
    assert.deepEqual(await psql(port(), 'sslmode=prefer'), { status: 0, stdout: '42\n', stderr: '' });
  });

  it('that insists on a proof of the server is told that there is none', async () => {
    const { status, stdout, stderr } = await psql(port(), 'sslmode=prefer channel_binding=require');
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, /channel binding required/);
  });
});
