/**
 * Ties talks into sessions. Told by the cutters what begins, is said and ends, in the order of the ring; decides when a
 * session is over:
 *
 *   its inbound talk is over (framing, turn, close)
 *   and its thread has read another request, is gone, or has been quiet for `quietMs` with no call on its way
 *   and every talk in it is settled: over, and a later position on its connection proves that all that was sent was taken
 *
 * The last condition waits for the next use of each connection, or for the recorder's next mark of time, so at most one session a connection waits for it. Then it
 * waits for the recorder's next report of losses (`lossReportMs`), and is given out.
 */
import type { Connection } from '../connections/connection.ts';
import { threadOf } from '../connections/piece.ts';
import type { LossLedger } from '../connections/loss.ts';
import type { Context } from '../contexts/context.ts';
import { Contexts } from '../contexts/contexts.ts';
import type { Tie } from '../contexts/tie.ts';
import { isVirtual } from '../contexts/virtual-threads.ts';
import { whyNot } from '../contexts/reasons.ts';
import type { WhyNot } from '../contexts/reasons.ts';
import { isRuntime } from '../contexts/runtime.ts';
import type { Opening, TalkSink } from '../talks/sink.ts';
import type { AskedRuntimes } from './asked.ts';
import { isContested, whyBelied } from './belied.ts';
import { candidateIds, maxCandidates } from './candidates.ts';
import { Handing } from './handing.ts';
import { Holding } from './holding.ts';
import { Lingering } from './lingering.ts';
import { OpenSession, SEATS } from './open-session.ts';
import type { Processes } from './processes.ts';
import { InDoubt } from './in-doubt.ts';
import { Roster } from './roster.ts';
import { Served } from './served.ts';
import { Spoken } from './spoken.ts';

/** Sessions that wait for quiet. Past that the one that did least lately is given out as it is. */
const maxLingering = 200_000;

export interface WeaverOptions {
  readonly recordingId: string;
  readonly quietMs: number;
  /** Calls without a tie are to say why. */
  readonly reasons: boolean;
  readonly ledger: LossLedger;
  readonly processes: Processes;
  readonly asked: AskedRuntimes;
  /** Over in every respect; told again when it got another call since, and that is settled. */
  readonly onOver: (session: OpenSession) => void;
  /** A talk of no session is over. */
  readonly onAmbient: (talk: Spoken) => void;
  /** An outbound talk is over that is tied to no session, or to one that it says it is not of. */
  readonly onUntied: (talk: Spoken) => void;
}

export class Weaver implements TalkSink<Spoken> {
  readonly contexts: Contexts<OpenSession>;
  readonly handing: Handing;
  readonly served: Served;
  /** Sessions that are not given out. */
  readonly open = new Roster<OpenSession>(SEATS.open);
  /** Nobody was seen to call anybody, nor to speak of sessions: what is over is nobody's candidate any more. */
  alone = true;
  /** Outbound talks of no session that are not over. */
  readonly loose = new Set<Spoken>();
  /** Number of the event at hand, and its time. */
  seq = 0;
  nowUs = 0;
  readonly #options: WeaverOptions;
  readonly #lingering = new Lingering();
  readonly #holding = new Holding<OpenSession>((context) => this.contexts.accept(context));
  #lingers = 0;
  /** Outbound connections on which nothing was said yet, and what their connect was tied to. */
  readonly #born = new WeakMap<Connection, { tie: Tie<OpenSession> | undefined; tid: number; whyNot: readonly WhyNot[] | undefined }>();

