import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Replayed } from '../../../src/replay/replayed.ts';
import type { RunFacts } from '../../../src/replay/options.ts';
import { sessionJson } from '../../../src/sessions/json.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { call, get, ok } from '../../unit/replay/build.ts';
import { KOALA, whyNotRecordable } from '../recorder.ts';
import { cannotReplay, hostState, planned, play, PORT, processesWith, SERVICE, THREADS, type Step } from './stage.ts';
import { skipIf } from '../../skip.ts';

const HTTP = '10.20.30.40:80';
const REDIS = '10.20.30.41:6379';
const COUNT = 200;

interface Page {
  readonly step: Step;
  readonly result: string;
  readonly recorded: ReturnType<typeof call>;
}

function exchange(to: string, protocol: string, send: string, response: string): Page {
  return { step: { to, send, read: response.length, keep: to }, result: response, recorded: call({ to, protocol, request: send, response }) };
}

const page = (path: string, answer: string): Page => exchange(HTTP, 'http', get(path, 'api'), ok(answer));
/** Answers are as long as each other: a service that got another's would not notice. */
const padded = (n: number): string => String(n).padStart(4, '0');

function sessionOf(n: number, pages: readonly Page[]): Session {
  return planned(pages.map(({ step }) => step), pages.map(({ result }) => result), pages.map(({ recorded }) => recorded),
    { id: `s${n}`, client: `10.9.9.9:${20_000 + n}` });
}

const many = (pages: (n: number) => readonly Page[], count = COUNT): Session[] => Array.from({ length: count }, (_, n) => sessionOf(n, pages(n)));

interface Outcome {
  readonly replayed: readonly Replayed[];
  readonly facts: RunFacts;
  readonly notes: readonly string[];
}

async function playMany(sessions: readonly Session[], concurrency: number, command?: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  let facts: RunFacts = { concurrency: 0, tracker: '', serialised: 0, again: 0, untied: 0, background: 0 };
  const { replayed, notes } = await play(sessions, {
    concurrency, startupMs: 30_000, answerMs: 20_000, facts: (told) => { facts = told; }, ...(command === undefined ? {} : { command }),
  }, environment);
  return { replayed, facts, notes };
}

const different = (replayed: readonly Replayed[]): string[] => replayed.filter(({ verdict }) => verdict !== 'same').map(({ session }) => session);
const explain = ({ replayed, facts, notes }: Outcome): string =>
  JSON.stringify([facts, notes, replayed.filter(({ verdict }) => verdict !== 'same').slice(0, 2)]).slice(0, 4_000);

const SERVICES = [
  ['an event loop', undefined],
  ['threads with a pool of three connections', ['python3', THREADS, String(PORT), '12', '3']],
] as const;

