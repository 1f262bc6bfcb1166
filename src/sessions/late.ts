/**
 * Calls that nothing tied when they began, whose tie fell, or that something speaks against. They wait until the sessions that
 * may have made them are over, and so do these; then the kinds of evidence that look at whole talks decide, strongest first.
 * Bounded in number, bytes and time: past that a call is decided by what is known.
 */
import { Context } from '../contexts/context.ts';
import type { Hindsight, Verdict } from '../contexts/hindsight.ts';
import { fallenBecause, type WhyNot } from '../contexts/reasons.ts';
import { isOfTask } from '../contexts/task.ts';
import { respondedAtUs } from '../contexts/template.ts';
import { attributionOf } from '../contexts/tie.ts';
import type { Attribution, Tie } from '../contexts/tie.ts';
import type { LossLedger } from '../connections/loss.ts';
import { isGuess, isOfNoneThatWaits } from './belied.ts';
import { candidateIds } from './candidates.ts';
import { InDoubt } from './in-doubt.ts';
import type { OpenSession } from './open-session.ts';
import { callFacts, jobFacts } from './owner.ts';
import type { Process } from './processes.ts';
import { Roster } from './roster.ts';
import { SEATS } from './spoken.ts';
import type { Spoken } from './spoken.ts';

const maxWaitUs = 2_000_000;
/** Of a call made in a context of Python's, which the answer of its request tells of. */
const maxAnswerUs = 60_000_000;
const maxCalls = 16_384;
const maxBytes = 64 << 20;
/** What is tied may tell of what is not: so often the rest is looked at again. */
const maxRounds = 3;

/** What a thread seemed to do, where it was not seen for sure. Who names a context, or hands work over in so many words, is believed more. */
const GIVES_WAY = new Set<Attribution>(['thread', 'born', 'continuation', 'elimination']);

const NONE: readonly never[] = [];

export interface LateOptions {
  readonly ledger: LossLedger;
  readonly reasons: boolean;
  /** It is of no session, and over. */
  readonly onAmbient: (call: Spoken) => void;
}

export class Late {
  readonly #options: LateOptions;
  /** Over, and not decided, the one that was over first in front. */
  readonly #over = new Roster<Spoken>(SEATS.over);
  /** Likewise: those that wait for an answer. */
  readonly #patient = new Roster<Spoken>(SEATS.patient);
  #nowUs = 0;
  /** No more answers will come. */
  ending = false;
  #bytes = 0;

  constructor(options: LateOptions) {
    this.#options = options;
  }

