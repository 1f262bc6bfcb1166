/** The Host of a dependency that is elsewhere now. */
import assert from 'node:assert/strict';
import { hostField, withRecordedHost } from '../../../src/replay/host-header.ts';
import { bytes } from './build.ts';

const asked = (host: string): Uint8Array => bytes(`GET /a HTTP/1.1\r\nAccept: */*\r\nHost: ${host}\r\nX: y\r\n\r\nhost: no`);
const hostOf = (request: Uint8Array): string | undefined => hostField(request)?.value;

describe('the Host of a request', () => {
  it('is its value alone, wherever it stands among the header fields, in whatever letters', () => {
    assert.equal(hostOf(asked('api:80')), 'api:80');
    assert.equal(hostOf(bytes('GET / HTTP/1.1\r\nHOST:   [::1]:9  \r\n\r\n')), '[::1]:9');
    assert.equal(hostOf(bytes('GET / HTTP/1.1\r\nX-Host: a\r\n\r\n')), undefined);
  });

  it('is the recorded one where what it names has moved, and as it is where it has not', () => {
    const moved = [
      { recorded: { host: '10.0.0.5', port: 5432 }, live: { host: '127.0.0.1', port: 5433 } },
      { recorded: { host: 'old.test' }, live: { host: 'new.test' } }, { recorded: { host: '10.0.0.7', port: 80 }, live: { host: '::1', port: 8001 } },
    ];
    const told = (host: string, recorded?: string): string | undefined => hostOf(withRecordedHost(asked(host), moved, recorded));
    assert.deepEqual(['127.0.0.1:5433', 'new.test:8000', 'NEW.test', '[::1]:8001'].map((host) => told(host)), ['10.0.0.5:5432', 'old.test:8000', 'old.test', '10.0.0.7']);
    assert.deepEqual(['127.0.0.1:5434', 'other.test', 'old.test'].map((host) => told(host)), ['127.0.0.1:5434', 'other.test', 'old.test']);
    assert.equal(told('127.0.0.1:5433', 'api.internal'), 'api.internal', 'the name by which it was asked when recorded');
    assert.deepEqual(Buffer.from(withRecordedHost(asked('new.test'), moved)).toString('latin1'), Buffer.from(asked('old.test')).toString('latin1'), 'and nothing else');
  });
});
