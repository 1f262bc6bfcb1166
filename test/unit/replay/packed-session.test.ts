import { strict as assert } from 'node:assert';
import { Pack } from '../../../src/replay/pack.ts';
import { packedSession, unpackedSession } from '../../../src/replay/packed-session.ts';
import type { OutboundTalk, Session } from '../../../src/sessions/session.ts';

const START_US = 1_700_000_000_000_000;
const one = { id: '1', local: '10.0.0.1:40000', remote: '10.1.2.3:80', protocol: 'http' } as const;
const unix = { id: '2', local: 'unix:', remote: 'unix:/run/db é.sock', protocol: 'unknown' } as const;
const text = (words: string): Uint8Array => new Uint8Array(Buffer.from(words));

const CALLS: readonly (OutboundTalk & { readonly agreed?: true })[] = [
  { connection: one, request: [{ atUs: START_US + 10.25, tid: 7, bytes: text('GET / HTTP/1.1\r\n\r\n') }], response: [], attribution: 'thread', certainty: 'proven' },
  {
    connection: unix, attribution: 'content', certainty: 'likely', afterResponse: true, alternatives: ['a', 'b'], agreed: true,
    request: [{ atUs: START_US - 3_600_000_000, tid: 0, goroutine: 4_000_000_000, bytes: new Uint8Array([0, 255, 128]) }, { atUs: START_US, tid: 1, gap: 5_000_000_000, cause: 'ring-full' }],
    response: [{ atUs: START_US + 1, tid: 1, bytes: text('x'.repeat(300_000)) }, { atUs: START_US + 2, tid: 1, bytes: new Uint8Array(0) }],
    end: { kind: 'reset', by: 'remote', errno: 104 }, fields: { request: [[':path', '/']], response: [] },
  },
  { connection: one, request: [], response: [], attribution: 'thread', certainty: 'proven', end: { kind: 'refused', by: 'remote' } },
];

const SESSION: Session = {
  id: 's', startedAtUs: START_US, durationMs: 1, entry: 'request', process: { tgid: 1, command: 'service' },
  inbound: { connection: { ...one, id: '9' }, request: [{ atUs: START_US, tid: 1, bytes: text('GET /a') }], response: [{ atUs: START_US, tid: 1, gap: 3, cause: 'ring-full' }] },
  outbound: CALLS, ties: { proven: 1, likely: 1, unknown: 0 }, prologues: [], names: { db: ['10.1.2.3'] }, certificate: { state: 'complete', lost: [], unseen: [] },
};

/** As it comes out of a message. */
const posted = (pack: Pack, packed: ReturnType<typeof packedSession>): Session => unpackedSession(structuredClone(packed, { transfer: pack.buffers }));

describe('a session on its way to the thread that plays it', () => {
  it('is the same there, every field of its calls, to the quarter of a microsecond', () => {
    const pack = new Pack();
    const arrived = posted(pack, packedSession(SESSION, pack));
    assert.deepEqual(JSON.parse(JSON.stringify(arrived)), JSON.parse(JSON.stringify(SESSION)));
    assert.equal(arrived.outbound[0]?.request[0]?.atUs, START_US + 10.25);
    assert.equal(arrived.outbound, arrived.outbound, 'read once');
  });

  it('is told of in one message with others', () => {
    const pack = new Pack();
    const packed = [SESSION, { ...SESSION, id: 't', outbound: [] }, { ...SESSION, id: 'u', outbound: CALLS.slice(1) }].map((session) => packedSession(session, pack));
    const arrived = structuredClone(packed, { transfer: pack.buffers }).map(unpackedSession);
    assert.deepEqual(arrived.map(({ id, outbound }) => [id, outbound.length]), [['s', 3], ['t', 0], ['u', 2]]);
    assert.deepEqual(JSON.parse(JSON.stringify(arrived[2]?.outbound)), JSON.parse(JSON.stringify(CALLS.slice(1))));
  });

  it('needs no object for each call on its way', () => {
    const many = { ...SESSION, outbound: Array.from({ length: 1_000 }, () => CALLS[0] as OutboundTalk) };
    const pack = new Pack();
    const { calls, ...rest } = packedSession(many, pack);
    assert.ok(calls.length < 1_000 * 40, `${calls.length} bytes`);
    assert.ok(JSON.stringify(rest).length < 2_000);
  });
});
