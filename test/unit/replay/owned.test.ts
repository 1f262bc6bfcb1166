import assert from 'node:assert/strict';
import { owned } from '../../../src/replay/owned.ts';
import { sessionJson } from '../../../src/sessions/json.ts';
import { call, chunk, get, ok, prologue, session } from './build.ts';

describe('a session whose bytes are its own', () => {
  it('says the same, holes too, in one buffer that holds nothing else', () => {
    const gap = { atUs: 0, tid: 1, gap: 7, cause: 'ring-full' } as const;
    const made = session({ request: get('/'), response: ok('x'.repeat(1_000)), calls: [call({ request: 'a', response: 'b' }), call({ request: 'c' })], prologues: [prologue('10.0.0.5:80', [['C', 'HELLO'], ['S', 'WORLD']])] });
    const before = { ...made, inbound: { ...made.inbound, request: [...made.inbound.request, gap, chunk('more')] } };
    const after = owned(before);
    assert.deepEqual(sessionJson(after), sessionJson(before));
    const parts = [after.inbound, ...after.outbound].flatMap(({ request, response }) => [...request, ...response]).concat(after.prologues.flatMap(({ chunks }) => [...chunks])).flatMap((one) => ('bytes' in one ? one.bytes : []));
    assert.equal(new Set(parts.map(({ buffer }) => buffer)).size, 1);
    assert.equal(parts[0]?.buffer.byteLength, parts.reduce((sum, { length }) => sum + length, 0));
  });
});
