/**
 * The decoded events: what the kernel saw, one by one, in the order of the ring. Shapes shared by the store, the
 * derivation and replay. Twin of `bpf/event.h`; the field comments there hold here too.
 *
 * Times are `atUs`: microseconds since the Unix epoch as a double (exact to 0.25 µs until 2255), converted from
 * CLOCK_MONOTONIC by the clock pair at the head of each segment. Positions and lengths are numbers of bytes.
 */

export type Direction = 'ingress' | 'egress';
export type Role = 'inbound' | 'outbound' | 'unknown';
export type Learnt = 'accept' | 'connect' | 'seen';

/** Why bytes are missing; generated names of `enum cause` (`CAUSE_RING_FULL` is `ring-full`), plus user space's own. */
export type Cause =
  | 'none' | 'ring-full' | 'unreadable' | 'no-buffer' | 'splice' | 'discarded' | 'max-message' | 'map-full'
  | 'not-transmitted' | 'probe-missed' | 'too-many-pieces' | 'mptcp' | 'seen-late' | 'unknown' | 'pause'
  | 'corrupt' | 'disk-full';

/** An IP endpoint, or a unix socket's path (`port` 0). `host` is the canonical text: `10.0.0.1`, `::1`, `unix:/run/x.sock`. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

interface Base {
  /** Microseconds since the Unix epoch. */
  readonly atUs: number;
  readonly tgid: number;
  readonly tid: number;
  /** Only within the derivation, where `tid` is a goroutine's number: the thread that it ran on. */
  readonly thread?: number;
  /** There too: the id of that goroutine, or the number of Python's context, where `tid` stays the thread's. */
  readonly goroutine?: number;
  /** Goroutine id, 0 when none is known. */
  readonly context: number;
  /** True when the event repeats, at a segment's head, what an earlier segment said. */
  readonly snapshot: boolean;
}

/** A connection is known from here on. Also repeated (snapshot) at the head of each segment while it lives. */
export interface OpenEvent extends Base {
  readonly kind: 'open';
  readonly connection: number;
  readonly role: Role;
  readonly learnt: Learnt;
  readonly family: 'ipv4' | 'ipv6' | 'unix';
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly netns: number;
  readonly socketInode: number;
  /** Stream positions at which the recorder began to see each direction; 0: from the first byte. */
  readonly ingressFrom: number;
  readonly egressFrom: number;
  /** The command name (comm) of the process. */
  readonly command: string;
  /** Unix sockets: the kernel's identity of the other end, lower-case hex; equal at both ends when both are recorded. */
  readonly peer?: string;
}

/** A send of `length` bytes begins at `position`; its bytes follow in DataEvents (maybe after other events). */
export interface IntentEvent extends Base {
  readonly kind: 'intent';
  readonly connection: number;
  readonly direction: 'egress';
  readonly position: number;
  readonly length: number;
}

/**
 * Bytes of a stream at a position. Egress data of short messages comes when the send *begins*; should the kernel take
 * less, an AcceptedEvent follows. A later event at a lower position replaces what was beyond it (a retried send).
 */
export interface DataEvent extends Base {
  readonly kind: 'data';
  readonly connection: number;
  readonly direction: Direction;
  readonly position: number;
  /** Bytes accounted for; more than `bytes.length` only when truncated for `cause`. */
  readonly length: number;
  readonly cause: Cause;
  /** Borrowed from the block that was read: valid as long as it is referenced, never written again. */
  readonly bytes: Uint8Array;
  /** Read from packets at egress: `tid` is 0, the SentEvent that covers the position says whose call it was. */
  readonly fromPacket: boolean;
  /** Another event of the same system call follows. */
  readonly more: boolean;
}

/** The send that began at `position` moved only `length` bytes: take back what lies beyond. */
export interface AcceptedEvent extends Base {
  readonly kind: 'accepted';
  readonly connection: number;
  readonly direction: 'egress';
  readonly position: number;
  readonly length: number;
}

/** A call of `tid` handed over `length` bytes at `position` whose payload is read from the packets. */
export interface SentEvent extends Base {
  readonly kind: 'sent';
  readonly connection: number;
  readonly direction: 'egress';
  readonly position: number;
  readonly length: number;
}

/** `length` bytes at `position` are known missing. */
export interface GapEvent extends Base {
  readonly kind: 'gap';
  readonly connection: number;
  readonly direction: Direction;
  readonly position: number;
  readonly length: number;
  readonly cause: Cause;
}

