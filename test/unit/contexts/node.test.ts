import assert from 'node:assert/strict';
import { FIRST_NODE_ANSWERED, FIRST_NODE_REQUEST, FIRST_NODE_SHARED, NODE_NOBODY, NODE_PARTS } from '../../../src/events/event.ts';
import { GET, OK, Scene, SECOND, strays, told } from '../sessions/scene.ts';

/** Node's one thread is 7. Its memory is read at each write. */
class Node extends Scene {
  /** Written for what `number` says. */
  wrote(connection: number, text: string, number: number): this {
    return this.write(connection, 7, text, { context: number });
  }

  /** To what client connection `connection` is at. */
  answer(connection: number): this {
    return this.wrote(connection, OK('x'), FIRST_NODE_REQUEST + connection);
  }

  /** What is written `nth` is for several; `began`: for the last ones of these. */
  shares(nth: number, numbers: readonly number[], began = false): this {
    for (const [at, parent] of numbers.entries()) {
      this.nowUs += 10;
      this.add({ kind: 'goroutine', atUs: this.nowUs, tgid: this.tgid, tid: 7, context: share(nth) + at, snapshot: false, parent, function: '', role: 'task', began });
    }
    return this;
  }

  end(...connections: readonly number[]): this {
    for (const connection of connections) this.close(connection);
    return this;
  }
}

const share = (nth: number): number => FIRST_NODE_SHARED + nth * NODE_PARTS;
const for1 = FIRST_NODE_REQUEST + 1;
const for2 = FIRST_NODE_REQUEST + 2;
const before1 = FIRST_NODE_ANSWERED + 1;

/** Two clients' requests, and connections to two dependencies. */
const two = (): Node => new Node().accept(1, 7).accept(2, 7).connect(11, 7).connect(12, 7).read(1, 7, GET('/1')).read(2, 7, GET('/2')).wait(2_000);
const COMMAND = (key: string): string => `*2\r\n$3\r\nGET\r\n$${key.length}\r\n${key}\r\n`;
const NONE = '$-1\r\n';
/** Of each session the calls' first words. */
const commands = (scene: Scene): string[] => scene.derive().sessions.map(({ inbound, outbound }) =>
  `${/\/\d/.exec(shown(inbound.request))?.[0]}: ${outbound.map(({ request }) => /\$\d+\r\n(\w)\r\n$/.exec(shown(request))?.[1]).join(' ')}`);
const shown = (chunks: readonly object[]): string => chunks.map((chunk) => Buffer.from((chunk as { bytes: Uint8Array }).bytes).toString('latin1')).join('');

describe('what Node\'s memory says of a call', () => {
  it('is believed: it is of the request that this connection is at', () => {
    const scene = two().wrote(11, GET('/up2'), for2).wrote(12, GET('/up1'), for1).read(11, 7, OK('u')).read(12, 7, OK('u')).answer(1).answer(2).end(1, 2, 11, 12);
    assert.deepEqual(told(scene.derive()), ['/1: /up1 runtime likely; complete', '/2: /up2 runtime likely; complete']);
  });

  it('is, where it is of the request before, of the one that was answered last over this connection', () => {
    const scene = two().answer(1).wait(1_000).read(1, 7, GET('/3')).wait(2_000).wrote(11, GET('/left'), before1).read(11, 7, OK('u')).answer(1).answer(2).end(1, 2, 11);
    assert.deepEqual(told(scene.derive()).map((line) => line.split(';')[0]), ['/1: /left runtime likely', '/2: ', '/3: ']);
  });

  it('is of nobody that is known, where it is of a request before, and several were answered over this connection', () => {
    const scene = two().answer(1).wait(1_000).read(1, 7, GET('/3')).answer(1).wait(1_000).read(1, 7, GET('/4')).wait(2_000).wrote(11, GET('/left'), before1);
    assert.deepEqual(strays(scene.read(11, 7, OK('u')).answer(1).answer(2).end(1, 2, 11).derive()), ['/left']);
  });

  for (const [what, number] of [['of a request that was answered', before1 + 8], ['of none', NODE_NOBODY]] as const) {
    it(`speaks, where it is ${what}, against the only one that is open`, () => {
      const scene = new Node().accept(1, 7).accept(9, 7).connect(11, 7).read(1, 7, GET('/1')).wait(2_000).wrote(11, GET('/left'), number).read(11, 7, OK('u')).answer(1).end(1, 11);
      const found = scene.derive({ reasons: true });
      assert.deepEqual([told(found), strays(found), found.ambient[0]?.whyNot?.[0]], [['/1: ; incomplete'], ['/left'], 'waited-for-by-none']);
    });
  }

  it('does not speak, where it is of none, against the one whose request was just read: nobody may wait for it yet', () => {
    const scene = (number: number): Scene => new Node().accept(1, 7).accept(9, 7).connect(11, 7).read(1, 7, GET('/1')).wrote(11, GET('/up'), number).read(11, 7, OK('u')).answer(1).end(1, 11);
    assert.deepEqual(told(scene(NODE_NOBODY).derive()), ['/1: /up thread likely; complete']);
    assert.deepEqual(told(scene(before1 + 8).derive()), ['/1: ; incomplete']);
  });

  it('which says nothing is as if it had not been read', () => {
    const scene = new Node().accept(1, 7).connect(11, 7).read(1, 7, GET('/1')).wait(2_000).write(11, 7, GET('/up')).read(11, 7, OK('u')).answer(1).end(1, 11);
    assert.deepEqual(told(scene.derive()), ['/1: /up thread likely; complete']);
  });
});

