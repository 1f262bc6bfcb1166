/** Outbound talks of which it is not known whose they are: while that may still be decided, and what their process is charged with once they are known to be calls. */
import { whyBelied } from './belied.ts';
import { candidateIds, maxCandidates } from './candidates.ts';
import { InDoubt } from './in-doubt.ts';
import type { Moment } from './moment.ts';
import type { OpenSession } from './open-session.ts';
import type { Processes } from './processes.ts';
import type { Spoken } from './spoken.ts';

export class Untied {
  /** Those of no session that are not over. */
  readonly loose = new Set<Spoken>();
  readonly #processes: Processes;
  readonly #moment: Moment;
  /** Calls without a tie are to say why. */
  readonly #reasons: boolean;

  constructor(processes: Processes, moment: Moment, reasons: boolean) {
    this.#processes = processes;
    this.#moment = moment;
    this.#reasons = reasons;
  }

  /** It has no tie, and may be a call. */
  undecided(talk: Spoken): void {
    if (talk.undecided) return;
    if (talk.excluded) {
      this.loose.add(talk);
      return;
    }
    const process = this.#processes.of(talk.begunTgid);
    talk.undecided = true;
    process.strays.add(talk);
    talk.doubt?.home.untied.delete(talk);
    process.untied.add(talk);
    talk.doubt = new InDoubt(process, this.#moment.seq);
    process.undecided += 1;
    talk.candidates = candidateIds(talk, process.sessions);
    this.loose.add(talk);
  }

  /** It is known now whether it is a call. */
  decided(talk: Spoken): void {
    if (!talk.undecided) return;
    talk.undecided = false;
    this.#processes.of(talk.begunTgid).undecided -= 1;
  }

  /** It has a tie after all. */
  tied(talk: Spoken): void {
    if (!this.loose.delete(talk)) return;
    this.#processes.of(talk.begunTgid).strays.delete(talk);
    talk.doubt?.home.untied.delete(talk);
    talk.doubt = undefined;
  }

  /** It is no call: nobody lacks one. */
  noCall(talk: Spoken): void {
    const { doubt } = talk;
    if (talk.undecided && doubt !== undefined) for (const session of doubt.home.held.begunBefore(Infinity, doubt.sinceSeq)) session.uncount(doubt);
    this.decided(talk);
    talk.doubt?.home.untied.delete(talk);
  }

  /** It is a call, and of no session, or not of the one that it was tied to. */
  unattributed(talk: Spoken): void {
    if (this.#reasons) talk.whyNot = talk.connection.isGuess ? ['role-unknown'] : talk.tie === undefined ? talk.whyNot : [talk.tie.job.gone ? 'session-over' : whyBelied(talk, talk.tie) ?? 'unlike-alone'];
    talk.nameless = false;
    const process = this.#processes.of(talk.begunTgid);
    if (talk.excluded) {
      talk.tie?.job.drop(talk);
      talk.tie = undefined;
      return;
    }
    if (talk.tie !== undefined) {
      talk.tie.job.drop(talk);
      talk.tie = undefined;
      talk.candidates = candidateIds(talk, process.sessions);
      process.contested.add(talk);
      talk.doubt = new InDoubt(process, this.#moment.seq);
    }
    if (talk.doubt !== undefined) talk.doubt.countedSeq = this.#moment.seq;
    process.unattributed += 1;
    for (const later of process.held.begunAfter(talk.beganSeq)) later.resolved += 1;
    process.background.saw(talk);
    if (!talk.over && !talk.responded) process.strays.add(talk);
  }

  /** Another session's thread goes on with a talk that has no answer: which of the two it is of, and whether it is one call, nobody knows. */
  disputed(talk: Spoken, other: OpenSession | undefined): void {
    const { tie } = talk;
    if (other === undefined || other.gone || other === tie?.job || other === talk.disputant) return;
    talk.disputant = other;
    other.process.unattributed += 1;
    if (tie !== undefined) talk.tie = { ...tie, alternatives: [...tie.alternatives, other].slice(0, maxCandidates) };
  }

  /** Nothing more will come of it. */
  over(talk: Spoken): void {
    this.loose.delete(talk);
    if (talk.tie === undefined) this.#processes.of(talk.begunTgid).strays.delete(talk);
  }
}
