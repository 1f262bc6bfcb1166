/**
 * The thread that lives in the SUT's network namespace: it plays the dependencies (outbound proxy, names) and the client.
 * The main thread tells it which session to play and gets back what happened.
 */
import { createSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import type { Address } from '../bytes/address.ts';
import { equalByProtocol, similarity } from '../compare/index.ts';
import { enterNetworkNamespace, originalDestination } from '../kernel/namespace.ts';
import { protocolNamed, recognise } from '../protocols/index.ts';
import type { Session } from '../sessions/session.ts';
import { DNS_PORT, OUTBOUND_PORT } from './confine.ts';
import { Engine } from './engine.ts';
import { faultsOf, imposeFaults, liftFaults } from './faults.ts';
import { playClient } from './inbound.ts';
import { playedSocket } from './mounts.ts';
import { Names } from './names.ts';
import { descriptorOf, joinOwnListener, OutboundConnection, resetNow } from './outbound.ts';
import type { IdleCall, LiveCall, Played, World } from './played.ts';

export interface WorkerStart {
  /** A process in the namespace to enter. */
  readonly pid: number;
  readonly ipv6: boolean;
  /** Paths of recorded unix sockets: the one at index N is to be played at `playedSocket(pid, N)`. */
  readonly sockets: readonly string[];
  readonly world: World;
  /** Sessions whose calls may be asked for while none is played (the SUT's start). */
  readonly learn: readonly Session[];
}

export type ToWorker = { readonly kind: 'play'; readonly session: Session; readonly sut: Address } | { readonly kind: 'idle' };

export type FromWorker =
  | { readonly kind: 'up' }
  | { readonly kind: 'played'; readonly played: Played; readonly idle: readonly IdleCall[] }
  | { readonly kind: 'idle'; readonly idle: readonly IdleCall[] }
  | { readonly kind: 'note'; readonly text: string };

/** Calls that were recorded after the response are waited for this long; others only until they can be taken for not made. */
const AFTER_RESPONSE_MS = 2_000;
const MISSING_MS = 100;
const LOOK_EVERY_MS = 5;
const MAX_NOTES = 100;
const BACKLOG = 4_096;

const { pid, ipv6, sockets, world, learn } = workerData as WorkerStart;
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

function accepted(socket: Socket): void {
  const address = originalDestination(descriptorOf(socket), socket.localFamily === 'IPv6' ? 'IPv6' : 'IPv4');
  if (address === undefined || address.port === OUTBOUND_PORT) {
    note('something spoke to the replayer itself; it was hung up on');
    resetNow(socket);
    return;
  }
  const { destination } = names.meant(address);
  if (engine.protocolOf(destination) === undefined && joinOwnListener(socket, address)) return;
  playOn(socket, destination, address.port);
}

function playOn(socket: Socket, destination: string, serverPort: number): void {
  const connection = new OutboundConnection(socket, { engine, destination, serverPort, note });
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

/** Gives the calls that the session still lacks time to be made, and those on their way time to be answered. */
async function settle(): Promise<void> {
  const since = performance.now();
  for (;;) {
    const awaited = engine.awaited;
    const late = awaited.some(({ talk }) => talk.afterResponse === true);
    const boundMs = late ? AFTER_RESPONSE_MS : awaited.length > 0 ? MISSING_MS : 0;
    const pending = [...connections].some(({ pendingBytes }) => pendingBytes > 0);
    if (performance.now() - since >= (pending ? Math.max(boundMs, MISSING_MS) : boundMs)) return;
    await new Promise((resolve) => { setTimeout(resolve, LOOK_EVERY_MS); });
  }
}

async function play(session: Session, sut: Address): Promise<void> {
  const idle = engine.takeIdle();
  const faults = faultsOf(session);
  if (faults.length > 0) await imposeFaults(faults);
  const beganAt = performance.now();
  engine.begin(session);
  const { response, end } = await playClient(session.inbound, sut, protocolNamed(session.inbound.connection.protocol), world,
    new AbortController().signal);
  const durationMs = performance.now() - beganAt;
  await settle();
  const met = faults.length > 0 ? await liftFaults(faults) : [];
  const refused = met.flatMap(({ indexes, destination }) => indexes.map((recorded): LiveCall => ({
    destination, protocol: 'unknown', request: new Uint8Array(0), how: 'refused', recorded, beganMs: 0, endedMs: 0,
  })));
  const calls = [...engine.finish(), ...refused];
  toMain({ kind: 'played', idle, played: { session: session.id, response, responseEnd: end, calls, durationMs } });
}

enterNetworkNamespace(pid);
for (const session of learn) engine.learn(session);
const hosts = ipv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
await Promise.all([
  ...hosts.flatMap((host) => [listen(host), answerNames(host, host === '::1' ? 'udp6' : 'udp4')]),
  ...sockets.map((path, index) => listenAt(playedSocket(pid, index), `unix:${path}`)),
]);
parentPort?.on('message', (message: ToWorker) => {
  if (message.kind === 'play') void play(message.session, message.sut);
  else toMain({ kind: 'idle', idle: engine.takeIdle() });
});
toMain({ kind: 'up' });
