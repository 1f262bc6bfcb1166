/**
 * Whose calls are these, if work is taken up in the order in which it came up? Slots (sessions that may make calls of one
 * kind, in the order in which they may) against calls in their order: each slot takes a run of calls, maybe none, and no two
 * runs cross. All ways to do so are weighed at once (forward and backward sums over a lattice, as for a hidden Markov model),
 * so that each answer comes with its probability.
 *
 *   slots   A     B        C        a slot knows from when and until when its calls can be, and how many it tends to make
 *   calls   1 2   3        4 5      run of A: 1 2, of B: 3, of C: 4 5; or A: 1, B: 2 3, … each at its cost
 */
import { bestTwo, lnSum } from './likelihood.ts';

export interface Slot {
  /** Its calls begin after this, Unix µs; where `gapUs` is given, about so much after. */
  readonly fromUs: number;
  readonly fromGapUs: number | undefined;
  /** Its calls are answered by then; where `gapUs` is given, the last one about so much before. */
  readonly untilUs: number;
  readonly untilGapUs: number | undefined;
  /** How often sessions like it were seen to make 0, 1, 2, … calls of this kind. */
  readonly counts: readonly number[];
  /** It goes on: its turn may not have come yet. */
  readonly open: boolean;
}

export interface Aligned {
  readonly beganUs: number;
  readonly answeredUs: number;
  /** Index of the slot that it is known to be of. */
  readonly slot: number | undefined;
}

/** The likeliest slot of a call, and how likely that is, 0 to 1; the next best one, if any. */
export interface Placed {
  readonly slot: number;
  readonly probability: number;
  readonly second: number | undefined;
}

/** −ln of how likely it is that a call is of no slot: there are others that may make such calls, or not; and that what is known of one is wrong. */
const OTHERS = 2;
const NOBODYS = 12;
const AGAINST_KNOWN = 6;
/** Less likely than the likeliest by this (−ln) is not followed. */
const BEAM = 40;
/** −ln of how likely it is that a slot makes as many calls as none like it was seen to. */
const UNSEEN = 10;

/** One layer of the lattice: how likely it is to be at column `low + i` before the next slot, as ln. */
interface Layer {
  low: number;
  values: number[];
}

/** `others`: there are sessions besides the slots that may have made some of the calls. Undefined: likeliest nobody's of the slots. */
export function align(slots: readonly Slot[], calls: readonly Aligned[], others: boolean): (Placed | undefined)[] {
  const spare = others ? OTHERS : NOBODYS;
  const layers = forward(slots, calls, spare);
  const shares = calls.map(() => new Map<number, number>());
  const ends = endings(slots);
  let total = -Infinity;
  layers.forEach((layer, at) => (total = lnSum(total, valueAt(layer, calls.length) - (ends[at] as number))));
  if (total === -Infinity) return calls.map(() => undefined);
  let after: Layer = { low: calls.length, values: [0] };
  fit(after, layers[slots.length] as Layer);
  spreadBack(after, calls, spare);
  for (let at = slots.length - 1; at >= 0; at -= 1) {
    const before = layers[at] as Layer;
    const here: Layer = { low: before.low, values: before.values.map(() => -Infinity) };
    for (let i = 0; i < before.values.length; i += 1) {
      const column = before.low + i;
      const reached = before.values[i] as number;
      let sum = -Infinity;
      eachRun(slots[at] as Slot, at, calls, column, (count, cost) => {
        const rest = valueAt(after, column + count) - cost;
        if (rest === -Infinity) return;
        sum = lnSum(sum, rest);
        if (count === 0 || reached === -Infinity) return;
        const share = Math.exp(reached + rest - total);
        for (let call = column; call < column + count; call += 1) {
          const of = shares[call] as Map<number, number>;
          of.set(at, (of.get(at) ?? 0) + share);
        }
      });
      // All calls are given out: those whose turn has not come get none.
      here.values[i] = column === calls.length ? lnSum(sum, -(ends[at] as number)) : sum;
    }
    spreadBack(here, calls, spare);
    after = here;
  }
  return shares.map(best);
}

/** −ln of how likely it is that no slot from each on takes any: certain of those whose turn has not come. */
function endings(slots: readonly Slot[]): number[] {
  const ends = new Array<number>(slots.length + 1).fill(0);
  for (let at = slots.length - 1; at >= 0; at -= 1) {
    const slot = slots[at] as Slot;
    ends[at] = (ends[at + 1] as number) + (slot.open ? 0 : costOf(slot, 0));
  }
  return ends;
}

