/**
 * The thread that lives in the SUT's network namespace: it plays the dependencies (outbound proxy, names) and the clients, and
 * asks the tracker whose calls are whose. The main thread gives it sessions ahead of time and gets back what happened.
 */
import { createSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { canonicalHost, formatAddress } from '../bytes/address.ts';
import { equalByProtocol, similarity } from '../compare/index.ts';
import { enterNetworkNamespace, originalDestination } from '../kernel/namespace.ts';
import { protocolNamed, recognise } from '../protocols/index.ts';
import type { Session } from '../sessions/session.ts';
import { DNS_PORT, OUTBOUND_PORT } from './confine.ts';
import { Engine, type CallOwner } from './engine.ts';
import { playClient } from './inbound.ts';
import { playedSocket } from './mounts.ts';
import { Names } from './names.ts';
import { descriptorOf, joinOwnListener, OutboundConnection, resetNow } from './outbound.ts';
import { Pack } from './pack.ts';
import type { IdleCall, World } from './played.ts';
import { Player } from './player.ts';
import { packedResult, type Result, type Task } from './task.ts';
import { Tracker, type TrackerSource } from './tracker.ts';

export interface WorkerStart {
  /** A process in the namespace to enter. */
  readonly pid: number;
  readonly ipv6: boolean;
  /** Paths of recorded unix sockets: the one at index N is to be played at `playedSocket(pid, N)`. */
  readonly sockets: readonly string[];
  readonly world: World;
  /** Sessions whose calls may be asked for while none is played (the SUT's start). */
  readonly learn: readonly Session[];
  /** The recorded calls of no session. */
  readonly background?: Session;
  /** Sessions played at a time. */
  readonly concurrency: number;
  /** Absent: whose call it is can't be told. */
  readonly tracker?: TrackerSource;
}

export type ToWorker =
  | { readonly kind: 'play'; readonly tasks: readonly Task[] }
  /** The service has ended: nobody will listen any more. */
  | { readonly kind: 'ended' }
  | { readonly kind: 'idle' };

export type FromWorker =
  | { readonly kind: 'up' }
  /** `oldest`: what ended before it is overlapped by nothing that is still to come. */
  | { readonly kind: 'played'; readonly results: readonly Result[]; readonly oldest: number; readonly serialised: number; readonly idle: readonly IdleCall[] }
  | { readonly kind: 'idle'; readonly idle: readonly IdleCall[] }
  | { readonly kind: 'note'; readonly text: string };

/** How often the ring is emptied while nobody calls. */
const FOLLOW_EVERY_MS = 20;
const TELL_AFTER_MS = 2;
const MAX_NOTES = 100;
const BACKLOG = 4_096;

const { pid, ipv6, sockets, world, learn, background, concurrency, tracker: source } = workerData as WorkerStart;
const toMain = (message: FromWorker): void => parentPort?.postMessage(message);
const notes = new Set<string>();
const note = (text: string): void => {
  if (notes.has(text) || notes.size >= MAX_NOTES) return;
  notes.add(text);
  toMain({ kind: 'note', text });
};

const engine = new Engine(world, { equal: equalByProtocol, similarity }, {
  protocol: protocolNamed,
  recognise: (client, serverPort) => {
    const found = recognise(client, new Uint8Array(0), { serverPort });
    return found === 'more' || found === undefined ? undefined : found.name;
  },
}, () => performance.now());
const names = new Names(world.names, Object.keys(world.protocols));
const connections = new Set<OutboundConnection>();
const tracker = source === undefined ? undefined : new Tracker(source);
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
  engine, concurrency, report,
  client: ({ session: { inbound }, responseBytes, sut }, dialled) => playClient(inbound, responseBytes, { sut, dialled, patient: () => !hasEnded },
    protocolNamed(inbound.connection.protocol), world),
  hasPending: () => [...connections].some(({ pendingBytes }) => pendingBytes > 0),
});

/** Whose call begins at `position` of the connection between these two, as the service sees them. */
function ownerAt(local: string, remote: string, position: number): CallOwner | undefined {
  const owner = tracker?.ownerOf(local, remote, position);
  const play = owner === undefined ? undefined : player.playOf(owner.client);
  return owner === undefined || play === undefined ? undefined : { play, certainty: owner.certainty };
}

function accepted(socket: Socket): void {
  const address = originalDestination(descriptorOf(socket), socket.localFamily === 'IPv6' ? 'IPv6' : 'IPv4');
  if (address === undefined || address.port === OUTBOUND_PORT) {
    note('something spoke to the replayer itself; it was hung up on');
    resetNow(socket);
    return;
  }
  const { destination } = names.meant(address);
  if (engine.protocolOf(destination) === undefined && joinOwnListener(socket, address)) return;
  const { remoteAddress, remotePort } = socket;
  const local = formatAddress({ host: canonicalHost(remoteAddress ?? '') ?? '', port: remotePort ?? 0 });
  const remote = formatAddress(address);
  playOn(socket, destination, address.port, (position) => ownerAt(local, remote, position));
}

function playOn(socket: Socket, destination: string, serverPort: number, ownerOf?: (position: number) => CallOwner | undefined): void {
  const connection = new OutboundConnection(socket, { engine, destination, serverPort, note, ...(ownerOf === undefined ? {} : { ownerAt: ownerOf }) });
  connections.add(connection);
  socket.on('close', () => connections.delete(connection));
}

function listenAt(path: string, destination: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => { playOn(socket, destination, 0); });
    server.on('error', reject);
    server.listen({ path, backlog: BACKLOG, readableAll: true, writableAll: true }, () => { resolve(server); });
  });
}

function listen(host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, accepted);
    server.on('error', reject);
    server.listen({ port: OUTBOUND_PORT, host, backlog: BACKLOG }, () => { resolve(server); });
  });
}

function answerNames(host: string, type: 'udp4' | 'udp6'): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(type);
    socket.on('error', reject);
    socket.on('message', (message, from) => {
      const answer = names.answer(message);
      if (answer !== undefined) socket.send(answer, from.port, from.address);
    });
    socket.bind(DNS_PORT, host, () => { resolve(); });
  });
}

enterNetworkNamespace(pid);
if (background !== undefined) engine.learnBackground(background);
for (const session of learn) engine.learn(session);
const hosts = ipv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
await Promise.all([
  ...hosts.flatMap((host) => [listen(host), answerNames(host, host === '::1' ? 'udp6' : 'udp4')]),
  ...sockets.map((path, index) => listenAt(playedSocket(pid, index), `unix:${path}`)),
]);
if (tracker !== undefined) setInterval(() => { tracker.follow(); }, FOLLOW_EVERY_MS).unref();
parentPort?.on('message', (message: ToWorker) => {
  if (message.kind === 'play') player.take(message.tasks);
  else if (message.kind === 'ended') hasEnded = true;
  else toMain({ kind: 'idle', idle: engine.takeIdle() });
});
toMain({ kind: 'up' });
