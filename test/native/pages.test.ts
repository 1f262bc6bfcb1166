/** What sendfile sends, where the kernel shows where pages lie (bpf/pages.bpf.c): a message like any other. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KernelBtf } from '../../src/kernel/btf.ts';
import { mayFindPages } from '../../src/kernel/pages.ts';
import { patience, startRecorder, whyNoRecorder } from './recorder.ts';
import { eventsOf, startSubject, type Subject } from './subject.ts';

describe('pages at the call', function () {
  this.timeout(120_000 * patience);
  const folder = mkdtempSync(join(tmpdir(), 'koala-pages-'));
  let subject: Subject | undefined;

  before(function () {
    const btf = new KernelBtf();
    const why = whyNoRecorder() ?? (mayFindPages(btf) ? undefined : 'this kernel does not show where pages lie (x86-64, ≥6.13 does)');
    btf.close();
    if (why !== undefined) {
      console.log(`      skipped: ${why}`);
      this.skip();
    }
  });
  after(() => {
    subject?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  it('make one event of a small file, with its bytes and the thread that sent it, and two of one that goes over a page', async () => {
    subject = startSubject(folder);
    await subject.run('import os, tempfile; file = tempfile.TemporaryFile(); file.write(b"0123456789" * 500); file.flush()');
    await subject.run('l = listener(); out = socket.create_connection(l.getsockname()); back = l.accept()[0]; answer = 1');
    const recorder = await startRecorder(join(folder, 'recording'), ['--pid', String(subject.pid)]);
    await subject.run('os.sendfile(out.fileno(), file.fileno(), 0, 1400); back.recv(1400, socket.MSG_WAITALL)');
    await subject.run('os.sendfile(out.fileno(), file.fileno(), 10, 4990); back.recv(4990, socket.MSG_WAITALL)');
    const { code, summary } = await recorder.stop();
    assert.equal(code, 0, recorder.errors());
    assert.equal(summary?.lost.bytes, 0);
    const sent = eventsOf(recorder.dir).flatMap((event) => 'direction' in event && event.direction === 'egress' && event.kind === 'data' ? [event] : []);
    assert.equal(eventsOf(recorder.dir).filter(({ kind }) => kind === 'sent' || kind === 'intent').length, 0, 'nothing is announced');
    assert.deepEqual(sent.map(({ fromPacket, tid, bytes }) => ({ fromPacket, tid, length: bytes.length })), [
      { fromPacket: false, tid: subject.pid, length: 1400 },
      { fromPacket: false, tid: subject.pid, length: 4086 },
      { fromPacket: false, tid: subject.pid, length: 904 },
    ]);
    assert.equal(Buffer.concat(sent.map(({ bytes }) => bytes)).toString('latin1'), '0123456789'.repeat(140) + '0123456789'.repeat(499));
  });
});
