/**
 * Traces of real services: a front in Node and a back in Python, each with OpenTelemetry's SDK and with its driver's sqlcommenter, under 16 clients. What the
 * recording says of whose a call is, and of who called whom, is held against the spans that the SDKs themselves tell.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { bytesOf, type OutboundJson, type SessionJson } from './contract.ts';
import { exported, koalaOk, Recorder, whyNotRecordable } from './recorder.ts';
import { Clients, type Asked } from './services/client.ts';
import { removeDir, temporaryDir } from './services/daemon.ts';
import { traced, whyNotTraced, type Span, type Traced } from './services/otel.ts';
import { RID, ridMaker } from './services/rid.ts';
import { skipIf } from '../skip.ts';

const COUNT = 160;
const CLIENTS = 16;
/** Kinds of evidence that count for more than a trace id, and it. */
const STRONG = new Set(['thread', 'goroutine', 'virtual-thread', 'helper', 'delegation', 'born', 'runtime', 'trace']);
/** Kinds that say that there was nobody else: a trace id would tell the same. */
const ALONE = new Set(['elimination', 'continuation']);
/** Traces that are looked at as a person would, one command each. */
const SHOWN = 2;

interface Shown {
  readonly sessions: readonly {
    readonly id: string;
    readonly process: { readonly tgid: number };
    readonly summary: string;
    readonly trace?: { readonly traceId?: string; readonly spanId?: string };
    readonly parent?: { readonly id: string; readonly call: number; readonly by: string };
  }[];
}

