/**
 * A kind of evidence that looks at whole talks: asked of a call that nothing tied when it began, or whose tie it may refute,
 * once the sessions that were open then are over. One kind, one file; an instance for each process, so that it may learn.
 */
import type { OpenTalk } from '../talks/open-talk.ts';
import type { Job } from './context.ts';
import type { Ground } from './evidence.ts';
import type { WhyNot } from './reasons.ts';

/** A session as it is looked back at. */
export interface Past extends Job {
  readonly talk: OpenTalk;
  /** Another session of its process was without an answer while it was. */
  readonly crowded: boolean;
  /** Calls tied to it so far. */
  readonly calls: readonly OpenTalk[];
  /** Those of them that nothing speaks against, or that were judged. */
  readonly sure: readonly OpenTalk[];
}

export interface Verdict<J extends Past> {
  readonly job: J;
  /** Others that it might have been. */
  readonly alternatives: readonly J[];
  /** How likely it is, 0 to 1, where that was reckoned. What is left is that of all others, and of nobody. */
  readonly probability?: number;
}

/** What a process did at the time. */
export interface Around<J extends Past> {
  /** Its sessions that are not given out, in the order in which they began. */
  readonly held: Iterable<J> & { readonly size: number; readonly first: J | undefined; readonly last: J | undefined };
  /** The one that has been open longest: what began before it is looked at by all kinds that do not build on others. */
  readonly oldest: J | undefined;
  /** Its calls that are not tied, and how many these are. */
  withoutTie(): Iterable<OpenTalk>;
  countWithoutTie(): number;
}

export interface Hindsight<J extends Past> extends Ground {
  /** It is stronger than ties that are not proven: what contradicts it gives way. */
  readonly refutes: boolean;
  /** But where a thread was started for a session and has ended with it, that one stays. */
  readonly sparesBorn?: true;
  /** It knows who made a call, also where that one was started for a session and lives on: what was started may work for anybody. */
  readonly knows?: true;
  /** It builds on what the other kinds found: asked when they find no more. */
  readonly atLast?: true;
  /** `candidates`: sessions of its process that were open when `call` began. `byItself`: the process makes such calls also while no request waits. */
  find(call: OpenTalk, candidates: readonly J[], byItself: boolean, around: Around<J>): Verdict<J> | undefined;
  /** Why it found nothing; asked only for who wants reasons. */
  whyNot(call: OpenTalk, candidates: readonly J[]): WhyNot | undefined;
  /** Of `candidates`, those that it may be of. */
  narrow?(call: OpenTalk, candidates: readonly J[]): readonly J[];
  /** `call` is over, and will be asked about. */
  see?(call: OpenTalk): void;
  /** Nothing more will be asked about `call`. `job`: whose it is, where that is known. */
  decided?(call: OpenTalk, job: J | undefined): void;
  /** Nothing more will be asked of `job`, or what is known of it is no longer true. */
  forget?(job: J): void;
  /** `call` is not what `job` does there: right after its request was read (`first`), or at all. */
  belies?(call: OpenTalk, job: J, first: boolean): boolean;
  /** Sessions such as `job` are known to begin with calls such as `call`. */
  beginsWith?(call: OpenTalk, job: J): boolean;
  /** `job` is over, and ran alone: no other session of its process was without an answer meanwhile. */
  learn?(job: J): void;
}
