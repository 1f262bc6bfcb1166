/**
 * What virtual threads of Java's were given to do (bpf/java-given.bpf.c) holds what it needs: a lambda what it captures, an object of
 * another class what is in its fields. Two that were begun for one request often hold the same object there, and those of others hold others.
 *
 *   virtual thread 42   reads A    begins 43 (holds "17", pool), 44 (holds "17")    waits for 44 ……    answers A
 *   virtual thread 43              call: 44's calls are A's, and so are 43's: "17" is held by both
 *
 * Other fields hold what all requests share, or some. Which do, is seen in those threads of which something else tells: a field is believed
 * where objects that stood in it were held for one request only, though for several where there were others.
 */
import { dropFirst } from '../bounded.ts';
import type { GivenEvent } from '../events/event.ts';
import type { OpenTalk } from '../talks/open-talk.ts';
import type { Hindsight, Past, Verdict } from './hindsight.ts';
import { SEVERAL, VirtualCalls, virtualThreadOf } from './virtual-calls.ts';

/** So many objects that stood in a field were held by several threads of one session, and at most one for so many by threads of more than one. */
const ENOUGH = 32;
const ONE_IN = 200;
/** Threads, objects and fields remembered. Past that the one first told of is forgotten. */
const maxThreads = 16_384;
const maxObjects = 131_072;
const maxFields = 4_096;
/** Of one thread: it is told of again when objects were moved. Past that the first is forgotten. */
const maxTold = 8;

/** By its class, and where its objects have it. Of what stood in it: so many were held for one session, and so many for more. */
interface Field {
  ofOne: number;
  ofSeveral: number;
  /** Of whom the last thread was that is known, and of which time: what only one session was seen to hold in that, all may hold. */
  last: { readonly collections: number; readonly session: number } | undefined;
  /** The last time of which threads of several sessions are known. */
  several: number | undefined;
}

/** Some thread holds it there. */
interface Held {
  readonly field: Field;
  /** Its address, and how often objects had been moved. */
  readonly object: string;
  readonly collections: number;
}

/** What is held by threads whose calls are known. */
interface Shared {
  /** A session's number, or SEVERAL. */
  session: number;
  /** More than one thread of that session holds it, while others are known that hold others. */
  told: boolean;
  /** That held it first. */
  readonly thread: number;
  readonly fields: Set<Field>;
}

export class Errands<J extends Past> implements Hindsight<J> {
  readonly attribution = 'runtime';
  readonly support = 'holds-the-same';
  readonly refutes = false;
  readonly atLast = true;
  readonly #calls = new VirtualCalls<J>();
  readonly #fields = new Map<string, Field>();
  readonly #held = new Map<number, Held[][]>();
  readonly #shared = new Map<string, Shared>();
  /** Calls that this tied: they bear no witness. */
  readonly #tied = new WeakSet<OpenTalk>();

  told({ context, class: class_, objects, collections }: GivenEvent): void {
    const held = objects.flatMap((object, index) => object === 0 ? [] : { field: this.#field(`${class_} ${index}`), object: `${collections} ${object}`, collections });
    const before = this.#held.get(context);
    if (before === undefined) keep(this.#held, maxThreads, context, [held]);
    else if (before.push(held) > maxTold) before.shift();
  }

  /** The process runs another program. */
  executed(): void {
    this.#fields.clear();
    this.#held.clear();
    this.#shared.clear();
  }

  proves(): boolean {
    return false;
  }

  find(call: OpenTalk, candidates: readonly J[]): Verdict<J> | undefined {
    const own = virtualThreadOf(call.request);
    const objects = own === 0 ? undefined : this.#believed(own);
    if (objects === undefined || objects.size === 0) return undefined;
    const jobs = candidates.filter(({ sure }) => sure.some(({ request }) => {
      const other = virtualThreadOf(request);
      return other !== 0 && other !== own && this.#holdsOne(other, objects);
    }));
    const [job] = jobs;
    if (job === undefined || jobs.length > 1 || !this.#calls.mayBeOf(own, job)) return undefined;
    this.#tied.add(call);
    return { job, alternatives: [] };
  }

  decided(call: OpenTalk, job: J | undefined): void {
    const own = virtualThreadOf(call.request);
    if (own === 0 || job === undefined || this.#tied.has(call) || !this.#calls.decided(own, job)) return;
    const session = this.#calls.of(own) ?? SEVERAL;
    for (const held of this.#all(own)) this.#learn(held, own, session);
  }

  whyNot(): undefined {
    return undefined;
  }

  #learn({ field, object, collections }: Held, thread: number, session: number): void {
    if (field.last?.collections === collections && field.last.session !== session) field.several = collections;
    field.last = { collections, session };
    const shared = this.#shared.get(object);
    if (shared === undefined) return keep(this.#shared, maxObjects, object, { session, told: false, thread, fields: new Set([field]) });
    const isNew = !shared.fields.has(field);
    shared.fields.add(field);
    if (shared.session !== SEVERAL && shared.session !== session) {
      shared.session = SEVERAL;
      for (const each of shared.fields) each.ofSeveral += 1;
    } else if (shared.session === SEVERAL) {
      if (isNew) field.ofSeveral += 1;
    } else if (shared.told) {
      if (isNew && field.several === collections) field.ofOne += 1;
    } else if (shared.thread !== thread && field.several === collections) {
      shared.told = true;
      for (const each of shared.fields) if (each.several === collections) each.ofOne += 1;
    }
  }

  /** What it holds that tells whose it is. */
  #believed(thread: number): ReadonlySet<string> {
    const found = new Set<string>();
    for (const { field, object } of this.#all(thread)) if (isBelieved(field) && this.#shared.get(object)?.session !== SEVERAL) found.add(object);
    return found;
  }

  #holdsOne(thread: number, objects: ReadonlySet<string>): boolean {
    for (const { field, object } of this.#all(thread)) if (objects.has(object) && isBelieved(field)) return true;
    return false;
  }

  *#all(thread: number): Generator<Held> {
    for (const told of this.#held.get(thread) ?? []) yield* told;
  }

  #field(name: string): Field {
    let field = this.#fields.get(name);
    if (field === undefined) keep(this.#fields, maxFields, name, field = { ofOne: 0, ofSeveral: 0, last: undefined, several: undefined });
    return field;
  }
}

const isBelieved = ({ ofOne, ofSeveral }: Field): boolean => ofOne >= ENOUGH && ofSeveral * ONE_IN <= ofOne;

function keep<K, V>(those: Map<K, V>, most: number, key: K, value: V): void {
  those.set(key, value);
  dropFirst(those, most);
}
