import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { GET, OK, pathIn, Scene, strays, textOf } from '../sessions/scene.ts';
import type { DerivationOptions } from '../../../src/sessions/derivation.ts';
import type { Findings } from '../sessions/scene.ts';

const told = ({ sessions }: Findings, of: (text: string) => string = pathIn): string[] => sessions.map(({ inbound, outbound }) =>
  [pathIn(textOf(inbound.request)), ...outbound.map((call) => `${of(textOf(call.request))} ${call.attribution} ${call.certainty}`)].join(', '));

/** An event loop that has read both requests before it acts. */
const both = (one: string, two: string): Scene => new Scene().connect(11, 1).connect(12, 1).accept(1, 7).accept(2, 7).read(1, 7, GET(one)).read(2, 7, GET(two)).wait(2_000);
const ended = (scene: Scene, one = 'x', two = 'x'): Scene => {
  scene.write(1, 7, OK(one)).write(2, 7, OK(two));
  for (const connection of [1, 2, 11, 12]) scene.close(connection);
  return scene;
};
const redis = (...words: string[]): string => `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;

describe('content', () => {
  it('ties a call to the session whose request has its rare words', () => {
    const scene = both('/orders/481216', '/orders/990017').write(11, 7, GET('/stock?order=990017')).write(12, 7, GET('/stock?order=481216')).read(11, 7, OK('u')).read(12, 7, OK('u'));
    assert.deepEqual(told(ended(scene).derive()), ['/orders/481216, /stock?order=481216 content likely', '/orders/990017, /stock?order=990017 content likely']);
  });

  it('ties a call to the session that had them in an answer before, and not to one that has them in an answer after', () => {
    const scene = both('/users/mia-550e8400', '/users/tom-6ba7b810').write(11, 7, GET('/of/mia-550e8400')).read(11, 7, OK('{"cart":"7f3a-99c1-4d20"}'));
    scene.write(12, 7, GET('/carts/7f3a-99c1-4d20')).read(12, 7, OK('u')).write(11, 7, GET('/of/tom-6ba7b810')).read(11, 7, OK('{"last":"7f3a-99c1-4d20"}'));
    assert.deepEqual(told(ended(scene).derive()), ['/users/mia-550e8400, /of/mia-550e8400 content likely, /carts/7f3a-99c1-4d20 content likely', '/users/tom-6ba7b810, /of/tom-6ba7b810 content likely']);
  });

  it('takes no word of an answer that came after the call, also where its session is known by then', () => {
    const scene = both('/users/mia-550e8400', '/users/tom-6ba7b810').write(11, 7, GET('/of/tom-6ba7b810')).write(12, 7, GET('/of/mia-550e8400')).read(12, 7, OK('{"cart":"7f3a-99c1-4d20"}'));
    scene.write(12, 7, GET('/carts/7f3a-99c1-4d20')).read(12, 7, OK('u')).read(11, 7, OK('{"last":"7f3a-99c1-4d20"}'));
    assert.deepEqual(told(ended(scene).derive())[0], '/users/mia-550e8400, /of/mia-550e8400 content likely, /carts/7f3a-99c1-4d20 content likely');
  });

  it('ties a call to the session that repeats in a later call what it was answered', () => {
    const scene = both('/users/mia-550e8400', '/users/tom-6ba7b810').write(11, 7, GET('/next')).read(11, 7, OK('{"number":5512907}')).write(12, 7, GET('/use/5512907?by=mia-550e8400')).read(12, 7, OK('u'));
    assert.deepEqual(told(ended(scene).derive()), ['/users/mia-550e8400, /next content likely, /use/5512907?by=mia-550e8400 content likely', '/users/tom-6ba7b810']);
  });

  it('ties nothing that speaks for two sessions alike, and names the other where one is far ahead', () => {
    const move = (target: string): Findings => ended(both('/orders/481216?with=733305', '/orders/990017').write(11, 7, GET(target)).read(11, 7, OK('u'))).derive();
    assert.deepEqual(strays(move('/move?from=481216&to=990017')), ['/move?from=481216&to=990017']);
    const { sessions } = move('/move?from=481216&and=733305&to=990017');
    assert.deepEqual(sessions.map(({ outbound }) => outbound.map(({ attribution, certainty, alternatives }) => [attribution, certainty, alternatives])), [[['content', 'likely', [sessions[1]!.id]]], []]);
  });

  it('ties a call to the session whose response shows what it was answered', () => {
    const scene = both('/a', '/b').write(11, 7, GET('/next')).write(12, 7, GET('/next')).read(11, 7, OK('{"number":5512907}')).read(12, 7, OK('{"number":5512908}'));
    const found = ended(scene, 'yours is 5512908', 'yours is 5512907').derive();
    assert.deepEqual(found.sessions.map(({ outbound }) => outbound.map((call) => textOf(call.response))), [[OK('{"number":5512908}')], [OK('{"number":5512907}')]]);
    assert.deepEqual(found.sessions.map(({ certificate }) => certificate.state), ['complete', 'complete']);
  });

  it('reads what is compressed and chunked', () => {
    const zipped = gzipSync('{"number":"c0ffee-5512907"}').toString('latin1');
    const answer = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n${zipped.length.toString(16)}\r\n${zipped}\r\n0\r\n\r\n`;
    const scene = both('/a', '/b').write(11, 7, GET('/next')).read(11, 7, answer);
    assert.deepEqual(told(ended(scene, 'x', 'c0ffee-5512907').derive()), ['/a', '/b, /next content likely']);
  });

  it('ties nothing by words that stand in two sessions, or by few and common ones', () => {
    const two = both('/orders/481216', '/orders/481216').write(11, 7, GET('/stock?order=481216')).read(11, 7, OK('u'));
    assert.deepEqual(strays(ended(two).derive()), ['/stock?order=481216']);
    const few = both('/page/100', '/page/200').write(11, 7, GET('/list?limit=100')).read(11, 7, OK('u')).write(12, 7, GET('/about/page')).read(12, 7, OK('u'));
    assert.deepEqual(strays(ended(few).derive()), ['/list?limit=100', '/about/page']);
  });

  it('ties nothing by what two sessions have, however many rare words that is, nor by names, nor twice by a word that the answer only repeats', () => {
    const alike = both('/orders/481216?cart=c0ffee77a1', '/orders/481216?cart=c0ffee77a1').write(11, 7, GET('/stock?order=481216&cart=c0ffee77a1')).read(11, 7, OK('u'));
    assert.deepEqual(strays(ended(alike).derive()), ['/stock?order=481216&cart=c0ffee77a1']);
    const names = both('/apples/green/ripened', '/bananas/yellow/overdue').write(11, 7, GET('/list?fruit=apples&colour=green&state=ripened')).read(11, 7, OK('u'));
    assert.deepEqual(strays(ended(names).derive()), ['/list?fruit=apples&colour=green&state=ripened']);
    const echoed = both('/a/742', '/b/519').write(11, 7, GET('/x/742')).read(11, 7, OK('742'));
    assert.deepEqual(strays(ended(echoed, '742').derive()), ['/x/742']);
  });

  it('ties a call to the session that has its id in another call only, but no call by a number that such calls may all have', () => {
    const scene = both('/users/mia-550e8400', '/users/tom-6ba7b810').write(11, 7, GET('/of/mia-550e8400?cart=c0ffee7719021&limit=8234')).read(11, 7, OK('u'));
    scene.write(12, 7, GET('/carts/c0ffee7719021')).read(12, 7, OK('u')).write(12, 7, GET('/more?limit=8234')).read(12, 7, OK('u'));
    const found = ended(scene).derive();
    assert.deepEqual([told(found)[0], strays(found)], ['/users/mia-550e8400, /of/mia-550e8400?cart=c0ffee7719021&limit=8234 content likely, /carts/c0ffee7719021 content likely', ['/more?limit=8234']]);
  });

  it('ties each command by itself where one write carries those of several sessions, and each gets its own answer', () => {
    const scene = both('/u/aa481216', '/u/bb990017').write(11, 7, redis('GET', 'u:bb990017') + redis('GET', 'u:aa481216') + redis('INCR', 'n:bb990017'));
    scene.read(11, 7, '$1\r\n1\r\n$1\r\n2\r\n:3\r\n');
    const { sessions } = ended(scene).derive();
    assert.deepEqual(sessions.map(({ outbound }) => outbound.map((call) => [textOf(call.request), textOf(call.response)])), [
      [[redis('GET', 'u:aa481216'), '$1\r\n2\r\n']], [[redis('GET', 'u:bb990017'), '$1\r\n1\r\n'], [redis('INCR', 'n:bb990017'), ':3\r\n']],
    ]);
  });

  it('ties the commands of three sessions that one write carries, each with its own answer', () => {
    const scene = new Scene().connect(11, 1);
    const users = ['aa481216', 'bb990017', 'cc733305'];
    users.forEach((user, at) => scene.accept(at + 1, 7).read(at + 1, 7, GET(`/u/${user}`)));
    scene.wait(2_000).write(11, 7, [2, 0, 1].map((at) => redis('GET', `u:${users[at]}`)).join('')).read(11, 7, '$1\r\n2\r\n$1\r\n0\r\n').read(11, 7, '$1\r\n1\r\n');
    users.forEach((_, at) => scene.write(at + 1, 7, OK('x')).close(at + 1));
    assert.deepEqual(scene.close(11).derive().sessions.map(({ outbound, certificate }) => [...outbound.map((call) => [textOf(call.request), textOf(call.response)]), certificate.state]),
      users.map((user, at) => [[redis('GET', `u:${user}`), `$1\r\n${at}\r\n`], 'complete']));
  });

  it('moves a call that a loop seemed to make for what it read last, where others are without a tie, and names that one', () => {
    const scene = both('/orders/481216', '/orders/990017').write(12, 7, GET('/stock?order=990017')).accept(3, 7).read(3, 7, GET('/orders/777123')).write(11, 7, GET('/stock?order=481216'));
    const found = ended(scene.read(11, 7, OK('u')).read(12, 7, OK('u')).write(3, 7, OK('x')).close(3)).derive();
    assert.deepEqual(told(found), ['/orders/481216, /stock?order=481216 content likely', '/orders/990017, /stock?order=990017 content likely', '/orders/777123']);
    assert.deepEqual(found.sessions[0]!.outbound[0]!.alternatives, [found.sessions[2]!.id]);
  });

  it('does not take words that all such calls have for those of the first session that made one', () => {
    const scene = new Scene().connect(11, 1).connect(12, 1);
    for (let n = 1; n <= 8; n += 1) scene.accept(100 + n, 7).read(100 + n, 7, GET(`/n${n}`));
    scene.wait(2_000);
    // The first is known by what it got; the others have nothing but the statement.
    for (let n = 1; n <= 8; n += 1) scene.write(11, 7, GET('/query?select=orders+customers+returning+limit+1000+stmt42')).read(11, 7, OK(n === 1 ? '5512907-77' : 'u'));
    for (let n = 1; n <= 8; n += 1) scene.write(100 + n, 7, OK(n === 1 ? '5512907-77' : 'x')).close(100 + n);
    assert.deepEqual(scene.close(11).close(12).derive().sessions.map(({ outbound }) => outbound.length), [1, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('goes by ids alone where the process makes such calls also while no request waits: numbers that count up are the same for a timer', () => {
    const beat = (scene: Scene, answer: string): Scene => scene.write(12, 7, GET('/beat/1?turn=7')).read(12, 7, OK(answer));
    const tied = (told: string): string[][] => {
      const scene = beat(new Scene().connect(11, 1).connect(12, 1).accept(1, 7).accept(2, 7), '{"n":1}').read(1, 7, GET('/a')).read(2, 7, GET('/b')).wait(2_000);
      return ended(beat(scene, `{"n":"${told}"}`), `{"turn":"${told}"}`).derive().sessions.map(({ outbound }) => outbound.map((call) => call.attribution));
    };
    assert.deepEqual([tied('4711'), tied('c0ffee-5512907')], [[[], []], [['content'], []]]);
  });

  it('uses nothing that it is told to leave out', () => {
    const scene = ended(both('/orders/481216', '/orders/990017').write(11, 7, GET('/stock?order=990017')).read(11, 7, OK('u')));
    const hidden: Partial<DerivationOptions> = { hide: (text) => text.replaceAll(/\d{6}/g, '') };
    assert.deepEqual([told(scene.derive())[1], told(scene.derive(hidden))[1]], ['/orders/990017, /stock?order=990017 content likely', '/orders/990017']);
  });

  it('is never wrong where each of many requests on their way has an id, whatever the order of its calls', () => {
    let seed = 7;
    const below = (limit: number): number => ((seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) >> 8) % limit;
    let tied = 0;
    for (let round = 0; round < 20; round += 1) {
      const scene = new Scene();
      for (let n = 0; n < 4; n += 1) scene.connect(10 + n, 1);
      const ids = Array.from({ length: 24 }, (_, n) => `${n}x${below(1e9)}`);
      ids.forEach((id, n) => scene.accept(100 + n, 7).read(100 + n, 7, GET(`/${id}?page=${below(3) + 1000}`)));
      const queue = [...ids, ...ids, ...ids].sort(() => below(3) - 1);
      for (const id of queue) {
        const connection = 10 + below(4);
        scene.wait(below(2_000)).write(connection, 7, GET(`/of/${id}?limit=1000`)).wait(below(500)).read(connection, 7, OK(`{"total":${below(2_000)}}`));
      }
      ids.forEach((id, n) => scene.write(100 + n, 7, OK(`{"total":${below(2_000)}}`)).close(100 + n));
      for (let n = 0; n < 4; n += 1) scene.close(10 + n);
      for (const { inbound, outbound } of scene.derive().sessions) {
        const id = pathIn(textOf(inbound.request)).slice(1).split('?')[0];
        assert.deepEqual(outbound.map((call) => pathIn(textOf(call.request))), Array(outbound.length).fill(`/of/${id}?limit=1000`), `round ${round}`);
        tied += outbound.length;
      }
    }
    // A total that another was answered by chance leaves a few in doubt.
    assert.ok(tied > 0.95 * 20 * 24 * 3, `${tied} tied`);
  });
});
