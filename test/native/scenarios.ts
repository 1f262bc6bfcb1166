/**
 * What is moved, and what a right recording of it is. The service is recorded, the client is not; a plan's steps are in
 * programs/mover/plan.c. A scenario's title is the sentence that its test claims.
 */
import { small } from './recorder.ts';

export interface StreamExpectation {
  /** Causes for which missing bytes are a right answer. None unless the design declares such a gap. */
  readonly mayMiss?: readonly string[];
  /** Position at which the recorder begins to see it; 0 unless said; 'any' if it attached in the middle of a call. */
  readonly from?: number | 'any';
  /** Unix sockets: the kernel counts no positions, so the recorder's begin at 0 where it came; really that was here. */
  readonly hidden?: number;
  /** Probes that see none of it and don't know, as docs/limits.md says: nothing recorded, nothing declared. */
  readonly unseenBy?: readonly string[];
  /** `discarded`: exactly the bytes that the service threw away; `all`: everything. */
  readonly missing?: 'discarded' | 'all';
}

export interface Scenario {
  readonly title: string;
  readonly address: string;
  readonly service: string;
  readonly client: string;
  /** `outbound`: the recorded service connects, to a client that listens. */
  readonly way?: 'inbound' | 'outbound';
  readonly connections?: number;
  readonly parallel?: number;
  readonly model?: string;
  /** Many threads run at once: see `skipsPreempted`. */
  readonly crowd?: true;
  /** The client starts before the recorder, and both go on when it records. The number of `wait` steps it waits for. */
  readonly older?: number;
  /** Without a listener: nobody is there ("refused"), or nobody answers ("timeout"). */
  readonly failure?: 'refused' | 'timeout';
  readonly ingress?: StreamExpectation;
  readonly egress?: StreamExpectation;
  /** What `end` must be; not looked at unless given. */
  readonly end?: readonly string[];
  /** A call of either end may fail: a reset is part of it. Otherwise a failed call fails the test. */
  readonly mayFail?: true;
  /** Ingress truth is what the client sent, not what calls returned: urgent bytes come by another road. */
  readonly urgent?: true;
  /** May be missing from this kernel: then the test is skipped with the reason. Otherwise "unsupported" fails. */
  readonly optional?: true;
}

/** Everything in one list, in the order in which it runs. */
export function allScenarios(): Scenario[] {
  const list = [...sending(), ...receiving(), ...families(), ...large(), ...partial(), ...lives(), ...crowds(), ...older()];
  const only = process.env['KOALA_TEST_ONLY'];
  return only === undefined ? list : list.filter((one) => new RegExp(only).test(one.title));
}

const inKernel = ['uring', 'zerocopy', 'aio', 'vmsplice'];
const optional = (road: string): { optional?: true } => (inKernel.some((name) => road.includes(name)) ? { optional: true } : {});

const senders = [
  'send', 'sendto', 'sendmsg', 'sendmsg1024', 'sendmmsg', 'write', 'writev', 'writev1024', 'more', 'cork', 'sendfile',
  'sendfile-aligned', 'splice', 'vmsplice', 'zerocopy', 'cold-map', 'fault', 'oob', 'aio', 'uring-send', 'uring-sendmsg',
  'uring-write', 'uring-writev', 'uring-write-fixed', 'uring-send-zc', 'uring-send-zc-fixed', 'uring-sendmsg-zc',
  'uring-send-async', 'uring-send-sqpoll',
];

function sending(): Scenario[] {
  return senders.map((road) => ({
    title: `what a service sends by ${road}, 1 B to 256 KiB a call, is recorded byte for byte`,
    address: 'v4',
    service: `recv=read:1,send=${road}:ladder`,
    client: `send=write:1,recv=${road === 'oob' ? 'oob-inline' : 'read'}:*`,
    end: ['fin'],
    ...optional(road),
  }));
}

/** What a receiving road may leave unrecorded, by DESIGN §3. */
const declared: Readonly<Record<string, StreamExpectation>> = {
  trunc: { mayMiss: ['discarded'], missing: 'discarded' },
  splice: { mayMiss: ['splice', 'no-buffer'] },
  zerocopy: { mayMiss: ['no-buffer'] },
  oob: { mayMiss: ['no-buffer', 'unknown', 'discarded'] },
  'uring-recv': { mayMiss: ['no-buffer'] },
  'uring-recvmsg': { mayMiss: ['no-buffer'] },
  'uring-read': { mayMiss: ['no-buffer'] },
  'uring-readv': { mayMiss: ['no-buffer'] },
  'uring-read-fixed': { mayMiss: ['no-buffer'] },
  'uring-recv-multishot': { mayMiss: ['no-buffer'] },
  'uring-recv-async': { mayMiss: ['no-buffer'] },
  'uring-recv-sqpoll': { mayMiss: ['no-buffer'] },
  aio: { mayMiss: ['no-buffer'] },
};

