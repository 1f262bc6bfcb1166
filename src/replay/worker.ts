/**
 * The thread that lives in the SUT's network namespace: it plays the dependencies (outbound proxy, names) and the clients, and
 * asks the tracker whose calls are whose. The main thread gives it sessions ahead of time and gets back what happened.
 */
import { createSocket } from 'node:dgram';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { parentPort } from 'node:worker_threads';
import { canonicalHost, formatAddress, type Address } from '../bytes/address.ts';
import { equalByProtocol, similarity } from '../compare/index.ts';
import { EnvironmentError } from '../errors.ts';
import { enterNetworkNamespace, originalDestination } from '../kernel/namespace.ts';
import { tcpSockets } from '../kernel/tcp-table.ts';
import { protocolNamed, recognise } from '../protocols/index.ts';
import { neverConnected } from './calls.ts';
import { isBypassedAddress } from './bypass.ts';
import { ClientConnections } from './client-connections.ts';
import { ClockHand } from './clock.ts';
import { canonicalDestination } from './destination.ts';
import { DEAF_PORT, DNS_PORT, OUTBOUND_PORT, type Listening, type Ports } from './confine.ts';
import { Engine, type CallOwner } from './engine.ts';
import { FAULT_CHAIN } from './fault-rules.ts';
import { playClient } from './inbound.ts';
import { Mocking, type AskedCall, type MockEnd } from './mocking.ts';
import { playedSocket } from './mounts.ts';
import { descriptorOf, joinOwnListener, resetNow } from './live-socket.ts';
import { Names } from './names.ts';
import { chainOf, ourselves } from './owner.ts';
import { OutboundConnection } from './outbound.ts';
import { Pack } from './pack.ts';
import { unpackedSession, type PackedSession } from './packed-session.ts';
import { join, RealWorld, type Dial, type Dialled } from './passthrough.ts';
import type { IdleCall, World } from './played.ts';
import { Player } from './player.ts';
import { playedName } from './running-unix.ts';
import { listensItself, type Running } from './running.ts';
import { packedResult, unpackedTask, type PackedTask, type Result } from './task.ts';
import { Tracker, type TrackerSource } from './tracker.ts';

/** The first message it gets: until then it only loads its modules. */
export interface WorkerStart {
  /** A process in the namespace to enter. */
  readonly pid: number;
  readonly ipv6: boolean;
  /** Set: its network is shared with others. */
  readonly running?: Running;
  /** Paths of recorded unix sockets: the one at index N is to be played at `playedSocket(pid, N)`, or at `playedName(…, N)` for a service that runs already. */
  readonly sockets: readonly string[];
  readonly world: World;
  /** Sessions whose calls may be asked for while none is played (the SUT's start). */
  readonly learn: readonly PackedSession[];
  /** The recorded calls of no session. */
  readonly background?: PackedSession;
  /** Every recorded call; set: they are played at once, and no session is. */
  readonly mock?: PackedSession;
  /** Sessions played at a time. */
  readonly concurrency: number;
  /** The file of the service's clock, where that is the recorded one. */
  readonly clock?: string;
  /** Absent: whose call it is can't be told. */
  readonly tracker?: TrackerSource;
}

export type ToWorker =
  | { readonly kind: 'play'; readonly tasks: readonly PackedTask[] }
  /** The service has ended: nobody will listen any more. */
  | { readonly kind: 'ended' }
  | { readonly kind: 'idle' }
  /** The mock is over. */
  | { readonly kind: 'finish' }
  | Dialled;

export type FromWorker =
  | { readonly kind: 'up'; readonly listening: Listening }
  /** `oldest`: what ended before it is overlapped by nothing that is still to come. */
  | { readonly kind: 'played'; readonly results: readonly Result[]; readonly oldest: number; readonly serialised: number; readonly idle: readonly IdleCall[] }
  | { readonly kind: 'idle'; readonly idle: readonly IdleCall[] }
  | { readonly kind: 'asked'; readonly calls: readonly AskedCall[] }
  | { readonly kind: 'finished'; readonly end: MockEnd }
  | { readonly kind: 'note'; readonly text: string }
  /** The environment refused what it takes to go on. */
  | { readonly kind: 'failed'; readonly text: string }
  /** A process of the service runs another program. */
  | { readonly kind: 'executed'; readonly tgid: number }
  | { readonly kind: 'forked'; readonly tgid: number; readonly parent: number }
  | Dial;

/** How often the ring is emptied while nobody calls: what the service has just executed has to be known before it is asked anything. */
const FOLLOW_EVERY_MS = 5;
const TELL_AFTER_MS = 2;
const MAX_NOTES = 100;
const BACKLOG = 4_096;

