import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Replayed } from '../../src/replay/replayed.ts';
import { sessionJson } from '../../src/sessions/json.ts';
import { call, get, ok } from '../unit/replay/build.ts';
import { startReplay } from './replay/command.ts';
import { cannotReplay, planned, PORT, SERVICE, type Step } from './replay/stage.ts';
import { skipIf } from '../skip.ts';

const TO = '10.20.30.40:80';
const service = ['--', process.execPath, SERVICE, String(PORT)];

function one(id: string, startedAtUs: number): ReturnType<typeof planned> {
  const request = get(`/${id}`, 'api');
  const made = planned([{ to: TO, send: request, read: ok('one').length }], [ok('one')], [call({ to: TO, protocol: 'http', request, response: ok('one') })], { id });
  return { ...made, startedAtUs };
}

describe('koala-bpf replay plays', function () {
  this.timeout(60_000);

  beforeEach(function () {
    skipIf(this, cannotReplay());
  });

  const MORNING = Date.parse('2026-11-23T08:00:00Z') * 1000;
  const sessions = ['a1', 'b2', 'c3', 'd4'].map((id, n) => one(id, MORNING + n * 60_000_000));

  it('the sessions that pass the filters of ls, the first ones up to --limit', async () => {
    const { status, stdout, stderr } = await startReplay(sessions, ['--since', '2026-11-23T08:01:00Z', '--status', '2xx', '--grep', 'GET /run', '--limit', '2', '--json', ...service]).outcome;
    assert.equal(status, 0, stderr);
    const played = stdout.trim().split('\n').map((line) => JSON.parse(line) as { session?: string }).flatMap(({ session }) => session ?? []);
    assert.deepEqual(played, ['b2', 'c3']);
  });

  it('nothing where no session passes, and says so', async () => {
    for (const args of [['--status', '5xx'], ['--limit', '0'], ['--recorded-pid', '0'], ['--until', '2020-01-01']]) {
      const { status, stdout, stderr } = await startReplay(sessions, [...args, ...service]).outcome;
      assert.deepEqual([status, stdout, stderr.trim().split('\n').length], [2, '', 1], stderr);
    }
  });

  it('the service\'s start from another recording', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'koala-start-'));
    const file = join(folder, 'start.json');
    const start = planned([], [], [call({ to: '10.9.9.9:6379', protocol: 'redis', request: 'PING\r\n', response: '+PONG-AT-START\r\n' })], { id: 'e5' });
    writeFileSync(file, JSON.stringify(sessionJson(start)));
    process.env['WARM_UP'] = '10.9.9.9:6379|PING~|16';
    process.env['WARM_UP_MUST'] = '+PONG-AT-START\r\n';
    try {
      const { status, stdout, stderr } = await startReplay(sessions, ['--startup', file, ...service]).outcome;
      assert.equal(status, 0, stdout + stderr);
      const without = await startReplay(sessions, service).outcome;
      assert.equal(without.status, 3, without.stdout + without.stderr);
      assert.match(without.stderr, /it asked 10\.9\.9\.9:6379 for PING, which nothing recorded answers/);
    } finally {
      delete process.env['WARM_UP'];
      delete process.env['WARM_UP_MUST'];
      rmSync(folder, { recursive: true });
    }
  });

  it('another recorded call only where --match asks for it, by pieces or by likeness from --threshold on, and says which it was', async function () {
    this.timeout(240_000);
    const recorded = get('/prices/7?currency=EUR&round=no', 'api');
    const live = get('/prices/7?currency=EUR&round=yes', 'api');
    const asks: Step = { to: TO, send: live, read: ok('one').length };
    const changed = planned([asks], [ok('one')], [call({ to: TO, protocol: 'http', request: recorded, response: ok('one') })], { id: 'f6' });
    const how = async (...args: string[]): Promise<unknown[]> => {
      const { status, stdout, stderr } = await startReplay([changed], ['--strict', '--json', ...args, ...service]).outcome;
      assert.equal(status, 1, stderr);
      const { calls, response } = JSON.parse(stdout.split('\n')[0] ?? '') as Replayed;
      return [calls[0]?.how, calls[0]?.recorded, response.verdict];
    };
    assert.deepEqual((await how())[0], 'none');
    assert.deepEqual(await how('--match', 'chunk'), ['chunk', 0, 'same']);
    assert.deepEqual(await how('--match', 'sim'), ['similar', 0, 'same']);
    assert.deepEqual((await how('--match', 'sim', '--threshold', '1'))[0], 'none');
    assert.deepEqual(await how('--on-miss', 'nearest'), ['nearest', 0, 'same']);
  });
});
