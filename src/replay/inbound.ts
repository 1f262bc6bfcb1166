/** Plays the client of a session: sends the recorded request, reads the SUT's answer. Every wait has a bound. */
import { parseAddress } from '../bytes/address.ts';
import { bytesOf } from './calls.ts';
import { dial, type ClientConnection, type ClientConnections, type Dialling } from './client-connections.ts';
import type { ResponseEnd, World } from './played.ts';
import type { Frame, Protocol } from '../protocols/protocol.ts';
import type { Talk } from '../sessions/session.ts';

/** With as many bytes as were recorded, a pause this long is enough where the protocol can't tell. */
const SHORT_QUIET_MS = 20;
/** A client that had ended its side is imitated only after this long without an answer: many services give up on seeing it. */
const HALF_CLOSE_MS = 200;
/** An answer may be so much longer than the recorded one: more is not kept. */
const MAX_LONGER_BYTES = 256 << 20;
/** So long without a word, and connections that are kept for later sessions may be what the service waits for. */
const RELEASE_AFTER_MS = 250;

export interface Heard {
  readonly response: Uint8Array;
  readonly end: ResponseEnd;
}

export interface ClientOptions extends Dialling {
  /** Told our end of the connection, "IP:PORT", and where the request begins on it, before anything is sent. */
  readonly dialled: (local: string, position: number) => void;
  readonly connections: ClientConnections;
  /** The client connection that it was recorded on. */
  readonly line: string;
  /** Whether a later session of that line is waiting. */
  readonly goesOn: () => boolean;
  /** The SUT has begun to do something with the request. */
  readonly isUnderWay: () => boolean;
  readonly world: Pick<World, 'answerMs' | 'quietMs'>;
}

/** Sends `talk`'s request and returns what came back; `recordedBytes` had when it was recorded. Never throws for what the SUT does. */
export async function playClient(talk: Talk, recordedBytes: number, protocol: Protocol | undefined, options: ClientOptions): Promise<Heard> {
  const { connections, line } = options;
  const kept = connections.take(line);
  if (kept !== undefined) {
    const heard = await exchange(kept, talk, recordedBytes, protocol, options);
    // It was ended at the moment it was used again: as any client does, once more on a new one.
    if (heard.response.length > 0 || !['fin', 'reset'].includes(heard.end) || options.isUnderWay()) return heard;
  }
  const connection = await dial(options, parseAddress(talk.connection.remote));
  return connection === undefined ? { response: new Uint8Array(0), end: 'refused' } : exchange(connection, talk, recordedBytes, protocol, options);
}

async function exchange(connection: ClientConnection, talk: Talk, recordedBytes: number, protocol: Protocol | undefined, options: ClientOptions): Promise<Heard> {
  const { world, connections, line } = options;
  const { socket, local, position } = connection;
  if (local !== undefined) options.dialled(local, position);
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
    const release = setTimeout(() => { connections.release(); }, RELEASE_AFTER_MS);
    const wait = (ms: number, then: () => void): void => {
      clearTimeout(timer);
      timer = setTimeout(then, ms);
    };
    const done = (how: ResponseEnd): void => {
      clearTimeout(timer);
      clearTimeout(last);
      clearTimeout(release);
      resolve(how);
    };
    const waitForFirst = (): void => {
      const nothingExpected = recordedBytes === 0 && !isFramed();
      if (nothingExpected) wait(world.quietMs, () => { done('quiet'); });
      else if (talk.end?.kind === 'fin' && talk.end.by === 'remote' && !isFramed()) {
        wait(HALF_CLOSE_MS, () => { socket.end(); wait(world.answerMs, () => { done('timeout'); }); });
      } else wait(world.answerMs, () => { done('timeout'); });
    };
    connection.readTo({
      data: (chunk) => {
        parts.push(chunk);
        bytes += chunk.length;
        framer?.push('server', chunk, frames);
        if (bytes >= recordedBytes) last ??= setTimeout(() => { done('timeout'); }, world.answerMs);
        if (isWhole()) done('message');
        else if (bytes > recordedBytes + MAX_LONGER_BYTES) done('timeout');
        else if (isFramed()) wait(world.answerMs, () => { done('timeout'); });
        else wait(bytes >= recordedBytes ? SHORT_QUIET_MS : world.quietMs, () => { done('quiet'); });
      },
      ended: (how) => { done(how); },
    });
    socket.write(request);
    waitForFirst();
  });
  if (end === 'message' && !connection.isOver && options.goesOn()) connections.keep(line, connection);
  else connection.close();
  return { response: parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts), end };
}
