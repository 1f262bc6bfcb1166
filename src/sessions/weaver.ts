/**
 * Ties talks into sessions. Told by the cutters what begins, is said and ends, in the order of the ring. When a session is over
 * is decided by `endings.ts`.
 */
import type { Connection } from '../connections/connection.ts';
import { threadOf } from '../connections/piece.ts';
import type { LossLedger } from '../connections/loss.ts';
import type { Context } from '../contexts/context.ts';
import { Contexts } from '../contexts/contexts.ts';
import { isVirtual } from '../contexts/virtual-threads.ts';
import { whyNot } from '../contexts/reasons.ts';
import type { WhyNot } from '../contexts/reasons.ts';
import { isRuntime } from '../contexts/runtime.ts';
import type { Opening, TalkSink } from '../talks/sink.ts';
import type { AskedRuntimes } from './asked.ts';
import { isContested, whyBelied } from './belied.ts';
import { Endings } from './endings.ts';
import { Handing } from './handing.ts';
import { Holding } from './holding.ts';
import type { Moment } from './moment.ts';
import { OpenSession } from './open-session.ts';
import type { Processes } from './processes.ts';
import type { Roster } from './roster.ts';
import { OpenedFor } from './opened-for.ts';
import { Served } from './served.ts';
import { Spoken } from './spoken.ts';
import { Untied } from './untied.ts';

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

export class Weaver implements TalkSink<Spoken>, Moment {
  readonly contexts: Contexts<OpenSession>;
  readonly handing: Handing;
  readonly served: Served;
  /** Nobody was seen to call anybody, nor to speak of sessions: what is over is nobody's candidate any more. */
  alone = true;
  seq = 0;
  nowUs = 0;
  readonly #options: WeaverOptions;
  readonly #endings: Endings;
  readonly #untied: Untied;
  readonly #holding = new Holding<OpenSession>((context) => this.contexts.accept(context));
  readonly #openedFor = new OpenedFor();

  constructor(options: WeaverOptions) {
    this.#options = options;
    this.handing = new Handing(options.processes);
    this.#untied = new Untied(options.processes, this, options.reasons);
    this.#endings = new Endings(options.quietMs, this, () => this.contexts, options.onOver);
    this.contexts = new Contexts((session, tid) => this.#endings.release(session, tid), () => this.nowUs);
    this.served = new Served(this.contexts);
  }

  /** Sessions that are not given out. */
  get open(): Roster<OpenSession> {
    return this.#endings.open;
  }

  /** Outbound talks of no session that are not over. */
  get loose(): Set<Spoken> {
    return this.#untied.loose;
  }

  /** A connection was opened by `tid`: what its first call is tied to, where the thread juggles several sessions. */
  connected(connection: Connection): void {
    const { tid, tgid } = connection.open;
    const own = this.contexts.own(tid, tgid);
    if (connection.open.learnt === 'accept') return this.#holding.accepted(own, connection);
    this.alone = false;
    const context = own.actor;
    const tie = this.contexts.tie(context, this.#options.processes.of(tgid).only, context !== own);
    this.#openedFor.connected(connection, { tie, tid: context.tid, whyNot: tie === undefined ? this.#whyNot(context, tgid) : undefined });
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
    process.begins(session);
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
    this.#untied.undecided(talk);
    if (tie === undefined) return;
    if (this.#options.reasons) first.whyNot = talk.whyNot;
    if (first.placed) {
      first.placed = false;
      first.connection.sessions -= 1;
      return this.#untied.unattributed(first);
    }
    tie.job.drop(first);
    first.tie = undefined;
    this.#untied.undecided(first);
  }

  called(talk: Spoken): void {
    this.#options.processes.of(talk.begunTgid).task.called(talk);
    if (talk.writerTid === 0 && !talk.over) {
      talk.nameless = true;
      return;
    }
    this.#untied.decided(talk);
    const { tie } = talk;
    if (tie === undefined || tie.job.gone || talk.connection.isGuess || whyBelied(talk, tie) !== undefined) return this.#untied.unattributed(talk);
    talk.placed = true;
    talk.connection.sessions += 1;
    if (!tie.job.calls.includes(talk)) tie.job.add(talk);
  }

  over(talk: Spoken): void {
    if (talk.inbound) {
      if (talk.session === undefined) return !talk.setup ? this.#options.onAmbient(talk) : undefined;
      this.#endings.inboundOver(talk.session);
      return;
    }
    this.#untied.over(talk);
    if (talk.setup) return this.#noCall(talk);
    if (talk.placed) return talk.tie !== undefined && isContested(talk, talk.tie) ? this.#options.onUntied(talk) : undefined;
    if (talk.nameless) this.#untied.unattributed(talk);
    this.#untied.decided(talk);
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
    else this.#endings.check(session);
  }

  dropped(talk: Spoken): void {
    this.#noCall(talk);
    this.loose.delete(talk);
    if (!talk.inbound) this.#options.processes.of(talk.begunTgid).strays.delete(talk);
    const { session } = talk;
    if (session === undefined) return;
    talk.connection.sessions -= 1;
    this.#endings.leave(session);
    session.process.given(session);
  }

  /** Time has come to `nowUs`: sessions that were quiet long enough have ended. */
  tick(): void {
    this.#endings.tick();
  }

  pause(): void {
    this.contexts.pause();
    for (const session of this.open) session.paused = true;
  }

  #asked(session: OpenSession, talk: Spoken, tid: number, tgid: number): void {
    const begins = talk.readerTid === 0;
    // What was answered was no request (a handshake).
    if (!talk.responded && !session.gone) session.process.unanswered.add(session);
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
    this.#endings.leave(session);
    session.process.given(session);
  }

  #responds(session: OpenSession, talk: Spoken, tid: number, tgid: number): void {
    talk.answerSeq = this.seq;
    if (!session.gone) this.#endings.answers(session);
    session.process.unanswered.delete(session);
    if (!session.gone && talk.response.pieces.length === 0) session.process.answering.add(session);
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
    this.#untied.noCall(talk);
    const session = talk.tie?.job;
    if (session === undefined || !session.drop(talk)) return;
    this.#endings.check(session);
  }

  /** Undefined where nobody asks. */
  #whyNot(context: Context<OpenSession>, tgid: number): readonly WhyNot[] | undefined {
    return this.#options.reasons ? whyNot(context, this.nowUs, this.#options.processes.of(tgid).unanswered) : undefined;
  }

