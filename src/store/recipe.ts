/**
 * A session with its bytes replaced by where they lie in the segments: what the index keeps, so that a session is shown
 * exactly as it was derived, without deriving it again and without a second copy of its bytes.
 */
import { PackReader, PackWriter } from '../bytes/pack.ts';
import { CorruptError } from '../errors.ts';
import type { AppendedFile, Attribution, Certainty, Certificate, Chunk, Datagram, OutboundTalk, Prologue, Session, Talk, TalkEnd, Told, Write } from '../sessions/session.ts';
import type { Fields } from '../protocols/protocol.ts';
import type { BlockCache } from './block-cache.ts';
import type { BlockPlace, Recording } from './recording.ts';
import type { BlobPlace, Row } from './session-rows.ts';

/** Of an instant since 2005 in µs, a double keeps quarters: counted in these, times are exact. */
const TIME_STEPS = 4;
const IN_SAME_BLOCK = 0;
const IN_BLOCK = 1;
const INLINE = 2;
const GAP = 3;
/** Added to the kind of a chunk that tells its goroutine. */
const WITH_GOROUTINE = 4;

/** Puts what several sessions share into the index once; returns where. */
export interface BlobSink {
  put(bytes: Buffer): readonly [offset: number, length: number];
}

export interface BlobSource {
  get(place: BlobPlace): Buffer;
}

export class RecipeWriter {
  readonly #recording: Recording;
  readonly #blobs: BlobSink;
  readonly #pack = new PackWriter();
  readonly #prologues = new WeakMap<Prologue, readonly [offset: number, length: number]>();
  #lastPlace: BlockPlace | undefined;
  #startedAtUs = 0;

  constructor(recording: Recording, blobs: BlobSink) {
    this.#recording = recording;
    this.#blobs = blobs;
  }

  /** Borrowed: the next call spoils it. */
  write(session: Session): Buffer {
    const places = session.prologues.map((prologue) => this.#prologue(prologue));
    const pack = this.#pack;
    this.#begin(session.startedAtUs);
    pack.text(session.entry);
    this.#talk(session.inbound);
    pack.unsigned(session.outbound.length);
    for (const talk of session.outbound) {
      this.#talk(talk);
      pack.text(talk.attribution);
      pack.text(talk.certainty);
      pack.flag(talk.afterResponse === true);
      pack.text(talk.alternatives === undefined ? '' : JSON.stringify(talk.alternatives));
    }
    pack.unsigned(places.length);
    for (const [offset, length] of places) {
      pack.unsigned(offset);
      pack.unsigned(length);
    }
    const { lost, unseen } = session.certificate;
    const { names, traceHeader, told = [], datagrams = [], appends = [] } = session;
    const rare = { names, lost, unseen, traceHeader };
    pack.text(Object.keys(names).length + lost.length + unseen.length === 0 && traceHeader === undefined ? '' : JSON.stringify(rare));
    pack.unsigned(told.length);
    for (const one of told) {
      pack.text(one.command);
      this.#chunk(one);
    }
    pack.unsigned(datagrams.length);
    for (const datagram of datagrams) this.#act(datagram);
    pack.unsigned(appends.length);
    for (const { file, writes } of appends) {
      pack.text(file);
      pack.unsigned(writes.length);
      for (const write of writes) this.#act(write);
    }
    return pack.take();
  }

  /** A write, or a datagram. */
  #act({ bytes, atUs, tid, goroutine, ...facts }: Write): void {
    this.#pack.text(JSON.stringify(facts));
    this.#chunk({ atUs, tid, ...(goroutine === undefined ? {} : { goroutine }), bytes });
  }

