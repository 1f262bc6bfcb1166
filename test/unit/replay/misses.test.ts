import assert from 'node:assert/strict';
import { protocolNamed } from '../../../src/protocols/index.ts';
import type { Frame } from '../../../src/protocols/protocol.ts';
import { missAnswer } from '../../../src/replay/misses.ts';
import { bytes, get } from './build.ts';

const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString('latin1');

describe('a call that nothing recorded answers', () => {
  it('gets a whole HTTP 502 that says why', () => {
    const answer = missAnswer('http', 'no recorded answer at 10.0.0.5:80 for GET /x');
    assert.ok(answer);
    assert.match(text(answer), /^HTTP\/1\.1 502 .*no recorded answer at 10\.0\.0\.5:80 for GET \/x\n$/s);
    const frames: Frame[] = [];
    const framer = protocolNamed('http').framer();
    framer.push('client', bytes(get('/x')), frames);
    framer.push('server', answer, frames);
    assert.deepEqual(frames.map(({ role, end }) => [role, end]), [['request', get('/x').length], ['response', answer.length]]);
  });

  it('gets one line from Redis, whatever is in the reason', () => {
    assert.equal(text(missAnswer('redis', 'for GET a\r\nb')), '-ERR koala-bpf: for GET a  b\r\n');
  });

  it('gets an ErrorResponse and ReadyForQuery from PostgreSQL, with true lengths', () => {
    const answer = Buffer.from(missAnswer('postgresql', 'why') ?? []);
    const end = 1 + answer.readInt32BE(1);
    assert.equal(answer[0], 'E'.charCodeAt(0));
    assert.equal(answer.subarray(end).toString('latin1'), 'Z\0\0\0\x05I');
    assert.deepEqual(answer.subarray(5, end).toString('latin1').split('\0').slice(0, 4), ['SERROR', 'VERROR', 'C58000', 'Mkoala-bpf: why']);
  });

  it('gets an ERR packet from MySQL, with its length and sequence number', () => {
    const answer = Buffer.from(missAnswer('mysql', 'why') ?? []);
    assert.equal(answer.readUIntLE(0, 3), answer.length - 4);
    assert.equal(answer[3], 1);
    assert.equal(answer[4], 0xff);
    assert.match(answer.toString('latin1'), /#HY000koala-bpf: why$/);
  });

  it('gets nothing in a protocol that we cannot speak', () => {
    assert.equal(missAnswer('unknown', 'why'), undefined);
  });
});
