/**
 * Event ⇄ protobuf message of recording.proto by protobufjs, for everything that is rare. The hot kinds have their own
 * ways, encode.ts and decode.ts, that write and read the same bytes.
 */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import type { Endpoint, Event } from './event.ts';
import {
  causeName, causeNumber, directionName, directionNumber, familyName, familyNumber, learntName, learntNumber,
  phaseName, phaseNumber, roleName, roleNumber, whatName, whatNumber,
} from './names.ts';

const PROTO = fileURLToPath(new URL('../../proto/koala/v1/recording.proto', import.meta.url));

let root: protobuf.Root | undefined;

/** A message type of recording.proto, by its short name. */
export function messageType(name: string): protobuf.Type {
  root ??= new protobuf.Root().loadSync(PROTO, { keepCase: false });
  return root.lookupType(`koala.v1.${name}`);
}

type Fields = Record<string, unknown>;

const number = (value: unknown): number =>
  typeof value === 'number' ? value : typeof value === 'string' ? Number(value) : 0;
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const bytesOf = (value: unknown): Uint8Array => (value instanceof Uint8Array ? value : new Uint8Array(0));
const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? value as Fields : {});
function endpoint(value: unknown): Endpoint {
  const fields = fieldsOf(value);
  return { host: text(fields.host), port: number(fields.port) };
}

/** As protobufjs takes 64-bit numbers that a double can't hold. */
const long = (value: bigint) => ({ low: Number(BigInt.asIntN(32, value)), high: Number(value >> 32n) | 0, unsigned: true });

/** 64-bit fields take numbers; beyond 2^53 they lose their lowest bits, like everywhere else in an Event. */
function body(event: Event): [string, Fields] {
  switch (event.kind) {
    case 'data': {
      const { connection, position, length, fromPacket, more, bytes } = event;
      const fields = {
        connection, direction: directionNumber(event.direction), position, cause: causeNumber(event.cause),
        fromPacket, more, bytes,
      };
      return ['data', length === bytes.length ? fields : { ...fields, length }];
    }
    case 'intent':
    case 'accepted':
    case 'sent': {
      const { connection, position, length } = event;
      return [event.kind, { connection, position, length }];
    }
    case 'gap': {
      const { connection, position, length } = event;
      return ['gap', { connection, direction: directionNumber(event.direction), position, length, cause: causeNumber(event.cause) }];
    }
    case 'open': {
      const { connection, local, remote, netns, socketInode, ingressFrom, egressFrom, command } = event;
      return ['open', {
        connection, role: roleNumber(event.role), learnt: learntNumber(event.learnt), family: familyNumber(event.family),
        local, remote, netns, socketInode, ingressFrom, egressFrom, command,
        ...(event.peer === undefined ? {} : { peer: long(BigInt(`0x${event.peer}`)) }),
      }];
    }
    case 'close': {
      const { connection, byRemote, reset, error, ingressFinal, egressFinal } = event;
      return ['close', { connection, phase: phaseNumber(event.phase), byRemote, reset, error, ingressFinal, egressFinal }];
    }
    case 'listen':
      return ['listen', { local: event.local, netns: event.netns, open: event.open }];
    case 'process': {
      const { childTgid, childTid, parentTgid, exitCode, command, path } = event;
      return ['process', { what: whatNumber(event.what), childTgid, childTid, parentTgid, exitCode, command, path }];
    }
    case 'helper':
      return ['helper', { flags: event.flags, bytes: event.bytes }];
    case 'udp': {
      const { local, remote, netns, length, bytes } = event;
      return ['udp', { direction: directionNumber(event.direction), local, remote, netns, length, bytes }];
    }
    case 'lost':
      return ['lost', { cause: causeNumber(event.cause), events: event.events, bytes: event.bytes }];
    case 'pause':
      return ['pause', { resumedAtNs: long(BigInt(Math.round(event.resumedAtUs)) * 1000n) }];
  }
}

/**
 * An Event message without its length and without `at`, which the writer puts before it: fields may come in any order.
 */
export function encodeEvent(event: Event): Uint8Array {
  const { tgid, tid, context, snapshot } = event;
  const [name, fields] = body(event);
  return messageType('Event').encode({ tgid, tid, context, ...(snapshot ? { snapshot } : {}), [name]: fields }).finish();
}

