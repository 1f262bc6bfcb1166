import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { call, get, ok, session } from '../unit/replay/build.ts';
import { startAs, type RunningReplay } from './replay/command.ts';
import { AS_NOBODY, cannotReplayAsNobody } from './replay/nobody.ts';
import { until } from './replay/running.ts';
import { cannotReplay, planned, PORT, processesWith, SERVICE } from './replay/stage.ts';
import { skipIf } from '../skip.ts';

const API = '10.20.30.40:80';
const asked = call({ to: API, protocol: 'http', request: get('/a', 'api'), response: ok('one') });
const quick = planned([{ to: API, send: get('/a', 'api'), read: ok('one').length }], [ok('one')], [asked], { id: 'aaaa' });
/** Its service waits for an answer that never comes. */
const slow = planned([{ to: API, send: 'hello', read: 1, timeoutMs: 60_000 }], [''], [call({ to: API, request: 'hello' })], { id: 'bbbb' });

const replaying = (): RunningReplay => startAs(AS_NOBODY, 'replay', [quick, slow], ['--concurrency', '1', '--', process.execPath, SERVICE, String(PORT)]);
const mocking = (script: string): RunningReplay => startAs(AS_NOBODY, 'mock', [session({ request: get('/'), response: ok('x'), calls: [asked] })], ['--', 'sh', '-c', script]);

/** Resolves when its stdout holds `text`; rejects when it ends without. */
function says({ child, outcome }: RunningReplay, text: string): Promise<void> {
  let said = '';
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (more: Buffer) => {
      said += more.toString();
      if (said.includes(text)) resolve();
    });
    void outcome.then(({ status, stderr }) => { reject(new Error(`ended with ${status} before it said ${text}: ${stderr}`)); });
  });
}

/** Service, and copies of the command. */
const left = (): string[] => [...processesWith(SERVICE), ...processesWith('sessions.ndjson')];

describe('koala-bpf as an ordinary user', function () {
  this.timeout(120_000);

  before(function () { skipIf(this, cannotReplay() ?? cannotReplayAsNobody()); });

  afterEach(async () => { await until('nothing is left running', () => left().length === 0); });

  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    it(`ends a replay at ${name} as for root: says how far it came, exits 130, and leaves nothing running`, async () => {
      const running = replaying();
      await says(running, 'aaaa');
      assert.notDeepEqual(processesWith(SERVICE), []);
      running.child.kill(name);
      const { status, stderr } = await running.outcome;
      assert.equal(status, 130, stderr);
      assert.match(stderr, /interrupted; 1 of 2 sessions were not played/);
      assert.deepEqual(left(), []);
    });
  }

  for (const [name, trapped] of [['SIGTERM', 'TERM'], ['SIGINT', 'INT']] as const) {
    it(`hands ${name} to the command of a mock, once, and ends with its status`, async () => {
      const running = mocking(`trap 'echo heard; exit 6' ${trapped}; echo up; while :; do sleep 0.05; done`);
      await says(running, 'up');
      running.child.kill(name);
      const { status, stdout, stderr } = await running.outcome;
      assert.deepEqual([status, stdout], [6, 'up\nheard\n'], stderr);
    });
  }

  it('leaves nothing running when it is killed', async () => {
    for (const start of [replaying, () => mocking(`echo aaaa; exec "${process.execPath}" "${SERVICE}" ${PORT}`)]) {
      const running = start();
      await says(running, 'aaaa');
      assert.notDeepEqual(left(), []);
      running.child.kill('SIGKILL');
      await running.outcome;
      await until('nothing is left running', () => left().length === 0);
    }
  });

  it('ends with 3, and says why, where the kernel lets users make no namespaces: nothing was compared', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'koala-rootless-'));
    try {
      writeFileSync(join(folder, 'unshare'), '#!/bin/sh\necho "unshare: unshare failed: Operation not permitted" >&2\nexit 1\n');
      for (const path of [folder, join(folder, 'unshare')]) chmodSync(path, 0o755);
      const { status, stderr } = await startAs([...AS_NOBODY, 'env', `PATH=${folder}:${process.env['PATH'] ?? ''}`], 'replay', [quick], ['--', process.execPath, SERVICE, String(PORT)]).outcome;
      assert.equal(status, 3, stderr);
      assert.match(stderr, /^koala-bpf: Cannot confine the service as an ordinary user: unshare: unshare failed: Operation not permitted.*sudo\n$/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
