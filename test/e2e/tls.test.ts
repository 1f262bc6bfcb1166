/** A service behind TLS, recorded without its keys: how many sessions and calls that are. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { SecureVersion } from 'node:tls';
import { exported, Recorder, whyNotRecordable } from './recorder.ts';
import { removeDir, temporaryDir } from './services/daemon.ts';
import { skipIf } from '../skip.ts';

/** Asks UPSTREAM once for each request, over a kept connection, and answers when the body is there. */
const NODE = `
const { readFileSync } = require('node:fs'); const https = require('node:https');
const agent = new https.Agent({ keepAlive: true, maxSockets: 2, rejectUnauthorized: false });
https.createServer({ key: readFileSync(process.env.KEY), cert: readFileSync(process.env.CERT) }, (request, response) => {
  request.resume().on('end', () => https.get({ host: '127.0.0.1', port: process.env.UPSTREAM, agent }, (answer) => {
    answer.resume().on('end', () => response.end('answered'));
  }));
}).listen(0, '127.0.0.1', function () { console.log(this.address().port); });
`;
/** OpenSSL, with a thread for each connection. */
const PYTHON = `
import os, ssl, http.client, http.server
class Handler(http.server.BaseHTTPRequestHandler):
  protocol_version = 'HTTP/1.1'
  def do_POST(self):
    self.rfile.read(int(self.headers['Content-Length']))
    if not hasattr(self, 'upstream'): self.upstream = http.client.HTTPSConnection('127.0.0.1', int(os.environ['UPSTREAM']), context=ssl._create_unverified_context())
    self.upstream.request('GET', '/'); self.upstream.getresponse().read()
    self.send_response(200); self.send_header('Content-Length', '8'); self.end_headers(); self.wfile.write(b'answered')
  def log_message(self, *words): pass
  def finish(self):
    super().finish()
    if hasattr(self, 'upstream'): self.upstream.close()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(os.environ['CERT'], os.environ['KEY'])
class Server(http.server.ThreadingHTTPServer):
  def finish_request(self, request, address): self.RequestHandlerClass(context.wrap_socket(request, server_side=True), address, self)
server = Server(('127.0.0.1', 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
`;
const CONNECTIONS = 3;
const REQUESTS = 4;

describe('a service behind TLS whose keys nobody has', function () {
  this.timeout(180_000);
  const folder = temporaryDir('tls');
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  let upstream: Server;
  let upstreamHeard = 0;
  const started: ChildProcess[] = [];

  before(async function () {
    skipIf(this, await whyNotRecordable());
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=shop.test', '-keyout', key, '-out', cert], { stdio: 'pipe', timeout: 20_000 });
    upstream = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) => {
      upstreamHeard += 1;
      response.end('upstream');
    });
    upstream.listen(0, '127.0.0.1');
    await once(upstream, 'listening');
  });
  afterEach(() => { for (const child of started.splice(0)) child.kill('SIGKILL'); });
  after(() => {
    upstream?.closeAllConnections();
    upstream?.close();
    removeDir(folder);
  });

  async function start(program: string, ...words: string[]): Promise<{ port: number; pid: number }> {
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, KEY: key, CERT: cert, UPSTREAM: String((upstream.address() as AddressInfo).port) } });
    started.push(child);
    const [line] = await once(createInterface({ input: child.stdout! }), 'line') as [string];
    return { port: Number(line), pid: child.pid! };
  }

  /** Head and body in two writes, so that what a TLS 1.3 server says of itself comes in between. */
  async function ask(port: number, agent: Agent): Promise<void> {
    const one = request({ host: '127.0.0.1', port, agent, method: 'POST', headers: { 'content-length': 4 } });
    one.flushHeaders();
    const answered = once(one, 'response') as Promise<[import('node:http').IncomingMessage]>;
    setTimeout(() => one.end('body'), 50);
    const [response] = await answered;
    assert.equal(response.statusCode, 200);
    await once(response.resume(), 'end');
  }

  for (const [name, program, ...words] of [['Node', process.execPath, '-e', NODE], ['Python, by OpenSSL', 'python3', '-c', PYTHON]] as const) {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const satisfies readonly SecureVersion[]) {
      it(`is as many sessions as it had requests, and as many calls as it made (${name}, ${version})`, async () => {
        const { port, pid } = await start(program, ...words);
        const dir = join(folder, `${name.slice(0, 4)}-${version}`);
        const recorder = await Recorder.attach([pid], dir);
        const heardBefore = upstreamHeard;
        try {
          await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
            const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false, minVersion: version, maxVersion: version });
            for (let count = 0; count < REQUESTS; count += 1) await ask(port, agent);
            agent.destroy();
          }));
          assert.deepEqual((await recorder.stop()).lost, { bytes: 0, byCause: {} });
        } finally {
          recorder.kill();
        }
        const { sessions, ambient } = await exported(dir);
        assert.equal(sessions.length, CONNECTIONS * REQUESTS);
        for (const session of sessions) assert.equal(session.inbound.connection.protocol, 'tls');
        const calls = [...sessions.flatMap(({ outbound }) => outbound), ...ambient].filter(({ connection }) => connection.protocol === 'tls');
        assert.equal(upstreamHeard - heardBefore, CONNECTIONS * REQUESTS);
        assert.equal(calls.length, CONNECTIONS * REQUESTS);
      });
    }
  }
});
