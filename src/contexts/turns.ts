/**
 * Whose turn is it? Sessions put their calls into one queue, each a handful at a time, and pooled threads take them out in turn. Which calls a
 * session makes is known (routine.ts); so call by call, in the order in which they began, all ways to give each to a session are
 * followed side by side, and the likelier ones kept. Forward and backward sums give each answer its probability.
 *
 *   ready   A…………B………………     B may not be served before A was: seldom, and the more seldom the longer A had been waiting
 *   calls    1 2 3  4 5
 *
 * Impossible is: to begin before it could be put in, to be answered after its session's response began, one more than a session makes.
 * What the rest costs was measured on three services with 4, 16 and 64 clients: of two sessions that were ready within 0.1 ms, a third to a half
 * were served out of turn; of those 1 ms apart 5 to 10 in 100, 10 ms apart less than 1.
 */
import { bestTwo, lnSum } from './likelihood.ts';
import type { Routine } from './routine.ts';

/** A session, and what it does. */
export interface Errand {
  /** Unix µs at which its request was read, and its response began (Infinity: it has none). */
  readonly askedUs: number;
  readonly respondedUs: number;
  readonly routine: Routine;
}

/** A call that was taken out of the queue. Unix µs; `answeredUs` Infinity: it has no answer. */
export interface Served {
  readonly beganUs: number;
  readonly answeredUs: number;
  readonly shape: string;
  /** Index of the errand that it is known to be of. */
  readonly of: number | undefined;
  /** Sessions of which it is not known what they do may have made it. */
  readonly strangers: boolean;
}

/** The likeliest errand of a call, and how likely that is, 0 to 1; the next best one, if any. */
export interface Turn {
  readonly errand: number;
  readonly probability: number;
  readonly second: number | undefined;
}

/** −ln of how likely it is … that a session makes a call less than usual, that a call is of none of these, that what is known of it is wrong or out of step. */
const MISSING = 9;
const NOBODYS = 11;
const STRANGERS = 2;
const AGAINST_KNOWN = 6;
const OUT_OF_STEP = 4;
const mostKnownCosts = 8;
/** … that one is passed over in whose stead another is served already, or together with another. */
const PASSED_AGAIN = 1.5;
/** … that a handful which has been begun goes on while an older one waits. */
const GOES_ON = 1.5;
/** Of being passed over: see `passing`. */
const SHARPNESS = 2;
const SOON = 2.5;
const scaleUs = 60;
const POWER = 0.9;
/** Less likely than the likeliest by this (−ln) is not followed; nor are more ways than so many. */
const BEAM = 12;
const maxWays = 64;
/** Sessions at a time. With more nothing is said. */
const maxLive = 128;

/** How far one session is. Shared by the ways in which it is as far, and never changed. */
interface Progress {
  readonly made: number;
  /** When each step was answered, µs. */
  readonly ends: readonly number[];
  /** Since when the oldest of what it has put in waits; Infinity: nothing does. */
  readonly waitsUs: number;
  readonly passed: boolean;
}

interface From {
  readonly way: Way;
  /** NOBODY, or none: some sessions were over. */
  readonly errand: number;
  readonly cost: number;
}

/** What was made by whom so far, as far as it matters for what comes. */
interface Way {
  readonly key: number;
  at: Progress[];
  best: number;
  forward: number;
  backward: number;
  readonly from: From[];
}

const NOBODY = -1;
const OVER = -2;

/** Undefined: too many at a time. Of each call undefined: nobody's, or nothing fits. `errands` in the order of `askedUs`, `calls` of `beganUs`. */
export function turns(errands: readonly Errand[], calls: readonly Served[]): (Turn | undefined)[] | undefined {
  const columns: Way[][] = [];
  let live: number[] = [];
  let next = 0;
  let ways: Way[] = [{ key: 0, at: [], best: 0, forward: 0, backward: -Infinity, from: [] }];
  for (const call of calls) {
    const over = live.filter((errand) => (errands[errand] as Errand).respondedUs < call.beganUs);
    if (over.length > 0) {
      columns.push(ways);
      ways = retire(ways, live, errands, call.beganUs);
      live = live.filter((errand) => !over.includes(errand));
    }
    for (; next < errands.length && (errands[next] as Errand).askedUs <= call.beganUs; next += 1) {
      const errand = errands[next] as Errand;
      if (errand.respondedUs < call.beganUs) continue;
      const begins = progress(errand, 0, [], false);
      for (const way of ways) way.at.push(begins);
      live.push(next);
    }
    if (live.length > maxLive) return undefined;
    columns.push(ways);
    ways = keep(follow(ways, live, errands, call));
  }
  columns.push(ways);
  return sum(columns);
}

