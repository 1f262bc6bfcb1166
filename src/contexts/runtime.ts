/**
 * Asked from the runtime: code inside the service (src/instrument/inside) says, before it writes, which request the bytes are of.
 * Each word of it names sockets by inode and streams by position, so it holds whatever comes between:
 *
 *   {"n":7,"out":311,"at":90,"sure":1,"in":300,"read":412,"nth":0}
 *   from position 90 on, what socket 311 sends is of the request on socket 300 whose head had come when 412 bytes were read
 *   there (the nth of those that came at once); sure: so it was where the call was made, else where it was written
 *   without "in": of no request
 *   {"beat":8}   eight were said so far
 *
 * They are numbered, so that one which was lost is known to be: what was said before it says nothing of what comes after.
 */
import { dropFirst } from '../bounded.ts';
import type { HelperEvent } from '../events/event.ts';
import type { Ground } from './evidence.ts';

const COMMAND = Buffer.from('to-koala!runtime\n');
/** A word is a hundred bytes or so. */
const maxWordBytes = 1_024;
/** Words kept for one socket, sockets, and processes. Past that the oldest are forgotten. */
const maxNotes = 256;
const maxSockets = 65_536;
const maxSpeakers = 4_096;

/** The runtime knows it from where the call was made. */
export const runtimeCall: Ground = {
  attribution: 'runtime',
  support: 'asked-at-call',
  proves: (_context, _call, job) => !job.lossy && !job.pipelined,
};

/** The runtime knows it from where it was written: a queue that takes no context along may write in another request's. */
export const runtimeWrite: Ground = { attribution: 'runtime', support: 'asked-at-write', proves: () => false };

export const isRuntime = (evidence: Ground): boolean => evidence === runtimeCall || evidence === runtimeWrite;

/** A request, as the service sees it. */
export interface Heard {
  readonly inode: number;
  /** Stream position that had been read when its head was whole; −1: not told (TLS). */
  readonly read: number;
  /** How many heads before it came with the same bytes. */
  readonly nth: number;
}

export interface Note {
  /** From here on, up to the next note. −1: whatever comes next. */
  readonly at: number;
  readonly sure: boolean;
  /** Undefined: of no request (sure), or not known. */
  readonly request: Heard | undefined;
  /** How far the answers had been read when it was said: what begins after more was read is another call, of which it says nothing. */
  readonly answered?: number;
}

export type Word = { readonly n: number; readonly out: number; readonly note: Note } | { readonly beat: number };

/** Undefined: not one of ours, or none that can be understood. */
export function wordOf({ bytes }: Pick<HelperEvent, 'bytes'>): Word | undefined {
  if (bytes.length <= COMMAND.length || bytes.length > maxWordBytes || COMMAND.compare(bytes, 0, COMMAND.length) !== 0) return undefined;
  let given: unknown;
  try {
    given = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + COMMAND.length, bytes.length - COMMAND.length).toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof given !== 'object' || given === null) return undefined;
  const { n, out, at, sure, in: inode, read, nth, beat } = given as Record<string, unknown>;
  if (isCount(beat)) return { beat };
  if (!isCount(n) || !isCount(out) || out === 0 || !isPosition(at) || (sure !== 0 && sure !== 1)) return undefined;
  if (inode === undefined) return { n, out, note: { at, sure: sure === 1, request: undefined } };
  if (!isCount(inode) || !isPosition(read) || !isCount(nth)) return undefined;
  return { n, out, note: { at, sure: sure === 1, request: { inode, read, nth } } };
}

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isPosition = (value: unknown): value is number => value === -1 || isCount(value);

interface Socket {
  readonly tgid: number;
  notes: Note[];
}

/** What was said of the sockets of all processes, as long as it can be of use. */
export class RuntimeNotes {
  readonly #sockets = new Map<number, Socket>();
  /** By process: the number of the next word. */
  readonly #speakers = new Map<number, number>();

  /** `at`: where `note` holds from, its own position made the recorder's. */
  take(tgid: number, word: Word, at: number, answered = 0): void {
    if ('beat' in word) return this.#inOrder(tgid, word.beat, word.beat);
    this.#inOrder(tgid, word.n, word.n + 1);
    let socket = this.#sockets.get(word.out);
    if (socket === undefined || socket.tgid !== tgid) {
      this.#sockets.delete(word.out);
      this.#sockets.set(word.out, (socket = { tgid, notes: [] }));
      dropFirst(this.#sockets, maxSockets);
    }
    while (socket.notes.length > 0 && (socket.notes[socket.notes.length - 1] as Note).at >= at) socket.notes.pop();
    socket.notes.push({ ...word.note, at, answered });
    if (socket.notes.length > maxNotes) socket.notes.shift();
  }

  /** What was said of the bytes at `position`, with answers read up to `answered`; what was said of those long before is forgotten. */
  at(inode: number, position: number, answered = 0): Note | undefined {
    const notes = this.#sockets.get(inode)?.notes;
    if (notes === undefined) return undefined;
    let found = notes.length - 1;
    while (found >= 0 && (notes[found] as Note).at > position) found -= 1;
    if (found > 0) notes.splice(0, found);
    const [note] = notes;
    return found < 0 || note === undefined || (note.at !== position && note.answered !== answered) ? undefined : note;
  }

  /** It has said something lately. */
  speaks(tgid: number): boolean {
    return this.#speakers.has(tgid);
  }

  /** The socket is closed. */
  forget(inode: number): void {
    this.#sockets.delete(inode);
  }

  exit(tgid: number): void {
    this.#speakers.delete(tgid);
  }

  #inOrder(tgid: number, number: number, next: number): void {
    if (number !== this.#speakers.get(tgid)) {
      for (const [inode, socket] of this.#sockets) if (socket.tgid === tgid) this.#sockets.delete(inode);
    }
    this.#speakers.set(tgid, next);
    dropFirst(this.#speakers, maxSpeakers);
  }
}
