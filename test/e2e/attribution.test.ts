/** Attribution and truth on real services under 16 concurrent clients; the figures are printed and kept in docs/attribution.md. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { bytesOf, type SessionJson, type StreamJson } from './contract.ts';
import { whyNotRecordable } from './recorder.ts';
import { printed, resultOf, writeResult } from './results.ts';
import { runScenario, type PartResult, type ScenarioResult } from './scenario.ts';
import { byCertainty, idsIn, ridOf } from './score.ts';
import { nodeDrivers, whyNoDrivers } from './services/drivers.ts';
import type { NodeRelease } from './services/node-releases.ts';
import { goOverHttp2, goService, GO_REFRESH_RID, whyNotGo, type GoOverHttp2 } from './services/go.ts';
import { grpcPair, whyNotGrpc } from './services/grpc.ts';
import { gunicorn } from './services/gunicorn.ts';
import { javaService, whyNotJava, type JavaWay } from './services/java.ts';
import { named } from './services/named.ts';
import { nginxProxy } from './services/nginx.ts';
import { nodeService, REFRESH_RID } from './services/node.ts';
import { php } from './services/php.ts';
import { RID } from './services/rid.ts';
import { rustService, whyNotRust } from './services/rust.ts';
import type { Service } from './services/service.ts';
import { loop, whyNotLoop } from './services/loops.ts';
import { started } from './services/started.ts';
import { skipIf } from '../skip.ts';

const CLIENTS = 16;
/** So many of the requests go to event loops one at a time, before the others. */
const ALONE = 40;
/** After so many, V8 has compiled and optimized all that a request takes. */
const LONG = 3000;

interface Scenario {
  readonly name: string;
  /** Why it can't be run here. */
  readonly whyNot?: () => string | undefined;
  /** Its calls repeat the id, and content is to find them by it, where nothing else does: 99 of 100, rightly. */
  readonly byContent?: true;
  /** Which of Python's contexts runs is read: so it finds them where the ids are hidden. */
  readonly byContext?: true;
  readonly make: () => Promise<Service>;
  /** Every connection is older than the recorder. */
  readonly warm?: true;
  /** Holds a part that takes one request a thread (or process) at a time: 100% is asked of it. */
  readonly threadPerRequest?: true;
  /** Every call is tied, rightly, however sure. */
  readonly everyCall?: 'proven' | 'likely';
  /** So it is where the ids are hidden. */
  readonly everyHidden?: true;
  /** It says each request's path as what it read from storage. */
  readonly tells?: true;
  readonly clients?: number;
  /** Also with 64 clients, where that is written down (scripts/attribution-table): it takes longer than a test may. */
  readonly busier?: true;
  readonly background?: readonly string[];
  /** The runtime is asked: 100% is asked of it too, and that all of it is proven. */
  readonly asked?: true;
  /** Whose its calls are is read from the runtime's memory, as it is by itself: 9 of 10 calls are told with the ids hidden. */
  readonly memory?: true;
  /** It is read otherwise than by itself: not at all, or however long it takes. */
  readonly readMemory?: 'none' | 'node';
  readonly requests?: number;
  /** Its requests wait for threads that they share: with the ids hidden, some of its calls are tied by who wakes whom. */
  readonly pool?: true;
  /** The runtime knows who handed which call to a pool. */
  readonly handsOver?: true;
}

const drivers = (how: 'asked' | 'its memory not read' | 'by itself', more: Partial<Scenario> & { readonly unix?: true; readonly release?: NodeRelease } = {}): Scenario => ({
  name: `a Node${more.release === undefined ? '' : ` ${more.release}`} service with undici, http.Agent, pg, mysql2${more.unix ? ' by a unix socket' : ''} and ioredis, ${how === 'by itself' ? '' : `${how}, `}${more.clients ?? CLIENTS} clients${more.warm ? ', every connection older than the recorder' : ''}`,
  make: () => nodeDrivers({ ...(how !== 'by itself' && { how }), ...(more.unix && { unix: true }), ...(more.release && { release: more.release }) }),
  whyNot: () => whyNoDrivers(more.release), background: [REFRESH_RID],
  ...(how === 'asked' ? { asked: true } : how === 'by itself' ? { memory: true } : { readMemory: 'none' }), ...more,
});

