import assert from 'node:assert/strict';
import pc from 'picocolors';
import { endpointOf } from '../../../src/replay/endpoint.ts';
import type { Replayed } from '../../../src/replay/replayed.ts';
import { Tally } from '../../../src/report/tally.ts';
import { sessionLines } from '../../../src/report/replay.ts';
import { valueDiff } from '../../../src/report/value-diff.ts';

const plain = pc.createColors(false);
const base = (session: string, summary: string): Replayed => ({
  event: 'session', session, summary, verdict: 'same', durationMs: 1, ignored: 0, noise: [], response: { verdict: 'same', differences: [] }, calls: [],
});

describe('the summary of a run', () => {
  it('counts by endpoint and by cause, whatever the ids and indexes', () => {
    const tally = new Tally();
    const differing = (session: string, n: number): Replayed => ({
      ...base(session, `GET /orders/${n}?full=1`), verdict: 'different', ignored: 2, noise: [{ path: `response.body.$.items[${n}].at`, rule: '--ignore x' }, { path: 'response.headers.date', rule: 'as asked: a string' }],
      response: { verdict: 'different', differences: [{ path: `response.body.$.items[${n}].price`, recorded: 1, live: 2, kind: 'changed' }] },
      calls: [{ verdict: 'missing', destination: '10.0.0.5:80', summary: `GET /stock/${n}`, recorded: 0, differences: [] }, { verdict: 'state', destination: 'x', summary: 'y', differences: [] }],
    });
    tally.add(differing('a', 1));
    tally.add(differing('b', 2));
    tally.add(base('c', 'GET /orders/3'));
    tally.add(base('d', 'POST /login'));
    const text = tally.lines(plain).join('\n');
    assert.match(text, /by endpoint\n {2}2 of 3 {2}GET \/orders\/\*\n/);
    assert.match(text, /2 sessions {2}response\.body\.\$\.items\[\*\]\.price changed/);
    assert.match(text, /2 sessions {2}call GET \/stock\/\* to 10\.0\.0\.5:80: not made/);
    assert.match(text, /left out\n {2}2 × response\.body\.\$\.items\[\*\]\.at \(--ignore x\)/);
    assert.deepEqual(tally.counts, { ignored: 4, asked: 2, state: 2, cached: 0, flaky: 0, datagrams: 0 });
  });

  it('calls endpoints by what they have in common', () => {
    assert.deepEqual(['GET /orders/7', 'GET /v1/orders/7/items', 'GET /a?x=1', 'POST /login', 'GET /u/0b9f1f4e-3a55'].map(endpointOf),
      ['GET /orders/*', 'GET /v1/orders/*/items', 'GET /a*', 'POST /login', 'GET /u/*']);
  });
});

describe('a session for people', () => {
  it('shows where two long values part, and never raw bytes', () => {
    const long = 'x'.repeat(500);
    const [one, two] = valueDiff(`${long}old\x1b[31m`, `${long}new\x1b[31m`, plain);
    assert.match(one ?? '', /^- ….*old\\\\u001b|^- ….*old/);
    assert.match(two ?? '', /^\+ ….*new/);
    assert.ok(!`${one}${two}`.includes('\x1b') && (one ?? '').length < 200);
    assert.deepEqual(valueDiff('a b c', 'a x c', pc.createColors(true)).map((line) => line.includes('\x1b[1m')), [true, true]);
  });

  it('explains, where asked, why a call got its answer and which others there were', () => {
    const replayed: Replayed = {
      ...base('a', 'GET /'), verdict: 'different', calls: [
        { verdict: 'same', destination: 'd', summary: 'GET /one', recorded: 0, differences: [], how: 'drift', because: 'the same but for values', drift: [{ path: 'calls[0].request.query.id', kind: 'uuid' }] },
        { verdict: 'new', destination: 'd', summary: 'GET /two', differences: [], how: 'none', because: 'no recorded call that is left is like it', candidates: [{ recorded: 4, summary: 'GET /three', score: 0.512, used: true }] },
      ],
    };
    const short = sessionLines(replayed, plain).join('\n');
    assert.match(short, /none: no recorded call that is left is like it/);
    assert.doesNotMatch(short, /GET \/one|candidate/);
    const explained = sessionLines(replayed, plain, { explain: true }).join('\n');
    assert.match(explained, /GET \/one to d: same\n.*drift: the same but for values\n.*calls\[0\]\.request\.query\.id is made by the service: uuid/);
    assert.match(explained, /candidate 4: 51% alike, answered another call: GET \/three/);
  });
});