function receiving(): Scenario[] {
  const plain = ['recv', 'recvfrom', 'recvmsg', 'recvmsg1024', 'recvmmsg', 'read', 'readv', 'waitall', 'peek', 'oob-inline', 'fault'];
  const roads = [...plain, ...Object.keys(declared)];
  return roads.map((road) => {
    const whole = `what a service receives by ${road}`;
    const mayMiss = declared[road]?.mayMiss;
    return {
      title: mayMiss === undefined ? `${whole} is recorded byte for byte` : `${whole} is recorded or exactly declared missing`,
      address: 'v4',
      service: `recv=${road}:*,send=write:1`,
      client: `send=${road === 'zerocopy' ? 'sendfile-aligned' : road.startsWith('oob') ? 'oob' : 'write'}:ladder,fin,recv=read:*`,
      ...(declared[road] === undefined ? {} : { ingress: declared[road] }),
      ...(road === 'oob' ? { urgent: true as const } : {}),
      end: ['fin'],
      ...optional(road),
    };
  });
}

function families(): Scenario[] {
  const list: Scenario[] = [];
  for (const [address, label] of [['v6', 'IPv6'], ['mapped', 'IPv4 on an IPv6 socket'], ['unix', 'a unix socket'], ['unix@', 'an abstract unix socket']] as const) {
    const unix = address.startsWith('unix');
    for (const road of ['write', 'sendmsg1024', 'sendmmsg', 'sendfile', 'splice', 'cold-map', 'uring-send', 'zerocopy']) {
      if (unix && road === 'zerocopy') continue;
      list.push({
        title: `what a service sends by ${road} over ${label} is recorded${unix && /sendfile|splice|uring/.test(road) ? ' or exactly declared missing' : ' byte for byte'}`,
        address,
        service: `recv=read:1,send=${road}:ladder`,
        client: 'send=write:1,recv=read:*',
        // Pages in a unix socket never become packets, and have no address: all that can be done is to say so.
        ...(unix && /sendfile|splice|uring/.test(road) ? { egress: { mayMiss: ['no-buffer'] } } : {}),
        ...(unix ? {} : { end: ['fin'] }),
        ...optional(road),
      });
    }
    for (const road of ['read', 'recvmsg', 'peek', ...(unix ? [] : ['trunc']), 'splice', 'uring-recv']) {
      list.push({
        title: `what a service receives by ${road} over ${label} is recorded or exactly declared missing${unix && road === 'splice' ? ', but by tracepoint' : ''}`,
        address,
        service: `recv=${road}:*,send=write:1`,
        client: 'send=write:ladder,fin,recv=read:*',
        ...(declared[road] === undefined ? {} : { ingress: { ...declared[road], ...(unix && road === 'splice' ? { unseenBy: ['tracepoint'] } : {}) } }),
        ...optional(road),
      });
    }
  }
  list.push({
    title: 'a unix connection that both ends closed is recorded as ended',
    address: 'unix',
    service: 'recv=read:*,send=write:ladder',
    client: 'send=write:ladder,fin,recv=read:*',
    end: ['fin'],
  }, {
    title: 'a unix connection that the service closes first is recorded as ended',
    address: 'unix',
    service: 'recv=read:46,send=write:1K',
    client: 'send=write:46,recv=read:*',
    end: ['fin'],
  }, {
    title: 'an MPTCP connection is recorded or declared missing',
    address: 'mptcp',
    service: 'recv=read:ladder,send=write:ladder',
    client: 'send=write:ladder,recv=read:*',
    ingress: { mayMiss: ['mptcp'] },
    egress: { mayMiss: ['mptcp'] },
    optional: true,
  });
  return list;
}

function large(): Scenario[] {
  const send = (road: string, size: string): Scenario => ({
    title: `${size}iB sent in one call by ${road} is recorded byte for byte`,
    address: 'v4',
    service: `send=${road}:${size}`,
    client: 'recv=read:*',
    ...optional(road),
  });
  const receive = (road: string, size: string): Scenario => ({
    title: `${size}iB received by ${road}${declared[road] === undefined ? ' is recorded byte for byte' : ' is recorded or exactly declared missing'}`,
    address: 'v4',
    service: `recv=${road}:${size}`,
    client: `send=write:${size}`,
    ...(declared[road] === undefined ? {} : { ingress: declared[road] }),
    ...optional(road),
  });
  if (small) return [send('write', '8M')];
  return [
    ...['send', 'sendmsg', 'sendmsg1024', 'writev', 'sendmmsg', 'sendfile', 'splice', 'vmsplice', 'zerocopy', 'cold-map',
      'uring-send', 'uring-send-zc', 'uring-write-fixed'].flatMap((road) => [send(road, '1M'), send(road, '8M')]),
    send('write', '1M'), send('write', '8M'),
    ...['read', 'waitall', 'recvmsg', 'recvmmsg', 'peek', 'uring-recv', 'trunc'].map((road) => receive(road, '8M')),
  ];
}