const overHttp2 = (by: GoOverHttp2['by'], more: Partial<Scenario> & Pick<GoOverHttp2, 'how' | 'workers'> = {}): Scenario => ({
  name: `two Go services, of which one asks the other ${by === 'grpc' ? 'by gRPC' : 'over net/http\'s HTTP/2'}, ${more.clients ?? CLIENTS} clients${more.how === undefined ? '' : ', stripped'}${more.workers === undefined ? '' : `, with ${more.workers} stream workers`}${more.warm ? ', every connection older than the recorder' : ''}`,
  make: () => goOverHttp2({ by, ...(more.how !== undefined && { how: more.how }), ...(more.workers !== undefined && { workers: more.workers }) }), whyNot: () => whyNotGo(more.how) ?? whyNotGrpc(), everyCall: 'proven', everyHidden: true, ...more,
});

const java = (way: JavaWay, how: string, more: Partial<Scenario> = {}): Scenario => ({
  name: `a servlet on Tomcat ${how}${more.warm ? ', every connection older than the recorder' : ''}`, make: () => javaService(way), whyNot: () => whyNotJava(way), ...more,
});

const SCENARIOS: readonly Scenario[] = [
  { name: 'gunicorn gthread, 16 threads, with requests, psycopg2 by TCP and redis-py', make: () => gunicorn({ worker: 'gthread', sql: 'tcp' }), threadPerRequest: true },
  { name: 'the same, every connection older than the recorder', make: () => gunicorn({ worker: 'gthread', sql: 'tcp' }), threadPerRequest: true, warm: true },
  { name: 'the same gunicorn, with 64 clients', make: () => gunicorn({ worker: 'gthread', sql: 'tcp' }), threadPerRequest: true, clients: 64 },
  { name: 'gunicorn sync, 4 processes, with psycopg2 by a unix socket', make: () => gunicorn({ worker: 'sync', sql: 'unix' }), threadPerRequest: true, busier: true },
  { name: 'php-fpm behind nginx by TCP, with MariaDB by its unix socket', make: () => php('tcp'), threadPerRequest: true, busier: true },
  { name: 'php-fpm behind nginx by a unix socket, with MariaDB by its unix socket', make: () => php('unix'), threadPerRequest: true },
  { name: 'gunicorn gthread, whose handlers start threads that call, and run curl', make: () => started('threads'), everyCall: 'proven', busier: true },
  { name: 'gunicorn gthread, whose handlers run curl', make: () => started('curl'), everyCall: 'proven', busier: true },
  { name: 'gunicorn gthread, whose handlers hand their calls to a pool that was made in one of their requests', make: () => started('pool'), byContext: true, busier: true },
  { name: 'an event loop that names each request by helper datagrams before it reads it', make: () => named('before'), everyCall: 'proven', tells: true, busier: true },
  { name: 'an event loop that names each request by helper datagrams once it has read it', make: () => named('late'), everyCall: 'likely', tells: true },
  { name: 'threads whose calls are made by four workers, which say by helper datagrams for which thread', make: () => named('pool'), everyCall: 'likely', busier: true },
  { name: 'a Go service with errgroup, net/http, pgx and go-redis', make: () => goService(), whyNot: () => whyNotGo(), everyCall: 'proven', busier: true },
  { name: 'the same Go service, stripped, every connection older than the recorder', make: () => goService({ how: 'stripped' }), whyNot: () => whyNotGo('stripped'), everyCall: 'proven', warm: true },
  { name: 'a Go service that leaves work over and has a timer', make: () => goService({ leftOvers: true }), whyNot: () => whyNotGo(), background: [GO_REFRESH_RID] },
  { name: 'a Go service that calls by gRPC over one connection', make: () => grpcPair(), whyNot: whyNotGrpc, everyCall: 'proven', everyHidden: true, busier: true },
  { name: 'the same by net/http over one connection of HTTP/2', make: () => grpcPair('http2'), whyNot: whyNotGrpc, everyCall: 'likely', everyHidden: true },
  overHttp2('grpc'),
  overHttp2('grpc', { clients: 64 }),
  overHttp2('grpc', { warm: true, how: 'stripped' }),
  overHttp2('grpc', { workers: 4 }),
  overHttp2('grpc', { workers: 32 }),
  overHttp2('http2'),
  overHttp2('http2', { clients: 64 }),
  { name: 'nginx as reverse proxy with upstream keep-alive', make: nginxProxy },
  { name: 'the same nginx, every connection older than the recorder', make: nginxProxy, warm: true },
  { name: 'the same nginx, with 64 clients', make: nginxProxy, clients: 64 },
  { name: 'a Node service with a pooled agent and one Redis connection', make: () => nodeService(), byContent: true, memory: true },
  { name: 'the same Node service, its memory not read', make: () => nodeService({ notRead: true }), byContent: true, readMemory: 'none' },
  { name: 'the same Node service, with 64 clients', make: () => nodeService(), byContent: true, memory: true, clients: 64 },
  { name: 'the same Node service, every connection older than the recorder', make: () => nodeService(), byContent: true, memory: true, warm: true },
  ...([['node', 'a Node service with undici, pg and ioredis, whose commands share writes', { memory: true }], ['asyncio', 'aiohttp with asyncpg and redis.asyncio, with gather', { byContext: true }]] as const)
    .flatMap(([kind, what, more]) => [16, 64].map((clients): Scenario => ({ name: `${what}, with ${clients} clients`, make: () => loop(kind), whyNot: () => whyNotLoop(kind), byContent: true, clients, ...more }))),
  { name: 'the same Node service, busy until all of it is optimized', make: () => loop('node', 'busy for long'), whyNot: () => whyNotLoop('node'), byContent: true, requests: LONG },
  { name: 'the same Node service, busy until all of it is optimized, its memory read at each call', make: () => loop('node', 'busy for long, its memory read at each call'), whyNot: () => whyNotLoop('node'), memory: true, readMemory: 'node', requests: LONG },
  { name: 'the same aiohttp, every connection older than the recorder', make: () => loop('asyncio'), whyNot: () => whyNotLoop('asyncio'), byContent: true, byContext: true, warm: true },
  { name: 'a Node service that leaves work over and has a timer, under one client at a time', make: () => nodeService({ leftOvers: true }), clients: 1, background: [REFRESH_RID], memory: true },
  { name: 'the same Node service that leaves work over, its memory not read', make: () => nodeService({ leftOvers: true, notRead: true }), clients: 1, background: [REFRESH_RID], readMemory: 'none' },
  java('servlet', 'whose servlet thread calls by JDBC, HttpURLConnection and Jedis', { threadPerRequest: true, busier: true }),
  java('threads', 'whose handlers start a thread for each call', { byContent: true, busier: true }),
  java('executor', 'whose handlers hand their calls to four threads that they share', { byContent: true, handsOver: true }),
  java('executor', 'whose handlers hand their calls to four threads that they share', { byContent: true, handsOver: true, clients: 64 }),
  java('executor-zgc', 'whose handlers hand their calls to four threads that they share, with ZGC', { byContent: true, handsOver: true, busier: true }),
  java('executor-shenandoah', 'whose handlers hand their calls to four threads that they share, with Shenandoah', { byContent: true, handsOver: true, busier: true }),
  java('executor-untold', 'whose handlers hand their calls to four threads that they share, with Shenandoah and -XX:-UsePerfData, where who has made which task is not known', { byContent: true, pool: true }),
  java('virtual', 'on virtual threads, whose handlers start one more for each call', { byContent: true, handsOver: true, busier: true }),
  java('virtual-own', 'on virtual threads, which call by JDBC, HttpURLConnection and Jedis', { everyCall: 'likely', everyHidden: true, busier: true }),
  java('http-client', 'that calls by java.net.http.HttpClient', { byContent: true, busier: true }),
  java('apache-async', 'that calls by Apache HttpAsyncClient', { byContent: true, busier: true }),
  java('lettuce', 'that calls by one Lettuce connection', { byContent: true, busier: true }),
  java('servlet', 'whose servlet thread calls by JDBC, HttpURLConnection and Jedis', { threadPerRequest: true, warm: true }),
  java('http-client', 'that calls by java.net.http.HttpClient', { byContent: true, warm: true }),
  java('lettuce', 'that calls by one Lettuce connection', { byContent: true, warm: true }),
  { name: 'a Rust service on tokio with axum and reqwest', make: rustService, whyNot: whyNotRust, byContent: true, busier: true },
  { name: 'the same Rust service, every connection older than the recorder', make: rustService, whyNot: whyNotRust, byContent: true, warm: true },
  drivers('by itself', { busier: true }),
  drivers('its memory not read'),
  drivers('asked'),
  drivers('asked', { clients: 64 }),
  drivers('asked', { warm: true, unix: true }),
  ...([22, 24, 26] as const).flatMap((release) => [drivers('by itself', { release }), drivers('asked', { release })]),
];

