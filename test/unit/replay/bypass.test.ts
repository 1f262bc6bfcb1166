import assert from 'node:assert/strict';
import { isBypassedAddress, isBypassedOperation, NOTHING_BYPASSED, withoutBypassed, type Bypassed } from '../../../src/replay/bypass.ts';
import { isAgreed } from '../../../src/replay/played.ts';
import { call, get, ok, session } from './build.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const bypassing = (more: Partial<Bypassed>): Bypassed => ({ ...NOTHING_BYPASSED, ...more });

describe('what is let through to the real world', () => {
  it('is an address with a port, a port at every address, an address at every port, and what a name means', () => {
    const some = bypassing({ addresses: [{ host: '10.0.0.1', port: 80 }, { port: 9000 }, { host: '::1' }], names: [{ name: 'a.test', addresses: ['192.0.2.7'], port: 443 }] });
    const through = [['10.0.0.1', 80], ['10.0.0.2', 9000], ['::1', 5], ['192.0.2.7', 443]] as const;
    const kept = [['10.0.0.1', 81], ['10.0.0.2', 80], ['192.0.2.7', 80], ['::2', 5]] as const;
    assert.deepEqual(through.map(([host, port]) => isBypassedAddress(some, { host, port })), through.map(() => true));
    assert.deepEqual(kept.map(([host, port]) => isBypassedAddress(some, { host, port })), kept.map(() => false));
  });

  it('is an HTTP request by method, host and path, whatever its query', () => {
    const some = bypassing({ operations: [{ protocol: 'http', method: 'GET', target: 'config.internal/*' }, { protocol: 'http', method: '*', target: 'flags.internal/v1.0/all' }] });
    const asks = (head: string): boolean => isBypassedOperation(some, 'http', bytes(head));
    assert.ok(asks('GET /a/b?x=1 HTTP/1.1\r\nAccept: x\r\nHost: config.internal:8080\r\n\r\n'));
    assert.ok(asks('POST /v1.0/all HTTP/1.1\r\nhost: Flags.internal\r\n\r\n'));
    for (const no of ['POST /a HTTP/1.1\r\nHost: config.internal\r\n\r\n', 'GET /a HTTP/1.1\r\nHost: config.internal.evil\r\n\r\n',
      'GET /v1x0/all HTTP/1.1\r\nHost: flags.internal\r\n\r\n', 'GET /a HTTP/1.1\r\nHost: other\r\nX: y\r\n\r\n\r\nHost: config.internal', 'nonsense']) {
      assert.equal(asks(no), false, no);
    }
    assert.equal(isBypassedOperation(some, 'unknown', bytes(get('/a', 'config.internal'))), false);
  });

  it('is a Redis command, whatever its case and however it is written', () => {
    const some = bypassing({ operations: [{ protocol: 'redis', command: 'PUBLISH' }] });
    for (const yes of ['*3\r\n$7\r\npublish\r\n$1\r\nc\r\n$1\r\nm\r\n', 'PUBLISH c m\r\n']) assert.ok(isBypassedOperation(some, 'redis', bytes(yes)), yes);
    for (const no of ['*2\r\n$3\r\nGET\r\n$7\r\nPUBLISH\r\n', '*1\r\n$8\r\nPUBLISHX\r\n', '']) assert.equal(isBypassedOperation(some, 'redis', bytes(no)), false, no);
  });

  it('is no call that could be missed, and TLS that goes past us leaves its session complete', () => {
    const [first, second] = [call({ to: '10.0.0.1:80', protocol: 'http', request: get('/a'), response: ok('a') }), call({ to: '10.0.0.2:443', protocol: 'tls', request: 'x', response: 'y' })];
    const one = session({ request: get('/'), response: ok('x'), calls: [first, second] });
    const unread = { ...one, certificate: { state: 'incomplete' as const, lost: [], unseen: [{ kind: 'tls', count: 1 }] } };
    const played = withoutBypassed(unread, bypassing({ addresses: [{ port: 443 }] }));
    assert.deepEqual(played.outbound.map(isAgreed), [false, true]);
    assert.deepEqual(played.certificate, { state: 'complete', lost: [], unseen: [] });
    assert.equal(withoutBypassed(unread, bypassing({ addresses: [{ port: 80 }] })).certificate.state, 'incomplete');
    assert.equal(withoutBypassed(one, NOTHING_BYPASSED), one);
  });

  it('is a unix socket by its path: recorded calls to it are none to be made', () => {
    const one = session({ request: '', response: '', calls: [call({ to: 'unix:/run/a.sock', request: 'a', response: 'b' }), call({ to: 'unix:/run/b.sock', request: 'a', response: 'b' })] });
    const { outbound } = withoutBypassed(one, bypassing({ sockets: ['/run/a.sock'] }));
    assert.deepEqual(outbound.map(isAgreed), [true, false]);
  });
});
