import assert from 'node:assert/strict';
import { GET, OK, textOf } from '../sessions/scene.ts';
import { GoScene } from './go-scene.ts';

describe('goroutines', () => {
  it('prove whose a call is, whatever threads they ran on and however requests overlap', () => {
    const scene = new GoScene().serve(1, 21).serve(2, 22).dial(11, 21).dial(12, 22);
    for (const round of [1, 2]) {
      scene.gets(1, 21, `/a${round}`).gets(2, 22, `/b${round}`).asks(12, 22, `/ub${round}`).asks(11, 21, `/ua${round}`);
      scene.isAnswered(11, 21).isAnswered(12, 22).answers(2, 22).answers(1, 21);
    }
    for (const connection of [1, 2, 11, 12]) scene.close(connection);
    assert.deepEqual(scene.told(), ['/a1: /ua1 goroutine proven', '/b1: /ub1 goroutine proven', '/a2: /ua2 goroutine proven', '/b2: /ub2 goroutine proven']);
  });

  it('work for what the one that began them worked for then, through one that never said a word', () => {
    const scene = new GoScene().ended().serve(1, 21).serve(2, 22).dial(11, 21).dial(12, 22).gets(1, 21, '/a').gets(2, 22, '/b');
    scene.begin(31, { parent: 21 }).begin(32, { parent: 31 }).begin(41, { parent: 22 });
    scene.calls(11, 32, '/ua').calls(12, 41, '/ub').calls(11, 32, '/uc').answers(1, 21).answers(2, 22);
    for (const connection of [1, 2, 11, 12]) scene.close(connection);
    assert.deepEqual(scene.told(), ['/a: /ua goroutine proven, /uc goroutine proven', '/b: /ub goroutine proven']);
  });

  it('are no more than likely while few of their kind were seen to end with their session', () => {
    const scene = new GoScene().serve(1, 21).dial(11, 21).gets(1, 21, '/a').begin(31, { parent: 21 }).calls(11, 31, '/ua').answers(1, 21).close(1).close(11);
    assert.deepEqual(scene.told(), ['/a: /ua goroutine likely']);
  });

  it('are nobody\'s where one of their kind went on after its session: a pool\'s workers', () => {
    const scene = new GoScene().ended().serve(1, 21).serve(2, 22).dial(11, 21).gets(1, 21, '/a');
    scene.begin(31, { parent: 21 }).calls(11, 31, '/ua').answers(1, 21).gets(1, 21, '/next').gets(2, 22, '/b').calls(11, 31, '/ub').answers(2, 22).answers(1, 21);
    for (const connection of [1, 2, 11]) scene.close(connection);
    assert.deepEqual(scene.told(), ['/a: ', '/next: ', '/b: ']);
  });

  it('that are only met may have begun for an earlier request: likely, and not even that once one was met too late', () => {
    const scene = new GoScene().ended().serve(1, 21).dial(11, 21).gets(1, 21, '/a').answers(1, 21).gets(1, 21, '/b');
    scene.begin(31, { parent: 21, runs: 'a1', met: true }).calls(11, 31, '/u1').answers(1, 21).gets(1, 21, '/c').answers(1, 21);
    assert.deepEqual(scene.close(1).close(11).told(), ['/a: ', '/b: /u1 goroutine likely', '/c: ']);
    const late = new GoScene().ended().serve(1, 21).dial(11, 21).gets(1, 21, '/a').answers(1, 21).begin(30, { parent: 21, runs: 'a1', met: true }).calls(11, 30, '/left');
    late.gets(1, 21, '/b').begin(31, { parent: 21, runs: 'a1', met: true }).calls(11, 31, '/u1').answers(1, 21);
    assert.deepEqual(late.close(1).close(11).told(), ['/a: /left goroutine likely', '/b: ']);
  });

  it('are no more than likely where their beginning was not seen, or who began them may serve several requests, however many of their kind end', () => {
    const met = new GoScene().ended('a1').serve(1, 21).dial(11, 21).gets(1, 21, '/a').answers(1, 21).gets(1, 21, '/b').begin(31, { parent: 21, runs: 'a1', met: true }).calls(11, 31, '/u').answers(1, 21);
    assert.deepEqual(met.close(1).close(11).told(), ['/a: ', '/b: /u goroutine likely']);
    const first = new GoScene().ended('a1').serve(1, 21).dial(11, 21).gets(1, 21, '/a').begin(31, { parent: 21, runs: 'a1', met: true }).calls(11, 31, '/u').answers(1, 21);
    assert.deepEqual(first.close(1).close(11).told(), ['/a: /u goroutine proven'], 'that one has read nothing before');
    const other = new GoScene().ended('a1').begin(21, { runs: 'cc' }).accept(1, 501, { context: 21 }).dial(11, 21).gets(1, 21, '/a').begin(31, { parent: 21, runs: 'a1' }).calls(11, 31, '/u').answers(1, 21);
    assert.deepEqual(other.close(1).close(11).told(), ['/a: /u goroutine likely']);
    const own = new GoScene().ended('a1').serve(1, 21).dial(11, 21).gets(1, 21, '/a').begin(31, { parent: 21, runs: 'a1' }).accept(2, 501, { context: 31 }) as GoScene;
    assert.deepEqual(own.gets(2, 31, '/b').calls(11, 31, '/u').answers(2, 31).answers(1, 21).close(1).close(2).close(11).told(), ['/a: ', '/b: /u goroutine likely'], 'it takes requests itself');
  });

  it('prove nothing where events were lost, requests were pipelined, or another goroutine wrote the answer or read that of the call; nor of one that takes up another request before', () => {
    const one = (more: (scene: GoScene) => GoScene): string[] => more(new GoScene().serve(1, 21).serve(2, 22).dial(11, 21)).close(1).close(2).close(11).told();
    assert.deepEqual(one((scene) => scene.gets(1, 21, '/a').calls(11, 21, '/u').answers(1, 21)), ['/a: /u goroutine proven']);
    assert.deepEqual(one((scene) => scene.gets(1, 21, '/a').answers(1, 21).calls(11, 21, '/u')), ['/a: /u goroutine likely'], 'it is answered');
    assert.deepEqual(one((scene) => (scene.gets(1, 21, '/a').lost('ring-full', 1) as GoScene).calls(11, 21, '/u').answers(1, 21)), ['/a: /u goroutine likely']);
    assert.deepEqual(one((scene) => scene.gets(1, 21, '/a').calls(11, 21, '/u').answers(1, 22)), ['/a: /u goroutine likely']);
    assert.deepEqual(one((scene) => scene.gets(1, 21, '/a').asks(11, 21, '/u').isAnswered(11, 22).answers(1, 21)), ['/a: /u goroutine likely']);
    assert.deepEqual(one((scene) => (scene.read(1, 501, GET('/a') + GET('/b'), { context: 21 }) as GoScene).calls(11, 21, '/u').answers(1, 21).calls(11, 21, '/v').answers(1, 21)), ['/a: /u goroutine likely', '/b: /v goroutine likely']);
    assert.deepEqual(one((scene) => scene.gets(1, 21, '/a').calls(11, 21, '/u').gets(2, 21, '/b').answers(2, 21).answers(1, 21)), ['/a: /u goroutine likely', '/b: ']);
  });

  it('are nobody\'s where it is not known with which function they began: others of their kind can\'t be looked at', () => {
    const scene = new GoScene().serve(1, 21).serve(2, 22).dial(11, 21).gets(1, 21, '/a').gets(2, 22, '/b').begin(31, { parent: 21, runs: '' }).calls(11, 31, '/u').answers(1, 21).answers(2, 22);
    assert.deepEqual(scene.close(1).close(2).close(11).told(), ['/a: ', '/b: ']);
  });

  it('of a connection write for who has it, and nobody\'s call is guessed where that is not told', () => {
    const scene = new GoScene().serve(1, 21).serve(2, 22).gets(1, 21, '/a').gets(2, 22, '/b').begin(50, { parent: 21 }).dial(11, 50);
    scene.begin(51, { parent: 50, role: 'reads-for', runs: 'aa' }).begin(52, { parent: 50, role: 'writes-for', runs: 'bb' });
    scene.onBehalf(52, 22).asks(11, 52, '/ub').isAnswered(11, 51).onBehalf(52, 21).asks(11, 52, '/ua').isAnswered(11, 51);
    scene.onBehalf(52, 0).asks(11, 52, '/whose').isAnswered(11, 51).answers(2, 22).answers(1, 21);
    for (const connection of [1, 2, 11]) scene.close(connection);
    assert.deepEqual(scene.told(), ['/a: /ua goroutine proven', '/b: /ub goroutine proven']);
    assert.deepEqual(scene.derive().ambient.map(({ request }) => textOf(request)), [GET('/whose')]);
  });

  it('are handed each request by itself: what is sent after its answer, where the kernel skipped who handed it over, is nobody\'s', () => {
    const scene = new GoScene().serve(1, 21).serve(2, 22).gets(1, 21, '/a').gets(2, 22, '/b').begin(50, { parent: 21 }).dial(11, 50);
    scene.begin(51, { parent: 50, role: 'reads-for', runs: 'aa' }).begin(52, { parent: 50, role: 'writes-for', runs: 'bb' });
    scene.onBehalf(52, 22).asks(11, 52, '/ub').isAnswered(11, 51).asks(11, 52, '/whose').isAnswered(11, 51);
    scene.onBehalf(52, 22).asks(11, 52, '/again').isAnswered(11, 51).answers(2, 22).answers(1, 21);
    for (const connection of [1, 2, 11]) scene.close(connection);
    assert.deepEqual(scene.told(), ['/a: ', '/b: /ub goroutine proven, /again goroutine proven']);
    assert.deepEqual(scene.derive().ambient.map(({ request }) => textOf(request)), [GET('/whose')]);
  });

  it('write a request in as many steps as they like, also where its answer comes before a send is told to have ended', () => {
    const post = 'POST /ub HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n';
    const scene = new GoScene().serve(1, 21).gets(1, 21, '/b').begin(50, { parent: 21 }).dial(11, 50);
    scene.begin(51, { parent: 50, role: 'reads-for', runs: 'aa' }).begin(52, { parent: 50, role: 'writes-for', runs: 'bb' });
    scene.onBehalf(52, 21).asks(11, 52, '/ua').isAnswered(11, 51);
    scene.onBehalf(52, 21).write(11, 502, post, { context: 52 }).write(11, 501, 'four', { context: 52 });
    const { nowUs: atUs, tgid } = scene;
    const { egress: position } = scene.of(11);
    scene.add({ kind: 'intent', connection: 11, direction: 'egress', atUs, tgid, tid: 501, context: 52, snapshot: false, position, length: 4 });
    scene.isAnswered(11, 51).write(11, 501, 'more', { context: 52 }).answers(1, 21);
    for (const connection of [1, 11]) scene.close(connection);
    assert.deepEqual(scene.told().at(-1), '/b: /ua goroutine proven, /ub goroutine proven');
  });

  it('that read ahead read for the one that serves the connection', () => {
    const scene = new GoScene().serve(1, 21).dial(11, 21).gets(1, 21, '/a').answers(1, 21).begin(30, { parent: 21, role: 'reads-ahead', runs: 'ee', met: true });
    scene.read(1, scene.thread(), 'G', { context: 30 }).read(1, scene.thread(), GET('/b').slice(1), { context: 21 }).calls(11, 21, '/ub').answers(1, 21);
    assert.deepEqual(scene.close(1).close(11).told(), ['/a: ', '/b: /ub goroutine proven']);
  });

  it('prove nothing where one reads several connections, or is not known to serve one at a time', () => {
    const scene = new GoScene().begin(21, { runs: 'cc' }).accept(1, 501, { context: 21 }).accept(2, 502, { context: 21 }).dial(11, 21);
    scene.gets(1, 21, '/a').gets(2, 21, '/b').calls(11, 21, '/u').answers(1, 21).answers(2, 21);
    for (const connection of [1, 2, 11]) scene.close(connection);
    assert.deepEqual(scene.told(), ['/a: ', '/b: ']);
    const one = new GoScene().begin(21, { runs: 'cc' }).accept(1, 501, { context: 21 }).dial(11, 21).gets(1, 21, '/a').calls(11, 21, '/u').answers(1, 21).close(1).close(11);
    assert.deepEqual(one.told(), ['/a: /u goroutine likely']);
  });

  it('make what threads seemed to say worth nothing: which goroutine ran on one was not known', () => {
    const scene = new GoScene().accept(1, 501).connect(11, 501).read(1, 501, GET('/a')).write(11, 501, GET('/ua')).read(11, 501, OK('u')).write(1, 501, OK('x'));
    scene.serve(2, 22).gets(2, 22, '/b').answers(2, 22);
    for (const connection of [1, 2, 11]) scene.close(connection);
    assert.deepEqual(scene.told(), ['/a: ', '/b: ']);
  });

  it('end with what their process ran: after an exec the same ids are others', () => {
    const scene = new GoScene().serve(1, 21).dial(11, 21).gets(1, 21, '/a').process('exec', 501).dial(12, 21).calls(12, 21, '/new').close(1).close(11).close(12);
    assert.deepEqual(scene.told(), ['/a: ']);
  });

  it('are told in each chunk, with the thread that they ran on', () => {
    const scene = new GoScene().serve(1, 21).dial(11, 21).gets(1, 21, '/a').calls(11, 21, '/u').answers(1, 21).close(1).close(11);
    const [chunk] = scene.derive().sessions[0]!.outbound[0]!.request;
    assert.ok(chunk !== undefined && 'goroutine' in chunk && chunk.goroutine === 21 && [501, 502].includes(chunk.tid), JSON.stringify(chunk));
  });
});