const withBusier = (one: Scenario): Scenario[] => process.env['KOALA_WRITE_DOCS'] === '1' && one.busier === true ? [one, { ...one, name: `${one.name}, with 64 clients`, clients: 64 }] : [one];

for (const { name, make, whyNot, warm, threadPerRequest, everyCall, everyHidden, tells, byContent, byContext, clients = CLIENTS, background = [], asked, memory, readMemory, requests, pool, handsOver } of SCENARIOS.flatMap(withBusier)) {
  const REQUESTS = requests ?? (clients > 16 ? 640 : 320);
  describe(name, function () {
    this.timeout(400_000);
    let result: ScenarioResult;

    before(async function () {
      skipIf(this, await whyNotRecordable() ?? whyNot?.());
      result = await runScenario(make, { requests: REQUESTS, alone: threadPerRequest === true || clients === 1 ? 0 : ALONE, clients, background, warm: warm === true, ...(asked ? { flags: ['--instrument', 'node'] } : readMemory !== undefined && { flags: ['--read-memory', readMemory] }) });
      for (const { part, score, hidden } of result.parts) {
        const ids = byContext || part.discipline === 'event-loop' ? [[score, 'shown'], [hidden, 'hidden']] as const : [[score, 'shown']] as const;
        for (const [found, shown] of ids) {
          const measured = resultOf(part.name, part.discipline, warm === true, clients, found, shown === 'hidden');
          console.log(printed(measured));
          for (const example of found.examples) console.log(`        ${example}`);
          if (process.env['KOALA_WRITE_DOCS'] === '1') writeResult(measured);
        }
      }
    });

    it('did what it is written to do: each dependency logged exactly the calls of each request', () => {
      assert.deepEqual(result.truthErrors.slice(0, 5), []);
      assert.equal(result.exchanges.length, REQUESTS);
    });

    it('lost no byte, as the summary of the recording says', () => {
      assert.deepEqual(result.summary.lost, { bytes: 0, byCause: {} });
    });

    it('is one session for each request that was sent, and none besides', () => {
      for (const { part, sessions } of result.parts) {
        const rids = sessions.map((session) => ridOf(session) ?? `no single id in: ${bytesOf(session.inbound.request).toString('latin1').slice(0, 200)}`);
        assertSameList(rids, result.exchanges.map((each) => each.rid), part.name);
      }
    });

    it('answered in each session, byte for byte, what the client of that request got', () => {
      let checked = 0;
      const got = new Map(result.exchanges.map((each) => [each.rid, each]));
      for (const { part, sessions } of result.parts) {
        for (const session of sessions) {
          const exchange = got.get(ridOf(session) ?? '')!;
          const sent = bytesOf(session.inbound.response);
          const [recorded, truth] = part.answerBody === undefined ? [sent, exchange.response] : [part.answerBody(sent), exchange.body];
          assert.ok(recorded.equals(truth), `${part.name}, ${exchange.rid}: ${recorded.length} bytes recorded, the client got ${truth.length}`);
          checked += 1;
        }
      }
      assert.equal(checked, REQUESTS * result.parts.length);
    });

    it('accounts for each client connection to the byte: where it began to see it, how much, and its digest', () => {
      const recorded = result.clientConnections.map(({ role, remote, ingress, egress, sessions }) => told(role, remote, ingress, egress, sessions));
      assertSameList(recorded, clientsOwnAccount(result), 'client connections');
    });

    it('has every call that a dependency answered in exactly one talk, and no id in another one\'s talk', () => {
      for (const { part, score } of result.parts) {
        assert.deepEqual({ lost: score.lost, surplus: score.surplus, crossed: score.crossed }, { lost: 0, surplus: 0, crossed: 0 },
          `${part.name}\n${score.examples.join('\n')}`);
        assert.equal(score.right + score.wrong + score.unattributed, score.calls, part.name);
      }
    });

    if (memory) it('ties 9 of 10 calls with the ids hidden, two fifths of all and more by what stands in its memory, none of these wrongly', () => {
      for (const { part, hidden } of result.parts) {
        const read = hidden.rows.filter(({ attribution }) => attribution === 'runtime');
        assert.deepEqual(read.map(({ certainty, wrong }) => ({ certainty, wrong })), [{ certainty: 'likely', wrong: 0 }], `${part.name}\n${hidden.examples.join('\n')}`);
        assert.ok((read[0]?.right ?? 0) * 5 >= hidden.calls * 2 && hidden.right * 10 >= hidden.calls * 9, `${read[0]?.right}, and ${hidden.right} in all, of ${hidden.calls}`);
      }
    });

    if (asked) it('ties every call, rightly, as proven, for the runtime said so', () => {
      for (const { part, score } of result.parts) {
        const rows = score.rows.map(({ certainty, attribution, right, wrong }) => ({ certainty, attribution, right, wrong }));
        assert.deepEqual(rows, [{ certainty: 'proven', attribution: 'runtime', right: score.calls, wrong: 0 }], `${part.name}\n${score.examples.join('\n')}`);
        assert.equal(score.unattributed, 0);
      }
    });

    if (asked) it('has what the service does by itself in no session', () => {
      for (const { score } of result.parts) {
        assert.equal(score.background.tied, 0);
        assert.ok(score.background.ambient > 0);
      }
    });

    it('is never wrong where it says proven', () => {
      for (const { part, score } of result.parts) assert.equal(byCertainty(score, 'proven').wrong, 0, `${part.name}\n${score.examples.join('\n')}`);
    });

    it('counts in each session\'s ties what its outbound calls say', () => {
      for (const { sessions } of result.parts) {
        for (const session of sessions) {
          const count = (certainty: string): number => session.outbound.filter((call) => call.certainty === certainty).length;
          assert.deepEqual([session.ties.proven, session.ties.likely], [count('proven'), count('likely')], session.id);
        }
      }
    });

    if (threadPerRequest) it('ties every call of a thread-per-request process, rightly, and as proven up to the answer', () => {
      const parts = result.parts.filter(({ part }) => part.discipline === 'thread-per-request');
      assert.equal(parts.length, 1);
      for (const each of parts) assertThreadPerRequest(each);
    });

    if (everyCall !== undefined) it(`ties every call, rightly, some of them ${everyCall}`, () => {
      for (const { part, score } of result.parts) {
        assert.deepEqual({ right: score.right, wrong: score.wrong, unattributed: score.unattributed }, { right: score.calls, wrong: 0, unattributed: 0 },
          `${part.name}\n${score.examples.join('\n')}`);
      }
      assert.ok(result.parts.some(({ score }) => byCertainty(score, everyCall).right > 0));
    });

    if (everyHidden) it('ties every call, rightly, where the ids are hidden from it', () => {
      for (const { part, hidden } of result.parts) {
        assert.deepEqual({ right: hidden.right, wrong: hidden.wrong, unattributed: hidden.unattributed }, { right: hidden.calls, wrong: 0, unattributed: 0 }, `${part.name}\n${hidden.examples.join('\n')}`);
      }
    });

    if (tells) it('keeps in each session what the service said that it read from storage for it', () => {
      for (const { sessions } of result.parts) {
        for (const session of sessions) assert.deepEqual(session.told?.map(({ command, text }) => [command, ridIn(text ?? '')]), [['read-storage', ridOf(session)]]);
      }
    });

    if (byContent) it('ties 99 of 100 calls, and 99 of 100 ties are right', () => {
      for (const { part, score } of result.parts) {
        assert.ok(score.right >= 0.99 * score.calls && score.wrong <= 0.01 * score.calls, `${part.name}: ${score.right} right, ${score.wrong} wrong of ${score.calls}\n${score.examples.join('\n')}`);
      }
    });

    if (byContext) it('ties 99 of 100 calls where the ids are hidden from it, and 999 of 1000 ties are right', () => {
      for (const { part, hidden } of result.parts) {
        assert.ok(hidden.right >= 0.99 * hidden.calls && hidden.wrong <= 0.001 * hidden.calls, `${part.name}: ${hidden.right} right, ${hidden.wrong} wrong of ${hidden.calls}\n${hidden.examples.join('\n')}`);
      }
    });

    if (handsOver) it('ties 9 of 10 calls where the ids are hidden from it, and 999 of 1000 ties are right', () => {
      for (const { part, hidden } of result.parts) {
        assert.ok(hidden.right >= 0.9 * hidden.calls && hidden.wrong <= 0.001 * hidden.calls, `${part.name}: ${hidden.right} right, ${hidden.wrong} wrong of ${hidden.calls}\n${hidden.examples.join('\n')}`);
      }
    });

    if (pool) it('ties calls by who wakes whom where the ids are hidden, 99 of 100 of these ties rightly', () => {
      for (const { part, hidden } of result.parts) {
        const { right, wrong } = hidden.rows.find(({ attribution }) => attribution === 'handed-over') ?? { right: 0, wrong: 0 };
        assert.ok(right >= 0.05 * hidden.calls && wrong <= 0.01 * (right + wrong), `${part.name}: ${right} right, ${wrong} wrong of ${hidden.calls} calls`);
      }
    });

    it('is right in 95 of 100 ties where the ids are hidden from it, and never wrong where it says proven', () => {
      for (const { part, hidden } of result.parts) {
        assert.ok(hidden.wrong <= 0.05 * (hidden.right + hidden.wrong), `${part.name}\n${hidden.examples.join('\n')}`);
        assert.equal(byCertainty(hidden, 'proven').wrong, 0, part.name);
      }
    });

    if (threadPerRequest) it('ties the words that carry no id (a database\'s greeting, COM_QUIT) to no other session than their connection\'s', () => {
      for (const { part, score } of result.parts.filter((each) => each.part.discipline === 'thread-per-request')) {
        const { wrong, unattributed } = score.silent;
        assert.deepEqual({ wrong, unattributed }, { wrong: 0, unattributed: 0 }, part.name);
      }
    });

    if (threadPerRequest && !warm) it('certifies every session of a thread-per-request process complete', () => {
      for (const { part, sessions, ambient } of result.parts.filter((each) => each.part.discipline === 'thread-per-request')) {
        assert.equal(sessions.length, REQUESTS);
        const doubtful = sessions.filter((session) => session.certificate.state !== 'complete');
        const nobodys = ambient.map((talk) => `\n    ${talk.connection.remote}: ${JSON.stringify(bytesOf(talk.request).toString('latin1').slice(0, 80))}`);
        assert.equal(doubtful.length, 0, `${part.name}: ${doubtful.length} of ${sessions.length}, for example ${JSON.stringify(doubtful[0]?.certificate)}; nobody's:${nobodys.slice(0, 4).join('')}`);
      }
    });

    it('marks the calls that were made after the answer, and no others', () => {
      let marked = 0;
      for (const { part, sessions } of result.parts) {
        for (const session of sessions) marked += assertAfterResponse(part.name, session);
      }
      const wanted = result.exchanges.filter((each) => each.target.includes('after=1')).length;
      assert.ok(threadPerRequest ? marked === wanted : marked <= wanted, `${marked} marked of ${wanted}`);
    });

    if (threadPerRequest && !warm) it('keeps what each database connection said before its first call as a prologue', () => {
      let checked = 0;
      for (const { sessions, truths } of result.parts) {
        const logins = truths.filter((truth) => truth.kind === 'postgresql' || truth.kind === 'mysql').flatMap((truth) => truth.destinations);
        for (const session of sessions) {
          const used = new Set(session.outbound.filter((call) => logins.includes(call.connection.remote)).map((call) => call.connection.id));
          const kept = new Set(session.prologues.filter((each) => each.chunks.length >= 2).map((each) => each.connection));
          checked += used.size;
          for (const connection of used) assert.ok(kept.has(connection), `session ${session.id}: no prologue of connection ${connection}`);
        }
      }
      assert.ok(checked >= REQUESTS, `only ${checked} uses of database connections`);
    });
  });
}

