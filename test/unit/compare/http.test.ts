import assert from 'node:assert/strict';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { compareTalk, equalByProtocol, maxDifferences } from '../../../src/compare/index.ts';
import type { Difference, TalkComparison } from '../../../src/compare/index.ts';

const GET = Buffer.from('GET /a HTTP/1.1\r\nHost: x\r\n\r\n');
type Headers = Readonly<Record<string, string>>;

function answer(body: Uint8Array | string, headers: Headers = {}, start = 'HTTP/1.1 200 OK'): Buffer {
  const bytes = Buffer.from(body);
  const lines = Object.entries({ 'Content-Length': String(bytes.length), ...headers }).filter(([, value]) => value !== '').map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`${start}\r\n${lines.join('')}\r\n`), bytes]);
}

const responses = (recorded: Uint8Array, live: Uint8Array, request: Uint8Array = GET): TalkComparison => compareTalk({ request, response: recorded }, { request, response: live }, 'http');
const requests = (recorded: string, live: string): TalkComparison => compareTalk(
  { request: Buffer.from(recorded), response: answer('') }, { request: Buffer.from(live), response: answer('') }, 'http');
const paths = (comparison: TalkComparison): string[] => comparison.differences.map(({ path, kind }) => `${kind} ${path}`);
const json = (recorded: string, live: string): TalkComparison => responses(answer(recorded, { 'Content-Type': 'application/json' }), answer(live, { 'Content-Type': 'application/json' }));

function assertSame(comparison: TalkComparison): void {
  assert.deepEqual(comparison.differences, []);
  assert.equal(comparison.verdict, 'same');
}

