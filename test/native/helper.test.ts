/** Helper datagrams on this kernel: what is recorded of them, and that nobody else gets any. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { helperTitle, runHelper } from './helper.ts';
import { patience, startRecorder, whyNoRecorder } from './recorder.ts';
import { eventsOf, program, python, startSubject } from './subject.ts';
import { skipIf } from '../skip.ts';

const TO = "('127.127.127.127', 127)";
const COUNT = (name: string): string => `
${name}.setblocking(False); answer = 0
try:
    while True: ${name}.recv(65536); answer += 1
except BlockingIOError: pass`;

describe('helper datagrams', function () {
  this.timeout(120_000 * patience);

  before(function () {
    skipIf(this, whyNoRecorder());
  });

  it(`${helperTitle.slice('helper datagrams '.length)}`, async () => {
    const { problems, failed } = await runHelper(eventsOf);
    assert.deepEqual(problems, []);
    assert.deepEqual(Object.keys(failed), ['95', '111']); // odd flags; a connected socket hears that nobody is there
  });

  it('reach nobody while a recorder runs, neither who listens there nor who listens on every address; afterwards they are delivered again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'koala-helper-'));
    // In a network of its own: whoever else records on this machine hides the address too.
    const subject = startSubject(folder, ['unshare', '--net', python, program]);
    try {
      await subject.run(`subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for name, where in [("any", ("0.0.0.0", 127)), ("very", ${TO})]:
    state[name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); state[name].setsockopt(1, 2, 1); state[name].bind(where)
any, very = state["any"], state["very"]`);
      const recorder = await startRecorder(join(folder, 'rec'), ['--pid', String(subject.pid)]);
      await subject.run(`[s.sendto(b"to-koala!thread-shutdown\\n", ${TO}) for _ in range(20)]; time.sleep(0.1)`);
      assert.deepEqual([await subject.run(COUNT('any')), await subject.run(COUNT('very'))], [0, 0]);
      await recorder.stop();
      assert.equal(eventsOf(recorder.dir).filter(({ kind }) => kind === 'helper').length, 20);
      await subject.run(`s.sendto(b"x", ${TO}); time.sleep(0.1)`);
      assert.deepEqual([await subject.run(COUNT('any')), await subject.run(COUNT('very'))], [0, 1]);
    } finally {
      subject.kill();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('lose nothing else when they are garbage, of 64 KiB, or a flood', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'koala-helper-'));
    const subject = startSubject(folder);
    try {
      const port = await subject.number('server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen(); answer = server.getsockname()[1]; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)');
      const recorder = await startRecorder(join(folder, 'rec'), ['--pid', String(subject.pid)]);
      await subject.run(`
c = socket.create_connection(("127.0.0.1", ${port})); a = server.accept()[0]
s.sendto(os.urandom(9), ${TO}); s.sendto(b"", ${TO}); s.sendto(b"\\xff" * 65507, ${TO})
for n in range(20000): s.sendto(b"to-koala!set-delegated-from-thread-id\\n%d" % (n + 5000000), ${TO})
c.sendall(b"hello"); a.recv(5); time.sleep(0.2)`);
      const { summary } = await recorder.stop();
      const events = eventsOf(recorder.dir);
      assert.deepEqual(summary?.lost, { bytes: 0, byCause: {} });
      assert.equal(events.filter(({ kind }) => kind === 'helper').length, 20_003);
      assert.deepEqual(events.filter((event) => event.kind === 'data').map((event) => Buffer.from(event.bytes).toString()), ['hello', 'hello']);
    } finally {
      subject.kill();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
