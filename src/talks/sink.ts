import type { Connection } from '../connections/connection.ts';
import type { OpenTalk } from './open-talk.ts';

/** greeting: the server's first words; late: the answer to what was asked before the recorder came; push: unasked in mid-stream. */
export type Opening = 'request' | 'greeting' | 'late' | 'push';

/** What a cutter tells whoever ties talks into sessions, in the order of the ring. */
export interface TalkSink<T extends OpenTalk> {
  /** A talk begins. The sink makes it, so that it may hold more than a talk. `follows`: an earlier one of this connection has no answer yet. */
  opened(connection: Connection, inbound: boolean, opening: Opening, follows: boolean, atUs: number, tgid: number): T;
  /** A system call begins to move bytes of `talk`: told before the bytes are there. */
  spoke(talk: T, side: 'request' | 'response', atUs: number, tid: number, tgid: number): void;
  /** Whose work it is to open `stream`, where thread `tid` writes that for others; undefined: its own, as far as is known. */
  askerOf(tid: number, stream: number): number | undefined;
  /** One send opened `talk` and `first`, of the same connection: which of them is the sender's, if any, it doesn't say. */
  alongside(talk: T, first: T): void;
  /** Its request is known to be a call, and not part of the connection's prologue. */
  called(talk: T): void;
  /** Nothing more will come. */
  over(talk: T): void;
  /** Over, and what was sent can't be taken back any more. */
  settled(talk: T): void;
  /** Whoever opened the connection of this set-up is still at work: what it came to is part of that. */
  isAwaited(talk: T): boolean;
  /** It never had a byte: the send that opened it moved none. */
  dropped(talk: T): void;
}
