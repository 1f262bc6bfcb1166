import assert from 'node:assert/strict';
import { ESTABLISHED, LISTEN, parseTcpTable } from '../../../src/kernel/tcp-table.ts';

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';

describe('the table of TCP sockets', () => {
  it('gives addresses, ports, states and inodes of IPv4 sockets', () => {
    const text = `${HEAD}   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000 100 0 0 10 0\n`
      + '   1: 0500000A:A001 0108080A:0050 01 00000000:00000000 02:00000000 00000000     0        0 12 2 0000 20 4 30 10 -1\n';
    assert.deepEqual(parseTcpTable(text, 'IPv4'), [
      { local: { host: '127.0.0.1', port: 8080 }, remote: { host: '0.0.0.0', port: 0 }, state: LISTEN, inode: '4711', family: 'IPv4' },
      { local: { host: '10.0.0.5', port: 40961 }, remote: { host: '10.8.8.1', port: 80 }, state: ESTABLISHED, inode: '12', family: 'IPv4' },
    ]);
  });

  it('gives IPv6 addresses, and the IPv4 ones that v4-mapped ones mean', () => {
    const text = `${HEAD}   0: 00000000000000000000000001000000:0050 B80D0120000000000000000001000000:01BB 01 0:0 00:0 0 0 0 1 1\n`
      + '   1: 0000000000000000FFFF00000100007F:0050 0000000000000000FFFF00000200007F:0051 01 0:0 00:0 0 0 0 2 1\n';
    assert.deepEqual(parseTcpTable(text, 'IPv6').map(({ local, remote }) => [local.host, remote.host, remote.port]),
      [['::1', '2001:db8::1', 443], ['127.0.0.1', '127.0.0.2', 81]]);
  });

  it('leaves out lines that are none', () => {
    assert.deepEqual(parseTcpTable(`${HEAD}\nnonsense\n`, 'IPv4'), []);
  });
});
