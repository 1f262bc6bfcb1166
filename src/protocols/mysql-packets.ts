/** MySQL packets, out of the bytes of one talk and into them. */
import { FULL } from './mysql-fields.ts';

export interface Packet {
  readonly sequence: number;
  readonly body: Uint8Array;
  /** Bytes of the packet that are not there. */
  readonly missing: number;
}

/** Long ones are joined. The last may be cut off (`missing`); never throws. */
export function* readPackets(bytes: Uint8Array): Generator<Packet> {
  let at = 0;
  while (at + 4 <= bytes.length) {
    const sequence = bytes[at + 3]!;
    const parts: Uint8Array[] = [];
    let length = FULL;
    while (length === FULL && at + 4 <= bytes.length) {
      length = bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16;
      parts.push(bytes.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    const missing = length < FULL ? Math.max(0, at - bytes.length) : 1;
    yield { sequence, body: parts.length === 1 ? parts[0]! : Buffer.concat(parts), missing };
  }
  if (at < bytes.length) yield { sequence: -1, body: bytes.subarray(at), missing: 1 };
}

/** One packet, or several where the body is long. */
export function mysqlPacket(sequence: number, body: Uint8Array): Buffer {
  const parts: Uint8Array[] = [];
  for (let at = 0, turn = sequence; ; at += FULL, turn += 1) {
    const part = body.subarray(at, at + FULL);
    const head = Buffer.alloc(4);
    head.writeUIntLE(part.length, 0, 3);
    head[3] = turn & 0xff;
    parts.push(head, part);
    if (part.length < FULL) return Buffer.concat(parts);
  }
}

/** OK, with nothing to say but that the session commits by itself. */
export const mysqlOk = (sequence: number): Buffer => mysqlPacket(sequence, Buffer.from([0, 0, 0, 2, 0, 0, 0]));

/** An ERR packet: number, SQLSTATE where it has one, text. */
export function readError(body: Uint8Array): { code: number; state: string | undefined; message: string } | undefined {
  if (body[0] !== 0xff || body.length < 3) return undefined;
  const code = body[1]! | body[2]! << 8;
  if (code === 0xffff) return undefined; // MariaDB's progress report
  const hasState = body[3] === 0x23;
  const state = hasState ? Buffer.from(body.subarray(4, 9)).toString('latin1') : undefined;
  return { code, state, message: Buffer.from(body.subarray(hasState ? 9 : 3)).toString() };
}