const hex = (bytes: number): string => randomBytes(bytes).toString('hex');
/** Unix µs of an RFC 3339 text with µs. */
const microsecondsOf = (text: string): number => Date.parse(text.slice(0, 19) + 'Z') * 1000 + Number(text.slice(20, 26));
const ridIn = (session: SessionJson): string => bytesOf(session.inbound.request).toString('latin1').match(RID)?.[0] ?? '';
const traceparentIn = (call: OutboundJson): RegExpExecArray | null => /traceparent(?:: |=')00-([0-9a-f]{32})-([0-9a-f]{16})/i.exec(bytesOf(call.request).toString('latin1'));

// With Node's memory not read, and as it is by itself: what the SDK wraps a driver's callbacks in leads to many requests, and not only to the one that asks.
for (const [kind, ...flags] of [['trace', '--read-memory', 'none'], ['runtime']]) describe(['traces across services', ...flags].join(' '), function () {
  this.timeout(180_000);
  let folder = '';
  let dir = '';
  let services: Traced;
  let spans: Span[] = [];
  let sessions: SessionJson[] = [];
  let ambient: number;
  const asked: Asked[] = [];
  /** Asked at once, all under one trace id. */
  const shared: Asked[] = [];
  const sharedTrace = hex(16);

  before(async function () {
    this.timeout(400_000);
    skipIf(this, whyNotTraced() ?? await whyNotRecordable());
    folder = temporaryDir('trace');
    dir = join(folder, 'rec');
    services = await traced();
    const clients = new Clients(services.port, CLIENTS, { keepAlive: true });
    const recorder = await Recorder.attach([services.front, services.back], dir, flags);
    try {
      const rid = ridMaker();
      for (let n = 0; n < COUNT; n += 1) {
        // Of every fourth the front begins the trace.
        asked.push({ rid: rid(n), target: `/work/${rid(n)}`, ...(n % 4 === 3 ? {} : { headers: { traceparent: `00-${hex(16)}-${hex(8)}-01` } }) });
      }
      for (let n = COUNT; n < COUNT + CLIENTS; n += 1) shared.push({ rid: rid(n), target: `/work/${rid(n)}`, headers: { traceparent: `00-${sharedTrace}-${hex(8)}-01` } });
      for (const load of [asked, shared]) for (const { status, body, rid } of await clients.send(load)) assert.deepEqual([status, body.toString()], [200, `${rid}: ${rid}0,${rid}1`]);
      const { lost } = await recorder.stop();
      assert.equal(lost.bytes, 0);
      spans = services.spans();
    } finally {
      recorder.kill();
      clients.close();
      await services.stop().catch(() => undefined);
    }
    const found = await exported(dir);
    [sessions, ambient] = [found.sessions, found.ambient.length];
  });

  after(() => { if (folder !== '') removeDir(folder); });

  const ofFront = (): SessionJson[] => sessions.filter(({ process }) => process.tgid === services.front);
  const sessionOf = ({ rid }: Asked): SessionJson => ofFront().find((session) => ridIn(session) === rid) as SessionJson;
  /** The front's span of that request, as its SDK has it. */
  const spanOf = ({ target }: Asked): Span => spans.find(({ path }) => path === target) as Span;
  const show = async (trace: string): Promise<Shown> => JSON.parse((await koalaOk(['show', dir, '--trace', trace, '--json'])).join('\n')) as Shown;

  it('puts each call, of both services, into the session that made it, and says why: no call of a request that brought its trace needs anything weaker than that', () => {
    assert.equal(sessions.length, 3 * (COUNT + CLIENTS));
    assert.equal(ambient, 0);
    const weak: string[] = [];
    const brought = new Set(asked.filter(({ headers }) => headers !== undefined).map(({ rid }) => rid));
    for (const session of sessions) {
      assert.equal(session.certificate.state, 'complete', JSON.stringify(session.certificate));
      const rid = ridIn(session);
      assert.equal(session.outbound.length, session.process.tgid === services.front ? 3 : 1, rid);
      for (const call of session.outbound) {
        assert.deepEqual([...new Set(bytesOf(call.request).toString('latin1').match(RID))], [rid]);
        if (brought.has(rid) && !STRONG.has(call.attribution) && !ALONE.has(call.attribution)) weak.push(`${rid} ${call.attribution}`);
      }
    }
    assert.deepEqual(weak, []);
    const kinds = ofFront().flatMap(({ outbound }) => outbound.map(({ attribution }) => attribution));
    assert.ok(kinds.filter((one) => one === kind).length > kinds.length / 2, `${kinds.length} calls, tied by ${[...new Set(kinds)].join()}`);
  });

  it('reads in each call the span that the SDK sent it with, below the one of its request, in headers and in SQL comments', () => {
    const known = new Map(spans.map((span) => [span.spanId, span]));
    for (const session of sessions) {
      for (const call of session.outbound) {
        const [, traceId, spanId] = traceparentIn(call) ?? [];
        const span = known.get(spanId ?? '');
        assert.deepEqual([span?.traceId, known.get(span?.parentSpanId ?? '')?.path], [traceId, bytesOf(session.inbound.request).toString('latin1').split(' ')[1]], `${session.id} ${spanId}`);
      }
    }
  });

  for (const [how, from] of [['that a client brought', 0], ['that the front began', 3]] as const) {
    it(`finds the sessions of a trace ${how}, in both services, and shows them as the tree that the SDKs' spans make`, async () => {
      for (const request of asked.filter((_, n) => n % 4 === from).slice(0, SHOWN)) {
        const { traceId } = spanOf(request);
        const front = sessionOf(request);
        const listed = (await koalaOk(['ls', dir, '--json', '--trace', `00-${traceId}-${hex(8)}-01`])).map((line) => JSON.parse(line) as { id: string; trace?: { traceId?: string } });
        assert.deepEqual(new Set(listed.map(({ id }) => id)), new Set(sessions.filter((session) => ridIn(session) === request.rid).map(({ id }) => id)));
        assert.ok(listed.every(({ trace }) => trace?.traceId === traceId), JSON.stringify(listed));

        const [root, ...children] = (await show(traceId)).sessions;
        assert.deepEqual([root?.id, root?.parent, children.length], [front.id, undefined, 2]);
        for (const child of children) {
          assert.deepEqual([child.process.tgid === services.front, child.parent?.id], [false, front.id]);
          const call = front.outbound[child.parent?.call ?? -1] as OutboundJson;
          assert.equal(traceparentIn(call)?.[2], child.trace?.spanId);
          assert.equal(spans.find(({ spanId }) => spanId === child.trace?.spanId)?.parentSpanId, spanOf(request).spanId);
          assert.equal(child.summary.split(' ')[1], bytesOf(call.request).toString('latin1').split(' ')[1]);
        }
        const [first = '', ...others] = (await koalaOk(['show', dir, '--trace', traceId])).filter((line) => sessions.some(({ id }) => line.includes(id)));
        assert.deepEqual([first.includes(`GET ${request.target}`), others.length], [true, 2]);
        const depth = (line: string): number => line.search(/\S/);
        for (const line of others) assert.ok(depth(line) > depth(first) && /GET \/price\//.test(line), line);
      }
    });
  }

  it('does not believe a trace id under which a client asks several things at once, and still shows who called whom', async () => {
    const ids = new Set(shared.map(({ rid }) => rid));
    const front = ofFront().filter((session) => ids.has(ridIn(session))).map((session) => ({ ...session, fromUs: microsecondsOf(session.startedAt) }));
    // Each call is where its rid says (above); one that began while another request of that id had no answer is there for another reason.
    const believed: boolean[] = [];
    for (const session of front) {
      for (const { request: [first], attribution } of session.outbound) {
        const atUs = session.fromUs + (first as { atUs: number }).atUs;
        if (front.some((other) => other !== session && other.fromUs < atUs && atUs < other.fromUs + other.durationMs * 1000)) believed.push(attribution === 'trace');
      }
    }
    assert.ok(believed.length > 0, 'no two were open at the same time');
    assert.deepEqual(believed.filter((one) => one), []);
    const { sessions: tree } = await show(sharedTrace);
    assert.equal(tree.length, 3 * CLIENTS);
    const rids = new Map(sessions.map((session) => [session.id, ridIn(session)]));
    for (const { id, process, parent } of tree) assert.equal(parent === undefined ? undefined : rids.get(parent.id), process.tgid === services.front ? undefined : rids.get(id));
  });
});