const ridIn = (text: string): string | undefined => text.match(RID)?.[0];

/** The same members, each as often; says which are missing and which are too many. */
function assertSameList(recorded: readonly string[], truth: readonly string[], what: string): void {
  const missing = [...truth];
  const surplus = recorded.filter((each) => {
    const at = missing.indexOf(each);
    if (at >= 0) missing.splice(at, 1);
    return at < 0;
  });
  const some = (list: readonly string[]): string => list.slice(0, 4).map((each) => `\n    ${each}`).join('');
  assert.ok(missing.length === 0 && surplus.length === 0,
    `${what}: ${recorded.length} recorded, ${truth.length} in truth;\n  ${missing.length} missing:${some(missing)}\n  ${surplus.length} too many:${some(surplus)}`);
}

/** What a thread does once the answer is out might be somebody else's work: those ties must be right, but needn't be proven. */
function assertThreadPerRequest({ part, sessions, score }: PartResult): void {
  const proven = byCertainty(score, 'proven');
  const after = sessions.flatMap((session) => session.outbound)
    .filter((call) => call.afterResponse === true && call.certainty !== 'proven' && idsIn(call.request).length > 0).length;
  assert.deepEqual({ right: score.right, wrong: score.wrong, unattributed: score.unattributed, proven: proven.right },
    { right: score.calls, wrong: 0, unattributed: 0, proven: score.calls - after }, `${part.name}\n${score.examples.join('\n')}`);
}

