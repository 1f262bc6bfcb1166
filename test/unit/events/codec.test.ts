import { deepEqual, equal, ok } from 'node:assert/strict';
import { appendMessage } from '../../../src/events/append-message.ts';
import { AppendedFiles } from '../../../src/events/appended-files.ts';
import { nextEvent } from '../../../src/events/decode.ts';
import { encodeSample, MAX_EVENT_HEAD } from '../../../src/events/encode.ts';
import type { Event } from '../../../src/events/event.ts';
import * as layout from '../../../src/events/layout.ts';
import { encodeEvent, messageType } from '../../../src/events/message.ts';
import { sampleToEvent } from '../../../src/events/sample.ts';
import { closePayload, openPayload, sample } from './ring.ts';
import type { SampleFields } from './ring.ts';

const payloadOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => (index * 7 + length) & 255);

function encode(fields: SampleFields, deltaNs: number, connectionOffset = 0): Uint8Array {
  const { ring, view, offset } = sample(fields);
  const out = Buffer.alloc((fields.payload?.length ?? 0) + MAX_EVENT_HEAD + 3);
  const end = encodeSample(out, new DataView(out.buffer, out.byteOffset, out.length), 0, ring, view, offset, deltaNs, connectionOffset);
  return Uint8Array.prototype.slice.call(out, 0, end);
}

/** As a plain object, by protobufjs' reflection: the outside decoder. */
function reflect(bytes: Uint8Array): Record<string, unknown> {
  const type = messageType('Event');
  return type.toObject(type.decodeDelimited(bytes), { longs: String, enums: String });
}

const base = { atUs: 1_700_000_000_000_001.25, tgid: 4242, tid: 4243, context: 0, snapshot: false } as const;

const EVENTS: readonly Event[] = [
  { ...base, kind: 'data', connection: 9, direction: 'egress', position: 0, length: 5, cause: 'none', bytes: payloadOf(5), fromPacket: false, more: false },
  { ...base, kind: 'data', connection: 9, direction: 'ingress', position: 2 ** 40, length: 5000, cause: 'max-message', bytes: payloadOf(300), fromPacket: true, more: true },
  { ...base, kind: 'data', connection: 9, direction: 'ingress', position: 1, length: 8, cause: 'unreadable', bytes: payloadOf(0), fromPacket: false, more: false },
  { ...base, kind: 'intent', connection: 1, direction: 'egress', position: 7, length: 1_000_000 },
  { ...base, context: 81, kind: 'accepted', connection: 1, direction: 'egress', position: 7, length: 0 },
  { ...base, kind: 'sent', connection: 1, direction: 'egress', position: 7, length: 3 },
  { ...base, kind: 'gap', connection: 1, direction: 'ingress', position: 7, length: 12, cause: 'splice' },
  {
    ...base, kind: 'open', connection: 12, role: 'inbound', learnt: 'accept', family: 'ipv4', netns: 4026531840, socketInode: 55,
    local: { host: '10.0.0.1', port: 80 }, remote: { host: '10.0.0.2', port: 40000 }, ingressFrom: 0, egressFrom: 17, command: 'nginx',
  },
  {
    ...base, snapshot: true, kind: 'open', connection: 13, role: 'outbound', learnt: 'connect', family: 'unix', netns: 1, socketInode: 56,
    local: { host: 'unix:', port: 0 }, remote: { host: 'unix:/run/x.sock', port: 0 }, ingressFrom: 0, egressFrom: 0, command: 'php',
    peer: 'ffff888012345678',
  },
  { ...base, kind: 'close', connection: 12, phase: 'failed', byRemote: true, reset: true, error: 111, ingressFinal: 3, egressFinal: 2 ** 33 },
  { ...base, kind: 'listen', local: { host: '::', port: 8080 }, netns: 9, open: true },
  { ...base, kind: 'process', what: 'fork', childTgid: 77, childTid: 78, parentTgid: 1, exitCode: 256, command: 'sh', path: '/bin/sh' },
  { ...base, kind: 'process', what: 'thread-exit', childTgid: 77, childTid: 78, parentTgid: 1, exitCode: 0, withProcess: true, command: 'sh', path: '' },
  { ...base, kind: 'goroutine', parent: 17, function: '4a3b20', role: 'reads-ahead', began: true },
  { ...base, kind: 'goroutine', parent: 0, function: '', role: 'unknown', began: false },
  { ...base, kind: 'on-behalf', whose: 2 ** 40 },
  { ...base, context: 81, kind: 'on-behalf', whose: 2 ** 40, stream: 2 ** 31 - 1 },
  { ...base, context: 81, kind: 'serves', reader: 2 ** 40, stream: 3 },
  { ...base, kind: 'wake', woken: 4_194_304, waitedUs: 1_500.25 },
  { ...base, context: 2 ** 49 + 31, kind: 'heap', start: 0x6_8740_0000, top: 0x6_8740_1230, end: 0x6_8748_0000, objects: [0x6_9100_0008, 0x7_0000_0000], collections: 7, held: false },
  { ...base, kind: 'heap', start: 0, top: 0, end: 0, objects: [0x7_0000_0000], collections: 0, held: true },
  { ...base, context: 2 ** 49 + 31, kind: 'given', class: 0x1_0032, objects: [0x6_9100_0008, 0, 0x7_0000_0000, 0, 0, 0, 0, 0], collections: 7 },
  { ...base, kind: 'helper', flags: 0xdead_beef, bytes: payloadOf(9) },
  { ...base, kind: 'helper', flags: 1, length: 70_000, bytes: payloadOf(9) },
  {
    ...base, kind: 'udp', direction: 'egress', local: { host: '10.0.0.1', port: 5353 }, remote: { host: '8.8.8.8', port: 53 }, netns: 9,
    length: 600, bytes: payloadOf(40),
  },
  { ...base, kind: 'append', path: '/var/log/é.log', inode: 2 ** 40, position: 2 ** 33, length: 9000, cause: 'none', bytes: payloadOf(40), more: true },
  { ...base, kind: 'append', path: '', inode: 0, position: 0, length: 9, cause: 'unreadable', bytes: payloadOf(0), more: false },
  { ...base, kind: 'lost', cause: 'corrupt', events: 3, bytes: 400 },
  { ...base, kind: 'pause', resumedAtUs: 1_700_000_000_123_456 },
  { ...base, kind: 'mark', sent: [] },
  { ...base, kind: 'mark', sent: [{ connection: 7, position: 0 }, { connection: 2 ** 40, position: 2 ** 45 }] },
];

