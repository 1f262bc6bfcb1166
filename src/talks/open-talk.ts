/** A talk while it goes on. */
import type { Connection } from '../connections/connection.ts';
import type { ConnectionEnd } from '../connections/sink.ts';
import type { Fields, Protocol } from '../protocols/protocol.ts';
import { traceMarks } from '../protocols/trace-marks.ts';
import type { TraceMarks } from '../protocols/trace-marks.ts';
import { Run } from './run.ts';
import type { Talk } from './talk.ts';

export class OpenTalk {
  readonly connection: Connection;
  readonly inbound: boolean;
  readonly request = new Run();
  readonly response = new Run();
  /** When its first system call began, and whose it was. */
  begunAtUs: number;
  begunTgid: number;
  protocol: Protocol | undefined;
  /** No more of the request (the response) will come. */
  requestDone = false;
  responseDone = false;
  /** An answer has begun. */
  responded = false;
  /** Who writes on its connection opened it for another, and was told to by whom: nobody else has a part in it. */
  handedOver = false;
  /** Nothing more will come. */
  over = false;
  /** Over, and the kernel is known to have taken every byte that was sent. */
  settled = false;
  /** Its request is known to be a call. */
  called = false;
  /** Sets the connection up: part of the prologue. */
  setup = false;
  /** As of a frame: no call, whatever comes of it. */
  negotiates = false;
  /** There is no request: the server spoke unasked, or the recorder came too late to see what was asked. */
  unasked = false;
  /** Framing follows it: its beginning and its end are known, not presumed. */
  framed = false;
  /** The first talk of a connection that the recorder met in mid-stream: its beginning is presumed. */
  joined = false;
  /** Of a connection that is older than the recorder: its protocol says that its request refers to nothing that was not seen. */
  standsAlone = false;
  /** Framing has said where its request ends. */
  requestFramed = false;
  /** The talk before it on its connection lacks bytes in such a way that where this one begins is presumed. */
  doubtful = false;
  /** Why it could not be followed to its end by framing, for people. */
  unframed: string | undefined;
  end: ConnectionEnd | undefined;
  /** Header fields that its bytes don't show by themselves: HTTP/2's refer to what the connection said before. */
  fields: Mutable<Fields> | undefined;
  /** Egress from this position on is the next talk's. Undefined: not known yet. */
  cutAt: number | undefined;

  marked: TraceMarks | undefined;

  constructor(connection: Connection, inbound: boolean, atUs: number, tgid: number) {
    this.connection = connection;
    this.inbound = inbound;
    this.begunAtUs = atUs;
    this.begunTgid = tgid;
  }

  get sent(): Run {
    return this.inbound ? this.response : this.request;
  }

  get received(): Run {
    return this.inbound ? this.request : this.response;
  }

  get empty(): boolean {
    return this.request.empty && this.response.empty;
  }

  /** Which request it says that it is for. Read once: asked for when its request is whole. */
  get marks(): TraceMarks {
    return (this.marked ??= traceMarks(this.protocol?.name ?? 'unknown', this.request, this.fields?.request));
  }

  /** Built field by field: this runs once a talk, and spreads cost more than all the rest of it. */
  finished(): Mutable<Talk> {
    const talk: Mutable<Talk> = {
      connection: this.connection.shown(this.protocol?.name ?? 'unknown'),
      request: this.request.chunks(),
      response: this.response.chunks(),
    };
    if (this.fields !== undefined) talk.fields = this.fields;
    if (this.end !== undefined) talk.end = this.end;
    return talk;
  }
}

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };
