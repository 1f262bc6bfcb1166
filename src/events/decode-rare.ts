/** The kinds of event without stream payload, read by hand as well: short connections have two of them for each request. */
import { unzigzag, VarintReader } from '../bytes/varint.ts';
import type { Endpoint, Event } from './event.ts';
import {
  causeName, directionName, familyName, goroutineRoleName, learntName, phaseName, roleName, whatName,
} from './names.ts';

const utf8 = new TextDecoder();
const NO_BYTES = new Uint8Array(0);
const UNNAMED: Endpoint = { host: '', port: 0 };
const TAG_LENGTH = 2;

/**
 * One message, flat: fields by number. Numbers of varint and fixed fields; where a length-delimited field lies. Reused
 * for every message of its depth.
 */
class Fields {
  readonly #reader = new VarintReader();
  readonly #numbers = new Float64Array(32);
  readonly #froms = new Int32Array(32);
  readonly #ends = new Int32Array(32);
  bytes: Uint8Array = NO_BYTES;

  /** False when the bytes are no message. */
  read(bytes: Uint8Array, from: number, end: number): boolean {
    const reader = this.#reader;
    reader.reset(bytes, from, end);
    this.bytes = bytes;
    this.#numbers.fill(0);
    this.#froms.fill(-1);
    while (reader.at < end) {
      const tag = reader.unsigned();
      const number = Math.floor(tag / 8);
      const wire = tag & 7;
      if (number >= 32 || wire === 1 || wire === 5) {
        const at = reader.at;
        reader.skip(tag);
        if (number < 32) this.#place(number, at, reader.at);
      } else if (wire === TAG_LENGTH) {
        const length = reader.unsigned();
        const at = reader.advance(length);
        this.#place(number, at, at + length);
      } else if (wire === 0) {
        this.#numbers[number] = reader.unsigned();
      } else {
        return false;
      }
      if (reader.failed) return false;
    }
    return true;
  }

