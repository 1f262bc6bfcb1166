/**
 * Events in, sessions out: the whole derivation, the same for a live process, a recording and a replay. Pure (time is the
 * events' own) and bounded by what is open: connections, threads and sessions that end are forgotten.
 */
import type { ConnectionAccount } from '../connections/account.ts';
import type { Connection } from '../connections/connection.ts';
import { Connections } from '../connections/connections.ts';
import type { StreamEvent } from '../connections/connections.ts';
import { FIRST_TASK, FIRST_VIRTUAL_THREAD } from '../events/event.ts';
import type { CloseEvent, Event, MarkEvent, OpenEvent, ProcessEvent } from '../events/event.ts';
import { recognise } from '../protocols/index.ts';
import { Cutter } from '../talks/cutter.ts';
import type { Recognise } from '../talks/recognition.ts';
import { keepAppend } from './appends.ts';
import { AskedRuntimes } from './asked.ts';
import { endedWhole } from './ending.ts';
import { keepDatagram } from './datagrams.ts';
import { ambientTalk, finishedSession } from './finished.ts';
import type { OpenSession } from './open-session.ts';
import { ownerOf, type Owner } from './owner.ts';
import { ownOpen } from './owned.ts';
import { Late } from './late.ts';
import { Leaving } from './leaving.ts';
import { Processes } from './processes.ts';
import { Prologues } from './prologues.ts';
import { cutterOf } from './served.ts';
import type { AmbientTalk, Session } from './session.ts';
import type { Spoken } from './spoken.ts';
import { Listener } from './told.ts';
import { Weaver } from './weaver.ts';

export interface DerivationOptions {
  readonly recordingId: string;
  readonly onSession?: (session: Session) => void;
  readonly onAmbient?: (talk: AmbientTalk) => void;
  readonly onConnection?: (account: ConnectionAccount) => void;
  /** A session's thread that does nothing for so long works for it no more. 5,000 (KOALA_GC_GLOBAL_STATUS_TIMEOUT). */
  readonly quietMs?: number;
  /** Compute the SHA-256 of every stream. */
  readonly digests?: boolean;
  /** Bytes kept of each side of a talk; what comes after is a gap `max-message`. 64 MiB. */
  readonly maxTalkBytes?: number;
  /** The recorder says within this time that it lost something: so long a finished session waits. 250. */
  readonly lossReportMs?: number;
  /**
   * Looks ahead, as far as that time: the time of an event up to which, in the order of events, no loss and no pause is reported. What
   * is over then need not wait for a report. Without it, it does.
   */
  readonly quietUntilUs?: (wantedUs: number) => number;
  /** Calls tell what speaks for and against their tie, ambient talks why they have none. */
  readonly reasons?: boolean;
  /** Takes out of a text what calls must not be tied by (to measure how well they are without it). */
  readonly hide?: (text: string) => string;
  /** Instead of the protocols that are built in. */
  readonly recognise?: Recognise;
}

/** System calls kept of each side of a talk. */
const maxTalkPieces = 262_144;
/** Time passes to a mark in steps of so long at least, and in so many at most. */
const minStepUs = 1_000;
const maxSteps = 1_024;
/** What is still open is copied out of the recording's blocks after so many events or bytes, so that it doesn't keep the blocks. */
const ownEveryEvents = 65_536;
const ownEveryBytes = 16 << 20;

export class Derivation {
  readonly #options: DerivationOptions;
  readonly #connections: Connections;
  readonly #processes: Processes;
  readonly #asked: AskedRuntimes;
  readonly #weaver: Weaver;
  readonly #listener: Listener;
  readonly #prologues = new Prologues((connection) => cutterOf(connection).setups);
  readonly #late: Late;
  readonly #leaving: Leaving;
  readonly #lossReportUs: number;
  #events = 0;
  #bytes = 0;
  /** All bytes that it was given. */
  #given = 0;
  /** Losses after that (Unix µs) will not be reported. */
  #toldUs = Infinity;
  #pauses = false;
  #finished = false;

