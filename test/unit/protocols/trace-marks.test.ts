import assert from 'node:assert/strict';
import { traceMarks } from '../../../src/protocols/trace-marks.ts';
import type { TraceMarks } from '../../../src/protocols/trace-marks.ts';

const T = '4bf92f3577b34da6a3ce929d0e0e4736';
const S = '00f067aa0ba902b7';
const P = '05e3ac9a4f6e3b90';

const of = (protocol: string, bytes: Uint8Array): TraceMarks => traceMarks(protocol, {
  head: (max) => bytes.subarray(0, max),
  tail: (max) => bytes.subarray(Math.max(0, bytes.length - max)),
});
const http = (...fields: string[]): TraceMarks => of('http', Buffer.from(['GET / HTTP/1.1', 'Host: x', ...fields, '', 'traceparent: in the body'].join('\r\n')));

describe('trace marks', () => {
  for (const [what, fields, wanted] of [
    ['W3C', [`TraceParent:  00-${T}-${S}-01 `], { ids: [T], traceId: T, spanId: S }],
    ['a later version of W3C\'s', [`traceparent: 01-${T}-${S}-01-more`], { ids: [T], traceId: T, spanId: S }],
    ['B3 in one header', [`b3: ${T}-${S}-1-${P}`], { ids: [T], traceId: T, spanId: S, parentSpanId: P }],
    ['B3 in one header, with a short id and no more', [`b3: ${S}-${P}`], { ids: [S.padStart(32, '0')], traceId: S.padStart(32, '0'), spanId: P }],
    ['B3 in several headers', [`X-B3-TraceId: ${T}`, `X-B3-SpanId: ${S}`, `X-B3-ParentSpanId: ${P}`, 'X-B3-Sampled: 1'], { ids: [T], traceId: T, spanId: S, parentSpanId: P }],
    ['Jaeger', [`uber-trace-id: ${T.toUpperCase()}:${S}:0:1`], { ids: [T], traceId: T, spanId: S }],
    ['Jaeger, as it is escaped in a URL', [`uber-trace-id: ${T}%3A${S}%3A${P}%3A1`], { ids: [T], traceId: T, spanId: S, parentSpanId: P }],
    ['X-Ray', [`X-Amzn-Trace-Id: Self=1-x;Root=1-${T.slice(0, 8)}-${T.slice(8)};Parent=${S};Sampled=1`], { ids: [T], traceId: T, spanId: S }],
    ['Google', [`X-Cloud-Trace-Context: ${T}/255;o=1`], { ids: [T], traceId: T, spanId: '00000000000000ff' }],
    ['Datadog', ['x-datadog-trace-id: 255', 'x-datadog-parent-id: 16'], { ids: ['ff'.padStart(32, '0')], traceId: 'ff'.padStart(32, '0'), spanId: '0000000000000010' }],
    ['request and correlation ids', ['X-Request-ID: Req-1234', 'x-correlation-id: abcdefgh'], { ids: ['req-1234', 'abcdefgh'] }],
    ['several of them', [`traceparent: 00-${T}-${S}-01`, 'x-request-id: req-1234', `b3: ${T}-${P}`], { ids: [T, 'req-1234'], traceId: T, spanId: S }],
  ] as const) it(`are read as ${what} has them`, () => assert.deepEqual(http(...fields), wanted));

  it('are none of what is no such header, of zeros, of short ids, and of what can\'t be read', () => {
    for (const field of [`traceparent: 00-${'0'.repeat(32)}-${S}-01`, 'traceparent: 00-12-34-01', 'b3: 0', 'b3: 1', 'x-request-id: 7', 'x-requested-with: XMLHttpRequest', `x-traceparents: 00-${T}-${S}-01`, 'uber-trace-id', ':', 'tracestate: congo=t61rcWkgMzE']) {
      assert.deepEqual(http(field).ids, [], field);
    }
  });

  it('are not what vendors put into tracestate, beside traceparent or alone', () => {
    for (const state of ['dd=s:1;o:rum;p:05e3ac9a4f6e3b90;t.dm:-4', 'es=s:1', 'rojo=05e3ac9a4f6e3b90,congo=t61rcWkgMzE', `x@nr=0-0-1-2-${P}-${T}-1-1.2-15`]) {
      assert.deepEqual(http(`tracestate: ${state}`), { ids: [] }, state);
      assert.deepEqual(http(`tracestate: ${state}`, `traceparent: 00-${T}-${S}-01`), { ids: [T], traceId: T, spanId: S }, state);
      assert.deepEqual(http(`traceparent: 00-${'0'.repeat(32)}-${S}-01`, `tracestate: ${state}`).ids, [], state);
    }
  });

  it('are those of a message that is cut short anywhere, or none', () => {
    const whole = Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\ntraceparent: 00-${T}-${S}-01\r\n\r\n`);
    for (let length = 0; length <= whole.length; length += 1) {
      const { ids } = of('http', whole.subarray(0, length));
      assert.ok(ids.length === 0 || ids[0] === T, `cut at ${length}: ${ids[0]}`);
    }
  });

  it('are read from a comment in SQL, at its end too', () => {
    const comment = `/*action='%2Fpolls',traceparent='00-${T}-${S}-01'*/`;
    for (const protocol of ['postgresql', 'mysql']) {
      assert.deepEqual(of(protocol, Buffer.from(`Q\0\0\0\x50SELECT 1 ${comment}\0`)), { ids: [T], traceId: T, spanId: S });
      assert.deepEqual(of(protocol, Buffer.from(`Q\0\0\0\x50SELECT '${'x'.repeat(100_000)}' ${comment}\0`)).ids, [T]);
      assert.deepEqual(of(protocol, Buffer.from('Q\0\0\0\x50SELECT 1\0')).ids, []);
    }
    assert.deepEqual(of('redis', Buffer.from(comment)).ids, []);
  });

  it('are read from FastCGI\'s parameters', () => {
    const name = 'HTTP_TRACEPARENT';
    const value = `00-${T}-${S}-01`;
    const params = Buffer.concat([Buffer.from([name.length, value.length]), Buffer.from(name + value)]);
    const begin = Buffer.from([1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert.deepEqual(of('fastcgi', Buffer.concat([begin, Buffer.from([1, 4, 0, 1, 0, params.length, 0, 0]), params])), { ids: [T], traceId: T, spanId: S });
  });
});