  #place(number: number, from: number, end: number): void {
    this.#froms[number] = from;
    this.#ends[number] = end;
  }

  has(number: number): boolean {
    return (this.#froms[number] ?? -1) >= 0;
  }

  number(number: number): number {
    return this.#numbers[number] ?? 0;
  }

  /** A view. */
  view(number: number): Uint8Array {
    return this.has(number) ? this.bytes.subarray(this.#froms[number], this.#ends[number]) : NO_BYTES;
  }

  text(number: number): string {
    return this.has(number) ? utf8.decode(this.view(number)) : '';
  }

  /** A fixed 64-bit field as hexadecimal, empty when 0. */
  fixed64Hex(number: number): string {
    if (!this.has(number) || this.end(number) - this.from(number) !== 8) return '';
    const { buffer, byteOffset } = this.bytes;
    const value = new DataView(buffer, byteOffset + (this.#froms[number] ?? 0), 8).getBigUint64(0, true);
    return value === 0n ? '' : value.toString(16);
  }

  fixed32(number: number): number {
    if (!this.has(number) || this.end(number) - this.from(number) !== 4) return 0;
    const { buffer, byteOffset } = this.bytes;
    return new DataView(buffer, byteOffset + (this.#froms[number] ?? 0), 4).getUint32(0, true);
  }

  from(number: number): number {
    return this.#froms[number] ?? 0;
  }

  end(number: number): number {
    return this.#ends[number] ?? 0;
  }
}

const event = new Fields();
const body = new Fields();
const part = new Fields();

function endpoint(number: number): Endpoint {
  if (!body.has(number)) return UNNAMED;
  return part.read(body.bytes, body.from(number), body.end(number)) ? { host: part.text(1), port: part.number(2) } : UNNAMED;
}

const packed = new VarintReader();

/** A packed field's. */
function numbers(bytes: Uint8Array): number[] {
  const found: number[] = [];
  packed.reset(bytes, 0, bytes.length);
  while (packed.at < packed.end) found.push(packed.unsigned());
  return found;
}

/** Field numbers of Event.what (recording.proto). */
const FIRST_KIND = 6;
const LAST_KIND = 27;

/**
 * The Event message in [from, end) of `bytes`, of any kind and with its fields in any order. `baseUs`: Unix µs of the
 * block's base. Byte fields are views. `unknown`: a kind that this version does not know.
 */
export function decodeAny(bytes: Uint8Array, from: number, end: number, baseUs: number): Event | 'unknown' | 'damaged' {
  if (!event.read(bytes, from, end)) return 'damaged';
  let kind = FIRST_KIND;
  while (kind <= LAST_KIND && !event.has(kind)) kind++;
  if (kind > LAST_KIND) return 'unknown';
  if (!body.read(bytes, event.from(kind), event.end(kind))) return 'damaged';
  const atUs = baseUs + unzigzag(event.number(1)) / 1000;
  const tgid = event.number(2);
  const tid = event.number(3);
  const context = event.number(4);
  const snapshot = event.number(5) !== 0;
  const base = { atUs, tgid, tid, context, snapshot };
  const connection = body.number(1);
  switch (kind) {
    case 6: {
      const carried = body.view(15);
      return {
        kind: 'data', ...base, connection, direction: directionName(body.number(2)), position: body.number(3),
        length: body.number(4) === 0 ? carried.length : body.number(4), cause: causeName(body.number(5)), bytes: carried,
        fromPacket: body.number(6) !== 0, more: body.number(7) !== 0,
      };
    }
    case 7:
      return { kind: 'intent', ...base, connection, direction: 'egress', position: body.number(3), length: body.number(4) };
    case 8:
      return { kind: 'accepted', ...base, connection, direction: 'egress', position: body.number(3), length: body.number(4) };
    case 9:
      return { kind: 'sent', ...base, connection, direction: 'egress', position: body.number(3), length: body.number(4) };
    case 10:
      return {
        kind: 'gap', ...base, connection, direction: directionName(body.number(2)), position: body.number(3),
        length: body.number(4), cause: causeName(body.number(5)),
      };
    case 11: {
      const peer = body.fixed64Hex(12);
      const open = {
        kind: 'open' as const, ...base, connection, role: roleName(body.number(2)), learnt: learntName(body.number(3)),
        family: familyName(body.number(4)), local: endpoint(5), remote: endpoint(6), netns: body.number(7),
        socketInode: body.number(8), ingressFrom: body.number(9), egressFrom: body.number(10), command: body.text(11),
      };
      return peer === '' ? open : { ...open, peer };
    }
    case 12:
      return {
        kind: 'close', ...base, connection, phase: phaseName(body.number(2)), byRemote: body.number(3) !== 0,
        reset: body.number(4) !== 0, error: body.number(5), ingressFinal: body.number(6), egressFinal: body.number(7),
      };
    case 13:
      return { kind: 'listen', ...base, local: endpoint(1), netns: body.number(2), open: body.number(3) !== 0 };
    case 14:
      return {
        kind: 'process', ...base, what: whatName(body.number(1)), childTgid: body.number(2), childTid: body.number(3),
        parentTgid: body.number(4), exitCode: body.number(5), ...(body.number(8) === 0 ? {} : { withProcess: true as const }), command: body.text(6), path: body.text(7),
      };
    case 15: {
      const helper = { kind: 'helper' as const, ...base, flags: body.fixed32(1), bytes: body.view(15) };
      return body.number(2) === 0 ? helper : { ...helper, length: body.number(2) };
    }
    case 16:
      return {
        kind: 'udp', ...base, direction: directionName(body.number(1)), local: endpoint(2), remote: endpoint(3),
        netns: body.number(4), length: body.number(5), bytes: body.view(15),
      };
    case 17:
      return { kind: 'lost', ...base, cause: causeName(body.number(1)), events: body.number(2), bytes: body.number(3) };
    case 18:
      return { kind: 'pause', ...base, resumedAtUs: body.number(1) / 1000 };
    case 19:
      return { kind: 'goroutine', ...base, parent: body.number(1), function: body.fixed64Hex(2), role: goroutineRoleName(body.number(3)), began: body.number(4) !== 0 };
    case 20:
      return { kind: 'on-behalf', ...base, whose: body.number(1), ...(body.number(2) > 0 && { stream: body.number(2) }) };
    case 24:
      return { kind: 'wake', ...base, woken: body.number(1), waitedUs: body.number(2) / 1000 };
    case 26: {
      const start = body.number(1);
      return { kind: 'heap', ...base, start, top: start + body.number(2), end: start + body.number(3), objects: numbers(body.view(4)), collections: body.number(5), held: body.number(6) !== 0 };
    }
    case 27:
      return { kind: 'given', ...base, class: body.number(1), objects: numbers(body.view(2)), collections: body.number(3) };
    case 25: {
      const positions = numbers(body.view(2));
      return { kind: 'mark', ...base, sent: numbers(body.view(1)).map((one, index) => ({ connection: one, position: positions[index] ?? 0 })) };
    }
    case 21:
      return { kind: 'serves', ...base, reader: body.number(1), stream: body.number(2) };
    default:
      return {
        kind: 'append', ...base, path: body.text(1), inode: body.number(2), position: body.number(3), length: body.number(4),
        cause: causeName(body.number(5)), more: body.number(7) !== 0, bytes: body.view(15),
      };
  }
}
