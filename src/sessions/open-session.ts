/** A session while it goes on: its inbound talk, the calls tied to it so far, and what it will be judged by. */
import type { Connection } from '../connections/connection.ts';
import type { Birth } from '../contexts/born.ts';
import type { Job } from '../contexts/context.ts';
import { isOfNoneThatWaits } from './belied.ts';
import { sessionId } from './id.ts';
import type { NameTable } from './names.ts';
import { evidenceOf } from '../contexts/tie.ts';
import { continuation } from '../contexts/continuation.ts';
import { elimination } from '../contexts/elimination.ts';
import { thread } from '../contexts/thread.ts';
import type { Discipline } from '../contexts/discipline.ts';
import type { Block } from './held.ts';
import type { InDoubt } from './in-doubt.ts';
import type { OutOfSight, Process } from './processes.ts';
import type { Seat, Seated } from './roster.ts';
import type { Spoken } from './spoken.ts';
import type { Appending } from './appends.ts';
import type { SentDatagram } from './datagrams.ts';
import type { Told } from './told.ts';

/** Sessions and calls without an answer that are looked at to find who else might have acted. More are ambiguous anyway. */
const maxLookedAt = 16;

const NONE: Spoken[] = [];

/** Whose seats are which. */
export const SEATS = { open: 0, ofProcess: 1, unanswered: 2, answering: 3 } as const;

export class OpenSession implements Job, Seated<OpenSession> {
  readonly talk: Spoken;
  readonly process: Process;
  /** Calls tied to it, and talks that may turn out to be calls. */
  calls: Spoken[] = NONE;
  /** Connections that were opened for it. */
  opened: Connection[] | undefined;
  /** Threads and processes that were started for it. */
  births: Birth<OpenSession>[] | undefined;
  /** What its service said while it worked for it. */
  told: Told[] | undefined;
  datagrams: SentDatagram[] | undefined;
  datagramBytes = 0;
  appends: Appending[] | undefined;
  appendedBytes = 0;
  toldBytes = 0;
  traceHeader: Map<string, string> | undefined;
  /** How the threads behind its listener take requests. */
  readonly discipline: Discipline<OpenSession>;
  /** Calls that were thought to be its own, or another's, until their thread turned out to be an event loop: they may be its own. */
  fallen = 0;
  /** Calls of its process that counted as unattributed for it, and were tied after all, or had begun before its request was read. */
  resolved = 0;
  /** Counters at its beginning, and when its response was last added to. */
  readonly before: OutOfSight;
  after: OutOfSight | undefined;
  /** Number of the event at which that was, and of the one at which it was over in every respect (0: it is not). */
  lookSeq = 0;
  overSeq = 0;
  /** Names that its process had resolved by then. */
  names: NameTable;
  readonly lossBefore: number;
  /** It began in mid-stream: what was asked was not seen. */
  readonly late: boolean;
  /** Its request came before the one ahead of it was answered. */
  pipelined = false;
  /** The session behind it on its connection, which its thread takes up when this one is answered. */
  followedBy: OpenSession | undefined;
  /** Another session of its process was without an answer while it was. */
  crowded = false;
  /** Its thread has read another request, is gone, or has been quiet. */
  released = false;
  /** The recorder was away while it was open. */
  paused = false;
  /** A call was tied to it when it was over, of which it is not known yet whether all that was sent was taken. */
  aside = false;
  /** It stands in the line of those that are over. */
  leaves = false;
  /** KiB of bytes that the derivation had been given when it was over. */
  overKiB = 0;
  /** Given out before its talks were settled: too many sessions waited. */
  forced = false;
  /** It waits to be given out; nothing can be tied to it any more. */
  gone = false;
  /** Unix µs of the last thing that was done for it; once it waits to be given out, when it was over in every respect. */
  lastAtUs: number;
  // The list of sessions that wait for quiet.
  lingers = false;
  previous: OpenSession | undefined;
  next: OpenSession | undefined;
  // The list of sessions of its process that are not given out, and which part of that it stands in.
  ahead: OpenSession | undefined;
  behind: OpenSession | undefined;
  block: Block | undefined;
  /** By SEATS: in the rosters of the weaver and of its process. */
  readonly seats: (Seat<OpenSession> | undefined)[] = [undefined, undefined, undefined, undefined];
  readonly #recordingId: string;
  #id: string | undefined;

  constructor(recordingId: string, talk: Spoken, process: Process, lossBefore: number, late: boolean) {
    this.#recordingId = recordingId;
    this.talk = talk;
    this.process = process;
    this.discipline = process.disciplineOf(talk.connection);
    const now = process.outOfSight();
    this.before = now.unattributed === process.unattributed ? now : { ...now, unattributed: process.unattributed };
    this.names = process.names.table;
    this.lossBefore = lossBefore;
    this.late = late;
    this.lastAtUs = talk.begunAtUs;
  }

