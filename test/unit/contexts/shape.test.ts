/** What calls have in common that differ only in values. */
import assert from 'node:assert/strict';
import { shapeOf } from '../../../src/contexts/shape.ts';
import { OpenTalk } from '../../../src/talks/open-talk.ts';
import type { Connection } from '../../../src/connections/connection.ts';

function shape(text: string): string {
  const connection = { open: { remote: { host: '10.0.0.2', port: 9 } } } as Connection;
  const talk = new OpenTalk(connection, false, 0, 1);
  const bytes = new Uint8Array(Buffer.from(text, 'latin1'));
  talk.request.add({ position: 0, length: bytes.length, atUs: 0, tid: 1, thread: 1, goroutine: 0, bytes, cause: 'none', more: false }, { maxBytes: 1_000, maxPieces: 10 });
  return shapeOf(talk);
}

describe('the shape of a call', () => {
  it('is the same for a text whose words with digits differ, and another where a word does', () => {
    assert.equal(shape('GET /price/a-1?n=2 HTTP/1.1\r\n'), shape('GET /price/b-33?n=4 HTTP/1.1\r\n'));
    assert.notEqual(shape('GET /price/1 HTTP/1.1\r\n'), shape('GET /order/1 HTTP/1.1\r\n'));
    assert.notEqual(shape('*2\r\n$3\r\nGET\r\n$2\r\nk1\r\n'), shape('*2\r\n$3\r\nSET\r\n$2\r\nk1\r\n'));
  });

  it('does not hang on bytes of a binary value that happen to be letters', () => {
    const bind = (value: string): string => `B\0\0\0>\0stmt\0\0\x01\0\x01\0\0\0\x04\0${value}\0\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04`;
    assert.equal(shape(bind('\x07X(')), shape(bind('\x07XA')));
    assert.equal(shape(bind('\x07X(')), shape(bind('\x07\x01\x02')));
    assert.notEqual(shape(bind('\x07X(').replace('stmt', 'other')), shape(bind('\x07X(')));
  });
});