/** What `call` may be in each of `ways`. */
function follow(ways: readonly Way[], live: readonly number[], errands: readonly Errand[], call: Served): Way[] {
  const reached = new Map<number, Way>();
  for (const way of ways) {
    if (call.of === undefined) reach(reached, way, NOBODY, call.strangers ? STRANGERS : NOBODYS, way.key, () => way.at);
    live.forEach((errand, index) => {
      if (call.of !== undefined && call.of !== errand) return;
      take(reached, way, errands[errand] as Errand, errand, index, call);
    });
  }
  // It is known to be of a session that is over, or has not begun.
  if (reached.size === 0) for (const way of ways) reach(reached, way, NOBODY, AGAINST_KNOWN, way.key, () => way.at);
  return [...reached.values()];
}

/** `call` may be the next that `errand` does. */
function take(reached: Map<number, Way>, way: Way, errand: Errand, id: number, index: number, call: Served): void {
  const known = call.of !== undefined;
  if (!known && call.answeredUs > errand.respondedUs) return;
  const { routine } = errand;
  const { made, ends } = way.at[index] as Progress;
  const step = nextStep(routine, made, call.shape);
  if (step === undefined) {
    if (known) reach(reached, way, id, AGAINST_KNOWN, way.key, () => way.at);
    return;
  }
  const after = routine.after[step] as number;
  const readyUs = readyAtUs(errand, ends, after);
  const early = (after & ~made) !== 0 || readyUs > call.beganUs;
  if (early && !known) return;
  const passes: number[] = [];
  const cost = passing(way, index, readyUs, isBegun(routine, made, after), passes);
  reach(reached, way, id, known ? Math.min(cost, mostKnownCosts) + (early ? OUT_OF_STEP : 0) : cost, way.key + mix(id, made | (1 << step)) - mix(id, made), () => {
    const at = way.at.slice();
    const then = ends.slice();
    then[step] = call.answeredUs;
    at[index] = progress(errand, made | (1 << step), then, false);
    for (const other of passes) at[other] = { ...(at[other] as Progress), passed: true };
    return at;
  });
}

/** −ln of how likely it is that one which was ready at `readyUs` is served now, by who has waited longer. `passes`: gets those that are passed over. */
function passing({ at }: Way, index: number, readyUs: number, goesOn: boolean, passes: number[]): number {
  let most = 0;
  let rest = 0;
  for (let other = 0; other < at.length; other += 1) {
    const { waitsUs, passed } = at[other] as Progress;
    if (waitsUs >= readyUs || other === index) continue;
    if (goesOn) {
      rest += GOES_ON;
      continue;
    }
    passes.push(other);
    if (passed) {
      rest += PASSED_AGAIN;
      continue;
    }
    const cost = SHARPNESS * Math.log(SOON + ((readyUs - waitsUs) / scaleUs) ** POWER);
    if (most > 0) rest += PASSED_AGAIN;
    most = Math.max(most, cost);
  }
  return most + rest;
}

function reach(reached: Map<number, Way>, way: Way, errand: number, cost: number, key: number, at: () => Progress[]): void {
  const forward = way.forward - cost;
  const known = reached.get(key);
  if (known === undefined) {
    reached.set(key, { key, at: at(), best: forward, forward, backward: -Infinity, from: [{ way, errand, cost }] });
    return;
  }
  if (forward > known.best) {
    known.best = forward;
    known.at = at();
  }
  known.forward = lnSum(known.forward, forward);
  known.from.push({ way, errand, cost });
}

/** Takes out the sessions that are over by `atUs`. */
function retire(ways: readonly Way[], live: readonly number[], errands: readonly Errand[], atUs: number): Way[] {
  const left = new Map<number, Way>();
  const over = live.map((errand) => (errands[errand] as Errand).respondedUs < atUs);
  for (const way of ways) {
    let cost = 0;
    let { key } = way;
    way.at.forEach(({ made }, index) => {
      if (over[index] !== true) return;
      const errand = live[index] as number;
      cost += MISSING * ((errands[errand] as Errand).routine.shapes.length - bits(made));
      key -= mix(errand, made) - mix(errand, 0);
    });
    reach(left, way, OVER, cost, key, () => way.at.filter((_, index) => over[index] !== true));
  }
  return [...left.values()];
}

