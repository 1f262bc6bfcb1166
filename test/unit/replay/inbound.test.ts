import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { protocolNamed } from '../../../src/protocols/index.ts';
import { playClient, type Heard } from '../../../src/replay/inbound.ts';
import { get, ok, session } from './build.ts';

describe('the client of a session', () => {
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
    return playClient(inbound, recordedBytes, { sut: { host: '127.0.0.1', port }, patient: () => true, dialled: () => undefined }, protocolNamed('http'), { answerMs: 500, quietMs: 50 });
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
});
