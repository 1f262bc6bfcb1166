import assert from 'node:assert/strict';
import { equalByProtocol, similarity } from '../../../src/compare/index.ts';
import { protocolNamed } from '../../../src/protocols/index.ts';
import { Engine } from '../../../src/replay/engine.ts';
import { Player, type PlayerOptions } from '../../../src/replay/player.ts';
import { taskOf, type Result, type Task } from '../../../src/replay/task.ts';
import { worldOf } from '../../../src/replay/world.ts';
import { get, ok, session } from './build.ts';

const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

function playerOf(more: Partial<PlayerOptions> = {}): { player: Player; results: Result[]; failed: unknown[]; tasks: Task[] } {
  const sessions = ['a', 'b'].map((id) => session({ id, request: get('/'), response: ok('x') }));
  const engine = new Engine(worldOf(sessions, { match: 'none', threshold: 0.7, onMiss: 'fail', answerMs: 100, quietMs: 10 }), { equal: equalByProtocol, similarity },
    { protocol: protocolNamed, recognise: () => undefined }, () => performance.now());
  const results: Result[] = [];
  const failed: unknown[] = [];
  const player = new Player({
    engine, concurrency: 1, tracked: true, faultChain: '', sockets: () => [], failsByItself: () => false, hasPending: () => false,
    failed: (error) => { failed.push(error); }, report: (result) => { results.push(result); },
    client: (_, { dialled }) => { dialled('10.0.0.9:50000', 0); return Promise.resolve({ response: new Uint8Array(0), end: 'message' as const }); },
    ...more,
  });
  return { player, results, failed, tasks: sessions.map((one, at) => taskOf(at, one, { host: '127.0.0.1', port: 1 }, { again: false, alone: false })) };
}

async function until(holds: () => boolean): Promise<void> {
  for (const since = Date.now(); !holds();) {
    assert.ok(Date.now() - since < 10_000);
    await new Promise((resolve) => { setTimeout(resolve, 1); });
  }
}

describe('a client that is played', () => {
  it('is known by its address from when its session was begun, and not by a connection that had it before', async () => {
    let isPlayed = (): void => undefined;
    let asked = 0;
    const { player, results, tasks } = playerOf({
      client: (_, { dialled }) => {
        dialled('10.0.0.9:50000', 0);
        asked += 1;
        return new Promise((resolve) => { isPlayed = () => { resolve({ response: new Uint8Array(0), end: 'message' as const }); }; });
      },
    });
    player.take(tasks.slice(0, 1));
    await until(() => asked === 1);
    const betweenUs = nowUs();
    assert.equal(player.playOf('10.0.0.9:50000', 0, betweenUs)?.session.id, 'a');
    assert.equal(player.playOf('10.0.0.9:50001', 0, betweenUs), undefined);
    isPlayed();
    await until(() => results.length === 1 && nowUs() > betweenUs + 10);
    assert.equal(player.playOf('10.0.0.9:50000', 0, betweenUs), undefined, 'nobody tells of its calls any more');
    player.take(tasks.slice(1));
    await until(() => asked === 2);
    assert.equal(player.playOf('10.0.0.9:50000', 0, nowUs())?.session.id, 'b');
    assert.equal(player.playOf('10.0.0.9:50000', 0, betweenUs), undefined, 'that connection was no client of the second session');
    isPlayed();
    await until(() => results.length === 2);
  });

  it('tells of what goes wrong, and does not let it pass', async () => {
    const { player, failed, tasks } = playerOf({ client: () => Promise.reject(new Error('it went wrong')) });
    player.take(tasks);
    await until(() => failed.length > 0);
    assert.match(String(failed[0]), /it went wrong/);
  });
});
