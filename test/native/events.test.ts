/** What a recording holds beside payload: processes, threads, listeners, failed connects, datagrams. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Event, HelperEvent, ProcessEvent, UdpEvent } from '../../src/events/event.ts';
import { patience, startRecorder, whyNoRecorder, type Summary } from './recorder.ts';
import { eventsOf, python, startSubject, type Subject } from './subject.ts';
import { skipIf } from '../skip.ts';

const EOPNOTSUPP = 95;
const ECONNREFUSED = 111;
const ETIMEDOUT = 110;
/** Connects to a listener that doesn't answer: that are waited for, and that are given up (of four, one is in its queue). */
const [TIMED_OUT, WAITING] = [3, 3];
const HELPER = "('127.127.127.127', 127)";

/** A DNS query for A (RFC 1035): what matters is that it is small and binary. */
const query = (id: number): string => `(b'\\x00${String.fromCharCode(64 + id)}\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x05koala\\x04test\\x00\\x00\\x01\\x00\\x01')`;
const queryText = (id: number): string => `\0${String.fromCharCode(64 + id)}\u0001\0\0\u0001\0\0\0\0\0\0\u0005koala\u0004test\0\0\u0001\0\u0001`;

/** sendmmsg(2) of several datagrams on one socket, as glibc's resolver does with its A and AAAA queries. */
const MANY = `
class Vec(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]
class Header(ctypes.Structure):
    _fields_ = [('name', ctypes.c_void_p), ('namelen', ctypes.c_uint), ('vec', ctypes.POINTER(Vec)), ('count', ctypes.c_size_t),
                ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t), ('flags', ctypes.c_int)]
class Many(ctypes.Structure):
    _fields_ = [('header', Header), ('sent', ctypes.c_uint)]
def send_many(fd, bodies):
    buffers = [ctypes.create_string_buffer(body, len(body)) for body in bodies]
    vecs = [Vec(ctypes.addressof(buffer), len(body)) for buffer, body in zip(buffers, bodies)]
    many = (Many * len(bodies))()
    for one, vec in zip(many, vecs):
        one.header.vec = ctypes.pointer(vec)
        one.header.count = 1
    return ctypes.CDLL(None, use_errno=True).sendmmsg(fd, many, len(bodies), 0)
`;

