/** `attach --keep-environment` and `replay --env-from recording`: the service is started as the recorded one had been. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { koala, koalaOk, whyNotRecordable } from './recorder.ts';
import { cannotReplay } from './replay/stage.ts';
import { accepts, freePort, removeDir, temporaryDir } from './services/daemon.ts';
import { until } from './services/dependency.ts';
import { skipIf } from '../skip.ts';

const KOALA = fileURLToPath(new URL('../../bin/koala-bpf', import.meta.url));
/** Answers with its environment, folder and argument; argv: port, argument. */
const SERVICE = `require("http").createServer((request, response) => response.end(JSON.stringify([
  process.env.SHOP_SECRET, process.env.SHOP_ODD, process.env.OTHER, process.cwd(), process.argv[2]]))).listen(Number(process.argv[1]), "127.0.0.1")`;
const ODD = 'it\'s "odd" $HOME `x` \\ ü\nsecond line = \'';
const SECRET = 'secret-of-the-shop-5c21';

describe('the environment of the recorded service', function () {
  this.timeout(120_000);
  let folder = '';
  let home = '';
  let port = 0;
  let child: ChildProcess | undefined;

  beforeEach(async function () {
    skipIf(this, cannotReplay() ?? await whyNotRecordable());
    folder = temporaryDir('environment');
    home = join(folder, 'the home\'s "folder"');
    mkdirSync(home);
    port = await freePort();
  });

  afterEach(function () {
    if (this.currentTest?.isPending() === true) return;
    child?.kill('SIGKILL');
    child = undefined;
    removeDir(folder);
  });

  const command = (): string[] => [process.execPath, '-e', SERVICE, String(port), 'the argument'];
  const environment = { ...process.env, SHOP_SECRET: SECRET, SHOP_ODD: ODD };

  /** Asks the service, which `attach` started in its folder or found there. */
  async function record(dir: string, flags: readonly string[], started: 'by attach' | 'before'): Promise<void> {
    if (started === 'before') {
      const [program = '', ...args] = command();
      child = spawn(program, args, { cwd: home, env: environment, stdio: 'ignore' });
      await until(() => accepts(port), 'the service');
    }
    const target = started === 'before' ? ['--pid', String(child?.pid)] : ['--', ...command()];
    const recorder = spawn(KOALA, ['attach', '--out', dir, '--json', ...flags, ...target], { cwd: home, env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
    await once(recorder.stdout, 'data');
    await until(() => accepts(port), 'the service');
    const answer = await (await fetch(`http://127.0.0.1:${port}/`)).json() as string[];
    assert.deepEqual([answer[0], answer[1], answer[3]], [SECRET, ODD, home]);
    recorder.kill('SIGINT');
    await once(recorder, 'close');
    child?.kill('SIGKILL');
  }

  const segments = (dir: string): string[] => readdirSync(dir).filter((name) => name.endsWith('.koala')).map((name) => join(dir, name));
  const holds = (dir: string, text: string): boolean => segments(dir).some((path) => readFileSync(path, 'latin1').includes(text));

  for (const started of ['by attach', 'before'] as const) {
    it(`is kept when asked for, and given to the replayed one with arguments and folder: started ${started}`, async () => {
      const dir = join(folder, 'rec');
      await record(dir, ['--keep-environment'], started);
      assert.ok(holds(dir, 'SHOP_SECRET='));
      for (const path of segments(dir)) assert.equal(statSync(path).mode & 0o777, 0o600);
      const without = await koala(['replay', dir, '--json', '--', ...command()]);
      assert.equal(without.exit, 1, 'without it, the service answers something else');
      const { exit, stdout, stderr } = await koala(['replay', dir, '--json', '--env-from', 'recording']);
      assert.equal(exit, 0, stdout.join('\n') + stderr);
      // With a command of one's own, only the environment is taken.
      const own = await koala(['replay', dir, '--json', '--env-from', 'recording', '--ignore', 'response.body.$[3]', '--', ...command()]);
      assert.equal(own.exit, 0, own.stdout.join('\n') + own.stderr);
      assert.equal(stderr.includes(SECRET) || stdout.join('\n').replaceAll(/"response":.*/g, '').includes(SECRET), false, 'it is not printed');
    });
  }

  it('is not kept by default; then, of session files, and of a service that runs already, asking for it is refused with 2', async () => {
    const dir = join(folder, 'rec');
    await record(dir, [], 'by attach');
    // The answer of this service holds the secret; its environment would hold the name.
    assert.equal(holds(dir, 'SHOP_SECRET='), false);
    const file = join(folder, 'sessions.ndjson');
    writeFileSync(file, (await koalaOk(['export', dir, '--format', 'json'])).join('\n'));
    for (const [args, reason] of [
      [[dir], /rec holds no environment; record with attach --keep-environment/],
      [[file], /is no recording: session files hold no environment/],
      [[dir, '--pid', '1'], /one that runs already .* keeps its environment/],
    ] as const) {
      const { exit, stderr } = await koala(['replay', ...args, '--env-from', 'recording']);
      assert.equal(exit, 2, stderr);
      assert.match(stderr, reason);
    }
    const all = await koala(['attach', '--all', '--keep-environment', '--out', join(folder, 'all'), '--duration', '1s']);
    assert.equal(all.exit, 2, all.stderr);
  });
});
