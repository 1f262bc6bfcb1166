import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo } from 'node:net';
import { equalByProtocol, similarity } from '../../../src/compare/index.ts';
import { protocolNamed } from '../../../src/protocols/index.ts';
import { Engine } from '../../../src/replay/engine.ts';
import { OutboundConnection } from '../../../src/replay/outbound.ts';
import { worldOf } from '../../../src/replay/world.ts';
import { call, get, ok, session } from './build.ts';

describe('a connection of the service', () => {
  it('is hung up on, and that is said, when its request goes on and on', async () => {
    const destination = '10.0.0.5:80';
    const one = session({ request: get('/'), response: ok('x'), calls: [call({ to: destination, protocol: 'http', request: get('/a'), response: ok('1') })] });
    const world = worldOf([one], { match: 'none', threshold: 0.7, onMiss: 'fail', answerMs: 1_000, quietMs: 50 });
    const engine = new Engine(world, { equal: equalByProtocol, similarity }, { protocol: protocolNamed, recognise: () => undefined }, () => performance.now());
    const notes: string[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      new OutboundConnection(socket, { engine, destination, serverPort: 80, world, maxPendingBytes: 1 << 20, real: () => Promise.resolve(undefined), note: (text) => { notes.push(text); } });
    });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => { /* it was reset */ });
    client.write(`POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n${'x'.repeat(1 << 20)}`);
    await new Promise((resolve) => { client.once('close', resolve); });
    server.close();
    assert.deepEqual(notes, ['10.0.0.5:80: a request of more than 1 MiB that does not end was hung up on']);
  });
});