function told(role: string, remote: string, ingress: StreamJson, egress: StreamJson, sessions: number): string {
  const stream = ({ from, bytes, sha256, gaps }: StreamJson): string => `${bytes} bytes from ${from}, ${sha256.slice(0, 16)}, ${gaps.length} gaps`;
  return `${role} ${remote}: in ${stream(ingress)}; out ${stream(egress)}; ${sessions} sessions`;
}

/** The same as `told`, by what the clients wrote down. */
function clientsOwnAccount(result: ScenarioResult): string[] {
  return [...new Set(result.exchanges.map((each) => each.connection))].map((connection) => {
    const exchanges = result.exchanges.filter((each) => each.connection === connection);
    const earlier = result.earlier.filter((each) => each.connection === connection);
    const stream = (side: 'request' | 'response'): StreamJson => {
      const bytes = Buffer.concat(exchanges.map((each) => each[side]));
      const from = earlier.reduce((sum, each) => sum + each[side].length, 0);
      return { from, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex'), gaps: [] };
    };
    return told('inbound', exchanges[0]!.from, stream('request'), stream('response'), exchanges.length);
  });
}

/** How many calls with an id this session marks; throws where the mark is missing or too much. Such calls name `audit`. */
function assertAfterResponse(name: string, session: SessionJson): number {
  let marked = 0;
  for (const call of session.outbound) {
    const ids = idsIn(call.request);
    if (ids.length === 0) continue;
    const isAudit = bytesOf(call.request).includes('audit');
    const isOwn = ids[0] === ridOf(session);
    if (isOwn) assert.equal(call.afterResponse === true, isAudit, `${name}, ${session.id}: ${bytesOf(call.request).toString('latin1').slice(0, 80)}`);
    if (isAudit && isOwn) marked += 1;
  }
  return marked;
}
