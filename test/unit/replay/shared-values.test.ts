import assert from 'node:assert/strict';
import { SharedValues } from '../../../src/replay/shared-values.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { call, get, session } from './build.ts';

const tokenOf = (n: number): string => `fa7b${n.toString(16).padStart(28, '0')}`;
const CONFIGURED = 'abcdef0123456789abcdef0123456789';

function sessionOf(n: number, more = '', response = ''): Session {
  return session({ id: `s${n}`, request: get('/'), response: '', calls: [call({ protocol: 'http', request: get(`/items?own=${tokenOf(n)}&x=${more}`), response })] });
}

describe('the values that several sessions share', () => {
  it('are those that stand in the calls of two sessions, however often one makes them', () => {
    const shared = new SharedValues();
    for (const n of [1, 2, 2]) shared.learn(sessionOf(n, CONFIGURED));
    assert.equal(shared.isShared(CONFIGURED), true);
    assert.equal(shared.isShared(tokenOf(2)), false);
    shared.learn(sessionOf(3, tokenOf(2)));
    assert.equal(shared.isShared(tokenOf(2)), true, 'also where somebody has asked before');
  });

  it('are found among the latest of many sessions, the others are let go', () => {
    const shared = new SharedValues();
    for (let n = 0; n < 3_000; n += 1) shared.learn(sessionOf(n, CONFIGURED));
    shared.learn(sessionOf(3_000, tokenOf(0)));
    assert.equal(shared.isShared(CONFIGURED), true);
    assert.equal(shared.isShared(tokenOf(0)), false, 'the first one was let go');
  });

  it('are looked for in no more than some of what large sessions hold', () => {
    const shared = new SharedValues();
    const large = 'x'.repeat(20 << 20);
    shared.learn(sessionOf(0, CONFIGURED, large));
    shared.learn(sessionOf(1, CONFIGURED, large));
    assert.equal(shared.isShared(CONFIGURED), false);
    shared.learn(sessionOf(2, CONFIGURED, large));
    assert.equal(shared.isShared(CONFIGURED), true, 'what was read is known');
  });
});