describe('replay of several sessions at a time', function () {
  this.timeout(180_000);
  let before = '';

  beforeEach(async function () {
    skipIf(this, cannotReplay() ?? await whyNotRecordable());
    before = hostState();
  });

  afterEach(function () {
    if (this.currentTest?.isPending() === true) return;
    assert.equal(hostState(), before, 'the host is as it was');
    assert.deepEqual([...processesWith(SERVICE), ...processesWith(THREADS)], [], 'no process of the service is left');
  });

  for (const [what, command] of SERVICES) {
    for (const concurrency of [1, 8]) {
      it(`gives ${COUNT} sessions that differ in a query value, a header or a parameter each its own answers: ${what}, ${concurrency} at a time`, async () => {
        const sessions = many((n) => [
          page(`/stock?item=${n}`, `item ${padded(n)}`),
          exchange(HTTP, 'http', get('/whoami', 'api').replace('\r\n\r\n', `\r\nX-Tenant: ${n}\r\n\r\n`), ok(`tenant ${padded(n)}`)),
          exchange(REDIS, 'redis', `GET user:${n}\r\n`, `$4\r\n${padded(n)}\r\n`),
        ]);
        const outcome = await playMany(sessions, concurrency, command);
        assert.deepEqual(different(outcome.replayed), [], explain(outcome));
        assert.equal(outcome.replayed.length, COUNT);
        assert.equal(outcome.facts.concurrency, concurrency, outcome.notes.join());
        assert.equal(outcome.facts.tracker === 'none', concurrency === 1);
      });

      it(`gives the same call, answered differently in each of ${COUNT} sessions, always its own answer: ${what}, ${concurrency} at a time`, async () => {
        const outcome = await playMany(many((n) => [page('/counter', `count ${padded(n)}`)]), concurrency, command);
        assert.deepEqual(different(outcome.replayed), [], explain(outcome));
        assert.equal(outcome.replayed.length, COUNT);
        if (concurrency > 1) assert.ok(outcome.facts.serialised > 0, 'two that can\'t be kept apart are never played at once');
      });
    }
  }

  it('names exactly the session that left out a call which others make too, or made it twice: an event loop, 8 at a time', async () => {
    const sessions = many((n) => [page(`/own/${n}.`, `own ${padded(n)}`), page('/shared', 'shared')], 60);
    const own = 'own/30.';
    for (const [deviate, verdict] of [['skip', 'missing'], ['twice', 'new']] as const) {
      const outcome = await playMany(sessions, 8, undefined, { DEVIATE: deviate, DEVIATE_IF: own });
      assert.deepEqual(different(outcome.replayed), ['s30'], explain(outcome));
      assert.ok(outcome.replayed[30]?.calls.some((one) => one.verdict === verdict), explain(outcome));
    }
  });

  it('names exactly the session that makes a new call after its answer: an event loop and threads, one at a time and 8', async () => {
    const sessions = many((n) => [page(`/own/${n}.`, `own ${padded(n)}`)], 30);
    for (const concurrency of [1, 8]) {
      const outcome = await playMany(sessions, concurrency, undefined, { DEVIATE: 'later', DEVIATE_IF: 'own/12.' });
      assert.deepEqual(different(outcome.replayed), ['s12'], explain(outcome));
      assert.deepEqual(outcome.replayed[12]?.calls.map(({ verdict, destination }) => `${verdict} ${destination}`), [`same ${HTTP}`, 'new 10.99.99.99:9999'], explain(outcome));
    }
  });

  it('plays a refused connection as refused, while others reach the same destination', async () => {
    const refused: Page = { step: { to: HTTP, send: 'x', read: 1 }, result: 'ECONNREFUSED', recorded: call({ to: HTTP, end: { kind: 'refused', by: 'remote' } }) };
    const sessions = many((n) => [n % 5 === 2 ? refused : { ...page(`/a?n=${n}`, padded(n)), step: { to: HTTP, send: get(`/a?n=${n}`, 'api'), read: ok('0000').length } }], 20);
    const outcome = await playMany(sessions, 8);
    assert.deepEqual(different(outcome.replayed), [], explain(outcome));
  });

  it('keeps the order of the sessions of one client connection', async () => {
    const sessions = Array.from({ length: 40 }, (_, n) => {
      const one = sessionOf(n, [page('/next', `number ${padded(n)}`)]);
      return { ...one, inbound: { ...one.inbound, connection: { ...one.inbound.connection, id: 'c', remote: '10.9.9.9:20000' } } };
    });
    const outcome = await playMany(sessions, 8);
    assert.deepEqual(different(outcome.replayed), [], explain(outcome));
    assert.equal(outcome.facts.serialised, 0);
  });

  it('answers on 1,000 connections that are open at the same time', async () => {
    const step: Step = { to: HTTP, send: get('/many/#.', 'api'), read: ok('0000').length, repeat: 1_000, timeoutMs: 20_000 };
    const pages = Array.from({ length: 1_000 }, (_, n) => page(`/many/${n}.`, padded(n)));
    const one = planned([step], pages.map(({ result }) => result), pages.map(({ recorded }) => recorded), { id: 'many' });
    const outcome = await playMany([one, sessionOf(1, [page('/a', 'a')])], 2);
    assert.deepEqual(different(outcome.replayed), [], explain(outcome));
  });

  it('leaves nothing behind when it is killed in the midst of it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'koala-replay-'));
    try {
      const path = join(folder, 'sessions.jsonl');
      writeFileSync(path, many((n) => [page(`/a?n=${n}`, padded(n))], 2_000).map((one) => JSON.stringify(sessionJson(one))).join('\n'));
      const child = spawn(KOALA, ['replay', path, '--concurrency', '8', '--', process.execPath, SERVICE, String(PORT)], { stdio: ['ignore', 'pipe', 'ignore'] });
      await new Promise((resolve) => { child.stdout.once('data', resolve); });
      assert.notDeepEqual(processesWith(SERVICE), []);
      child.kill('SIGKILL');
      for (let look = 0; look < 500 && processesWith(SERVICE).length > 0; look += 1) await sleep(20);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
