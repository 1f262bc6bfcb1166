/** Talks of connections that speak TLS, by the bytes of Node's own TLS. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectTcp, createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import type { SecureVersion, TLSSocket } from 'node:tls';
import type { Side } from '../../../src/protocols/index.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { Scene } from '../sessions/scene.ts';
import type { Findings } from '../sessions/scene.ts';

interface Piece {
  readonly side: Side;
  readonly bytes: Buffer;
}

type Client = (socket: TLSSocket, answered: (count: number) => Promise<void>) => Promise<void>;

/** `n` questions, each after the answer to the one before. */
const asking = (n: number): Client => async (socket, answered) => {
  for (let count = 1; count <= n; count += 1) {
    socket.write(`question ${count};`);
    await answered(count);
  }
};

/** Where from `at` on a record of more than 200 bytes begins. */
function longRecord(bytes: Buffer, at: number): number {
  const size = bytes.readUInt16BE(at + 3);
  return size > 200 ? at : longRecord(bytes, at + 5 + size);
}

describe('talks of a TLS connection', function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), 'koala-tls-'));
  let identity: { key: Buffer; cert: Buffer };
  const servers: Server[] = [];

  before(function () {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    try {
      execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=shop.test', '-keyout', key, '-out', cert], { stdio: 'pipe' });
    } catch (error) {
      console.log(`      skipped: no certificate can be made: ${String(error)}`);
      this.skip();
    }
    identity = { key: readFileSync(key), cert: readFileSync(cert) };
  });
  afterEach(() => { for (const server of servers.splice(0)) server.close(); });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function listening(server: Server): Promise<number> {
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  /** What goes over the wire while `client` talks to a server that answers whatever ends with a semicolon. */
  async function overheard(version: SecureVersion, client: Client, more: { requestCert?: boolean; ciphers?: string } = {}): Promise<Piece[]> {
    const pieces: Piece[] = [];
    const server = createServer({ ...identity, minVersion: version, maxVersion: version, rejectUnauthorized: false, ...more }, (socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (data) => { if (data.at(-1) === 59) socket.write(`an answer to ${data.length} bytes`); });
    });
    const port = await listening(server);
    const between = createTcpServer((near: Socket) => {
      const far = connectTcp(port, '127.0.0.1');
      const pass = (side: Side, from: Socket, to: Socket): void => {
        from.setNoDelay(true);
        from.on('data', (bytes: Buffer) => {
          pieces.push({ side, bytes });
          to.write(bytes);
        });
        from.on('end', () => to.end());
        from.on('error', () => to.destroy());
      };
      pass('client', near, far);
      pass('server', far, near);
    });
    const socket = connect({ host: '127.0.0.1', port: await listening(between), rejectUnauthorized: false, ...(more.requestCert === true ? identity : {}) });
    let answers = 0;
    socket.on('data', (data: Buffer) => { answers += data.toString().split('an answer').length - 1; });
    await once(socket, 'secureConnect');
    await client(socket, async (count) => {
      while (answers < count) await once(socket, 'data');
    });
    socket.end();
    await once(socket, 'close');
    return pieces;
  }

  const serving = (pieces: readonly Piece[]): Findings => {
    const scene = new Scene().accept(1);
    for (const { side, bytes } of pieces) scene.data(1, side === 'client' ? 'ingress' : 'egress', 1, bytes.toString('latin1'));
    return scene.close(1).derive();
  };
  const calling = (pieces: readonly Piece[]): Findings => {
    const scene = new Scene().connect(1, 7);
    for (const { side, bytes } of pieces) scene.data(1, side === 'client' ? 'egress' : 'ingress', 7, bytes.toString('latin1'));
    return scene.close(1).derive();
  };
  const sizeOf = ({ request, response }: Session['inbound']): number => [...request, ...response].reduce((sum, chunk) => sum + ('bytes' in chunk ? chunk.bytes.length : chunk.gap), 0);
  const sizeOfAll = (pieces: readonly Piece[]): number => pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    describe(version, () => {
      it('are as many sessions as questions were asked, the handshake in the first, every byte in one of them', async () => {
        for (const count of [1, 3]) {
          const pieces = await overheard(version, asking(count));
          const { sessions } = serving(pieces);
          assert.equal(sessions.length, count);
          assert.equal(sessions.reduce((sum, { inbound }) => sum + sizeOf(inbound), 0), sizeOfAll(pieces));
          assert.deepEqual(sessions.map(({ inbound }) => inbound.connection.protocol), sessions.map(() => 'tls'));
        }
      });

      it('are as many calls as questions were asked, and the alert that ends it is none', async () => {
        const pieces = await overheard(version, asking(3));
        assert.equal(calling(pieces).ambient.length, 3);
      });

      it('are one session where nothing was asked', async () => {
        assert.equal(serving(await overheard(version, async () => undefined)).sessions.length, 1);
      });

      it('are one session where a question comes in parts', async () => {
        const pieces = await overheard(version, async (socket, answered) => {
          socket.write('the first part, ');
          await new Promise((resolve) => { setTimeout(resolve, 100); }); // so that the server's tickets come in between
          socket.write('and the rest;');
          await answered(1);
          socket.write('another;');
          await answered(2);
        });
        assert.equal(serving(pieces).sessions.length, 2);
        assert.equal(calling(pieces).ambient.length, 2);
      });

      it('are the same where the client shows a certificate', async () => {
        const pieces = await overheard(version, asking(2), { requestCert: true });
        assert.equal(serving(pieces).sessions.length, 2);
        assert.equal(calling(pieces).ambient.length, 2);
      });

      it('are the same however the streams are cut into reads and writes', async () => {
        const pieces = await overheard(version, asking(3));
        for (const size of [1, 5, 7, 100]) {
          const cut = pieces.flatMap(({ side, bytes }) => Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => ({ side, bytes: bytes.subarray(at * size, (at + 1) * size) })));
          assert.equal(serving(cut).sessions.length, 3, `in pieces of ${size}`);
          assert.equal(calling(cut).ambient.length, 3, `in pieces of ${size}`);
        }
      });

      it('are followed over what is missing within a record, and cut by turn from where more is', async () => {
        const pieces = await overheard(version, asking(3));
        // Past the server's hello: that says which version it is.
        const record = pieces.findIndex(({ side }) => side === 'server');
        const bytes = pieces[record]?.bytes ?? Buffer.alloc(0);
        const start = longRecord(bytes, 5 + bytes.readUInt16BE(3));
        const holed = (from: number, until: number): Findings => {
          const scene = new Scene().accept(1);
          for (const [at, { side, bytes }] of pieces.entries()) {
            const direction = side === 'client' ? 'ingress' : 'egress';
            const text = bytes.toString('latin1');
            if (at !== record) scene.data(1, direction, 1, text);
            else scene.data(1, direction, 1, text.slice(0, from)).gap(1, direction, 1, until - from, 'ring-full').data(1, direction, 1, text.slice(until));
          }
          return scene.close(1).derive();
        };
        assert.equal(holed(start + 50, start + 150).sessions.length, 3);
        assert.ok(holed(start + 3, start + 150).sessions.length >= 3);
      });
    });
  }
});
