/**
 * A session read back from its JSON, which a person may have edited: every field is checked, and what is wrong is named by
 * its path. Unknown fields are ignored (a later version may have added them).
 */
import { UserError } from '../errors.ts';
import type { Cause } from '../events/event.ts';
import type { AppendedFile, Certificate, Chunk, Datagram, OutboundTalk, Prologue, Session, Talk, TalkConnection, TalkEnd, Told, Write } from './session.ts';
import type { Field } from '../protocols/hpack.ts';
import type { Fields } from '../protocols/protocol.ts';
import type { Mutable } from '../talks/open-talk.ts';

const FORMAT = /^koala-bpf\/session@(\d+)$/;
const VERSION = 1;
const ENTRIES = ['request', 'message', 'job', 'start'] as const;
const CERTAINTIES = ['proven', 'likely'] as const;
const STATES = ['complete', 'incomplete', 'open'] as const;
const SIDES = ['local', 'remote'] as const;
const DIRECTIONS = ['ingress', 'egress'] as const;
const ENDS = ['fin', 'reset', 'refused', 'timeout', 'unreachable', 'failed', 'exit'] as const;
const ATTRIBUTIONS = [
  'thread', 'born', 'goroutine', 'virtual-thread', 'helper', 'delegation', 'trace', 'handed-over', 'continuation', 'elimination',
  'content', 'pattern', 'queue', 'runtime',
] as const;
const TOLD = ['read-storage', 'call-function', 'return-function'] as const;
const RFC3339 = /^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/;
/** A pair is one character to a regular expression with `u`. */
const LONE_SURROGATE = /\p{Surrogate}/u;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** A value and where it stands. A recording has millions: the path is put together only for who asks. */
class Place {
  readonly value: unknown;
  readonly #within: Place | undefined;
  readonly #key: string | number;

  constructor(value: unknown, within?: Place, key: string | number = '') {
    this.value = value;
    this.#within = within;
    this.#key = key;
  }