describe('events', function () {
  this.timeout(120_000 * patience);
  const folder = mkdtempSync(join(tmpdir(), 'koala-events-'));
  const ids: Record<string, number> = {};
  let subject: Subject | undefined;
  let events: Event[] = [];
  let summary: Summary | undefined;

  before(async function () {
    skipIf(this, whyNoRecorder());
    const one = startSubject(folder);
    subject = one;
    await one.run('early = listener(); answer = 1');
    ids['early'] = await one.number('answer = early.getsockname()[1]');
    ids['free'] = await one.number('l = listener(); answer = l.getsockname()[1]; l.close()');
    await one.run(MANY);
    const recorder = await startRecorder(join(folder, 'recording'), ['--pid', String(one.pid)]);

    // processes and threads
    ids['exits'] = await one.number('p = subprocess.Popen([sys.executable, sys.argv[0], "--exit", "3"]); answer = p.pid; p.wait()');
    ids['killed'] = await one.number('p = subprocess.Popen(["sleep", "60"]); answer = p.pid; p.kill(); p.wait()');
    ids['thread'] = await one.number('t = threading.Thread(target=lambda: state.update(inner=threading.get_native_id())); t.start(); t.join(); answer = state["inner"]');
    ids['nested'] = await one.number(`
def outer():
    inner = threading.Thread(target=lambda: state.update(nested=threading.get_native_id()))
    state.update(outer=threading.get_native_id())
    inner.start(); inner.join()
t = threading.Thread(target=outer); t.start(); t.join(); answer = state["nested"]`);
    ids['outer'] = await one.number('answer = state["outer"]');
    for (const [name, ends] of [['withExit', 'os._exit(0)'], ['withSignal', 'os.kill(os.getpid(), 9)'], ['withExec', 'os.execvp("true", ["true"])']] as const) {
      // On one CPU: of threads that end at once on several, the process' end may be told before theirs.
      ids[name] = await one.number(`
p = subprocess.Popen([sys.executable, "-c", 'import os, threading, time; os.sched_setaffinity(0, {0}); [threading.Thread(target=time.sleep, args=[60], daemon=True).start() for _ in range(2)]; ${ends}'])
answer = p.pid; p.wait()`);
    }

    // listeners and connects that fail
    ids['late'] = await one.number('late = listener(); answer = late.getsockname()[1]');
    await one.run('late.close(); early.close()');
    assert.equal(await one.run(`s = socket.socket(); answer = s.connect_ex(('127.0.0.1', ${ids['free']})); s.close()`), ECONNREFUSED);
    // A listener whose queue is full answers no SYN; TCP_USER_TIMEOUT (18) makes the wait short.
    ids['full'] = await one.number('full = socket.socket(); full.bind(("127.0.0.1", 0)); full.listen(0); answer = full.getsockname()[1]');
    await one.run(`fill = [socket.socket() for _ in range(4)]; [f.setblocking(False) for f in fill]; [f.connect_ex(('127.0.0.1', ${ids['full']})) for f in fill]; time.sleep(0.3)`);
    // Several, at different ticks of the clock: a kernel may run no program for what a timer does while process 1 runs (docs/limits.md).
    assert.deepEqual(await one.run(`
answer = []
def connect(after):
    time.sleep(after)
    s = socket.socket(); s.setsockopt(6, 18, 600); s.setsockopt(6, 7, 1)
    answer.append(s.connect_ex(('127.0.0.1', ${ids['full']}))); s.close()
threads = [threading.Thread(target=connect, args=[0.07 * n]) for n in range(${TIMED_OUT})]
[t.start() for t in threads]; [t.join() for t in threads]`), Array(TIMED_OUT).fill(ETIMEDOUT));
    await one.run('[f.close() for f in fill]; full.close()');

    // datagrams: a server of its own that answers
    ids['server'] = await one.number(`
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(("127.0.0.1", 0)); answer = server.getsockname()[1]`);
    const to = `('127.0.0.1', ${ids['server']})`;
    await one.run(`u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.sendto(${query(1)}, ${to}); u.sendmsg([${query(2)}], [], 0, ${to})`);
    await one.run(`c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c.connect(${to}); c.send(${query(3)}); os.write(c.fileno(), ${query(4)})`);
    assert.equal(await one.run(`answer = send_many(c.fileno(), [${query(5)}, ${query(6)}])`), 2);
    ids['connected'] = await one.number('answer = c.getsockname()[1]');
    await one.run('got = [server.recvfrom(512) for _ in range(6)]; server.sendto(b"answer-5", got[4][1]); answer = c.recv(512).decode()');
    await one.run(`six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); six.setsockopt(41, 26, 0); six.sendto(${query(7)}, ("::ffff:127.0.0.1", ${ids['server']}))`);
    await one.run(`u.sendto(b"x" * 6000, ${to})`);

    // the helper's datagrams
    await one.run(`h = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); h.sendto(b"helper-plain", 0, ${HELPER})`);
    const odd = (body: string, flags: number): string => `
try: h.sendto(b"${body}", ${flags}, ${HELPER}); answer = 0
except OSError as e: answer = e.errno`;
    assert.equal(await one.run(odd('helper-odd', 0x1235)), EOPNOTSUPP);
    await one.run(odd('helper-even', 0x4230));
    await one.run(`k = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); k.connect(${HELPER}); k.send(b"helper-connected-1"); time.sleep(0.05)`);
    assert.equal(await one.run(`
try: k.send(b"helper-connected-2"); answer = 0
except OSError as e: answer = e.errno`), ECONNREFUSED);
    await one.run(`six.sendto(b"helper-mapped", ("::ffff:127.127.127.127", 127))`);
    await one.run(`h.sendmsg([b"helper-sendmsg"], [], 0x40, ${HELPER})`);
    await one.run(`h.sendto(b"B" * 65000, 0, ${HELPER})`);
    await one.run(`
try: h.sendto(b"C" * 70000, 1, ${HELPER})
except OSError as e: answer = e.errno`);
    await one.run(`u.sendto(b"not-for-the-helper", ("127.127.127.127", 129))`);
    ids['answers'] = await one.number(`h.setblocking(False)
try: h.recv(100); answer = 1
except BlockingIOError: answer = 0
except ConnectionRefusedError: answer = 0`);

    ({ summary } = await recorder.stop());
    events = eventsOf(recorder.dir);
  });
  after(() => {
    subject?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  const processes = (what: ProcessEvent['what'], of: number): ProcessEvent[] =>
    events.filter((event): event is ProcessEvent => event.kind === 'process' && event.what === what && (event.childTgid === of || event.childTid === of));

  describe('of processes', () => {
    it('say who was there when the recorder came', () => {
      const seen = processes('seen', subject?.pid ?? 0);
      assert.deepEqual(seen.map(({ command, parentTgid }) => [command.startsWith('python'), parentTgid]), [[true, process.pid]]);
    });

    it('say who is born of whom, what it becomes, and how it ends', () => {
      const pid = ids['exits'] ?? 0;
      assert.deepEqual(processes('fork', pid).map(({ tgid, parentTgid }) => [tgid, parentTgid]), [[subject?.pid, subject?.pid]]);
      assert.equal(processes('exec', pid).at(-1)?.path, python);
      assert.deepEqual(processes('exit', pid).map(({ exitCode }) => exitCode), [3 << 8]);
    });

    it('say which signal ended one', () => {
      assert.deepEqual(processes('exit', ids['killed'] ?? 0).map(({ exitCode }) => exitCode & 0x7f), [9]);
    });

    it('say which thread made which, and that it ended', () => {
      const [thread, nested, outer] = [ids['thread'] ?? 0, ids['nested'] ?? 0, ids['outer'] ?? 0];
      assert.deepEqual(processes('thread', thread).map(({ tgid, tid, childTgid }) => [tgid, tid, childTgid]), [[subject?.pid, subject?.pid, subject?.pid]]);
      assert.deepEqual(processes('thread', nested).map(({ tid }) => tid), [outer]);
      assert.equal(processes('thread-exit', nested).length, 1);
      assert.equal(processes('thread-exit', outer).length, 1);
      assert.equal(processes('exit', nested).length, 0);
    });

    it('say of a thread whether it ended by itself, or had to, for its process did or became another program', () => {
      assert.deepEqual(processes('thread-exit', ids['nested'] ?? 0).map(({ withProcess }) => withProcess), [undefined]);
      for (const name of ['withExit', 'withSignal', 'withExec']) {
        const made = processes('thread-exit', ids[name] ?? 0).map(({ withProcess }) => withProcess);
        assert.deepEqual(made, [true, true], name);
      }
    });
  });

  describe('of listeners and connects', () => {
    const listens = (port: number): boolean[] => events.flatMap((event) => event.kind === 'listen' && event.local.port === port ? [event.open] : []);
    const failures = (port: number) => events.flatMap((event) => {
      if (event.kind !== 'open' || event.remote.port !== port) return [];
      return events.flatMap((end) => end.kind === 'close' && end.connection === event.connection && end.phase === 'failed' ? [{ errno: end.error, atUs: end.atUs, open: event }] : []);
    });

    it('say who listened already, who begins to, and who stops', () => {
      assert.deepEqual(listens(ids['early'] ?? 0), [true, false]);
      assert.deepEqual(listens(ids['late'] ?? 0), [true, false]);
    });

    it('say that a connect was refused, by whom and to whom', () => {
      const found = failures(ids['free'] ?? 0);
      assert.deepEqual(found.map(({ errno, open }) => [errno, open.tgid, open.remote.host]), [[ECONNREFUSED, subject?.pid, '127.0.0.1']]);
    });

    it('say that a connect timed out, after the time it took', () => {
      const found = failures(ids['full'] ?? 0);
      assert.equal(found.length, TIMED_OUT + WAITING);
      const timedOut = found.filter(({ errno }) => errno === ETIMEDOUT);
      assert.ok(timedOut.length > 0 && timedOut.every(({ open, atUs }) => atUs - open.atUs > 400_000), JSON.stringify(found));
    });
  });

  describe('of datagrams', () => {
    const sent = (): UdpEvent[] => events.filter((event): event is UdpEvent => event.kind === 'udp' && event.direction === 'egress');
    const text = ({ bytes }: { bytes: Uint8Array }): string => Buffer.from(bytes).toString('latin1');

    it('hold each query once, whichever call sent it, with where it went', () => {
      const queries = sent().filter((event) => text(event).includes('koala') && event.remote.port === ids['server']);
      assert.deepEqual(queries.map(text), [1, 2, 3, 4, 5, 6, 7].map(queryText));
      for (const { remote, tgid } of queries) assert.deepEqual([remote.host, tgid], ['127.0.0.1', subject?.pid]);
    });

    it('hold the answer at the connected socket that reads it', () => {
      const answers = events.filter((event): event is UdpEvent => event.kind === 'udp' && event.direction === 'ingress' && text(event) === 'answer-5');
      assert.deepEqual(answers.map(({ local, remote }) => [local.port, remote.port]), [[ids['connected'], ids['server']]]);
    });

    it('say the whole size of one that is not kept whole', () => {
      const large = sent().filter(({ length }) => length === 6000);
      assert.deepEqual(large.map(({ bytes }) => bytes.length), [4096]);
    });
  });

  describe('of helpers', () => {
    const helpers = (): HelperEvent[] => events.filter((event): event is HelperEvent => event.kind === 'helper');
    const told = (body: string): HelperEvent[] => helpers().filter(({ bytes }) => Buffer.from(bytes).toString('latin1') === body);

    it('hold the body, the flags and the thread that sent it, whatever the call returned', () => {
      const flags = { 'helper-plain': 0, 'helper-odd': 0x1235, 'helper-even': 0x4230, 'helper-connected-1': 0, 'helper-connected-2': 0, 'helper-sendmsg': 0x40, 'helper-mapped': 0 };
      for (const [body, wanted] of Object.entries(flags)) {
        assert.deepEqual(told(body).map((event) => [event.flags, event.tid]), [[wanted, subject?.pid]], body);
      }
    });

    it('hold a body as large as a datagram can be', () => {
      const [large, ...more] = helpers().filter(({ bytes }) => bytes[0] === 66);
      assert.deepEqual(more, []);
      assert.equal(Buffer.from(large?.bytes ?? []).equals(Buffer.alloc(65000, 'B')), true);
      assert.equal(large?.length, undefined);
    });

    it('declare what is beyond that', () => {
      const [large] = helpers().filter(({ bytes }) => bytes[0] === 67);
      assert.deepEqual([large?.bytes.length, large?.length], [65536, 70000]);
      assert.equal(summary?.lost.byCause['too-many-pieces'], 70000 - 65536);
    });

    it('are no datagrams to anybody else, and reach nobody', () => {
      const strays = events.filter((event) => event.kind === 'udp' && event.remote.host === '127.127.127.127').map((event) => (event as UdpEvent).remote.port);
      assert.deepEqual(strays, [129]);
      assert.equal(ids['answers'], 0);
    });
  });
});