  /** `call` is over: it has no tie, or one that it contradicts. */
  add(call: Spoken, nowUs: number): void {
    if (call.tie !== undefined) {
      call.doubt = new InDoubt(call.tie.job.process, 0);
      call.doubt.home.contested.add(call);
    } else if (call.doubt?.home.mayHaveMade(call) !== true) return this.#ambient(call);
    call.doubt.overAtUs = nowUs;
    for (const kind of call.doubt.home.hindsights) kind.see?.(call);
    (isOfTask(call) ? this.#patient : this.#over).add(call);
    this.#bytes += sizeOf(call);
  }

  /** Time has come to `nowUs`: what waited too long is decided. */
  tick(nowUs: number): void {
    this.#nowUs = nowUs;
    this.#tick(this.#over, maxWaitUs);
    this.#tick(this.#patient, maxAnswerUs);
  }

  #tick(waiting: Roster<Spoken>, maxUs: number): void {
    for (let { first } = waiting; first !== undefined; { first } = waiting) {
      if ((first.doubt?.overAtUs ?? 0) + maxUs > this.#nowUs && this.#over.size + this.#patient.size <= maxCalls && this.#bytes <= maxBytes) return;
      this.#decide([first]);
    }
  }

  /** What `session`, which is over, waits for: a call that may be its own, or a session that was open with it. */
  blocker(session: OpenSession): Spoken | OpenSession | undefined {
    const { process } = session;
    if (process.untied.size + process.contested.size === 0) return undefined;
    let last = 0;
    for (const call of concerning(session)) {
      if (!call.over) return call;
      if (call.beganSeq > last) last = call.beganSeq;
    }
    const { oldest } = process;
    return oldest !== undefined && oldest.talk.beganSeq < last ? oldest : undefined;
  }

  /** Whose the calls are that may be of `session`, which waits no longer. */
  settle(session: OpenSession): void {
    const { process } = session;
    if (process.untied.size + process.contested.size === 0) return;
    const calls = [...concerning(session)];
    // What was sent last on a connection is not looked at before something shows that it was taken.
    for (const call of calls) if (!call.over) call.connection.egress.flush();
    if (calls.length > 0) this.#decide(calls.filter((call) => call.doubt !== undefined && (!this.#mayBeTold(call, session) || isToldOf(call, session))));
  }

  /** The answer of another session, which was open when `call` began, may tell whose it is. */
  #mayBeTold(call: Spoken, session: OpenSession): boolean {
    if (!this.#patient.has(call) || call.tie?.job === session || this.ending) return false;
    const { unanswered, answering } = (call.doubt as InDoubt).home;
    for (const other of unanswered) if (other !== session && other.wasOpenAt(call)) return true;
    for (const other of answering) if (other !== session && other.talk.response.pieces.length === 0 && other.wasOpenAt(call)) return true;
    return false;
  }

  /** Takes out the calls of `session` whose tie does not hold: they may be anybody's. `early`: it has only just closed. */
  fell(session: OpenSession, early = false): void {
    const { process } = session;
    const fallen = session.takeFallen(early);
    if (fallen.length > 0) process.unlearn(session);
    for (const call of fallen) {
      const fallenFor = this.#lack(call, session, call.tie !== undefined && isOfNoneThatWaits(call, call.tie) ? ['waited-for-by-none'] : fallenBecause(call.tie));
      const overAtUs = call.doubt?.overAtUs ?? 0;
      call.doubt = new InDoubt(process, 0, session);
      call.doubt.overAtUs = overAtUs;
      call.doubt.fallenFor = fallenFor;
      call.doubt.outlived = call.tie?.evidence.attribution === 'born';
      call.tie = undefined;
      process.contested.add(call);
    }
  }

  /** `call` is taken out of `session`, and may be of those that are returned, which lack it. */
  #lack(call: Spoken, session: OpenSession, why: WhyNot[]): readonly OpenSession[] {
    const others = [...call.missing, ...this.#missing(call, session)];
    call.connection.sessions -= 1;
    call.candidates = candidateIds(call, [session, ...others]);
    if (this.#options.reasons) call.whyNot = why;
    if (!session.mayMiss(call)) return others;
    session.fallen += 1;
    return [session, ...others];
  }

  /** Those besides `session` that may have made `call`, which lack it from now on; but those that did so before. */
  #missing(call: Spoken, session: OpenSession): OpenSession[] {
    const others = [...session.process.held.begunBefore(call.beganSeq, call.beganSeq)].filter((one) => one !== session && one.mayMiss(call) && !call.missing.includes(one));
    for (const one of others) one.fallen += 1;
    return others;
  }

  /** Nothing bore out what a loop's thread seemed to say of `call`. */
  #letGo(call: Spoken, { job }: Tie<OpenSession>): void {
    job.drop(call);
    job.process.unlearn(job);
    this.#lack(call, job, ['task-answers-none']);
    call.tie = undefined;
  }

