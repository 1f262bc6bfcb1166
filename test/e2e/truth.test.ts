/** Single truths about real services that a load doesn't show: static files by sendfile, calls by TLS. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesOf, type SessionJson } from './contract.ts';
import { exported, koalaOk, Recorder, whyNotRecordable } from './recorder.ts';
import { ridOf } from './score.ts';
import { Clients, type Asked, type Exchange } from './services/client.ts';
import { removeDir, temporaryDir } from './services/daemon.ts';
import { httpUpstream } from './services/dependency.ts';
import { gunicorn } from './services/gunicorn.ts';
import { nginxProxy } from './services/nginx.ts';
import { ridMaker } from './services/rid.ts';
import type { Service } from './services/service.ts';

const dirs: string[] = [];
function ownDir(name: string): string {
  const dir = temporaryDir(name);
  dirs.push(dir);
  return dir;
}

/** Records these requests by 4 clients; `read` sees the recording while it is there. */
async function recorded(service: Service, asked: readonly Asked[]): Promise<{ dir: string; exchanges: Exchange[]; sessions: SessionJson[] }> {
  const dir = join(ownDir('recording'), 'rec');
  const clients = new Clients(service.port, 4, { keepAlive: service.keepAlive });
  const recorder = await Recorder.attach(service.parts.map((part) => part.pid), dir);
  try {
    const exchanges = await clients.send(asked);
    assert.deepEqual((await recorder.stop()).lost, { bytes: 0, byCause: {} });
    return { dir, exchanges, sessions: (await exported(dir)).sessions };
  } finally {
    recorder.kill();
    clients.close();
  }
}

describe('truth about real services', function () {
  this.timeout(120_000);

  before(async function () {
    const reason = await whyNotRecordable();
    if (reason === undefined) return;
    console.log(`      skipped: ${reason}`);
    this.skip();
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
        assert.ok(answer.equals(exchange.response), `${name}: ${answer.length} bytes recorded, ${exchange.response.length} got`);
        assert.equal(session.certificate.state, 'complete', JSON.stringify(session.certificate));
      }
    } finally {
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

function selfSigned(): { key: Buffer; cert: Buffer } {
  const dir = ownDir('tls');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=shop.test', '-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')], { stdio: 'pipe', timeout: 20_000 });
  return { key: readFileSync(join(dir, 'key.pem')), cert: readFileSync(join(dir, 'cert.pem')) };
}
