/** An open session, as it is given out. */
import { attributionOf } from '../contexts/contexts.ts';
import type { JobFacts } from '../contexts/evidence.ts';
import type { LossLedger } from '../connections/loss.ts';
import type { Mutable } from '../talks/open-talk.ts';
import { certify } from './certificate.ts';
import type { OpenSession } from './open-session.ts';
import type { Prologues } from './prologues.ts';
import type { AmbientTalk, OutboundTalk, Session } from './session.ts';
import type { Spoken } from './spoken.ts';

/** `ended`: the recording ended before the session did. */
export function finishedSession(session: OpenSession, prologues: Prologues, ledger: LossLedger, ended: boolean): Session {
  const { talk, process } = session;
  const calls = session.calls.every((call) => call.called) ? session.calls : session.calls.filter((call) => call.called);
  if (calls.length > 1) calls.sort((a, b) => a.beganSeq - b.beganSeq);
  const setUp = prologues.connectionsOf(talk, calls, session.opened);
  const certificate = certify(session, calls, setUp.flatMap((connection) => prologues.setupsOf(connection)), ledger, ended);
  const outbound = outboundOf(session, calls, ledger);
  const proven = outbound.reduce((count, call) => (call.certainty === 'proven' ? count + 1 : count), 0);
  return {
    id: session.id,
    startedAtUs: talk.begunAtUs,
    durationMs: Math.max(0, talk.lastAtUs - talk.begunAtUs) / 1000,
    entry: 'request',
    process: process.shown,
    inbound: talk.finished(),
    outbound,
    ties: { proven, likely: outbound.length - proven, unknown: certificate.unseen.find((one) => one.kind === 'unattributed')?.count ?? 0 },
    prologues: setUp.map((connection) => prologues.of(connection)),
    names: session.names,
    certificate,
  };
}

export function ambientTalk(talk: Spoken): AmbientTalk {
  return { ...talk.finished(), ambient: true, tgid: talk.begunTgid, startedAtUs: talk.begunAtUs, candidates: talk.candidates };
}

function outboundOf(session: OpenSession, calls: readonly Spoken[], ledger: LossLedger): OutboundTalk[] {
  const { talk } = session;
  if (calls.length === 0) return [];
  const job: JobFacts = {
    byOneThread: talk.byOneThread,
    blocking: session.discipline.blocking,
    pipelined: session.pipelined,
    moves: session.process.moves,
    lossy: session.paused || ledger.events > session.lossBefore,
  };
  return calls.map((call) => {
    const tie = call.tie as NonNullable<typeof call.tie>;
    const afterResponse = talk.responded && call.beganSeq > talk.answerSeq;
    const byOneThread = call.byOneThread && !call.connection.guessed;
    const { attribution, certainty } = attributionOf(tie, { byOneThread, afterResponse }, job);
    const outbound = call.finished() as Mutable<OutboundTalk>;
    outbound.attribution = attribution;
    outbound.certainty = certainty;
    if (afterResponse) outbound.afterResponse = true;
    if (tie.alternatives.length > 0) outbound.alternatives = tie.alternatives.map((other) => other.id);
    return outbound;
  });
}
