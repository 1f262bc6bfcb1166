import assert from 'node:assert/strict';
import type { Paint } from '../../../src/report/conversation.ts';
import { explain, explainUntied, mayBeOf } from '../../../src/report/explanation.ts';
import type { Explanation } from '../../../src/report/explanation.ts';
import { explanationLines } from '../../../src/report/explanation-lines.ts';
import { bytesOf, GET, OK, Scene, textOf } from '../sessions/scene.ts';
import type { Findings } from '../sessions/scene.ts';

const same = (text: string): string => text;
const plain: Paint = { dim: same, bold: same, cyan: same, green: same, yellow: same, red: same };

/** What is said of the session that asked for `path`. */
function explained({ sessions, ambient }: Findings, path = '/1'): Explanation {
  const session = sessions.find((one) => textOf(one.inbound.request).startsWith(`GET ${path} `));
  assert.ok(session !== undefined);
  const name = (id: string): { id: string; summary: string } => {
    const named = sessions.find((one) => one.id === id);
    return { id, summary: named === undefined ? '?' : textOf(named.inbound.request).split(' HTTP')[0] ?? '' };
  };
  const span = { ...session, tgid: session.process.tgid };
  return explain(session, ambient.filter((talk) => mayBeOf(talk, span)).map((talk) => explainUntied(talk, span)), name);
}

const of = (scene: Scene, path?: string): Explanation => explained(scene.derive({ reasons: true }), path);
const linesOf = (explanation: Explanation): string[] => [...explanationLines(explanation, Date.parse(explanation.startedAt) * 1000, plain)];
const kinds = (reasons: readonly { kind: string }[]): string[] => reasons.map(({ kind }) => kind);
/** The lines from the one that begins with `from` to the next empty one. */
function block(lines: readonly string[], from: string): string[] {
  const at = lines.findIndex((line) => line.trim().startsWith(from));
  assert.ok(at >= 0, `${from} is not in\n${lines.join('\n')}`);
  const length = lines.slice(at).indexOf('');
  return lines.slice(at, length < 0 ? undefined : at + length).map((line) => line.trim().replace(/ +/g, ' '));
}

/** One thread serves a request and makes a call, behind a listener whose threads were seen to take one at a time. */
const served = (between: (scene: Scene) => unknown = () => undefined): Scene => {
  const scene = new Scene().workers().accept(1, 1).connect(11, 7).read(1, 7, GET('/1'));
  between(scene);
  return scene.write(11, 7, GET('/up')).read(11, 7, OK('u')).write(1, 7, OK('x')).close(11).close(1);
};

