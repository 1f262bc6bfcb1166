import assert from 'node:assert/strict';
import { addressBytes, addressText, canonicalHost, formatAddress, parseAddress } from '../../../src/bytes/address.ts';

describe('addresses', () => {
  it('are the same text however they are written', () => {
    for (const [written, canonical] of [['2001:DB8:0:0:0:0:0:1', '2001:db8::1'], ['::ffff:10.0.0.1', '10.0.0.1'], ['0:0:0:0:0:0:0:1', '::1'], ['10.0.0.1', '10.0.0.1']]) {
      assert.equal(canonicalHost(written ?? ''), canonical);
    }
    for (const none of ['', 'host', '10.0.0', '1::2::3', '10.0.0.256']) assert.equal(canonicalHost(none), undefined);
  });

  it('survive being bytes', () => {
    for (const host of ['0.0.0.0', '255.1.2.3', '::', '::1', '2001:db8::7', 'fe80::1:2:3:4', '1:2:3:4:5:6:7:8']) assert.equal(addressText(addressBytes(host)), host);
  });

  it('with ports are read and written', () => {
    assert.deepEqual(parseAddress('10.0.0.1:80'), { host: '10.0.0.1', port: 80 });
    assert.deepEqual(parseAddress('[::ffff:10.0.0.1]:80'), { host: '10.0.0.1', port: 80 });
    assert.equal(formatAddress({ host: '::1', port: 8 }), '[::1]:8');
    for (const none of ['10.0.0.1', 'unix:/run/x', 'host:80', '10.0.0.1:65536', '::1:80', '[::1]', '10.0.0.1:']) assert.equal(parseAddress(none), undefined);
  });
});
