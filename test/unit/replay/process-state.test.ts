import assert from 'node:assert/strict';
import { equalByProtocol, similarity } from '../../../src/compare/index.ts';
import { CallBook } from '../../../src/replay/calls.ts';
import { ProcessState } from '../../../src/replay/process-state.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { bytes, call, get, ok, session } from './build.ts';

const to = '10.0.0.5:80';
const price = get('/price/7', 'api');
const request = { destination: to, protocol: 'http', request: bytes(price) };

/** A session that began `atS` seconds into the recording, and asked for the price, or not. */
function recorded(id: string, atS: number, asks: boolean, { answer = '7', tgid = 1 }: { answer?: string; tgid?: number } = {}): Session {
  const base = session({ id, request: get('/order'), response: ok('done'), calls: asks ? [call({ to, protocol: 'http', request: price, response: ok(answer), atMs: atS * 1_000 })] : [] });
  return { ...base, startedAtUs: base.startedAtUs + atS * 1_000_000, process: { ...base.process, tgid } };
}
const bookOf = (one: Session): CallBook => new CallBook(one, { equal: equalByProtocol, similarity });

function stateOf(sessions: readonly Session[]): { state: ProcessState; books: CallBook[] } {
  const state = new ProcessState();
  const books = sessions.map(bookOf);
  for (const book of books) state.learn(book.session);
  return { state, books };
}