function partial(): Scenario[] {
  const roads = ['write', 'sendmsg', 'sendmsg1024', 'sendmmsg', 'sendfile', 'splice', 'zerocopy', 'uring-send'];
  const size = small ? '256K' : '1M';
  return roads.flatMap((road) => [true, false].map((nonblocking) => ({
    title: `${road}, ${nonblocking ? 'nonblocking' : 'blocking'} and cut short by a slow reader, is recorded once and in order`,
    address: 'v4',
    service: `sndbuf=16384,${nonblocking ? 'nonblock,' : ''}send=${road}:${size}`,
    client: 'rcvbuf=65536,slow=1000,recv=read:*/16000',
    ...optional(road),
  })));
}

function lives(): Scenario[] {
  const refused: Omit<Scenario, 'title' | 'failure'> = { address: 'v4', service: '', client: '', way: 'outbound' };
  const outbound = ['v4', 'v6', 'mapped', 'unix'].map((address): Scenario => ({
    title: `a connection that the service itself opens over ${address} is recorded as outbound, both ways`,
    address,
    way: 'outbound',
    service: 'send=write:ladder,recv=read:ladder,send=sendfile:64K,recv=read:*',
    client: 'recv=read:ladder,send=write:ladder,recv=read:64K,send=write:1K',
    ...(address === 'unix' ? { egress: { mayMiss: ['no-buffer'] } } : {}),
  }));
  return [
    ...outbound,
    { title: 'a refused connection is recorded as refused', ...refused, failure: 'refused', end: ['refused'] },
    { title: 'a connection that times out is recorded as timed out', ...refused, failure: 'timeout', end: ['timeout'] },
    {
      title: 'after the client has shut its side the answer is still recorded',
      address: 'v4', service: 'recv=read:*,send=write:ladder', client: 'send=write:ladder,fin,recv=read:*', end: ['fin'],
    },
    {
      title: 'after the service has shut its side what still comes in is recorded',
      address: 'v4', service: 'send=write:64K,fin,recv=read:*', client: 'recv=read:*,send=write:ladder', end: ['fin'],
    },
    {
      title: 'a reset by the client while the service sends leaves what was handed over',
      address: 'v4', service: 'send=write:4M/65536', client: 'recv=read:100K/10000,reset', end: ['reset'], mayFail: true,
    },
    {
      title: 'a reset by the client while the service sends files leaves what was handed over or declares the rest',
      address: 'v4', service: 'send=sendfile:4M/65536', client: 'recv=read:100K/10000,reset', end: ['reset'], mayFail: true,
      egress: { mayMiss: ['not-transmitted'] },
    },
    {
      title: 'a reset by the service leaves what it had consumed',
      address: 'v4', service: 'recv=read:1000/100,reset', client: 'send=write:1M/65536', end: ['reset'], mayFail: true,
    },
    {
      title: 'a reset by the service with nothing left to read leaves what both sides had moved',
      address: 'v4', service: 'recv=read:1000,send=write:1K,sleep=200,reset', client: 'send=write:1000,recv=read:1K,recv=read:*', end: ['reset'], mayFail: true,
    },
    {
      title: 'a reset that comes before the service reads leaves what it could still read',
      address: 'v4', service: 'recv=read:1000,sleep=400,recv=read:*', client: 'send=write:64K,sleep=100,reset', end: ['reset'], mayFail: true,
    },
    {
      title: 'what a service sends just before it dies is recorded',
      address: 'v4', service: 'recv=read:1,last=write:1K', client: 'send=write:1,recv=read:*',
    },
    {
      title: 'a large message sent just before the service dies is recorded',
      address: 'v4', service: 'recv=read:1,last=write:256K', client: 'send=write:1,recv=read:*',
    },
    {
      title: 'a file sent just before the service dies is recorded or declared missing',
      address: 'v4', service: 'recv=read:1,last=sendfile:256K', client: 'send=write:1,recv=read:*',
      egress: { mayMiss: ['not-transmitted'] },
    },
    {
      title: 'what a service sent is recorded though SIGKILL ends it at once',
      address: 'v4', service: 'recv=read:1,send=write:64K,die', client: 'send=write:1,recv=read:*',
    },
    {
      title: 'a duplicated descriptor is the same connection',
      address: 'v4', service: 'recv=read:1000,dup,send=write:ladder,dup,recv=read:*', client: 'send=write:ladder,recv=read:ladder,fin,recv=read:*',
      end: ['fin'],
    },
    {
      title: 'a thousand small messages each way are one stream each way',
      address: 'v4', service: 'repeat=1000,recv=read:46,send=write:46', client: 'repeat=1000,send=write:46,recv=read:46',
    },
    {
      title: 'a read that finds nothing does not count',
      address: 'v4', service: 'nonblock,recv=dontwait:ladder,send=write:1', client: 'send=write:1K/100,sleep=50,send=write:405551/30000,recv=read:*',
    },
  ];
}

