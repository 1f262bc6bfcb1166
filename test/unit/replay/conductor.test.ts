import assert from 'node:assert/strict';
import { Conductor, type PlayedMessage } from '../../../src/replay/conductor.ts';
import type { LiveCall } from '../../../src/replay/played.ts';
import type { Replayed } from '../../../src/replay/replayed.ts';
import type { Result, Task } from '../../../src/replay/task.ts';
import { unplayed } from '../../../src/replay/verdict.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { get, ok, session } from './build.ts';

const sessions = (count: number): Session[] => Array.from({ length: count }, (_, n) => session({ id: `s${n}`, request: get('/'), response: ok('x') }));
const unproven: LiveCall = { destination: '', protocol: 'http', request: new Uint8Array(0), how: 'exact', beganMs: 0, endedMs: 0, certainty: 'unknown' };

interface Script {
  /** What a session's play is like; `time`: the first time or a second one. */
  play(task: Task, time: number): { readonly verdict: Replayed['verdict']; readonly calls?: readonly LiveCall[] };
  readonly skip?: string;
  readonly twice?: 'never' | 'different' | 'always';
  /** Something that was given up is in play for ever. */
  readonly stuck?: true;
  /** Comes beside what was asked for: from a list before this one. */
  readonly stale?: Result;
  readonly concurrency?: number;
  /** Answers come by so many, the last sent first. */
  readonly batch?: number;
}

async function conducted(count: number, script: Script, over = new AbortController().signal) {
  const waiting: Task[] = [];
  const times = new Map<number, number>();
  const verdictOf = new Map<string, Replayed['verdict']>();
  const sent: Task[] = [];
  const notes: string[] = [];
  /** How many the player had each time that it was asked. */
  const ready: number[] = [];
  let clock = 0;
  const conductor = new Conductor(sessions(count), {
    place: (one) => Promise.resolve(one.id === script.skip ? unplayed(one, 'skipped', 'why') : { host: '127.0.0.1', port: 1 }),
    send: (tasks) => { waiting.push(...tasks); sent.push(...tasks); },
    receive: (): Promise<PlayedMessage | undefined> => {
      ready.push(waiting.length);
      const first = waiting.findIndex((task) => task.first);
      const from = Math.max(first, 0);
      const together = waiting.slice(from).findIndex(({ alone }) => alone);
      const most = script.batch ?? 4;
      const batch = waiting.splice(from, together === 0 ? Math.min(1, most) : together > 0 ? Math.min(together, most) : most);
      if (batch.length === 0) return Promise.resolve(undefined);
      const began = batch.map(() => (clock += 1));
      const results = batch.map((task, at): Result => {
        const time = (times.get(task.number) ?? 0) + 1;
        times.set(task.number, time);
        const { verdict, calls = [] } = script.play(task, time);
        verdictOf.set(task.session.id, verdict);
        return {
          number: task.number, began: began[at] ?? 0, ended: (clock += 1),
          played: { session: task.session.id, response: new Uint8Array(0), responseEnd: 'message', calls, durationMs: 1 },
        };
      });
      return Promise.resolve({ results: [...(script.stale === undefined ? [] : [script.stale]), ...results.reverse()], oldest: script.stuck === true ? 0 : clock + 1 });
    },
    judge: (one) => Promise.resolve({ ...unplayed(one, 'error', ''), verdict: verdictOf.get(one.id) ?? 'error' }),
    concurrency: script.concurrency ?? 1, twice: script.twice ?? 'never',
    settle: (first, second) => ({ ...first, verdict: second.verdict }),
    note: (text) => { notes.push(text); },
  });
  const verdicts: string[] = [];
  for await (const { session: id, verdict } of conductor.play(over)) verdicts.push(`${id} ${verdict}`);
  return { verdicts, sent, ready, notes, again: conductor.again };
}

