import assert from 'node:assert/strict';
import { wordOf, RuntimeNotes } from '../../../src/contexts/runtime.ts';
import type { Word } from '../../../src/contexts/runtime.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { bytesOf, GET, OK, Scene, SECOND, textOf } from '../sessions/scene.ts';

const COMMAND = 'to-koala!runtime\n';
const parse = (text: string): Word | undefined => wordOf({ bytes: bytesOf(text) });
const path = (chunks: Session['inbound']['request']): string => /(\/\S*)/.exec(textOf(chunks))?.[0] ?? '';
const told = (sessions: readonly Session[]): string[] => sessions.map((session) => {
  const calls = session.outbound.map((call) => `${path(call.request)} ${call.attribution} ${call.certainty}${call.afterResponse === true ? ' after' : ''}`);
  return `${path(session.inbound.request)}: ${calls.join(', ')}`;
});

/** An event loop (thread 7) with two requests, on connections 1 and 2, and upstream connections 11 and 12; says what the runtime would. */
class Asked extends Scene {
  #n = 0;

  constructor() {
    super();
    this.accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7);
  }

  /** From `out`'s present position on, it is for the request on connection `inbound`, as far as that was read. */
  say(out: number, inbound: number | undefined, more: object = {}): this {
    const request = inbound === undefined ? {} : { in: inbound, read: this.of(inbound).ingress, nth: 0 };
    return this.helper(7, 'runtime', { body: JSON.stringify({ n: this.#n++, out, at: this.of(out).egress, sure: 1, ...request, ...more }) });
  }

  /** One that nobody hears. */
  unheard(): this {
    this.#n += 1;
    return this;
  }
}

const both = (): Asked => new Asked().read(1, 7, GET('/1')).read(2, 7, GET('/2')) as Asked;
const answered = (scene: Scene): Scene => {
  for (const n of [11, 12]) if (scene.of(n).egress > 0) scene.read(n, 7, OK('u'));
  for (const n of [1, 2]) scene.write(n, 7, OK('x'));
  return scene.pass(10 * SECOND);
};

describe('evidence asked from the runtime', () => {
  it('ties calls to the requests that it names, as proven, where the order of an event loop says otherwise', () => {
    const scene = both();
    scene.say(11, 1).write(11, 7, GET('/up1'));
    scene.say(12, 2).write(12, 7, GET('/up2'));
    assert.deepEqual(told(answered(scene).derive().sessions), ['/1: /up1 runtime proven', '/2: /up2 runtime proven']);
  });

  it('overrules what the thread seemed to work for', () => {
    const scene = new Asked();
    scene.read(2, 7, GET('/2')).read(1, 7, GET('/1')).write(1, 7, OK('x')).read(1, 7, GET('/3'));
    // Without it: the first thing that is done after /3 was read.
    scene.say(11, 2).write(11, 7, GET('/up2')).read(11, 7, OK('u')).write(1, 7, OK('x')).write(2, 7, OK('x')).pass(10 * SECOND);
    assert.deepEqual(told(scene.derive().sessions), ['/2: /up2 runtime proven', '/1: ', '/3: ']);
  });

  it('is no more than likely where only the moment of writing was seen', () => {
    const scene = both().say(11, 1, { sure: 0 }).write(11, 7, GET('/up1')) as Asked;
    assert.deepEqual(told(answered(scene).derive().sessions), ['/1: /up1 runtime likely', '/2: ']);
  });

  it('ties each command that one write carries to its own request', () => {
    const scene = new Asked();
    scene.read(1, 7, GET('/1')).read(2, 7, GET('/2'));
    const [one, two] = ['*2\r\n$3\r\nGET\r\n$2\r\n/a\r\n', '*2\r\n$3\r\nGET\r\n$2\r\n/b\r\n'];
    scene.say(11, 2).say(11, 1, { at: one.length }).write(11, 7, one + two).read(11, 7, '$1\r\nx\r\n$1\r\ny\r\n');
    assert.deepEqual(told(answered(scene).derive().sessions), ['/1: /b runtime proven', '/2: /a runtime proven']);
  });

  it('leaves in no session what it says is of no request, and does not count it against the sessions of that time', () => {
    const scene = both();
    scene.say(11, undefined).write(11, 7, GET('/timer')).say(12, 2).write(12, 7, GET('/up2'));
    const { sessions, ambient } = answered(scene).derive();
    assert.deepEqual(told(sessions), ['/1: ', '/2: /up2 runtime proven']);
    assert.deepEqual(ambient.map((talk) => path(talk.request)), ['/timer']);
    assert.deepEqual(sessions.map(({ certificate }) => certificate.state), ['complete', 'complete']);
  });

  it('ties what a request left to be done after its answer, while others are at work', () => {
    const scene = both();
    scene.write(1, 7, OK('x')).wait(2_000).read(1, 7, GET('/3'));
    scene.say(11, 1, { read: GET('/1').length }).write(11, 7, GET('/audit1')).read(11, 7, OK('u'));
    assert.deepEqual(told(answered(scene).derive().sessions), ['/1: /audit1 runtime proven after', '/2: ', '/3: ']);
  });

  it('says nothing of what comes after a word that was lost', () => {
    const scene = both();
    scene.say(11, 1).write(11, 7, GET('/up1')).read(11, 7, OK('u'));
    scene.unheard().say(12, 2).write(12, 7, GET('/up2')).write(11, 7, GET('/of-the-lost-word'));
    const { sessions, ambient } = answered(scene).derive();
    assert.deepEqual(told(sessions), ['/1: /up1 runtime proven', '/2: /up2 runtime proven']);
    assert.deepEqual(ambient.map((talk) => path(talk.request)), ['/of-the-lost-word']);
  });

  it('says nothing of what comes after a word that was lost, also where the call before it waits for its answer on the same connection', () => {
    const [one, two] = ['*2\r\n$3\r\nGET\r\n$2\r\n/a\r\n', '*2\r\n$3\r\nGET\r\n$2\r\n/b\r\n'];
    const found = (isLost: boolean): string[] => {
      const scene = both().say(11, 1).write(11, 7, one) as Asked;
      if (isLost) scene.unheard();
      scene.say(12, 2).write(12, 7, GET('/up2')).write(11, 7, two).read(11, 7, '$1\r\nx\r\n').read(11, 7, '$1\r\ny\r\n').read(12, 7, OK('u')).write(1, 7, OK('x')).write(2, 7, OK('x'));
      return told(scene.pass(10 * SECOND).derive().sessions);
    };
    assert.deepEqual(found(false), ['/1: /a runtime proven, /b runtime proven', '/2: /up2 runtime proven']);
    assert.deepEqual(found(true), ['/1: /a runtime proven', '/2: /up2 runtime proven']);
  });

  it('says nothing of a socket that gets the number of one that was closed', () => {
    const scene = both().say(11, 1).write(11, 7, GET('/up1')).read(11, 7, OK('u')).close(11, 7).connect(13, 7, { socketInode: 11 }).write(13, 7, GET('/unsaid')).read(13, 7, OK('u')).write(1, 7, OK('x')).write(2, 7, OK('x'));
    const { sessions, ambient } = scene.pass(10 * SECOND).derive();
    assert.deepEqual([told(sessions), ambient.map((talk) => path(talk.request))], [['/1: /up1 runtime proven', '/2: '], ['/unsaid']]);
  });

  it('ties nothing more once the service says no more', () => {
    const scene = both();
    scene.say(11, 1).write(11, 7, GET('/up1')).read(11, 7, OK('u')).write(11, 7, GET('/unsaid'));
    const { sessions } = answered(scene).derive();
    assert.deepEqual(told(sessions).map((one) => one.replace(/, \/unsaid (?!runtime).*/, '')), ['/1: /up1 runtime proven', '/2: ']);
  });

  it('proves nothing of a session during which events were lost', () => {
    const scene = both();
    scene.say(11, 1).lost('ring-full', 3).write(11, 7, GET('/up1'));
    assert.deepEqual(told(answered(scene).derive().sessions)[0], '/1: /up1 runtime likely');
  });

  it('takes whatever comes next on a connection whose positions the runtime does not know (TLS)', () => {
    const scene = both();
    scene.say(11, 1, { at: -1, sure: 0 }).write(11, 7, GET('/up1')).read(11, 7, OK('u')).say(11, 2, { at: -1, sure: 0 }).write(11, 7, GET('/up2'));
    assert.deepEqual(told(answered(scene).derive().sessions), ['/1: /up1 runtime likely', '/2: /up2 runtime likely']);
  });

  it('finds its way on a unix socket that is older than the recorder, which counts from where it came', () => {
    const scene = new Scene().accept(1, 7).accept(2, 7);
    scene.open(11, 7, 'seen', { family: 'unix', role: 'outbound', remote: { host: 'unix:/run/db', port: 0 } });
    const say = (n: number, at: number, inbound: number): void => {
      scene.helper(7, 'runtime', { body: JSON.stringify({ n, out: 11, at: 5_000 + at, sure: 1, in: inbound, read: scene.of(inbound).ingress, nth: 0 }) });
    };
    scene.read(1, 7, GET('/1')).read(2, 7, GET('/2'));
    say(0, 0, 2);
    scene.write(11, 7, GET('/up2')).read(11, 7, OK('u'));
    say(1, GET('/up2').length, 1);
    scene.write(11, 7, GET('/up1')).read(11, 7, OK('u'));
    for (const n of [1, 2]) scene.write(n, 7, OK('x'));
    assert.deepEqual(told(scene.pass(10 * SECOND).derive().sessions), ['/1: /up1 runtime proven', '/2: /up2 runtime proven']);
  });

  it('is no more than likely for pipelined requests', () => {
    const scene = new Scene().accept(1, 7).connect(11, 7).connect(12, 7).read(1, 7, GET('/1') + GET('/2'));
    [0, 1].forEach((nth) => {
      scene.helper(7, 'runtime', { body: JSON.stringify({ n: nth, out: 11 + nth, at: 0, sure: 1, in: 1, read: scene.of(1).ingress, nth }) }).write(11 + nth, 7, GET(`/up${nth}`));
    });
    for (const n of [11, 12]) scene.read(n, 7, OK('u'));
    scene.write(1, 7, OK('x')).write(1, 7, OK('x')).pass(10 * SECOND);
    assert.deepEqual(told(scene.derive().sessions), ['/1: /up0 runtime likely', '/2: /up1 runtime likely']);
  });
});

describe('a word of the runtime', () => {
  const WORD = { n: 7, out: 311, at: 90, sure: 1, in: 300, read: 412, nth: 0 };

  it('is read with and without a request, and as a beat', () => {
    assert.deepEqual(parse(COMMAND + JSON.stringify(WORD)), { n: 7, out: 311, note: { at: 90, sure: true, request: { inode: 300, read: 412, nth: 0 } } });
    assert.deepEqual(parse(`${COMMAND}{"n":1,"out":2,"at":-1,"sure":0}`), { n: 1, out: 2, note: { at: -1, sure: false, request: undefined } });
    assert.deepEqual(parse(`${COMMAND}{"beat":8}`), { beat: 8 });
  });

  it('is nothing where it is cut short at any byte, or is anything else', () => {
    const whole = COMMAND + JSON.stringify(WORD);
    for (let length = 0; length < whole.length; length += 1) assert.equal(parse(whole.slice(0, length)), undefined, whole.slice(0, length));
    for (const [name, wrong] of [['n', -1], ['n', 'x'], ['out', 0], ['out', 1.5], ['at', -2], ['at', null], ['sure', 2], ['in', 'x'], ['read', -2], ['nth', 1e300]] as const) {
      assert.equal(parse(COMMAND + JSON.stringify({ ...WORD, [name]: wrong })), undefined, `${name} ${wrong}`);
    }
    for (const text of ['null', '[]', '7', `${' '.repeat(2_000)}{"beat":8}`, '\0\0\xff']) assert.equal(parse(COMMAND + text), undefined);
    assert.equal(parse('to-koala!thread-shutdown\n{"beat":8}'), undefined);
  });
});

describe('notes of the runtime', () => {
  const word = (n: number, out: number, at: number): Word => ({ n, out, note: { at, sure: true, request: undefined } });

  it('hold from their position up to the next one', () => {
    const notes = new RuntimeNotes();
    [0, 50, 90].forEach((at, n) => notes.take(5, word(n, 3, at), at));
    assert.equal(notes.at(3, 49)?.at, 0);
    assert.equal(notes.at(3, 50)?.at, 50);
    assert.equal(notes.at(3, 1_000)?.at, 90);
    assert.equal(notes.at(4, 0), undefined);
  });

  it('say nothing of a call that begins after more of the answers was read, unless they name its very beginning', () => {
    const notes = new RuntimeNotes();
    notes.take(5, word(0, 3, 10), 10, 100);
    assert.equal(notes.at(3, 40, 100)?.at, 10);
    assert.equal(notes.at(3, 40, 120), undefined);
    assert.equal(notes.at(3, 10, 120)?.at, 10);
  });

  it('of one process hold where a word of another is lost, and of a socket that both speak of, only what was said last', () => {
    const notes = new RuntimeNotes();
    notes.take(5, word(0, 3, 0), 0);
    notes.take(6, word(0, 4, 0), 0);
    notes.take(6, word(2, 7, 0), 0);
    assert.deepEqual([notes.at(3, 10)?.at, notes.at(4, 10)], [0, undefined]);
    notes.take(6, word(3, 3, 50), 50);
    assert.deepEqual([notes.at(3, 10), notes.at(3, 60)?.at], [undefined, 50]);
  });

  it('are those of the processes that live, however many have been', () => {
    const notes = new RuntimeNotes();
    notes.take(5, word(0, 3, 0), 0);
    for (let tgid = 10; tgid < 5_000; tgid += 1) {
      notes.take(tgid, { beat: 1 }, 0);
      notes.exit(tgid);
    }
    assert.equal(notes.speaks(5), true);
  });

  it('are bounded, whatever a service says', () => {
    const notes = new RuntimeNotes();
    for (let n = 0; n < 1_000; n += 1) notes.take(5, word(n, 3, n), n);
    assert.equal(notes.at(3, 10), undefined);
    assert.equal(notes.at(3, 999)?.at, 999);
    for (let n = 0; n < 70_000; n += 1) notes.take(5, word(1_000 + n, 10 + n, 0), 0);
    assert.equal(notes.at(3, 999), undefined);
  });
});