describe('what Node writes for several requests at a time', () => {
  const written = (numbers: readonly number[], keys: readonly string[], ofList = false): Node =>
    two().shares(1, numbers, ofList).wrote(11, keys.map(COMMAND).join(''), share(1)).read(11, 7, NONE.repeat(keys.length)).answer(1).answer(2).end(1, 2, 11) as Node;

  it('is of each also where the send was gathered from several places, at any of which a part of it may begin that is told by itself', () => {
    const text = ['a', 'b', 'c'].map(COMMAND).join('');
    for (let at = 1; at < text.length; at += 1) {
      const scene = two().wrote(11, COMMAND('k'), for1).read(11, 7, NONE).shares(1, [for1, for2, for1]).write(11, 7, text.slice(0, at), { context: share(1), more: true });
      scene.write(11, 7, text.slice(at), { context: share(1) }).read(11, 7, NONE.repeat(3));
      assert.deepEqual(commands((scene as Node).answer(1).answer(2).end(1, 2, 11)), ['/1: k a c', '/2: b'], `split at ${at}`);
    }
  });

  it('is of each what its callback leads to, in order', () => {
    assert.deepEqual(commands(written([for2, for1, for2], ['a', 'b', 'c'])), ['/1: b', '/2: a c']);
  });

  it('is of nobody where a callback leads to nothing', () => {
    assert.deepEqual(commands(written([for2, 0, for1], ['a', 'b', 'c'])), ['/1: c', '/2: a']);
  });

  it('is of nobody where there are not as many callbacks as calls', () => {
    assert.deepEqual(commands(written([for2, for1], ['a', 'b', 'c'])), ['/1: ', '/2: ']);
    assert.deepEqual(commands(written([for2, for1, for2], ['a', 'b'])), ['/1: ', '/2: ']);
  });

  it('is of the last ones where they are those of a list of all who wait', () => {
    assert.deepEqual(commands(written([for2, for1, for2], ['a', 'b', 'c'], true)), ['/1: b', '/2: a c']);
    assert.deepEqual(commands(written([for2, for1, for2], ['a', 'b'], true)), ['/1: a', '/2: b']);
    assert.deepEqual(commands(written([for2, for1], ['a', 'b', 'c'], true)), ['/1: ', '/2: ']);
  });

  it('is told anew where the numbers of writes come round again', () => {
    const scene = two().shares(1, [for2, for1]).shares(1, [for1, for1]).wrote(11, COMMAND('a') + COMMAND('b'), share(1)).read(11, 7, NONE.repeat(2));
    assert.deepEqual(commands(scene.answer(1).answer(2).end(1, 2, 11)), ['/1: a b', '/2: ']);
  });

  it('is of nobody where its beginning was not told', () => {
    const scene = two().shares(1, [for2, for1]);
    scene.events.splice(scene.events.findIndex((event) => event.kind === 'goroutine'), 1);
    assert.deepEqual(commands(scene.wrote(11, COMMAND('a') + COMMAND('b'), share(1)).read(11, 7, NONE.repeat(2)).wait(SECOND).answer(1).answer(2).end(1, 2, 11)), ['/1: ', '/2: ']);
  });
});
