import assert from 'node:assert/strict';
import { passes } from '../../../src/store/session-filter.ts';
import { get, ok, session } from '../replay/build.ts';

describe('a session passes a filter', () => {
  const one = { ...session({ request: get('/orders/7'), response: ok('x'), calls: [] }), startedAtUs: 5_000_000 };
  const open = { ...one, certificate: { ...one.certificate, state: 'open' as const } };

  it('by when it began: at or after the first moment, before the last', () => {
    assert.deepEqual([{ sinceUs: 5_000_000 }, { sinceUs: 5_000_001 }, { untilUs: 5_000_000 }, { untilUs: 5_000_001 }].map((filter) => passes(one, filter)), [true, false, false, true]);
  });

  it('by its process, its summary whatever the case, its status and its state', () => {
    const { tgid } = one.process;
    const yes = [{ tgid }, { grep: 'get /ORDERS' }, { status: '200' }, { status: '2xx' }, { incomplete: false }, {}];
    const no = [{ tgid: tgid + 1 }, { grep: 'orders/8' }, { status: '5xx' }, { status: '20' }, { incomplete: true }];
    assert.deepEqual(yes.map((filter) => passes(one, filter)), yes.map(() => true));
    assert.deepEqual(no.map((filter) => passes(one, filter)), no.map(() => false));
    assert.equal(passes(open, { incomplete: true }), true);
  });
});
