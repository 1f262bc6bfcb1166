import assert from 'node:assert/strict';
import { traceJson, traceLines, traceTree } from '../../../src/report/trace-tree.ts';
import type { TraceNode } from '../../../src/report/trace-tree.ts';
import type { Chunk, OutboundTalk, Session } from '../../../src/sessions/session.ts';
import { besides, GET, OK, pathIn, Scene, textOf } from '../sessions/scene.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const plain = (text: string): string => text;
const paint = { dim: plain, bold: plain, cyan: plain, green: plain, yellow: plain, red: plain };
const marked = (target: string, span: string): string => `GET ${target} HTTP/1.1\r\nHost: x\r\ntraceparent: 00-${TRACE}-${span.repeat(16)}-01\r\n\r\n`;
const told = (nodes: readonly TraceNode[]): string[] => nodes.map(({ session, parent }) =>
  `${pathIn(textOf(session.inbound.request))}${parent === undefined ? '' : ` of ${pathIn(textOf(parent.session.inbound.request))} by ${parent.by}`}`);

/** Process 100 calls process 200 on a connection, of which both ends were seen. `port`: of the far end, as the other one has it. */
function twoServices(port: number, inner: string): Scene {
  const scene = new Scene().workers();
  scene.accept(1, 21).connect(11, 21, { local: { host: '10.0.0.1', port: 41_000 }, remote: { host: '10.0.0.5', port: 8_000 } }).read(1, 21, marked('/front', 'a')).write(11, 21, marked('/back', 'b'));
  scene.tgid = 200;
  scene.accept(2, 31, { local: { host: '10.0.0.5', port: 8_000 }, remote: { host: '10.0.0.1', port } }).read(2, 31, inner).write(2, 31, OK('y')).close(2, 31);
  scene.tgid = 100;
  return scene.read(11, 21, OK('y')).write(1, 21, OK('x')).close(1, 21).close(11, 21);
}

describe('a trace', () => {
  it('joins sessions of two processes by the two ends of one connection', () => {
    assert.deepEqual(told(traceTree(besides(twoServices(41_000, GET('/back')).derive().sessions))), ['/front', '/back of /front by connection']);
  });

  it('joins them by the span that the one names and the other carries, where the addresses differ on the way', () => {
    assert.deepEqual(told(traceTree(besides(twoServices(52_000, marked('/back', 'b')).derive().sessions))), ['/front', '/back of /front by span']);
    assert.deepEqual(told(traceTree(besides(twoServices(52_000, marked('/back', 'c')).derive().sessions))), ['/front', '/back']);
  });

  it('joins each of several calls that are open on one connection at a time by its span, as HTTP/2 carries them', () => {
    const [front, , ...others] = besides(twoServices(41_000, marked('/back', 'b')).derive().sessions) as [Session, Session];
    assert.equal(others.length, 0);
    const [call] = front.outbound as [OutboundTalk];
    const bytes = (text: string): Chunk[] => [{ atUs: call.request[0]?.atUs ?? 0, tid: 21, bytes: Buffer.from(text) }];
    const both: Session = { ...front, outbound: ['b', 'c'].map((span) => ({ ...call, request: bytes(marked(`/${span}`, span)) })) };
    const child = (span: string): Session => ({ ...front, id: span, startedAtUs: (call.request[0]?.atUs ?? 0) + 1, outbound: [], inbound: {
      ...front.inbound, connection: { ...front.inbound.connection, local: call.connection.remote, remote: call.connection.local }, request: bytes(marked(`/of-${span}`, span)),
    } });
    const nodes = traceTree([both, child('b'), child('c')]);
    assert.deepEqual(nodes.map(({ session, parent }) => [session.id, parent?.call === undefined ? undefined : both.outbound.indexOf(parent.call), parent?.by]), [[front.id, undefined, undefined], ['b', 0, 'connection'], ['c', 1, 'connection']]);
  });

  it('is drawn as a tree, and told as JSON with who was called by whose call', () => {
    const nodes = traceTree(besides(twoServices(41_000, marked('/back', 'b')).derive().sessions));
    const [front, back] = nodes.map(({ session }) => session.id) as [string, string];
    const lines = [...traceLines(TRACE, nodes, paint)].slice(2);
    assert.match(lines[0] as string, new RegExp(`^ {2}${front} .* 200 GET /front$`));
    assert.match(lines[1] as string, new RegExp(`^ {4}${back} .* 200 GET /back \\(by its connection\\)$`));
    const [one, two] = traceJson(TRACE, nodes).sessions as [Record<string, unknown>, Record<string, unknown>];
    assert.deepEqual([one['id'], one['parent'], one['trace']], [front, undefined, { traceId: TRACE, spanId: 'a'.repeat(16) }]);
    assert.deepEqual([two['id'], two['parent']], [back, { id: front, call: 0, by: 'connection' }]);
  });
});
