/**
 * Rare words tie a call to a session, both ways:
 *
 *   forth   what the request asked for, or an answer said before, stands in the call
 *   back    what the call's answer said stands in the response, or in a later call
 *
 * A word counts where it stands in one candidate only, by how rare it is among the process' sessions: the surprise, −ln of the
 * share that hold it. The sum must be so great that it is no chance among so many candidates, and far from the next best. A
 * guess all the same: never proven.
 */
import type { OpenTalk } from '../talks/open-talk.ts';
import { legible } from '../protocols/legible.ts';
import type { Hindsight, Past, Verdict } from './hindsight.ts';
import type { WhyNot } from './reasons.ts';
import { commonness, isName, wordsOf } from './words.ts';

/** Of each side of a talk. */
const maxBytes = 8_192;
/** So many sessions' worth counts what is presumed of a word against what was seen. */
const PRESUMED = 20;
/** −ln of one chance in a hundred: that any candidate matches by chance, and that the next best is it. */
/** Words as rare as this are ids wherever they stand. */
const TELLING = 1e-4;
const ENOUGH = Math.log(100);
/** Words remembered of a process. Past that, those that no open session holds are forgotten. */
const maxRemembered = 65_536;

/** Where a session has a word. Times in Unix µs. */
interface Place<J> {
  readonly job: J;
  /** In its request or its response: it is what the session is about. */
  asked: boolean;
  /** In a call's request: so it is, or all such calls have it. */
  called: boolean;
  /** In its response, and in the latest call's request (Unix µs). */
  responded: boolean;
  calledAtUs: number;
  /** In the first answer that it got. */
  answeredAtUs: number;
}

interface Word<J> {
  /** Sessions that held it, and calls whose request did, ever. */
  sessions: number;
  calls: number;
  readonly places: Set<Place<J>>;
}

/** What was learnt of a session. */
interface Known<J> {
  readonly places: Map<string, Place<J> | undefined>;
  readonly calls: Set<OpenTalk>;
  /** Bytes of its talk, when that was looked at. */
  bytes: number;
}

export class Content<J extends Past> implements Hindsight<J> {
  readonly attribution = 'content';
  readonly refutes = true;
  readonly #words = new Map<string, Word<J>>();
  readonly #known = new Map<J, Known<J>>();
  readonly #hide: (text: string) => string;
  /** Words in the requests of calls that are not decided. */
  readonly #seen = new Map<OpenTalk, ReadonlySet<string>>();
  #sessions = 0;
  #calls = 0;

  /** `hide`: takes out of a text what must not be used (to measure what is left). */
  constructor(hide: (text: string) => string = (text) => text) {
    this.#hide = hide;
  }

  proves(): boolean {
    return false;
  }

