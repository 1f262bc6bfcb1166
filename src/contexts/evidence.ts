/** A kind of evidence: how a call made by a context can be tied to a session. One kind, one file. */
import type { Context, Job } from './context.ts';
import type { Support } from './reasons.ts';
import type { Tie } from './tie.ts';
import type { Attribution } from './tie.ts';

/** What is known of a call when its session closes. */
export interface CallFacts {
  /** One thread wrote it, and the same one read its answer, if there was one. */
  readonly byOneThread: boolean;
  /** It began after the session's response was out. */
  readonly afterResponse: boolean;
  /** Its connection carries several calls at a time: whoever writes on it may write for others. */
  readonly multiplexed?: true;
}

/** What is known of the session by then. */
export interface JobFacts {
  /** One thread read its request and wrote its response. */
  readonly byOneThread: boolean;
  /** The threads of its listener are seen to work for one request at a time. */
  readonly blocking: boolean;
  /** Its request came before the one ahead of it was answered. */
  readonly pipelined: boolean;
  /** In its process, work has been seen to move between threads that read requests. */
  readonly moves: boolean;
  /** Events were lost meanwhile: the thread may have done what we don't know. */
  readonly lossy: boolean;
}

/** What a tie rests on. */
export interface Ground {
  readonly attribution: Attribution;
  /** What it always has to say for itself, to who wants reasons. */
  readonly support?: Support;
  /** Judged when the session closes, from everything known by then. */
  proves<J extends Job>(context: Context<J>, call: CallFacts, job: JobFacts, tie: Tie<J>): boolean;
}

/** Asked when a call begins. What is asked when it is over: `Hindsight`. */
export interface Evidence extends Ground {
  /**
   * The session that `context` works for right now, as far as this kind can tell. `inLoop`: so that it holds of an event loop
   * too. `only`: the one session of its process that has no answer; undefined where there are several, or none.
   */
  find<J extends Job>(context: Context<J>, inLoop: boolean, only: J | undefined): J | undefined;
}