function keep(ways: Way[]): Way[] {
  let most = -Infinity;
  for (const { forward } of ways) if (forward > most) most = forward;
  const likely = ways.filter(({ forward }) => forward >= most - BEAM);
  return likely.length > maxWays ? likely.sort((a, b) => b.forward - a.forward).slice(0, maxWays) : likely;
}

/** Backward, from the last column to the first. */
function sum(columns: readonly Way[][]): (Turn | undefined)[] {
  let total = -Infinity;
  for (const way of columns[columns.length - 1] as Way[]) {
    way.backward = 0;
    total = lnSum(total, way.forward);
  }
  const found: (Turn | undefined)[] = [];
  for (let column = columns.length - 1; column > 0; column -= 1) {
    const shares = new Map<number, number>();
    let calls = false;
    for (const { backward, from } of columns[column] as Way[]) {
      for (const { way, errand, cost } of from) {
        if (errand !== OVER) calls = true;
        if (backward === -Infinity) continue;
        way.backward = lnSum(way.backward, backward - cost);
        if (errand !== OVER) shares.set(errand, (shares.get(errand) ?? 0) + Math.exp(way.forward + backward - cost - total));
      }
    }
    if (calls) found.push(likeliest(shares));
  }
  return found.reverse();
}

function likeliest(shares: ReadonlyMap<number, number>): Turn | undefined {
  const { first, second } = bestTwo(shares);
  if (first === undefined || first === NOBODY) return undefined;
  return { errand: first, probability: Math.min(1, shares.get(first) as number), second: second === NOBODY ? undefined : second };
}

function progress({ askedUs, routine }: Pick<Errand, 'askedUs' | 'routine'>, made: number, ends: readonly number[], passed: boolean): Progress {
  let waitsUs = Infinity;
  for (let step = 0; step < routine.shapes.length; step += 1) {
    const after = routine.after[step] as number;
    if ((made & (1 << step)) !== 0 || (after & ~made) !== 0) continue;
    waitsUs = Math.min(waitsUs, readyAtUs({ askedUs }, ends, after));
  }
  return { made, ends, waitsUs, passed };
}

/** The first step of that shape which is left, of those that may be put in already if there is one. */
function nextStep({ shapes, after }: Routine, made: number, shape: string): number | undefined {
  let found: number | undefined;
  for (let step = 0; step < shapes.length; step += 1) {
    if (shapes[step] !== shape || (made & (1 << step)) !== 0) continue;
    if (((after[step] as number) & ~made) === 0) return step;
    found ??= step;
  }
  return found;
}

/** Another step of the same handful is made. */
function isBegun({ after }: Routine, made: number, waitsFor: number): boolean {
  for (let step = 0; step < after.length; step += 1) if ((made & (1 << step)) !== 0 && after[step] === waitsFor) return true;
  return false;
}

function readyAtUs({ askedUs }: Pick<Errand, 'askedUs'>, ends: readonly number[], after: number): number {
  let readyUs = askedUs;
  for (let step = 0, left = after; left !== 0; step += 1, left >>= 1) if ((left & 1) !== 0) readyUs = Math.max(readyUs, ends[step] ?? 0);
  return readyUs;
}

function bits(of: number): number {
  let count = 0;
  for (let left = of; left !== 0; left &= left - 1) count += 1;
  return count;
}

/** A number for what one session has made. Those of all sessions, summed, stand for what all have; sums are exact. */
function mix(errand: number, made: number): number {
  let high = Math.imul(errand + 1, 0x9e37_79b1) ^ Math.imul(made + 1, 0x85eb_ca6b);
  high = Math.imul(high ^ (high >>> 15), 0xc2b2_ae35);
  let low = Math.imul(high ^ (high >>> 13), 0x27d4_eb2f) ^ Math.imul(made + 7, 0x1656_67b1);
  low = Math.imul(low ^ (low >>> 16), 0x9e37_79b1);
  return ((high >>> 0) % 4_096) * 2 ** 32 + (low >>> 0);
}
