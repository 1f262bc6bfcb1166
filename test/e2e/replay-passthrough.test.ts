import assert from 'node:assert/strict';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { NOTHING_BYPASSED, withoutBypassed, type Bypassed } from '../../src/replay/bypass.ts';
import type { Replayed } from '../../src/replay/replayed.ts';
import type { ReplayOptions } from '../../src/replay/options.ts';
import { call, get, ok } from '../unit/replay/build.ts';
import { cannotReplay, hostState, planned, play, processesWith, SERVICE, type Step } from './replay/stage.ts';
import { skipIf } from '../skip.ts';

const TAPED = '10.20.30.40:80';
const verdicts = (replayed: readonly Replayed[]): string[] => replayed.map(({ verdict }) => verdict);
const callVerdicts = (one: Replayed | undefined): string[] => (one?.calls ?? []).map(({ verdict }) => verdict);

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return (server.address() as AddressInfo).port;
}

describe('replay with a way to the real world', function () {
  this.timeout(60_000);
  let before = '';
  let servers: Server[] = [];
  let asked: string[] = [];

  beforeEach(function () {
    skipIf(this, cannotReplay());
    before = hostState();
    servers = [];
    asked = [];
  });

  afterEach(function () {
    if (this.currentTest?.isPending() === true) return;
    for (const server of servers) server.close();
    assert.equal(hostState(), before);
    assert.deepEqual(processesWith(SERVICE), []);
  });

  /** An HTTP server of the host that answers every request with `real PATH`, and closes the connection where it is asked to. */
  async function realHttp(): Promise<number> {
    const server = createHttpServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.sendDate = false;
      response.setHeader('Content-Length', Buffer.byteLength(`real ${request.url}`));
      response.end(`real ${request.url}`);
    });
    servers.push(server);
    return listening(server);
  }

  /** A Redis of the host that wants a password, and says what it was told. */
  async function realRedis(): Promise<number> {
    const server = createServer((socket) => {
      let isIn = false;
      socket.on('error', () => { /* the service went away */ });
      socket.on('data', (bytes) => {
        const words = bytes.toString().split('\r\n').filter((word) => word !== '' && !/^[*$]/.test(word));
        asked.push(words.join(' '));
        if (words[0] === 'AUTH') isIn = words[1] === 'secret';
        socket.write(isIn ? (words[0] === 'AUTH' ? '+OK\r\n' : ':7\r\n') : '-NOAUTH\r\n');
      });
    });
    servers.push(server);
    return listening(server);
  }

  const bypassing = (more: Partial<Bypassed>): Bypassed => ({ ...NOTHING_BYPASSED, ...more });
  const playWith = async (sessions: readonly ReturnType<typeof planned>[], more: Partial<ReplayOptions>): ReturnType<typeof play> =>
    play(sessions.map((one) => withoutBypassed(one, more.bypassed ?? NOTHING_BYPASSED)), more);

  const taped = (path: string): { step: Step; result: string; recorded: ReturnType<typeof call> } => ({
    step: { to: TAPED, send: get(path, 'api'), read: ok('taped').length }, result: ok('taped'),
    recorded: call({ to: TAPED, protocol: 'http', request: get(path, 'api'), response: ok('taped') }),
  });

  it('lets a destination through whole, the recorded calls to it neither missing nor new, and nothing else', async () => {
    const port = await realHttp();
    const other = await realHttp();
    const to = `127.0.0.1:${port}`;
    const body = 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nreal /a';
    const one = taped('/x');
    const s = planned(
      [{ to, send: get('/a', 'api'), read: body.length }, one.step, { to: `127.0.0.1:${other}`, send: 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', read: 12 }],
      [body, one.result, 'HTTP/1.1 502'], [call({ to, protocol: 'http', request: get('/recorded', 'api'), response: ok('recorded') }), one.recorded]);
    const { replayed, notes } = await playWith([s], { bypassed: bypassing({ addresses: [{ host: '127.0.0.1', port }] }) });
    assert.deepEqual(callVerdicts(replayed[0]), ['same', 'new'], JSON.stringify(replayed) + notes.join('\n'));
    assert.match(JSON.stringify(replayed[0]?.response), /502/);
    assert.doesNotMatch(JSON.stringify(replayed[0]?.response), /results\[[01]\]/);
    assert.deepEqual(asked, ['GET /a']);
  });

  it('lets a name through, that means for the service what it means here', async () => {
    const port = await realHttp();
    const step: Step = { to: `config.test:${port}`, send: get('/a', 'config.test'), read: 15 };
    const { replayed, notes } = await playWith([planned([step], ['HTTP/1.1 200 OK'], [])], { bypassed: bypassing({ names: [{ name: 'config.test', addresses: ['127.0.0.1'] }] }) });
    assert.deepEqual(callVerdicts(replayed[0]), [], JSON.stringify(replayed) + notes.join('\n'));
    assert.deepEqual(asked, ['GET /a']);
  });

  it('lets single requests of a connection through, in order with those that are played', async () => {
    const port = await realHttp();
    const to = `127.0.0.1:${port}`;
    const page = (path: string, read: number): Step => ({ to, send: get(path, 'api'), read, keep: 'http' });
    const real = 'HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nreal /config/1';
    const s = planned([page('/a', ok('taped').length), page('/config/1', real.length), page('/b', ok('taped').length)], [ok('taped'), real, ok('taped')],
      ['/a', '/config/1', '/b'].map((path) => call({ to, protocol: 'http', request: get(path, 'api'), response: ok('taped') })));
    const { replayed, notes } = await playWith([s], { bypassed: bypassing({ operations: [{ protocol: 'http', method: 'GET', target: 'api/config/*' }] }) });
    assert.deepEqual([verdicts(replayed), callVerdicts(replayed[0])], [['same'], ['same', 'same']], JSON.stringify(replayed) + notes.join('\n'));
    assert.deepEqual(asked, ['GET /config/1']);
  });

  it('lets a Redis command through, after the set-up that the service made', async () => {
    const port = await realRedis();
    const to = `127.0.0.1:${port}`;
    const resp = (...words: string[]): string => `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
    const say = (send: string, read: number): Step => ({ to, send, read, keep: 'redis' });
    const s = planned([say(resp('AUTH', 'secret'), 5), say(resp('GET', 'a'), 8), say(resp('PUBLISH', 'c', 'm'), 4)], ['+OK\r\n', '$2\r\nhi\r\n', ':7\r\n'],
      [call({ to, protocol: 'redis', request: resp('GET', 'a'), response: '$2\r\nhi\r\n' }), call({ to, protocol: 'redis', request: resp('PUBLISH', 'c', 'm'), response: ':1\r\n' })]);
    const { replayed, notes } = await playWith([s], { bypassed: bypassing({ operations: [{ protocol: 'redis', command: 'publish' }] }) });
    assert.deepEqual([verdicts(replayed), callVerdicts(replayed[0])], [['same'], ['same']], JSON.stringify(replayed) + notes.join('\n'));
    assert.deepEqual(asked, ['AUTH secret', 'PUBLISH c m']);
  });

  it('with --on-miss passthrough, asks the real one what was not recorded, and reports it as new', async () => {
    const port = await realHttp();
    const to = `127.0.0.1:${port}`;
    const read = 'HTTP/1.1 200 OK'.length;
    const s = planned([{ to, send: get('/a', 'api'), read: ok('taped').length }, { to, send: get('/unrecorded', 'api'), read }], [ok('taped'), 'HTTP/1.1 200 OK'],
      [call({ to, protocol: 'http', request: get('/a', 'api'), response: ok('taped') })]);
    const { replayed } = await playWith([s], { onMiss: 'passthrough', match: 'none' });
    assert.deepEqual(callVerdicts(replayed[0]), ['same', 'new'], JSON.stringify(replayed));
    assert.deepEqual(asked, ['GET /unrecorded']);
  });

  it('with --on-miss passthrough and nobody there, gives the miss', async () => {
    const to = '127.0.0.1:9';
    const { replayed, notes } = await playWith([planned([{ to, send: get('/a', 'api'), read: 12 }], ['HTTP/1.1 502'], [])], { onMiss: 'passthrough' });
    assert.match(JSON.stringify(replayed), /"new"/, notes.join('\n'));
  });

  it('plays a moved dependency by its recorded address, by address and by name', async () => {
    // Clients name in the Host whom they ask.
    const at = (to: string): Step => ({ to, send: get('/a', to), read: ok('taped').length });
    const recorded = (to: string, host = to): ReturnType<typeof call> => call({ to, protocol: 'http', request: get('/a', host), response: ok('taped') });
    const s = planned([at('127.0.0.1:5433'), at('new.test:8000'), at('192.0.2.1:8001')], [ok('taped'), ok('taped'), ok('taped')],
      [recorded('10.0.0.5:5432', 'api.internal'), recorded('10.0.0.6:8000', 'old.test:8000'), recorded('10.0.0.7:8001')], { names: { 'old.test': ['10.0.0.6'] } });
    const { replayed, notes } = await play([s], { match: 'none', moved: [
      { recorded: { host: '10.0.0.5', port: 5432 }, live: { host: '127.0.0.1', port: 5433 } },
      { recorded: { host: 'old.test' }, live: { host: 'new.test' } }, { recorded: { host: '10.0.0.7' }, live: { host: '192.0.2.1' } }] });
    assert.deepEqual(callVerdicts(replayed[0]), ['same', 'same', 'same'], JSON.stringify(replayed) + notes.join('\n'));
  });
});
