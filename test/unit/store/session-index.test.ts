import { deepEqual, equal, match, ok, throws } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as layout from '../../../src/events/layout.ts';
import { UserError } from '../../../src/errors.ts';
import { Derivation } from '../../../src/sessions/derivation.ts';
import { sessionJson, sessionRowJson } from '../../../src/sessions/json.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { openRecording } from '../../../src/store/recording.ts';
import { openSessionIndex } from '../../../src/store/session-index.ts';
import type { SessionFilter, SessionIndex } from '../../../src/store/session-index.ts';
import { sortedOrder } from '../../../src/store/session-rows.ts';
import { summariseTalk } from '../../../src/store/session-summary.ts';
import { FakeClock, removeTemporaryFolders, put, START_NS, temporaryFolder, writer } from './recordings.ts';
import { GET, OK, PREFACE, SETTINGS } from '../talks/frames.ts';
import { open, session, Streams, WEB } from './traffic.ts';

const MS = 1_000_000n;
const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

describe('session index', () => {
  let dir: string;
  let clock: FakeClock;
  let streams: Streams;
  const opened: SessionIndex[] = [];
  beforeEach(() => {
    dir = join(temporaryFolder(), 'rec');
    clock = new FakeClock();
    streams = new Streams();
  });
  afterEach(() => {
    for (const index of opened.splice(0)) index.close();
    removeTemporaryFolders();
  });

  function index(options: { onProgress?: () => void; onUnkept?: (why: string) => void; quietMs?: number } = {}): SessionIndex {
    const made = openSessionIndex(openRecording(dir), { quietMs: 5000, ...options });
    opened.push(made);
    return made;
  }

  function derived(): Session[] {
    const recording = openRecording(dir);
    const sessions: Session[] = [];
    const derivation = new Derivation({ recordingId: recording.id, quietMs: 5000, onSession: (each) => sessions.push(each) });
    for (const event of recording.events()) derivation.push(event);
    derivation.finish(recording.status().endedOrderly);
    return sessions.sort((left, right) => left.startedAtUs - right.startedAtUs);
  }

  /** Sessions of every kind: whole, with a hole, binary, set up by a prologue, unfinished. */
  function recordAll(): void {
    const to = writer(dir, clock, { segmentBytes: 20_000 });
    let atNs = clock.monotonicNs;
    for (let number = 0; number < 50; number++) {
      session(to, streams, number, atNs, number % 2 === 0 ? `/orders/${number}` : '/health', [200, 503, 404][number % 3]);
      if (number % 10 === 0) to.flush();
      atNs += 2n * MS;
    }
    open(to, 901, 'inbound', atNs);
    open(to, 902, 'outbound', atNs);
    streams.said(to, 902, 'egress', '*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n', atNs + MS);
    streams.said(to, 902, 'ingress', '+OK\r\n', atNs + 2n * MS);
    for (let round = 0; round < 3; round++) {
      streams.said(to, 901, 'ingress', 'POST /photo HTTP/1.1\r\ncontent-length: 4\r\n\r\n', atNs + 3n * MS);
      streams.said(to, 901, 'ingress', Uint8Array.of(0, 255, 128, 1), atNs + 3n * MS + 1234n);
      for (const told of ['read-storage\nuser: 7', 'set-trace-header-key\nti\n1']) {
        const payload = new TextEncoder().encode(`to-koala!${told}`);
        put(to, { kind: layout.SAMPLE_HELPER, direction: layout.DIRECTION_EGRESS, connection: 0, atNs: atNs + 3n * MS + 2000n, ...WEB, position: BigInt(payload.length), length: 0n, payload });
      }
      const datagram = Buffer.alloc(layout.SIZE_UDP_PAYLOAD + 10);
      datagram.set([10, 0, 0, 9], layout.OFFSET_UDP_PAYLOAD_REMOTE);
      datagram.writeUInt16LE(8125, layout.OFFSET_UDP_PAYLOAD_REMOTE_PORT);
      datagram.writeUInt16LE(2, layout.OFFSET_UDP_PAYLOAD_FAMILY); // AF_INET
      datagram.write('photos:1|c', layout.SIZE_UDP_PAYLOAD);
      put(to, { kind: layout.SAMPLE_UDP, direction: layout.DIRECTION_EGRESS, connection: 0, atNs: atNs + 3n * MS + 3000n, ...WEB, position: 0n, length: 9000n, payload: datagram });
      streams.said(to, 902, 'egress', '*2\r\n$3\r\nGET\r\n$1\r\na\r\n', atNs + 4n * MS);
      streams.said(to, 902, 'ingress', '$1\r\nb\r\n', atNs + 5n * MS);
      streams.said(to, 901, 'egress', 'HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n', atNs + 6n * MS);
      atNs += 10n * MS;
    }
    open(to, 903, 'inbound', atNs);
    streams.said(to, 903, 'ingress', latin1(PREFACE + SETTINGS + GET(1, '/h2')), atNs + MS);
    streams.said(to, 903, 'egress', latin1(SETTINGS + OK(1, 'of h2')), atNs + 2n * MS);
    streams.close(to, 903, atNs + 3n * MS);
    streams.said(to, 901, 'ingress', 'GET /never HTTP/1.1\r\n\r\n', atNs);
    to.event({
      kind: 'gap', connection: 901, direction: 'egress', position: 135, length: 77, cause: 'ring-full', atUs: Number((START_NS + 300n * MS) / 1000n),
      tgid: 5, tid: 6, context: 0, snapshot: false,
    });
    to.close();
  }

  it('gives every session exactly as it is derived, with its bytes, by start', () => {
    recordAll();
    const made = index();
    const expected = derived();
    ok(expected.length >= 53);
    ok(expected.some((each) => each.prologues.length > 0), 'no session with a prologue to compare');
    ok(expected.some((each) => each.certificate.lost.length > 0), 'no session with a loss to compare');
    ok(expected.some((each) => each.told !== undefined && each.traceHeader !== undefined), 'no session that was told anything');
    ok(expected.some(({ datagrams }) => datagrams?.[0]?.length === 9000), 'no session that sent a datagram');
    ok(expected.some((each) => each.inbound.fields !== undefined), 'no session with header fields to compare');
    deepEqual([...made.list()].map((row) => sessionJson(made.load(row))), expected.map(sessionJson));
    deepEqual(
      [...made.list()].map((row) => made.line(row)),
      expected.map((each) => sessionRowJson(each, summariseTalk(each.inbound))),
    );
  });

  it('is kept beside the segments, for their owner only, and read the next time', () => {
    recordAll();
    let reads = 0;
    const onProgress = (): void => void reads++;
    const first = [...index({ onProgress }).list()].map((row) => row.id);
    ok(reads > 0);
    equal(statSync(join(dir, 'index.sessions')).mode & 0o777, 0o600);
    reads = 0;
    deepEqual([...index({ onProgress }).list()].map((row) => row.id), first);
    equal(reads, 0);
  });

  it('is made anew when the recording has grown, was asked with another quiet time, or is damaged', () => {
    recordAll();
    const before = index().count;
    const to = writer(dir, clock);
    session(to, streams, 400, clock.monotonicNs + 1000n * MS);
    to.flush();
    equal(index().count, before + 1);
    to.close();
    let reads = 0;
    const onProgress = (): void => void reads++;
    index({ quietMs: 10, onProgress });
    ok(reads > 0);
    reads = 0;
    truncateSync(join(dir, 'index.sessions'), statSync(join(dir, 'index.sessions')).size - 1);
    equal(index({ onProgress }).count, before + 1);
    ok(reads > 0);
    writeFileSync(join(dir, 'index.sessions'), 'not an index');
    equal(index().count, before + 1);
  });

  it('is made for one reader only where it can\'t be kept, and that is said', function () {
    recordAll();
    const bound = spawnSync('sh', ['-c', 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1"', '-', dir], { encoding: 'utf8' });
    if (bound.status !== 0) {
      console.log(`skipped: no read-only file system can be made here: ${bound.stderr}`);
      this.skip();
    }
    try {
      let why = '';
      const made = index({ onUnkept: (said) => void (why = said) });
      match(why, /read-only/);
      equal([...made.list()].length, derived().length);
    } finally {
      spawnSync('umount', [dir]);
    }
  });

  it('shows a block that rotted after it was indexed as a hole, and calls no such session complete', () => {
    recordAll();
    const made = index();
    const [row] = made.list();
    ok(row !== undefined);
    equal(made.load(row).certificate.state, 'complete');
    const path = join(dir, '00000001.koala');
    const bytes = readFileSync(path);
    const at = bytes.indexOf('GET /orders/0');
    bytes[at] = 0x50;
    writeFileSync(path, bytes);
    const again = index();
    const [later] = again.list();
    ok(later !== undefined);
    const rotten = again.load(later);
    equal(rotten.certificate.state, 'incomplete');
    equal(rotten.certificate.unseen[0]?.kind, 'corrupt');
    ok(rotten.inbound.request.some((chunk) => 'gap' in chunk && chunk.cause === 'corrupt'));
  });

  it('lists what a filter lets through', () => {
    recordAll();
    const made = index();
    const count = (filter: SessionFilter): number => [...made.list(filter)].length;
    const startUs = Number(START_NS / 1000n);
    equal(count({ grep: 'ORDERS/' }), 25);
    equal(count({ grep: '/health', status: '503' }), 9);
    equal(count({ status: '5xx' }), 17);
    equal(count({ tgid: 5 }), made.count);
    equal(count({ tgid: 6 }), 0);
    equal(count({ sinceUs: startUs + 2000, untilUs: startUs + 6000 }), 2);
    const incomplete = [...made.list({ incomplete: true })];
    ok(incomplete.length > 0 && incomplete.every((row) => row.state !== 'complete'));
    equal(incomplete.length, [...made.list()].filter((row) => row.state !== 'complete').length);
  });

  it('finds a session by a unique beginning of its id, and says when there is none or more', () => {
    recordAll();
    const made = index();
    const rows = [...made.list()];
    const [first] = rows;
    ok(first !== undefined);
    equal(made.find(first.id).id, first.id);
    equal(made.find(first.id.slice(0, 9).toUpperCase()).id, first.id);
    throws(() => made.find('zz'), (error) => error instanceof UserError && /no session "zz"/.test(error.message));
    throws(() => made.find(''), UserError);
    const shared = rows.map((row) => row.id[0] ?? '').find((letter, at, all) => all.indexOf(letter) !== at) ?? '';
    throws(() => made.find(shared), (error) => error instanceof UserError && /begin with/.test(error.message));
  });

  it('of a recording without a session is empty', () => {
    writer(dir, clock).close();
    deepEqual([...index().list()], []);
  });

  it('says until when a killed recorder recorded', () => {
    const to = writer(dir, clock);
    session(to, streams, 0, clock.monotonicNs);
    to.flush();
    const { status } = index();
    equal(status.endedOrderly, false);
    equal(status.untilUs, Number(START_NS / 1000n) + 900);
    to.close();
  });
});

describe('sorting of rows', () => {
  it('gives the same order as a stable sort, for sorted, reversed, equal and random keys', () => {
    let seed = 7;
    const random = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648);
    for (const size of [0, 1, 2, 3, 15, 16, 17, 1000]) {
      const kinds = [(at: number) => at, (at: number) => -at, () => 1, random, (at: number) => at + (random() % 5)];
      for (const kind of kinds) {
        const keys = Float64Array.from({ length: size }, (_, at) => kind(at));
        const expected = [...keys.keys()].sort((left, right) => (keys[left] ?? 0) - (keys[right] ?? 0));
        deepEqual([...sortedOrder(keys)], expected);
      }
    }
  });
});