describe('HTTP answers compared', () => {
  it('equal bytes are the same, with nothing ignored', () => {
    const comparison = responses(answer('a'), answer('a'));
    assert.deepEqual(comparison, { verdict: 'same', differences: [], more: 0, ignored: 0, noise: [] });
  });
  it('a status, with both values', () => {
    assert.deepEqual(responses(answer('a'), answer('a', {}, 'HTTP/1.1 500 Oops')).differences, [{ path: 'response.status', recorded: 200, live: 500, kind: 'changed' }]);
  });
  it('a reason phrase means nothing, a version does', () => {
    assertSame(responses(answer('a'), answer('a', {}, 'HTTP/1.1 200 Fine')));
    assert.deepEqual(paths(responses(answer('a'), answer('a', {}, 'HTTP/1.0 200 OK'))), ['changed response.version']);
  });
  it('headers in another order and case are the same; added, removed and changed ones are not', () => {
    assertSame(responses(answer('', { 'X-A': '1', 'X-B': '2' }), answer('', { 'x-b': '2', 'x-a': '1' })));
    const comparison = responses(answer('', { 'X-Gone': '1', 'X-Both': '1' }), answer('', { 'X-New': '2', 'X-Both': '3' }));
    assert.deepEqual(comparison.differences, [
      { path: 'response.headers.x-gone', recorded: '1', kind: 'removed' },
      { path: 'response.headers.x-both', recorded: '1', live: '3', kind: 'changed' },
      { path: 'response.headers.x-new', live: '2', kind: 'added' },
    ]);
  });
  it('volatile headers are noise that is counted and named', () => {
    const comparison = responses(answer('', { Date: 'Mon, 23 Nov 2026 14:00:00 GMT', 'X-Request-Id': 'a' }), answer('', { Date: 'Tue, 24 Nov 2026 15:00:00 GMT', 'X-Request-Id': 'b' }));
    assertSame(comparison);
    assert.equal(comparison.ignored, 2);
    assert.deepEqual(comparison.noise.map(({ path }) => path), ['response.headers.date', 'response.headers.x-request-id']);
  });
  it('ETag, Server, Location and Cache-Control are no noise', () => {
    for (const name of ['etag', 'server', 'location', 'cache-control', 'content-type', 'last-modified']) {
      assert.deepEqual(paths(responses(answer('', { [name]: 'a' }), answer('', { [name]: 'b' }))), [`changed response.headers.${name}`]);
    }
  });
  it('Expires counts from Date: as long after it is noise, longer is a difference', () => {
    const at = (date: string, expires: string): Buffer => answer('', { Date: date, Expires: expires });
    const recorded = at('Mon, 23 Nov 2026 14:00:00 GMT', 'Mon, 23 Nov 2026 15:00:00 GMT');
    assertSame(responses(recorded, at('Tue, 24 Nov 2026 10:00:00 GMT', 'Tue, 24 Nov 2026 11:00:00 GMT')));
    assert.deepEqual(paths(responses(recorded, at('Tue, 24 Nov 2026 10:00:00 GMT', 'Tue, 24 Nov 2026 12:00:00 GMT'))), ['changed response.headers.expires']);
  });
  it('cookies are compared by name, their Expires from Date', () => {
    const cookie = (date: string, value: string): Buffer => Buffer.from(`HTTP/1.1 200 OK\r\nDate: ${date}\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: ${value}\r\nContent-Length: 0\r\n\r\n`);
    const recorded = cookie('Mon, 23 Nov 2026 14:00:00 GMT', 'sid=x; HttpOnly; Expires=Mon, 23 Nov 2026 15:00:00 GMT');
    assertSame(responses(recorded, cookie('Tue, 24 Nov 2026 14:00:00 GMT', 'sid=x; expires=Tue, 24 Nov 2026 15:00:00 GMT; httponly')));
    assert.deepEqual(paths(responses(recorded, cookie('Mon, 23 Nov 2026 14:00:00 GMT', 'sid=y; Expires=Mon, 23 Nov 2026 15:00:00 GMT'))),
      ['changed response.headers.set-cookie.sid', 'changed response.headers.set-cookie.sid.attributes']);
  });
  it('Content-Length is framing, but not where it answers a HEAD', () => {
    const head = Buffer.from('HEAD /a HTTP/1.1\r\n\r\n');
    const of = (length: number): Buffer => Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`);
    assert.deepEqual(paths(responses(of(5), of(6), head)), ['changed response.headers.content-length']);
  });
  it('the same body chunked, compressed in three ways, or plain is the same but for its headers', () => {
    const body = JSON.stringify({ a: 'x'.repeat(200) });
    const chunked = Buffer.from(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n${body.slice(0, 5)}\r\n${(body.length - 5).toString(16)};x=y\r\n${body.slice(5)}\r\n0\r\n\r\n`);
    assertSame(responses(answer(body), chunked));
    for (const [coding, bytes] of [['gzip', gzipSync(body)], ['br', brotliCompressSync(body)], ['deflate', deflateSync(body)], ['deflate', deflateRawSync(body)]] as const) {
      assert.deepEqual(paths(responses(answer(body), answer(bytes, { 'Content-Encoding': coding }))), ['added response.headers.content-encoding'], coding);
    }
    assertSame(responses(answer(gzipSync(body, { level: 1 }), { 'Content-Encoding': 'gzip' }), answer(gzipSync(body, { level: 9 }), { 'Content-Encoding': 'gzip' })));
  });
  it('a compressed bomb and broken compression are compared as they were sent', () => {
    const bomb = gzipSync(Buffer.alloc(80 << 20));
    assert.deepEqual(paths(responses(answer(bomb, { 'Content-Encoding': 'gzip' }), answer('x', { 'Content-Encoding': 'gzip' }))), ['bytes response.body']);
  });
  it('an answer that broke off is not the same as the whole one', () => {
    const whole = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n';
    assert.deepEqual(paths(responses(Buffer.from(whole), Buffer.from(whole.slice(0, -5)))), ['changed response.whole']);
    assert.deepEqual(paths(responses(answer('okay'), answer('ok', { 'Content-Length': '4' }))), ['changed response.body.lines[0]', 'changed response.whole']);
  });
  it('interim answers: 100 depends on timing, others count', () => {
    const with1xx = (status: string): Buffer => Buffer.concat([Buffer.from(`HTTP/1.1 ${status} x\r\n\r\n`), answer('a')]);
    const comparison = responses(answer('a'), with1xx('100'));
    assertSame(comparison);
    assert.equal(comparison.ignored, 1);
    assert.deepEqual(paths(responses(answer('a'), with1xx('103'))), ['changed response.interim']);
  });
  it('an answer that is no HTTP is compared as bytes', () => {
    const comparison = responses(answer('a'), Buffer.from('nonsense'));
    assert.deepEqual(paths(comparison), ['bytes response']);
  });
  it('no answer at all is a removed one', () => assert.deepEqual(paths(responses(answer('a'), Buffer.alloc(0))), ['removed response']));
});

