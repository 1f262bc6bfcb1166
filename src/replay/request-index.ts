/**
 * Recorded calls found by what they ask: by their bytes, and by what these mean to the protocol with the values masked that a service
 * makes itself. What means the same is the same masked, so it is looked for among the few that are. Each index is made when it is
 * first asked for, in one pass over the calls of one destination.
 */
import { createHash } from 'node:crypto';
import { canonicalText, maskedText, requestModel, sameJson, type Json } from '../compare/index.ts';
import type { ProtocolName } from '../protocols/protocol.ts';
import type { RecordedCall } from './calls.ts';

/** Keys longer than this are kept as their digest. */
const MAX_KEY_CHARS = 512;

const shortened = (text: string): string => (text.length <= MAX_KEY_CHARS ? text : `${text.length} ${createHash('sha1').update(text).digest('base64')}`);

/** A request by its bytes. */
export function exactKey(request: Uint8Array): string {
  const bytes = Buffer.from(request.buffer, request.byteOffset, request.byteLength);
  return bytes.length <= MAX_KEY_CHARS ? bytes.toString('latin1') : `${bytes.length} ${createHash('sha1').update(bytes).digest('base64')}`;
}

/** A key of a request by what it asks, from its canonical text. */
export const keyOf = shortened;
const maskedKey = (model: Json, seen?: (made: string) => void): string => shortened(canonicalText(model, (text) => maskedText(text, seen)));

/** What a live request asks, each form of it made when it is first needed. */
export class Asked {
  readonly request: Uint8Array;
  readonly protocol: ProtocolName;
  readonly model: Json;
  #masked: { readonly key: string; readonly made: readonly string[] } | undefined;

  constructor(request: Uint8Array, protocol: ProtocolName) {
    this.request = request;
    this.protocol = protocol;
    this.model = requestModel(request, protocol);
  }

  /** The key of all that differ from it in values only that a service makes itself, and these values. */
  get masked(): { readonly key: string; readonly made: readonly string[] } {
    if (this.#masked === undefined) {
      const made: string[] = [];
      this.#masked = { key: maskedKey(this.model, (value) => { made.push(value); }), made };
    }
    return this.#masked;
  }
}

/** A request is asked for step by step, and in each session that is in play: it is read once. */
let last: Asked | undefined;

function askedOf(request: Uint8Array, protocol: ProtocolName): Asked {
  if (last?.request !== request || last.protocol !== protocol) last = new Asked(request, protocol);
  return last;
}

/** Calls of one key in recorded order. */
class Queue {
  readonly #calls: RecordedCall[];
  #used = 0;

  constructor(...calls: RecordedCall[]) {
    this.#calls = calls;
  }

  get all(): readonly RecordedCall[] {
    return this.#calls;
  }

  get length(): number {
    return this.#calls.length;
  }

  add(call: RecordedCall): void {
    this.#calls.push(call);
  }

