import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { load } from '../../src/replay/load.ts';
import { whyNot } from '../../src/replay/run.ts';
import type { Replayed } from '../../src/replay/replayed.ts';
import { Recorder, whyNotRecordable } from './recorder.ts';
import { cannotReplay, play } from './replay/stage.ts';
import { Clients } from './services/client.ts';
import { removeDir, temporaryDir } from './services/daemon.ts';
import { gunicorn } from './services/gunicorn.ts';
import { ridMaker } from './services/rid.ts';
import type { Service } from './services/service.ts';

const REQUESTS = 48;

interface Result {
  readonly recorded: number;
  readonly skipped: readonly string[];
  readonly replayed: readonly Replayed[];
  readonly notes: readonly string[];
}

/** The words of a process's /proc file. */
const words = (pid: number, file: string): string[] => readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0').filter((word) => word !== '');

/** Records a load on the service, stops it and all its dependencies, and replays it from its own command line and environment. */
async function recordAndReplay(make: () => Promise<Service>, warm: boolean): Promise<Result> {
  const dir = temporaryDir('replay');
  let service: Service | undefined = await make();
  const clients = new Clients(service.port, 8, { keepAlive: service.keepAlive });
  let recorder: Recorder | undefined;
  try {
    const { ask, port, parts } = service;
    const pid = parts[0]?.pid ?? 0;
    const [command, environment] = [words(pid, 'cmdline'), words(pid, 'environ')];
    const ridAt = ridMaker();
    const send = (from: number, count: number): Promise<unknown> => clients.send(Array.from({ length: count }, (_, n) => ask(ridAt(from + n), n)));
    if (warm) {
      await send(9_000, 64);
      await sleep(300);
    }
    recorder = await Recorder.attach([pid], join(dir, 'rec'));
    await send(0, REQUESTS);
    await sleep(300);
    await recorder.stop();
    clients.close();
    await service.stop();
    service = undefined;
    const scratch = command[command.indexOf('--worker-tmp-dir') + 1] ?? '';
    mkdirSync(scratch, { recursive: true });
    try {
      const loaded = load([join(dir, 'rec')], [], 5_000);
      const skipped = loaded.flatMap(({ session }) => whyNot(session, warm) ?? []);
      const { replayed, notes } = await play(loaded.map(({ session }) => session), {
        command: ['env', '-i', '-C', dirname(scratch), ...environment, ...command], sut: { host: '127.0.0.1', port }, startupMs: 30_000, answerMs: 20_000, allowIncomplete: warm,
      });
      return { recorded: loaded.length, skipped, replayed, notes };
    } finally {
      removeDir(scratch);
    }
  } finally {
    recorder?.kill();
    clients.close();
    await service?.stop();
    removeDir(dir);
  }
}

const different = (replayed: readonly Replayed[]): readonly Replayed[] => replayed.filter(({ verdict }) => verdict === 'different' || verdict === 'error');
const explain = (some: readonly Replayed[]): string => JSON.stringify(some.slice(0, 2), undefined, 1).slice(0, 4_000);

describe('replay of a real service, its dependencies stopped', function () {
  this.timeout(180_000);

  before(async function () {
    const why = cannotReplay() ?? await whyNotRecordable();
    if (why === undefined) return;
    console.log(`      skipped: ${why}`);
    this.skip();
  });

  for (const [worker, sql, warm] of [['gthread', 'tcp', false], ['gthread', 'unix', false], ['gthread', 'tcp', true], ['sync', 'tcp', false]] as const) {
    it(`gunicorn ${worker} with requests, psycopg2${sql === 'unix' ? ' (by a unix socket)' : ''} and redis-py is the same${warm ? ', though its pools are older than the recording' : ''}`, async () => {
      const { recorded, skipped, replayed, notes } = await recordAndReplay(() => gunicorn({ worker, sql }), warm);
      assert.ok(recorded >= REQUESTS, `${recorded} sessions were recorded`);
      assert.deepEqual(skipped, []);
      assert.deepEqual(different(replayed), [], explain(different(replayed)) + notes.join('\n'));
      assert.equal(replayed.length, recorded);
      assert.ok(replayed.every(({ calls }) => calls.length >= 7), 'an HTTP call, four statements, two commands');
    });
  }
});
