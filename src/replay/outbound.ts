/** One connection that the SUT opened: its set-up is played, its requests are cut, and the engine's answers written. */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CONTINUE, expectsContinue, withoutContinue } from './continue.ts';
import { RequestCutter, type Cut } from './cutter.ts';
import { isBypassedOperation } from './bypass.ts';
import type { Answer, CallOwner, Engine } from './engine.ts';
import { withRecordedHost } from './host-header.ts';
import { resetNow } from './live-socket.ts';
import { paced } from './pace.ts';
import { inventedOpening, Opening } from './opening.ts';
import { RealCalls } from './passthrough.ts';
import type { LiveCall, World } from './played.ts';
import { loginIn } from './refused-logins.ts';
import { Replies } from './replies.ts';
import { settingsOf, type Settings } from './settings.ts';
import type { Setup } from './setups.ts';
import type { LiveStatements, Said } from './statements/statements.ts';

/** A request that is longer than this and not whole yet is given up: nobody recorded that much. */
const MAX_PENDING_BYTES = 256 << 20;
/** A pause that ends a request whose end framing can't tell (koala's figure). */
const REQUEST_QUIET_MS = 20;
/** Between the last byte of an answer and the reset that broke it off. */
const RESET_AFTER_MS = 30;
/** Enough of a stranger's first bytes to recognise its protocol by. */
const RECOGNISE_BYTES = 4_096;

export interface OutboundOptions {
  readonly engine: Engine;
  /** Canonical "IP:PORT" (or "NAME:PORT"), or "unix:/path". */
  readonly destination: string;
  /** 0 for a unix socket. */
  readonly serverPort: number;
  /** Whose call the bytes at this position of the client's stream are, where that can be told. */
  ownerAt?(position: number): CallOwner | undefined;
  /** Told of a call that nothing recorded answers, and that the real server was asked: whether that answered. */
  passedOn?(call: LiveCall, answered: boolean): void;
  /** The way to the real server, for what is let through; undefined (said why) when there is none. */
  real(): Promise<Socket | undefined>;
  readonly world: Pick<World, 'onMiss' | 'bypassed' | 'pace' | 'answerMs' | 'quietMs'> & Partial<Pick<World, 'moved' | 'hosts'>>;
  /** Bytes of a request that is not whole; default 256 MiB. */
  readonly maxPendingBytes?: number;
  /** Something a person should know, once. */
  note(text: string): void;
}

/** A request, in its plain form, that is asked of the engine. */
interface Asked {
  readonly plain: Uint8Array;
  /** Where it begins in the client's stream. */
  readonly from: number;
  readonly oneway: boolean;
  readonly setup: boolean;
}

export class OutboundConnection {
  readonly #socket: Socket;
  readonly #options: OutboundOptions;
  readonly #setup: Setup | undefined;
  #protocol: string | undefined;
  #cutter: RequestCutter;
  #statements: LiveStatements | undefined;
  #settings: Settings | undefined;
  /** Nothing but what drivers say of a new connection was said yet; and what of that may be a call's. */
  #opening: Opening | undefined;
  #held: Asked[] = [];
  /** The client's bytes of the login so far; undefined once it is in. */
  #login: Uint8Array | undefined;
  #first = Buffer.alloc(0);
  #timer: NodeJS.Timeout | undefined;
  /** We said "100 Continue" ourselves, so the recorded one is left out. */
  #continued = false;
  #closed = false;
  readonly #replies = new Replies();
  #realCalls: RealCalls | undefined;