export interface CloseEvent extends Base {
  readonly kind: 'close';
  readonly connection: number;
  /** stands: the recorder leaves (or was told to look) while the connection lives on; the positions are true at that moment. */
  readonly phase: 'local-fin' | 'remote-fin' | 'done' | 'failed' | 'stands';
  readonly byRemote: boolean;
  readonly reset: boolean;
  /** errno; 0 when orderly. */
  readonly error: number;
  /** Position after the last byte the process consumed / handed over, at this moment. */
  readonly ingressFinal: number;
  readonly egressFinal: number;
}

export interface ListenEvent extends Base {
  readonly kind: 'listen';
  readonly local: Endpoint;
  readonly netns: number;
  /** false: it stopped listening. */
  readonly open: boolean;
}

/** Numbers of Python's contexts begin here, beyond all ids of goroutines. Twin of FIRST_TASK of bpf/event.h. */
export const FIRST_TASK = 2 ** 48;
/**
 * Numbers of requests to Node, by the connection that is at them, and of those that it was at before; and of what it writes for several at a time, each
 * part of which has a number (the first one's is that of the whole). Twins of FIRST_NODE_REQUEST, NODE_REQUEST_MASK, FIRST_NODE_ANSWERED,
 * FIRST_NODE_SHARED, NODE_SHARED_MASK and NODE_PARTS of bpf/node.h.
 */
export const NODE_REQUESTS = 2 ** 44;
export const FIRST_NODE_REQUEST = FIRST_TASK + 2 ** 46;
/** No connection has the number 0. */
export const NODE_NOBODY = FIRST_NODE_REQUEST;
export const FIRST_NODE_ANSWERED = FIRST_NODE_REQUEST + NODE_REQUESTS;
export const FIRST_NODE_SHARED = FIRST_NODE_REQUEST + 2 ** 45;
export const NODE_SHARED = 2 ** 45;
export const NODE_PARTS = 64;
export const isNodeAnswered = (context: number): boolean => context >= FIRST_NODE_ANSWERED && context < FIRST_NODE_ANSWERED + NODE_REQUESTS;
export const isNodeShared = (context: number): boolean => context >= FIRST_NODE_SHARED && context < FIRST_NODE_SHARED + NODE_SHARED;
/** And those of Java's virtual threads here: the id that Thread.threadId() has, and this. Twin of FIRST_VIRTUAL_THREAD of bpf/event.h. */
export const FIRST_VIRTUAL_THREAD = 2 ** 49;

/**
 * What a goroutine is for, by the function it began with; `unknown`: that could not be read; `task`: it is none, but a context of Python's,
 * made within context `parent`. Twin of `enum goroutine_role`.
 */
export type GoroutineRole = 'other' | 'serves' | 'reads-ahead' | 'writes-for' | 'reads-for' | 'unknown' | 'task';

/** Goroutine `context` begins, or is met for the first time (or again, after very many others). */
export interface GoroutineEvent extends Base {
  readonly kind: 'goroutine';
  /** Id of the goroutine that began it; 0: not known. */
  readonly parent: number;
  /** Address at which it began, lower-case hex: the same for all goroutines of a process that do the same. Empty: not known. */
  readonly function: string;
  readonly role: GoroutineRole;
  /** It begins now. */
  readonly began: boolean;
}

/** The request that goroutine `context` writes next it writes for goroutine `whose` (0: not known for whom). One each request. */
export interface OnBehalfEvent extends Base {
  readonly kind: 'on-behalf';
  readonly whose: number;
  /** Of HTTP/2: only that which opens this stream; what else it writes is of others. */
  readonly stream?: number;
}

/** Goroutine `context` serves a stream of HTTP/2, of the connection that goroutine `reader`, or one that it began, reads. */
export interface ServesEvent extends Base {
  readonly kind: 'serves';
  readonly reader: number;
  readonly stream: number;
}

/** Thread `tid` wakes another one of its process, which had waited on a futex since before `tid` last read from a connection. */
export interface WakeEvent extends Base {
  readonly kind: 'wake';
  readonly woken: number;
  readonly waitedUs: number;
}