/** −ln of how likely it is that a slot takes so many. */
function costOf({ counts }: Slot, count: number): number {
  const times = counts[count] as number;
  if (times === 0) return UNSEEN;
  let all = 0;
  for (const each of counts) all += each;
  return Math.log(all / times);
}

function forward(slots: readonly Slot[], calls: readonly Aligned[], spare: number): Layer[] {
  let layer: Layer = { low: 0, values: [0] };
  spread(layer, calls, spare, slots.length === 0 ? Infinity : BEAM);
  const layers = [layer];
  slots.forEach((slot, at) => {
    const next: Layer = { low: layer.low, values: [] };
    layer.values.forEach((value, i) => {
      if (value === -Infinity) return;
      eachRun(slot, at, calls, layer.low + i, (count, cost) => {
        const to = i + count;
        while (next.values.length <= to) next.values.push(-Infinity);
        next.values[to] = lnSum(next.values[to] as number, value - cost);
      });
    });
    prune(next);
    // Whatever is left at the end is nobody's.
    spread(next, calls, spare, at === slots.length - 1 ? Infinity : BEAM);
    layers.push((layer = next));
  });
  return layers;
}

/** Calls that are nobody's, passed over forward, as long as it is not less likely than the likeliest by `beam`. */
function spread(layer: Layer, calls: readonly Aligned[], spare: number, beam: number): void {
  let most = Math.max(...layer.values);
  for (let i = 0; i < layer.values.length && layer.low + i < calls.length; i += 1) {
    const value = (layer.values[i] as number) - costOfNobody(calls[layer.low + i] as Aligned, spare);
    if (value < most - beam) continue;
    if (i + 1 === layer.values.length) layer.values.push(value);
    else layer.values[i + 1] = lnSum(layer.values[i + 1] as number, value);
    most = Math.max(most, layer.values[i + 1] as number);
  }
}

/** The same backward, over the columns that were reached. */
function spreadBack(layer: Layer, calls: readonly Aligned[], spare: number): void {
  for (let i = layer.values.length - 2; i >= 0; i -= 1) {
    layer.values[i] = lnSum(layer.values[i] as number, (layer.values[i + 1] as number) - costOfNobody(calls[layer.low + i] as Aligned, spare));
  }
}

/** The same columns as `like`. */
function fit(layer: Layer, like: Layer): void {
  layer.values = like.values.map((_, i) => valueAt(layer, like.low + i));
  layer.low = like.low;
}

function prune(layer: Layer): void {
  const least = Math.max(...layer.values) - BEAM;
  const first = layer.values.findIndex((value) => value >= least);
  let last = layer.values.length - 1;
  while (last > first && (layer.values[last] as number) < least) last -= 1;
  layer.values = layer.values.slice(first, last + 1);
  layer.low += first;
}

function costOfNobody({ slot }: Aligned, spare: number): number {
  return slot === undefined ? spare : spare + AGAINST_KNOWN;
}

/** Each run that `slot` may take from `column` on: how many calls, and −ln of how likely. */
function eachRun(slot: Slot, at: number, calls: readonly Aligned[], column: number, visit: (count: number, cost: number) => void): void {
  const { counts } = slot;
  let cost = 0;
  let answered = 0;
  for (let count = 0; count < counts.length; count += 1) {
    if (count > 0) {
      const call = calls[column + count - 1];
      if (call === undefined || call.beganUs < slot.fromUs || call.answeredUs > slot.untilUs) return;
      if (call.slot !== undefined && call.slot !== at) cost += AGAINST_KNOWN;
      if (count === 1 && slot.fromGapUs !== undefined) cost += 0.3 * surprise(call.beganUs - slot.fromUs, slot.fromGapUs);
      if (call.answeredUs > answered) answered = call.answeredUs;
    }
    const late = count > 0 && slot.untilGapUs !== undefined ? surprise(slot.untilUs - answered, slot.untilGapUs) : 0;
    visit(count, cost + late + costOf(slot, count));
  }
}

/** A gap as wide as usual costs nearly nothing, one ten times as wide 2.4: waiting in line is common. */
function surprise(gapUs: number, usualUs: number): number {
  return Math.log1p(Math.max(0, gapUs) / Math.max(1, usualUs));
}

function valueAt({ low, values }: Layer, column: number): number {
  return values[column - low] ?? -Infinity;
}

function best(of: ReadonlyMap<number, number>): Placed | undefined {
  const { first: slot, second } = bestTwo(of);
  return slot === undefined || (of.get(slot) as number) < 0.5 ? undefined : { slot, probability: Math.min(1, of.get(slot) as number), second };
}