  /** Unused ones in recorded order, at most `most`. */
  unused(isUsed: (call: RecordedCall) => boolean, most: number): RecordedCall[] {
    while (this.#used < this.#calls.length && isUsed(this.#calls[this.#used]!)) this.#used += 1;
    const found: RecordedCall[] = [];
    for (let at = this.#used; at < this.#calls.length && found.length < most; at += 1) {
      if (!isUsed(this.#calls[at]!)) found.push(this.#calls[at]!);
    }
    return found;
  }
}

/** More calls than these that are the same masked are told apart by an index of their own; fewer one after the other. */
const MANY_ALIKE = 8;

type Kind = 'exact' | 'masked';

/** Most keys have one call, which needs no queue. */
type Calls = Map<string, RecordedCall | Queue>;

function indexed(calls: readonly RecordedCall[], keyOfCall: (call: RecordedCall) => string): Calls {
  const queues: Calls = new Map();
  for (const call of calls) {
    const key = keyOfCall(call);
    const before = queues.get(key);
    if (before === undefined) queues.set(key, call);
    else if (before instanceof Queue) before.add(call);
    else queues.set(key, new Queue(before, call));
  }
  return queues;
}

function unusedOf(found: RecordedCall | Queue | undefined, isUsed: (call: RecordedCall) => boolean, most: number): readonly RecordedCall[] {
  if (found instanceof Queue) return found.unused(isUsed, most);
  return found === undefined || isUsed(found) ? [] : [found];
}

const listed = (found: RecordedCall | Queue | undefined): readonly RecordedCall[] => (found instanceof Queue ? found.all : found === undefined ? [] : [found]);

/** The calls of one destination. */
export class RequestIndex {
  readonly calls: readonly RecordedCall[];
  readonly #isUsed: (call: RecordedCall) => boolean;
  readonly #queues: Partial<Record<Kind, Calls>> = {};
  /** Of many that are the same masked, by their canonical text. */
  readonly #alike = new Map<Queue, Calls>();
  readonly #models = new Map<RecordedCall, Json>();
  readonly #protocol: ProtocolName;
  /** By bytes, for beginnings. */
  #sorted: readonly RecordedCall[] | undefined;

  constructor(calls: readonly RecordedCall[], isUsed: (call: RecordedCall) => boolean) {
    this.calls = calls;
    this.#isUsed = isUsed;
    this.#protocol = calls.find(({ protocol }) => protocol !== 'unknown')?.protocol ?? 'unknown';
  }

  exact(request: Uint8Array): RecordedCall | undefined {
    return this.#unused('exact', exactKey(request), 1)[0];
  }

  equal(request: Uint8Array): RecordedCall | undefined {
    return this.#equalTo(request, this.#isUsed);
  }

  /** The same for a request whose canonical text is another one: that of `request` with known values in the place of its own. */
  equalText(request: Uint8Array, text: string): RecordedCall | undefined {
    return this.#among(this.#find('masked', this.asked(request).masked.key), this.#isUsed, () => text, (call) => canonicalText(this.modelOfCall(call)) === text);
  }

  /** Unused calls that are equal but for values that a service makes itself, in recorded order. */
  masked(request: Uint8Array, most: number): readonly RecordedCall[] {
    return this.#unused('masked', this.asked(request).masked.key, most);
  }

  /** Whether there is such a call, used or not. */
  has(request: Uint8Array): boolean {
    return this.#find('exact', exactKey(request)) !== undefined || this.#equalTo(request, () => false) !== undefined;
  }

  /** All that have these bytes, used or not; where none has, all that are equal to it; `text`: whose canonical text is this one. In recorded order. */
  every(request: Uint8Array, text?: string): readonly RecordedCall[] {
    const exact = text === undefined ? listed(this.#find('exact', exactKey(request))) : [];
    if (exact.length > 0) return exact;
    const { model, masked } = this.asked(request);
    const wanted = shortened(text ?? canonicalText(model));
    return listed(this.#find('masked', masked.key)).filter((call) => shortened(canonicalText(this.modelOfCall(call))) === wanted);
  }

  /** All that are equal to it but for values that a service makes itself, used or not, in recorded order. */
  everyMasked(request: Uint8Array): readonly RecordedCall[] {
    return listed(this.#find('masked', this.asked(request).masked.key));
  }

  /** A live request, read as the recorded ones of its destination are. */
  asked(request: Uint8Array): Asked {
    return askedOf(request, this.#protocol);
  }

  modelOfCall(call: RecordedCall): Json {
    const known = this.#models.get(call);
    if (known !== undefined) return known;
    const model = requestModel(call.request, this.#protocol);
    this.#models.set(call, model);
    return model;
  }

  /** Whether an unused call's request begins with `bytes` and goes on. */
  goesOn(bytes: Uint8Array): boolean {
    this.#sorted ??= [...this.calls].sort((a, b) => Buffer.compare(a.request, b.request));
    let from = 0;
    let to = this.#sorted.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (Buffer.compare(this.#sorted[middle]!.request, bytes) < 0) from = middle + 1;
      else to = middle;
    }
    for (let at = from; at < this.#sorted.length; at += 1) {
      const call = this.#sorted[at]!;
      if (call.request.length < bytes.length || Buffer.compare(call.request.subarray(0, bytes.length), bytes) !== 0) return false;
      if (call.request.length > bytes.length && !this.#isUsed(call)) return true;
    }
    return false;
  }

  #find(kind: Kind, key: string): RecordedCall | Queue | undefined {
    return (this.#queues[kind] ??= this.#index(kind)).get(key);
  }

  #unused(kind: Kind, key: string, most: number): readonly RecordedCall[] {
    return unusedOf(this.#find(kind, key), this.#isUsed, most);
  }

  #equalTo(request: Uint8Array, isUsed: (call: RecordedCall) => boolean): RecordedCall | undefined {
    const { model, masked } = this.asked(request);
    return this.#among(this.#find('masked', masked.key), isUsed, () => canonicalText(model), (call) => sameJson(this.modelOfCall(call), model));
  }

  /** The first of those that are the same masked which is `same`, and has the canonical text `text`. */
  #among(alike: RecordedCall | Queue | undefined, isUsed: (call: RecordedCall) => boolean, text: () => string, same: (call: RecordedCall) => boolean): RecordedCall | undefined {
    if (!(alike instanceof Queue) || alike.length <= MANY_ALIKE) return unusedOf(alike, isUsed, MANY_ALIKE).find(same);
    let byText = this.#alike.get(alike);
    if (byText === undefined) this.#alike.set(alike, byText = indexed(alike.all, (call) => shortened(canonicalText(this.modelOfCall(call)))));
    return unusedOf(byText.get(shortened(text())), isUsed, 1)[0];
  }

  #index(kind: Kind): Calls {
    return indexed(this.calls, (call) => (kind === 'exact' ? exactKey(call.request) : maskedKey(this.modelOfCall(call))));
  }
}
