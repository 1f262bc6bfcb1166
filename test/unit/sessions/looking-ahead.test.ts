/** Who can look ahead gives sessions out sooner: the same ones. */
import assert from 'node:assert/strict';
import type { Event } from '../../../src/events/event.ts';
import { Derivation } from '../../../src/sessions/derivation.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { GET, OK, Scene, SECOND } from './scene.ts';

/** Derives with a look ahead at what follows the event at hand. `given`: how many sessions were out after each event. */
function derivedAhead(events: readonly Event[]): { sessions: Session[]; given: number[] } {
  const sessions: Session[] = [];
  const given: number[] = [];
  let at = 0;
  const derivation = new Derivation({
    recordingId: 'test', onSession: (session) => sessions.push(session),
    quietUntilUs: (wantedUs) => {
      let untilUs = -Infinity;
      for (const event of events.slice(at + 1)) {
        if (event.kind === 'lost' || event.kind === 'pause') break;
        untilUs = Math.max(untilUs, event.atUs);
        if (untilUs >= wantedUs) break;
      }
      return untilUs;
    },
  });
  for (; at < events.length; at += 1) {
    derivation.push(events[at] as Event);
    given.push(sessions.length);
  }
  derivation.finish(true);
  return { sessions, given };
}

/** Thread 7 has served a request and reads the next one: the first session is over with the last event. */
const served = (scene: Scene): Scene =>
  scene.accept(1).accept(2).read(1, 7, GET('/1')).write(1, 7, OK('x')).close(1).read(2, 7, GET('/2'));

describe('looking ahead', () => {
  it('gives a session out when it is over, where nothing is said to have been lost', () => {
    const scene = served(new Scene());
    const over = scene.events.length;
    const { sessions, given } = derivedAhead(scene.pass(SECOND).events);
    assert.equal(given[over - 1], 1);
    assert.deepEqual(sessions, scene.derive().sessions);
  });

  it('waits for a report of losses that comes soon, and the session says so', () => {
    const scene = served(new Scene()).wait(0.1 * SECOND).lost('ring-full', 3).pass(SECOND);
    const { sessions } = derivedAhead(scene.events);
    assert.equal(sessions[0]?.certificate.state, 'incomplete');
    assert.deepEqual(sessions, scene.derive().sessions);
  });

  it('does not wait for a report that comes later than it would', () => {
    const scene = served(new Scene());
    const over = scene.events.length;
    scene.pass(SECOND).lost('ring-full', 3);
    assert.equal(derivedAhead(scene.events).given[over - 1], 1);
  });

  it('leaves what ended in the last moments of a recording to its end', () => {
    const scene = served(new Scene()).pass(0.1 * SECOND);
    const { sessions, given } = derivedAhead(scene.events);
    assert.equal(given.at(-1), 0);
    assert.equal(sessions.length, 2);
  });

  it('keeps a session, as a candidate, where somebody calls', () => {
    const scene = new Scene().connect(2, 8).write(2, 8, GET('/up')).read(2, 8, OK('up'));
    served(scene);
    const over = scene.events.length;
    const { sessions, given } = derivedAhead(scene.pass(0.2 * SECOND).pass(SECOND).events);
    assert.deepEqual([given[over - 1], given[over]], [0, 0]);
    assert.deepEqual(sessions, scene.derive().sessions);
  });

  it('keeps a session where helper datagrams speak of sessions', () => {
    const scene = served(new Scene().helper(8, 'thread-status'));
    const over = scene.events.length;
    assert.equal(derivedAhead(scene.pass(SECOND).events).given[over - 1], 0);
  });

  it('changes no session, whatever is lost and whenever that is reported', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      // A small generator, so that a failure can be repeated.
      let state = seed;
      const below = (limit: number): number => (state = Math.imul(state, 48_271) % 2_147_483_647 & 0x7fffffff) % limit;
      const scene = new Scene();
      for (let connection = 1; connection <= 4; connection += 1) scene.accept(connection, connection);
      for (let round = 0; round < 30; round += 1) {
        const connection = 1 + below(4);
        scene.read(connection, connection, GET(`/${round}`));
        if (below(8) === 0) scene.skip(connection, 'egress', 1 + below(40));
        else scene.write(connection, connection, OK('x'.repeat(below(50))));
        scene.wait(below(150_000));
        if (below(6) === 0) scene.lost('ring-full', 1 + below(3));
      }
      const byId = (sessions: readonly Session[]): Session[] => [...sessions].sort((a, b) => a.startedAtUs - b.startedAtUs);
      assert.deepEqual(byId(derivedAhead(scene.events).sessions), byId(scene.derive().sessions), `seed ${seed}`);
    }
  });
});