const { pid, ipv6, running, sockets, world, learn, background: packedBackground, mock, concurrency, clock, tracker: source } = await new Promise<WorkerStart>((resolve) => {
  parentPort?.once('message', resolve);
});
const background = packedBackground === undefined ? undefined : unpackedSession(packedBackground);
const toMain = (message: FromWorker): void => parentPort?.postMessage(message);
const notes = new Set<string>();
const note = (text: string): void => {
  if (notes.has(text) || notes.size >= MAX_NOTES) return;
  notes.add(text);
  toMain({ kind: 'note', text });
};

const hand = clock === undefined ? undefined : new ClockHand(clock, concurrency === 1);
const engine = new Engine(world, { equal: equalByProtocol, similarity }, {
  protocol: protocolNamed,
  recognise: (client, serverPort) => {
    const found = recognise(client, new Uint8Array(0), { serverPort });
    return found === 'more' || found === undefined ? undefined : found.name;
  },
}, () => performance.now(), () => hand?.now() ?? Date.now());
const names = new Names(world.names, Object.keys(world.protocols), world.bypassed, world.moved);
const real = new RealWorld(running !== undefined, toMain);
const connections = new Set<OutboundConnection>();
const clients = new ClientConnections();
const tracker = source === undefined ? undefined : new Tracker(source, (tgid, parent) => { toMain(parent === undefined ? { kind: 'executed', tgid } : { kind: 'forked', tgid, parent }); });
/** Destinations that the SUT could not connect to when no session asked it to. */
const failing = new Set((background?.outbound ?? []).filter(neverConnected).map(({ connection }) => canonicalDestination(connection.remote)));
let hasEnded = false;
let results: Result[] = [];

/** What was played since, in one message every so often: a message costs more than most sessions. */
function report(result: Result): void {
  if (results.push(result) === 1) setTimeout(tell, TELL_AFTER_MS);
}

function tell(): void {
  const pack = new Pack();
  const packed = results.map((result) => packedResult(result, pack));
  results = [];
  parentPort?.postMessage({
    kind: 'played', results: packed, oldest: player.oldest, serialised: player.serialised, idle: engine.takeIdle(),
  } satisfies FromWorker, pack.buffers);
}

const player = new Player({
  engine, concurrency, report, faultChain: running === undefined ? FAULT_CHAIN : chainOf(ourselves(), 'F'),
  client: ({ session: { inbound, startedAtUs }, responseBytes, sut }, line) => {
    hand?.set(startedAtUs / 1000);
    return playClient(inbound, responseBytes, protocolNamed(inbound.connection.protocol), { ...line, sut, connections: clients, patient: () => !hasEnded, world });
  },
  tracked: tracker !== undefined,
  sockets: () => tcpSockets(pid),
  failsByItself: (destination) => failing.has(destination),
  failed: (error) => {
    // The class of an error does not get from thread to thread. What is none of the environment's is our bug.
    if (!(error instanceof EnvironmentError)) throw error;
    toMain({ kind: 'failed', text: error.message });
  },
  hasPending: () => [...connections].some(({ pendingBytes }) => pendingBytes > 0),
});

const mocking = mock === undefined ? undefined : new Mocking({
  engine, session: unpackedSession(mock), passesOn: world.onMiss === 'passthrough', sockets: () => tcpSockets(pid), tell: (calls) => { toMain({ kind: 'asked', calls }); },
});

/** Whose call begins at `position` of the connection between these two, as the service sees them. */
function ownerAt(local: string, remote: string, position: number): CallOwner | undefined {
  const owner = tracker?.ownerOf(local, remote, position);
  return owner === undefined ? undefined : { play: player.playOf(owner.client, owner.position, owner.openedAtUs), certainty: owner.certainty };
}

function accepted(socket: Socket): void {
  const address = originalDestination(descriptorOf(socket), socket.localFamily === 'IPv6' ? 'IPv6' : 'IPv4');
  if (address === undefined || address.port === socket.localPort) {
    note('something spoke to the replayer itself; it was hung up on');
    resetNow(socket);
    return;
  }
  if (isBypassedAddress(world.bypassed, address)) {
    void passOn(socket, address);
    return;
  }
  const { destination, real: elsewhere } = names.meant(address);
  const canBeItself = running === undefined || listensItself(running, pid, address.port);
  // Who plays the client of a service in there means that, also where it was called by its like when recorded.
  const mayBeItself = mocking !== undefined || engine.protocolOf(destination) === undefined;
  if (mayBeItself && canBeItself && joinOwnListener(socket, address)) return;
  const { remoteAddress, remotePort } = socket;
  const local = formatAddress({ host: canonicalHost(remoteAddress ?? '') ?? '', port: remotePort ?? 0 });
  const remote = formatAddress(address);
  if (mocking !== undefined && engine.protocolOf(destination) === undefined) {
    if (world.onMiss === 'passthrough') {
      void passOn(socket, elsewhere ?? address).then((answered) => { mocking.connected(destination, answered); });
      return;
    }
    mocking.unknown(socket, destination);
  }
  playOn(socket, destination, address.port, { real: elsewhere ?? address, ownerAt: (position) => ownerAt(local, remote, position) });
}

