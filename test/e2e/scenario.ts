/** One load on one service, recorded, exported and scored, part by part. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AmbientJson, ConnectionJson, SessionJson } from './contract.ts';
import { derivedWithoutIds } from './hidden.ts';
import { connections, exported, Recorder, type Summary } from './recorder.ts';
import { score, type Score, type Truth } from './score.ts';
import { Clients, type Exchange } from './services/client.ts';
import { family, removeUnlessKept, temporaryDir } from './services/daemon.ts';
import { ridMaker } from './services/rid.ts';
import type { Part, Service } from './services/service.ts';


export interface ScenarioOptions {
  readonly requests: number;
  /** So many of them are sent one at a time, before the others: what an endpoint does alone can be learnt from them. */
  readonly alone?: number;
  /** How many clients at once. */
  readonly clients: number;
  /** Ids of calls that belong to no request: right in no session. */
  readonly background?: readonly string[];
  /** Send a first load before the recorder comes: every pooled and kept-alive connection is older than the recording. */
  readonly warm: boolean;
  /** Further flags of `attach`. */
  readonly flags?: readonly string[];
}

export interface PartResult {
  readonly part: Part;
  readonly sessions: readonly SessionJson[];
  readonly ambient: readonly AmbientJson[];
  readonly truths: readonly Truth[];
  readonly score: Score;
  /** The same with the ids hidden from what ties calls. */
  readonly hidden: Score;
}

export interface ScenarioResult {
  readonly exchanges: readonly Exchange[];
  /** The exchanges before the recorder came, on the same connections. */
  readonly earlier: readonly Exchange[];
  /** What the recording says of the connections that the clients made. */
  readonly clientConnections: readonly ConnectionJson[];
  readonly parts: readonly PartResult[];
  readonly summary: Summary;
  /** Calls by the service's own design that a dependency's log does not show, or the other way round: must be empty. */
  readonly truthErrors: readonly string[];
}

/** Starts the service, loads it under the recorder, and stops everything again, whatever happens. */
export async function runScenario(make: () => Promise<Service>, options: ScenarioOptions): Promise<ScenarioResult> {
  const service = await make();
  const dir = temporaryDir('recording');
  const clients = new Clients(service.port, options.clients, { keepAlive: service.keepAlive });
  let recorder: Recorder | undefined;
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => stopped ??= service.stop();
  try {
    const ridAt = ridMaker();
    let earlier: Exchange[] = [];
    if (options.warm) {
      earlier = await clients.send(Array.from({ length: 4 * options.clients }, (_, index) => service.ask(ridAt(9_000 + index), index)));
      await allAnswered(service, earlier);
      await sleep(300);
    }
    recorder = await Recorder.attach(service.parts.map((part) => part.pid), join(dir, 'rec'), options.flags);
    const asked = Array.from({ length: options.requests }, (_, index) => service.ask(ridAt(index), index));
    const exchanges: Exchange[] = [];
    for (const alone of asked.splice(0, options.alone ?? 0)) exchanges.push(...await clients.send([alone]));
    exchanges.push(...await clients.send(asked));
    const truths = await allAnswered(service, exchanges);
    const families = service.parts.map((part) => family(part.pid));
    const summary = await recorder.stop();
    clients.close();
    const recording = join(dir, 'rec');
    // All at once: each is a process of its own, or waits for one, but for the derivation here.
    const [{ sessions, ambient }, recorded, hidden] = await Promise.all([
      exported(recording), connections(recording), Promise.resolve().then(() => derivedWithoutIds(recording)), stop(),
    ]);
    const parts = service.parts.map((part, index): PartResult => {
      const mine = families[index]!;
      const own = (all: readonly SessionJson[]): SessionJson[] => all.filter((session) => mine.has(session.process.tgid));
      // Of programs that a part ran, and that are over, nobody can say whose they were, unless there is one part only.
      const rest = (all: readonly AmbientJson[]): AmbientJson[] => all.filter((talk) => mine.has(talk.tgid) || families.length === 1);
      const scored = (from: typeof hidden): Score => score(own(from.sessions), rest(from.ambient), truths[index]!, options.background);
      return { part, sessions: own(sessions), ambient: rest(ambient), truths: truths[index]!, score: scored({ sessions, ambient }), hidden: scored(hidden) };
    });
    const front = `127.0.0.1:${service.port}`;
    const clientConnections = recorded.filter((each) => each.local === front);
    return { exchanges, earlier, clientConnections, parts, summary, truthErrors: [...notAsked(recorder), ...truthErrors(service, exchanges, truths.flat())] };
  } finally {
    recorder?.kill();
    clients.close();
    await stop();
    removeUnlessKept(dir);
  }
}

/** What went otherwise than that each process was asked (`--instrument`), and in the end let go. */
function notAsked(recorder: Recorder): string[] {
  return recorder.told('instrument').filter(({ state }) => state !== 'on' && state !== 'off').map((line) => JSON.stringify(line));
}

export async function truthsOf(part: Part, rids: ReadonlySet<string>): Promise<Truth[]> {
  return Promise.all(part.dependencies.map(async ({ kind, destinations, calls }) => {
    const counted = await calls();
    return { kind, destinations, calls: new Map([...counted].filter(([rid]) => rids.has(rid))) };
  }));
}

/** On a busy machine a call after the answer takes its time. */
const ANSWERED_MS = 20_000;

/** What each part's dependencies have answered, once that is all that the service makes of these requests, or too much time has passed. */
export async function allAnswered(service: Service, exchanges: readonly Exchange[]): Promise<Truth[][]> {
  const rids = new Set(exchanges.map((each) => each.rid));
  for (const since = performance.now(); ; await sleep(50)) {
    const truths = await Promise.all(service.parts.map((part) => truthsOf(part, rids)));
    if (truthErrors(service, exchanges, truths.flat()).length === 0 || performance.now() - since > ANSWERED_MS) return truths;
  }
}

export function truthErrors(service: Service, exchanges: readonly Exchange[], truths: readonly Truth[]): string[] {
  const errors: string[] = [];
  for (const exchange of exchanges) {
    if (exchange.status !== 200) errors.push(`${exchange.rid}: status ${exchange.status}`);
    if (!exchange.body.includes(exchange.rid)) errors.push(`${exchange.rid}: not in its own answer`);
    const expected = service.expects(exchange);
    for (const truth of truths) {
      const answered = truth.calls.get(exchange.rid) ?? 0;
      const wanted = expected[truth.kind as keyof typeof expected] ?? 0;
      if (answered !== wanted) errors.push(`${exchange.rid}: ${truth.kind} answered ${answered} calls, the service makes ${wanted}`);
    }
  }
  return errors;
}