  constructor(options: WeaverOptions) {
    this.#options = options;
    this.handing = new Handing(options.processes);
    this.contexts = new Contexts((session, tid) => this.#release(session, tid), () => this.nowUs);
    this.served = new Served(this.contexts);
  }

  /** A connection was opened by `tid`: what its first call is tied to, where the thread juggles several sessions. */
  connected(connection: Connection): void {
    const { tid, tgid } = connection.open;
    const own = this.contexts.own(tid, tgid);
    if (connection.open.learnt === 'accept') return this.#holding.accepted(own, connection);
    this.alone = false;
    const context = own.actor;
    const tie = this.contexts.tie(context, this.#options.processes.of(tgid).only, context !== own);
    this.#born.set(connection, { tie, tid: context.tid, whyNot: tie === undefined ? this.#whyNot(context, tgid) : undefined });
    if (tie !== undefined) (tie.job.opened ??= []).push(connection);
    context.act();
  }

  /** Thread `tid` of `tgid` starts another one, or a process. */
  started(tid: number, tgid: number, childTid: number, childTgid: number): void {
    const { processes } = this.#options;
    const birth = this.contexts.bear(this.contexts.of(tid, tgid), processes.of(tgid).only, childTid, childTgid);
    if (birth === undefined) return;
    (birth.job.births ??= []).push(birth);
    // What it resolves is the session's to know.
    if (childTgid !== tgid) processes.of(childTgid).names = processes.of(tgid).names;
  }

  /** A connection was closed by this side, or is over. */
  disconnected(connection: Connection): void {
    if (connection.held) this.#holding.ended(this.contexts.own(connection.openerTid, connection.open.tgid), connection);
  }

  opened(connection: Connection, inbound: boolean, opening: Opening, follows: boolean, atUs: number, tgid: number): Spoken {
    const talk = new Spoken(connection, inbound, atUs, tgid);
    talk.beganSeq = this.seq;
    if (!inbound || connection.isGuess) this.alone = false;
    if (!inbound || opening === 'greeting' || opening === 'push') return talk;
    if (connection.isGuess) {
      this.#options.processes.of(tgid).unattributed += 1;
      return talk;
    }
    const process = this.#options.processes.of(tgid, tgid === connection.open.tgid ? connection.open.command : '');
    const session = new OpenSession(this.#options.recordingId, talk, process, this.#options.ledger.events, opening === 'late');
    session.pipelined = follows;
    talk.session = session;
    connection.sessions += 1;
    connection.work = session;
    process.sessions.add(session);
    process.held.add(session);
    session.crowded = process.unanswered.size > 0;
    if (session.crowded) process.crowd();
    process.unanswered.add(session);
    this.open.add(session);
    return talk;
  }

  spoke(talk: Spoken, side: 'request' | 'response', atUs: number, tid: number, tgid: number): void {
    talk.lastAtUs = atUs;
    if (talk.connection.isGuess && tid !== 0 && (side === 'request') === talk.inbound) this.contexts.readUnknown(this.contexts.of(tid, tgid));
    if (!talk.inbound) {
      if (side === 'request') this.#calls(talk, atUs, tid, tgid || talk.begunTgid);
      else this.#answered(talk, atUs, tid, tgid || talk.begunTgid);
      return;
    }
    const { session } = talk;
    if (session === undefined) return;
    if (!session.gone) session.lastAtUs = atUs;
    if (side === 'request') this.#asked(session, talk, tid, tgid);
    else this.#responds(session, talk, tid, tgid);
  }

  askerOf(tid: number, stream: number): number | undefined {
    return this.contexts.goroutines.askerOf(tid, stream);
  }

  alongside(talk: Spoken, first: Spoken): void {
    talk.beganSeq = first.beganSeq;
    talk.lastAtUs = first.lastAtUs;
    talk.idle = first.idle;
    talk.excluded = first.excluded;
    talk.wroteBy(first.writerTid);
    // Where one request is at work, what is sent is its own.
    const { tie } = first;
    if (tie !== undefined && tie.job === this.#options.processes.of(first.begunTgid).only) {
      talk.tie = tie;
      return tie.job.add(talk);
    }
    if (this.#options.reasons) talk.whyNot = first.excluded ? ['excluded'] : ['written-together'];
    this.#undecided(talk);
    if (tie === undefined) return;
    if (this.#options.reasons) first.whyNot = talk.whyNot;
    if (first.placed) {
      first.placed = false;
      first.connection.sessions -= 1;
      return this.#unattributed(first);
    }
    tie.job.drop(first);
    first.tie = undefined;
    this.#undecided(first);
  }

  called(talk: Spoken): void {
    if (talk.writerTid === 0 && !talk.over) {
      talk.nameless = true;
      return;
    }
    this.#decided(talk);
    const { tie } = talk;
    if (tie === undefined || tie.job.gone || talk.connection.isGuess || whyBelied(talk, tie) !== undefined) return this.#unattributed(talk);
    talk.placed = true;
    talk.connection.sessions += 1;
    if (!tie.job.calls.includes(talk)) tie.job.add(talk);
  }

  over(talk: Spoken): void {
    if (talk.inbound) {
      if (talk.session === undefined) return !talk.setup ? this.#options.onAmbient(talk) : undefined;
      this.#inboundOver(talk.session);
      return;
    }
    this.loose.delete(talk);
    if (talk.tie === undefined) this.#options.processes.of(talk.begunTgid).strays.delete(talk);
    if (talk.setup) return this.#noCall(talk);
    if (talk.placed) return talk.tie !== undefined && isContested(talk, talk.tie) ? this.#options.onUntied(talk) : undefined;
    if (talk.nameless) this.#unattributed(talk);
    this.#decided(talk);
    talk.placed = true;
    this.#options.onUntied(talk);
  }

  isAwaited(talk: Spoken): boolean {
    return talk.tie !== undefined && !talk.tie.job.gone;
  }

  settled(talk: Spoken): void {
    const session = talk.session ?? talk.tie?.job;
    if (session === undefined) return;
    if (session.aside && session.settled) this.#options.onOver(session);
    else this.#check(session);
  }

  dropped(talk: Spoken): void {
    this.#noCall(talk);
    this.loose.delete(talk);
    if (!talk.inbound) this.#options.processes.of(talk.begunTgid).strays.delete(talk);
    const { session } = talk;
    if (session === undefined) return;
    talk.connection.sessions -= 1;
    this.#leave(session);
    session.process.given(session);
  }

  /** Time has come to `nowUs`: sessions that were quiet long enough have ended. */
  tick(): void {
    const quietUs = this.#options.quietMs * 1000;
    for (;;) {
      const session = this.#lingering.first;
      if (session === undefined) return;
      const crowded = this.#lingers > maxLingering;
      if (session.lastAtUs + quietUs > this.nowUs && !crowded) return;
      if (session.calling && !crowded) this.#linger(session, this.nowUs);
      else this.#quiet(session, crowded);
    }
  }

  pause(): void {
    this.contexts.pause();
    for (const session of this.open) session.paused = true;
  }

  /** Takes a session out: it is given out, or never was one. */
  #leave(session: OpenSession): void {
    session.gone = true;
    this.#unlinger(session);
    this.open.delete(session);
    session.process.sessions.delete(session);
    session.process.unanswered.delete(session);
    for (const { child } of session.births ?? []) if (child.birth?.job === session) child.birth = undefined;
  }

  #asked(session: OpenSession, talk: Spoken, tid: number, tgid: number): void {
    const begins = talk.readerTid === 0;
    // What was answered was no request (a handshake).
    if (!talk.responded && !session.gone && !session.process.unanswered.has(session)) session.process.unanswered.add(session);
    const own = this.contexts.own(tid, tgid);
    this.#turns(own, talk.connection);
    if (talk.connection.multiplexed) this.served.reads(own, talk.connection);
    const context = this.#reader(own, session, begins);
    if (begins && context.excluded) return this.#exclude(session, talk);
    talk.readBy(context.tid);
    const { reading } = context;
    const { connection } = talk;
    const before = connection.readerTid;
    connection.readerTid = tid;
    if (begins && before !== 0 && before !== tid && !session.pipelined && !context.virtual) session.discipline.handsOver = true;
    if (session.pipelined && reading !== undefined && reading !== session && reading.talk.connection === talk.connection && !reading.talk.over) {
      let ahead = reading;
      while (ahead.followedBy !== undefined && ahead.followedBy !== session) ahead = ahead.followedBy;
      ahead.followedBy = session;
      reading.pipelined = true;
      return;
    }
    this.contexts.readRequest(context, session, session.discipline, before !== tid, this.#holding.juggles(context, connection));
  }

  /**
   * Who reads a request. A thread that works for another one and takes up a request of its own works for itself again; as
   * does one whose virtual thread is still at work, or got its name after its request had been read, as this one's may.
   */
  #reader(own: Context<OpenSession>, session: OpenSession, begins: boolean): Context<OpenSession> {
    const { actor } = own;
    if (!begins || actor === own || actor.reading === session) return actor;
    if (actor.virtual && !actor.namedLate && !actor.busy) return actor;
    own.delegate = undefined;
    return own;
  }

  /** Who reads it said that it is nobody's. */
  #exclude(session: OpenSession, talk: Spoken): void {
    talk.session = undefined;
    talk.connection.sessions -= 1;
    this.#leave(session);
    session.process.given(session);
  }

  #responds(session: OpenSession, talk: Spoken, tid: number, tgid: number): void {
    talk.answerSeq = this.seq;
    if (!session.gone) this.#linger(session, this.nowUs);
    session.process.unanswered.delete(session);
    session.look(this.seq);
    if (tid === 0) return;
    const own = this.contexts.own(tid, tgid);
    const { actor } = own;
    own.awaited = undefined;
    talk.wroteBy(actor.tid);
    if (moved(talk.readerTid, actor.tid)) session.process.moves = true;
    this.contexts.respond(actor, session, actor !== own);
  }

  /** A talk is in its session's list from its first byte on, so that the session waits until it is known what it is. */
  #noCall(talk: Spoken): void {
    const { doubt } = talk;
    if (talk.undecided && doubt !== undefined) for (const session of doubt.home.held) session.uncount(doubt);
    this.#decided(talk);
    talk.doubt?.home.untied.delete(talk);
    const session = talk.tie?.job;
    if (session === undefined || !session.drop(talk)) return;
    this.#check(session);
  }

