import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { load } from '../../src/replay/load.ts';
import { whyNot } from '../../src/replay/playable.ts';
import type { Replayed } from '../../src/replay/replayed.ts';
import { KOALA, Recorder, whyNotRecordable } from './recorder.ts';
import { cannotReplay, play } from './replay/stage.ts';
import { allAnswered } from './scenario.ts';
import { Clients } from './services/client.ts';
import { removeDir, temporaryDir } from './services/daemon.ts';
import { httpUpstream } from './services/dependency.ts';
import { gunicorn } from './services/gunicorn.ts';
import { php } from './services/php.ts';
import { ridMaker } from './services/rid.ts';
import type { Service } from './services/service.ts';
import { skipIf } from '../skip.ts';

const REQUESTS = 48;

interface Result {
  readonly recorded: number;
  readonly skipped: readonly string[];
  readonly replayed: readonly Replayed[];
  readonly notes: readonly string[];
}

/** The words of a process's /proc file. */
const words = (pid: number, file: string): string[] => readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0').filter((word) => word !== '');

/** How a service is started once more: the folder that it needs, which its `stop` removes, and its command. */
interface Again {
  readonly folder: string;
  readonly command: readonly string[];
}

function gunicornAgain(pid: number): Again {
  const [command, environment] = [words(pid, 'cmdline'), words(pid, 'environ')];
  const folder = command[command.indexOf('--worker-tmp-dir') + 1] ?? '';
  return { folder, command: ['env', '-i', '-C', dirname(folder), ...environment, ...command] };
}

/** nginx and php-fpm name their configuration in their title. */
function configuredAgain(pid: number): Again {
  const conf = /\/\S+\.conf/.exec(words(pid, 'cmdline').join(' '))?.[0] ?? '';
  const exe = readlinkSync(`/proc/${pid}/exe`);
  const isFpm = conf.endsWith('fpm.conf');
  return { folder: isFpm ? dirname(conf) : dirname(dirname(conf)), command: [exe, ...isFpm ? ['-F', '-y', conf] : ['-c', conf, '-e', 'stderr']] };
}

interface Plan {
  make(): Promise<Service>;
  /** Index into the service's parts: which one is recorded and replayed. */
  readonly part?: number;
  readonly again?: (pid: number) => Again;
  /** The load begins before the recording: pools are connected by then. */
  readonly warm?: boolean;
  /** How many clients ask at once. An event loop's ties are only sure with one. */
  readonly clients?: number;
}

/** Records a load on the service, stops it and all its dependencies, and replays it from its own command line and environment. */
async function recordAndReplay({ make, part = 0, again = gunicornAgain, warm = false, clients: count = 8 }: Plan): Promise<Result> {
  const dir = temporaryDir('replay');
  const made = await make();
  let service: Service | undefined = made;
  const clients = new Clients(service.port, count, { keepAlive: service.keepAlive });
  let recorder: Recorder | undefined;
  let restored: string | undefined;
  try {
    const { ask, parts } = made;
    const pid = parts[part]?.pid ?? 0;
    const { folder, command } = again(pid);
    const ridAt = ridMaker();
    const send = async (from: number, count: number): Promise<void> => {
      await allAnswered(made, await clients.send(Array.from({ length: count }, (_, n) => ask(ridAt(from + n), n))));
      await sleep(300);
    };
    if (warm) await send(9_000, 64);
    recorder = await Recorder.attach([pid], join(dir, 'rec'));
    await send(0, REQUESTS);
    await recorder.stop();
    clients.close();
    execFileSync('cp', ['-a', folder, join(dir, 'kept')]);
    await service.stop();
    service = undefined;
    renameSync(join(dir, 'kept'), folder);
    restored = folder;
    const loaded = load([join(dir, 'rec')], [], 5_000);
    const skipped = loaded.flatMap(({ session }) => whyNot(session, warm) ?? []);
    const { replayed, notes } = await play(loaded.map(({ session }) => session), { command, startupMs: 30_000, answerMs: 20_000, allowIncomplete: warm });
    return { recorded: loaded.length, skipped, replayed, notes };
  } finally {
    recorder?.kill();
    clients.close();
    await service?.stop();
    if (restored !== undefined) removeDir(restored);
    removeDir(dir);
  }
}