describe('JSON bodies compared', () => {
  it('key order and white space are nothing', () => assertSame(json('{"a":1,"b":[1,2]}', '{ "b": [1, 2],\n "a": 1 }')));
  it('changed, added, removed and retyped values, each at its path', () => {
    assert.deepEqual(json('{"a":[{"x":1},{"x":2}],"b":"1","c":null,"odd key":1}', '{"a":[{"x":1},{"x":3}],"b":1,"d":[],"odd key":2}').differences, [
      { path: 'response.body.$.a[1].x', recorded: 2, live: 3, kind: 'changed' },
      { path: 'response.body.$.b', recorded: '1', live: 1, kind: 'type' },
      { path: 'response.body.$.c', recorded: null, kind: 'removed' },
      { path: 'response.body.$["odd key"]', recorded: 1, live: 2, kind: 'changed' },
      { path: 'response.body.$.d', live: [], kind: 'added' },
    ]);
  });
  it('numbers beyond what a double holds are told apart', () => {
    const comparison = json('{"id":9007199254740993}', '{"id":9007199254740992}');
    assert.deepEqual(JSON.parse(JSON.stringify(comparison.differences)), [{ path: 'response.body.$.id', recorded: '9007199254740993', live: '9007199254740992', kind: 'changed' }]);
    assert.deepEqual(paths(json('[0.1000000000000000055511151231257827]', '[0.1]')), ['changed response.body.$[0]']);
    assert.deepEqual(paths(json('[1e400]', '[1e401]')), ['changed response.body.$[0]']);
  });
  it('the same number written otherwise is the same', () => assertSame(json('[1.0,1e2,12345678901234567890.0,1e400]', '[1,100,1234567890123456789e1,10e399]')));
  it('a key named twice is not read as JSON, so never silently equal', () => {
    assert.equal(json('{"a":1,"a":2}', '{"a":2}').verdict, 'different');
    assert.equal(json('{"a":1,"a":1}', '{"a":1}').verdict, 'different');
    assert.equal(json('{"a":1}', '{"a":1,"\\u0061":2}').verdict, 'different');
  });
  it('keys that every object has are keys like others', () => {
    for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      assert.deepEqual(paths(json('{}', `{"${key}":1}`)), [`added response.body.$.${key}`]);
      assert.deepEqual(paths(json(`{"${key}":{"a":1}}`, '{}')), [`removed response.body.$.${key}`]);
      assert.deepEqual(paths(json(`{"${key}":{"a":1}}`, `{"${key}":{"a":2}}`)), [`changed response.body.$.${key}.a`]);
    }
  });
  it('an element put in front is one difference, not as many as follow', () => {
    assert.deepEqual(json('[1,2,3]', '[0,1,2,3]').differences, [{ path: 'response.body.$[0]', live: 0, kind: 'added' }]);
    assert.deepEqual(json('[1,2,3,4]', '[1,4]').differences.map(({ path }) => path), ['response.body.$[1]', 'response.body.$[2]']);
  });
  it('an array and an object are of different types', () => assert.deepEqual(paths(json('{"a":[]}', '{"a":{}}')), ['type response.body.$.a']));
  it('nesting without end is compared as text', () => assert.equal(json('['.repeat(1e5) + ']'.repeat(1e5), '['.repeat(1e5 + 1) + ']'.repeat(1e5 + 1)).verdict, 'different'));
  it('JSON against what is none is compared as text', () => assert.deepEqual(paths(json('{"a":1}', 'Internal error')), ['changed response.body.lines[0]']));
  it('JSON without a content type is seen by its first character', () => assert.deepEqual(paths(responses(answer('{"a":1}'), answer('{"a":2}'))), ['changed response.body.$.a']));
  it('differences beyond the cap are counted', () => {
    const comparison = json(JSON.stringify(Array(5000).fill(1)), JSON.stringify(Array(5000).fill(2)));
    assert.equal(comparison.differences.length, maxDifferences);
    assert.equal(comparison.more, 5000 - maxDifferences);
  });
});