  #calls(talk: Spoken, atUs: number, tid: number, tgid: number): void {
    if (tid === 0) {
      if (this.#options.reasons) talk.whyNot ??= ['no-thread'];
      return this.#untied.undecided(talk);
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
    else if (talk.tie === undefined || !isRuntime(talk.tie.evidence)) this.#untied.disputed(talk, context.suspect);
    context.act();
    if (talk.nameless) {
      talk.nameless = false;
      this.called(talk);
    }
    const session = talk.tie?.job;
    if (session === undefined) return;
    this.#endings.acts(session, atUs);
  }

  /** A thread is in a call on `connection` now: what it wrote elsewhere has been taken, and is looked at as what it did before. */
  #turns(own: Context<OpenSession>, { egress }: Connection): void {
    const { wrote } = own;
    if (wrote === undefined || wrote === egress || threadOf(own.tid) !== own.tid) return;
    own.wrote = undefined;
    wrote.flush();
  }

  #tie(talk: Spoken, context: Context<OpenSession>, forAnother: boolean): void {
    this.#untied.decided(talk);
    talk.beganSeq = this.seq;
    talk.tie?.job.drop(talk);
    const { only, unanswered } = this.#options.processes.of(talk.begunTgid);
    const opened = this.#options.reasons ? this.#openedFor.of(talk.connection) : undefined;
    talk.idle = unanswered.size === 0;
    talk.excluded = context.excluded;
    talk.tie = this.#openedFor.tieOf(talk, context, this.contexts, only, forAnother) ?? this.contexts.tie(context, only, forAnother);
    const told = this.#options.asked.of(talk.connection, talk.request.empty ? talk.connection.egress.account.next : talk.request.from, talk.begunTgid);
    if (told !== undefined) {
      const { session: job, evidence } = told;
      talk.tie = job === undefined ? undefined : { job, evidence, inLoop: evidence, context, alternatives: [] };
      talk.excluded = job === undefined;
      if (job === undefined) {
        if (this.#options.reasons) talk.whyNot = [told.why];
        return this.#untied.undecided(talk);
      }
    }
    if (talk.tie === undefined) {
      // Whoever connected for it by what it had read last was asked then.
      const asked = opened?.tid === context.tid && !context.wokeSince(talk.connection.open.atUs);
      talk.whyNot = asked ? opened.whyNot : this.#whyNot(context, talk.begunTgid);
      return this.#untied.undecided(talk);
    }
    this.#untied.tied(talk);
    talk.tie.job.add(talk);
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
    if (!forWriter && moved(talk.writerTid, context.tid)) {
      if (talk.tie !== undefined) talk.tie.job.process.moves = true;
      this.#options.processes.of(talk.begunTgid).allocation.readsForOthers(tid);
    }
    const session = talk.tie?.job ?? this.#openedFor.of(talk.connection)?.tie?.job;
    if (!talk.connection.isGuess) this.contexts.readAnswer(context, session?.gone === true ? undefined : session, context !== own);
    if (session === undefined || session.gone) return;
    this.#endings.acts(session, atUs);
  }

  /** The thread that works for it said that it is done with it. */
  shutDown(session: OpenSession): void {
    if (!session.gone) this.#endings.release(session, 0);
  }
}

/** Two threads had a hand in one talk, and neither said for whom. */
function moved(before: number, now: number): boolean {
  return before !== 0 && before !== now && !isVirtual(before) && !isVirtual(now);
}
