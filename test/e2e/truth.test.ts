/** Single truths about real services that a load doesn't show: static files by sendfile, calls by TLS. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesOf, type AmbientJson, type SessionJson } from './contract.ts';
import { exported, koalaOk, Recorder, whyNotRecordable } from './recorder.ts';
import { idsIn, ridOf } from './score.ts';
import { Clients, type Asked, type Exchange } from './services/client.ts';
import { removeDir, temporaryDir } from './services/daemon.ts';
import { httpUpstream, until } from './services/dependency.ts';
import { gunicorn } from './services/gunicorn.ts';
import { nginxProxy, pseudoRandom } from './services/nginx.ts';
import { ridMaker } from './services/rid.ts';
import type { Service } from './services/service.ts';
import { skipIf } from '../skip.ts';

const dirs: string[] = [];
function ownDir(name: string): string {
  const dir = temporaryDir(name);
  dirs.push(dir);
  return dir;
}

interface Recorded {
  readonly dir: string;
  readonly exchanges: Exchange[];
  readonly sessions: SessionJson[];
  readonly ambient: AmbientJson[];
}

/** Records these requests by 4 clients. */
async function recorded(service: Service, asked: readonly Asked[]): Promise<Recorded> {
  const dir = join(ownDir('recording'), 'rec');
  const clients = new Clients(service.port, 4, { keepAlive: service.keepAlive });
  const recorder = await Recorder.attach(service.parts.map((part) => part.pid), dir);
  try {
    const exchanges = await clients.send(asked);
    assert.deepEqual((await recorder.stop()).lost, { bytes: 0, byCause: {} });
    return { dir, exchanges, ...await exported(dir) };
  } finally {
    recorder.kill();
    clients.close();
  }
}