  /** Made when it is first asked for: a name costs a digest. */
  get id(): string {
    const { connection, request, response } = this.talk;
    return (this.#id ??= sessionId(this.#recordingId, connection.id, this.late ? `late ${response.from}` : request.from));
  }

  get answered(): boolean {
    return this.talk.responded || this.done;
  }

  get done(): boolean {
    return this.talk.over || this.gone || this.talk.connection.endedForSure;
  }

  get handedOn(): boolean {
    const { readerTid, writerTid } = this.talk;
    if (readerTid === 0 || writerTid === 0) return false;
    return readerTid !== writerTid || (this.process.moves && !this.discipline.blocking);
  }

  /** A call of nobody's since it began may be its own: then it waits. */
  get isOnlyOneToAct(): boolean {
    const { unanswered, strays } = this.process;
    if (this.answered || this.calling || unanswered.size > maxLookedAt || strays.size > maxLookedAt) return false;
    for (const stray of strays) if (stray.beganSeq > this.talk.beganSeq) return false;
    for (const other of unanswered) if (other !== this && !other.answered) return false;
    return true;
  }

  /** Its response goes on: what its process did up to here may matter to it. */
  look(seq: number): void {
    this.after = this.process.outOfSight();
    this.lookSeq = seq;
    this.names = this.process.names.table;
  }

  /** Pushing on an empty array makes room for seventeen. */
  add(call: Spoken): void {
    if (this.calls.length === 0) this.calls = [call];
    else this.calls.push(call);
  }

  /** False when it was not there. */
  drop(call: Spoken): boolean {
    const at = this.calls.indexOf(call);
    if (at < 0) return false;
    this.calls.splice(at, 1);
    return true;
  }

  get sure(): readonly Spoken[] {
    return this.calls.some(isUnsure) ? this.calls.filter((call) => !isUnsure(call)) : this.calls;
  }

  /** Calls that were tied to nobody while it went on, but those that were tied later. */
  get unattributed(): number {
    return (this.after ?? this.process.outOfSight()).unattributed - this.before.unattributed + this.fallen - this.resolved;
  }

  /** `call`, which had no tie, counts as unattributed for it. */
  counts(call: Spoken, { sinceSeq, countedSeq }: InDoubt): boolean {
    return countedSeq > 0 && call.beganSeq > this.talk.beganSeq && (this.after === undefined || sinceSeq <= this.lookSeq);
  }

  /** It may have made `call`, before it had answered. */
  mayMiss(call: Spoken): boolean {
    return call.beganSeq > this.talk.beganSeq && (!this.talk.over || call.beganSeq <= this.lookSeq);
  }

  /** What was undecided at its last look turns out to be no call, but a login that another thread made. */
  uncount({ sinceSeq }: InDoubt): void {
    if (this.after !== undefined && sinceSeq <= this.lookSeq) this.after = { ...this.after, unattributed: this.after.unattributed - 1 };
  }

  /** It may have made `call`, which began while it was open. */
  wasOpenAt(call: Spoken): boolean {
    return this.talk.beganSeq < call.beganSeq && (this.overSeq === 0 || call.beganSeq < this.overSeq);
  }

  /** A call, a datagram or a line in a log is tied to it: whether it is its own shows in how threads take requests. */
  get acted(): boolean {
    return this.calls.length > 0 || this.datagrams !== undefined || this.appends !== undefined;
  }

  /** Takes out the calls whose tie does not hold of what their thread has turned out to be. `early`: what was started for it may not have ended yet. */
  takeFallen(early: boolean): readonly Spoken[] {
    if (this.calls.length === 0 || !this.calls.some((call) => isFallen(call, early))) return NONE;
    const fallen = this.calls.filter((call) => isFallen(call, early));
    for (const call of fallen) {
      this.drop(call);
      this.process.background.saw(call);
    }
    return fallen;
  }

  /** Every talk in it is over, and what was sent is known to have been taken. */
  get settled(): boolean {
    if (!this.talk.settled) return false;
    for (const call of this.calls) if (!call.settled) return false;
    return true;
  }

  /** A call of it has no answer yet. */
  get calling(): boolean {
    for (const call of this.calls) if (!call.over && !call.responded) return true;
    return false;
  }
}

function isUnsure({ doubt }: Spoken): boolean {
  return doubt !== undefined && !doubt.judged;
}

function isFallen(call: Spoken, early: boolean): boolean {
  const { tie } = call;
  if (!call.called || tie === undefined) return false;
  const evidence = evidenceOf(tie, early);
  if (evidence === undefined) return true;
  if (isOfNoneThatWaits(call, tie)) return true;
  const { context, job } = tie;
  const { background, hindsights } = job.process;
  // What the process does by itself it may do at any time.
  if (evidence === elimination || (evidence === continuation && context.loops)) return background.has(call);
  return evidence === thread && context.loops && background.has(call) && !hindsights.some((kind) => kind.beginsWith?.(call, job) === true);
}
