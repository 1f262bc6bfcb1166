/**
 * A session with its bytes replaced by where they lie in the segments: what the index keeps, so that a session is shown
 * exactly as it was derived, without deriving it again and without a second copy of its bytes.
 */
import type { Prologue, Session } from '../sessions/session.ts';
import { CorruptError } from '../errors.ts';
import type { BlockCache } from './block-cache.ts';
import type { Recording } from './recording.ts';

type Chunk = Session['inbound']['request'][number] & { readonly direction?: 'ingress' | 'egress' };

/** atUs, tid, then segment, block, offset in its payload and length; or the bytes themselves, where they lie nowhere as a whole. */
type StoredChunk =
  | readonly [atUs: number, tid: number, sequence: number, block: number, offset: number, length: number, direction?: 0 | 1]
  | { readonly c: readonly [atUs: number, tid: number]; readonly b: string; readonly d?: 0 | 1 }
  | { readonly c: readonly [atUs: number, tid: number]; readonly g: number; readonly w: string; readonly d?: 0 | 1 };

/** Puts what several sessions share into the index once; returns where. */
export interface BlobSink {
  put(bytes: Buffer): readonly [offset: number, length: number];
}

export interface BlobSource {
  get(offset: number, length: number): Buffer;
}

export class RecipeWriter {
  readonly #recording: Recording;
  readonly #blobs: BlobSink;
  readonly #prologues = new WeakMap<Prologue, readonly [number, number]>();

  constructor(recording: Recording, blobs: BlobSink) {
    this.#recording = recording;
    this.#blobs = blobs;
  }

  write(session: Session): Buffer {
    const chunks = (list: readonly Chunk[]): StoredChunk[] => list.map((chunk) => this.#store(chunk));
    const talk = <T extends Session['inbound']>(of: T) => ({ ...of, request: chunks(of.request), response: chunks(of.response) });
    return Buffer.from(JSON.stringify({
      ...session, inbound: talk(session.inbound), outbound: session.outbound.map(talk),
      prologues: session.prologues.map((prologue) => this.#prologue(prologue)),
    }));
  }

  #prologue(prologue: Prologue): readonly [number, number] {
    let place = this.#prologues.get(prologue);
    if (place === undefined) {
      const stored = { ...prologue, chunks: prologue.chunks.map((chunk) => this.#store(chunk)) };
      place = this.#blobs.put(Buffer.from(JSON.stringify(stored)));
      this.#prologues.set(prologue, place);
    }
    return place;
  }

  #store(chunk: Chunk): StoredChunk {
    const direction = chunk.direction === undefined ? {} : { d: chunk.direction === 'egress' ? 1 as const : 0 as const };
    if ('gap' in chunk) return { c: [chunk.atUs, chunk.tid], g: chunk.gap, w: chunk.cause, ...direction };
    const { atUs, tid, bytes } = chunk;
    const place = this.#recording.placeOf(bytes);
    if (place === undefined) {
      return { c: [atUs, tid], b: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64'), ...direction };
    }
    const stored = [atUs, tid, place.sequence, place.offset, bytes.byteOffset, bytes.length] as const;
    return direction.d === undefined ? stored : [...stored, direction.d];
  }
}

type Stored<T> = Omit<T, 'request' | 'response'> & { readonly request: readonly StoredChunk[]; readonly response: readonly StoredChunk[] };
type StoredSession = Omit<Session, 'inbound' | 'outbound' | 'prologues'> & {
  readonly inbound: Stored<Session['inbound']>;
  readonly outbound: readonly Stored<Session['outbound'][number]>[];
  readonly prologues: readonly (readonly [number, number])[];
};

/** Reads a recipe back. A block that is damaged by now makes a gap with cause `corrupt`, and the certificate says so. */
export function readRecipe(recipe: Buffer, blocks: BlockCache, blobs: BlobSource): Session {
  const stored = JSON.parse(recipe.toString()) as StoredSession;
  let rotten = 0;
  const chunk = (of: StoredChunk): Chunk => {
    const isPlace = Array.isArray(of);
    if (!isPlace && 'g' in of) return { atUs: of.c[0], tid: of.c[1], gap: of.g, cause: of.w as never };
    if (!isPlace && 'b' in of) return { atUs: of.c[0], tid: of.c[1], bytes: Buffer.from(of.b, 'base64') };
    const [atUs, tid, sequence, block, offset, length] = of as Extract<StoredChunk, readonly unknown[]>;
    try {
      return { atUs, tid, bytes: blocks.payload({ sequence, offset: block }).subarray(offset, offset + length) };
    } catch (error) {
      if (!(error instanceof CorruptError)) throw error;
      rotten += length;
      return { atUs, tid, gap: length, cause: 'corrupt' };
    }
  };
  const talk = <T>(of: Stored<T>) => ({ ...of, request: of.request.map(chunk), response: of.response.map(chunk) });
  const prologue = ([offset, length]: readonly [number, number]): Prologue => {
    const of = JSON.parse(blobs.get(offset, length).toString()) as Omit<Prologue, 'chunks'> & { chunks: StoredChunk[] };
    const directed = of.chunks.map((each) => {
      const direction = (Array.isArray(each) ? each[6] : (each as { d?: number }).d) === 1 ? 'egress' : 'ingress';
      return { ...chunk(each), direction } as Prologue['chunks'][number];
    });
    return { ...of, chunks: directed };
  };
  const session: Session = {
    ...stored, inbound: talk(stored.inbound) as Session['inbound'],
    outbound: stored.outbound.map((each) => talk(each) as Session['outbound'][number]),
    prologues: stored.prologues.map(prologue),
  };
  if (rotten === 0) return session;
  const { certificate } = session;
  const unseen = { kind: 'corrupt', count: rotten, detail: 'bytes of blocks that were damaged or removed after the index was made' };
  const state = certificate.state === 'open' ? 'open' : 'incomplete';
  return { ...session, certificate: { ...certificate, state, unseen: [...certificate.unseen, unseen] } };
}