/** A connection that is let through whole; whether somebody was there. */
async function passOn(socket: Socket, address: Address): Promise<boolean> {
  socket.on('error', () => { /* its end is told by its close */ });
  const server = await connectReal(address, formatAddress(address));
  if (server === undefined) resetNow(socket);
  else join(socket, server);
  return server !== undefined;
}

const connectReal = ({ host, port }: Address, destination: string): Promise<Socket | undefined> =>
  real.connect(host, port, (why) => { note(`${destination} can't be reached: ${why}`); });

interface Place {
  /** Where it is in the real world. */
  readonly real: Address;
  ownerAt(position: number): CallOwner | undefined;
}

/** `place` is absent for a unix socket. */
function playOn(socket: Socket, destination: string, serverPort: number, place?: Place): void {
  const connection = new OutboundConnection(socket, {
    engine, destination, serverPort, note, world, real: () => (place === undefined ? Promise.resolve(undefined) : connectReal(place.real, destination)),
    passedOn: (call, answered) => { mocking?.passedOn(call, answered); },
    ...(place === undefined ? {} : { ownerAt: (position) => place.ownerAt(position) }),
  });
  connections.add(connection);
  socket.on('close', () => connections.delete(connection));
}

function listenAt(path: string, destination: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => { playOn(socket, destination, 0); });
    server.on('error', reject);
    server.listen({ path, backlog: BACKLOG, ...(path.startsWith('\0') ? {} : { readableAll: true, writableAll: true }) }, () => { resolve(server); });
  });
}

/** The port it listens on. In a network that is shared, whichever is free. */
function listen(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, accepted);
    server.on('error', reject);
    server.listen({ port: running === undefined ? OUTBOUND_PORT : 0, host, backlog: BACKLOG }, () => { resolve((server.address() as AddressInfo).port); });
  });
}

function answerNames(host: string, type: 'udp4' | 'udp6'): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(type);
    socket.on('error', reject);
    socket.on('message', (message, from) => {
      const answer = names.answer(message);
      if (answer !== undefined) socket.send(answer, from.port, from.address);
    });
    socket.bind(running === undefined ? DNS_PORT : 0, host, () => { resolve(socket.address().port); });
  });
}

/** A socket that takes what it is sent, and loses it. */
function hearAll(host: string, type: 'udp4' | 'udp6'): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(type);
    socket.on('error', reject);
    socket.bind(running === undefined ? DEAF_PORT : 0, host, () => { resolve(socket.address().port); });
  });
}

/** A socket that only hears itself. */
function hearNobody(host: string, type: 'udp4' | 'udp6'): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(type);
    socket.on('error', reject);
    socket.bind(0, host, () => {
      const { port } = socket.address();
      socket.connect(port, host, () => { resolve(port); });
    });
  });
}

async function listenOn(host: string, type: 'udp4' | 'udp6'): Promise<Ports> {
  const [tcp, dns, nobody, deaf] = await Promise.all([listen(host), answerNames(host, type), hearNobody(host, type), hearAll(host, type)]);
  return { tcp, dns, nobody, deaf };
}

enterNetworkNamespace(pid);
if (background !== undefined) engine.learnBackground(background, running === undefined);
for (const session of learn) engine.learn(unpackedSession(session), session.calls.length);
const [v4, v6] = await Promise.all([
  listenOn('127.0.0.1', 'udp4'),
  ipv6 ? listenOn('::1', 'udp6') : undefined,
  ...sockets.map((path, index) => listenAt(running === undefined ? playedSocket(pid, index) : playedName(ourselves(), index), `unix:${path}`)),
]);
if (tracker !== undefined) setInterval(() => { tracker.follow(); }, FOLLOW_EVERY_MS).unref();
parentPort?.on('message', (message: ToWorker) => {
  if (message.kind === 'play') player.take(message.tasks.map(unpackedTask));
  else if (message.kind === 'ended') hasEnded = true;
  else if (message.kind === 'dialled') real.dialled(message);
  else if (message.kind === 'finish') void mocking?.end().then((end) => { toMain({ kind: 'finished', end }); });
  else toMain({ kind: 'idle', idle: engine.takeIdle() });
});
await mocking?.begin();
toMain({ kind: 'up', listening: { v4, ...(v6 === undefined ? {} : { v6 }) } });
