import assert from 'node:assert/strict';
import { protocolNamed } from '../../../src/protocols/index.ts';
import type { Frame } from '../../../src/protocols/protocol.ts';

const FULL = 0xffffff;

function packet(sequence: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUIntLE(body.length, 0, 3);
  head[3] = sequence;
  return Buffer.concat([head, body]);
}

describe('MySQL packets of 16 MiB', () => {
  it('a statement and a row go on in the next packet, also in an empty one, whatever it begins with', () => {
    for (const rest of [Buffer.from([0xff, 1, 2]), Buffer.from([0xfe, 0, 0, 2, 0]), Buffer.alloc(0)]) {
      const framer = protocolNamed('mysql').framer();
      const out: Frame[] = [];
      const statement = Buffer.concat([Buffer.from([3]), Buffer.alloc(FULL - 1, 0x20)]);
      const request = Buffer.concat([packet(0, statement), packet(1, rest)]);
      const row = Buffer.alloc(FULL, 0x61);
      row[0] = 0xfd;
      const answer = Buffer.concat([packet(1, Buffer.from([1])), packet(2, Buffer.from('\x03def')), packet(3, Buffer.from([0xfe, 0, 0, 2, 0])), packet(4, row), packet(5, rest), packet(6, Buffer.from([0xfe, 0, 0, 2, 0]))]);
      for (let at = 0; at < request.length; at += 1 << 20) framer.push('client', request.subarray(at, at + (1 << 20)), out);
      for (let at = 0; at < answer.length; at += 1 << 20) framer.push('server', answer.subarray(at, at + (1 << 20)), out);
      assert.deepEqual(out, [
        { side: 'client', start: 0, end: request.length, role: 'request' },
        { side: 'server', start: 0, end: answer.length, role: 'response' },
      ], framer.unsureBecause);
    }
  });
});
