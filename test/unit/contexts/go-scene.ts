/** Scenes of Go programs, and what their sessions came to. */
import type { GoroutineRole } from '../../../src/events/event.ts';
import type { Session } from '../../../src/sessions/session.ts';
import { GET, OK, Scene, textOf } from '../sessions/scene.ts';

/** `/path: /call attribution certainty, …` for each session. */
const told = (sessions: readonly Session[]): string[] => sessions.map((session) => {
  const calls = session.outbound.map((call) => `${/\/\w*/.exec(textOf(call.request))?.[0]} ${call.attribution} ${call.certainty}`);
  return `${/\/\w*/.exec(textOf(session.inbound.request))?.[0]}: ${calls.join(', ')}`;
});

interface Begin {
  readonly parent?: number;
  readonly role?: GoroutineRole;
  readonly runs?: string;
  /** It is only met now. */
  readonly met?: true;
}

/** A Go program: goroutines run on whichever of two threads comes next. */
export class GoScene extends Scene {
  #turn = 0;

  thread(): number {
    this.#turn += 1;
    return 501 + (this.#turn % 2);
  }

  begin(context: number, { parent = 1, role = 'other', runs = 'f00', met }: Begin = {}): this {
    this.nowUs += 10;
    return this.add({ kind: 'goroutine', atUs: this.nowUs, tgid: this.tgid, tid: this.thread(), context, snapshot: false, parent, function: runs, role, began: met === undefined });
  }

  onBehalf(context: number, whose: number): this {
    this.nowUs += 10;
    return this.add({ kind: 'on-behalf', atUs: this.nowUs, tgid: this.tgid, tid: this.thread(), context, snapshot: false, whose });
  }

  /** Goroutine `context` serves the connection that it accepts. */
  serve(connection: number, context: number): this {
    return this.begin(context, { role: 'serves', runs: '5e0' }).accept(connection, this.thread(), { context });
  }

  gets(connection: number, context: number, path: string): this {
    return this.read(connection, this.thread(), GET(path), { context });
  }

  answers(connection: number, context: number): this {
    return this.write(connection, this.thread(), OK('x'), { context });
  }

  dial(connection: number, context: number): this {
    return this.connect(connection, this.thread(), { context });
  }

  asks(connection: number, context: number, path: string): this {
    return this.write(connection, this.thread(), GET(path), { context });
  }

  isAnswered(connection: number, context: number): this {
    return this.read(connection, this.thread(), OK('u'), { context });
  }

  calls(connection: number, context: number, path: string): this {
    return this.asks(connection, context, path).isAnswered(connection, context);
  }

  /** As many goroutines of one kind as prove that they end with their session. */
  ended(runs = 'f00'): this {
    this.serve(900, 9_000).dial(901, 9_000);
    for (let n = 0; n < 16; n += 1) {
      this.gets(900, 9_000, '/before').begin(9_001 + n, { parent: 9_000, runs }).calls(901, 9_001 + n, '/b').answers(900, 9_000);
    }
    return this.close(900).close(901);
  }

  told(): string[] {
    return told(this.derive().sessions).filter((line) => !line.startsWith('/before'));
  }
}