  constructor(socket: Socket, options: OutboundOptions) {
    this.#socket = socket;
    this.#options = options;
    const { engine, destination } = options;
    this.#protocol = engine.protocolOf(destination);
    this.#cutter = this.#newCutter();
    this.#setup = engine.setupFor(destination);
    const login = this.#setup?.login;
    if (login !== undefined) this.#login = new Uint8Array(0);
    const greeting = login?.greeting ?? this.#setup?.greeting;
    if (!this.#turnAway() && greeting !== undefined) this.#say(greeting);
    if (login?.invented === true) options.note(`${destination}: no login was recorded; one was invented`);
    socket.on('data', (bytes: Buffer) => { this.#heard(bytes); });
    socket.on('end', () => { this.#heardEnd(); });
    socket.on('error', () => { this.#over(); });
    socket.on('close', () => { this.#over(); });
    socket.setNoDelay(true);
  }

  /** Bytes of a request that is not whole yet. */
  get pendingBytes(): number {
    return this.#closed ? 0 : this.#cutter.pendingBytes + (this.#replies.waiting ? 1 : 0);
  }

  close(): void {
    this.#over();
    this.#socket.destroy();
  }

  #newCutter(base = 0): RequestCutter {
    const { engine, destination } = this.#options;
    const protocol = this.#protocol === undefined ? undefined : engine.knowledge.protocol(this.#protocol);
    this.#statements = this.#protocol === undefined ? undefined : engine.statementsFor(destination, this.#protocol);
    this.#settings = this.#protocol === undefined ? undefined : settingsOf(this.#protocol);
    this.#opening = this.#protocol === undefined || this.#statements === undefined || this.#mayPassOn ? undefined : new Opening(this.#protocol);
    return new RequestCutter(protocol?.framer(), base);
  }

  #heard(bytes: Buffer): void {
    clearTimeout(this.#timer);
    let rest: Uint8Array = bytes;
    if (this.#login !== undefined) {
      const after = this.#admit(bytes);
      if (after === undefined) return;
      rest = after;
    }
    if (this.#protocol === undefined) this.#recognise(bytes);
    for (const cut of this.#cutter.push(rest)) this.#answer(cut);
    this.#lookAtRest();
  }

  /** Plays the login; the bytes after it, once it is over. */
  #admit(bytes: Uint8Array): Uint8Array | undefined {
    let unread: Uint8Array = this.#login?.length === 0 ? bytes : Buffer.concat([this.#login ?? [], bytes] as Uint8Array[]);
    for (;;) {
      const step = this.#setup?.login?.step(unread);
      if (step === undefined) {
        this.#login = unread;
        return undefined;
      }
      const said = unread.subarray(0, step.consumed);
      const refused = step.done ? this.#refused(said) : undefined;
      this.#cutter.push(said);
      this.#cutter.take();
      if (refused !== undefined) {
        this.#reply(refused.bytes, { ...refused, then: 'fin' });
        this.#closed = true;
        return undefined;
      }
      this.#say(step.answer);
      if (step.done) this.#settings?.logIn(said);
      unread = unread.subarray(step.consumed);
      if (step.done) {
        this.#login = undefined;
        return unread;
      }
    }
  }

  /** In place of the greeting it gets the error that was recorded there; whose connection it is, nobody can tell before it speaks. */
  #turnAway(): boolean {
    const { engine, destination } = this.#options;
    const refused = engine.refusedLogin({ destination, protocol: this.#protocol ?? 'unknown', bytes: new Uint8Array(0), oneway: false, setup: true });
    if (refused === undefined) return false;
    this.#reply(refused.bytes, { ...refused, then: 'fin' });
    this.#closed = true;
    return true;
  }

  /** The error that this login got when recorded. */
  #refused(said: Uint8Array): Answer | undefined {
    const { engine, destination, ownerAt } = this.#options;
    const protocol = this.#setup?.protocol ?? 'unknown';
    const bytes = loginIn(protocol, said);
    if (bytes === undefined) return undefined;
    const owner = ownerAt?.(this.#cutter.position);
    return engine.refusedLogin({ destination, protocol, bytes, oneway: false, setup: true, ...(owner === undefined ? {} : { owner }) });
  }

  #recognise(bytes: Buffer): void {
    if (this.#first.length >= RECOGNISE_BYTES) return;
    this.#first = Buffer.concat([this.#first, bytes]);
    const { engine, serverPort } = this.#options;
    this.#protocol = engine.knowledge.recognise(this.#first, serverPort);
    if (this.#protocol === undefined) return;
    const pending = this.#cutter.pending();
    this.#cutter = this.#newCutter(this.#cutter.position);
    if (pending.length > 0) for (const cut of this.#cutter.push(pending)) this.#answer(cut);
  }

  /** What framing left over: a whole request by content, the beginning of one, or a client that waits for "100 Continue". */
  #lookAtRest(): void {
    if (this.#closed || this.#cutter.pendingBytes === 0) return;
    if (this.#cutter.pendingBytes > (this.#options.maxPendingBytes ?? MAX_PENDING_BYTES)) {
      this.#options.note(`${this.#options.destination}: a request of more than ${(this.#options.maxPendingBytes ?? MAX_PENDING_BYTES) >> 20} MiB that does not end was hung up on`);
      this.#over();
      resetNow(this.#socket);
      return;
    }
    if (!this.#cutter.sure && this.#isWhole()) this.#answer(this.#cutter.take());
    else this.#timer = setTimeout(() => { this.#quiet(); }, REQUEST_QUIET_MS);
  }

  #isWhole(): boolean {
    return this.#options.engine.isWhole(this.#options.destination, this.#cutter.pending());
  }

  #quiet(): void {
    if (!this.#cutter.sure || this.#isWhole()) {
      this.#answer(this.#cutter.take());
    } else if (this.#protocol === 'http' && !this.#continued && expectsContinue(this.#cutter.pending())) {
      this.#continued = true;
      this.#say(CONTINUE);
    }
  }

  #answer({ request, from, oneway, setup }: Cut): void {
    if (this.#closed) return;
    const { destination, world: { moved, hosts } } = this.#options;
    const asked = this.#protocol === 'http' ? withRecordedHost(request, moved, hosts?.[destination]) : request;
    const said = this.#statements?.read(asked) ?? { plain: asked, tell: (bytes: Uint8Array) => bytes };
    if ('settled' in said) {
      const { settled } = said;
      this.#replies.add(() => { this.#say(settled); });
      return;
    }
    if (this.#opens(said, from, setup)) return;
    if (setup) {
      if (this.#mayPassOn) this.#real().setUp(request);
    } else if (isBypassedOperation(this.#options.world.bypassed, this.#protocol ?? 'unknown', request)) {
      this.#passOn(request, { bytes: new Uint8Array(0), then: 'reset' });
      return;
    }
    if (setup) this.#settings?.hear(said.plain);
    const answer = this.#ask({ plain: said.plain, from, oneway, setup });
    const told = said.tell(answer.bytes, answer.missed === true);
    if (answer.missed === true && this.#options.world.onMiss === 'passthrough') {
      this.#passOn(request, { bytes: told, then: answer.then }, answer.call);
      return;
    }
    const bytes = this.#continued ? withoutContinue(told) : told;
    this.#continued = false;
    this.#reply(bytes, answer);
  }

  #ask({ plain, from, oneway, setup }: Asked): Answer {
    const { engine, destination } = this.#options;
    const owner = setup ? undefined : this.#options.ownerAt?.(from);
    const settings = setup ? undefined : this.#settings?.text;
    return engine.ask({
      destination, protocol: this.#protocol ?? 'unknown', bytes: plain, oneway, setup,
      ...(owner === undefined ? {} : { owner }), ...(settings === undefined ? {} : { settings }),
    });
  }

  /** True where it was said because the connection is new, or may have been, and is answered. See `opening.ts`. */
  #opens(said: Extract<Said, { plain: Uint8Array }>, from: number, setup: boolean): boolean {
    const opening = this.#opening;
    if (opening === undefined || (setup && this.#held.length === 0)) return false;
    const { engine, destination, note } = this.#options;
    const protocol = this.#protocol ?? 'unknown';
    const step = setup ? 'over' : opening.hear(said.plain);
    const recorded = step === 'inquires' ? engine.inquire(destination, said.plain) : undefined;
    const answer = step === 'over' ? undefined : recorded ?? inventedOpening(protocol, said.plain);
    if (answer === undefined) {
      // A call's: so is what was held, which is asked for now, and was answered as any server does.
      this.#opening = undefined;
      for (const held of this.#held.splice(0)) this.#ask(held);
      return false;
    }
    if (step === 'holds') this.#held.push({ plain: said.plain, from, oneway: false, setup: false });
    if (step === 'ends') this.#held = [];
    if (step === 'inquires' && recorded === undefined) note(`${destination}: what drivers ask a new connection was not recorded; answers were invented`);
    const told = said.tell(opening.told(answer), false);
    this.#replies.add(() => { this.#say(told); });
    return true;
  }

  /** Says it at its pace, after what was asked for before, and then does with the connection what was recorded. */
  #reply(bytes: Uint8Array, { then, talk }: Pick<Answer, 'then' | 'talk'>): void {
    const { pace } = this.#options.world;
    if (talk === undefined || (pace.latency === 0 && !pace.chunks)) this.#replies.add(() => { this.#say(bytes); });
    else for (const step of paced(bytes, talk, pace)) this.#replies.add(() => { this.#say(step.bytes); }, () => sleep(step.afterMs));
    if (then === 'fin') this.#replies.add(() => { this.#socket.end(); });
    if (then === 'reset') this.#replies.add(() => { this.#reset(); });
  }

  /** Asks the real server; `otherwise` is the answer where none is to be had. */
  #passOn(request: Uint8Array, otherwise: Pick<Answer, 'bytes' | 'then'>, call?: LiveCall): void {
    const { destination, note } = this.#options;
    this.#continued = false;
    if (this.#setup?.login !== undefined) note(`${destination}: its login can't be passed on, so its calls can't; --bypass ${destination} passes on whole connections`);
    const asked = this.#setup?.login !== undefined ? Promise.resolve(undefined) : this.#real().ask(request);
    this.#replies.add((answer) => {
      if (call !== undefined) this.#options.passedOn?.(call, answer !== undefined);
      this.#say(answer?.bytes ?? otherwise.bytes);
      if (answer?.ended === true || (answer === undefined && otherwise.then === 'fin')) this.#socket.end();
      if (answer === undefined && otherwise.then === 'reset') this.#reset();
    }, () => asked);
  }

  /** Some call may have to be asked of the real server, on a connection that is set up likewise. */
  get #mayPassOn(): boolean {
    const { onMiss, bypassed: { operations } } = this.#options.world;
    return onMiss === 'passthrough' || operations.length > 0;
  }

  #real(): RealCalls {
    const { engine, world: { answerMs, quietMs }, real } = this.#options;
    const protocol = this.#protocol === undefined ? undefined : engine.knowledge.protocol(this.#protocol);
    return (this.#realCalls ??= new RealCalls({ connect: real, protocol, answerMs, quietMs }));
  }

  #say(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#cutter.answered(bytes);
    this.#socket.write(bytes);
  }

  /** After the client has had time to read what came before: some runtimes (libuv) take both at once for an orderly end. */
  #reset(): void {
    this.#closed = true;
    const later = (): void => { setTimeout(() => { resetNow(this.#socket); }, RESET_AFTER_MS); };
    if (this.#socket.writableLength === 0) later();
    else this.#socket.write(new Uint8Array(0), later);
  }

  #heardEnd(): void {
    clearTimeout(this.#timer);
    for (const cut of this.#cutter.end()) this.#answer(cut);
    if (this.#cutter.pendingBytes > 0 && this.#login === undefined) this.#answer(this.#cutter.take());
    for (const held of this.#held.splice(0)) this.#ask(held);
    this.#replies.add(() => { this.#socket.end(); });
  }

  #over(): void {
    this.#closed = true;
    this.#realCalls?.close();
    clearTimeout(this.#timer);
  }
}