function crowds(): Scenario[] {
  const many = small ? 1000 : 10_000;
  const forks = small ? 50 : 200;
  const blocked = (road: string, address: string): Scenario => ({
    title: `32 threads blocked in ${road} on 32 connections over ${address} lose nothing`,
    address, connections: 32, parallel: 32, crowd: true,
    service: `recv=${road}:64K,send=write:4097`, client: 'sleep=400,send=write:64K,recv=read:*',
  });
  return [
    blocked('recv', 'v4'), blocked('recvmsg', 'v6'), blocked('read', 'mapped'), blocked('waitall', 'v4'),
    {
      title: 'several threads that write one socket under a lock make one stream',
      address: 'v4', crowd: true, service: 'writers=8:write:2M', client: 'recv=read:*',
    },
    {
      title: 'several threads that send files on one socket under a lock make one stream',
      address: 'v4', service: 'writers=4:sendfile:1M', client: 'recv=read:*',
    },
    {
      title: 'sending and receiving at once keep the two streams apart',
      address: 'v4', service: 'both=write:1M/5000:read:1M', client: 'both=write:1M/7000:read:1M',
    },
    {
      title: `${many} short connections are all recorded, each by itself`,
      address: 'v4', connections: many, parallel: 4, crowd: true, model: 'single', service: 'recv=read:46,send=write:1K', client: 'send=write:46,recv=read:1K',
    },
    {
      title: `${forks} connections, a forked child for each, are all recorded`,
      address: 'v4', connections: forks, parallel: 4, crowd: true, model: 'fork', service: 'recv=read:46,send=write:ladder', client: 'send=write:46,recv=read:ladder',
    },
    {
      title: 'a descriptor passed to another process is still the same connection',
      address: 'v4', connections: 8, parallel: 2, model: 'pass', service: 'recv=read:4097,send=write:ladder', client: 'send=write:4097,recv=read:ladder',
    },
  ];
}

function older(): Scenario[] {
  const unknown = { from: 'any', mayMiss: ['seen-late', 'no-buffer', 'probe-missed'] } as const;
  const warm = (address: string): Scenario => ({
    title: `a connection over ${address} older than the recorder is known from where it stood, unread bytes and all`,
    address, older: 2,
    service: 'recv=read:5000/1000,send=write:3000,wait,recv=read:*,send=write:ladder',
    client: 'send=write:9000,recv=read:3000,wait,send=write:ladder,fin,recv=read:*',
    ingress: { from: 5000 }, egress: { from: 3000 },
  });
  return [
    warm('v4'), warm('v6'), warm('mapped'),
    {
      title: 'a unix connection older than the recorder is recorded from where it stood',
      address: 'unix', older: 2,
      service: 'recv=read:5000/1000,send=write:3000,wait,recv=read:*,send=write:ladder',
      client: 'send=write:9000,recv=read:3000,wait,send=write:ladder,fin,recv=read:*',
      ingress: { hidden: 5000 }, egress: { hidden: 3000 },
    },
    {
      title: 'a fresh connection older than the recorder, on which nothing had moved, is known from its first byte',
      address: 'v4', older: 2, service: 'wait,recv=read:ladder,send=write:ladder', client: 'wait,send=write:ladder,recv=read:*',
    },
    {
      title: 'a half-closed connection older than the recorder is known from where it stood',
      address: 'v4', older: 2, service: 'recv=read:*,send=write:100,wait,send=write:ladder', client: 'send=write:1000,fin,recv=read:100,wait,recv=read:*',
      ingress: { from: 1000 }, egress: { from: 100 },
    },
    {
      title: 'a thread blocked in recv when the recorder comes loses nothing silently',
      address: 'v4', older: 1, service: 'recv=read:*,send=write:1', client: 'send=write:700,sleep=200,wait,send=write:ladder,fin,recv=read:*',
      ingress: unknown,
    },
    {
      title: 'a thread blocked in send when the recorder comes loses nothing silently',
      address: 'v4', older: 1, service: 'send=write:4M,send=write:ladder', client: 'wait,recv=read:*',
      egress: unknown,
    },
  ];
}
