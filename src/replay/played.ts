/** What the replayer needs to know to play sessions, and what happened when one was played, before anybody judges it. */
import type { ProtocolName } from '../protocols/protocol.ts';
import type { Bypassed } from './bypass.ts';
import type { Moved } from './moved.ts';
import type { Pace } from './pace.ts';
import type { Certainty, OutboundTalk, Prologue, Talk } from '../sessions/session.ts';
import type { KeptElsewhere } from './process-state.ts';
import type { Pair, Prepared } from './statements/statements.ts';

/** The step after exact, equal and drift: `none`, koala's `chunk`, or `sim`, the most similar call from the threshold on. */
export const MATCH_STEPS = ['none', 'chunk', 'sim'] as const;
export type MatchStep = (typeof MATCH_STEPS)[number];
export const ON_MISS = ['fail', 'nearest', 'passthrough'] as const;
export type OnMiss = (typeof ON_MISS)[number];

/** What a mock gives a call that is made more often than it was recorded: its last answer again, its answers from the first on, or none. */
export const REPEATS = ['last', 'cycle', 'none'] as const;
export type Repeats = (typeof REPEATS)[number];

/** What holds for a whole run, derived from all its sessions. Can be sent to a worker. */
export interface World {
  /** Protocol by recorded destination ("IP:PORT"). */
  readonly protocols: Readonly<Record<string, ProtocolName>>;
  /** Deduplicated: each destination's different set-ups, in recorded order. */
  readonly prologues: readonly Prologue[];
  /** What is known of prepared statements, by recorded destination. */
  readonly prepared: Readonly<Record<string, readonly Prepared[]>>;
  /** What drivers ask a new connection, in its plain form, and the answers; by recorded destination. */
  readonly inquiries: Readonly<Record<string, readonly Pair[]>>;
  /** Host name (lower case) to addresses. */
  readonly names: Readonly<Record<string, readonly string[]>>;
  readonly match: MatchStep;
  /** Least similarity (0..1) that `sim` accepts, and from which a call without an answer is paired in the report. */
  readonly threshold: number;
  readonly onMiss: OnMiss;
  /** Set: all recorded calls are played at once, for whoever makes them (a mock), and not session by session. */
  readonly repeats?: Repeats;
  /** What goes to the real world. */
  readonly bypassed: Bypassed;
  readonly moved: Moved;
  /** Where something has moved: the Host of all recorded HTTP calls to a destination, if they have the same. */
  readonly hosts?: Readonly<Record<string, string>>;
  readonly pace: Pace;
  /** How long the first byte of the SUT's answer may take, and any pause within it. */
  readonly answerMs: number;
  /** The pause that ends an answer whose end can't be told by its protocol. */
  readonly quietMs: number;
}

/** A recorded talk as it is matched. `agreed`: it only prepared or closed statements, and is no call. */
export type PlainTalk = OutboundTalk & { readonly agreed?: true };

export const isAgreed = (talk: Talk): boolean => (talk as Partial<PlainTalk>).agreed === true;

/**
 * How the answer of a live call was found. `drift`: equal but for values that the service made itself. `state`: another session
 * had made it. `none`: it was not found. `refused`: it failed to connect, as recorded.
 */
export type How = 'exact' | 'equal' | 'drift' | 'state' | 'chunk' | 'similar' | 'nearest' | 'none' | 'refused';

/** One request that the SUT sent to a dependency while a session was played. Set-up requests (logins, SET) are no calls. */
export interface LiveCall {
  readonly destination: string;
  readonly protocol: ProtocolName;
  readonly request: Uint8Array;
  readonly how: How;
  /** Index into the session's `outbound` of the call whose answer it got. */
  readonly recorded?: number;
  /** It was made before, and once more than recorded. With `recorded`: a mock gave it one of its answers again. */
  readonly repeated?: true;
  /** `drift`: values, as recorded, that look made by the service, and are not proven to be: that they differ is told. */
  readonly unproven?: readonly string[];
  /** Where the call was found by likeness: 0..1; of `chunk` it can be more. */
  readonly score?: number;
  /** `state`: whose call answered it. */
  readonly kept?: KeptElsewhere;
  /** How sure it is that it was made for this session; absent: no other was in play, and nobody looked. `unknown`: found by content. */
  readonly certainty?: Certainty | 'unknown';
  /** What its connection was set up to be (`Settings.text`), where its protocol knows that. */
  readonly settings?: string;
  /** Another session in play had another answer to the same call, and it was not proven whose it was. */
  readonly ambiguous?: true;
  /** Milliseconds since the session began to play. */
  readonly beganMs: number;
  readonly endedMs: number;
}

/** `message`: its protocol says that the answer is whole. `quiet`: nothing more came. `timeout`: nothing came at all, or too late. */
export type ResponseEnd = 'message' | 'quiet' | 'fin' | 'reset' | 'refused' | 'timeout';

export interface Played {
  readonly session: string;
  readonly response: Uint8Array;
  readonly responseEnd: ResponseEnd;
  readonly calls: readonly LiveCall[];
  /** Recorded calls (indexes into `outbound`) that were not made, and need not have been: the process had what they fetch. */
  readonly cached?: readonly (KeptElsewhere & { readonly recorded: number })[];
  readonly durationMs: number;
}

/** A call that the SUT made while no session was being played: its start, a background thread. */
export interface IdleCall {
  readonly destination: string;
  readonly summary: string;
  readonly answered: boolean;
  /** It came after the first session had begun, nothing like it was recorded, and it was for no other client of the service's. */
  readonly odd?: true;
  /** It came while a session was played, and was taken for the service's own. */
  readonly during?: true;
}
