import assert from 'node:assert/strict';
import { join } from 'node:path';
import { FakeClock, removeTemporaryFolders, temporaryFolder, writer } from '../store/recordings.ts';
import { open, Streams } from '../store/traffic.ts';
import { jsonLines, koala } from './run.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

describe('--trace', function () {
  this.timeout(300_000);
  let dir: string;
  before(() => {
    dir = join(temporaryFolder(), 'rec');
    const clock = new FakeClock();
    const to = writer(dir, clock);
    const streams = new Streams();
    const asked = (number: number, path: string, field: string): void => {
      const atNs = clock.monotonicNs + BigInt(number) * 2_000_000n;
      open(to, number, 'inbound', atNs);
      streams.said(to, number, 'ingress', `GET ${path} HTTP/1.1\r\nhost: shop\r\n${field}\r\n\r\n`, atNs + 100_000n);
      streams.said(to, number, 'egress', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx', atNs + 800_000n);
      streams.close(to, number, atNs + 900_000n);
    };
    asked(1, '/one', `traceparent: 00-${TRACE}-00f067aa0ba902b7-01`);
    asked(2, '/two', `b3: ${TRACE}-05e3ac9a4f6e3b90-1`);
    asked(3, '/other', `traceparent: 00-${TRACE.replace('4', '5')}-00f067aa0ba902b7-01`);
    asked(4, '/named', 'X-Request-ID: Req-4711');
    asked(5, '/none', 'x-other: y');
    to.close();
  });
  after(removeTemporaryFolders);

  const summaries = (...args: string[]): unknown[] => jsonLines(koala(['ls', dir, '--json', ...args]).stdout).map((row) => row['summary']);

  it('lists the sessions of a trace, however its id is written, and those of a request id', () => {
    for (const id of [TRACE, TRACE.toUpperCase(), `00-${TRACE}-${'1'.repeat(16)}-01`, `1-${TRACE.slice(0, 8)}-${TRACE.slice(8)}`]) assert.deepEqual(summaries('--trace', id), ['GET /one', 'GET /two'], id);
    assert.deepEqual(summaries('--trace', 'req-4711'), ['GET /named']);
    assert.deepEqual(summaries('--trace', TRACE, '--grep', 'two'), ['GET /two']);
    assert.deepEqual(summaries('--trace', 'nobody'), []);
  });

  it('chooses what is exported, by the same filter; each session says of which trace it is', () => {
    const exported = jsonLines(koala(['export', dir, '--format', 'json', '--trace', TRACE]).stdout);
    assert.deepEqual(exported.map((one) => one['trace']), [{ traceId: TRACE, spanId: '00f067aa0ba902b7' }, { traceId: TRACE, spanId: '05e3ac9a4f6e3b90' }]);
    assert.deepEqual(jsonLines(koala(['export', dir, '--format', 'json', '--grep', 'none']).stdout).map((one) => 'trace' in one), [false]);
  });

  it('stands in each row of ls --json, as in the session, and in none of a session without', () => {
    const traces = (args: readonly string[]): unknown[] => jsonLines(koala(args).stdout).map((one) => [one['id'], one['trace']]).sort();
    const listed = traces(['ls', dir, '--json']);
    assert.deepEqual(listed, traces(['export', dir, '--format', 'json']));
    assert.ok(listed.some((one) => (one as unknown[])[1] === undefined) && listed.some((one) => (one as unknown[])[1] !== undefined));
  });

  it('shows the trace as a tree, and says where there is none, or both it and a session were asked for', () => {
    const shown = koala(['show', dir, '--trace', TRACE]);
    assert.equal(shown.status, 0, shown.stderr);
    assert.match(shown.stdout, /GET \/one\n.*GET \/two\n$/);
    const [json] = jsonLines(koala(['show', dir, '--trace', TRACE, '--json']).stdout);
    assert.deepEqual([json?.['format'], (json?.['sessions'] as unknown[]).length], ['koala-bpf/trace@1', 2]);
    assert.match(koala(['show', dir, '--trace', 'nobody']).stderr, /no session of trace "nobody"/);
    for (const args of [['show', dir], ['show', dir, '1234', '--trace', TRACE]]) {
      const refused = koala(args);
      assert.equal(refused.status, 2);
      assert.match(refused.stderr, /one of a session's id and --trace is meant/);
    }
  });
});
