import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { protocolNamed } from '../../../src/protocols/index.ts';
import { RealCalls } from '../../../src/replay/passthrough.ts';

describe('a request that is asked of the real server', () => {
  let server: Server;
  const asked: string[] = [];

  async function callsTo(answer: (text: string, socket: Socket) => void, more: { maxAnswerBytes?: number } = {}): Promise<RealCalls> {
    asked.length = 0;
    server = createServer((socket) => {
      socket.on('error', () => { /* hung up on */ });
      socket.on('data', (bytes: Buffer) => { asked.push(bytes.toString()); answer(bytes.toString(), socket); });
    });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    const { port } = server.address() as AddressInfo;
    return new RealCalls({
      connect: () => new Promise((resolve) => { const socket = connect(port, '127.0.0.1', () => { resolve(socket); }); }),
      protocol: protocolNamed('redis'), answerMs: 10_000, quietMs: 50, ...more,
    });
  }

  afterEach(() => { server.close(); });

  it('gets the answers one after the other, on a connection that is set up first', async () => {
    const calls = await callsTo((text, socket) => { socket.write(`+${text.trim().split(' ').at(-1)}\r\n`); });
    calls.setUp(Buffer.from('SELECT 3\r\n'));
    const answers = await Promise.all(['GET a\r\n', 'GET b\r\n'].map((text) => calls.ask(Buffer.from(text))));
    assert.deepEqual(answers.map((answer) => Buffer.from(answer?.bytes ?? []).toString()), ['+a\r\n', '+b\r\n']);
    assert.deepEqual(asked, ['SELECT 3\r\n', 'GET a\r\n', 'GET b\r\n']);
    calls.close();
  });

  it('says again no more of a set-up than is kept: its beginning and its end', async () => {
    const calls = await callsTo((_, socket) => { socket.write('+OK\r\n'); });
    for (let n = 0; n < 500; n += 1) calls.setUp(Buffer.from(`SELECT ${n}\r\n`));
    await calls.ask(Buffer.from('GET a\r\n'));
    assert.ok(asked.length < 100, String(asked.length));
    assert.deepEqual([asked[0], asked.at(-2)], ['SELECT 0\r\n', 'SELECT 499\r\n']);
    calls.close();
  });

  it('gets what came so far of an answer that is too long, and the connection is given up', async () => {
    let hungUp: () => void = () => undefined;
    const over = new Promise<void>((resolve) => { hungUp = resolve; });
    const calls = await callsTo((_, socket) => {
      socket.on('close', hungUp);
      socket.write(`$${1 << 30}\r\n${'x'.repeat(200_000)}`);
    }, { maxAnswerBytes: 100_000 });
    const answer = await calls.ask(Buffer.from('GET a\r\n'));
    assert.equal(answer?.ended, true);
    assert.ok(answer.bytes.length >= 100_000);
    await over;
  });
});
