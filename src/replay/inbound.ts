/** Plays the client of a session: sends the recorded request, reads the SUT's answer. Every wait has a bound. */
import { Socket } from 'node:net';
import { canonicalHost, formatAddress, parseAddress, type Address } from '../bytes/address.ts';
import { connectMarked } from '../kernel/namespace.ts';
import { bytesOf } from './calls.ts';
import { OUR_MARK } from './confine.ts';
import type { ResponseEnd, World } from './played.ts';
import type { Frame, Protocol } from '../protocols/protocol.ts';
import type { Talk } from '../sessions/session.ts';

/** With as many bytes as were recorded, a pause this long is enough where the protocol can't tell. */
const SHORT_QUIET_MS = 20;
/** A client that had ended its side is imitated only after this long without an answer: many services give up on seeing it. */
const HALF_CLOSE_MS = 200;
/** An answer may be so much longer than the recorded one: more is not kept. */
const MAX_LONGER_BYTES = 256 << 20;
const CONNECT_AGAIN_MS = [5, 20, 100, 400];

export interface Heard {
  readonly response: Uint8Array;
  readonly end: ResponseEnd;
}

export interface Dialling {
  readonly sut: Address;
  /** False: who refuses is not asked again. */
  readonly patient: () => boolean;
  /** Told our end of the connection, "IP:PORT", before anything is sent. */
  readonly dialled: (local: string) => void;
}

/** A connection to the SUT from the address of the recorded client (its port too, if it is free); retried briefly when it refuses. */
async function dial({ sut, patient }: Dialling, client: Address | undefined): Promise<Socket | undefined> {
  let from = client;
  for (let attempt = 0; ;) {
    try {
      const fd = connectMarked(sut, OUR_MARK, from);
      return new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    } catch (error) {
      const taken = ['EADDRNOTAVAIL', 'EADDRINUSE'].includes((error as NodeJS.ErrnoException).code ?? '');
      if (taken && from !== undefined && from.port !== 0) {
        from = { host: from.host, port: 0 };
        continue;
      }
      const pauseMs = CONNECT_AGAIN_MS[attempt];
      if (pauseMs === undefined || !patient()) return undefined;
      attempt += 1;
      await new Promise((resolve) => { setTimeout(resolve, pauseMs); });
    }
  }
}

/** Sends `talk`'s request and returns what came back; `recordedBytes` had when it was recorded. Never throws for what the SUT does. */
export async function playClient(
  talk: Talk, recordedBytes: number, dialling: Dialling, protocol: Protocol | undefined, world: Pick<World, 'answerMs' | 'quietMs'>,
): Promise<Heard> {
  const socket = await dial(dialling, parseAddress(talk.connection.remote));
  if (socket === undefined) return { response: new Uint8Array(0), end: 'refused' };
  const { localAddress, localPort } = socket;
  if (localAddress !== undefined) dialling.dialled(formatAddress({ host: canonicalHost(localAddress) ?? localAddress, port: localPort ?? 0 }));
  const request = bytesOf(talk.request);
  const framer = protocol?.framer();
  const frames: Frame[] = [];
  framer?.push('client', request, frames);
  const asked = frames.filter(({ role }) => role === 'request').length;
  const isFramed = (): boolean => framer?.sure === true && asked > 0;
  const isWhole = (): boolean => isFramed() && frames.filter(({ role }) => role === 'response').length >= asked;

  const parts: Uint8Array[] = [];
  let bytes = 0;
  const end = await new Promise<ResponseEnd>((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    /** Set once it is as long as recorded: what goes on from there (a stream of events) has this long to end. */
    let last: NodeJS.Timeout | undefined;
    const wait = (ms: number, then: () => void): void => {
      clearTimeout(timer);
      timer = setTimeout(then, ms);
    };
    const done = (how: ResponseEnd): void => {
      clearTimeout(timer);
      clearTimeout(last);
      resolve(how);
    };
    const waitForFirst = (): void => {
      const nothingExpected = recordedBytes === 0 && !isFramed();
      if (nothingExpected) wait(world.quietMs, () => { done('quiet'); });
      else if (talk.end?.kind === 'fin' && talk.end.by === 'remote' && !isFramed()) {
        wait(HALF_CLOSE_MS, () => { socket.end(); wait(world.answerMs, () => { done('timeout'); }); });
      } else wait(world.answerMs, () => { done('timeout'); });
    };
    socket.on('data', (chunk: Buffer) => {
      parts.push(chunk);
      bytes += chunk.length;
      framer?.push('server', chunk, frames);
      if (bytes >= recordedBytes) last ??= setTimeout(() => { done('timeout'); }, world.answerMs);
      if (isWhole()) done('message');
      else if (bytes > recordedBytes + MAX_LONGER_BYTES) done('timeout');
      else if (isFramed()) wait(world.answerMs, () => { done('timeout'); });
      else wait(bytes >= recordedBytes ? SHORT_QUIET_MS : world.quietMs, () => { done('quiet'); });
    });
    socket.on('end', () => { done('fin'); });
    socket.on('error', (error: NodeJS.ErrnoException) => { done(error.code === 'ECONNREFUSED' ? 'refused' : 'reset'); });
    socket.on('close', () => { done('fin'); });
    socket.write(request);
    waitForFirst();
  });
  socket.destroy();
  return { response: Buffer.concat(parts), end };
}