  /** Undefined where nobody asks. */
  #whyNot(context: Context<OpenSession>, tgid: number): readonly WhyNot[] | undefined {
    return this.#options.reasons ? whyNot(context, this.nowUs, this.#options.processes.of(tgid).unanswered) : undefined;
  }

  #unattributed(talk: Spoken): void {
    if (this.#options.reasons) talk.whyNot = talk.connection.isGuess ? ['role-unknown'] : talk.tie === undefined ? talk.whyNot : [talk.tie.job.gone ? 'session-over' : whyBelied(talk, talk.tie) ?? 'unlike-alone'];
    talk.nameless = false;
    const process = this.#options.processes.of(talk.begunTgid);
    if (talk.excluded) {
      talk.tie?.job.drop(talk);
      talk.tie = undefined;
      return;
    }
    if (talk.tie !== undefined) {
      talk.tie.job.drop(talk);
      talk.tie = undefined;
      process.contested.add(talk);
      talk.doubt = new InDoubt(process, this.seq);
    }
    if (talk.doubt !== undefined) talk.doubt.countedSeq = this.seq;
    process.unattributed += 1;
    for (let later = process.held.last; later !== undefined && later.talk.beganSeq > talk.beganSeq; later = later.ahead) later.resolved += 1;
    process.background.saw(talk);
    if (!talk.over && !talk.responded) process.strays.add(talk);
  }

  #calls(talk: Spoken, atUs: number, tid: number, tgid: number): void {
    if (tid === 0) {
      if (this.#options.reasons) talk.whyNot ??= ['no-thread'];
      return this.#undecided(talk);
    }
    const first = talk.writerTid === 0 || (talk.request.empty && !talk.connection.egress.waiting);
    const own = this.contexts.own(tid, tgid);
    const context = own.actor;
    this.#turns(own, talk.connection);
    own.wrote = talk.connection.egress;
    talk.wroteBy(context.tid);
    // What this thread sent before has been taken: it is in another call now.
    if (first) {
      context.reading?.talk.connection.egress.flush();
      this.handing.calls(own, talk);
    }
    if (first) this.#tie(talk, context, context !== own);
    else if (talk.tie === undefined || !isRuntime(talk.tie.evidence)) this.#disputed(talk, context.suspect);
    context.act();
    if (talk.nameless) {
      talk.nameless = false;
      this.called(talk);
    }
    const session = talk.tie?.job;
    if (session === undefined) return;
    if (session.lingers) this.#linger(session, atUs);
  }

  /** A thread is in a call on `connection` now: what it wrote elsewhere has been taken, and is looked at as what it did before. */
  #turns(own: Context<OpenSession>, { egress }: Connection): void {
    const { wrote } = own;
    if (wrote === undefined || wrote === egress || threadOf(own.tid) !== own.tid) return;
    own.wrote = undefined;
    wrote.flush();
  }

  #tie(talk: Spoken, context: Context<OpenSession>, forAnother: boolean): void {
    this.#decided(talk);
    talk.beganSeq = this.seq;
    talk.tie?.job.drop(talk);
    const { only, unanswered } = this.#options.processes.of(talk.begunTgid);
    const born = this.#options.reasons ? this.#born.get(talk.connection) : undefined;
    talk.idle = unanswered.size === 0;
    talk.excluded = context.excluded;
    talk.tie = this.#bornTie(talk, context, only, forAnother) ?? this.contexts.tie(context, only, forAnother);
    const told = this.#options.asked.of(talk.connection, talk.request.empty ? talk.connection.egress.account.next : talk.request.from, talk.begunTgid);
    if (told !== undefined) {
      const { session: job, evidence } = told;
      talk.tie = job === undefined ? undefined : { job, evidence, inLoop: evidence, context, alternatives: [] };
      talk.excluded = job === undefined;
      if (job === undefined) {
        if (this.#options.reasons) talk.whyNot = [told.why];
        return this.#undecided(talk);
      }
    }
    if (talk.tie === undefined) {
      // Whoever connected for it by what it had read last was asked then.
      const asked = born?.tid === context.tid && !context.wokeSince(talk.connection.open.atUs);
      talk.whyNot = asked ? born.whyNot : this.#whyNot(context, talk.begunTgid);
      return this.#undecided(talk);
    }
    if (this.loose.delete(talk)) {
      this.#options.processes.of(talk.begunTgid).strays.delete(talk);
      talk.doubt?.home.untied.delete(talk);
      talk.doubt = undefined;
    }
    talk.tie.job.add(talk);
  }

  #undecided(talk: Spoken): void {
    if (talk.undecided) return;
    if (talk.excluded) {
      this.loose.add(talk);
      return;
    }
    const process = this.#options.processes.of(talk.begunTgid);
    talk.undecided = true;
    process.strays.add(talk);
    talk.doubt?.home.untied.delete(talk);
    process.untied.add(talk);
    talk.doubt = new InDoubt(process, this.seq);
    process.undecided += 1;
    talk.candidates = candidateIds(process.sessions);
    this.loose.add(talk);
  }

  /** The first call of a connection that a loop opened is of the session it was opened for. */
  #bornTie(talk: Spoken, context: Context<OpenSession>, only: OpenSession | undefined, forAnother: boolean): Tie<OpenSession> | undefined {
    const born = this.#born.get(talk.connection);
    if (born === undefined) return undefined;
    this.#born.delete(talk.connection);
    const { tie } = born;
    if (tie === undefined || tie.job.gone || context.excluded) return undefined;
    if (!context.loop && context.tid === born.tid) return this.contexts.tie(context, only, forAnother) ?? tie;
    if (context.tid !== born.tid) return undefined;
    const now = context.suspect;
    return now === undefined || now.gone || now === tie.job ? tie : { ...tie, alternatives: [now] };
  }

  /** Another session's thread goes on with a talk that has no answer: which of the two it is of, and whether it is one call, nobody knows. */
  #disputed(talk: Spoken, other: OpenSession | undefined): void {
    const { tie } = talk;
    if (other === undefined || other.gone || other === tie?.job || other === talk.disputant) return;
    talk.disputant = other;
    other.process.unattributed += 1;
    if (tie !== undefined) talk.tie = { ...tie, alternatives: [...tie.alternatives, other].slice(0, maxCandidates) };
  }

  #answered(talk: Spoken, atUs: number, tid: number, tgid: number): void {
    talk.answerSeq = this.seq;
    const own = this.contexts.own(tid, tgid);
    this.#turns(own, talk.connection);
    const context = own.actor;
    // A connection's own goroutine reads for whoever wrote, or asked.
    const forWriter = talk.handedOver || own.goroutine?.role === 'reads-for';
    if (!forWriter) talk.readBy(context.tid);
    this.handing.answered(own, talk, atUs);
    if (talk.tie === undefined) this.#options.processes.of(talk.begunTgid).strays.delete(talk);
    if (talk.tie !== undefined && !forWriter && moved(talk.writerTid, context.tid)) talk.tie.job.process.moves = true;
    const session = talk.tie?.job ?? this.#born.get(talk.connection)?.tie?.job;
    if (!talk.connection.isGuess) this.contexts.readAnswer(context, session?.gone === true ? undefined : session, context !== own);
    if (session === undefined || session.gone) return;
    if (session.lingers) this.#linger(session, atUs);
  }

  /** It is known now whether it is a call. */
  #decided(talk: Spoken): void {
    if (!talk.undecided) return;
    talk.undecided = false;
    this.#options.processes.of(talk.begunTgid).undecided -= 1;
  }

  #inboundOver(session: OpenSession): void {
    session.process.unanswered.delete(session);
    if (session.after === undefined) session.look(this.seq);
    if (!session.talk.over) return;
    const behind = session.followedBy;
    if (behind !== undefined && !behind.gone) {
      session.followedBy = undefined;
      const context = this.contexts.known(session.talk.readerTid);
      if (context?.reading === session) this.contexts.readRequest(context, behind, behind.discipline, false, false);
    }
    if (!session.gone) this.#linger(session, this.nowUs);
    this.#check(session);
  }

  /** The thread that works for it said that it is done with it. */
  shutDown(session: OpenSession): void {
    if (!session.gone) this.#release(session, 0);
  }

  /** `tid`: the thread that read its request and does something else by now, so that what it had sent was taken; else 0. */
  #release(session: OpenSession, tid: number): void {
    session.talk.connection.egress.passed(tid);
    for (let at = session.calls.length - 1; at >= 0; at -= 1) session.calls[at]?.connection.egress.passed(tid);
    // Where the runtime says whose each call is, also what it left to be done later is known to be its own.
    if (tid !== 0 && session.process.asked) return;
    session.released = true;
    this.#check(session);
  }

  /** A response that has gone on for so long without a word may go on; where only the turn of direction could end it, its thread is free. */
  #quiet(session: OpenSession, crowded: boolean): void {
    const { talk } = session;
    talk.connection.egress.flush();
    if (!talk.over && talk.framed && !crowded) return this.#linger(session, this.nowUs);
    this.#unlinger(session);
    const context = this.contexts.known(talk.readerTid);
    if (context?.reading === session) context.reading = undefined;
    this.#release(session, 0);
    if (crowded && talk.over && !session.gone) this.#force(session);
  }

  #check(session: OpenSession): void {
    if (session.gone || !session.released || !session.settled) return;
    this.#give(session);
  }

  #force(session: OpenSession): void {
    session.forced = true;
    this.#give(session);
  }

  #give(session: OpenSession): void {
    this.#leave(session);
    session.overSeq = session.process.lastOverSeq = this.seq;
    this.#options.onOver(session);
  }

  #linger(session: OpenSession, atUs: number): void {
    if (!session.lingers) this.#lingers += 1;
    this.#lingering.touch(session, atUs);
  }

  #unlinger(session: OpenSession): void {
    if (!session.lingers) return;
    this.#lingers -= 1;
    this.#lingering.remove(session);
  }
}

/** Two threads had a hand in one talk, and neither said for whom. */
function moved(before: number, now: number): boolean {
  return before !== 0 && before !== now && !isVirtual(before) && !isVirtual(now);
}