  see(call: OpenTalk): void {
    if (!this.#seen.has(call)) this.#seen.set(call, this.#counted(call));
  }

  find(call: OpenTalk, candidates: readonly J[], byItself: boolean): Verdict<J> | undefined {
    if (candidates.length === 0) return undefined;
    for (const job of candidates) this.#learn(job);
    const scores = new Scores<J>();
    const among = new Set(candidates);
    this.see(call);
    const words = this.#seen.get(call) as ReadonlySet<string>;
    // What counts up is the same for all who count at a time, a timer among them.
    const tells = (word: string): boolean => !byItself || commonness(word) <= TELLING;
    for (const word of words) {
      if (!tells(word)) continue;
      const told = !isName(word) && (this.#sessions >= PRESUMED || commonness(word) <= TELLING);
      this.#count(word, among, scores, ({ asked, called, answeredAtUs }) => asked || (told && called) || answeredAtUs < call.begunAtUs);
    }
    const answeredAtUs = call.response.last?.atUs ?? Infinity;
    for (const word of this.#wordsIn(call, 'response')) {
      if (tells(word) && !words.has(word)) this.#count(word, among, scores, ({ responded, calledAtUs }) => responded || calledAtUs > answeredAtUs);
    }
    return scores.verdict(candidates.length);
  }

  whyNot(): WhyNot {
    return 'no-rare-words';
  }

  decided(call: OpenTalk): void {
    this.#seen.delete(call);
  }

  /** `job` is given out. */
  forget(job: J): void {
    const known = this.#known.get(job);
    if (known === undefined) return;
    this.#known.delete(job);
    for (const [text, place] of known.places) if (place !== undefined) this.#words.get(text)?.places.delete(place);
    if (this.#words.size > maxRemembered) for (const [text, { places }] of this.#words) if (places.size === 0) this.#words.delete(text);
  }

  /** Adds the surprise that `word` is the only candidate's that has it where `fits`. */
  #count(word: string, among: ReadonlySet<J>, scores: Scores<J>, fits: (place: Place<J>) => boolean): void {
    const entry = this.#words.get(word);
    if (entry === undefined || this.#isCommon(entry)) return;
    let only: J | undefined;
    for (const place of entry.places) {
      if (!fits(place) || !among.has(place.job)) continue;
      if (only !== undefined) return;
      only = place.job;
    }
    if (only === undefined) return;
    // Whose the calls are is not known yet: they are so many sessions' on the average, where one may make twice as many.
    const byCalls = entry.calls * this.#sessions / Math.max(1, this.#calls) - 2;
    const share = (Math.max(entry.sessions - 1, byCalls) + commonness(word) * PRESUMED) / (this.#sessions + PRESUMED);
    scores.add(only, word, -Math.log(share));
  }

  #learn(job: J): void {
    let known = this.#known.get(job);
    if (known === undefined) {
      this.#known.set(job, (known = { places: new Map(), calls: new Set(), bytes: -1 }));
      this.#sessions += 1;
    }
    const { talk, sure: calls } = job;
    const bytes = talk.request.kept + talk.response.kept;
    if (known.bytes !== bytes) {
      known.bytes = bytes;
      this.#take(job, known, talk, 'request', (place) => { place.asked = true; });
      this.#take(job, known, talk, 'response', (place) => { place.asked = place.responded = true; });
    }
    if (known.calls.size === calls.length) return;
    for (const call of calls) {
      if (known.calls.has(call)) continue;
      known.calls.add(call);
      if (!this.#seen.has(call)) this.#counted(call);
      this.#take(job, known, call, 'request', (place) => {
        place.called = true;
        place.calledAtUs = Math.max(place.calledAtUs, call.begunAtUs);
      });
      const atUs = call.response.last?.atUs ?? Infinity;
      this.#take(job, known, call, 'response', (place) => { place.answeredAtUs = Math.min(place.answeredAtUs, atUs); });
    }
  }

  #take(job: J, known: Known<J>, talk: OpenTalk, part: 'request' | 'response', note: (place: Place<J>) => void): void {
    for (const text of this.#wordsIn(talk, part)) {
      const place = known.places.has(text) ? known.places.get(text) : this.#place(job, known, text);
      if (place !== undefined) note(place);
    }
  }

  /** Of a word that many sessions have, only their number is kept. */
  #place(job: J, known: Known<J>, text: string): Place<J> | undefined {
    let word = this.#words.get(text);
    if (word === undefined) this.#words.set(text, (word = { sessions: 0, calls: 0, places: new Set() }));
    word.sessions += 1;
    const place = this.#isCommon(word) ? undefined : { job, asked: false, called: false, responded: false, calledAtUs: -Infinity, answeredAtUs: Infinity };
    known.places.set(text, place);
    if (place !== undefined) word.places.add(place);
    return place;
  }

  /** The words of its request, each counted. */
  #counted(call: OpenTalk): ReadonlySet<string> {
    const words = this.#wordsIn(call, 'request');
    this.#calls += 1;
    for (const text of words) {
      const word = this.#words.get(text);
      if (word === undefined) this.#words.set(text, { sessions: 0, calls: 1, places: new Set() });
      else word.calls += 1;
    }
    return words;
  }

  #isCommon({ sessions }: Word<J>): boolean {
    return sessions > PRESUMED && sessions * 10 > this.#sessions;
  }

  #wordsIn(talk: OpenTalk, part: 'request' | 'response'): Set<string> {
    const side = part === 'request' ? 'client' : 'server';
    return wordsOf(this.#hide(legible(talk.protocol?.name ?? 'unknown', side, talk[part].head(maxBytes), talk.fields?.[part])));
  }
}

/** How much speaks for each. Of names, the rarest counts. */
class Scores<J extends Past> {
  readonly #sums = new Map<J, number>();
  readonly #names = new Map<J, number>();

  add(job: J, word: string, surprise: number): void {
    if (!isName(word)) this.#sums.set(job, (this.#sums.get(job) ?? 0) + surprise);
    else this.#names.set(job, Math.max(this.#names.get(job) ?? 0, surprise));
  }

  verdict(candidates: number): Verdict<J> | undefined {
    const scores = new Map(this.#sums);
    for (const [job, surprise] of this.#names) scores.set(job, (scores.get(job) ?? 0) + surprise);
    const [best, next] = [...scores].sort(([, a], [, b]) => b - a);
    // Or nobody's.
    const needed = ENOUGH + Math.log(candidates + 1);
    if (best === undefined || best[1] < needed || best[1] - (next?.[1] ?? 0) < ENOUGH) return undefined;
    return { job: best[0], alternatives: [...scores].filter(([job, score]) => job !== best[0] && score >= needed).map(([job]) => job) };
  }
}
