import assert from 'node:assert/strict';
import { byCertainty, percent, score, type Truth } from './score.ts';
import type { AmbientJson, OutboundJson, SessionJson, TalkJson } from './contract.ts';

const A = 'rid-aaaaaaaaaa';
const B = 'rid-bbbbbbbbbb';
const REDIS = '127.0.0.1:6000';

function talk(request: string, response = '', connection = '1'): TalkJson {
  return {
    connection: { id: connection, local: '127.0.0.1:9', remote: REDIS, protocol: 'redis' },
    request: [{ atUs: 0, tid: 1, text: request.slice(0, 7) }, { atUs: 0, tid: 1, base64: Buffer.from(request.slice(7)).toString('base64') }],
    response: [{ atUs: 1, tid: 1, text: response }],
  };
}

const call = (request: string, how: Partial<OutboundJson> = {}, connection = '1', response = ''): OutboundJson =>
  ({ ...talk(request, response, connection), attribution: 'thread', certainty: 'proven', ...how });
const ambient = (request: string, connection = '1'): AmbientJson => ({ ...talk(request, '', connection), ambient: true, tgid: 1 });

function session(rid: string, outbound: OutboundJson[]): SessionJson {
  return {
    format: 'koala-bpf/session@1', startedAt: '2026-01-01T00:00:00.000000Z', durationMs: 0, id: `session of ${rid}`, process: { tgid: 1, command: 'x' }, inbound: talk(`GET /${rid} HTTP/1.1`),
    outbound, ties: { proven: 0, likely: 0, unknown: 0 }, prologues: [], certificate: { state: 'complete', lost: [], unseen: [] },
  };
}

const truth = (calls: Record<string, number>): Truth[] => [{ kind: 'redis', destinations: [REDIS], calls: new Map(Object.entries(calls)) }];

describe('the scorer of attribution', () => {
  it('counts a call in the session of its own id as right, though its id is split over two chunks', () => {
    const result = score([session(A, [call(`GET ${A}`)])], [], truth({ [A]: 1 }));
    assert.deepEqual({ right: result.right, wrong: result.wrong, lost: result.lost, calls: result.calls }, { right: 1, wrong: 0, lost: 0, calls: 1 });
    assert.deepEqual(result.rows, [{ certainty: 'proven', attribution: 'thread', right: 1, wrong: 0 }]);
  });

  it('counts a call in the session of another id as wrong, under the certainty that it claimed', () => {
    const result = score([session(A, [call(`GET ${B}`, { certainty: 'likely', attribution: 'continuation' })])], [], truth({ [B]: 1 }));
    assert.equal(result.wrong, 1);
    assert.deepEqual(byCertainty(result, 'likely'), { right: 0, wrong: 1 });
    assert.deepEqual(byCertainty(result, 'proven'), { right: 0, wrong: 0 });
    assert.match(result.examples.join('\n'), /tied to rid-aaaaaaaaaa/);
  });

  it('counts an ambient call as unattributed and not as lost', () => {
    const result = score([session(A, [])], [ambient(`GET ${A}`)], truth({ [A]: 1 }));
    assert.deepEqual([result.unattributed, result.lost, result.right], [1, 0, 0]);
  });

  it('sees a call that the dependency answered and the recording lacks', () => {
    assert.equal(score([session(A, [call(`GET ${A}`)])], [], truth({ [A]: 2 })).lost, 1);
  });

  it('sees a call that the recording tells twice, or that the dependency never got', () => {
    assert.equal(score([session(A, [call(`GET ${A}`), call(`GET ${A}`)])], [], truth({ [A]: 1 })).surplus, 1);
    assert.equal(score([session(A, [call(`GET ${A}`)])], [], truth({})).surplus, 1);
  });

  it('calls a talk crossed when it holds two ids in its request, or another one in its response', () => {
    assert.equal(score([session(A, [call(`GET ${A} ${B}`)])], [], truth({ [A]: 1 })).crossed, 1);
    assert.equal(score([session(A, [call(`GET ${A}`, {}, '1', `answer for ${B}`)])], [], truth({ [A]: 1 })).crossed, 1);
    assert.equal(score([session(A, [call(`GET ${A}`, {}, '1', `answer for ${A}`)])], [], truth({ [A]: 1 })).crossed, 0);
  });

  it('judges a call without an id by its connection, where that served one request only', () => {
    const result = score([session(A, [call(`GET ${A}`), call('QUIT')]), session(B, [call(`GET ${B}`, {}, '2'), call('QUIT')])], [ambient('QUIT', '2'), ambient('QUIT', '3')],
      truth({ [A]: 1, [B]: 1 }));
    assert.deepEqual(result.silent, { right: 1, wrong: 1, unattributed: 1, unknown: 1 });
  });

  it('holds a call of no request to be right outside the sessions and wrong in any', () => {
    const result = score([session(A, [call(`GET ${B}`)])], [ambient(`GET ${B}`)], truth({}), [B]);
    assert.deepEqual(result.background, { ambient: 1, tied: 1 });
    assert.deepEqual(byCertainty(result, 'proven'), { right: 0, wrong: 1 });
    assert.deepEqual([result.surplus, result.wrong, result.unattributed], [0, 0, 0]);
  });

  it('leaves calls to other destinations alone', () => {
    const elsewhere = call(`GET ${B}`);
    const result = score([session(A, [{ ...elsewhere, connection: { ...elsewhere.connection, remote: '127.0.0.1:1' } }])], [], truth({}));
    assert.deepEqual([result.wrong, result.surplus], [0, 0]);
  });

  it('never rounds a percentage up', () => {
    assert.equal(percent(99_999, 100_000), '99.99%');
    assert.equal(percent(3, 3), '100.00%');
    assert.equal(percent(0, 0), '–');
  });
});