  #begin(startedAtUs: number): void {
    this.#startedAtUs = startedAtUs;
    this.#lastPlace = undefined;
  }

  #talk(talk: Talk): void {
    const pack = this.#pack;
    pack.text(talk.connection.id);
    pack.text(talk.connection.local);
    pack.text(talk.connection.remote);
    pack.text(talk.connection.protocol);
    this.#chunks(talk.request);
    this.#chunks(talk.response);
    pack.text(talk.fields === undefined ? '' : JSON.stringify(talk.fields));
    pack.text(talk.end === undefined ? '' : JSON.stringify(talk.end));
  }

  #chunks(chunks: readonly Chunk[]): void {
    this.#pack.unsigned(chunks.length);
    for (const chunk of chunks) this.#chunk(chunk);
  }

  #chunk(chunk: Chunk): void {
    const pack = this.#pack;
    const place = 'bytes' in chunk ? this.#recording.placeOf(chunk.bytes) : undefined;
    const last = this.#lastPlace;
    const same = place !== undefined && last !== undefined && last.sequence === place.sequence && last.offset === place.offset;
    const goroutine = 'bytes' in chunk ? chunk.goroutine : undefined;
    const kind = 'gap' in chunk ? GAP : place === undefined ? INLINE : same ? IN_SAME_BLOCK : IN_BLOCK;
    pack.unsigned(goroutine === undefined ? kind : kind + WITH_GOROUTINE);
    pack.signed(Math.round((chunk.atUs - this.#startedAtUs) * TIME_STEPS));
    pack.unsigned(chunk.tid);
    if (goroutine !== undefined) pack.unsigned(goroutine);
    if ('gap' in chunk) {
      pack.unsigned(chunk.gap);
      pack.text(chunk.cause);
    } else if (place === undefined) {
      pack.bytes(chunk.bytes);
    } else {
      if (!same) {
        pack.unsigned(place.sequence);
        pack.unsigned(place.offset);
        this.#lastPlace = place;
      }
      pack.unsigned(chunk.bytes.byteOffset);
      pack.unsigned(chunk.bytes.length);
    }
  }

  /** Many sessions share one: it is written once, with times of its own. */
  #prologue(prologue: Prologue): readonly [number, number] {
    const known = this.#prologues.get(prologue);
    if (known !== undefined) return known;
    const pack = this.#pack;
    const startedAtUs = Math.round(prologue.chunks[0]?.atUs ?? 0);
    this.#begin(startedAtUs);
    pack.unsigned(startedAtUs);
    pack.text(prologue.connection);
    pack.text(prologue.destination);
    pack.unsigned(prologue.chunks.length);
    for (const chunk of prologue.chunks) {
      pack.flag(chunk.direction === 'egress');
      this.#chunk(chunk);
    }
    const place = this.#blobs.put(pack.take());
    this.#prologues.set(prologue, place);
    return place;
  }
}

/** What the row says of a session. */
export type RowFacts = Pick<Row, 'id' | 'startedAtUs' | 'durationMs' | 'tgid' | 'ties' | 'state'> & { readonly commandText: string };

/**
 * Reads a recipe back. A block that is damaged by now makes a gap with cause `corrupt`, and the certificate says so.
 * Without `blocks` chunks are left out.
 */
export function readRecipe(facts: RowFacts, recipe: Buffer, blobs: BlobSource, blocks: BlockCache | undefined): Session {
  return new RecipeReader(facts, blobs, blocks).read(recipe);
}

class RecipeReader {
  readonly #facts: RowFacts;
  readonly #blobs: BlobSource;
  readonly #blocks: BlockCache | undefined;
  #rotten = 0;
  #place: BlockPlace = { sequence: 0, offset: 0 };
  #startedAtUs = 0;

  constructor(facts: RowFacts, blobs: BlobSource, blocks: BlockCache | undefined) {
    this.#facts = facts;
    this.#blobs = blobs;
    this.#blocks = blocks;
  }

