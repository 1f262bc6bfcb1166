/** What a real service sends by UDP while it works for its requests. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { join } from 'node:path';
import { recordRequests } from './recorded-requests.ts';
import { exported, koala, koalaOk, whyNotRecordable } from './recorder.ts';
import { cannotReplay } from './replay/stage.ts';
import { accepts, Daemon, freePort, removeDir, temporaryDir } from './services/daemon.ts';
import { skipIf } from '../skip.ts';

/**
 * A thread for each connection; every request is counted by a datagram that names it, and one that is larger than what is kept. A
 * socket that is connected is told where nobody is there: then the request fails.
 */
const SERVICE = `
import http.server, os, socket
statsd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
statsd.connect(('127.0.0.1', int(os.environ['STATSD'])))
class Handler(http.server.BaseHTTPRequestHandler):
  protocol_version = 'HTTP/1.1'
  def do_GET(self):
    statsd.send(b'requests.%s:1|c' % self.path[1:].encode())
    statsd.send(self.path[1:].encode() + b'-' * 9000)
    self.send_response(200); self.send_header('Content-Length', '2'); self.end_headers(); self.wfile.write(b'ok')
  def log_message(self, *words): pass
http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
`;
const COUNT = 40;

describe('datagrams of a real service', function () {
  this.timeout(120_000);
  const folder = temporaryDir('datagrams');

  before(async function () {
    skipIf(this, await whyNotRecordable());
  });
  const closing: (() => void)[] = [];
  after(() => {
    for (const close of closing) close();
    removeDir(folder);
  });

  it('are each in the session of the request that it was sent for, as the server that they went to got them', async () => {
    const heard: string[] = [];
    const server = createSocket('udp4', (message) => heard.push(message.toString('latin1')));
    await new Promise<void>((resolve) => { server.bind(0, '127.0.0.1', resolve); });
    const to = `127.0.0.1:${server.address().port}`;
    const port = await freePort();
    const service = await Daemon.start({
      name: 'counts', command: '/usr/bin/python3', dir: folder, args: ['-c', SERVICE], env: { PORT: String(port), STATSD: String(server.address().port) }, ready: () => accepts(port),
    });
    const dir = join(folder, 'rec');
    await recordRequests(service, port, dir, COUNT);
    closing.push(() => server.close());
    const { sessions } = await exported(dir);
    assert.equal(sessions.length, COUNT);
    const said: string[] = [];
    for (const session of sessions) {
      const { datagrams = [] } = session as typeof session & { datagrams?: readonly { to: string; text: string; length?: number }[] };
      const target = /\/(\S+)/.exec((session.inbound.request[0] as { text: string }).text)?.[1] ?? '';
      assert.deepEqual(datagrams.map(({ to: where, text, length }) => [where, text.slice(0, 60), length]), [
        [to, `requests.${target}:1|c`, undefined], [to, `${target}${'-'.repeat(60)}`.slice(0, 60), target.length + 9000],
      ]);
      said.push(datagrams[0]!.text);
    }
    assert.deepEqual(said.sort(), heard.filter((one) => one.startsWith('requests.')).sort());
    const shown = (await koalaOk(['show', dir, sessions[0]!.id])).join('\n');
    assert.match(shown, new RegExp(`datagram ${to.replaceAll('.', '\\.')}`));

    // The long ones it may have missed where it did not look in time.
    const before = heard.length;

    // In replay nobody takes them any more; the service must not be told so, and they are said not to be compared.
    const why = cannotReplay();
    if (why !== undefined) return console.log(`      not replayed: ${why}`);
    const env = ['env', `PORT=${port}`, `STATSD=${server.address().port}`, '/usr/bin/python3', '-c', SERVICE];
    for (const concurrency of ['1', '8']) {
      const played = await koala(['replay', dir, '--json', '--concurrency', concurrency, '--', ...env], 90_000);
      assert.equal(played.exit, 0, [...played.stdout.slice(-2), played.stderr.slice(-1000)].join('\n'));
      const summary = JSON.parse(played.stdout.at(-1) ?? '') as { same: number; skipped: number; datagrams: number };
      assert.deepEqual([summary.same, summary.skipped, summary.datagrams], [COUNT, 0, 2 * COUNT]);
    }
    assert.equal(heard.length, before, 'nothing more reached the real server');
  });
});
