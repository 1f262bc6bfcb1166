/**
 * An Event as a message of recording.proto, by protobufjs: for everything that is rare. Payload samples have a way of their
 * own (encode.ts); reading is by hand (decode.ts), since every reader reads everything.
 */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import type { Event } from './event.ts';
import {
  causeNumber, directionNumber, familyNumber, goroutineRoleNumber, learntNumber, phaseNumber, roleNumber, whatNumber,
} from './names.ts';

const PROTO = fileURLToPath(new URL('../../proto/koala/v1/recording.proto', import.meta.url));

let root: protobuf.Root | undefined;

/** A message type of recording.proto, by its short name. */
export function messageType(name: string): protobuf.Type {
  root ??= new protobuf.Root().loadSync(PROTO, { keepCase: false });
  return root.lookupType(`koala.v1.${name}`);
}

type Fields = Record<string, unknown>;

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
      const { childTgid, childTid, parentTgid, exitCode, withProcess, command, path } = event;
      return ['process', { what: whatNumber(event.what), childTgid, childTid, parentTgid, exitCode, ...(withProcess === undefined ? {} : { withProcess }), command, path }];
    }
    case 'goroutine':
      return ['goroutine', {
        parent: event.parent, began: event.began, role: goroutineRoleNumber(event.role), ...(event.function === '' ? {} : { function: long(BigInt(`0x${event.function}`)) }),
      }];
    case 'on-behalf':
      return ['onBehalf', { whose: event.whose, ...(event.stream === undefined ? {} : { stream: event.stream }) }];
    case 'serves':
      return ['serves', { reader: event.reader, stream: event.stream }];
    case 'wake':
      return ['wake', { woken: event.woken, waitedNs: Math.round(event.waitedUs * 1000) }];
    case 'heap': {
      const { start, top, end, objects, collections, held } = event;
      return ['heap', { start, allocated: top - start, size: end - start, objects, collections, held }];
    }
    case 'given':
      return ['given', { class: event.class, objects: event.objects, collections: event.collections }];
    case 'helper':
      return ['helper', { flags: event.flags, bytes: event.bytes, ...(event.length === undefined ? {} : { length: event.length }) }];
    case 'udp': {
      const { local, remote, netns, length, bytes } = event;
      return ['udp', { direction: directionNumber(event.direction), local, remote, netns, length, bytes }];
    }
    case 'append': {
      const { path, inode, position, length, more, bytes } = event;
      return ['append', { path, inode, position, length, cause: causeNumber(event.cause), more, bytes }];
    }
    case 'lost':
      return ['lost', { cause: causeNumber(event.cause), events: event.events, bytes: event.bytes }];
    case 'pause':
      return ['pause', { resumedAtNs: long(BigInt(Math.round(event.resumedAtUs)) * 1000n) }];
    case 'mark':
      return ['mark', { connections: event.sent.map(({ connection }) => connection), positions: event.sent.map(({ position }) => position) }];
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
