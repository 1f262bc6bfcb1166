/** An open session, as it is given out. */
import { attributionOf } from '../contexts/tie.ts';
import { reasonsOf } from '../contexts/reasons.ts';
import type { LossLedger } from '../connections/loss.ts';
import type { Mutable } from '../talks/open-talk.ts';
import { appendsOf } from './appends.ts';
import { certify } from './certificate.ts';
import { datagramsOf } from './datagrams.ts';
import type { OpenSession } from './open-session.ts';
import { callFacts, jobFacts } from './owner.ts';
import type { Prologues } from './prologues.ts';
import type { AmbientTalk, Certificate, OutboundTalk, Prologue, Session } from './session.ts';
import type { Spoken } from './spoken.ts';

// Most sessions have none.
const NO_SETUPS: readonly Spoken[] = [];
const NO_CALLS: readonly OutboundTalk[] = [];
const NO_PROLOGUES: readonly Prologue[] = [];

/** `ended`: the recording ended before the session did. `reasons`: each call tells what speaks for and against its tie. */
export function finishedSession(session: OpenSession, prologues: Prologues, ledger: LossLedger, ended: boolean, reasons: boolean): Session {
  const { talk, process } = session;
  const calls = session.calls.every(isCalled) ? session.calls : session.calls.filter(isCalled);
  if (calls.length > 1) calls.sort((a, b) => a.beganSeq - b.beganSeq);
  const setUp = prologues.connectionsOf(talk, calls, session.opened);
  const setups = setUp.length === 0 ? NO_SETUPS : setUp.flatMap((connection) => prologues.setupsOf(connection));
  const datagrams = datagramsOf(session, ledger);
  const appends = appendsOf(session, ledger);
  const certificate = certify(session, calls, setups, ledger, ended);
  const outbound = calls.length === 0 ? NO_CALLS : outboundOf(session, calls, ledger, reasons);
  let proven = 0;
  for (const call of outbound) if (call.certainty === 'proven') proven += 1;
  return {
    id: session.id,
    startedAtUs: talk.begunAtUs,
    durationMs: Math.max(0, talk.lastAtUs - talk.begunAtUs) / 1000,
    entry: 'request',
    process: process.shown,
    inbound: talk.finished(),
    outbound,
    ties: { proven, likely: outbound.length - proven, unknown: unattributedOf(certificate) },
    prologues: setUp.length === 0 ? NO_PROLOGUES : setUp.map((connection) => prologues.of(connection)),
    names: session.names,
    ...(session.told === undefined ? {} : { told: session.told }),
    ...(datagrams.length === 0 ? {} : { datagrams }),
    ...(appends.length === 0 ? {} : { appends }),
    ...(session.traceHeader === undefined ? {} : { traceHeader: Object.fromEntries(session.traceHeader) }),
    certificate,
  };
}

export function ambientTalk(talk: Spoken): AmbientTalk {
  const { whyNot } = talk;
  return {
    ...talk.finished(), ambient: true, tgid: talk.begunTgid, startedAtUs: talk.begunAtUs, candidates: talk.candidates,
    ...(whyNot === undefined ? {} : { whyNot }),
  };
}

function isCalled(call: Spoken): boolean {
  return call.called;
}

function unattributedOf({ unseen }: Certificate): number {
  for (const { kind, count } of unseen) if (kind === 'unattributed') return count;
  return 0;
}

function outboundOf(session: OpenSession, calls: readonly Spoken[], ledger: LossLedger, reasons: boolean): OutboundTalk[] {
  const job = jobFacts(session, ledger);
  return calls.map((call) => {
    const tie = call.tie as NonNullable<typeof call.tie>;
    const facts = callFacts(call, session);
    const { attribution, certainty } = attributionOf(tie, facts, job);
    const outbound = call.finished() as Mutable<OutboundTalk>;
    outbound.attribution = attribution;
    outbound.certainty = certainty;
    if (facts.afterResponse) outbound.afterResponse = true;
    if (tie.alternatives.length > 0) outbound.alternatives = tie.alternatives.map((other) => other.id);
    if (reasons) {
      const { guessed } = call.connection;
      outbound.reasons = reasonsOf(tie, facts, job, {
        discipline: session.discipline, paused: session.paused, openLost: guessed, opened: session.opened?.includes(call.connection) === true,
      });
    }
    return outbound;
  });
}
