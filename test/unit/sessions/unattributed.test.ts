/** Which sessions a call of nobody's counts for: those that may have made it, before they had answered. */
import assert from 'node:assert/strict';
import { GET, marked, OK, pathIn, Scene, SECOND, textOf } from './scene.ts';

const told = (scene: Scene): string[] => scene.derive().sessions.map(({ inbound, outbound, ties, certificate }) =>
  `${pathIn(textOf(inbound.request))}: ${outbound.map((call) => pathIn(textOf(call.request))).join(' ')}; ${certificate.state}${ties.unknown > 0 ? ` ${ties.unknown}` : ''}`);

describe('a call of nobody\'s', () => {
  /** A loop reads two requests, makes a call, and reads a third: only then it is known that the call was one. */
  const whose = (call: string): Scene => {
    const scene = new Scene().connect(11, 7);
    for (const connection of [1, 2, 3]) scene.accept(connection, 7);
    scene.read(1, 7, marked('/1', 1)).read(2, 7, marked('/2', 2)).write(11, 7, call).read(3, 7, GET('/3')).read(11, 7, OK('u'));
    for (const connection of [1, 2, 3]) scene.write(connection, 7, OK('x'));
    for (const connection of [1, 2, 3, 11]) scene.close(connection);
    return scene.pass(3 * SECOND);
  };

  it('counts for the sessions that were open when it began, and not for the one whose request was read next', () => {
    assert.deepEqual(told(whose(GET('/whose'))), ['/1: ; incomplete 1', '/2: ; incomplete 1', '/3: ; complete']);
  });

  it('counts for none of them once it is known whose it is', () => {
    assert.deepEqual(told(whose(marked('/up2', 2))), ['/1: ; complete', '/2: /up2; complete', '/3: ; complete']);
  });

  /** Thread 7 makes two calls for `/1` while thread 8 is at work, and turns out to be an event loop a second later. */
  const fallen = (second: string): Scene => {
    const scene = new Scene().connect(11, 7);
    for (const connection of [1, 2, 3]) scene.accept(connection);
    scene.accept(5, 8).read(5, 8, marked('/other', 5)).read(1, 7, marked('/1', 1)).write(11, 7, GET('/first')).read(11, 7, OK('u')).write(11, 7, second).read(11, 7, OK('u'));
    scene.write(5, 8, OK('x')).write(1, 7, OK('x')).pass(SECOND).read(2, 7, GET('/2')).read(3, 7, GET('/3')).write(2, 7, OK('x')).write(3, 7, OK('x'));
    for (const connection of [1, 2, 3, 5, 11]) scene.close(connection);
    return scene.pass(3 * SECOND);
  };

  it('counts, where it was tied until its thread turned out to be a loop, for all that were open when it began, and for none that was open when that showed', () => {
    assert.deepEqual(told(fallen(GET('/second'))), ['/other: ; incomplete 1', '/1: /first; incomplete 1', '/2: ; complete', '/3: ; complete']);
    const { sessions, ambient } = fallen(GET('/second')).derive();
    assert.deepEqual(ambient.map(({ candidates }) => [...candidates].sort()), [sessions.slice(0, 2).map(({ id }) => id).sort()]);
  });

  it('counts for none of them where it is found out later whose it was', () => {
    assert.deepEqual(told(fallen(marked('/second', 5))), ['/other: /second; complete', '/1: /first; complete', '/2: ; complete', '/3: ; complete']);
  });

  it('does not count, where it was tied until its thread turned out to be a loop, for one that had answered before it', () => {
    const scene = new Scene().connect(11, 7).accept(1).accept(2).accept(3).accept(5, 8).read(5, 8, GET('/other')).read(1, 7, GET('/1')).write(1, 7, OK('x'));
    scene.write(11, 7, GET('/after')).read(11, 7, OK('u')).write(5, 8, OK('x')).pass(SECOND).read(2, 7, GET('/2')).read(3, 7, GET('/3')).write(2, 7, OK('x')).write(3, 7, OK('x'));
    for (const connection of [1, 2, 3, 5, 11]) scene.close(connection);
    assert.deepEqual(told(scene.pass(3 * SECOND)), ['/other: ; incomplete 1', '/1: ; complete', '/2: ; complete', '/3: ; complete']);
  });
});