describe('event codec', () => {
  for (const size of [0, 1, 2, 3, 4, 5, 127, 128, 319, 320, 321, 4096, 65_536]) {
    it(`writes a data sample of ${size} bytes that protobufjs reads alike`, () => {
      const payload = payloadOf(size);
      const bytes = encode({
        kind: layout.SAMPLE_DATA, connection: 5, direction: 1, position: 123_456_789_012n, tgid: 10, tid: 11, payload,
      }, 1234);
      const expected = {
        at: '1234', tgid: 10, tid: 11,
        data: { connection: '5', direction: 'INGRESS', position: '123456789012', bytes: Buffer.from(payload) },
      };
      const seen = reflect(bytes);
      const data = seen.data as { bytes?: Uint8Array };
      deepEqual({ ...seen, data: { ...data, bytes: Buffer.from(data.bytes ?? []) } }, expected);
    });
  }

  it('keeps every field of a truncated, repeated, contextual sample', () => {
    const bytes = encode({
      kind: layout.SAMPLE_DATA, connection: 2 ** 41, direction: 2, position: 2n ** 52n, length: 9999n, cause: layout.CAUSE_MAX_MESSAGE,
      flags: layout.SAMPLE_MORE | layout.SAMPLE_FROM_PACKET, context: 1n << 40n, tgid: 4_000_000, tid: 4_194_304, payload: payloadOf(3),
    }, -5_000_000_000, 7);
    const seen = reflect(bytes);
    equal(seen.at, '-5000000000');
    equal(seen.context, String(2 ** 40));
    const { bytes: carried, ...data } = seen.data as { bytes: Uint8Array };
    deepEqual([...carried], [...payloadOf(3)]);
    deepEqual(data, {
      connection: String(2 ** 41 + 7), direction: 'EGRESS', position: String(2 ** 52), length: '9999', cause: 'MAX_MESSAGE',
      fromPacket: true, more: true,
    });
  });

  it('writes intent, accepted and sent samples that protobufjs reads alike', () => {
    const kinds = [[layout.SAMPLE_INTENT, 'intent'], [layout.SAMPLE_ACCEPTED, 'accepted'], [layout.SAMPLE_SENT, 'sent']] as const;
    for (const [kind, name] of kinds) {
      const seen = reflect(encode({ kind, connection: 5, direction: 2, position: 300n, length: 70_000n, tgid: 1, tid: 2 }, 1));
      deepEqual(seen, { at: '1', tgid: 1, tid: 2, [name]: { connection: '5', position: '300', length: '70000' } });
    }
  });

  it('does not write over what stands before the event', () => {
    const { ring, view, offset } = sample({ kind: layout.SAMPLE_DATA, payload: payloadOf(10) });
    const out = Buffer.alloc(200, 0x55);
    const end = encodeSample(out, new DataView(out.buffer, out.byteOffset, out.length), 50, ring, view, offset, 1, 0);
    ok(out.subarray(0, 50).every((byte) => byte === 0x55));
    ok(out.subarray(end + 3).every((byte) => byte === 0x55));
  });

  for (const event of EVENTS) {
    it(`brings a ${event.kind} event back from protobufjs' encoding`, () => {
      const message = encodeEvent(event);
      const withLength = Buffer.concat([Buffer.from(messageType('Event').encodeDelimited({}).finish()), message]);
      // protobufjs wrote an empty message's length (0): the message's own takes its place.
      const delimited = Buffer.concat([varint(message.length), withLength.subarray(1)]);
      deepEqual(plain(nextEvent({ bytes: delimited, at: 0, baseUs: event.atUs })), plain(event));
    });
  }

  it('reads samples and their encoding as the same event', () => {
    const fields = { kind: layout.SAMPLE_DATA, connection: 5, direction: 2, position: 9n, tgid: 10, tid: 11, payload: payloadOf(100) };
    const { ring, view, offset } = sample(fields);
    const live = sampleToEvent(ring, view, offset, 1000, 3);
    deepEqual(plain(nextEvent({ bytes: encode(fields, 0, 3), at: 0, baseUs: 1000 })), plain(live));
  });

  it('cut short anywhere, an event is damaged and nothing is read past the end', () => {
    const bytes = encode({ kind: layout.SAMPLE_DATA, connection: 5, direction: 2, position: 9n, tgid: 10, tid: 11, payload: payloadOf(100) }, 5);
    for (let cut = 1; cut < bytes.length; cut++) {
      equal(nextEvent({ bytes: bytes.slice(0, cut), at: 0, baseUs: 0 }), 'damaged', `cut at ${cut}`);
    }
    equal(nextEvent({ bytes, at: bytes.length, baseUs: 0 }), 'end');
  });

  it('skips a kind of event from a later version', () => {
    equal(nextEvent({ bytes: Uint8Array.of(5, 0x08, 2, 0xf2, 0x07, 0), at: 0, baseUs: 0 }), 'unknown');
  });

  it('no flipped bit makes the decoder throw', () => {
    for (const event of EVENTS) {
      const message = encodeEvent(event);
      const delimited = Buffer.concat([varint(message.length), message]);
      for (let bit = 0; bit < delimited.length * 8; bit += 3) {
        const flipped = Buffer.from(delimited);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const cursor = { bytes: flipped, at: 0, baseUs: 0 };
        for (let count = 0; count < 100 && !['end', 'damaged'].includes(nextEvent(cursor) as string); count++);
      }
    }
  });
});

