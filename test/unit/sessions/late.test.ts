/** Calls that are decided late, and the sessions that wait for them. */
import assert from 'node:assert/strict';
import { Derivation } from '../../../src/sessions/derivation.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { GET, marked, OK, pathIn, Scene, SECOND, textOf } from './scene.ts';

const told = ({ inbound, outbound, certificate }: Session): string =>
  `${pathIn(textOf(inbound.request))}: ${outbound.map((call) => pathIn(textOf(call.request))).join(' ')}; ${certificate.state}`;

/** What was given out before the recording ended, in the order in which it was. */
function streamed(scene: Scene): { sessions: string[]; ambient: string[]; atEnd: string[] } {
  const found: { sessions: string[]; ambient: string[]; atEnd: string[] } = { sessions: [], ambient: [], atEnd: [] };
  let ended = false;
  const derivation = new Derivation({
    recordingId: 'test',
    onSession: (session) => found[ended ? 'atEnd' : 'sessions'].push(told(session)),
    onAmbient: (talk) => found[ended ? 'atEnd' : 'ambient'].push(pathIn(textOf(talk.request))),
  });
  for (const event of scene.events) derivation.push(event);
  ended = true;
  derivation.finish(true);
  return found;
}

/** Two requests are read by a loop before it acts; `/up2` is written first. */
const undecided = (scene = new Scene()): Scene => scene.accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).read(1, 7, marked('/1', 1)).read(2, 7, marked('/2', 2))
  .write(11, 7, marked('/up2', 2)).write(12, 7, marked('/up1', 1)).read(11, 7, OK('u')).read(12, 7, OK('u'));
/** The loop has something else to do then, so that its sessions are over. */
const next = (scene: Scene): Scene => scene.accept(9, 7).read(9, 7, GET('/next'));

describe('a session that is over', () => {
  const answered = (): Scene => new Scene().accept(1).read(1, 7, GET('/1')).write(1, 7, OK('x')).close(1);

  it('is given out while others are recorded, once its thread was quiet', () => {
    assert.deepEqual(streamed(answered().pass(4.9 * SECOND)), { sessions: [], ambient: [], atEnd: ['/1: ; complete'] });
    assert.deepEqual(streamed(answered().pass(5.1 * SECOND).pass(SECOND)), { sessions: ['/1: ; complete'], ambient: [], atEnd: [] });
  });

  it('is given out at once when its thread has ended', () => {
    assert.deepEqual(streamed(answered().process('thread-exit', 7).pass(SECOND)), { sessions: ['/1: ; complete'], ambient: [], atEnd: [] });
  });
});

