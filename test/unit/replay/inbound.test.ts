import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { protocolNamed } from '../../../src/protocols/index.ts';
import { ClientConnections } from '../../../src/replay/client-connections.ts';
import { playClient, type ClientOptions, type Heard } from '../../../src/replay/inbound.ts';
import { get, ok, session } from './build.ts';

describe('the client of a session', () => {
  const options = (port: number, more: Partial<ClientOptions> = {}): ClientOptions => ({
    sut: { host: '127.0.0.1', port }, patient: () => true, dialled: () => undefined, connections: new ClientConnections(), line: 'a', goesOn: () => false, isUnderWay: () => false,
    world: { answerMs: 500, quietMs: 50 }, ...more,
  });

  let server: Server | undefined;
  afterEach(() => { server?.close(); });

  /** What it hears of a service that begins an answer and then says an event every so often, for ever. */
  async function heard(recordedBytes: number): Promise<Heard> {
    const events = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
      const timer = setInterval(() => { socket.write('5\r\n: hi\n\r\n'); }, 20);
      socket.on('close', () => { clearInterval(timer); });
    });
    server = events;
    await new Promise<void>((resolve) => { events.listen(0, '127.0.0.1', resolve); });
    const { port } = events.address() as AddressInfo;
    const { inbound } = session({ request: get('/events'), response: ok('x'), client: '127.0.0.1:0' });
    return playClient(inbound, recordedBytes, protocolNamed('http'), options(port));
  }

  it('ends an answer that goes on for ever, though no pause in it is long', async function () {
    if (process.getuid?.() !== 0) {
      console.log('        skipped: a connection can be marked by root only');
      this.skip();
    }
    this.timeout(60_000);
    const { end, response } = await heard(50);
    assert.equal(end, 'timeout');
    assert.ok(response.length > 50);
  });

  describe('whose connection carried several sessions', () => {
    const request = get('/one');
    const { inbound } = session({ request, response: ok('x'), client: '127.0.0.1:0' });
    const open: Socket[] = [];

    before(function () {
      if (process.getuid?.() === 0) return;
      console.log('        skipped: a connection can be marked by root only');
      this.skip();
    });

    afterEach(() => {
      for (const socket of open.splice(0)) socket.destroy();
    });

    /** `answer` is told which connection it is, and which request on it, both from 1. */
    async function serve(answer: (socket: Socket, connection: number, request: number) => void): Promise<number> {
      const one = createServer((socket) => {
        const connection = open.push(socket);
        let count = 0;
        socket.on('error', () => undefined);
        socket.on('data', () => { answer(socket, connection, count += 1); });
      });
      server = one;
      await new Promise<void>((resolve) => { one.listen(0, '127.0.0.1', resolve); });
      return (one.address() as AddressInfo).port;
    }

    it('is connected once while the next session is to come, and each session known by where its request begins', async () => {
      const port = await serve((socket, connection, n) => { socket.write(ok(`${connection}.${n}`)); });
      const connections = new ClientConnections();
      const places: [string, number][] = [];
      const play = async (more: boolean, line = 'a'): Promise<string> => {
        const { response, end } = await playClient(inbound, 1, protocolNamed('http'), options(port, { connections, line, goesOn: () => more, dialled: (local, position) => { places.push([local, position]); } }));
        assert.equal(end, 'message');
        return Buffer.from(response).toString().split('\r\n\r\n')[1] ?? '';
      };
      assert.deepEqual([await play(true), await play(true), await play(true, 'b'), await play(false), await play(true)], ['1.1', '1.2', '2.1', '1.3', '3.1']);
      assert.deepEqual(places.map(([, position]) => position), [0, request.length, 0, 2 * request.length, 0]);
      assert.equal(new Set(places.map(([local]) => local)).size, 3);
      connections.release();
    });

    it('is connected anew when the service had ended it, unless that had begun to work on the request', async () => {
      const port = await serve((socket, _, n) => {
        if (n === 1) socket.write(ok('fine'));
        else socket.destroy();
      });
      for (const isUnderWay of [false, true]) {
        const connections = new ClientConnections();
        const given = options(port, { connections, goesOn: () => true, isUnderWay: () => isUnderWay });
        await playClient(inbound, 1, protocolNamed('http'), given);
        const { response, end } = await playClient(inbound, 1, protocolNamed('http'), given);
        assert.equal(response.length > 0, !isUnderWay, end);
        connections.release();
      }
    });

    it('lets go of it when the service answers nobody else meanwhile', async () => {
      let busy: Socket | undefined;
      const port = await serve((socket) => {
        // One connection at a time, as a process with one thread does.
        const mine = busy === undefined || busy === socket;
        if (!mine) {
          busy?.on('close', () => { socket.write(ok('at last')); });
          return;
        }
        busy = socket;
        socket.write(ok('fine'));
      });
      const connections = new ClientConnections();
      const first = options(port, { connections, line: 'a', goesOn: () => true, world: { answerMs: 20_000, quietMs: 50 } });
      await playClient(inbound, 1, protocolNamed('http'), first);
      const { end } = await playClient(inbound, 1, protocolNamed('http'), { ...first, line: 'b', goesOn: () => false });
      assert.equal(end, 'message');
    });
  });
});
