/**
 * How many events a second the tracker alone takes on one core (src/contexts/contexts.ts): who reads a request, calls, is answered, responds.
 * What reads and cuts the bytes of these events is not in it (bench/derive.ts has all). Shapes: a thread for each request (`threads`);
 * 64 requests on their way in one event loop (`loop`); goroutines that serve, which begin one that calls, whose requests a pooled
 * connection's own goroutine writes (`go`). In CPU time of the whole process, so that a busy machine doesn't show.
 *
 *   node --expose-gc --import tsx bench/contexts.ts [--events N] [--json]
 */
import type { Job } from '../src/contexts/context.ts';
import { Contexts } from '../src/contexts/contexts.ts';
import { Discipline } from '../src/contexts/discipline.ts';
import type { GoroutineRole } from '../src/events/event.ts';

const TGID = 1_000;
const LANES = 64;
/** Of goroutines. */
const SERVES = 100;
const WRITES = 500;

class Request implements Job {
  answered = false;
  done = false;
  gone = false;
  readonly isOnlyOneToAct = false;
  readonly handedOn = false;
}

class Tracked {
  readonly contexts = new Contexts<Request>(() => undefined, () => this.nowUs);
  readonly discipline = new Discipline<Request>();
  nowUs = 1_700_000_000_000_000;
  events = 0;
  calls = 0;
  tied = 0;

  /** Each event looks up who did it, as the weaver does. */
  #of(tid: number): ReturnType<Contexts<Request>['of']> {
    this.events += 1;
    this.nowUs += 4;
    return this.contexts.of(tid, TGID);
  }

  reads(tid: number): Request {
    const request = new Request();
    this.contexts.readRequest(this.#of(tid), request, this.discipline, false, false);
    return request;
  }

  /** Returns whose it is. */
  calling(tid: number): Request | undefined {
    const context = this.#of(tid);
    const job = this.contexts.tie(context, undefined)?.job;
    context.act();
    this.calls += 1;
    if (job !== undefined) this.tied += 1;
    return job;
  }

  answer(tid: number, of: Request | undefined): void {
    this.contexts.readAnswer(this.#of(tid), of, false);
  }

  respond(tid: number, request: Request): void {
    const context = this.#of(tid);
    request.answered = true;
    this.contexts.respond(context, request, false);
  }

  meet(id: number, parent: number, role: GoroutineRole): void {
    this.events += 1;
    const event = { kind: 'goroutine', atUs: this.nowUs, tgid: TGID, tid: 1, context: id, snapshot: false, parent, function: role, role, began: true } as const;
    const goroutine = this.contexts.goroutines.met(event);
    if (goroutine !== undefined) this.contexts.begun(goroutine, TGID, true);
  }

  handOver(writer: number, whose: number, answered: number): void {
    this.events += 1;
    this.contexts.goroutines.onBehalf({ kind: 'on-behalf', atUs: this.nowUs, tgid: TGID, tid: 1, context: writer, snapshot: false, whose });
    this.contexts.goroutines.sends(TGID, writer, answered);
  }

  numberOf(goroutine: number): number {
    return this.contexts.goroutines.standing(TGID, goroutine).number;
  }
}

type Shape = (tracked: Tracked, round: number) => void;

const threads: Shape = (tracked) => {
  for (let tid = 10; tid < 10 + LANES; tid += 1) {
    const request = tracked.reads(tid);
    for (let call = 0; call < 2; call += 1) tracked.answer(tid, tracked.calling(tid));
    tracked.respond(tid, request);
    request.gone = true;
  }
};

const loop: Shape = (tracked) => {
  const waiting: { readonly request: Request; readonly of: Request | undefined }[] = [];
  for (let lane = 0; lane < LANES; lane += 1) waiting.push({ request: tracked.reads(10), of: tracked.calling(10) });
  for (const { request, of } of waiting) {
    tracked.answer(10, of);
    tracked.answer(10, tracked.calling(10));
    tracked.respond(10, request);
    request.gone = true;
  }
};

const go: Shape = (tracked, round) => {
  for (let lane = 0; lane < LANES; lane += 1) {
    const serves = SERVES + lane;
    const writes = WRITES + lane;
    if (round === 0) {
      tracked.meet(serves, 1, 'serves');
      tracked.meet(writes, 1, 'writes-for');
    }
    const request = tracked.reads(tracked.numberOf(serves));
    const begun = 1_000 + round * LANES + lane;
    tracked.meet(begun, serves, 'other');
    for (const whose of [serves, begun]) {
      tracked.handOver(writes, whose, round);
      tracked.calling(tracked.numberOf(writes));
    }
    tracked.respond(tracked.numberOf(serves), request);
    request.gone = true;
  }
};

const wanted = Number(process.argv[process.argv.indexOf('--events') + 1]) || 5_000_000;
const json = process.argv.includes('--json');
if (!json) console.log('shape      events/s     calls tied');
for (const [name, shape] of Object.entries({ threads, loop, go })) {
  const tracked = new Tracked();
  globalThis.gc?.();
  const start = process.cpuUsage();
  for (let round = 0; tracked.events < wanted; round += 1) shape(tracked, round);
  const { user, system } = process.cpuUsage(start);
  const eventsPerSecond = Math.round(tracked.events / ((user + system) / 1e6));
  const share = tracked.tied / tracked.calls;
  if (json) console.log(JSON.stringify({ bench: 'contexts', shape: name, eventsPerSecond, tied: share }));
  else console.log(`${name.padEnd(10)} ${String(eventsPerSecond).padEnd(12)} ${(share * 100).toFixed(1)}%`);
}
