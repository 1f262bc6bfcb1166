import assert from 'node:assert/strict';
import { unseenAppends, unseenWords } from '../../../src/kernel/append-sight.ts';

const HOST = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
28 27 0:25 / /run rw,nosuid shared:5 - tmpfs tmpfs rw,size=4k
29 27 254:1 / /var rw - btrfs /dev/vdb rw
30 27 254:2 / /srv rw - xfs /dev/vdc rw
31 27 0:26 / /media ro - iso9660 /dev/sr0 ro
32 27 0:27 / /tmp rw - tmpfs tmpfs rw
33 28 0:27 / /run/a\\040b rw - tmpfs tmpfs rw
34 28 0:27 / /run rw - tmpfs tmpfs rw`;
const WITHOUT_DEVICE = new Set(['proc', 'sysfs', 'tmpfs', 'overlay', 'cgroup2']);
const TRACEPOINTS = new Set(['ext3', 'ext4', 'xfs']);

const overlay = (options: string): string => `40 1 0:40 / / rw,relatime - overlay overlay ${options}`;
const unseen = (sight: Parameters<typeof unseenAppends>[0], mounts = HOST): readonly (readonly [string, readonly string[]])[] =>
  unseenAppends(sight, mounts, HOST, WITHOUT_DEVICE).map(({ type, mounts: at }) => [type, at] as const);

describe('file systems on which appends are not seen', () => {
  it('are those that can be written to and have no hook, each with where it is mounted, once', () => {
    assert.deepEqual(unseen(TRACEPOINTS), [['tmpfs', ['/run', '/tmp', '/run/a b']], ['btrfs', ['/var']]]);
  });

  it('are ext4 too where it is no part of the kernel, and so has no tracepoint there', () => {
    assert.deepEqual(unseen(new Set(['xfs'])).map(([type]) => type), ['ext4', 'tmpfs', 'btrfs']);
  });

  it('are none where every write is seen', () => {
    assert.deepEqual(unseen('all'), []);
  });

  it('are of an overlay what it writes to, which lies where the recorder has it', () => {
    assert.deepEqual(unseen(TRACEPOINTS, overlay('rw,lowerdir=/l,upperdir=/srv/upper,workdir=/srv/work')), []);
    assert.deepEqual(unseen(TRACEPOINTS, overlay('rw,lowerdir=/l,upperdir=/var/lib/docker/upper,workdir=/w')), [['btrfs', ['/']]]);
    assert.deepEqual(unseen(TRACEPOINTS, overlay('rw,lowerdir=/l,upperdir=/various/upper,workdir=/w')), []);
    assert.deepEqual(unseen(TRACEPOINTS, overlay('ro,lowerdir=/l:/m')), []);
  });

  it('are told by name, with a few of the places', () => {
    assert.equal(unseenWords([{ type: 'tmpfs', mounts: ['/a', '/b', '/c', '/d', '/e'] }, { type: 'btrfs', mounts: ['/var'] }]), 'tmpfs (/a, /b, /c and 2 more), btrfs (/var)');
  });
});