describe('samples of rare kinds', () => {
  it('tells addresses, ports and who opened the connection', () => {
    const payload = openPayload({
      local: [10, 1, 2, 3], remote: [10, 1, 2, 4], localPort: 8080, remotePort: 40_000, family: 2, role: 1, learnt: 1, comm: 'server',
      ingressFrom: 12n,
    });
    const { ring, view, offset } = sample({ kind: layout.SAMPLE_OPEN, connection: 3, tgid: 9, tid: 9, payload });
    deepEqual(sampleToEvent(ring, view, offset, 5, 0), {
      kind: 'open', atUs: 5, tgid: 9, tid: 9, context: 0, snapshot: false, connection: 3, role: 'inbound', learnt: 'accept',
      family: 'ipv4', local: { host: '10.1.2.3', port: 8080 }, remote: { host: '10.1.2.4', port: 40_000 }, netns: 4026531840,
      socketInode: 77, ingressFrom: 12, egressFrom: 0, command: 'server',
    });
  });

  it('writes a mapped address as the IPv4 address that it means, and names the socket\'s family', () => {
    const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1];
    const payload = openPayload({ local: mapped, remote: mapped, localPort: 1, remotePort: 2, family: 10, role: 2, learnt: 2 });
    const { ring, view, offset } = sample({ kind: layout.SAMPLE_OPEN, connection: 3, payload });
    const event = sampleToEvent(ring, view, offset, 5, 0);
    ok(event?.kind === 'open');
    equal(event.local.host, '127.0.0.1');
    equal(event.family, 'ipv6');
  });

  it('puts a unix socket\'s path at the listener\'s end', () => {
    for (const [role, end] of [[1, 'local'], [2, 'remote']] as const) {
      const payload = openPayload({ local: [], remote: [], localPort: 0, remotePort: 0, family: 1, role, learnt: 0, path: '/run/a.sock', peer: 255n });
      const { ring, view, offset } = sample({ kind: layout.SAMPLE_OPEN, connection: 3, payload });
      const event = sampleToEvent(ring, view, offset, 5, 0);
      ok(event?.kind === 'open');
      equal(event[end].host, 'unix:/run/a.sock');
      equal(event.peer, 'ff');
    }
  });

  it('names the file of what is appended by what was told of it before, and nothing where that was lost', () => {
    const path = Buffer.from('/var/log/app.log');
    const payload = new Uint8Array(layout.SIZE_FILE_PAYLOAD);
    payload.set(path, layout.OFFSET_FILE_PAYLOAD_PATH + layout.PATH_END - path.length);
    new DataView(payload.buffer).setUint32(layout.OFFSET_FILE_PAYLOAD_FROM, layout.PATH_END - path.length, true);
    new DataView(payload.buffer).setUint32(layout.OFFSET_FILE_PAYLOAD_INODE, 55, true);
    const named = sample({ kind: layout.SAMPLE_FILE, connection: 4711, payload });
    const files = new AppendedFiles();
    equal(sampleToEvent(named.ring, named.view, named.offset, 5, 1000, files), undefined);
    for (const [connection, wanted] of [[4711, { path: '/var/log/app.log', inode: 55 }], [12, { path: '', inode: 0 }]] as const) {
      const { ring, view, offset } = sample({ kind: layout.SAMPLE_APPEND, connection, direction: 2, position: 10n, length: 9000n, flags: layout.SAMPLE_MORE, tgid: 9, tid: 8, payload: payloadOf(5) });
      deepEqual(sampleToEvent(ring, view, offset, 5, 1000, files), {
        kind: 'append', atUs: 5, tgid: 9, tid: 8, context: 0, snapshot: false, ...wanted, position: 10, length: 9000, cause: 'none', bytes: payloadOf(5), more: true,
      });
    }
  });

  it('writes what is appended as protobufjs would, whatever it says', () => {
    const files = new AppendedFiles();
    files.told(7, { path: '/var/log/é.log', inode: 2 ** 41 });
    const varied = [
      { kind: layout.SAMPLE_APPEND, connection: 7, position: 2n ** 40n, length: 9000n, flags: layout.SAMPLE_MORE, tgid: 4_000_000, tid: 8, context: 2n ** 35n, payload: payloadOf(8192) },
      { kind: layout.SAMPLE_APPEND, connection: 8, position: 0n, length: 5n, cause: layout.CAUSE_UNREADABLE, tgid: 1, tid: 0 }, { kind: layout.SAMPLE_APPEND, connection: 7, tgid: 1, tid: 1, payload: payloadOf(1) },
    ];
    for (const fields of varied) {
      const { ring, view, offset } = sample(fields);
      const event = sampleToEvent(ring, view, offset, 0, 0, files);
      ok(event !== undefined);
      const written = appendMessage(ring, view, offset, files.of(fields.connection));
      const type = messageType('Event');
      const shown = (bytes: Uint8Array): unknown => type.toObject(type.decode(bytes), { longs: String, enums: String, defaults: true });
      deepEqual(shown(written), shown(encodeEvent(event)));
    }
  });

  it('tells how a connection ended', () => {
    const { ring, view, offset } = sample({ kind: layout.SAMPLE_CLOSE, connection: 3, payload: closePayload(layout.CLOSE_DONE, 104, 10n, 20n) });
    deepEqual(sampleToEvent(ring, view, offset, 5, 0), {
      kind: 'close', atUs: 5, tgid: 0, tid: 0, context: 0, snapshot: false, connection: 3, phase: 'done', byRemote: false,
      reset: false, error: 104, ingressFinal: 10, egressFinal: 20,
    });
  });
});

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value > 127; value >>>= 7) bytes.push((value & 127) | 128);
  return Uint8Array.from([...bytes, value]);
}

/** Comparable: views as plain arrays, times rounded to what the encoding carries. */
function plain(event: unknown): unknown {
  if (typeof event !== 'object' || event === null) return event;
  return Object.fromEntries(Object.entries(event).map(([key, value]) => [key, value instanceof Uint8Array ? [...value] : value]));
}
