/**
 * A ring record (`struct sample` of bpf/event.h and its payload) as an Event. The recorder's hot path does not come
 * here for payload (see encode.ts): this is for rare kinds, and for those who want events live.
 */
import { addressText } from '../bytes/address.ts';
import { UNKNOWN_FILE } from './appended-files.ts';
import type { AppendedFile, AppendedFiles } from './appended-files.ts';
import type { Endpoint, Event } from './event.ts';
import * as layout from './layout.ts';
import { causeName, directionName, familyName, goroutineRoleName, learntName, phaseName, roleName, whatName } from './names.ts';

const TWO_32 = 4294967296;
const WORD_BYTES = 8;
/** Where the payload of SAMPLE_HEAP has its objects. */
const OBJECTS = Array.from({ length: layout.SIZE_HEAP_PAYLOAD_OBJECTS / WORD_BYTES }, (_, index) => layout.OFFSET_HEAP_PAYLOAD_OBJECTS + index * WORD_BYTES);
/** And that of SAMPLE_GIVEN. */
const GIVEN = Array.from({ length: layout.SIZE_GIVEN_PAYLOAD_OBJECTS / WORD_BYTES }, (_, index) => layout.OFFSET_GIVEN_PAYLOAD_OBJECTS + index * WORD_BYTES);
const utf8 = new TextDecoder();

/** An unsigned 64-bit number as a double; exact below 2^53. */
export function readU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * TWO_32 + view.getUint32(at, true);
}

/** A C string in a fixed array: up to its first NUL. Names are ASCII but for a few: a decoder for each costs a microsecond. */
function cString(bytes: Uint8Array, at: number, size: number): string {
  let text = '';
  for (let index = at; index < at + size; index++) {
    const byte = bytes[index] ?? 0;
    if (byte === 0) return text;
    if (byte >= 0x80) {
      const field = bytes.subarray(at, at + size);
      const end = field.indexOf(0);
      return utf8.decode(end < 0 ? field : field.subarray(0, end));
    }
    text += String.fromCharCode(byte);
  }
  return text;
}

function ipEndpoint(bytes: Uint8Array, at: number, family: number, port: number): Endpoint {
  if (family === 2) return { host: `${bytes[at] ?? 0}.${bytes[at + 1] ?? 0}.${bytes[at + 2] ?? 0}.${bytes[at + 3] ?? 0}`, port };
  return { host: addressText(bytes.subarray(at, at + 16)), port };
}

const unixEndpoint = (path: string): Endpoint => ({ host: `unix:${path}`, port: 0 });

/**
 * The event in the sample at `at` of `ring`. `atUs`: its time, converted by the caller. `connectionOffset` is added to
 * the kernel's connection number. Bytes are copied: the result outlives the ring. undefined: a file's name, which `files`
 * keeps for what is appended to it, or a kind that this version does not know.
 */