describe('a call without a tie', () => {
  it('is decided when the sessions that were open with it are over, and these wait until then', () => {
    const scene = next(undecided().write(1, 7, OK('x')).close(11).close(12)).pass(SECOND);
    assert.deepEqual(streamed(scene), { sessions: [], ambient: [], atEnd: ['/1: /up1; complete', '/2: /up2; open', '/next: ; open'] });
    scene.write(2, 7, OK('x')).close(1).close(2).pass(0.3 * SECOND);
    assert.deepEqual(streamed(scene), { sessions: ['/1: /up1; complete', '/2: /up2; complete'], ambient: [], atEnd: ['/next: ; open'] });
  });

  it('does not hold back a session for more than two seconds, however long another goes on', () => {
    const scene = next(undecided(new Scene().accept(3, 7).read(3, 7, GET('/long'))).write(1, 7, OK('x')).write(2, 7, OK('x')).close(1).close(2).close(11).close(12));
    assert.deepEqual(streamed(scene.pass(1.5 * SECOND)).sessions, []);
    assert.deepEqual(streamed(scene.pass(0.6 * SECOND)), { sessions: ['/1: /up1; complete', '/2: /up2; complete'], ambient: [], atEnd: ['/long: ; open', '/next: ; open'] });
  });

  it('that nothing decides is of no session two seconds after it was over, and counts for all that were open with it', () => {
    const scene = new Scene().connect(11, 7).accept(3, 7).read(3, 7, GET('/long')).accept(1, 7).read(1, 7, GET('/1')).wait(5_000).write(11, 7, GET('/whose')).read(11, 7, OK('u'));
    next(scene.write(1, 7, OK('x')).close(1).close(11));
    assert.deepEqual(streamed(scene.pass(1.5 * SECOND)), { sessions: [], ambient: [], atEnd: ['/whose', '/1: ; incomplete', '/long: ; open', '/next: ; open'] });
    assert.deepEqual(streamed(scene.pass(0.6 * SECOND)), { sessions: ['/1: ; incomplete'], ambient: ['/whose'], atEnd: ['/long: ; open', '/next: ; open'] });
  });

  it('is told of two seconds after it was over also where all sessions that may have made it go on', () => {
    const scene = next(new Scene().connect(11, 7).accept(1, 7).read(1, 7, GET('/1')).accept(2, 7).read(2, 7, GET('/2')).wait(5_000).write(11, 7, GET('/whose')).read(11, 7, OK('u')).close(11));
    assert.deepEqual(streamed(scene.pass(1.9 * SECOND)).ambient, []);
    assert.deepEqual(streamed(scene.pass(0.2 * SECOND)), { sessions: [], ambient: ['/whose'], atEnd: ['/1: ; open', '/2: ; open', '/next: ; open'] });
  });

  it('is told of at once where so many bytes wait that this one is too much', () => {
    const scene = next(new Scene().accept(1, 7).read(1, 7, GET('/1')).accept(2, 7).read(2, 7, GET('/2')).wait(5_000));
    const much = 'x'.repeat(9 << 20);
    for (let at = 0; at < 9; at += 1) scene.connect(20 + at, 7).wait(5_000).write(20 + at, 7, GET(`/${at}`)).read(20 + at, 7, OK(much)).close(20 + at);
    assert.deepEqual(streamed(scene).ambient, ['/0', '/1']);
  });

  it('counts for no session that the same event begins, once it is found to be another\'s', () => {
    // That it is a call, and that all of it was taken, shows by what its thread does next: it reads the third request.
    const scene = new Scene().accept(1, 7).accept(2, 7).accept(3, 7).connect(11, 7).read(1, 7, marked('/1', 1)).read(2, 7, marked('/2', 2)).write(11, 7, marked('/up2', 2)).read(3, 7, marked('/3', 3))
      .read(11, 7, OK('u')).write(1, 7, OK('x')).write(2, 7, OK('x')).write(3, 7, OK('x')).close(1).close(2).close(3).close(11);
    assert.deepEqual(streamed(next(scene).pass(SECOND).pass(SECOND)).sessions, ['/1: ; complete', '/2: /up2; complete', '/3: ; complete']);
  });

  it('that was still open when the recording ended is told of, as every other', () => {
    const scene = new Scene().connect(11, 7).accept(1, 7).accept(2, 7).read(1, 7, GET('/1')).read(2, 7, GET('/2')).write(11, 7, '\x01ask').read(11, 7, '\x02told').write(1, 7, OK('x')).write(2, 7, OK('x'));
    const found = scene.derive();
    assert.deepEqual([found.sessions.flatMap(({ outbound }) => outbound).length, found.ambient.map(({ request }) => textOf(request))], [0, ['\x01ask']]);
  });

  it('makes its session wait until all that it sent is known to have been taken', () => {
    const scene = next(undecided().write(1, 7, OK('x')).write(2, 7, OK('x')).close(1).close(2).close(11)).pass(3 * SECOND);
    assert.deepEqual(streamed(scene), { sessions: ['/2: /up2; complete'], ambient: [], atEnd: ['/1: /up1; complete', '/next: ; open'] });
    assert.deepEqual(streamed(scene.close(12).pass(0.3 * SECOND)), { sessions: ['/2: /up2; complete', '/1: /up1; complete'], ambient: [], atEnd: ['/next: ; open'] });
  });

  it('makes its session wait no second time where that waits for something else anyway', () => {
    const scene = next(undecided().write(2, 7, OK('x')).close(2).close(11)).pass(0.1 * SECOND).write(1, 7, OK('x')).close(1).pass(0.2 * SECOND);
    scene.close(12).pass(3 * SECOND);
    const { sessions, atEnd } = streamed(scene);
    assert.deepEqual([...sessions, ...atEnd], ['/2: /up2; complete', '/1: /up1; complete', '/next: ; open']);
  });

  it('without an answer is waited for, but for no longer than two seconds', () => {
    const scene = new Scene().connect(11, 7).accept(1, 7).accept(2, 7).read(1, 7, marked('/1', 1)).read(2, 7, marked('/2', 2)).write(11, 7, marked('/up2', 2));
    next(scene.write(1, 7, OK('x')).write(2, 7, OK('x')).close(1).close(2)).pass(1.5 * SECOND);
    assert.deepEqual(streamed(scene).sessions, []);
    assert.deepEqual(streamed(scene.pass(0.6 * SECOND)).sessions, ['/1: ; complete']);
    assert.deepEqual(streamed(scene.read(11, 7, OK('u')).close(11).pass(SECOND)).sessions, ['/1: ; complete', '/2: /up2; complete']);
  });

  it('holds back nobody of another process, nor who was over before it began', () => {
    const scene = new Scene().accept(5, 7).read(5, 7, GET('/before')).write(5, 7, OK('x')).close(5);
    undecided(scene).pass(SECOND);
    assert.deepEqual(streamed(scene).sessions, ['/before: ; complete']);
  });

  it('of a process without sessions is given out at once', () => {
    assert.deepEqual(streamed(new Scene().connect(11, 7).write(11, 7, GET('/timer')).read(11, 7, OK('u'))).ambient, ['/timer']);
  });
});