  /** `inbound.request[2].text` */
  get path(): string {
    const before = this.#within?.path ?? '';
    if (typeof this.#key === 'number') return `${before}[${this.#key}]`;
    return before === '' ? this.#key : `${before}.${this.#key}`;
  }

  wrong(expected: string): UserError {
    const found = this.value === undefined ? 'is missing' : `is ${describe(this.value)}`;
    return new UserError(`Cannot read session: ${this.path === '' ? 'it' : this.path} ${found}; expected ${expected}`);
  }

  get object(): Record<string, unknown> {
    if (typeof this.value !== 'object' || this.value === null || Array.isArray(this.value)) throw this.wrong('an object');
    return this.value as Record<string, unknown>;
  }

  at(key: string): Place {
    const { object } = this;
    return new Place(Object.hasOwn(object, key) ? object[key] : undefined, this, key);
  }

  has(key: string): boolean {
    const { object } = this;
    return Object.hasOwn(object, key) && object[key] !== undefined;
  }

  list<T>(read: (place: Place) => T): T[] {
    if (!Array.isArray(this.value)) throw this.wrong('a list');
    return this.value.map((value, at) => read(new Place(value, this, at)));
  }

  get string(): string {
    if (typeof this.value !== 'string') throw this.wrong('a string');
    return this.value;
  }

  get number(): number {
    if (typeof this.value !== 'number' || !Number.isFinite(this.value)) throw this.wrong('a number');
    return this.value;
  }

  get whole(): number {
    if (!Number.isSafeInteger(this.value)) throw this.wrong('a whole number');
    return this.value as number;
  }

  get count(): number {
    if (this.whole < 0) throw this.wrong('a whole number, not negative');
    return this.whole;
  }

  oneOf<T extends string>(values: readonly T[]): T {
    const found = values.find((value) => value === this.value);
    if (found === undefined) throw this.wrong(values.map((value) => JSON.stringify(value)).join(', '));
    return found;
  }
}

/** Throws UserError that names the path of what is wrong. */
export function sessionFromJson(json: unknown): Session {
  const place = new Place(json);
  checkFormat(place.at('format'));
  const startedAtUs = timeOf(place.at('startedAt'));
  const process = place.at('process');
  const ties = place.at('ties');
  const connections: Connections = new Map();
  return {
    id: place.at('id').string,
    startedAtUs,
    durationMs: place.at('durationMs').number,
    entry: place.at('entry').oneOf(ENTRIES),
    process: { tgid: process.at('tgid').count, command: process.at('command').string },
    inbound: talkOf(place.at('inbound'), startedAtUs, connections),
    outbound: place.at('outbound').list((call) => outboundOf(call, startedAtUs, connections)),
    ties: { proven: ties.at('proven').count, likely: ties.at('likely').count, unknown: ties.at('unknown').count },
    prologues: place.at('prologues').list((prologue) => prologueOf(prologue, startedAtUs)),
    names: namesOf(place.at('names')),
    ...(place.has('told') ? { told: place.at('told').list((told) => toldOf(told, startedAtUs)) } : {}),
    ...(place.has('datagrams') ? { datagrams: place.at('datagrams').list((datagram) => datagramOf(datagram, startedAtUs)) } : {}),
    ...(place.has('appends') ? { appends: place.at('appends').list((file) => appendedOf(file, startedAtUs)) } : {}),
    ...(place.has('traceHeader') ? { traceHeader: headersOf(place.at('traceHeader')) } : {}),
    certificate: certificateOf(place.at('certificate')),
  };
}

function checkFormat(format: Place): void {
  const version = Number(FORMAT.exec(format.string)?.[1] ?? Number.NaN);
  if (Number.isNaN(version)) throw format.wrong(`"koala-bpf/session@${VERSION}"`);
  if (version > VERSION) throw new UserError(`Cannot read session: its format is ${format.string}, this koala-bpf reads up to @${VERSION}; use a newer koala-bpf`);
}

function timeOf(place: Place): number {
  const parts = RFC3339.exec(place.string);
  const ms = parts === null ? Number.NaN : Date.parse(`${parts[1]}${parts[3]}`.toUpperCase());
  if (Number.isNaN(ms)) throw place.wrong('a time as 2026-01-31T12:00:00.000000Z');
  return ms * 1000 + Math.round(Number((parts?.[2] ?? '0').padEnd(9, '0')) / 1000);
}

/** Those of a session by their ids: a hundred calls of one connection share what is said of it. */
type Connections = Map<string, TalkConnection>;

function talkOf(place: Place, startedAtUs: number, connections: Connections): Talk {
  const talk: Mutable<Talk> = {
    connection: connectionOf(place.at('connection'), connections),
    request: place.at('request').list((chunk) => chunkOf(chunk, startedAtUs)),
    response: place.at('response').list((chunk) => chunkOf(chunk, startedAtUs)),
  };
  if (place.has('fields')) talk.fields = fieldsOf(place.at('fields'));
  if (place.has('end')) talk.end = endOf(place.at('end'));
  return talk;
}

function fieldsOf(place: Place): Fields {
  const list = (key: string): Field[] => place.at(key).list((field) => {
    const [name, value, ...more] = field.list((text) => text.string);
    if (name === undefined || value === undefined || more.length > 0) throw field.wrong('a name and a value');
    return [name, value];
  });
  return { request: list('request'), response: list('response'), ...(place.has('unknown') ? { unknown: place.at('unknown').string } : {}) };
}

function connectionOf(place: Place, connections: Connections): TalkConnection {
  const [id, local, remote, protocol] = [place.at('id').string, place.at('local').string, place.at('remote').string, place.at('protocol').string];
  const known = connections.get(id);
  if (known?.local === local && known.remote === remote && known.protocol === protocol) return known;
  const connection = { id, local, remote, protocol };
  connections.set(id, connection);
  return connection;
}

function endOf(place: Place): TalkEnd {
  const errno = place.has('errno') ? { errno: place.at('errno').whole } : {};
  return { kind: place.at('kind').oneOf(ENDS), by: place.at('by').oneOf(SIDES), ...errno };
}

function outboundOf(place: Place, startedAtUs: number, connections: Connections): OutboundTalk {
  const after = place.at('afterResponse');
  if (after.value !== undefined && after.value !== true) throw after.wrong('true, or nothing');
  const talk: Mutable<OutboundTalk> = Object.assign(talkOf(place, startedAtUs, connections), {
    attribution: place.at('attribution').oneOf(ATTRIBUTIONS),
    certainty: place.at('certainty').oneOf(CERTAINTIES),
  });
  if (after.value === true) talk.afterResponse = true;
  if (place.has('alternatives')) talk.alternatives = place.at('alternatives').list((id) => id.string);
  return talk;
}

function chunkOf(place: Place, startedAtUs: number): Chunk {
  const atUs = startedAtUs + place.at('atUs').whole;
  const tid = place.at('tid').count;
  const isGap = place.has('gap');
  if (Number(place.has('text')) + Number(place.has('base64')) + Number(isGap) !== 1) throw place.wrong('one of "text", "base64" and "gap" in it');
  if (isGap) return { atUs, tid, gap: place.at('gap').count, cause: place.at('cause').string as Cause };
  const bytes = bytesOf(place);
  return place.has('goroutine') ? { atUs, tid, goroutine: place.at('goroutine').count, bytes } : { atUs, tid, bytes };
}

/** Of a chunk that is no hole, and of what was said at once. */
function bytesOf(place: Place): Uint8Array {
  if (place.has('text') === place.has('base64')) throw place.wrong('either "text" or "base64" in it');
  return place.has('text') ? utf8Of(place.at('text')) : base64Of(place.at('base64'));
}

function toldOf(place: Place, startedAtUs: number): Told {
  const at = { command: place.at('command').oneOf(TOLD), atUs: startedAtUs + place.at('atUs').whole, tid: place.at('tid').count };
  return { ...at, bytes: bytesOf(place) };
}

function datagramOf(place: Place, startedAtUs: number): Datagram {
  return { to: place.at('to').string, ...writeOf(place, startedAtUs) };
}

function appendedOf(place: Place, startedAtUs: number): AppendedFile {
  return { file: place.at('file').string, writes: place.at('writes').list((write) => writeOf(write, startedAtUs)) };
}

/** A write to a file, or what a datagram has besides where it went. */
function writeOf(place: Place, startedAtUs: number): Write {
  return {
    atUs: startedAtUs + place.at('atUs').whole, tid: place.at('tid').count,
    ...(place.has('goroutine') ? { goroutine: place.at('goroutine').count } : {}), ...(place.has('length') ? { length: place.at('length').count } : {}),
    bytes: bytesOf(place),
    attribution: place.at('attribution').oneOf(ATTRIBUTIONS), certainty: place.at('certainty').oneOf(CERTAINTIES),
    ...(place.has('afterResponse') ? { afterResponse: true } : {}),
  };
}

function headersOf(place: Place): Record<string, string> {
  return Object.fromEntries(Object.keys(place.object).map((key) => [key, place.at(key).string]));
}

function utf8Of(place: Place): Uint8Array {
  const text = place.string;
  if (LONE_SURROGATE.test(text)) throw place.wrong('text without lone surrogates');
  return Buffer.from(text, 'utf8');
}

function base64Of(place: Place): Uint8Array {
  if (!BASE64.test(place.string)) throw place.wrong('base64');
  return Buffer.from(place.string, 'base64');
}

function prologueOf(place: Place, startedAtUs: number): Prologue {
  return {
    connection: place.at('connection').string,
    destination: place.at('destination').string,
    chunks: place.at('chunks').list((chunk) => ({ ...chunkOf(chunk, startedAtUs), direction: chunk.at('direction').oneOf(DIRECTIONS) })),
  };
}

function namesOf(place: Place): Session['names'] {
  const names = Object.keys(place.object).map((name) => [name, place.at(name).list((address) => address.string)] as const);
  return Object.fromEntries(names);
}

function certificateOf(place: Place): Certificate {
  return {
    state: place.at('state').oneOf(STATES),
    lost: place.at('lost').list((lost) => ({
      connection: lost.at('connection').string, direction: lost.at('direction').oneOf(DIRECTIONS), from: lost.at('from').count,
      bytes: lost.at('bytes').count, cause: lost.at('cause').string as Cause,
    })),
    unseen: place.at('unseen').list((unseen) => ({
      kind: unseen.at('kind').string, count: unseen.at('count').count,
      ...(unseen.has('detail') ? { detail: unseen.at('detail').string } : {}),
    })),
  };
}

function describe(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