export function sampleToEvent(
  ring: Uint8Array, view: DataView, at: number, atUs: number, connectionOffset = 0, files?: AppendedFiles,
): Event | undefined {
  const number = readU64(view, at + layout.OFFSET_SAMPLE_CONNECTION);
  const connection = number === 0 ? 0 : number + connectionOffset;
  const position = readU64(view, at + layout.OFFSET_SAMPLE_POSITION);
  const length = readU64(view, at + layout.OFFSET_SAMPLE_LENGTH);
  const flags = view.getUint8(at + layout.OFFSET_SAMPLE_FLAGS);
  const direction = directionName(view.getUint8(at + layout.OFFSET_SAMPLE_DIRECTION));
  const cause = causeName(view.getUint8(at + layout.OFFSET_SAMPLE_CAUSE));
  const captured = view.getUint32(at + layout.OFFSET_SAMPLE_CAPTURED, true);
  const payload = at + layout.SIZE_SAMPLE;
  const base = {
    atUs,
    tgid: view.getUint32(at + layout.OFFSET_SAMPLE_TGID, true),
    tid: view.getUint32(at + layout.OFFSET_SAMPLE_TID, true),
    context: readU64(view, at + layout.OFFSET_SAMPLE_CONTEXT),
    snapshot: (flags & layout.SAMPLE_SNAPSHOT) !== 0,
  };
  switch (view.getUint8(at + layout.OFFSET_SAMPLE_KIND)) {
    case layout.SAMPLE_DATA:
      return {
        ...base, kind: 'data', connection, direction, position, length, cause,
        bytes: ring.slice(payload, payload + captured),
        fromPacket: (flags & layout.SAMPLE_FROM_PACKET) !== 0, more: (flags & layout.SAMPLE_MORE) !== 0,
      };
    case layout.SAMPLE_INTENT:
      return { ...base, kind: 'intent', connection, direction: 'egress', position, length };
    case layout.SAMPLE_ACCEPTED:
      return { ...base, kind: 'accepted', connection, direction: 'egress', position, length };
    case layout.SAMPLE_SENT:
      return { ...base, kind: 'sent', connection, direction: 'egress', position, length };
    case layout.SAMPLE_GAP:
      return { ...base, kind: 'gap', connection, direction, position, length, cause };
    case layout.SAMPLE_LOST:
      return { ...base, kind: 'lost', cause, events: position, bytes: length };
    case layout.SAMPLE_OPEN:
      return { ...base, ...openPayload(ring, view, payload), kind: 'open', connection };
    case layout.SAMPLE_CLOSE:
      return {
        ...base, kind: 'close', connection,
        phase: phaseName(view.getUint8(payload + layout.OFFSET_CLOSE_PAYLOAD_PHASE)),
        byRemote: view.getUint8(payload + layout.OFFSET_CLOSE_PAYLOAD_BY_REMOTE) !== 0,
        reset: view.getUint8(payload + layout.OFFSET_CLOSE_PAYLOAD_RESET) !== 0,
        error: view.getUint32(payload + layout.OFFSET_CLOSE_PAYLOAD_ERROR, true),
        ingressFinal: readU64(view, payload + layout.OFFSET_CLOSE_PAYLOAD_INGRESS_FINAL),
        egressFinal: readU64(view, payload + layout.OFFSET_CLOSE_PAYLOAD_EGRESS_FINAL),
      };
    case layout.SAMPLE_LISTEN:
      return { ...base, ...listenPayload(ring, view, payload), kind: 'listen' };
    case layout.SAMPLE_PROCESS:
      return {
        ...base, kind: 'process',
        what: whatName(view.getUint8(payload + layout.OFFSET_PROCESS_PAYLOAD_WHAT)),
        childTgid: view.getUint32(payload + layout.OFFSET_PROCESS_PAYLOAD_CHILD_TGID, true),
        childTid: view.getUint32(payload + layout.OFFSET_PROCESS_PAYLOAD_CHILD_TID, true),
        parentTgid: view.getUint32(payload + layout.OFFSET_PROCESS_PAYLOAD_PARENT_TGID, true),
        exitCode: view.getUint32(payload + layout.OFFSET_PROCESS_PAYLOAD_EXIT_CODE, true),
        ...(view.getUint8(payload + layout.OFFSET_PROCESS_PAYLOAD_WITH_PROCESS) === 0 ? {} : { withProcess: true }),
        command: cString(ring, payload + layout.OFFSET_PROCESS_PAYLOAD_COMM, layout.SIZE_PROCESS_PAYLOAD_COMM),
        path: cString(ring, payload + layout.OFFSET_PROCESS_PAYLOAD_PATH, layout.SIZE_PROCESS_PAYLOAD_PATH),
      };
    case layout.SAMPLE_GOROUTINE: {
      const address = view.getBigUint64(payload + layout.OFFSET_GOROUTINE_PAYLOAD_FUNCTION, true);
      return {
        ...base, kind: 'goroutine', parent: readU64(view, payload + layout.OFFSET_GOROUTINE_PAYLOAD_PARENT),
        function: address === 0n ? '' : address.toString(16), role: goroutineRoleName(view.getUint8(payload + layout.OFFSET_GOROUTINE_PAYLOAD_ROLE)),
        began: view.getUint8(payload + layout.OFFSET_GOROUTINE_PAYLOAD_BEGAN) !== 0,
      };
    }
    case layout.SAMPLE_ON_BEHALF:
      return { ...base, kind: 'on-behalf', whose: position, ...(length > 0 && { stream: length }) };
    case layout.SAMPLE_SERVES:
      return { ...base, kind: 'serves', reader: position, stream: length };
    case layout.SAMPLE_WAKE:
      return { ...base, kind: 'wake', woken: position, waitedUs: length / 1000 };
    case layout.SAMPLE_HEAP: {
      const at = (offset: number): number => readU64(view, payload + offset);
      return {
        ...base, kind: 'heap', start: at(layout.OFFSET_HEAP_PAYLOAD_START), top: at(layout.OFFSET_HEAP_PAYLOAD_TOP), end: at(layout.OFFSET_HEAP_PAYLOAD_END),
        objects: OBJECTS.map(at).filter((object) => object !== 0), collections: view.getUint32(payload + layout.OFFSET_HEAP_PAYLOAD_COLLECTIONS, true),
        held: view.getUint32(payload + layout.OFFSET_HEAP_PAYLOAD_HELD, true) !== 0,
      };
    }
    case layout.SAMPLE_GIVEN: {
      const at = (offset: number): number => readU64(view, payload + offset);
      return {
        ...base, kind: 'given', class: at(layout.OFFSET_GIVEN_PAYLOAD_CLASS), objects: GIVEN.map(at),
        collections: view.getUint32(payload + layout.OFFSET_GIVEN_PAYLOAD_COLLECTIONS, true),
      };
    }
    case layout.SAMPLE_HELPER:
      return {
        ...base, kind: 'helper', flags: length >>> 0, bytes: ring.slice(payload, payload + captured),
        ...(position > captured ? { length: position } : {}),
      };
    case layout.SAMPLE_UDP:
      return { ...base, ...udpPayload(ring, view, payload, captured), kind: 'udp', direction, length };
    case layout.SAMPLE_APPEND:
      return {
        ...base, kind: 'append', ...(files?.of(number) ?? UNKNOWN_FILE), position, length, cause,
        bytes: ring.slice(payload, payload + captured), more: (flags & layout.SAMPLE_MORE) !== 0,
      };
    case layout.SAMPLE_FILE:
      files?.told(number, filePayload(ring, view, payload));
      return undefined;
    default:
      return undefined;
  }
}

