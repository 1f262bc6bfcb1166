/** The verdict on one session: the contract that scripts read (`replay --json`), documented in docs/replay.md. */
import type { Difference, Noise } from '../compare/index.ts';
import type { How } from './played.ts';

export type { Difference, Noise };

/** A recorded call that a live one could have been. */
export interface Candidate {
  /** Index into the session's `outbound`. */
  readonly recorded: number;
  readonly summary: string;
  /** 0..1: how alike they are. */
  readonly score: number;
  /** It answered another call. */
  readonly used?: true;
}

export interface ReplayedCall {
  readonly verdict: 'same' | 'different' | 'missing' | 'new' | 'reordered' | 'state' | 'cached';
  readonly destination: string;
  /** One line: `GET /price/7`. */
  readonly summary: string;
  /** Index into the session's `outbound` of the recorded call that this one is compared with. */
  readonly recorded?: number;
  /** 0..1: how alike they are, where the call was found by likeness. */
  readonly score?: number;
  /**
   * How sure it is that the live call was made for this session, where others were played at the same time: `unknown` was found
   * by content. Absent: there was no other, or there is no live call.
   */
  readonly certainty?: 'proven' | 'likely' | 'unknown';
  readonly differences: readonly Difference[];
  /** How many more differences there are than are listed; absent: none. */
  readonly more?: number;
  /** How its answer was found; absent for a recorded call that was not made. */
  readonly how?: How;
  /** Why this recorded call, or none, in words. */
  readonly because?: string;
  /** Values in which it differs and that the service makes itself: `uuid`, `time`, … Counted as noise. */
  readonly drift?: readonly { readonly path: string; readonly kind: string }[];
  /** With `--explain`, where it was not found by what it asks: the recorded calls most like it. */
  readonly candidates?: readonly Candidate[];
}

export interface Replayed {
  readonly event: 'session';
  readonly session: string;
  /** The file it came from, where it came from one. */
  readonly file?: string;
  readonly summary: string;
  readonly verdict: 'same' | 'different' | 'skipped' | 'error';
  /** Why it was skipped, or what went wrong. */
  readonly reason?: string;
  /** It was played a second time, and differed in another way: in a status, a structure, or which calls it made. */
  readonly flaky?: true;
  readonly durationMs: number;
  /** Datagrams that it sent when it was recorded (where none is in the session: that may be its own); they are not compared. Absent: none. */
  readonly datagrams?: number;
  /** How many differences were left out as volatile. */
  readonly ignored: number;
  readonly noise: readonly Noise[];
  readonly response: { readonly verdict: 'same' | 'different'; readonly differences: readonly Difference[]; readonly more?: number };
  readonly calls: readonly ReplayedCall[];
}

export interface ReplaySummary {
  readonly event: 'summary';
  readonly sessions: number;
  readonly same: number;
  readonly different: number;
  readonly skipped: number;
  readonly errors: number;
  /** Sessions that were played at a time, at most. */
  readonly concurrency: number;
  /** How calls were tied to their sessions: by the kernel's probes (which), or by there being one session at a time. */
  readonly tracker: string;
  /** Sessions that had to wait for others, since their calls could not have been told apart. */
  readonly serialised: number;
  /** Sessions that were played again, alone, since a difference might have been another session's. */
  readonly again: number;
  /** Calls after the first session had begun that nothing recorded is like, and of which nobody could tell whose they are. With `--strict` they make the status 1. */
  readonly untied: number;
  /** Calls that were made while a session was played, and were taken for the service's own: some like them were recorded of no session. */
  readonly background: number;
  /** Differences that were left out as noise; those of them where a rule asked for a pattern, a type or a range. */
  readonly ignored: number;
  readonly asked: number;
  /** Calls answered as in another session; calls that were not made since the process had their answer. */
  readonly state: number;
  readonly cached: number;
  /** Sessions that were played a second time and differed in another way. */
  readonly flaky: number;
  /** Datagrams that the sessions which were played sent when recorded; they are not compared. */
  readonly datagrams: number;
  readonly wallMs: number;
  /** Where the replay itself was recorded, and what (`--record`): as the summary of `attach --json`. */
  readonly recording?: {
    readonly dir: string;
    readonly connections: number;
    readonly bytes: number;
    readonly lost: { readonly bytes: number; readonly byCause: Readonly<Record<string, number>> };
    /** How often, by cause. */
    readonly lostEvents?: Readonly<Record<string, number>>;
  };
}