/** What thread `tid` of a JVM, which carries virtual thread `context`, has allocated so far, and what it works with. Addresses of the JVM's heap. */
export interface HeapEvent extends Base {
  readonly kind: 'heap';
  /** Of the piece in which it alone allocates, one object behind the other, up to `top` so far. */
  readonly start: number;
  readonly top: number;
  readonly end: number;
  /** On its stack, its oldest calls' first: those that have not been moved, and that it has not allocated in this piece. Not all. */
  readonly objects: readonly number[];
  /** Times that objects were moved so far. Addresses of different times have nothing to do with each other. */
  readonly collections: number;
  /** The one object does not stand there, but what the thread writes is of that (HttpClient's request), whoever made what holds it. None: of which is not known. */
  readonly held: boolean;
}

/** What virtual thread `context` of Java's was given to do: an object, which holds what it needs. Addresses of the JVM's heap. */
export interface GivenEvent extends Base {
  readonly kind: 'given';
  /** Of that object, as objects say it. */
  readonly class: number;
  /** In each place where it may have a pointer, the object to which that leads; 0: none. */
  readonly objects: readonly number[];
  /** As in a HeapEvent. */
  readonly collections: number;
}

export interface ProcessEvent extends Base {
  readonly kind: 'process';
  /** exit: with all threads of the process, also those that end at the same moment and are not told of by themselves. */
  readonly what: 'fork' | 'exec' | 'exit' | 'thread' | 'thread-exit' | 'seen';
  /** fork: the new process; thread: the new thread. Otherwise equal to tgid/tid. */
  readonly childTgid: number;
  readonly childTid: number;
  readonly parentTgid: number;
  /** As wait(2) has it. */
  readonly exitCode: number;
  /** thread-exit: it is made to end, for its process does, or becomes another program. */
  readonly withProcess?: true;
  readonly command: string;
  readonly path: string;
}

/** A datagram to 127.127.127.127:127 (or :128, from a runtime that was asked), read by the recorder and nobody else. */
export interface HelperEvent extends Base {
  readonly kind: 'helper';
  /** The `flags` argument of sendto(2): koala puts a thread id there. */
  readonly flags: number;
  /** Size of the body; only where `bytes` is shorter. */
  readonly length?: number;
  readonly bytes: Uint8Array;
}

export interface UdpEvent extends Base {
  readonly kind: 'udp';
  readonly direction: Direction;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly netns: number;
  /** Size of the datagram; `bytes` may be shorter. */
  readonly length: number;
  readonly bytes: Uint8Array;
}

/** Bytes that were appended to a regular file (opened with O_APPEND). */
export interface AppendEvent extends Base {
  readonly kind: 'append';
  /** As the process' mount namespace has it; `…/x` where its beginning is too long to tell, empty where it is not known. */
  readonly path: string;
  readonly inode: number;
  /** Offset in the file. */
  readonly position: number;
  /** Bytes that were written; `bytes` may be shorter. */
  readonly length: number;
  /** `none`, or why there are no bytes at all. */
  readonly cause: Cause;
  readonly bytes: Uint8Array;
  /** Another event of the same write follows. */
  readonly more: boolean;
}

/** Something was lost of which the connection is not known: `events` samples, `bytes` of payload. */
export interface LostEvent extends Base {
  readonly kind: 'lost';
  readonly cause: Cause;
  readonly events: number;
  readonly bytes: number;
}

/** The recorder stopped here (orderly or not known: `continued` by a later segment) and what it had lost by then. */
export interface PauseEvent extends Base {
  readonly kind: 'pause';
  /** Unix µs at which recording went on; 0 when this is the end. */
  readonly resumedAtUs: number;
}

/**
 * Time passed until now, and whatever the kernel side told before stands before this. Only the open of a connection that was being made may
 * follow with an earlier time: that of its connect(2).
 */
export interface MarkEvent extends Base {
  readonly kind: 'mark';
  /** How far connections have sent by now, of those for which no earlier mark says as much. */
  readonly sent: readonly { readonly connection: number; readonly position: number }[];
}

export type Event =
  | OpenEvent | IntentEvent | DataEvent | AcceptedEvent | SentEvent | GapEvent | CloseEvent | ListenEvent
  | ProcessEvent | GoroutineEvent | OnBehalfEvent | ServesEvent | WakeEvent | HeapEvent | GivenEvent | HelperEvent | UdpEvent | AppendEvent | LostEvent | PauseEvent | MarkEvent;
