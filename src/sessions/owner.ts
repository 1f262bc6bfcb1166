/** Asked early, while a session goes on: whose call it is that an outbound connection carries, and how sure that is by now. */
import type { LossLedger } from '../connections/loss.ts';
import type { Contexts } from '../contexts/contexts.ts';
import { attributionOf, evidenceOf } from '../contexts/tie.ts';
import type { CallFacts, JobFacts } from '../contexts/evidence.ts';
import type { Attribution, Certainty, Tie } from '../contexts/tie.ts';
import type { OpenSession } from './open-session.ts';
import type { Processes } from './processes.ts';
import type { Spoken } from './spoken.ts';

export interface Owner {
  /** The other end of the connection that the session's request came in by, "IP:PORT". */
  readonly client: string;
  /** When the service took that connection, µs of the events' clock: an address may be another connection's later. */
  readonly openedAtUs: number;
  /** Stream position at which that request begins. */
  readonly position: number;
  readonly certainty: Certainty;
}

/** Something that needs no answer: a datagram, a line in a log. */
export interface Act {
  readonly attribution: Attribution;
  readonly certainty: Certainty;
  readonly afterResponse?: true;
}

/** Whom `tid` works for at this moment, as a call's tie would be found. */
export function tieAtHand(contexts: Contexts<OpenSession>, processes: Processes, tid: number, tgid: number): Tie<OpenSession> | undefined {
  const own = contexts.own(tid, tgid);
  const { actor } = own;
  const tie = contexts.tie(actor, processes.of(tgid).only, actor !== own);
  return tie?.job.gone === true ? undefined : tie;
}

export function jobFacts(session: OpenSession, ledger: LossLedger): JobFacts {
  return {
    byOneThread: session.talk.byOneThread,
    blocking: session.discipline.blocking,
    pipelined: session.pipelined || session.talk.connection.multiplexed,
    moves: session.process.moves,
    lossy: session.paused || ledger.events > session.lossBefore,
  };
}

export function callFacts(call: Spoken, { talk }: OpenSession): CallFacts {
  const facts = { byOneThread: call.byOneThread && !call.connection.guessed, afterResponse: talk.responded && call.beganSeq > talk.answerSeq };
  return call.connection.multiplexed && !call.handedOver ? { ...facts, multiplexed: true } : facts;
}

/** How what was done once for it, and is no call, is tied by what is known in the end; undefined where it is not. */
export function actsOf(session: OpenSession, ledger: LossLedger): (tie: Tie<OpenSession>, seq: number) => Act | undefined {
  const job = jobFacts(session, ledger);
  const { talk } = session;
  return (tie, seq) => {
    if (evidenceOf(tie) === undefined) return undefined;
    const afterResponse = talk.responded && seq > talk.answerSeq;
    return { ...attributionOf(tie, { byOneThread: true, afterResponse }, job), ...(afterResponse ? { afterResponse } : {}) };
  };
}

/** The best answer so far; undefined where nothing ties the call. */
export function ownerOf(call: Spoken | undefined, ledger: LossLedger): Owner | undefined {
  const tie = call?.tie;
  if (call === undefined || tie === undefined || evidenceOf(tie, true) === undefined) return undefined;
  const { job } = tie;
  const { certainty } = attributionOf(tie, callFacts(call, job), jobFacts(job, ledger), true);
  return { client: job.talk.connection.remote, openedAtUs: job.talk.connection.open.atUs, position: job.talk.request.from, certainty };
}
