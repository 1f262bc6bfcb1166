/** What a mock tells of each call, and at the end: the contract that scripts read (`mock --json`), documented in docs/mock.md. Pure. */
import { similarity } from '../compare/index.ts';
import type { OutboundTalk, Session } from '../sessions/session.ts';
import { bestOf, MAX_COMPARED, type Scored } from './best.ts';
import { bytesOf, neverConnected } from './calls.ts';
import { canonicalDestination } from './destination.ts';
import { compareCall, isFarewellRequest, isLikeness, reasonOf, summaryOf, summaryOfTalk, type JudgeOptions } from './judge-calls.ts';
import type { MockCalls } from './mock-calls.ts';
import type { AskedCall, MockEnd } from './mocking.ts';
import type { How, LiveCall } from './played.ts';
import type { Difference } from './replayed.ts';

/** A recorded call, named for a live one. */
export interface Recorded {
  /** The session that it was in; absent: in none. */
  readonly session?: string;
  readonly summary: string;
}

export interface MockedCall {
  readonly event: 'call';
  /** `different`: answered, as another call or on a connection that was set up otherwise. `passed`: the real server answered. `new`: nothing did. */
  readonly verdict: 'same' | 'different' | 'passed' | 'new';
  readonly destination: string;
  readonly summary: string;
  readonly how: How;
  /** Why this recorded call, or none, in words. */
  readonly because: string;
  /** Made more often than it was recorded. */
  readonly repeated?: true;
  /** The call whose answer it got. */
  readonly recorded?: Recorded;
  /** 0..1: how alike it is to that call, where it was found by likeness, or to the nearest one. */
  readonly score?: number;
  /** Where nothing answered: the recorded call of that destination that is most like it. */
  readonly nearest?: Recorded;
  /** To the call whose answer it got, or to the nearest one. */
  readonly differences: readonly Difference[];
  readonly more?: number;
  /** Connects that failed as recorded: how many. */
  readonly times?: number;
}

export interface MockSummary {
  readonly event: 'summary';
  /** The command's own status: 128 + signal when one ended it. Absent: it was not waited for. */
  readonly exitStatus?: number;
  readonly calls: number;
  readonly same: number;
  readonly different: number;
  readonly passed: number;
  readonly new: number;
  /** Of all these: answered once more than recorded. */
  readonly repeated: number;
  /** How often each way of finding an answer did. */
  readonly how: Readonly<Partial<Record<How, number>>>;
  /** Calls that could be asked for; those of them that nobody made. */
  readonly recorded: number;
  readonly unused: number;
  /** Recorded calls that can't be played, by why. */
  readonly leftOut: MockCalls['leftOut'];
  readonly wallMs: number;
}

const NOTHING = new Uint8Array(0);

export class MockJudge {
  readonly #mock: MockCalls;
  readonly #options: JudgeOptions;
  readonly #at = new Map<string, number[]>();
  /** Calls of each session. */
  readonly #sessions = new Map<string, OutboundTalk[]>();