  read(recipe: Buffer): Session {
    const { id, startedAtUs, durationMs, tgid, ties, state, commandText } = this.#facts;
    const pack = new PackReader(recipe);
    this.#startedAtUs = startedAtUs;
    const entry = pack.text() as Session['entry'];
    const inbound = this.#talk(pack);
    const outbound = Array.from({ length: pack.unsigned() }, () => this.#call(pack));
    const places = Array.from({ length: pack.unsigned() }, () => ({ offset: pack.unsigned(), length: pack.unsigned() }));
    const rare = pack.text();
    const { names, lost, unseen, traceHeader } = (rare === '' ? { names: {}, lost: [], unseen: [] } :
      JSON.parse(rare)) as Pick<Session, 'names' | 'traceHeader'> & Pick<Certificate, 'lost' | 'unseen'>;
    const told = Array.from({ length: pack.unsigned() }, () => this.#told(pack)).filter((one) => one !== undefined);
    const datagrams = Array.from({ length: pack.unsigned() }, () => this.#act<Datagram>(pack)).filter((one) => one !== undefined);
    const appends = Array.from({ length: pack.unsigned() }, () => this.#appended(pack)).filter(({ writes }) => writes.length > 0);
    const prologues = places.map((place) => this.#prologue(place));
    return {
      id, startedAtUs, durationMs, entry, process: { tgid, command: commandText }, inbound, outbound, ties, prologues, names,
      ...(told.length === 0 ? {} : { told }), ...(datagrams.length === 0 ? {} : { datagrams }), ...(appends.length === 0 ? {} : { appends }),
      ...(traceHeader === undefined ? {} : { traceHeader }),
      certificate: this.#certificate({ state, lost, unseen }),
    };
  }

  #certificate(certificate: Certificate): Certificate {
    if (this.#rotten === 0) return certificate;
    const unseen = { kind: 'corrupt', count: this.#rotten, detail: 'bytes of blocks that were damaged or removed after the index was made' };
    const state = certificate.state === 'open' ? 'open' : 'incomplete';
    return { ...certificate, state, unseen: [...certificate.unseen, unseen] };
  }

  #talk(pack: PackReader): Talk {
    const connection = { id: pack.text(), local: pack.text(), remote: pack.text(), protocol: pack.text() };
    const request = this.#chunks(pack);
    const response = this.#chunks(pack);
    const fields = pack.text();
    const end = pack.text();
    return { connection, request, response, ...(fields === '' ? {} : { fields: JSON.parse(fields) as Fields }), ...(end === '' ? {} : { end: JSON.parse(end) as TalkEnd }) };
  }

  #call(pack: PackReader): OutboundTalk {
    const talk = this.#talk(pack);
    const attribution = pack.text() as Attribution;
    const certainty = pack.text() as Certainty;
    const afterResponse = pack.flag();
    const alternatives = pack.text();
    return {
      ...talk, attribution, certainty, ...(afterResponse ? { afterResponse } : {}),
      ...(alternatives === '' ? {} : { alternatives: JSON.parse(alternatives) as string[] }),
    };
  }

  #chunks(pack: PackReader): Chunk[] {
    const chunks: Chunk[] = [];
    for (let left = pack.unsigned(); left > 0; left--) {
      const chunk = this.#chunk(pack);
      if (chunk !== undefined) chunks.push(chunk);
    }
    return chunks;
  }

  #chunk(pack: PackReader): Chunk | undefined {
    const told = pack.unsigned();
    const kind = told % WITH_GOROUTINE;
    const atUs = this.#startedAtUs + pack.signed() / TIME_STEPS;
    const tid = pack.unsigned();
    const whose = told >= WITH_GOROUTINE ? { goroutine: pack.unsigned() } : {};
    if (kind === GAP) return { atUs, tid, gap: pack.unsigned(), cause: pack.text() as never };
    if (kind === INLINE) return { atUs, tid, ...whose, bytes: pack.bytes() };
    if (kind === IN_BLOCK) this.#place = { sequence: pack.unsigned(), offset: pack.unsigned() };
    const offset = pack.unsigned();
    const length = pack.unsigned();
    if (this.#blocks === undefined) return undefined;
    try {
      return { atUs, tid, ...whose, bytes: this.#blocks.payload(this.#place).subarray(offset, offset + length) };
    } catch (error) {
      if (!(error instanceof CorruptError)) throw error;
      this.#rotten += length;
      return { atUs, tid, gap: length, cause: 'corrupt' };
    }
  }

  /** Undefined: bytes are not asked for, or are there no more. */
  #told(pack: PackReader): Told | undefined {
    const command = pack.text() as Told['command'];
    const chunk = this.#chunk(pack);
    return chunk === undefined || 'gap' in chunk ? undefined : { command, ...chunk };
  }

  #act<A extends Write>(pack: PackReader): A | undefined {
    const facts = JSON.parse(pack.text()) as Omit<A, 'bytes' | 'atUs' | 'tid' | 'goroutine'>;
    const chunk = this.#chunk(pack);
    return chunk === undefined || 'gap' in chunk ? undefined : { ...facts, ...chunk } as unknown as A;
  }

  #appended(pack: PackReader): AppendedFile {
    const file = pack.text();
    return { file, writes: Array.from({ length: pack.unsigned() }, () => this.#act<Write>(pack)).filter((one) => one !== undefined) };
  }

  #prologue(place: BlobPlace): Prologue {
    const pack = new PackReader(this.#blobs.get(place));
    this.#startedAtUs = pack.unsigned();
    const connection = pack.text();
    const destination = pack.text();
    const chunks: Prologue['chunks'][number][] = [];
    for (let left = pack.unsigned(); left > 0; left--) {
      const direction = pack.flag() ? 'egress' : 'ingress';
      const chunk = this.#chunk(pack);
      if (chunk !== undefined) chunks.push({ ...chunk, direction });
    }
    return { connection, destination, chunks };
  }
}