describe('an explanation', () => {
  it('of a proven tie says what its thread did and how the listener\'s threads work, and nothing against it', () => {
    const lines = linesOf(of(served()));
    assert.match(lines[0] ?? '', /^session [0-9a-f]{12} {2}GET \/1 {2}200$/);
    assert.deepEqual(block(lines, 'call').slice(1), [
      'tied by thread, proven',
      'for thread 7 had read this session\'s request, and none after it',
      'for thread 7 wrote it and read its answer',
      'for thread 7 read the request and wrote the response',
      'for the threads of its listener were seen to take one request at a time',
    ]);
    assert.match(block(lines, 'call')[0] ?? '', /^call 10\.0\.0\.2:9000 GET \/up 200 \[\+0\.010 ms; http, connection \S+\]$/);
    assert.deepEqual(block(lines, 'complete'), [
      'complete, because',
      'no byte of its talks and of its connections\' set-up is missing',
      'every call that its process made up to its answer is tied to a session, and nothing else was out of sight: no TLS, no datagrams but DNS and those that it sent itself, no loss, no pause',
    ]);
  });

  it('of a likely tie in an event loop says that it is one, and what was first', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7);
    scene.read(1, 7, GET('/1')).write(11, 7, GET('/up1')).read(2, 7, GET('/2')).write(12, 7, GET('/up2'));
    scene.read(11, 7, OK('u')).write(1, 7, OK('x')).read(12, 7, OK('u')).write(2, 7, OK('x'));
    for (const connection of [1, 2, 11, 12]) scene.close(connection);
    const [call] = of(scene).calls;
    assert.deepEqual([call?.attribution, call?.certainty], ['thread', 'likely']);
    assert.deepEqual(kinds(call?.for ?? []), ['first-after-request', 'call-by-one-thread', 'session-by-one-thread']);
    assert.deepEqual(kinds(call?.against ?? []), ['event-loop']);
    assert.match(call?.against[0]?.words ?? '', /^thread 7 is an event loop: it was seen to accept a connection, to read another request /);
  });

  it('names the other session that a call may be of, with its summary', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).read(1, 7, GET('/1')).connect(11, 7).read(2, 7, GET('/2')).connect(12, 7);
    scene.write(11, 7, GET('/up1')).write(12, 7, GET('/up2')).read(12, 7, OK('u')).write(2, 7, OK('x')).read(11, 7, OK('u')).write(1, 7, OK('x'));
    for (const connection of [1, 2, 11, 12]) scene.close(connection);
    const explanation = of(scene);
    const lines = block(linesOf(explanation), 'call');
    assert.ok(lines.includes('for its connection was opened for this session'), lines.join('\n'));
    assert.ok(lines.includes('against another session may have made it as well'), lines.join('\n'));
    assert.match(lines.at(-1) ?? '', /^or of [0-9a-f]{12} GET \/2$/);
    assert.deepEqual(explanation.calls[0]?.alternatives.map(({ summary }) => summary), ['GET /2']);
  });

  it('of a tie by continuation says that it is never proven, and why', () => {
    const scene = new Scene().accept(1).connect(11, 7).connect(12, 8).read(1, 7, GET('/1')).write(11, 7, GET('/up1')).read(11, 8, OK('u')).write(12, 8, GET('/up2')).read(12, 8, OK('u'));
    const { calls } = of(scene.write(1, 7, OK('x')).close(1).close(11).close(12));
    assert.deepEqual(calls.map((call) => [call.summary, call.attribution, kinds(call.for), kinds(call.against)]), [
      ['GET /up1', 'thread', ['reads-request', 'session-by-one-thread'], ['not-seen-enough', 'work-moves', 'call-by-several']],
      ['GET /up2', 'continuation', ['first-after-answer', 'only-one-to-act', 'call-by-one-thread'], ['never-proven']],
    ]);
    assert.match(calls[1]?.for[0]?.words ?? '', /thread 8 did after it read the answer of a call of this session/);
    assert.match(calls[1]?.against[0]?.words ?? '', /^a pool may write another session's queued call/);
    assert.equal(calls[0]?.against[2]?.words, 'thread 7 wrote it, thread 8 read its answer');
  });

  it('of a tie by elimination says that no other session waited, and that a timer would look the same', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).read(1, 7, GET('/0')).read(2, 7, GET('/2')).write(1, 7, OK('x')).write(2, 7, OK('x'));
    scene.read(1, 7, GET('/1')).wait(1_100).write(11, 7, GET('/up')).read(11, 7, OK('u')).write(1, 7, OK('x'));
    for (const connection of [1, 2, 11]) scene.close(connection);
    const [call] = of(scene).calls;
    assert.deepEqual([call?.attribution, kinds(call?.for ?? []), kinds(call?.against ?? [])], [
      'elimination', ['only-unanswered', 'not-by-itself', 'call-by-one-thread'], ['never-proven', 'event-loop'],
    ]);
    assert.match(call?.against[0]?.words ?? '', /^work left over from another session, or a timer's, would look the same/);
  });

  it('of a call that an ambiguous loop made says why it has no tie and whose it may be, and that the session is incomplete for it', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).read(1, 7, GET('/1')).read(2, 7, GET('/2'));
    scene.write(11, 7, GET('/up')).read(11, 7, OK('u')).write(1, 7, OK('x')).write(2, 7, OK('x'));
    for (const connection of [1, 2, 11]) scene.close(connection);
    const explanation = of(scene);
    assert.deepEqual(explanation.calls, []);
    assert.deepEqual(explanation.untied.map((one) => [one.summary, kinds(one.whyNot)]), [['GET /up', ['several-read', 'several-unanswered', 'no-rare-words']]]);
    const lines = linesOf(explanation);
    const untied = block(lines, 'untied');
    assert.equal(untied[1], 'why thread 7, an event loop, had read for several sessions before it acted');
    assert.equal(untied.length, 5, 'the session itself is no news among its candidates');
    assert.match(untied[4] ?? '', /^or of [0-9a-f]{12} GET \/2$/);
    assert.deepEqual(block(lines, 'incomplete'), [
      'incomplete, because', '1 call that its process made before it had answered is tied to no session, or to more than one: it may have been this one\'s',
    ]);
    const advice = (command: string): string[] => linesOf({ ...explanation, process: { ...explanation.process, command } }).filter((line) => line.includes('--read-memory node'));
    assert.deepEqual(['service', 'node', 'MainThread', 'node-MainThread'].map((command) => advice(command).length), [0, 1, 1, 1]);
  });

  it('tells who connected among too many sessions, not who wrote later on that connection', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7).read(1, 7, GET('/1')).read(2, 7, GET('/2')).connect(11, 7);
    scene.write(11, 7, GET('/up')).read(11, 7, OK('u')).write(1, 7, OK('x')).write(2, 7, OK('x'));
    for (const connection of [1, 2, 11]) scene.close(connection);
    assert.deepEqual(of(scene).untied.map((one) => kinds(one.whyNot)), [['several-read', 'several-unanswered', 'no-rare-words']]);
  });

  it('of a thread that reads no requests, and of one that had slept, says so', () => {
    const idle = new Scene().accept(1).connect(11, 8).read(1, 7, GET('/1')).write(11, 8, GET('/metrics')).read(11, 8, OK('u')).write(1, 7, OK('x')).close(1).close(11);
    assert.deepEqual(of(idle).untied.map((one) => one.whyNot), [[{ kind: 'no-request', words: 'thread 8 had no request in hand' }, { kind: 'no-rare-words', words: 'no rare words of it, or of its answer, stand in one session only that was open then' }]]);
    const slept = new Scene().accept(1, 7).accept(2, 7).connect(11, 7).read(1, 7, GET('/1')).read(2, 7, GET('/2')).wait(1_100);
    slept.write(11, 7, GET('/tick')).read(11, 7, OK('u')).write(1, 7, OK('x')).write(2, 7, OK('x')).close(1).close(2).close(11);
    assert.deepEqual(of(slept).untied.map((one) => kinds(one.whyNot)), [['slept', 'several-unanswered', 'no-rare-words']]);
  });

  it('of a call that fell when its thread turned out to be a loop says that', () => {
    const scene = new Scene().accept(3, 9).read(3, 9, GET('/3')).accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7);
    scene.read(1, 7, GET('/1')).write(11, 7, GET('/up1')).read(11, 7, OK('u'));
    scene.wait(1_100).write(12, 7, GET('/up2')).read(12, 7, OK('u')).read(2, 7, GET('/2')).write(2, 7, OK('x')).write(1, 7, OK('x')).write(3, 9, OK('x'));
    for (const connection of [1, 2, 3, 11, 12]) scene.close(connection);
    const explanation = of(scene);
    assert.deepEqual([explanation.calls.map((call) => call.summary), explanation.untied.map((one) => [one.summary, kinds(one.whyNot)])], [['GET /up1'], [['GET /up2', ['turned-out-loop', 'no-rare-words']]]]);
  });

  it('of a call after the response says that it may be somebody else\'s work', () => {
    const scene = new Scene().workers().accept(1, 1).connect(11, 7).read(1, 7, GET('/1')).write(1, 7, OK('x')).write(11, 7, GET('/audit')).read(11, 7, OK('u')).close(11).close(1);
    const explanation = of(scene);
    assert.equal(explanation.calls[0]?.afterResponse, true);
    const lines = block(linesOf(explanation), 'call');
    assert.equal(lines[1], 'tied by thread, likely, after the response');
    assert.deepEqual(lines.filter((line) => line.startsWith('against')), ['against it began after the response was out: it may be somebody else\'s work']);
  });

  it('claims of no thread what only packets showed', () => {
    const scene = new Scene().workers().accept(1, 1).connect(11, 7).read(1, 7, GET('/1')).write(11, 7, GET('/up')).read(11, 7, OK('u'));
    scene.packet(1, 0, OK('x')).close(11).close(1);
    const words = of(scene).calls[0]?.for.map((one) => one.words) ?? [];
    assert.ok(words.includes('thread 7 read the request'), words.join('\n'));
  });

  it('marks a call without a tie that began after the response: completeness does not depend on it', () => {
    const scene = new Scene().workers().accept(1, 1).connect(11, 8).read(1, 7, GET('/1')).write(1, 7, OK('x')).write(11, 8, GET('/metrics')).read(11, 8, OK('u')).close(11).close(1);
    const explanation = of(scene);
    assert.deepEqual([explanation.untied.map((one) => one.afterResponse), explanation.certificate.state], [[true], 'complete']);
    assert.match(block(linesOf(explanation), 'untied')[1] ?? '', /^after the response: /);
  });

  it('of lost events says that the thread may have done what nobody saw, and what is missing', () => {
    const lost = of(served((scene) => scene.lost('ring-full', 3)));
    assert.deepEqual(kinds(lost.calls[0]?.against ?? []), ['events-lost']);
    assert.deepEqual(lost.certificate.reasons, [{ kind: 'lost', words: '3 events were lost while it was open, and may have been of it' }]);
    const away = new Scene().workers().accept(1, 1).connect(11, 7).read(1, 7, GET('/1')).write(11, 7, GET('/up')).pause(5_000).read(11, 7, OK('u')).write(1, 7, OK('x')).close(11).close(1);
    assert.deepEqual(kinds(of(away).calls[0]?.against ?? []), ['recorder-away']);
    assert.ok(kinds(of(away).certificate.reasons).includes('pause'));
    const hole = of(new Scene().workers().accept(1, 1).read(1, 7, GET('/1')).gap(1, 'egress', 7, 1_200, 'unreadable').close(1));
    assert.match(hole.certificate.reasons[0]?.words ?? '', /^1\.2 KiB of connection \S+ egress @0 are missing: unreadable$/);
  });

  it('goes through every reason why a session is incomplete, in words', () => {
    const datagrams = served((scene) => scene.udp('egress', 99, 8125, bytesOf('metric')).udp('ingress', 7, 123, bytesOf('noon')));
    assert.deepEqual(of(datagrams).certificate, {
      state: 'incomplete', reasons: [
        { kind: 'udp', words: 'its process received 1 datagram before it had answered: whose they were is not known (10.0.0.53:123)' },
        { kind: 'udp-sent', words: 'its process sent 1 datagram before it had answered of which only the beginning was kept, or of which nobody knows whose they were (10.0.0.53:8125)' },
      ],
    });
    const open = explained(new Scene().workers().accept(1, 1).read(1, 7, GET('/1')).derive({ reasons: true, orderly: false }));
    assert.deepEqual([open.certificate.state, kinds(open.certificate.reasons)], ['open', ['open']]);
  });

  it('counts a call whose candidates were too many to name all of them', () => {
    const span = { id: 'mine', tgid: 5, startedAtUs: 1_000, durationMs: 1 };
    const [talk] = new Scene().connect(11, 8).write(11, 8, GET('/x')).read(11, 8, OK('u')).close(11).derive().ambient;
    assert.ok(talk !== undefined);
    const others = Array.from({ length: 16 }, (_, n) => `other ${n}`);
    assert.equal(mayBeOf({ ...talk, tgid: 5, startedAtUs: 1_500, candidates: others }, span), true);
    assert.equal(mayBeOf({ ...talk, tgid: 5, startedAtUs: 1_500, candidates: others.slice(1) }, span), false);
    assert.equal(mayBeOf({ ...talk, tgid: 6, startedAtUs: 1_500, candidates: others }, span), false);
    assert.equal(mayBeOf({ ...talk, tgid: 5, startedAtUs: 2_001, candidates: others }, span), false);
  });

  it('costs nothing where nobody asks: sessions and ambient talks are as they were', () => {
    const { sessions, ambient } = served((scene) => scene.connect(12, 8).write(12, 8, GET('/m')).read(12, 8, OK('u')).close(12)).derive();
    assert.equal(ambient.length, 1);
    assert.ok(sessions.every((session) => session.outbound.every((call) => !('reasons' in call))));
    assert.ok(ambient.every((talk) => !('whyNot' in talk)));
  });
});
