/** One socket's life: what is known of it, its two streams, and how it ended. */
import type { CloseEvent, OpenEvent } from '../events/event.ts';
import type { ConnectionAccount } from './account.ts';
import { Egress } from './egress.ts';
import { endpointText } from './endpoint.ts';
import { Ingress } from './ingress.ts';
import type { LossLedger } from './loss.ts';
import type { ConnectionEnd, StreamSink } from './sink.ts';

export const errno = { EPIPE: 32, ECONNRESET: 104, ETIMEDOUT: 110, ECONNREFUSED: 111, EHOSTUNREACH: 113, ENETUNREACH: 101 } as const;

/** As its talks show it. */
export interface ShownConnection {
  readonly id: string;
  /** "IP:PORT", "[v6]:PORT" or "unix:/path". */
  readonly local: string;
  readonly remote: string;
  readonly protocol: string;
}

export class Connection {
  readonly number: number;
  /** `number` as text: the contract's id. */
  readonly id: string;
  readonly open: OpenEvent;
  readonly local: string;
  readonly remote: string;
  /** The thread that accepted or connected it; 0 where it was there before the recorder. */
  readonly openerTid: number;
  /** Undefined until it is asked for, where only the listeners can tell. */
  role: 'inbound' | 'outbound' | undefined;
  /** Sessions that it carries (inbound) or that call on it (outbound). */
  sessions = 0;
  /** Its open was lost: role and endpoints are guesses. */
  guessed = false;
  /** Framing has followed it: in spite of a lost open it is known who asks and who answers. */
  framed = false;
  /** It carries several calls at a time, and is cut into them. */
  multiplexed = false;
  /** Inbound: the work that its last request is, as whoever ties it has it, and the thread that read it. */
  work: { readonly answered: boolean } | undefined;
  readerTid = 0;
  /** Inbound: counted among those that the thread which accepted it holds. */
  held = false;
  /** TLS: the name that was asked for. */
  serverName: string | undefined;
  /** Set by whoever cuts it into talks, before the first event. */
  sink!: StreamSink;
  /** Of its process; empty until that is known. */
  command: string;
  ingress!: Ingress;
  egress!: Egress;
  #shown: ShownConnection | undefined;
  #localFin = false;
  #remoteFin = false;
  #firstFin: 'local' | 'remote' | undefined;
  #end: ConnectionEnd | undefined;
  #closedAtUs: number | undefined;

  constructor(open: OpenEvent) {
    this.open = open;
    this.number = open.connection;
    this.id = String(open.connection);
    this.command = open.command;
    this.local = endpointText(open.local);
    this.remote = endpointText(open.remote);
    this.openerTid = open.learnt === 'seen' || open.snapshot ? 0 : open.tid;
    this.role = open.role !== 'unknown' ? open.role : open.learnt === 'seen' ? undefined : open.learnt === 'accept' ? 'inbound' : 'outbound';
  }

  /** From here on events may come. An open that repeats a dropped segment's says nothing of where the streams stood. */
  start(sink: StreamSink, ledger: LossLedger, digests: boolean): void {
    const { snapshot, ingressFrom, egressFrom } = this.open;
    this.sink = sink;
    this.ingress = new Ingress(snapshot ? undefined : ingressFrom, digests, ledger, sink);
    this.egress = new Egress(snapshot ? undefined : egressFrom, digests, ledger, sink);
  }

  /** The recorder saw it from its first byte. */
  get whole(): boolean {
    return !this.open.snapshot && this.open.learnt !== 'seen';
  }

  get serverPort(): number {
    return this.role === 'inbound' ? this.open.local.port : this.open.remote.port;
  }

  /** The local side will send no more. */
  get localFin(): boolean {
    return this.#localFin;
  }

  /** The peer will send no more. */
  get remoteFin(): boolean {
    return this.#remoteFin;
  }

  get end(): ConnectionEnd | undefined {
    return this.#end;
  }

  /** Nobody says when a unix socket is closed, or late; its peer is done with it at least when it sends no more. */
  get endedForSure(): boolean {
    return this.#localFin || this.#end !== undefined || (this.#remoteFin && this.open.family === 'unix');
  }

