import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Replayed, ReplaySummary } from '../../src/replay/replayed.ts';
import { get, ok } from '../unit/replay/build.ts';
import type { SessionJson } from './contract.ts';
import { exported, koala, koalaOk, Recorder, whyNotRecordable } from './recorder.ts';
import { answering, type Answering } from './replay/answering.ts';
import { started, until, type Started } from './replay/running.ts';
import { cannotReplay, hostState, planRequest, processesWith, THREADS, type Step } from './replay/stage.ts';
import { Clients, type Exchange } from './services/client.ts';
import { accepts, freePort, removeDir, temporaryDir } from './services/daemon.ts';
import { ridMaker } from './services/rid.ts';
import { skipIf } from '../skip.ts';

const KEEPING = fileURLToPath(new URL('replay/keeping.mjs', import.meta.url));
const COUNT = 40;
/** Longer than there is between any two of the marks of time. */
const IDLE_MS = 7_000;
const PATIENCE_MS = 60_000;

/** Says "taped /N" to /N. */
const dependency = (): Promise<Answering> => answering((request) => ok(`taped ${request.split(' ')[1] ?? ''}`));

/** A client that has said half of its request. */
class SlowClient {
  readonly #socket: Socket;
  readonly #rest: string;
  #heard = '';

  constructor(port: number, request: string) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (bytes: Buffer) => { this.#heard += bytes.toString('latin1'); });
    this.#socket.on('error', () => { /* said by what was heard */ });
    this.#socket.write(request.slice(0, 20));
    this.#rest = request.slice(20);
  }

  /** Says the rest; the answer. */
  async goOn(): Promise<string> {
    const closed = new Promise((resolve) => { this.#socket.once('close', resolve); });
    this.#socket.write(this.#rest);
    await closed;
    return this.#heard;
  }

  close(): void {
    this.#socket.destroy();
  }
}

describe('replay of a recording that is being written', function () {
  this.timeout(180_000);
  let folder = '';
  let before = '';

  beforeEach(async function () {
    skipIf(this, cannotReplay() ?? await whyNotRecordable());
    folder = temporaryDir('being-written');
    before = hostState();
  });

  afterEach(function () {
    if (this.currentTest?.isPending() === true) return;
    removeDir(folder);
    assert.equal(hostState(), before);
    assert.deepEqual(processesWith(THREADS), []);
  });

  it('plays what is over, says what is not, and disturbs neither the recorder nor who is served meanwhile', async () => {
    const dir = join(folder, 'rec');
    const [real, port, ridAt] = [await dependency(), await freePort(), ridMaker()];
    const command = ['python3', THREADS, String(port), '8', '4'];
    const clients = new Clients(port, 4, { keepAlive: false });
    const step = (path: string): Step => ({ to: real.to, send: get(path), read: ok(`taped ${path}`).length });
    const asked = (n: number, path: string): { rid: string; target: string } => ({ rid: ridAt(n), target: planRequest([step(path)]).split(' ')[1] ?? '' });
    let recorder: Recorder | undefined;
    let slow: SlowClient | undefined;
    let going = true;
    try {
      recorder = await Recorder.run(command, dir);
      await until('the service to listen', () => accepts(port), PATIENCE_MS);
      await clients.send(Array.from({ length: COUNT }, (_, n) => asked(n, `/${n + 100}`)));
      slow = new SlowClient(port, planRequest([step('/slow')]));
      // Others are served, and recorded, all the time: time passes in a recording by what happens.
      const meanwhile: Exchange[] = [];
      const others = (async () => {
        while (going) {
          meanwhile.push(...await clients.send([asked(COUNT + 1 + meanwhile.length, '/others')]));
          await sleep(50);
        }
      })();
      await until('the sessions to be over', async () => (await exported(dir)).sessions.filter(({ certificate }) => certificate.state === 'complete').length >= COUNT, PATIENCE_MS);
      const played = await koala(['replay', dir, '--json', '--', ...command], 120_000);
      going = false;
      await others;
      const late = await slow.goOn();
      const { lost } = await recorder.stop();

      const lines = played.stdout.map((line) => JSON.parse(line) as Replayed | ReplaySummary);
      const summary = lines.pop() as ReplaySummary | undefined;
      const unfinished = (lines as Replayed[]).filter(({ verdict }) => verdict === 'skipped');
      assert.equal(played.exit, 0, played.stdout.filter((line) => !line.includes('"verdict":"same"')).join('\n').slice(0, 3_000) + played.stderr);
      assert.ok(summary !== undefined && summary.same >= COUNT && summary.same + summary.skipped === summary.sessions, played.stdout.at(-1));
      assert.ok(unfinished.length > 0 && unfinished.every(({ reason }) => reason?.includes('it was not over when the recording was read') === true), JSON.stringify(unfinished));
      assert.match(played.stderr, new RegExp(`koala-bpf: ${dir} is still being recorded`));

      assert.match(late, /^HTTP\/1\.1 200 [^]*taped \/slow/);
      assert.ok(meanwhile.length > 0 && meanwhile.every(({ status, body }) => status === 200 && body.includes('taped /others')), `${meanwhile.length} others`);
      assert.equal(lost.bytes, 0);
      const { sessions } = await exported(dir);
      assert.deepEqual([sessions.length, sessions.filter(({ certificate }) => certificate.state !== 'complete')], [COUNT + 1 + meanwhile.length, []]);
    } finally {
      going = false;
      recorder?.kill();
      slow?.close();
      clients.close();
      real.stop();
    }
  });

  it('plays what an idle service did last, though all its connections stay open and nothing more happens; and then the recording does not grow', async () => {
    const dir = join(folder, 'rec');
    const [real, port] = [await dependency(), await freePort()];
    const command = [process.execPath, KEEPING, String(port), real.to];
    const client = new Clients(port, 1, { keepAlive: true });
    let service: Started | undefined;
    let recorder: Recorder | undefined;
    try {
      service = await started(command, port);
      recorder = await Recorder.attach([service.pid], dir);
      const [exchange] = await client.send([{ rid: 'only', target: '/only' }]);
      assert.equal(exchange?.body.toString(), 'taped /only');
      const states = async (): Promise<string[]> => (await koalaOk(['ls', dir, '--json'])).map((line) => (JSON.parse(line) as SessionJson).certificate.state);
      assert.deepEqual(await states(), ['open']);
      await until('the session to be over', async () => (await states()).join() === 'complete', PATIENCE_MS);
      const played = await koala(['replay', dir, '--json', '--', ...command], 120_000);
      assert.deepEqual([played.exit, (JSON.parse(played.stdout.at(-1) ?? '') as ReplaySummary).same], [0, 1], played.stdout.join('\n') + played.stderr);

      const segments = (): number => readdirSync(dir).filter((name) => name.endsWith('.koala')).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
      // The last mark comes 9 s after the last event; on a busy machine the recorder may be late.
      let [before, since] = [segments(), Date.now()];
      await until('the recording to be left alone', () => {
        if (segments() !== before) [before, since] = [segments(), Date.now()];
        return Date.now() - since > IDLE_MS;
      }, PATIENCE_MS);
      const events = (await koalaOk(['events', dir, '--json'])).map((line) => (JSON.parse(line) as { kind: string }).kind);
      assert.deepEqual([...new Set(events)], ['data']);
      assert.deepEqual(await states(), ['complete']);
    } finally {
      recorder?.kill();
      await service?.stop();
      client.close();
      real.stop();
    }
  });
});
