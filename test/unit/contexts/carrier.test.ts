import assert from 'node:assert/strict';
import { FIRST_VIRTUAL_THREAD } from '../../../src/events/event.ts';
import { GET, OK, Scene, strays, told } from '../sessions/scene.ts';

const on = (id: number): { context: number } => ({ context: FIRST_VIRTUAL_THREAD + id });

/** Threads 7 and 8 carry virtual threads, of which 30 and 31 serve a client each. */
const scene = (): Scene => new Scene().accept(1, 1).accept(2, 1).connect(11, 1).connect(12, 1);
const served = (): Scene => scene().read(1, 7, GET('/1'), on(30)).read(2, 8, GET('/2'), on(31));
/** `by`: the virtual thread that answers the first client. */
const ended = (some: Scene, by = 30): Scene => some.read(11, 7, OK('u'), on(32)).write(1, 7, OK('x'), on(by)).write(2, 8, OK('x'), on(31)).close(1).close(2).close(11).close(12);

describe('a thread that carries Java\'s virtual threads', () => {
  it('makes nobody\'s call while it is not known which of them it carries, whatever it has read', () => {
    const found = ended(served().write(11, 8, GET('/up'))).derive({ reasons: true });
    assert.deepEqual([strays(found), found.ambient[0]!.whyNot?.slice(0, 1)], [['/up'], ['virtual-thread-unknown']]);
  });

  it('has made nobody\'s calls before it was seen to carry one', () => {
    const found = ended(scene().read(1, 7, GET('/1')).write(11, 7, GET('/up')).read(2, 8, GET('/2'), on(31)));
    assert.deepEqual(strays(found.derive()), ['/up']);
  });

  it('does not follow from what it read before, once it has done what is not known', () => {
    assert.deepEqual(strays(ended(scene().read(2, 8, GET('/2'), on(31)).read(1, 7, GET('/1'), on(30)).write(12, 7, GET('/whose')).write(11, 7, GET('/up'), on(30)), 33).derive()), ['/whose', '/up']);
  });

  it('is at no request that it reads while it is not known which it carries: it starts others for nobody', () => {
    const some = scene().read(2, 8, GET('/2'), on(31)).write(12, 7, GET('/of-2'), on(31)).read(1, 7, GET('/1')).process('fork', 7, { childTgid: 300, childTid: 300 });
    some.tgid = 300;
    some.process('exec', 300).write(11, 300, GET('/up')).process('exit', 300);
    some.tgid = 100;
    assert.deepEqual(strays(ended(some).derive()), ['/up']);
  });

  it('is an event loop: the first thing only that follows from what one has read is of that', () => {
    const found = ended(served().write(12, 7, GET('/first'), on(30)).write(11, 7, GET('/up'), on(30)), 33).derive();
    assert.deepEqual([told(found), strays(found)], [['/1: /first thread likely; incomplete', '/2: ; incomplete'], ['/up']]);
  });

  it('does nothing for what another has read on it: who takes its turn now may have waited for that since before', () => {
    const found = ended(served().write(12, 7, GET('/first'), on(33)).write(11, 7, GET('/up'), on(30)), 34).derive();
    assert.deepEqual(strays(found), ['/first', '/up']);
  });

  it('does for one what that has read, whatever another had read before', () => {
    const some = served().accept(3, 1).read(3, 7, GET('/3'), on(33)).write(11, 7, GET('/up'), on(33));
    assert.deepEqual(told(ended(some.write(3, 7, OK('x'), on(34)), 34).close(3).derive()), ['/1: ; complete', '/2: ; complete', '/3: /up thread likely; complete']);
  });

  it('keeps to what it has said itself, whichever it carries', () => {
    const found = ended(served().helper(7, 'exclude').write(11, 7, GET('/up')).write(12, 7, GET('/up'), on(33))).derive({ reasons: true });
    assert.deepEqual(found.ambient.map(({ whyNot }) => whyNot), [['excluded'], ['excluded']]);
  });
});