  /** What was asked or said on it can't be told from its opposite: its open was lost, and no protocol speaks for it. */
  get isGuess(): boolean {
    return this.guessed && !this.framed;
  }

  /** Made once: talks of the same protocol share it. */
  shown(protocol: string): ShownConnection {
    if (this.#shown?.protocol === protocol) return this.#shown;
    return (this.#shown = { id: this.id, local: this.local, remote: this.remote, protocol });
  }

  /** True when the connection is over and can be forgotten. */
  close(event: CloseEvent): boolean {
    const { atUs, tid, phase } = event;
    if (phase === 'failed') {
      this.#closedAtUs = atUs;
      this.#end = { kind: failureOf(event.error), by: event.error === errno.ETIMEDOUT ? 'local' : 'remote', errno: event.error };
      this.sink.closed(this.#end);
      return true;
    }
    if (phase === 'stands') {
      // A send that was under way when the probes went is in the record before it is in the kernel's count.
      this.egress.flush();
      this.egress.stands(Math.max(event.egressFinal, this.egress.account.next), true, atUs, tid);
      this.ingress.advance(event.ingressFinal, atUs, tid);
      return false;
    }
    if (phase === 'local-fin') this.#localFin = true;
    if (phase === 'remote-fin') this.#remoteFin = true;
    if (phase !== 'done') {
      if (phase === 'remote-fin') this.ingress.settle();
      this.#firstFin ??= phase === 'local-fin' ? 'local' : 'remote';
      // The other side's FIN may come in the midst of a send, whose bytes are in the record before they are in the kernel's count.
      if (phase === 'local-fin' || event.egressFinal >= this.egress.announced) this.egress.stands(event.egressFinal, false, atUs, tid);
      if (phase === 'local-fin' && this.egress.account.next >= event.egressFinal) this.sink.finished('egress');
      return false;
    }
    this.#closedAtUs = atUs;
    this.#end = this.#endOf(event);
    this.egress.stands(event.egressFinal, true, atUs, tid);
    if (this.ingress.account.from === undefined) this.ingress.account.next = Math.max(this.ingress.account.next, event.ingressFinal);
    this.ingress.advance(event.ingressFinal, atUs, tid);
    this.sink.finished('egress');
    this.sink.finished('ingress');
    this.sink.closed(this.#end);
    return true;
  }

  /** The recording ends while it lives. */
  stop(): void {
    this.egress.stop();
    this.ingress.settle();
    this.sink.closed(undefined);
  }

  account(): ConnectionAccount {
    const { open } = this;
    return {
      id: this.id,
      role: this.role ?? 'outbound',
      tgid: open.tgid,
      command: this.command,
      local: this.local,
      remote: this.remote,
      learnt: open.learnt,
      openedAtUs: open.atUs,
      ...(this.#closedAtUs === undefined ? {} : { closedAtUs: this.#closedAtUs }),
      ingress: this.ingress.account.state(),
      egress: this.egress.account.state(),
      end: this.#end?.kind ?? 'open',
      sessions: this.sessions,
    };
  }

  #endOf(event: CloseEvent): ConnectionEnd {
    const { error, reset } = event;
    if (error === errno.ETIMEDOUT) return { kind: 'timeout', by: 'remote', errno: error };
    if (reset || error === errno.ECONNRESET || error === errno.EPIPE) {
      return { kind: 'reset', by: event.byRemote ? 'remote' : 'local', ...(error === 0 ? {} : { errno: error }) };
    }
    return { kind: 'fin', by: this.#firstFin ?? (event.byRemote ? 'remote' : 'local') };
  }
}

function failureOf(error: number): ConnectionEnd['kind'] {
  if (error === errno.ECONNREFUSED) return 'refused';
  if (error === errno.ETIMEDOUT) return 'timeout';
  if (error === errno.EHOSTUNREACH || error === errno.ENETUNREACH) return 'unreachable';
  if (error === errno.ECONNRESET) return 'reset';
  return 'failed';
}
