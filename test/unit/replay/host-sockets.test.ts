import assert from 'node:assert/strict';
import { boundSockets, mounts, seenAt } from '../../../src/replay/host-sockets.ts';

describe('the unix sockets of the host', () => {
  const table = [
    'Num       RefCount Protocol Flags    Type St Inode Path',
    '0000000056923426: 00000002 00000000 00010000 0001 01  1234 /run/db.sock',
    '0000000056923427: 00000003 00000000 00000000 0001 03  1235 /run/db.sock',
    '0000000056923428: 00000002 00000000 00000000 0002 01  1236 /run/systemd/journal/dev-log',
    '0000000056923429: 00000002 00000000 00010000 0001 01  1237 @abstract',
    '000000005692342a: 00000003 00000000 00000000 0001 03  1238',
    '000000005692342b: 00000002 00000000 00010000 0001 01 1239 relative name.sock',
    '000000005692342c: 00000002 00000000 00010000 0001 01 12345678 /run/two',
    'lines.sock', '',
  ].join('\n');

  it('are those with a path that can be connected to or sent to, whatever their type', () => {
    assert.deepEqual(boundSockets(table).map(({ inode, path }) => `${inode} ${path}`), [
      '1234 /run/db.sock', '1236 /run/systemd/journal/dev-log', '1239 relative name.sock', '12345678 /run/two\nlines.sock',
    ]);
  });

  const ours = mounts([
    '22 1 254:0 / / rw - ext4 /dev/vda rw', '23 22 0:25 / /run rw shared:5 - tmpfs tmpfs rw', '24 22 254:0 /srv /mnt/with\\040space rw - ext4 /dev/vda rw', '',
  ].join('\n'));

  it('are seen wherever their file system is mounted', () => {
    assert.deepEqual(seenAt('/srv/x/db.sock', ours, ours), ['/srv/x/db.sock', '/mnt/with space/x/db.sock']);
    assert.deepEqual(seenAt('/run/db.sock', ours, ours), ['/run/db.sock']);
  });

  it('are seen at our path when a container has another for it', () => {
    const container = mounts('50 1 0:99 / / rw - overlay o rw\n51 50 254:0 /srv/sockets /var/run/mysqld rw - ext4 /dev/vda rw\n');
    assert.deepEqual(seenAt('/var/run/mysqld/mysqld.sock', container, ours), ['/srv/sockets/mysqld.sock', '/mnt/with space/sockets/mysqld.sock']);
    assert.deepEqual(seenAt('/var/run/mysqld-other.sock', container, ours), []);
  });
});
