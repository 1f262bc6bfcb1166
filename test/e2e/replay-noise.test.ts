/** What makes a session differ that is no change of the build: values of its own, what the process keeps; and that a change is still found. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NoiseRules } from '../../src/compare/index.ts';
import type { Replayed } from '../../src/replay/replayed.ts';
import type { ReplayOptions } from '../../src/replay/options.ts';
import { sessionJson } from '../../src/sessions/json.ts';
import type { Session } from '../../src/sessions/session.ts';
import { call, ok, session } from '../unit/replay/build.ts';
import { KOALA } from './recorder.ts';
import { cannotReplay, play } from './replay/stage.ts';
import { skipIf } from '../skip.ts';

const SHOP = fileURLToPath(new URL('replay/shop.mjs', import.meta.url));
const PORT = 18_091;
const UPSTREAM = '10.20.30.50:8000';
const COMMAND = [process.execPath, SHOP, String(PORT), '10.20.30.50', '8000'];

const asks = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: upstream\r\nConnection: close\r\n\r\n`;
const says = (body: object): string => ok(JSON.stringify(body)).replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');

function recorded(id: string, request: string, body: object, atS: number, calls: Session['outbound'] = []): Session {
  const made = session({ id, request, response: says(body), listener: `127.0.0.1:${PORT}`, calls });
  return { ...made, startedAtUs: made.startedAtUs + atS * 1_000_000 };
}

const client = (method: string, path: string): string => `${method} ${path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;

/** `asked`: its price was asked for when it was recorded, else the process had it. */
function price(id: string, n: number, atS: number, asked: boolean): Session {
  const calls = asked ? [call({ to: UPSTREAM, protocol: 'http', request: asks(`/price/${n}`), response: ok(`${n}0`), atMs: atS * 1_000 + 1 })] : [];
  return recorded(id, client('GET', `/price/${n}`), { price: `200 ${n}0` }, atS, calls);
}

