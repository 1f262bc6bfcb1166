import assert from 'node:assert/strict';
import { failedCalls, failedLater, faultsOf, type Fault } from '../../../src/replay/faults.ts';
import { judge } from '../../../src/replay/verdict.ts';
import { bytes, call, get, ok, session } from './build.ts';

const to = '10.0.0.9:1000';
const refused = call({ to, end: { kind: 'refused', by: 'remote', errno: 111 } });
const reached = call({ to, request: 'x', response: 'y' });
const of = (...calls: ReturnType<typeof call>[]) => session({ request: get('/'), response: ok('1'), calls });
const fault = (more: Partial<Fault> = {}): Fault => ({ destination: to, indexes: [0, 1], kind: 'refused', reached: false, ...more });

describe('a connect that failed when it was recorded', () => {
  it('fails so often as it did before the destination was reached', () => {
    assert.deepEqual(faultsOf(of(refused, refused)), [fault()]);
    assert.deepEqual(faultsOf(of(refused, refused, reached)), [fault({ reached: true })]);
    assert.deepEqual(faultsOf(of(reached, refused)), []);
    assert.deepEqual(faultsOf(of(call({ to: '10.0.0.9:1001', request: 'x' }), refused)), [fault({ indexes: [1] })]);
  });

  it('can\'t be played after it was reached', () => {
    assert.equal(failedLater(of(refused, reached, refused)), to);
    assert.equal(failedLater(of(refused, refused, reached)), undefined);
  });

  const verdicts = (attempts: number, one = fault(), mayRepeat = false): string[] => {
    const recorded = of(refused, refused, ...(one.reached ? [reached] : []));
    const calls = [
      ...failedCalls([{ fault: one, attempts }], () => mayRepeat),
      ...(one.reached ? [{ destination: to, protocol: 'unknown', request: bytes('x'), how: 'exact' as const, recorded: 2, beganMs: 1, endedMs: 2 }] : []),
    ];
    return judge(recorded, { session: recorded.id, response: bytes(ok('1')), responseEnd: 'message', calls, durationMs: 1 }, { threshold: 0.7 })
      .calls.map(({ verdict, summary }) => `${verdict} ${summary.slice(0, 17)}`);
  };

  it('is missing for each recorded attempt that no live one was made for', () => {
    assert.deepEqual(verdicts(2), ['same connect (refused)', 'same connect (refused)']);
    assert.deepEqual(verdicts(1), ['same connect (refused)', 'missing connect (refused)']);
    assert.deepEqual(verdicts(0), ['missing connect (refused)', 'missing connect (refused)']);
    assert.deepEqual(verdicts(1, fault({ reached: true })), ['same connect (refused)', 'same x (1 byte)', 'missing connect (refused)']);
  });

  it('is new where more attempts were made, but for a service that tries by itself and for what counts packets', () => {
    assert.deepEqual(verdicts(3), ['same connect (refused)', 'same connect (refused)', 'new connect']);
    assert.deepEqual(verdicts(3, fault(), true), ['same connect (refused)', 'same connect (refused)']);
    assert.deepEqual(verdicts(3, fault({ kind: 'unreachable' })), ['same connect (refused)', 'same connect (refused)']);
  });
});
