/** A recording that falls idle: the recorder says that time has passed, and what waits for time alone comes to its end. */
import assert from 'node:assert/strict';
import { Derivation } from '../../../src/sessions/derivation.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { GET, OK, Scene, SECOND, textOf } from './scene.ts';

/** Thread 7 has answered a request over connection 1, with the help of a call over connection 2, and says no more. */
const answered = (): Scene => new Scene().accept(1, 7).connect(2, 7).read(1, 7, GET('/1')).write(2, 7, GET('/up')).read(2, 7, OK('up')).write(1, 7, OK('1'));

/** What is given out with each event, before the recording's end is known. */
function given(scene: Scene): Session[] {
  const sessions: Session[] = [];
  const derivation = new Derivation({ recordingId: 'test', onSession: (session) => sessions.push(session) });
  for (const event of scene.events) derivation.push(event);
  return sessions;
}

const states = (sessions: readonly Session[]): string[] => sessions.map(({ certificate }) => certificate.state);

describe('marks of time', () => {
  it('end a session whose thread fell silent, as it is found at the end of the recording', () => {
    const sessions = given(answered().mark(9 * SECOND));
    assert.deepEqual(states(sessions), ['complete']);
    assert.equal(sessions[0]?.outbound.length, 1);
    assert.deepEqual(sessions, answered().pass(9 * SECOND).derive().sessions);
  });

  it('prove what was sent last on a connection that stays open, which no event elsewhere does', () => {
    assert.deepEqual(given(answered().pass(6 * SECOND).pass(SECOND).pass(9 * SECOND)), []);
    assert.deepEqual(given(answered().mark(9 * SECOND, {})), []);
    assert.deepEqual(states(given(answered().mark(SECOND).mark(8 * SECOND, {}))), ['complete']);
  });

  it('leave a response open that is still being taken, and its end is known once it is', () => {
    const scene = answered();
    const { egress } = scene.of(1);
    assert.deepEqual(given(scene.mark(9 * SECOND, { 1: egress - 5, 2: scene.of(2).egress })), []);
    assert.deepEqual(states(given(scene.mark(9 * SECOND, { 1: egress }).mark(SECOND, {}))), ['complete']);
    const cut = answered();
    cut.mark(9 * SECOND, { 1: egress - 5, 2: scene.of(2).egress }).accepted(1, 7, 0, egress - 5);
    assert.equal(textOf(cut.derive().sessions[0]?.inbound.response ?? []), OK('1').slice(0, -5));
  });

  it('leave it open where none comes, or too soon', () => {
    assert.deepEqual(states(answered().derive({ orderly: false }).sessions), ['open']);
    assert.deepEqual(given(answered().mark(4 * SECOND)), []);
    assert.deepEqual(states(answered().mark(4 * SECOND).derive({ orderly: false }).sessions), ['open']);
  });

  it('keep what was over when the recorder is killed later', () => {
    assert.deepEqual(states(answered().mark(9 * SECOND).derive({ orderly: false }).sessions), ['complete']);
  });

  it('are enough one at a time: what waits for quiet, and then for doubts about a call, is over by a single one', () => {
    // A loop's thread reads two requests before it calls: whose the call is nobody can tell.
    const doubtful = new Scene().accept(1, 7).accept(2, 7).connect(3, 7)
      .read(1, 7, GET('/1')).read(2, 7, GET('/2')).write(3, 7, GET('/up')).read(3, 7, OK('up')).write(1, 7, OK('1')).write(2, 7, OK('2'));
    assert.deepEqual(states(given(doubtful.mark(9 * SECOND))), ['incomplete', 'incomplete']);
  });

  it('end neither a request that has no answer nor a call that has none', () => {
    assert.deepEqual(given(new Scene().accept(1, 7).read(1, 7, GET('/slow')).mark(60 * SECOND)), []);
    const calling = answered().connect(3, 7).write(3, 7, GET('/later')).mark(60 * SECOND);
    assert.deepEqual(given(calling), []);
    assert.deepEqual(states(given(calling.read(3, 7, OK('x')).mark(9 * SECOND))), ['complete']);
  });

  it('change nothing where they stand between events that settle all by themselves', () => {
    const busy = (mark: boolean): Session[] => {
      const scene = new Scene().accept(1, 7).accept(2, 8).connect(3, 7).connect(4, 8);
      for (let round = 0; round < 20; round += 1) {
        const [own, up] = round % 2 === 0 ? [1, 3] : [2, 4];
        scene.read(own, own + 6, GET(`/${round}`)).write(up, own + 6, GET('/up'));
        if (mark) scene.mark(SECOND); else scene.wait(SECOND);
        scene.read(up, own + 6, OK('up')).write(own, own + 6, OK(`${round}`)).wait(SECOND);
      }
      return scene.pass(9 * SECOND).derive().sessions;
    };
    assert.deepEqual(busy(true), busy(false));
  });

  it('come to an end at any time that a file may name', () => {
    const far = answered();
    far.nowUs = Number.MAX_SAFE_INTEGER - 1;
    assert.deepEqual(states(given(far.mark(1))), ['complete']);
    const early = answered();
    early.nowUs -= 60 * SECOND;
    assert.deepEqual(given(early.mark(1)), []);
  });
});
