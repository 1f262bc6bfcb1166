import assert from 'node:assert/strict';
import { coarseDemands, exactDemands } from '../../../src/replay/demands.ts';
import { Schedule, SEVERAL, type Entry } from '../../../src/replay/schedule.ts';
import { protocolNamed } from '../../../src/protocols/index.ts';
import { call, get, ok, session } from './build.ts';

interface Facts {
  readonly line?: string;
  readonly alone?: boolean;
  readonly exact?: Readonly<Record<string, string>>;
  readonly coarse?: Readonly<Record<string, string>>;
}

class Turn implements Entry {
  readonly name: string;
  readonly line: string;
  readonly alone: boolean;
  readonly #facts: Facts;

  constructor(name: string, facts: Facts = {}) {
    this.name = name;
    this.line = facts.line ?? name;
    this.alone = facts.alone ?? false;
    this.#facts = facts;
  }

  demands(coarse: boolean): ReadonlyMap<string, string> {
    return new Map(Object.entries((coarse ? this.#facts.coarse : this.#facts.exact) ?? {}));
  }
}

function scheduleOf(turns: readonly Turn[], concurrency = 8, lookAhead = 4): Schedule<Turn> {
  const schedule = new Schedule<Turn>({ concurrency, settling: 2, lookAhead });
  for (const turn of turns) schedule.add(turn);
  return schedule;
}

function begun(schedule: Schedule<Turn>, trusted = false, coarse = false): string {
  const names: string[] = [];
  for (let turn = schedule.next(trusted, coarse); turn !== undefined; turn = schedule.next(trusted, coarse)) names.push(turn.name);
  return names.join(' ');
}

describe('the schedule of sessions', () => {
  it('begins as many at a time as it may, in their order, and the next when one has its answer', () => {
    const turns = ['a', 'b', 'c'].map((name) => new Turn(name));
    const schedule = scheduleOf(turns, 2);
    assert.equal(begun(schedule), 'a b');
    schedule.answered(turns[1] as Turn);
    assert.equal(begun(schedule), 'c');
    assert.equal(schedule.serialised, 0);
  });

  it('knows of a client connection whether one of its sessions is still to begin', () => {
    const turns = [new Turn('a', { line: 'x' }), new Turn('b', { line: 'y' }), new Turn('c', { line: 'x' })];
    const schedule = scheduleOf(turns, 2);
    assert.equal(begun(schedule), 'a b');
    assert.deepEqual(['x', 'y', 'z'].map((line) => schedule.goesOn(line)), [true, false, false]);
    schedule.answered(turns[0] as Turn);
    assert.equal(begun(schedule), 'c');
    assert.equal(schedule.goesOn('x'), false);
  });

  it('lets only so many settle', () => {
    const turns = ['a', 'b', 'c', 'd'].map((name) => new Turn(name));
    const schedule = scheduleOf(turns, 1);
    for (const turn of turns.slice(0, 3)) {
      begun(schedule);
      schedule.answered(turn);
    }
    assert.equal(begun(schedule), '');
    schedule.done(turns[0] as Turn);
    assert.equal(begun(schedule), 'd');
  });

  it('never plays two at once that make the same call and were answered differently, unless ties are trusted', () => {
    const turns = [new Turn('a', { exact: { counter: '1' } }), new Turn('b', { exact: { counter: '2' } }), new Turn('c', { exact: { other: '1' } })];
    const schedule = scheduleOf(turns);
    assert.equal(begun(schedule), 'a c');
    schedule.answered(turns[0] as Turn);
    assert.equal(begun(schedule), '', 'its calls are answered from until it is done');
    schedule.done(turns[0] as Turn);
    assert.equal(begun(schedule), 'b');
    assert.equal(schedule.serialised, 1);
    assert.equal(begun(scheduleOf(turns), true), 'a b c');
  });

  it('plays two at once that make the same call and were answered alike, but not where one was answered in several ways', () => {
    const same = [new Turn('a', { exact: { price: '1' } }), new Turn('b', { exact: { price: '1' } })];
    assert.equal(begun(scheduleOf(same)), 'a b');
    const several = [new Turn('a', { exact: { price: SEVERAL } }), new Turn('b', { exact: { price: SEVERAL } })];
    assert.equal(begun(scheduleOf(several)), 'a');
  });

  it('counts as equal what only may be, once it was found to matter, also of those in play', () => {
    const turns = ['1', '2', '3'].map((n) => new Turn(n, { exact: { [n]: n }, coarse: { counter: n } }));
    const schedule = scheduleOf(turns, 2);
    assert.equal(begun(schedule), '1 2');
    schedule.done(turns[1] as Turn);
    assert.equal(begun(schedule, false, true), '');
    schedule.done(turns[0] as Turn);
    assert.equal(begun(schedule, false, true), '3');
  });

  it('keeps the order of one client connection, and lets others pass meanwhile', () => {
    const turns = [new Turn('a1', { line: 'a' }), new Turn('a2', { line: 'a' }), new Turn('a3', { line: 'a' }), new Turn('b1')];
    const schedule = scheduleOf(turns);
    assert.equal(begun(schedule), 'a1 b1');
    schedule.answered(turns[0] as Turn);
    assert.equal(begun(schedule), 'a2');
    assert.equal(schedule.serialised, 0, 'a client that waits for its answer is nobody\'s doing');
  });

  it('plays alone what must be alone, and lets nothing pass it once it is first', () => {
    const turns = [new Turn('a', { exact: { counter: '1' } }), new Turn('b', { exact: { counter: '2' } }), new Turn('fault', { alone: true }), new Turn('d')];
    const [a, b, fault, d] = turns as [Turn, Turn, Turn, Turn];
    const schedule = scheduleOf(turns);
    assert.equal(begun(schedule), 'a d', 'b is first');
    schedule.done(a);
    assert.equal(begun(schedule), 'b');
    schedule.add(new Turn('e'));
    assert.equal(begun(schedule), '', 'now it is first');
    schedule.done(b);
    schedule.done(d);
    assert.equal(begun(schedule), 'fault');
    schedule.done(fault);
    assert.equal(begun(schedule), 'e');
    const busy = scheduleOf([new Turn('fault', { alone: true }), new Turn('b')]);
    assert.equal(begun(busy), 'fault');
  });

  it('does not let one wait for ever', () => {
    const first = new Turn('first', { exact: { counter: '1' } });
    const held = new Turn('held', { exact: { counter: '2' } });
    const schedule = scheduleOf([first, held, ...Array.from({ length: 20 }, (_, n) => new Turn(`${n}`))], 50, 4);
    assert.equal(begun(schedule), 'first 0 1 2 3', 'no more than lookAhead overtake it');
  });

  it('plays first what is added as first', () => {
    const schedule = scheduleOf([new Turn('a'), new Turn('b')], 1);
    assert.equal(schedule.next(false, false)?.name, 'a');
    schedule.add(new Turn('again'), true);
    schedule.done(schedule.next(false, false) ?? new Turn(''));
    assert.equal(schedule.waiting, 2);
  });
});

describe('what a session demands', () => {
  const to = '10.0.0.5:80';
  const of = (...calls: [string, string][]) => session({
    request: get('/'), response: ok('x'), calls: calls.map(([request, response]) => call({ to, protocol: 'http', request, response })),
  });

  it('is the same for the same bytes, and has one answer, or several', () => {
    const [key] = [...exactDemands(of([get('/a'), '1'])).keys()];
    assert.deepEqual([...exactDemands(of([get('/a'), '2'], [get('/b'), '1'])).keys()][0], key);
    assert.notEqual(exactDemands(of([get('/a'), '1'])).get(key ?? ''), exactDemands(of([get('/a'), '2'])).get(key ?? ''));
    assert.equal(exactDemands(of([get('/a'), '1'], [get('/a'), '2'])).get(key ?? ''), SEVERAL);
  });

  it('is, coarsely, the same where headers or the query differ', () => {
    const keys = (request: string): string[] => [...coarseDemands(of([request, '1']), protocolNamed).keys()];
    assert.deepEqual(keys(get('/a?x=1', 'one')), keys(get('/a?x=2', 'other')));
    assert.notDeepEqual(keys(get('/a')), keys(get('/b')));
  });

  it('leaves out what never connected', () => {
    const refused = session({ request: get('/'), response: ok('x'), calls: [call({ to, end: { kind: 'refused', by: 'remote' } })] });
    assert.equal(exactDemands(refused).size, 0);
  });
});