  constructor(mock: MockCalls, options: JudgeOptions) {
    this.#mock = mock;
    this.#options = options;
    mock.session.outbound.forEach((talk, index) => {
      add(this.#at, canonicalDestination(talk.connection.remote), index);
      add(this.#sessions, mock.origins[index] ?? '', talk);
    });
  }

  /** Undefined for what is no call: a connection's goodbye. */
  judge({ call, passedOn, connect }: AskedCall): MockedCall | undefined {
    if (isFarewellRequest(call.request)) return undefined;
    const { destination, how } = call;
    const talk = call.recorded === undefined ? undefined : this.#talk(call.recorded);
    const base = { event: 'call' as const, destination, how, ...(call.repeated === undefined ? {} : { repeated: call.repeated }) };
    if (talk !== undefined) {
      const { differences, more } = compareCall(this.#of(call.recorded), talk, call, '', this.#options);
      const score = call.score === undefined ? {} : { score: call.score };
      return {
        ...base, ...score, verdict: differences.length > 0 || isLikeness(how) ? 'different' : 'same', summary: summaryOf(call.request, bytesOf(talk.response), talk.connection.protocol),
        because: call.repeated === true ? `${reasonOf(call, undefined)}, asked more often than recorded` : reasonOf(call, undefined),
        recorded: this.#named(call.recorded), differences, ...(more > 0 ? { more } : {}),
      };
    }
    const summary = connect === true ? 'connect' : summaryOf(call.request, NOTHING, call.protocol);
    if (passedOn === true) return { ...base, verdict: 'passed', summary, because: 'nothing recorded answers it; the real server did', differences: [] };
    return { ...base, verdict: 'new', summary, ...this.#unanswered(call, connect === true) };
  }

  /** Connects that failed as they had when recorded. */
  failed({ destination, recorded, times }: MockEnd['failed'][number]): MockedCall {
    const talk = this.#talk(recorded);
    return {
      event: 'call', verdict: 'same', destination, how: 'refused', because: 'failed to connect, as recorded', times, differences: [],
      summary: talk === undefined ? 'connect' : summaryOfTalk(talk), recorded: this.#named(recorded),
    };
  }

  #unanswered(call: LiveCall, isConnect: boolean): Pick<MockedCall, 'because' | 'differences' | 'nearest' | 'score' | 'more'> {
    const indexes = (this.#at.get(call.destination) ?? []).filter((index) => !neverConnected(this.#talk(index) as OutboundTalk));
    if (indexes.length === 0) return { because: isConnect ? 'nothing was recorded there, and nothing was said' : 'nothing was recorded there', differences: [] };
    if (call.repeated === true) return { because: 'made once more than recorded', differences: [] };
    const { call: index, score } = bestOf(indexes.slice(0, MAX_COMPARED), (at) => similarity(bytesOf((this.#talk(at) as OutboundTalk).request), call.request)) as Scored<number>;
    const { differences, more } = compareCall(this.#of(index), this.#talk(index) as OutboundTalk, { ...call, recorded: index }, '', this.#options);
    return { because: 'no recorded call is the same', nearest: this.#named(index), score, differences, ...(more > 0 ? { more } : {}) };
  }

  #talk(index: number): OutboundTalk | undefined {
    return this.#mock.session.outbound[index];
  }

  /** As the session that it was in: settings are those of its recording. */
  #of(index: number | undefined): Session {
    const id = this.#mock.origins[index ?? -1] ?? '';
    return { ...this.#mock.session, id, outbound: this.#sessions.get(id) ?? [] };
  }

  #named(index: number | undefined): Recorded {
    const talk = this.#talk(index ?? -1);
    const session = this.#mock.origins[index ?? -1] ?? '';
    return { ...(session === '' ? {} : { session }), summary: talk === undefined ? '' : summaryOfTalk(talk) };
  }
}

function add<T>(lists: Map<string, T[]>, key: string, one: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [one]);
  else list.push(one);
}

/** A call to an own address at which nobody listened, and nothing was recorded. */
export const refusedCall = (port: number): MockedCall => ({
  event: 'call', verdict: 'new', destination: `127.0.0.1:${port}`, summary: 'connect', how: 'none', because: 'nothing was recorded there, and nothing in the command listened', differences: [],
});

export class MockTally {
  readonly #verdicts = { same: 0, different: 0, passed: 0, new: 0 };
  readonly #how: Partial<Record<How, number>> = {};
  #repeated = 0;

  add({ verdict, how, repeated, times = 1 }: MockedCall): void {
    this.#verdicts[verdict] += times;
    this.#how[how] = (this.#how[how] ?? 0) + times;
    if (repeated === true && verdict !== 'new') this.#repeated += times;
  }

  get counts(): Pick<MockSummary, 'calls' | 'same' | 'different' | 'passed' | 'new' | 'repeated' | 'how'> {
    const { same, different, passed, new: unanswered } = this.#verdicts;
    return { calls: same + different + passed + unanswered, ...this.#verdicts, repeated: this.#repeated, how: this.#how };
  }
}