describe('truth about real services', function () {
  this.timeout(120_000);

  before(async function () {
    skipIf(this, await whyNotRecordable());
  });

  after(() => {
    for (const dir of dirs) removeDir(dir);
  });

  it('records the static files that nginx sends by sendfile byte for byte, 1.4 KB to 5 MB', async () => {
    const service = await nginxProxy();
    try {
      const ridAt = ridMaker();
      const names = [...service.files.keys()];
      const asked = Array.from({ length: 12 }, (_, n) => ({ rid: ridAt(n), target: `/static/${names[n % names.length]}?${ridAt(n)}` }));
      const { exchanges, sessions } = await recorded(service, asked);
      assert.equal(sessions.length, asked.length);
      for (const exchange of exchanges) {
        const name = exchange.target.slice('/static/'.length).split('?')[0]!;
        assert.ok(exchange.body.equals(service.files.get(name)!), `the client itself got another ${name}`);
        const session = sessions.find((each) => ridOf(each) === exchange.rid);
        assert.ok(session !== undefined, `no session of ${exchange.rid}`);
        const answer = bytesOf(session.inbound.response);
        assertSame(answer, exchange.response, name);
        assert.equal(session.certificate.state, 'complete', JSON.stringify(session.certificate));
      }
    } finally {
      await service.stop();
    }
  });

  it('records a body of 4 MiB through nginx whole, up and down, at the side of the client and at the side of the upstream', async () => {
    const service = await nginxProxy();
    try {
      const ridAt = ridMaker();
      const size = 4 * 1024 * 1024;
      // Two at once: their 34 MB, seen at both sides of nginx, fit the ring even if the recorder gets no processor meanwhile.
      const asked = Array.from({ length: 2 }, (_, n) => ({ rid: ridAt(n), target: `/big/${ridAt(n)}?pad=${size}`, body: pseudoRandom(ridAt(n), size) }));
      const { exchanges, sessions, ambient } = await recorded(service, asked);
      assert.equal(sessions.length, asked.length);
      for (const [n, exchange] of exchanges.entries()) {
        const upstreamSays = JSON.parse(exchange.body.toString()) as { received: number; sha256: string };
        assert.equal(upstreamSays.sha256, sha256(asked[n]!.body), 'the upstream itself got something else');
        const session = sessions.find((each) => bytesOf(each.inbound.request).includes(exchange.target))!;
        assertSame(bytesOf(session.inbound.request), exchange.request, 'request as nginx got it');
        assertSame(bytesOf(session.inbound.response), exchange.response, 'answer as nginx sent it');
        const calls = [...sessions.flatMap((each) => each.outbound), ...ambient].filter((talk) => bytesOf(talk.request).includes(exchange.target));
        assert.equal(calls.length, 1, `${calls.length} calls of ${exchange.rid}`);
        assertSame(afterHead(bytesOf(calls[0]!.request)), asked[n]!.body, 'request as nginx sent it on');
        assertSame(afterHead(bytesOf(calls[0]!.response)), exchange.body, 'answer as nginx got it');
      }
    } finally {
      await service.stop();
    }
  });

  it('stopped at once under full load, has every exchange that was answered before, whole', async () => {
    const service = await gunicorn({ worker: 'gthread', sql: 'tcp' });
    const dir = join(ownDir('recording'), 'rec');
    const clients = new Clients(service.port, 16, { keepAlive: true });
    const recorder = await Recorder.attach(service.parts.map((part) => part.pid), dir);
    try {
      const ridAt = ridMaker();
      const load = clients.send(Array.from({ length: 600 }, (_, index) => service.ask(ridAt(index), index)));
      await until(() => Promise.resolve(clients.answered >= 100), '100 answers');
      const stoppedAt = performance.now();
      const summary = await recorder.stop();
      const exchanges = await load;
      const before = exchanges.filter((each) => each.answeredAt < stoppedAt);
      assert.ok(before.length >= 20 && before.length < exchanges.length, `${before.length} of ${exchanges.length} were answered before: no test of a stop under load`);
      assert.deepEqual(summary.lost, { bytes: 0, byCause: {} });
      const byRid = new Map((await exported(dir)).sessions.map((session) => [ridOf(session), session]));
      for (const exchange of before) {
        const session = byRid.get(exchange.rid);
        assert.ok(session !== undefined, `${exchange.rid} is missing: ${byRid.size} sessions, ${before.length} answered before the stop`);
        assertSame(bytesOf(session.inbound.response), exchange.response, exchange.rid);
        const calls = session.outbound.filter((call) => idsIn(call.request).length > 0 && call.afterResponse !== true).length;
        const { http = 0, redis = 0, postgresql = 0 } = service.expects(exchange);
        assert.equal(calls, http + redis + postgresql - (exchange.target.includes('after=1') ? 1 : 0), exchange.rid);
      }
      assert.deepEqual(new Set(exchanges.map((each) => each.status)), new Set([200]), 'the service noticed');
    } finally {
      recorder.kill();
      clients.close();
      await service.stop();
    }
  });

  it('says in the certificate and in ls which sessions made calls by TLS, and calls none of them complete', async () => {
    const upstream = await httpUpstream(selfSigned());
    const service = await gunicorn({ worker: 'gthread', sql: 'tcp', tlsUpstream: upstream });
    try {
      const ridAt = ridMaker();
      const asked = Array.from({ length: 16 }, (_, n) => ({ rid: ridAt(n), target: n % 2 === 0 ? `/secret/${ridAt(n)}` : `/work/${ridAt(n)}` }));
      const { dir, exchanges, sessions } = await recorded(service, asked);
      const listed = (await koalaOk(['ls', dir])).filter((line) => line.trim() !== '');
      assert.deepEqual(new Set(exchanges.map((each) => each.status)), new Set([200]));
      for (const { rid, target } of asked) {
        const session = sessions.find((each) => ridOf(each) === rid);
        const line = listed.find((each) => each.includes(target));
        assert.ok(session !== undefined && line !== undefined, `${rid} is not there: ${listed.slice(0, 3).join(' / ')}`);
        const tls = session.certificate.unseen.filter((each) => each.kind === 'tls');
        const says = / tls\b/i.test(line);
        if (target.startsWith('/secret/')) {
          assert.equal(tls.length, 1, `${target}: ${JSON.stringify(session.certificate)}`);
          assert.equal(session.certificate.state, 'incomplete', target);
          assert.ok(says, `ls does not say so: ${line}`);
        } else {
          assert.equal(tls.length, 0, `${target}: ${JSON.stringify(session.certificate)}`);
          assert.ok(!says, `ls says so of a session without: ${line}`);
        }
      }
    } finally {
      await service.stop();
      await upstream.stop();
    }
  });
});

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function afterHead(message: Buffer): Buffer {
  return message.subarray(message.indexOf('\r\n\r\n') + 4);
}

function assertSame(recorded: Buffer, truth: Buffer, what: string): void {
  if (recorded.equals(truth)) return;
  const at = recorded.findIndex((byte, index) => byte !== truth[index]);
  assert.fail(`${what}: ${recorded.length} bytes recorded, truth has ${truth.length}; they differ from byte ${at < 0 ? recorded.length : at} on`);
}

function selfSigned(): { key: Buffer; cert: Buffer } {
  const dir = ownDir('tls');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=shop.test', '-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')], { stdio: 'pipe', timeout: 20_000 });
  return { key: readFileSync(join(dir, 'key.pem')), cert: readFileSync(join(dir, 'cert.pem')) };
}