function openPayload(ring: Uint8Array, view: DataView, at: number) {
  const family = view.getUint16(at + layout.OFFSET_OPEN_PAYLOAD_FAMILY, true);
  const role = roleName(view.getUint8(at + layout.OFFSET_OPEN_PAYLOAD_ROLE));
  let local: Endpoint;
  let remote: Endpoint;
  if (family === 1) {
    // The path is the listener's: the local end of who accepted, the remote end of who connected.
    const path = unixEndpoint(cString(ring, at + layout.OFFSET_OPEN_PAYLOAD_PATH, layout.SIZE_OPEN_PAYLOAD_PATH));
    local = role === 'outbound' ? unixEndpoint('') : path;
    remote = role === 'outbound' ? path : unixEndpoint('');
  } else {
    const localPort = view.getUint16(at + layout.OFFSET_OPEN_PAYLOAD_LOCAL_PORT, true);
    const remotePort = view.getUint16(at + layout.OFFSET_OPEN_PAYLOAD_REMOTE_PORT, true);
    local = ipEndpoint(ring, at + layout.OFFSET_OPEN_PAYLOAD_LOCAL, family, localPort);
    remote = ipEndpoint(ring, at + layout.OFFSET_OPEN_PAYLOAD_REMOTE, family, remotePort);
  }
  const peer = view.getBigUint64(at + layout.OFFSET_OPEN_PAYLOAD_PEER, true);
  return {
    role, local, remote,
    learnt: learntName(view.getUint8(at + layout.OFFSET_OPEN_PAYLOAD_LEARNT)),
    family: familyName(family),
    netns: view.getUint32(at + layout.OFFSET_OPEN_PAYLOAD_NETNS, true),
    socketInode: view.getUint32(at + layout.OFFSET_OPEN_PAYLOAD_SOCKET_INODE, true),
    ingressFrom: readU64(view, at + layout.OFFSET_OPEN_PAYLOAD_INGRESS_FROM),
    egressFrom: readU64(view, at + layout.OFFSET_OPEN_PAYLOAD_EGRESS_FROM),
    command: cString(ring, at + layout.OFFSET_OPEN_PAYLOAD_COMM, layout.SIZE_OPEN_PAYLOAD_COMM),
    ...(peer === 0n ? {} : { peer: peer.toString(16) }),
  };
}

function listenPayload(ring: Uint8Array, view: DataView, at: number) {
  const family = view.getUint16(at + layout.OFFSET_LISTEN_PAYLOAD_FAMILY, true);
  const local = family === 1
    ? unixEndpoint(cString(ring, at + layout.OFFSET_LISTEN_PAYLOAD_PATH, layout.SIZE_LISTEN_PAYLOAD_PATH))
    : ipEndpoint(ring, at + layout.OFFSET_LISTEN_PAYLOAD_LOCAL, family, view.getUint16(at + layout.OFFSET_LISTEN_PAYLOAD_PORT, true));
  return {
    local,
    netns: view.getUint32(at + layout.OFFSET_LISTEN_PAYLOAD_NETNS, true),
    open: view.getUint8(at + layout.OFFSET_LISTEN_PAYLOAD_OPEN) !== 0,
  };
}

function filePayload(ring: Uint8Array, view: DataView, at: number): AppendedFile {
  const path = at + layout.OFFSET_FILE_PAYLOAD_PATH;
  const text = utf8.decode(ring.subarray(path + view.getUint32(at + layout.OFFSET_FILE_PAYLOAD_FROM, true), path + layout.PATH_END));
  const cut = view.getUint32(at + layout.OFFSET_FILE_PAYLOAD_CUT, true) !== 0;
  return { path: cut ? `…${text}` : text, inode: readU64(view, at + layout.OFFSET_FILE_PAYLOAD_INODE) };
}

function udpPayload(ring: Uint8Array, view: DataView, at: number, captured: number) {
  const family = view.getUint16(at + layout.OFFSET_UDP_PAYLOAD_FAMILY, true);
  const localPort = view.getUint16(at + layout.OFFSET_UDP_PAYLOAD_LOCAL_PORT, true);
  const remotePort = view.getUint16(at + layout.OFFSET_UDP_PAYLOAD_REMOTE_PORT, true);
  return {
    local: ipEndpoint(ring, at + layout.OFFSET_UDP_PAYLOAD_LOCAL, family, localPort),
    remote: ipEndpoint(ring, at + layout.OFFSET_UDP_PAYLOAD_REMOTE, family, remotePort),
    netns: view.getUint32(at + layout.OFFSET_UDP_PAYLOAD_NETNS, true),
    bytes: ring.slice(at + layout.SIZE_UDP_PAYLOAD, at + captured),
  };
}
