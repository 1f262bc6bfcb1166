import assert from 'node:assert/strict';
import { maxRecogniseBytes, protocolNamed, PROTOCOLS, recognise, unknown } from '../../../src/protocols/index.ts';
import { unescape } from '../../conversations/dialogue.ts';

const NOTHING = new Uint8Array(0);

/** The answer as a name: `more`, `none`, or the protocol's. */
function answer(client: Uint8Array, server: Uint8Array, serverPort = 0): string {
  const found = recognise(client, server, { serverPort });
  return found === undefined ? 'none' : found === 'more' ? 'more' : found.name;
}

const opening = (client: string, server = '', port = 0): string => answer(unescape(client), unescape(server), port);

const GREETING = '{my 0 \\x0a8.0.36\\0\\x01\\0\\0\\0abcdefgh\\0}';

describe('recognising a protocol', () => {
  const cases: readonly [string, string, string, number, string][] = [
    ['a request with a path', 'GET / HTTP/1.1\\r\\n', '', 0, 'http'],
    ['a method nobody knows', 'BREW /pot HTTP/1.1\\r\\n', '', 0, 'http'],
    ['a request to a proxy', 'GET http://a/ HTTP/1.1\\r\\n', '', 0, 'http'],
    ['CONNECT', 'CONNECT a:443 HTTP/1.1\\r\\n', '', 0, 'http'],
    ['blank lines before a request', '\\r\\n\\r\\nGET / HTTP/1.1\\r\\n', '', 0, 'http'],
    ['an answer whose request was not seen', '', 'HTTP/1.1 200 OK\\r\\n', 0, 'http'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n', '', 0, 'http2'],
    ['an HTTP/2 server that speaks before the preface is there', '', '\\0\\0\\x06\\x04\\0\\0\\0\\0\\0\\0\\x03\\0\\0\\0d', 0, 'more'],
    ['HTTP/2 in mid-life: a window update, and a request', '\\0\\0\\x04\\x08\\0\\0\\0\\0\\0\\0\\0\\x10\\0\\0\\0\\x03\\x01\\x05\\0\\0\\0\\x07\\x82\\x86\\x84', '', 0, 'http2'],
    ['HTTP/2 in mid-life that says no request', '\\0\\0\\x04\\x08\\0\\0\\0\\0\\0\\0\\0\\x10\\0', '', 0, 'more'],
    ['what has the shape of a HEADERS frame and no method in it', '\\0\\0\\x03\\x01\\x05\\0\\0\\0\\x07abc', '', 0, 'none'],
    ['a ClientHello', '\\x16\\x03\\x01\\x02\\x00\\x01\\x00\\x01\\xfc\\x03\\x03', '', 0, 'tls'],
    ['a Redis command', '{resp PING}', '', 0, 'redis'],
    ['an inline Redis command at its port', 'PING\\r\\n', '', 6379, 'redis'],
    ['an inline Redis command answered as Redis does', 'PING\\r\\n', '+PONG\\r\\n', 7000, 'redis'],
    ['an inline command not answered yet', 'PING\\r\\n', '', 7000, 'more'],
    ['who is turned away by Redis before asking', '', '-ERR max number of clients reached\\r\\n', 7000, 'redis'],
    ['the beginning of that', '', '-ERR max', 7000, 'more'],
    ['protected mode', '', '-DENIED Redis is running in protected mode because', 7000, 'redis'],
    ['any error that is said first at Redis\' port', '', '-LOADING the dataset\\r\\n', 6379, 'redis'],
    ['an error that a POP3 server says first', '', '-ERR busy\\r\\n', 110, 'none'],
    ['memcached that turns a client away', '', 'ERROR Too many open connections\\r\\n', 11211, 'none'],
    ['memcached is no Redis', 'get user:7\\r\\n', 'VALUE user:7 0 1\\r\\n', 0, 'none'],
    ['SMTP', '', '220 mail.example ESMTP\\r\\n', 25, 'none'],
    ['SMTP with the client heard too', 'EHLO me\\r\\n', '220 mail.example ESMTP\\r\\n', 25, 'none'],
    ['SSH', 'SSH-2.0-OpenSSH_9\\r\\n', 'SSH-2.0-OpenSSH_9\\r\\n', 22, 'none'],
    ['RTSP is no HTTP', 'OPTIONS * RTSP/1.0\\r\\n', '', 554, 'none'],
    ['a PostgreSQL startup', '{pg0 \\x00\\x03\\x00\\x00user\\0a\\0\\0}', '', 0, 'postgresql'],
    ['protocol 3.2', '{pg0 \\x00\\x03\\x00\\x02user\\0a\\0\\0}', '', 0, 'postgresql'],
    ['an SSLRequest', '{pg0 \\x04\\xd2\\x16\\x2f}', '', 0, 'postgresql'],
    ['a PostgreSQL query in mid-life', '{pg Q SELECT 1\\0}', '', 0, 'postgresql'],
    ['a PostgreSQL pipeline in mid-life', '{pg P \\0SELECT 1\\0\\0\\0}{pg S }', '', 0, 'postgresql'],
    ['a bound statement in mid-life at its port', '{pg B \\0s1\\0\\0\\0\\0\\0\\0\\0}{pg S }', '', 5432, 'postgresql'],
    ['a MySQL greeting', '', GREETING, 0, 'mysql'],
    ['a MySQL greeting and login', '{my 1 \\x8d\\xa2\\x0b\\0}', GREETING, 0, 'mysql'],
    ['a refusal at MySQL\'s port', '', '{my 0 \\xff\\x10\\x04Too many connections}', 3306, 'mysql'],
    ['a MySQL query in mid-life', '{my 0 \\x03SELECT 1}', '', 0, 'mysql'],
    ['a MySQL ping in mid-life at its port', '{my 0 \\x0e}', '', 3306, 'mysql'],
    ['a FastCGI request', '{fcgi 1 1 \\0\\x01\\0\\0\\0\\0\\0\\0}', '', 0, 'fastcgi'],
    ['nothing yet', '', '', 3306, 'more'],
    ['MongoDB', '\\x3f\\0\\0\\0\\x01\\0\\0\\0\\0\\0\\0\\0\\xdd\\x07\\0\\0', '', 27017, 'none'],
    ['Kafka', '\\0\\0\\0\\x23\\0\\x12\\0\\x03\\0\\0\\0\\x01\\0\\x07rdkafka', '', 9092, 'none'],
    ['AMQP', 'AMQP\\0\\0\\x09\\x01', '', 5672, 'none'],
    ['zeros', '{\\0 * 64}', '', 0, 'none'],
  ];
  for (const [name, client, server, port, expected] of cases) {
    it(`${name}: ${expected}`, () => assert.equal(opening(client, server, port), expected));
  }

  it('never takes back an answer when more bytes come, and never says another protocol on the way', () => {
    for (const [name, client, server, port, expected] of cases) {
      const [c, s] = [unescape(client), unescape(server)];
      for (let end = 0; end <= c.length; end++) {
        const early = answer(c.subarray(0, end), c.length === 0 ? s : NOTHING, port);
        if (s.length > 0 && early === 'none') continue; // the server's words are missing yet
        assert.ok(early === 'more' || early === expected || expected === 'more', `${name}: ${early} after ${end} of ${c.length} bytes`);
      }
      for (let end = 0; end <= s.length; end++) {
        // MySQL's server speaks first: its client has said nothing before the greeting is whole.
        const early = answer(expected === 'mysql' && end < s.length ? NOTHING : c, s.subarray(0, end), port);
        assert.ok(early === 'more' || early === expected, `${name}: ${early} after ${end} of ${s.length} bytes of the server`);
      }
    }
  });

  it('gives up at its cap', () => {
    const endless = new Uint8Array(maxRecogniseBytes).fill(65);
    assert.equal(answer(endless, NOTHING), 'none');
    assert.equal(answer(Buffer.concat([Buffer.from('FOO '), endless]), NOTHING), 'none');
    assert.equal(answer(Buffer.from('FOO /bar'), NOTHING), 'more');
  });

  it('finds protocols by name, and unknown for any other', () => {
    for (const protocol of PROTOCOLS) assert.equal(protocolNamed(protocol.name), protocol);
    assert.equal(protocolNamed('gopher'), unknown);
  });
});

describe('the server name in a ClientHello', () => {
  const name = Buffer.from('db.example.com');
  const word = (value: number): number[] => [value >> 8, value & 255];
  const sni = [0, 0, ...word(name.length + 5), ...word(name.length + 3), 0, ...word(name.length), ...name];
  const extensions = [0x0a, 0x0a, 0, 0, ...sni, 0, 23, 0, 0];
  const body = [3, 3, ...new Array<number>(32).fill(7), 4, 1, 2, 3, 4, ...word(4), 0x13, 1, 0x13, 2, 1, 0, ...word(extensions.length), ...extensions];
  const hello = [1, 0, ...word(body.length), ...body];
  const record = (bytes: number[]): number[] => [22, 3, 1, ...word(bytes.length), ...bytes];
  const tls = protocolNamed('tls');

  it('is found in one record', () => assert.equal(tls.serverName?.(Uint8Array.from(record(hello))), 'db.example.com'));
  it('is found when the ClientHello is split over records', () => {
    for (let at = 1; at < hello.length; at++) {
      assert.equal(tls.serverName?.(Uint8Array.from([...record(hello.slice(0, at)), ...record(hello.slice(at))])), 'db.example.com', `split at ${at}`);
    }
  });
  it('is undefined, and nothing is thrown, when it is cut off', () => {
    const whole = record(hello);
    for (let end = 0; end < whole.length - 4; end++) assert.equal(tls.serverName?.(Uint8Array.from(whole.slice(0, end))), undefined, `cut at ${end}`);
  });
  it('names the connection in its summary', () => {
    assert.deepEqual(tls.summarise(Uint8Array.from(record(hello)), NOTHING), { text: 'TLS to db.example.com' });
    assert.deepEqual(tls.summarise(NOTHING, NOTHING), { text: 'TLS' });
  });
});