describe('the conductor', () => {
  it('gives a verdict each in the order of the sessions, whatever order they come back in', async () => {
    const { verdicts } = await conducted(1_000, { play: () => ({ verdict: 'same' }), skip: 's7' });
    assert.deepEqual(verdicts, Array.from({ length: 1_000 }, (_, n) => `s${n} ${n === 7 ? 'skipped' : 'same'}`));
  });

  it('has those played again, alone and first, of whose differences it can\'t be said whose they are, and only those', async () => {
    const { verdicts, sent, again } = await conducted(12, {
      play: ({ number }, time) => ({ verdict: number === 5 && time === 1 ? 'different' : 'same', calls: [unproven] }),
    });
    assert.equal(again, 4, 'the four that were in play together');
    assert.deepEqual(sent.filter(({ alone, first }) => alone && first).map(({ number }) => number).sort(), [4, 5, 6, 7]);
    assert.ok(verdicts.every((one) => one.endsWith(' same')));
  });

  it('plays what differs once more, alone and more than a second later, and gives the verdict of both, in order', async () => {
    const began = performance.now();
    const play: Script['play'] = ({ number }, time) => ({ verdict: number % 3 === 0 && time === 1 ? 'different' : 'same' });
    const { verdicts, sent, again } = await conducted(9, { play, twice: 'different' });
    assert.deepEqual(verdicts, Array.from({ length: 9 }, (_, n) => `s${n} same`));
    assert.deepEqual(sent.slice(9).map(({ number, alone }) => [number, alone]).sort(), [[0, true], [3, true], [6, true]]);
    assert.ok(performance.now() - began >= 1_000);
    assert.equal(again, 0, 'these are not counted among those that were doubtful');
    assert.deepEqual((await conducted(9, { play, twice: 'never' })).sent.length, 9);
    assert.deepEqual((await conducted(3, { play: () => ({ verdict: 'same' }), twice: 'always' })).sent.length, 6);
    assert.deepEqual((await conducted(3, { play: () => ({ verdict: 'error' }), twice: 'always' })).sent.length, 3);
  });

  it('keeps what differs again when alone, and what differed with every call proven', async () => {
    const { verdicts, again } = await conducted(4, { play: ({ number }) => ({ verdict: number === 2 ? 'different' : 'same', calls: [unproven] }), batch: 2 });
    assert.deepEqual([verdicts[2], again], ['s2 different', 2]);
    const proven = await conducted(4, { play: () => ({ verdict: 'different', calls: [{ ...unproven, certainty: 'proven' }] }) });
    assert.equal(proven.again, 0);
  });

  it('plays an ambiguous answer again, also when nothing differs', async () => {
    const { again } = await conducted(4, { play: ({ number }, time) => ({ verdict: 'same', calls: [number === 1 && time === 1 ? { ...unproven, ambiguous: true } : unproven] }), batch: 2 });
    assert.equal(again, 2);
  });

  it('goes on one at a time when too many have to be played again, and says so', async () => {
    const { sent, notes, verdicts } = await conducted(1_000, { play: () => ({ verdict: 'different', calls: [unproven] }) });
    assert.equal(notes.length, 1);
    assert.ok(sent.slice(-100).every(({ alone }) => alone));
    assert.equal(verdicts.length, 1_000);
  });

  it('makes only a few ready at first, so that the first one waits for no others, and hundreds later on', async () => {
    const ready = async (concurrency: number): Promise<readonly number[]> => (await conducted(2_000, { play: () => ({ verdict: 'same' }), batch: 1, concurrency })).ready;
    const one = await ready(1);
    assert.equal(one[0], 16);
    assert.ok(Math.max(...one) >= 128, 'the player need not wait for us');
    assert.ok(((await ready(100))[0] ?? 0) >= 100, 'as many as are played at a time');
  });

  it('calls an error what the player never answers', async () => {
    const { verdicts } = await conducted(3, { play: () => ({ verdict: 'same' }), batch: 0 });
    assert.deepEqual(verdicts, ['s0 error', 's1 error', 's2 error']);
  });

  it('gives the verdicts that it has when what was given up stays in play', async () => {
    const { verdicts } = await conducted(3, { play: () => ({ verdict: 'same', calls: [unproven] }), stuck: true });
    assert.deepEqual(verdicts, ['s0 same', 's1 same', 's2 same']);
  });

  it('takes no late result of another list for one of its own', async () => {
    const stale: Result = { number: 0, began: 1, ended: 2, played: { session: 'other', response: new Uint8Array(0), responseEnd: 'message', calls: [], durationMs: 1 } };
    const { verdicts } = await conducted(2, { play: () => ({ verdict: 'same' }), stale });
    assert.deepEqual(verdicts, ['s0 same', 's1 same']);
  });

  it('ends when the run is over', async () => {
    const stop = new AbortController();
    stop.abort();
    assert.deepEqual((await conducted(3, { play: () => ({ verdict: 'same' }) }, stop.signal)).verdicts, []);
  });
});