function selfSigned(dir: string): { key: Buffer; cert: Buffer } {
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-subj', '/CN=shop.test', '-keyout', key, '-out', cert], { stdio: 'pipe', timeout: 20_000 });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

const different = (replayed: readonly Replayed[]): readonly Replayed[] => replayed.filter(({ verdict }) => verdict === 'different' || verdict === 'error');
const explain = (some: readonly Replayed[]): string => JSON.stringify(some.slice(0, 2), undefined, 1).slice(0, 4_000);

describe('replay of a real service, its dependencies stopped', function () {
  this.timeout(180_000);

  before(async function () {
    skipIf(this, cannotReplay() ?? await whyNotRecordable());
  });

  for (const [worker, sql, warm] of [['gthread', 'tcp', false], ['gthread', 'unix', false], ['gthread', 'tcp', true], ['sync', 'tcp', false]] as const) {
    it(`gunicorn ${worker} with requests, psycopg2${sql === 'unix' ? ' (by a unix socket)' : ''} and redis-py is the same${warm ? ', though its pools are older than the recording' : ''}`, async () => {
      const { recorded, skipped, replayed, notes } = await recordAndReplay({ make: () => gunicorn({ worker, sql }), warm });
      assert.ok(recorded >= REQUESTS, `${recorded} sessions were recorded`);
      assert.deepEqual(skipped, []);
      assert.deepEqual(different(replayed), [], explain(different(replayed)) + notes.join('\n'));
      assert.equal(replayed.length, recorded);
      assert.ok(replayed.every(({ calls }) => calls.length >= 7), 'an HTTP call, four statements, two commands');
    });
  }

  for (const [what, listen, part, clients, calls] of [['php-fpm with MariaDB', 'tcp', 0, 8, 3], ['nginx with php-fpm', 'unix', 1, 1, 1]] as const) {
    it(`${what}, by its unix socket, is the same`, async () => {
      const { recorded, skipped, replayed, notes } = await recordAndReplay({ make: () => php(listen), part, clients, again: configuredAgain });
      assert.ok(recorded >= REQUESTS, `${recorded} sessions were recorded`);
      assert.deepEqual(skipped, []);
      assert.deepEqual(different(replayed), [], explain(different(replayed)) + notes.join('\n'));
      assert.ok(replayed.every((one) => one.calls.length >= calls && one.calls.every(({ destination }) => destination.startsWith('unix:/'))), explain(replayed));
    });
  }

  it('a recording with TLS inside is skipped, with the reason, and exits 3', async () => {
    const dir = temporaryDir('replay');
    const upstream = await httpUpstream(selfSigned(dir));
    const service = await gunicorn({ worker: 'gthread', sql: 'tcp', tlsUpstream: upstream });
    const clients = new Clients(service.port, 2, { keepAlive: true });
    let recorder: Recorder | undefined;
    try {
      const ridAt = ridMaker();
      recorder = await Recorder.attach([service.parts[0]?.pid ?? 0], join(dir, 'rec'));
      await clients.send(Array.from({ length: 6 }, (_, n) => ({ rid: ridAt(n), target: `/secret/${ridAt(n)}` })));
      await sleep(300);
      await recorder.stop();
      const { status, stdout, stderr } = spawnSync(KOALA, ['replay', join(dir, 'rec'), '--json', '--', 'true'], { encoding: 'utf8', timeout: 60_000 });
      const lines = stdout.trim().split('\n').map((line) => JSON.parse(line) as { verdict?: string; reason?: string; skipped?: number });
      assert.equal(status, 3, stderr);
      assert.equal(lines.length, 7);
      for (const { verdict, reason } of lines.slice(0, -1)) {
        assert.equal(verdict, 'skipped');
        assert.match(reason ?? '', /^TLS inside/);
      }
      assert.equal(lines.at(-1)?.skipped, 6);
      assert.match(stderr, /nothing was compared/);
    } finally {
      recorder?.kill();
      clients.close();
      await service.stop();
      await upstream.stop();
      removeDir(dir);
    }
  });
});
