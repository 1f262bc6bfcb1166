/**
 * How many talks a second are derived on one core, and whether memory stays flat. Synthetic traffic: threads that serve
 * keep-alive HTTP, alone (`plain`) or with a call to an HTTP upstream and one to Redis each (`calls`), an event loop with
 * 64 requests on their way (`loop`), or threads that put two calls each into the queue of a pool of four, and nothing tells whose they are (`pool`). Only the derivation is timed, not the making of the events,
 * in CPU time of the whole process (with its garbage collection), so that a busy machine doesn't show. It looks ahead as the index
 * does when a recording is read (src/store/outlook.ts); `--live`: as who derives while it is recorded, and can't.
 *
 *   node --expose-gc --import tsx bench/derive.ts [--sessions N] [--shape plain|calls|loop|pool] [--live] [--json]
 */
import { Derivation } from '../src/sessions/derivation.ts';
import type { DataEvent, Direction, Event, OpenEvent } from '../src/events/event.ts';

const REQUEST = Buffer.from('GET /orders/1234567 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n');
const BODY = '{"id":1234567,"items":[{"sku":"abc","count":2}],"total":"12.50"}';
const RESPONSE = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`);
const REDIS_GET = Buffer.from('*2\r\n$3\r\nGET\r\n$12\r\nuser:1234567\r\n');
const REDIS_VALUE = Buffer.from('$11\r\nhello world\r\n');
const THREADS = 64;
const TGID = 1000;
/** nginx at saturation on two cores makes about as many. */
const US_BETWEEN_EVENTS = 4;

class Traffic {
  #nowUs = 1_700_000_000_000_000;
  readonly #positions = new Map<number, { ingress: number; egress: number }>();

  open(connection: number, tid: number, inbound: boolean): OpenEvent {
    this.#positions.set(connection, { ingress: 0, egress: 0 });
    return {
      kind: 'open', connection, tid, tgid: TGID, atUs: this.#tick(), context: 0, snapshot: false, role: inbound ? 'inbound' : 'outbound',
      learnt: inbound ? 'accept' : 'connect', family: 'ipv4', local: { host: '10.0.0.1', port: inbound ? 80 : 30_000 + connection },
      remote: { host: '10.0.0.2', port: inbound ? 30_000 + connection : connection % 2 === 0 ? 6379 : 8080 }, netns: 1, socketInode: connection,
      ingressFrom: 0, egressFrom: 0, command: 'bench',
    };
  }

  data(connection: number, direction: Direction, tid: number, bytes: Uint8Array): DataEvent {
    const at = this.#positions.get(connection) as { ingress: number; egress: number };
    const position = at[direction];
    at[direction] += bytes.length;
    return {
      kind: 'data', connection, direction, tid, tgid: TGID, atUs: this.#tick(), context: 0, snapshot: false, position, length: bytes.length,
      cause: 'none', bytes, fromPacket: false, more: false,
    };
  }

  #tick(): number {
    return (this.#nowUs += US_BETWEEN_EVENTS);
  }
}

type Shape = (traffic: Traffic, round: number, out: Event[]) => number;

/** One request on each of the threads' connections; returns the talks made. */
const plain: Shape = (traffic, round, out) => {
  for (let thread = 0; thread < THREADS; thread += 1) {
    if (round === 0) out.push(traffic.open(1 + thread, 1, true));
    out.push(traffic.data(1 + thread, 'ingress', 10 + thread, REQUEST), traffic.data(1 + thread, 'egress', 10 + thread, RESPONSE));
  }
  return THREADS;
};

const calls: Shape = (traffic, round, out) => {
  for (let thread = 0; thread < THREADS; thread += 1) {
    const tid = 10 + thread;
    const upstream = 10_001 + 2 * thread;
    const redis = 10_002 + 2 * thread;
    if (round === 0) out.push(traffic.open(1 + thread, 1, true), traffic.open(upstream, tid, false), traffic.open(redis, tid, false));
    out.push(
      traffic.data(1 + thread, 'ingress', tid, REQUEST),
      traffic.data(upstream, 'egress', tid, REQUEST), traffic.data(upstream, 'ingress', tid, RESPONSE),
      traffic.data(redis, 'egress', tid, REDIS_GET), traffic.data(redis, 'ingress', tid, REDIS_VALUE),
      traffic.data(1 + thread, 'egress', tid, RESPONSE),
    );
  }
  return 3 * THREADS;
};

/** All requests are read, then all calls written, then all answers read, then all responses written: by one thread. */
const loop: Shape = (traffic, round, out) => {
  const each = (make: (at: number) => Event): void => {
    for (let at = 0; at < THREADS; at += 1) out.push(make(at));
  };
  if (round === 0) each((at) => traffic.open(1 + at, 10, true));
  if (round === 0) each((at) => traffic.open(10_001 + 2 * at, 10, false));
  for (let at = 0; at < THREADS; at += 1) {
    out.push(traffic.data(1 + at, 'ingress', 10, REQUEST), traffic.data(10_001 + 2 * at, 'egress', 10, REQUEST));
  }
  for (let at = 0; at < THREADS; at += 1) {
    out.push(traffic.data(10_001 + 2 * at, 'ingress', 10, RESPONSE), traffic.data(1 + at, 'egress', 10, RESPONSE));
  }
  return 2 * THREADS;
};

/** Sixteen at a time; the first rounds one by one, so that it is known what such requests put in. */
const pool: Shape = (traffic, round, out) => {
  const alone = 40, clients = 16, workers = 4;
  if (round === 0) for (let at = 0; at < clients; at += 1) out.push(traffic.open(1 + at, 10 + at, true));
  if (round === 0) for (let at = 0; at < workers; at += 1) out.push(traffic.open(20_001 + 2 * at, 100 + at, false));
  const serve = (requests: number): void => {
    for (let at = 0; at < requests; at += 1) out.push(traffic.data(1 + at, 'ingress', 10 + at, REQUEST));
    for (let call = 0; call < 2 * requests; call += workers) {
      const taken = Array.from({ length: Math.min(workers, 2 * requests - call) }, (_, at) => at);
      for (const at of taken) out.push(traffic.data(20_001 + 2 * at, 'egress', 100 + at, REQUEST));
      for (const at of taken) out.push(traffic.data(20_001 + 2 * at, 'ingress', 100 + at, RESPONSE));
    }
    for (let at = 0; at < requests; at += 1) out.push(traffic.data(1 + at, 'egress', 10 + at, RESPONSE));
  };
  serve(round < alone ? 1 : clients);
  return round < alone ? 3 : 3 * clients;
};

interface Result {
  shape: string;
  talksPerSecond: number;
  eventsPerSecond: number;
  sessions: number;
  complete: number;
  heapMiB: number[];
}

function run(name: string, shape: Shape, wanted: number): Result {
  const traffic = new Traffic();
  let sessions = 0;
  let complete = 0;
  const derivation = new Derivation({
    recordingId: 'bench',
    ...(process.argv.includes('--live') ? {} : { quietUntilUs: (wantedUs: number) => wantedUs }),
    onSession: (session) => {
      sessions += 1;
      if (session.certificate.state === 'complete') complete += 1;
    },
  });
  let talks = 0;
  let events = 0;
  let spentUs = 0;
  const heapMiB: number[] = [];
  for (let round = 0; sessions < wanted;) {
    const batch: Event[] = [];
    const before = talks;
    while (batch.length < 2_000) talks += shape(traffic, round++, batch);
    const start = process.cpuUsage();
    for (const event of batch) derivation.push(event);
    const { user, system } = process.cpuUsage(start);
    spentUs += user + system;
    events += batch.length;
    if (Math.floor((before * 10) / wanted) !== Math.floor((talks * 10) / wanted)) {
      globalThis.gc?.();
      heapMiB.push(Math.round(process.memoryUsage().heapUsed / 2 ** 20));
    }
  }
  derivation.finish(true);
  const seconds = spentUs / 1e6;
  return { shape: name, talksPerSecond: Math.round(talks / seconds), eventsPerSecond: Math.round(events / seconds), sessions, complete, heapMiB };
}

const wanted = Number(process.argv[process.argv.indexOf('--sessions') + 1]) || 300_000;
const only = process.argv.includes('--shape') ? process.argv[process.argv.indexOf('--shape') + 1] : undefined;
const results = Object.entries({ plain, calls, loop, pool }).filter(([name]) => only === undefined || name === only).map(([name, shape]) => run(name, shape, wanted));
if (process.argv.includes('--json')) for (const result of results) console.log(JSON.stringify({ bench: 'derive', ...result }));
else {
  console.log('shape    talks/s     events/s    sessions   complete   heap MiB (each tenth)');
  for (const { shape, talksPerSecond, eventsPerSecond, sessions, complete, heapMiB } of results) {
    const columns = [talksPerSecond, eventsPerSecond, sessions, complete].map((value) => String(value).padEnd(10));
    console.log(`${shape.padEnd(8)} ${columns.join('  ')} ${heapMiB.join(' ')}`);
  }
}