  /** Nothing more will come. */
  finish(): void {
    for (const call of [...this.#over, ...this.#patient]) this.#decide([call]);
  }

  #decide(calls: readonly Spoken[]): void {
    // What lives on when its session is over was not started for that one alone.
    for (const { tie } of calls) if (tie?.birth?.holds(false) === false && tie.job.gone) this.fell(tie.job);
    let open = calls;
    for (let round = 0; round < maxRounds && open.length > 0; round += 1) {
      const left = open.filter((call) => !this.#judge(call, false));
      if (left.length === open.length) break;
      open = left;
    }
    if (open.length > 0) this.#ripen(open);
    for (const call of open) this.#judge(call, true);
    for (const call of calls) {
      if (call.tie !== undefined && call.doubt?.judged !== true && isGuess(call, call.tie)) this.#letGo(call, call.tie);
      else if (this.#options.reasons && call.tie === undefined) explainNone(call);
      if (call.tie !== undefined && mayBeOfPool(call, call.tie)) call.missing = this.#missing(call, call.tie.job);
      this.#done(call);
    }
  }

  /** Nothing but who builds on the others can tell of `calls`: whatever else may be decided by now is, once. What a session may have made that is not over has to wait. */
  #ripen(calls: readonly Spoken[]): void {
    const homes = new Set<Process>();
    for (const { doubt } of calls) {
      if (doubt === undefined) continue;
      doubt.ripe = true;
      homes.add(doubt.home);
    }
    for (const home of homes) {
      for (const call of home.untied.ripening(home.oldest?.talk.beganSeq ?? Infinity)) if (this.#judge(call, false)) this.#done(call);
    }
  }

  /** False: nothing is known of it. `atLast`: the kinds are asked too that build on what the others found. */
  #judge(call: Spoken, atLast: boolean): boolean {
    const { doubt } = call;
    if (doubt === undefined) return false;
    const { home } = doubt;
    const byItself = home.background.has(call);
    let candidates: readonly OpenSession[] = home.held.openAt(call);
    for (const kind of home.hindsights) {
      if ((call.tie !== undefined && !kind.refutes) || (kind.atLast === true && !atLast)) continue;
      const verdict = kind.find(call, candidates, byItself, home);
      if (verdict === undefined || (doubt.outlived && kind.knows !== true && verdict.job === doubt.fellFrom)) {
        candidates = kind.narrow?.(call, candidates) ?? candidates;
        continue;
      }
      doubt.judged = true;
      if (call.tie === undefined) this.#tie(call, doubt, kind, verdict);
      else if (verdict.job !== call.tie.job) this.#refute(call, kind, verdict.job);
      return true;
    }
    return false;
  }

  #tie(call: Spoken, doubt: InDoubt, kind: Hindsight<OpenSession>, verdict: Verdict<OpenSession>): void {
    for (const session of doubt.fallenFor) session.fallen -= 1;
    if (doubt.fellFrom === undefined) for (const session of doubt.home.held.begunBefore(call.beganSeq, doubt.sinceSeq)) if (session.counts(call, doubt)) session.resolved += 1;
    call.connection.sessions += 1;
    this.#give(call, kind, verdict);
  }

  /** `job` seems to have made it, and not the session that it is tied to. What is proven stays. */
  #refute(call: Spoken, kind: Hindsight<OpenSession>, job: OpenSession): void {
    const tie = call.tie as NonNullable<typeof call.tie>;
    const { attribution, certainty } = attributionOf(tie, callFacts(call, tie.job), jobFacts(tie.job, this.#options.ledger));
    if (certainty === 'proven' || !GIVES_WAY.has(attribution) || (kind.sparesBorn === true && attribution === 'born' && tie.birth?.holds(false) === true)) {
      call.tie = { ...tie, alternatives: [job] };
      return;
    }
    tie.job.drop(call);
    tie.job.process.unlearn(tie.job);
    this.#give(call, kind, { job, alternatives: [tie.job] });
  }

  #give(call: Spoken, kind: Hindsight<OpenSession>, verdict: Verdict<OpenSession>): void {
    const { job } = verdict;
    const context = call.tie?.context ?? new Context<OpenSession>(call.writerTid, call.begunTgid);
    call.tie = { ...verdict, evidence: kind, inLoop: kind, context };
    call.whyNot = undefined;
    job.add(call);
    if (!job.settled) job.aside = job.gone;
  }

  /** It is decided. */
  #done(call: Spoken): void {
    const ended = this.#over.has(call) || this.#patient.has(call); // also where only the recording did
    this.#over.delete(call);
    this.#patient.delete(call);
    if (ended) this.#bytes -= sizeOf(call);
    if (call.tie === undefined && (ended || call.over)) return this.#ambient(call);
    this.#forget(call);
  }

  #ambient(call: Spoken): void {
    this.#forget(call);
    this.#options.onAmbient(call);
  }

  #forget(call: Spoken): void {
    for (const kind of call.doubt?.home.hindsights ?? NONE) kind.decided?.(call, call.tie?.job);
    call.doubt?.home.untied.delete(call);
    call.doubt?.home.contested.delete(call);
    call.doubt = undefined;
  }
}

/** Undecided calls that began while `session` was open. */
function* concerning(session: OpenSession): Generator<Spoken> {
  const { process, overSeq } = session;
  for (const call of process.untied) {
    if (overSeq !== 0 && call.beganSeq > overSeq) break;
    if (session.wasOpenAt(call)) yield call;
  }
  for (const call of process.contested) if (session.wasOpenAt(call)) yield call;
}

/**
 * Who knows says that `session` has made it: that one will not be asked again. Only where its answer came afterwards: else the call may be of the next
 * request of its connection, which is answered by the same.
 */
function isToldOf(call: Spoken, session: OpenSession): boolean {
  if ((session.talk.response.pieces[0]?.atUs ?? 0) < call.begunAtUs) return false;
  const { home } = call.doubt as InDoubt;
  const candidates = home.held.openAt(call);
  return home.hindsights.some((kind) => kind.knows === true && kind.find(call, candidates, home.background.has(call), home)?.job === session);
}

/** It was made after the answer by a thread that was started for its session and has not ended since: should it live on, the call may be of any that was open, and these may be given out before that shows. */
function mayBeOfPool(call: Spoken, { birth, job }: Tie<OpenSession>): boolean {
  if (birth === undefined || birth.isOneShot || birth.ended) return false;
  job.talk.connection.egress.flush();
  return respondedAtUs(job.talk) < call.begunAtUs;
}

/** Adds what looking back came to. */
function explainNone(call: Spoken): void {
  const { doubt } = call;
  if (doubt === undefined) return;
  const candidates = doubt.home.held.openAt(call);
  const found = doubt.home.hindsights.map((kind) => kind.whyNot(call, candidates)).filter((why) => why !== undefined);
  if (candidates.length > 0) call.whyNot = [...(call.whyNot ?? []), ...found];
}

const sizeOf = (call: Spoken): number => call.request.kept + call.response.kept;
