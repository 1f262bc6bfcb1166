/** What threads, virtual threads and goroutines were at is not known any more where the recorder was away. */
import assert from 'node:assert/strict';
import { Derivation } from '../../../src/sessions/derivation.ts';
import { GET, OK, pathIn, Scene, SECOND, strays, textOf, told } from '../sessions/scene.ts';
import { GoScene } from './go-scene.ts';

const call = (scene: Scene, connection: number, tid: number, to: string): Scene => scene.connect(connection, tid).write(connection, tid, GET(to)).read(connection, tid, OK('u')).close(connection, tid);
const answer = (scene: Scene, connection: number, tid: number): Scene => scene.write(connection, tid, OK('x')).close(connection, tid, 'local-fin').close(connection, tid);
const works = (scene: Scene, tid: number, name: number): Scene => scene.helper(tid, 'set-delegated-from-thread-id', { flags: name });

describe('while the recorder was away', () => {
  it('a thread may have taken up another request: what it does then is tied to none that it read before', () => {
    const found = answer(call(call(new Scene().workers().accept(1, 91).read(1, 91, GET('/1')), 11, 91, '/before').pause(SECOND) as Scene, 12, 91, '/then'), 1, 91).derive();
    assert.deepEqual([told(found), strays(found)], [['/1: /before thread likely; incomplete'], ['/then']]);
  });

  it('a thread may have been done with working for another one', () => {
    const scene = works(new Scene().workers().accept(1, 91).accept(2, 91).read(1, 91, GET('/1')), 31, 91);
    const found = answer(call(answer(call(scene, 11, 31, '/before'), 1, 91).pause(SECOND).read(2, 91, GET('/2')), 12, 31, '/then'), 2, 91).derive();
    assert.deepEqual([told(found), strays(found)], [['/1: /before delegation proven; complete', '/2: ; incomplete'], ['/then']]);
  });

  it('the name of a virtual thread may have been given to another request', () => {
    const scene = call(works(new Scene().accept(1, 7), 7, 1_001).read(1, 7, GET('/1')), 11, 7, '/before').pause(SECOND);
    const found = answer(call(works(scene, 7, 1_001), 12, 7, '/then'), 1, 7).derive();
    assert.deepEqual([told(found), strays(found)], [['/1: /before virtual-thread likely; incomplete'], ['/then']]);
  });

  it('what a goroutine was begun for may be over, and it may work for something else', () => {
    const scene = new GoScene().ended().serve(1, 10).dial(11, 10).gets(1, 10, '/one').begin(20, { parent: 10 }).calls(11, 20, '/before');
    scene.pause(SECOND);
    assert.deepEqual((scene.calls(11, 20, '/then').begin(30, { parent: 20 }).calls(11, 30, '/of-the-one-that-it-began') as GoScene).answers(1, 10).close(1).close(11).told(), ['/one: /before goroutine likely']);
  });

  it('no request\'s thread stays at it for sure: its session is given out as soon as its answer is', () => {
    const given: string[] = [];
    const derivation = new Derivation({ recordingId: 'test', onSession: (session) => given.push(pathIn(textOf(session.inbound.request))) });
    for (const event of new Scene().accept(1, 91).read(1, 91, GET('/1')).pause(SECOND).write(1, 91, OK('x')).mark(SECOND).mark(SECOND).events) derivation.push(event);
    assert.deepEqual(given, ['/1']);
  });
});