describe('what the process keeps between sessions', () => {
  it('answers a call that the session lacks as the latest equal one before it did', () => {
    const sessions = [recorded('a', 0, true, { answer: 'old' }), recorded('b', 70, true, { answer: 'new' }), recorded('c', 80, false), recorded('d', 90, true, { answer: 'later' })];
    const { state } = stateOf(sessions);
    const found = state.answerFor(sessions[2]!, request, 1_000);
    assert.deepEqual([found?.session, found?.agoMs, Buffer.from(found?.call.response ?? []).toString()], ['b', 10_000, ok('new')]);
  });

  it('keeps nothing of what changes something at the other side', () => {
    for (const [text, protocol, kept] of [['PUT /price/7 HTTP/1.1\r\n\r\n', 'http', false], ['POST /token HTTP/1.1\r\n\r\n', 'http', true],
      ['*2\r\n$4\r\nINCR\r\n$1\r\na\r\n', 'redis', false], ['*2\r\n$3\r\nGET\r\n$1\r\na\r\n', 'redis', true]] as const) {
      const one = session({ id: 'a', request: get('/order'), response: ok('1'), calls: [call({ to, protocol, request: text, response: 'x' })] });
      const later = { ...recorded('b', 5, false) };
      const { state } = stateOf([one, later]);
      assert.equal(state.answerFor(later, { destination: to, protocol, request: bytes(text) }, 0) !== undefined, kept, text);
      state.answered('a', bookOf(one).calls[0]!, 0);
      assert.equal(state.keptFor(later, bookOf(one).calls[0]!, 5, 10) !== undefined, kept, text);
    }
  });

  it('answers nothing that no other session had asked before, nor what is not equal', () => {
    const sessions = [recorded('a', 0, false), recorded('b', 10, true)];
    const { state } = stateOf(sessions);
    assert.equal(state.answerFor(sessions[0]!, request, 0), undefined, 'only later');
    assert.equal(state.answerFor(sessions[1]!, request, 0), undefined, 'only itself');
    assert.equal(state.answerFor(sessions[1]!, { ...request, request: bytes(get('/price/8', 'api')) }, 0), undefined);
  });

  it('does not take a call for cold that the recording shows to be made anew each time', () => {
    const sessions = [0, 1, 2, 3].map((at) => recorded(`s${at}`, at, true));
    const later = recorded('later', 9, false);
    assert.equal(stateOf([...sessions, later]).state.answerFor(later, request, 0), undefined);
    const often = [0, 60, 120, 180].map((at) => recorded(`s${at}`, at, true));
    assert.ok(stateOf([...often, recorded('later', 200, false)]).state.answerFor(recorded('later', 200, false), request, 0));
  });

  it('does not take a call for cold that this run made less long ago than it was kept when recorded, as often as there are processes', () => {
    for (const [tgid, allowed] of [[1, 1], [2, 2]] as const) {
      const sessions = [recorded('a', 0, true), recorded('b', 30, false, { tgid })];
      const { state, books } = stateOf(sessions);
      const answers = Array.from({ length: 3 }, (_, n) => {
        const found = state.answerFor(sessions[1]!, request, n * 1_000);
        if (found !== undefined) state.answered('b', books[0]!.calls[0]!, n * 1_000);
        return found !== undefined;
      });
      assert.deepEqual(answers, [true, true, true].map((_, n) => n < allowed));
      assert.ok(state.answerFor(sessions[1]!, request, 40_000), 'after that long it may have been forgotten');
    }
  });

  it('does not take a call for cold that its endpoint never makes, and another one always', () => {
    const asks = (id: string, path: string, atS: number, ...calls: string[]): Session => ({
      ...recorded(id, atS, false),
      ...session({ id, request: get(path), response: ok('1'), calls: calls.map((text) => call({ to, protocol: 'http', request: get(text, 'api'), response: ok(text), atMs: atS * 1_000 })) }),
      startedAtUs: recorded(id, atS, false).startedAtUs,
    });
    const found = (sessions: readonly Session[], text: string): boolean => stateOf(sessions).state.answerFor(sessions.at(-1)!, { ...request, request: bytes(get(text, 'api')) }, 0) !== undefined;
    const [always, never] = [asks('a', '/price/1', 0, '/price/7'), asks('z', '/order', 9)];
    assert.equal(found([always, never], '/price/7'), false, 'a query that the build adds');
    assert.equal(found([always, asks('b', '/price/2', 5), never], '/price/7'), true, 'the endpoint that makes it does not always');
    assert.equal(found([always, asks('b', '/order', 5, '/price/8'), never], '/price/7'), true, 'another session of its endpoint made such a call');
    assert.equal(found([always, asks('b', '/order', 5, '/price/8'), asks('z', '/order', 9, '/price/9')], '/price/7'), false, 'all of its endpoint make one, and now it makes two');
  });

  it('does not miss a call whose answer another session of this run got, but does where nobody asked', () => {
    const { state, books } = stateOf([recorded('a', 0, true), recorded('b', 70, true)]);
    const [first, second] = books.map(({ calls }) => calls[0]!);
    assert.equal(state.keptFor(books[1]!.session, second!, 0, 100), undefined, 'dropped: nobody asked in this run');
    state.answered('a', first!, 100);
    assert.deepEqual(state.keptFor(books[1]!.session, second!, 150, 200), { session: 'a', agoMs: 100 });
    assert.equal(state.keptFor(books[1]!.session, second!, 150, 70_200), undefined, 'longer ago than it was ever kept');
  });

  it('misses it where the recorded answers differ: what was kept is not what it would have got', () => {
    const { state, books } = stateOf([recorded('a', 0, true, { answer: '7' }), recorded('b', 70, true, { answer: '8' })]);
    state.answered('a', books[0]!.calls[0]!, 100);
    assert.equal(state.keptFor(books[1]!.session, books[1]!.calls[0]!, 150, 200), undefined);
  });

  it('misses it where this run shows that nothing keeps it: it was made again sooner', () => {
    const { state, books } = stateOf([recorded('a', 0, true), recorded('b', 70, true), recorded('c', 140, true)]);
    state.answered('a', books[0]!.calls[0]!, 0);
    state.answered('b', books[1]!.calls[0]!, 10);
    assert.equal(state.keptFor(books[2]!.session, books[2]!.calls[0]!, 15, 20), undefined);
  });

  it('does not count what the session itself fetches now, but what it fetched when it was played before', () => {
    const { state, books } = stateOf([recorded('a', 0, true)]);
    state.answered('a', books[0]!.calls[0]!, 100);
    assert.equal(state.keptFor(books[0]!.session, books[0]!.calls[0]!, 90, 110), undefined);
    assert.ok(state.keptFor(books[0]!.session, books[0]!.calls[0]!, 1_000, 1_010));
  });
});