  constructor(options: DerivationOptions) {
    this.#options = options;
    this.#processes = new Processes(options.hide);
    this.#asked = new AskedRuntimes(this.#processes);
    this.#lossReportUs = (options.lossReportMs ?? 250) * 1000;
    const limits = { maxBytes: options.maxTalkBytes ?? 64 << 20, maxPieces: maxTalkPieces, recognise: options.recognise ?? recognise };
    this.#connections = new Connections({
      digests: options.digests ?? false,
      onAccount: (account) => options.onConnection?.(account),
      sink: (connection) => new Cutter<Spoken>(connection, this.#weaver, limits),
    });
    const onAmbient = (talk: Spoken): void => options.onAmbient?.(ambientTalk(talk));
    this.#weaver = new Weaver({
      recordingId: options.recordingId,
      quietMs: options.quietMs ?? 5_000,
      reasons: options.reasons === true,
      ledger: this.#connections.ledger,
      processes: this.#processes,
      asked: this.#asked,
      onOver: (session) => this.#leaving.add(session, this.#weaver.nowUs, this.#given),
      onUntied: (talk) => this.#late.add(talk, this.#weaver.nowUs),
      onAmbient,
    });
    this.#late = new Late({ ledger: this.#connections.ledger, reasons: options.reasons === true, onAmbient });
    this.#leaving = new Leaving(this.#late, this.#lossReportUs, (session) => this.#give(session, session.lastAtUs > this.#toldUs),
      (atUs) => this.#weaver.alone && options.quietUntilUs !== undefined && options.quietUntilUs(atUs) >= atUs);
    this.#listener = new Listener(this.#weaver.contexts, this.#processes, (session) => this.#weaver.shutDown(session));
  }

  /** Events in the order of the ring. */
  push(given: Event): void {
    if (given.kind === 'mark') return this.#mark(given);
    const weaver = this.#weaver;
    const acts = 'connection' in given || given.kind === 'udp' || given.kind === 'append';
    // Who closes a connection is not told.
    if ((acts && given.kind !== 'close') || given.kind === 'process') weaver.contexts.carries(given.tid, given.tgid, given.context >= FIRST_VIRTUAL_THREAD ? given.context : 0);
    // A goroutine stands where its thread would.
    const event = given.context === 0 || !acts ? given : this.#asGoroutine(given);
    weaver.seq += 1;
    if (event.atUs > weaver.nowUs && !event.snapshot) weaver.nowUs = event.atUs;
    if (this.#pauses) this.#pause();
    switch (event.kind) {
      case 'data': case 'intent': case 'accepted': case 'sent': case 'gap':
        this.#connections.stream(this.#connections.get(event.connection) ?? this.#unopened(event), event);
        break;
      case 'open': {
        const connection = this.#connections.open(event);
        if (connection === undefined) break;
        this.#asked.opened(connection);
        if (connection.command === '') connection.command = this.#processes.commandOf(event.tgid);
        if (connection.openerTid !== 0) weaver.connected(connection);
        break;
      }
      case 'close':
        this.#close(event);
        break;
      case 'listen':
        this.#connections.listeners.event(event);
        break;
      case 'process':
        this.#processes.event(event);
        if (event.what === 'seen') this.#nameOlder(event.tgid);
        else if (event.what === 'thread' || event.what === 'fork') this.#started(event);
        else if (event.what === 'exec') this.#executed(event.tgid);
        else if (event.what === 'exit') {
          weaver.contexts.exitProcess(event.tgid);
          this.#asked.exit(event.tgid);
        }
        else if (event.what === 'thread-exit') weaver.contexts.exitThread(event.tid, event.withProcess === true);
        break;
      case 'goroutine': {
        if (event.role === 'task') {
          const { contexts } = weaver;
          this.#processes.of(event.tgid).task.made(event, event.parent === 0 && event.began ? contexts.tie(contexts.of(event.tid, event.tgid), undefined) : undefined);
          break;
        }
        const goroutine = weaver.contexts.goroutines.met(event);
        if (goroutine !== undefined) weaver.contexts.begun(goroutine, event.tgid, event.began);
        break;
      }
      case 'heap':
        this.#processes.of(event.tgid).allocation.told(event);
        break;
      case 'given':
        this.#processes.of(event.tgid).errands.told(event);
        break;
      case 'on-behalf':
        weaver.contexts.goroutines.onBehalf(event);
        break;
      case 'serves':
        weaver.served.serves(event);
        break;
      case 'wake':
        weaver.handing.woke(weaver.contexts.known(event.tid), weaver.contexts.known(event.woken), event.atUs - event.waitedUs);
        break;
      case 'udp':
        this.#processes.of(event.tgid).datagram(event, keepDatagram(event, weaver.seq, weaver.contexts, this.#processes));
        break;
      case 'append':
        keepAppend(event, weaver.seq, weaver.contexts, this.#processes);
        break;
      case 'lost':
        this.#connections.ledger.report(event.cause, Math.max(1, event.events), event.atUs);
        break;
      case 'pause':
        this.#pauses = true;
        break;
      case 'helper':
        weaver.alone = false;
        if (!this.#asked.heard(event)) this.#listener.hear(event);
        break;
    }
    this.#events += 1;
    if (event.kind === 'data' || event.kind === 'helper' || event.kind === 'append') {
      this.#bytes += event.bytes.length;
      this.#given += event.bytes.length;
    }
    if (this.#events >= ownEveryEvents || this.#bytes >= ownEveryBytes) this.#own();
    this.#tick();
  }

  /** The recording ends here. `orderly`: the recorder was stopped and drained everything that had happened. Gives out all that is open. */
  finish(orderly: boolean): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#late.ending = true;
    const unfinished = [...this.#weaver.open];
    this.#connections.finish();
    const { nowUs } = this.#weaver;
    for (const talk of [...this.#weaver.loose]) this.#late.add(talk, nowUs);
    for (const session of unfinished) this.#late.fell(session);
    for (const session of unfinished) this.#late.settle(session);
    // Losses of the last moments may not have been reported.
    if (!orderly) this.#toldUs = nowUs - this.#lossReportUs;
    this.#leaving.finish();
    const quietUs = (this.#options.quietMs ?? 5_000) * 1000;
    for (const session of unfinished) {
      session.gone = true;
      if (!session.talk.empty) this.#give(session, !orderly || !endedWhole(session, nowUs - quietUs));
    }
    for (const session of unfinished) this.#weaver.open.delete(session);
    this.#late.finish();
  }

  /** Whose call the bytes at `position` of an outbound connection are, by what is known now; `unseen`: no event has told of them yet. */
  ownerOf(connection: number, position: number): Owner | 'unseen' | undefined {
    const known = this.#connections.get(connection);
    if (known === undefined || known.egress.announced <= position) return 'unseen';
    known.egress.flush();
    return ownerOf(cutterOf(known).askingAt(position), this.#connections.ledger);
  }

  /** What waits for time alone. */
  #tick(): void {
    const { nowUs } = this.#weaver;
    this.#weaver.tick();
    this.#late.tick(nowUs);
    if (!this.#leaving.empty) this.#leaving.giveOut(nowUs, this.#given);
  }

  /** Nothing happened until then. In steps: one wait begins where another one has ended. */
  #mark({ atUs: untilUs, sent }: MarkEvent): void {
    const weaver = this.#weaver;
    if (this.#pauses) this.#pause();
    for (const { connection, position } of sent) this.#connections.get(connection)?.egress.taken(position);
    const stepUs = Math.max(minStepUs, this.#lossReportUs, (untilUs - weaver.nowUs) / maxSteps);
    while (weaver.nowUs < untilUs) {
      weaver.nowUs = Math.min(untilUs, weaver.nowUs + stepUs);
      this.#tick();
    }
  }

  #asGoroutine<E extends Event>(event: E): E {
    if (event.context >= FIRST_TASK) return 'position' in event && event.kind !== 'append' ? { ...event, thread: event.tid, goroutine: event.context } : event;
    const given: Event = event;
    if ('connection' in given && 'position' in given && given.direction === 'egress') {
      const connection = this.#connections.get(given.connection);
      if (connection !== undefined && given.position >= connection.egress.announced) this.#weaver.contexts.goroutines.sends(event.tgid, event.context, connection.ingress.account.next);
    }
    const { number, id } = this.#weaver.contexts.goroutines.standing(event.tgid, event.context);
    return { ...event, thread: event.tid, tid: number, goroutine: id };
  }

  #started(event: ProcessEvent): void {
    this.#weaver.started(this.#starter(event), event.tgid, event.childTid, event.childTgid);
    if (event.what === 'thread') this.#processes.of(event.tgid).allocation.begun(event.childTid, event.atUs);
  }

  #executed(tgid: number): void {
    this.#weaver.contexts.executed(tgid);
    this.#processes.of(tgid).allocation.executed();
    this.#processes.of(tgid).errands.executed();
    this.#processes.of(tgid).task.executed();
  }

  /** Of a process, the goroutine that started it, where there are such. */
  #starter({ what, tgid, tid, context }: ProcessEvent): number {
    return what === 'fork' && context !== 0 && context < FIRST_TASK ? this.#weaver.contexts.goroutines.standing(tgid, context).number : tid;
  }

  /** Connections that are older than the recorder are told without their process' name, and often before it. */
  #nameOlder(tgid: number): void {
    const command = this.#processes.commandOf(tgid);
    for (const connection of this.#connections.all()) {
      if (connection.command === '' && connection.open.tgid === tgid) connection.command = command;
    }
  }

  #close(event: CloseEvent): void {
    const connection = this.#connections.get(event.connection) ?? this.#unopened(event);
    const over = this.#connections.close(connection, event);
    if (over || connection.endedForSure) this.#weaver.disconnected(connection);
    if (over) this.#asked.over(connection);
  }

  /** Its open was lost. From its first byte on it counts; who it was with is not known, and who spoke first says which role it had. */
  #unopened(event: StreamEvent | CloseEvent): Connection {
    const ingress = event.kind !== 'close' && event.direction === 'ingress';
    const nowhere = { host: '0.0.0.0', port: 0 };
    const open: OpenEvent = {
      kind: 'open', connection: event.connection, atUs: event.atUs, tgid: event.tgid, tid: event.tid, context: 0, snapshot: false,
      role: ingress ? 'inbound' : 'outbound', learnt: 'seen', family: 'ipv4', local: nowhere, remote: nowhere, netns: 0, socketInode: 0,
      ingressFrom: 0, egressFrom: 0, command: '',
    };
    const connection = this.#connections.open(open) as Connection;
    connection.guessed = true;
    return connection;
  }

  #pause(): void {
    this.#pauses = false;
    this.#connections.ledger.report('pause', 0, this.#weaver.nowUs);
    this.#weaver.pause();
  }

  #give(session: OpenSession, ended: boolean): void {
    const { onSession, reasons = false } = this.#options;
    if (onSession === undefined) return;
    onSession(finishedSession(session, this.#prologues, this.#connections.ledger, ended, reasons));
  }

  #own(): void {
    this.#events = this.#bytes = 0;
    ownOpen(this.#connections.all(), [...this.#weaver.open, ...this.#leaving.aside]);
  }
}
