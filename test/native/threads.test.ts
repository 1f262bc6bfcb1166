/** Where the kernel side keeps what a thread does (bpf/maps.h, `threads`): by its number, of which several may end alike. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { patience, startRecorder, whyNoRecorder } from './recorder.ts';
import { eventsOf, startSubject, type Subject } from './subject.ts';
import { skipIf } from '../skip.ts';

/** THREADS of bpf/maps.h. */
const PLACES = 32_768;
const PID_MAX = '/proc/sys/kernel/pid_max';
const LAST_PID = '/proc/sys/kernel/ns_last_pid';

/** Process numbers go far enough for two of them to share a place, and may be chosen. */
function whyNoChoice(): string | undefined {
  try {
    writeFileSync(LAST_PID, readFileSync(LAST_PID, 'utf8'));
    return undefined;
  } catch {
    return `${LAST_PID} can't be written: no process can be given a number`;
  }
}

describe('threads whose numbers end alike', function () {
  this.timeout(180_000 * patience);
  const folder = mkdtempSync(join(tmpdir(), 'koala-threads-'));
  const subjects: Subject[] = [];
  let pidMax: string | undefined;

  beforeEach(function () {
    skipIf(this, whyNoRecorder() ?? whyNoChoice());
    pidMax = readFileSync(PID_MAX, 'utf8');
    if (Number(pidMax) < 4 * PLACES) writeFileSync(PID_MAX, String(4 * PLACES));
  });
  afterEach(() => {
    for (const subject of subjects.splice(0)) subject.kill();
    if (pidMax !== undefined) writeFileSync(PID_MAX, pidMax);
  });
  after(() => { rmSync(folder, { recursive: true, force: true }); });

  /** One whose number is that one. Others start processes too: it takes as many attempts as it takes. */
  async function startAs(pid: number): Promise<Subject> {
    for (let attempt = 0; attempt < 200; attempt++) {
      writeFileSync(LAST_PID, String(pid - 1));
      const subject = startSubject(folder);
      if (subject.pid === pid) return subject;
      subject.kill();
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
    throw new Error(`no process got the number ${pid}`);
  }

  it('are told apart, each byte for byte, also when the first of them has ended', async () => {
    const first = startSubject(folder);
    subjects.push(first);
    const base = first.pid % PLACES;
    const others: Subject[] = [];
    for (const round of [1, 2]) {
      const other = await startAs(base + round * PLACES === first.pid ? base + 3 * PLACES : base + round * PLACES);
      subjects.push(other);
      others.push(other);
    }
    const all = [first, ...others];
    for (const subject of all) await subject.run('l = listener(); out = socket.create_connection(l.getsockname()); back = l.accept()[0]');
    const recorder = await startRecorder(join(folder, 'recording'), all.flatMap(({ pid }) => ['--pid', String(pid)]));
    const say = (subject: Subject, text: string): Promise<unknown> => subject.run(`out.sendall(b"${text}"); back.recv(${text.length}, socket.MSG_WAITALL)`);
    for (const round of [1, 2, 3]) for (const subject of all) await say(subject, `${subject.pid} says ${round}`);
    await first.end();
    for (const subject of others) await say(subject, `${subject.pid} says more`);
    const { code, summary } = await recorder.stop();
    assert.equal(code, 0, recorder.errors());
    assert.deepEqual(summary?.lost, { bytes: 0, byCause: {} });
    for (const { pid } of all) {
      for (const direction of ['egress', 'ingress'] as const) {
        const told = eventsOf(recorder.dir).flatMap((event) => event.kind === 'data' && event.direction === direction && event.tid === pid ? [Buffer.from(event.bytes).toString()] : []);
        const wanted = [1, 2, 3].map((round) => `${pid} says ${round}`);
        assert.deepEqual(told, pid === first.pid ? wanted : [...wanted, `${pid} says more`], `${direction} of ${pid}`);
      }
    }
  });
});