function order(id: string, n: number, atS: number): Session {
  const at = new Date(1_700_000_000_000 + atS * 1_000 + 2).toISOString();
  const body = JSON.stringify({ id: `${n}f1e2d3c-4b5a-4968-8776-5a4b3c2d1e0f`, at, item: n });
  const request = `POST /orders HTTP/1.1\r\nHost: upstream\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
  return recorded(id, client('POST', `/order/${n}`), { answer: `200 order ${n}` }, atS, [call({ to: UPSTREAM, protocol: 'http', request, response: ok(`order ${n}`), atMs: atS * 1_000 + 2 })]);
}

const token = (id: string, atS: number): Session => recorded(id, client('GET', '/token'), { token: '0123456789abcdef0123456789abcdef', name: 'shop' }, atS);

const replayed = async (sessions: readonly Session[], more: Partial<ReplayOptions> = {}, change?: string): Promise<Replayed[]> =>
  (await play(sessions, { command: [...(change === undefined ? [] : ['env', `CHANGE=${change}`]), ...COMMAND], match: 'none', twice: 'different', concurrency: 1, ...more })).replayed;
const verdicts = (all: readonly Replayed[]): string[] => all.map(({ session: id, verdict }) => `${id} ${verdict}`);
const callVerdicts = (all: readonly Replayed[]): string[] => all.map(({ calls }) => calls.map(({ verdict }) => verdict).join(' '));

describe('replay of a service that makes values and keeps answers', function () {
  this.timeout(120_000);

  before(function () {
    skipIf(this, cannotReplay());
  });

  it('takes a price that is kept for a minute for what it is: warm when recorded and cold now, and the other way round', async () => {
    const sessions = [price('a', 7, 0, true), price('b', 7, 20, false), price('c', 7, 70, true), price('d', 8, 75, true), price('e', 8, 80, false)];
    const all = await replayed(sessions);
    assert.deepEqual(verdicts(all), ['a same', 'b same', 'c same', 'd same', 'e same'], JSON.stringify(all, undefined, 1));
    assert.deepEqual(callVerdicts(all), ['same', '', 'cached', 'same', '']);
    const cold = await replayed([price('b', 7, 20, false)]);
    assert.deepEqual(callVerdicts(cold), ['new'], 'nothing was recorded before b that could answer it');
  });

  it('answers a call that its session lacks from the session that filled the cache when it was recorded', async () => {
    const sessions = [price('a', 7, 0, true), price('b', 7, 20, false)];
    const all = await replayed([sessions[1]!, sessions[0]!]);
    assert.deepEqual([verdicts(all), callVerdicts(all)], [['b same', 'a same'], ['state', 'cached']], JSON.stringify(all, undefined, 1));
    assert.match(all[0]?.calls[0]?.because ?? '', /session a had the answer 20\.0 s before/);
    const strict = await replayed([sessions[1]!, sessions[0]!], { strict: true, twice: 'never' });
    assert.deepEqual(verdicts(strict), ['b different', 'a different']);
    const warm = await replayed([sessions[0]!, sessions[1]!], { warmUp: 1, strict: true, twice: 'never' });
    assert.deepEqual(verdicts(warm), ['a same', 'b same'], 'played first, the one warms the other up');
  });

  it('finds a query that was really dropped, and one that was added', async () => {
    const sessions = [price('a', 7, 0, true), price('b', 7, 20, false), price('c', 7, 70, true), price('d', 8, 75, true)];
    const dropped = await replayed(sessions, {}, 'drop');
    assert.deepEqual(callVerdicts(dropped), ['missing', '', 'missing', 'missing']);
    const added = await replayed([order('a', 1, 0), order('b', 2, 1)], {}, 'add');
    assert.deepEqual([verdicts(added), callVerdicts(added)], [['a different', 'b different'], ['same new', 'same new']]);
  });

  it('finds calls again whose ids and times the service makes, says which these are, and tells two orders apart', async () => {
    const all = await replayed([order('a', 1, 0), order('b', 2, 1)]);
    assert.deepEqual(verdicts(all), ['a same', 'b same'], JSON.stringify(all, undefined, 1));
    assert.deepEqual(all[1]?.calls[0]?.drift, [{ path: 'calls[0].request.body.$.id', kind: 'uuid' }, { path: 'calls[0].request.body.$.at', kind: 'time' }]);
    assert.equal(all[1]?.calls[0]?.how, 'drift');
    assert.equal(all[1]?.ignored, 2);
  });

  it('tells values that are others each time by a second run, and no change of the build with them', async () => {
    const all = await replayed([token('a', 0)]);
    assert.deepEqual([verdicts(all), all[0]?.noise], [['a same'], [{ path: 'response.body.$.token', rule: 'another value each time' }]]);
    assert.deepEqual((await replayed([token('a', 0)], { twice: 'never' }))[0]?.response.differences.map(({ path }) => path), ['response.body.$.token']);
    const named = await replayed([token('a', 0)], {}, 'name');
    assert.deepEqual([verdicts(named), named[0]?.response.differences.map(({ path }) => path), named[0]?.flaky], [['a different'], ['response.body.$.name'], undefined]);
    assert.deepEqual((await replayed([token('a', 0)], {}, 'status'))[0]?.response.differences.map(({ path }) => path), ['response.status']);
  });

  it('leaves out what the user declares, and nothing else', async () => {
    const noise = new NoiseRules([{ path: 'response.body.$.token', pattern: '^[0-9a-f]{32}$' }]);
    assert.deepEqual(verdicts(await replayed([token('a', 0)], { noise, twice: 'never' })), ['a same']);
    assert.deepEqual(verdicts(await replayed([token('a', 0)], { noise, twice: 'never' }, 'name')), ['a different']);
  });

  describe('by the command line', () => {
    const folder = mkdtempSync(join(tmpdir(), 'koala-noise-'));
    const [recording, rules] = [join(folder, 'sessions.jsonl'), join(folder, 'noise.json')];
    after(() => { rmSync(folder, { recursive: true }); });

    const koala = (args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<{ status: number | null; stdout: string; stderr: string }> => new Promise((resolve) => {
      const child = spawn(KOALA, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
      const heard = { stdout: '', stderr: '' };
      for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (text: Buffer) => { heard[name] += text.toString(); });
      child.on('close', (status) => { resolve({ status, ...heard }); });
    });

    it('noise is learnt from the build that was recorded, reviewed as a file, and taken by later runs', async () => {
      writeFileSync(recording, [token('a', 0), order('b', 2, 1)].map((one) => `${JSON.stringify(sessionJson(one))}\n`).join(''));
      const learnt = await koala(['noise', 'learn', recording, '--out', rules, '--', ...COMMAND]);
      assert.equal(learnt.status, 0, learnt.stderr);
      assert.deepEqual(JSON.parse(readFileSync(rules, 'utf8')), {
        format: 'koala-bpf/noise@1', rules: [{ path: 'response.body.$.token', of: 'GET /token', values: true, seen: 1, why: 'another value each time' }],
      });
      const strict = await koala(['replay', recording, '--strict', '--noise', rules, '--', ...COMMAND]);
      assert.equal(strict.status, 0, strict.stdout + strict.stderr);
      assert.match(strict.stdout, /left out\n.*response\.body\.\$\.token \(ignored at response\.body\.\$\.token\)/);
      assert.equal((await koala(['replay', recording, '--strict', '--', ...COMMAND])).status, 1);
      const changed = await koala(['replay', recording, '--noise', rules, '--', ...COMMAND], { CHANGE: 'name' });
      assert.equal(changed.status, 1);
      assert.match(changed.stdout, /by endpoint\n {2}1 of 1 {2}GET \/token\n\nby cause\n {2}1 session {2}response\.body\.\$\.name changed/);
    });

    it('paths are ignored, calls explained, and mistakes said', async () => {
      writeFileSync(recording, [token('a', 0), order('b', 2, 1)].map((one) => `${JSON.stringify(sessionJson(one))}\n`).join(''));
      const ignored = await koala(['replay', recording, '--strict', '--ignore', 'response.body.$..token', '--explain', '--', ...COMMAND]);
      assert.equal(ignored.status, 0, ignored.stdout);
      assert.match(ignored.stdout, /drift: the same but for values that the service makes itself\n.*calls\[0\]\.request\.body\.\$\.id is made by the service: uuid/);
      for (const [args, message] of [[['--ignore', 'a b'], /"a b" is no path/], [['--noise', '/no/such'], /Cannot read \/no\/such/], [['--warm-up', 'zz'], /No session zz/], [['--match', 'most'], /match/]] as const) {
        const { status, stderr } = await koala(['replay', recording, ...args, '--', ...COMMAND]);
        assert.equal(status, 2, stderr);
        assert.match(stderr, message);
      }
      assert.match((await koala(['replay', recording, '--', ...COMMAND], { KOALA_REPLAYING_MATCH_STRATEGY: 'most' })).stderr, /KOALA_REPLAYING_MATCH_STRATEGY: "most"/);
    });
  });
});
