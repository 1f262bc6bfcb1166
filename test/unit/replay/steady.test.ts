import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Worker } from 'node:worker_threads';
import { equalByProtocol, similarity } from '../../../src/compare/index.ts';
import { protocolNamed } from '../../../src/protocols/index.ts';
import { Conductor, type PlayedMessage } from '../../../src/replay/conductor.ts';
import { Engine } from '../../../src/replay/engine.ts';
import { Inbox } from '../../../src/replay/inbox.ts';
import { owned } from '../../../src/replay/owned.ts';
import { Player } from '../../../src/replay/player.ts';
import { taskOf, type Result } from '../../../src/replay/task.ts';
import { judge } from '../../../src/replay/verdict.ts';
import { worldOf } from '../../../src/replay/world.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { call, get, ok, session } from './build.ts';

const TO = '10.0.0.5:80';
const SUT = { host: '127.0.0.1', port: 1 };
/** A session that is kept costs thousands, one of which only its number is kept some tens. */
const MAX_BYTES = 100;
/** What is bounded is full after so many, and so much more of it is as full again. */
const [FULL, MORE] = [25_000, 10_000];
/** Sessions that the player has at a time: each is told of 20 ms after it was played. */
const AHEAD = 2_000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heldBytes(): number {
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Each with a call of its own, four on each client connection. */
function sessionOf(n: number): Session {
  const request = get(`/items/${n}?token=${(n * 2_654_435_761 % 2 ** 32).toString(16).padStart(40, '0')}`);
  const made = session({ id: `s${n}`, request: get(`/${n}`), response: ok('x'.repeat(500)), client: `10.9.9.9:${n >> 2}`, calls: [call({ to: TO, protocol: 'http', request, response: ok('y'.repeat(500)) })] });
  return { ...made, inbound: { ...made.inbound, connection: { ...made.inbound.connection, id: `${n >> 2}` } } };
}

describe('a replay of many sessions', function () {
  this.timeout(120_000);

  it('holds nothing of a session that was played, in the thread that plays', async () => {
    const engine = new Engine(worldOf([sessionOf(0)], { match: 'none', threshold: 0.7, onMiss: 'fail', answerMs: 100, quietMs: 10 }), { equal: equalByProtocol, similarity },
      { protocol: protocolNamed, recognise: () => undefined }, () => performance.now());
    let told = 0;
    let answered = 0;
    let wake = (): void => undefined;
    const player = new Player({
      engine, concurrency: 8, tracked: true, faultChain: '', sockets: () => [], failsByItself: () => false, hasPending: () => false, failed: (error) => { throw error; },
      report: () => {
        told += 1;
        wake();
      },
      client: ({ number, session: { outbound } }, { dialled }) => {
        dialled(`10.9.9.9:${number >> 2}`, (number & 3) * 100);
        const [one] = outbound;
        const bytes = one?.request[0];
        assert.ok(bytes !== undefined && 'bytes' in bytes);
        const answer = engine.ask({ destination: TO, protocol: 'http', bytes: bytes.bytes, oneway: false, setup: false });
        if (answer.missed !== true) answered += 1;
        return Promise.resolve({ response: new Uint8Array(Buffer.from(ok('x'))), end: 'message' as const });
      },
    });
    let given = 0;
    const playTo = async (end: number): Promise<void> => {
      while (told < end) {
        // Ahead of time, as the conductor does.
        const most = Math.min(AHEAD - (given - told), end - given);
        if (most > AHEAD / 2 || given + most === end) {
          player.take(Array.from({ length: most }, (_, at) => taskOf(given + at, sessionOf(given + at), SUT, { again: false, alone: false })));
          given += most;
        }
        await new Promise<void>((resolve) => { wake = resolve; });
      }
    };
    await playTo(FULL);
    const before = heldBytes();
    await playTo(FULL + MORE);
    const each = (heldBytes() - before) / MORE;
    assert.equal(answered, FULL + MORE);
    assert.ok(each < MAX_BYTES, `${each.toFixed(0)} bytes for each session that was played`);
    assert.equal(player.serialised, 0);
  });

  it('holds nothing of a session that was judged, in the thread that judges, beside what was recorded', async () => {
    const sessions = Array.from({ length: 5_000 }, (_, n) => owned(sessionOf(n)));
    const worker = new EventEmitter();
    const inbox = new Inbox<PlayedMessage & { readonly kind: 'played' }>(worker as unknown as Worker, new AbortController().signal);
    const response = new Uint8Array(Buffer.from(ok('x'.repeat(500))));
    const played = async (): Promise<number> => {
      let clock = 0;
      const conductor = new Conductor(sessions, {
        place: () => Promise.resolve(SUT),
        send: (tasks) => {
          const results = tasks.map(({ number, session: { id, outbound } }): Result => ({
            number, began: (clock += 1), ended: (clock += 1),
            played: { session: id, response, responseEnd: 'message', durationMs: 1, calls: [{ destination: TO, protocol: 'http', request: (outbound[0]?.request[0] as { bytes: Uint8Array }).bytes, how: 'exact', recorded: 0, beganMs: 0, endedMs: 1 }] },
          }));
          for (const result of results) setImmediate(() => { worker.emit('message', { kind: 'played', results: [result], oldest: clock + 1 }); });
        },
        receive: () => inbox.take('played', 60_000),
        judge: (one, what) => Promise.resolve(judge(one, what, { threshold: 0.7 })),
        concurrency: 1, twice: 'different', settle: (first) => first, note: () => undefined,
      });
      let same = 0;
      for await (const { verdict } of conductor.play(new AbortController().signal)) if (verdict === 'same') same += 1;
      return same;
    };
    assert.equal(await played(), sessions.length);
    const before = heldBytes();
    assert.equal(await played(), sessions.length);
    assert.equal(await played(), sessions.length);
    const each = (heldBytes() - before) / (2 * sessions.length);
    assert.ok(each < MAX_BYTES, `${each.toFixed(0)} bytes for each session that was judged`);
  });
});