describe('other bodies compared', () => {
  it('text by line, an added line being one difference', () => {
    assert.deepEqual(responses(answer('a\nb\nc\nd'), answer('a\nx\nc\nnew\nd')).differences, [
      { path: 'response.body.lines[1]', recorded: 'b', live: 'x', kind: 'changed' },
      { path: 'response.body.lines[3]', live: 'new', kind: 'added' },
    ]);
  });
  it('texts that have nothing in common end, quickly', () => {
    const lines = (name: string): string => Array.from({ length: 3000 }, (_, at) => `${name}${at}`).join('\n');
    assert.equal(responses(answer(lines('a')), answer(lines('b'))).verdict, 'different');
  }).timeout(3000);
  it('bytes by the first that differs, in context', () => {
    const [a, b] = [Buffer.alloc(100, 1), Buffer.alloc(100, 1)];
    b[70] = 2;
    const [difference] = responses(answer(a), answer(b)).differences;
    assert.equal(difference?.kind, 'bytes');
    assert.equal((difference?.recorded as { offset: number }).offset, 70);
  });
  it('forms by name', () => {
    const type = { 'Content-Type': 'application/x-www-form-urlencoded' };
    assertSame(responses(answer('a=1&b=x+y', type), answer('b=x%20y&a=1', type)));
    assert.deepEqual(paths(responses(answer('a=1&b=2', type), answer('a=1&b=3&c=', type))), ['changed response.body.form.b', 'added response.body.form.c']);
    assert.equal(responses(answer('a=%ff', type), answer('a=%fe', type)).verdict, 'different');
  });
  it('a multipart boundary is made up, its parts are not', () => {
    const form = (boundary: string, value: string): Buffer => answer(`--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n${value}\r\n--${boundary}--\r\n`, { 'Content-Type': `multipart/form-data; boundary=${boundary}` });
    assertSame(responses(form('xyz', '1'), form('abcdef', '1')));
    assert.deepEqual(paths(responses(form('xyz', '1'), form('abcdef', '2'))), ['changed response.body.lines[3]']);
  });
});

describe('HTTP requests compared', () => {
  it('method, path and query, each by itself', () => {
    assert.deepEqual(paths(requests('GET /a?x=1&y=2 HTTP/1.1\r\n\r\n', 'POST /b?y=3&x=1&z=4 HTTP/1.1\r\n\r\n')),
      ['changed request.method', 'changed request.path', 'changed request.query.y', 'added request.query.z']);
  });
  it('the order of query names is nothing, that of one name\'s values is something', () => {
    assert.ok(equalByProtocol(Buffer.from('GET /a?x=1&y=2 HTTP/1.1\r\n\r\n'), Buffer.from('GET /a?y=2&x=1 HTTP/1.1\r\n\r\n'), 'http'));
    assert.ok(!equalByProtocol(Buffer.from('GET /a?x=1&x=2 HTTP/1.1\r\n\r\n'), Buffer.from('GET /a?x=2&x=1 HTTP/1.1\r\n\r\n'), 'http'));
  });
  it('a query value, a header or a body value makes another request; a trace id does not', () => {
    const base = 'POST /a?q=1 HTTP/1.1\r\nX-Tenant: t\r\nTraceparent: 00-a\r\nContent-Length: 7\r\n\r\n{"a":1}';
    assert.ok(equalByProtocol(Buffer.from(base), Buffer.from(base.replace('00-a', '00-b')), 'http'));
    for (const other of [base.replace('q=1', 'q=2'), base.replace(': t', ': u'), base.replace('"a":1', '"a":2')]) assert.ok(!equalByProtocol(Buffer.from(base), Buffer.from(other), 'http'), other);
  });
  it('the caller\'s rules make differences noise, by path', () => {
    const ignore = ({ path }: Difference): string | undefined => (path === 'response.body.$.at' ? '--ignore' : undefined);
    const comparison = compareTalk({ request: GET, response: answer('{"at":1,"b":1}') }, { request: GET, response: answer('{"at":2,"b":1}') }, 'http', { ignore });
    assert.deepEqual(comparison, { verdict: 'same', differences: [], more: 0, ignored: 1, noise: [{ path: 'response.body.$.at', rule: '--ignore' }] });
  });
});
