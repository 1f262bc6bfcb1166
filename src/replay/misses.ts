/**
 * What a live call gets that nothing recorded answers: an error in its protocol's own shape, so that the service (and its
 * connection pool) can go on, and a person who reads its log knows why.
 */
import { mysqlPacket } from '../protocols/mysql-packets.ts';
import type { ProtocolName } from '../protocols/protocol.ts';

const text = (value: string): Buffer => Buffer.from(value, 'utf8');

function http(why: string): Buffer {
  const body = `koala-bpf: ${why}\n`;
  return text('HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\nX-Koala-Bpf: miss\r\n'
    + `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

/** RFC-less but stable: RESP simple errors hold no line breaks. */
function redis(why: string): Buffer {
  return text(`-ERR koala-bpf: ${why}\r\n`);
}

/** PostgreSQL 3.0: ErrorResponse with class 58 (system error), then ReadyForQuery (idle). */
function postgresql(why: string): Buffer {
  const fields = text(`SERROR\0VERROR\0C58000\0Mkoala-bpf: ${why}\0\0`);
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields, Buffer.from([0x5a, 0, 0, 0, 5, 0x49])]);
}

/** MySQL: ERR_Packet, ER_UNKNOWN_ERROR (1105), SQL state HY000, the sequence number after a command's. */
function mysql(why: string): Buffer {
  return mysqlPacket(1, Buffer.concat([Buffer.from([0xff, 0x51, 0x04]), text(`#HY000koala-bpf: ${why}`)]));
}

const SHAPES: Readonly<Record<string, (why: string) => Buffer>> = { http, redis, postgresql, mysql };

/** The error to send, or undefined where the protocol has none that we know: then the connection is reset. `why` is one line. */
export function missAnswer(protocol: ProtocolName, why: string): Uint8Array | undefined {
  return SHAPES[protocol]?.(why.replace(/[\x00-\x1f\x7f]/g, ' '));
}
