/**
 * What a protocol is to the rest: a way to recognise it, a framer that finds where messages begin and end, and a summary.
 * One protocol, one file. Everything works without any (`unknown`): then the turn of direction cuts, and bytes are bytes.
 */
import type { Field } from './hpack-tables.ts';
import type { Memory } from './memory.ts';
import type { Splitter } from './splitter.ts';

export type ProtocolName = 'http' | 'http2' | 'tls' | 'redis' | 'postgresql' | 'mysql' | 'fastcgi' | 'unknown' | (string & {});

/** Client: the side that connected. Server: the side that accepted. */
export type Side = 'client' | 'server';

/**
 * One whole message. `start` and `end` (exclusive) are offsets in its side's stream, counted from the first byte pushed.
 * The k-th `request` of a connection is answered by its k-th `response`; a talk is that pair.
 */
export interface Frame {
  readonly side: Side;
  readonly start: number;
  readonly end: number;
  /**
   * request, response: as said. interim: belongs to the response that follows (HTTP 1xx). oneway: a request that gets no
   * response. push: the server speaks unasked (pub/sub, SSE is not one). greeting: the server's first words, before any request.
   */
  readonly role: 'request' | 'response' | 'interim' | 'oneway' | 'push' | 'greeting';
  /** A request that only sets the connection up (auth, SET, PREPARE, HELLO, SELECT db): belongs to the prologue while no other came before. */
  readonly setup?: true;
  /** Asks how the connection will be carried (TLS, GSSAPI), or is about another one (a cancellation): no call, whatever comes of it. */
  readonly negotiates?: true;
  /** Stands where the greeting would: whoever connected is turned away. */
  readonly refuses?: true;
}

/** Finds messages in the two streams of one connection. Pure but for its own state; never throws on input. */
export interface Framer {
  /** Bytes of one side, in stream order; completed messages are appended to `out`. `bytes` is borrowed: copy what must outlive the call. */
  push(side: Side, bytes: Uint8Array, out: Frame[]): void;
  /** `length` bytes of a side are missing. */
  gap(side: Side, length: number, out: Frame[]): void;
  /** A side has ended (FIN): a message that ends with the connection is complete now. */
  end(side: Side, out: Frame[]): void;
  /** False once framing can't be trusted any more (garbage, a gap inside a header, a tunnel): the turn of direction cuts from there on. */
  readonly sure: boolean;
  /** Why not, for people: `upgrade to websocket`, `gap in a header`. */
  readonly unsureBecause?: string;
  /** What it has turned into, where that tells who asks; from the next bytes on. */
  readonly turns?: Turns;
}

/** Where nothing inside can be read: which bytes ask and which answer, as far as that shows from outside. Pure but for its own state; never throws on input. */
export interface Turns {
  /** Bytes of one side, in stream order. True where the client asks by them. */
  push(side: Side, bytes: Uint8Array): boolean;
  /** `length` bytes of a side are missing. False: it can't be followed any more. */
  gap(side: Side, length: number): boolean;
  /** The client has asked since the last answer began, and at any time. */
  readonly asked: boolean;
  readonly everAsked: boolean;
  /** What was asked is answered: the client's next question begins a new talk. */
  readonly answered: boolean;
}

export type Recognition = 'yes' | 'no' | 'more';

/** Header fields of both sides, as a splitter read them: pseudo-fields first, trailers last; names in lower case, octets as Latin-1. */
export interface Fields {
  readonly request: readonly Field[];
  readonly response: readonly Field[];
  /** Some are not there, or none: why. */
  readonly unknown?: string;
}

export interface Summary {
  /** One line without line breaks: `GET /orders/7`, `SELECT 1`, `GET user:7`. At most 200 characters. */
  readonly text: string;
  /** The answer's status where the protocol has one: `200`, `OK`, `ERROR 42P01`. */
  readonly status?: string;
}

export interface Protocol {
  readonly name: ProtocolName;
  /** Judge by the first bytes of either side (either may be empty). `more`: not decidable yet. */
  recognise(client: Uint8Array, server: Uint8Array, hint: { readonly serverPort: number }): Recognition;
  framer(): Framer;
  /** Where it is opaque, but tells from outside who asks. */
  turns?(): Turns;
  /** Where later requests may refer to what earlier ones made. 'none': each means what it says, as HTTP's do. Without: nobody knows. */
  readonly memory?: 'none' | (() => Memory);
  /** Of a protocol that carries several calls at a time, instead of a framer. `client`: the first bytes of that side. */
  splitter?(client: Uint8Array): Splitter;
  /** From the whole bytes of one talk (may be truncated or have holes cut out), and its header fields where these don't tell them. */
  summarise(request: Uint8Array, response: Uint8Array, fields?: Fields): Summary;
  /** `tls` only: the server name asked for. */
  serverName?(client: Uint8Array): string | undefined;
}
