/** TCP Fast Open (RFC 7413): what the SYN takes along is no payload that a probe reads. It counts, and is missing. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { skipIf } from '../skip.ts';
import { patience, startRecorder, whyNoRecorder } from './recorder.ts';
import { eventsOf, program, python, startSubject } from './subject.ts';

const REQUESTS = 3;

describe('TCP Fast Open', function () {
  this.timeout(60_000 * patience);
  const folder = mkdtempSync(join(tmpdir(), 'koala-fast-open-'));

  before(function () {
    skipIf(this, whyNoRecorder());
  });
  after(() => { rmSync(folder, { recursive: true, force: true }); });

  it('leaves a gap of as many bytes as the SYN took along', async () => {
    const there = ['unshare', '-n', 'sh', '-c', 'ip link set lo up && echo 3 >/proc/sys/net/ipv4/tcp_fastopen && exec "$0" "$1"', python, program];
    const subject = startSubject(folder, there);
    try {
      // TCP_FASTOPEN (23) of the listener; MSG_FASTOPEN (0x20000000). The first SYN asks for a cookie and takes nothing along.
      const port = await subject.number('l = socket.socket(); l.bind(("127.0.0.1", 0)); l.setsockopt(6, 23, 5); l.listen(5); answer = l.getsockname()[1]');
      const recorder = await startRecorder(join(folder, 'recording'), ['--pid', String(subject.pid)]);
      for (let n = 0; n < REQUESTS; n++) {
        await subject.run(`c = socket.socket(); c.sendto(b"hello-${n}", 0x20000000, ("127.0.0.1", ${port})); s = l.accept()[0]; heard = s.recv(99); s.sendall(b"yes"); c.recv(9); c.close(); s.close()`);
        assert.equal(await subject.run('answer = heard.decode()'), `hello-${n}`);
      }
      assert.equal(await subject.run('answer = [line.split() for line in open("/proc/net/netstat") if line.startswith("TcpExt")]; names, values = answer; answer = values[names.index("TCPFastOpenActive")]'), String(REQUESTS - 1));
      await recorder.stop();
      const events = eventsOf(recorder.dir);
      const made = events.flatMap((event) => event.kind === 'open' && event.role === 'outbound' && event.remote.port === port ? [event.connection] : []);
      const sent = made.map((one) => events.flatMap((event) => event.kind === 'close' && event.connection === one && event.phase === 'local-fin' ? [event.egressFinal] : []));
      assert.deepEqual(sent, Array(REQUESTS).fill(['hello-0'.length]));
    } finally {
      subject.kill();
    }
  });
});
