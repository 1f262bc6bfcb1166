import { deepEqual, equal, ok } from 'node:assert/strict';
import { bytesJson } from '../../../src/report/bytes-json.ts';
import { duration, hexdump, oneLine, readableText, size, textLines } from '../../../src/report/text.ts';

describe('text for a terminal', () => {
  it('no control character of recorded text gets through', () => {
    const all = Array.from({ length: 0x2100 }, (_, code) => String.fromCharCode(code)).join('');
    for (const shown of [oneLine(all), ...textLines(all)]) {
      for (const character of shown) {
        const code = character.charCodeAt(0);
        ok(code >= 0x20 && !(code >= 0x7f && code < 0xa0) && !(code >= 0x202a && code <= 0x202e) && code !== 0x200f, `U+${code.toString(16)}`);
      }
    }
    equal(oneLine('a\x1b[31mred\r\n'), 'a\\x1b[31mred\\r\\n');
    equal(oneLine('grün 𝄞 日本'), 'grün 𝄞 日本');
  });

  it('bytes are shown by offset, in hexadecimal and as characters', () => {
    deepEqual(hexdump(Uint8Array.from([0x00, 0x41, 0x7f, 0xff, ...Buffer.from('0123456789abcdef')])), [
      '00000000  00 41 7f ff 30 31 32 33  34 35 36 37 38 39 61 62  .A..0123456789ab',
      '00000010  63 64 65 66                                       cdef',
    ]);
  });

  it('what is mostly control characters is no text', () => {
    equal(readableText(Uint8Array.of(0, 1, 2, 3, 65)), undefined);
    equal(readableText(Uint8Array.of(0xff, 0xfe)), undefined);
    equal(readableText(Buffer.from('GET / HTTP/1.1\r\n')), 'GET / HTTP/1.1\r\n');
  });

  it('quantities have three digits or so', () => {
    deepEqual([0.04, 9.96, 12.4, 999, 1500, 59_990, 250_000, 7_500_000].map(duration), ['0.0 ms', '10.0 ms', '12 ms', '999 ms', '1.5 s', '60.0 s', '4m 10s', '2h 5m']);
    deepEqual([0, 1023, 1024, 1536, 200 * 1024, 5 * 1024 ** 3].map(size), ['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '200 KiB', '5.0 GiB']);
  });

  it('bytes in JSON are text only where that is lossless', () => {
    deepEqual(bytesJson(Buffer.from('\ufeffgrün')), { text: '\ufeffgrün' });
    deepEqual(bytesJson(Uint8Array.of(0xc3)), { base64: 'ww==' });
    deepEqual(bytesJson(new Uint8Array(0)), { text: '' });
  });
});