/**
 * Reads one Event message (without its length). `baseUs`: Unix µs of the block's base. undefined: a kind that this
 * version does not know. Throws what protobufjs throws on bytes that are no Event. Byte fields are views on `bytes`.
 */
export function decodeEvent(bytes: Uint8Array, baseUs: number): Event | undefined {
  const type = messageType('Event');
  const message = type.toObject(type.decode(bytes), { longs: String, enums: Number, defaults: false }) as Fields;
  const base = {
    atUs: baseUs + number(message.at) / 1000, tgid: number(message.tgid), tid: number(message.tid),
    context: number(message.context), snapshot: message.snapshot === true,
  };
  const kind = Object.keys(KINDS).find((name) => message[name] !== undefined);
  return kind === undefined ? undefined : KINDS[kind]?.(base, fieldsOf(message[kind]));
}

type Base = Pick<Event, 'atUs' | 'tgid' | 'tid' | 'context' | 'snapshot'>;

const place = (fields: Fields) => ({
  connection: number(fields.connection), position: number(fields.position), length: number(fields.length),
});

const KINDS: Readonly<Record<string, (base: Base, fields: Fields) => Event>> = {
  data(base, fields) {
    const bytes = bytesOf(fields.bytes);
    return {
      ...base, kind: 'data', ...place(fields), length: fields.length === undefined ? bytes.length : number(fields.length),
      direction: directionName(number(fields.direction)), cause: causeName(number(fields.cause)), bytes,
      fromPacket: fields.fromPacket === true, more: fields.more === true,
    };
  },
  intent: (base, fields) => ({ ...base, kind: 'intent', direction: 'egress', ...place(fields) }),
  accepted: (base, fields) => ({ ...base, kind: 'accepted', direction: 'egress', ...place(fields) }),
  sent: (base, fields) => ({ ...base, kind: 'sent', direction: 'egress', ...place(fields) }),
  gap: (base, fields) => ({
    ...base, kind: 'gap', ...place(fields), direction: directionName(number(fields.direction)),
    cause: causeName(number(fields.cause)),
  }),
  open: (base, fields) => ({
    ...base, kind: 'open', connection: number(fields.connection), role: roleName(number(fields.role)),
    learnt: learntName(number(fields.learnt)), family: familyName(number(fields.family)),
    local: endpoint(fields.local), remote: endpoint(fields.remote), netns: number(fields.netns),
    socketInode: number(fields.socketInode), ingressFrom: number(fields.ingressFrom),
    egressFrom: number(fields.egressFrom), command: text(fields.command),
    ...(fields.peer === undefined || fields.peer === '0' ? {} : { peer: BigInt(text(fields.peer)).toString(16) }),
  }),
  close: (base, fields) => ({
    ...base, kind: 'close', connection: number(fields.connection), phase: phaseName(number(fields.phase)),
    byRemote: fields.byRemote === true, reset: fields.reset === true, error: number(fields.error),
    ingressFinal: number(fields.ingressFinal), egressFinal: number(fields.egressFinal),
  }),
  listen: (base, fields) => ({
    ...base, kind: 'listen', local: endpoint(fields.local), netns: number(fields.netns), open: fields.open === true,
  }),
  process: (base, fields) => ({
    ...base, kind: 'process', what: whatName(number(fields.what)), childTgid: number(fields.childTgid),
    childTid: number(fields.childTid), parentTgid: number(fields.parentTgid), exitCode: number(fields.exitCode),
    command: text(fields.command), path: text(fields.path),
  }),
  helper: (base, fields) => ({ ...base, kind: 'helper', flags: number(fields.flags), bytes: bytesOf(fields.bytes) }),
  udp: (base, fields) => ({
    ...base, kind: 'udp', direction: directionName(number(fields.direction)), local: endpoint(fields.local),
    remote: endpoint(fields.remote), netns: number(fields.netns), length: number(fields.length), bytes: bytesOf(fields.bytes),
  }),
  lost: (base, fields) => ({
    ...base, kind: 'lost', cause: causeName(number(fields.cause)), events: number(fields.events), bytes: number(fields.bytes),
  }),
  pause: (base, fields) => ({ ...base, kind: 'pause', resumedAtUs: number(fields.resumedAtNs) / 1000 }),
};
