/** Calls shared out in the order in which work came up. */
import assert from 'node:assert/strict';
import { align } from '../../../src/contexts/alignment.ts';
import type { Aligned, Slot } from '../../../src/contexts/alignment.ts';

const slot = (fromUs: number, untilUs: number, counts: readonly number[], more: Partial<Slot> = {}): Slot =>
  ({ fromUs, fromGapUs: 100, untilUs, untilGapUs: untilUs === Infinity ? undefined : 100, counts, open: untilUs === Infinity, ...more });
const call = (beganUs: number, answeredUs: number, of?: number): Aligned => ({ beganUs, answeredUs, slot: of });
const slots = (placed: ReturnType<typeof align>): (number | undefined)[] => placed.map((place) => place?.slot);
const one = [0, 10];

describe('alignment', () => {
  it('gives each session its run of calls, where each makes as many as it ever did', () => {
    const placed = align([slot(0, 5_000, [0, 0, 10]), slot(10, 5_000, one), slot(20, 5_000, [0, 0, 0, 10])], [100, 200, 300, 400, 500, 600].map((at) => call(at, at + 50)), false);
    assert.deepEqual(slots(placed), [0, 0, 1, 2, 2, 2]);
    for (const place of placed) assert.ok((place?.probability ?? 0) > 0.9);
  });

  it('finds where one run ends by what came at once after its last answer', () => {
    const counts = [0, 10, 10, 10];
    const placed = align([slot(0, 320, counts), slot(10, 1_010, counts)], [call(100, 110), call(150, 310), call(200, 900), call(250, 910)], false);
    assert.deepEqual(slots(placed), [0, 0, 1, 1]);
  });

  it('says how unsure it is where a call may be of either', () => {
    const counts = [0, 10, 10];
    const placed = align([slot(0, 5_000, counts), slot(10, 5_000, counts)], [call(100, 200), call(150, 250), call(200, 300)], false);
    assert.deepEqual([placed[0]?.slot, placed[2]?.slot], [0, 1]);
    const { probability, second } = placed[1] as NonNullable<(typeof placed)[number]>;
    assert.ok(probability < 0.9, String(probability));
    assert.notEqual(second, undefined);
  });

  it('gives no session a call that began before its turn, or was answered after its end', () => {
    assert.deepEqual(slots(align([slot(1_000, 2_000, one)], [call(500, 600)], false)), [undefined]);
    assert.deepEqual(slots(align([slot(1_000, 2_000, one)], [call(1_500, 2_600)], false)), [undefined]);
  });

  it('leaves a call to nobody that is one too many', () => {
    assert.deepEqual(slots(align([slot(0, 300, one), slot(1_000, 1_300, one)], [call(100, 200), call(500, 600), call(1_100, 1_200)], false)), [0, undefined, 1]);
  });

  it('goes by what is known, unless all else speaks against it', () => {
    const counts = [0, 10, 10];
    assert.deepEqual(slots(align([slot(0, 5_000, counts), slot(10, 5_000, counts)], [call(100, 200), call(150, 250, 0), call(200, 300)], false)), [0, 0, 1]);
    assert.deepEqual(slots(align([slot(0, 300, one), slot(1_000, 1_300, one)], [call(100, 200, 1), call(1_100, 1_200)], false)), [0, 1]);
  });

  it('expects nothing of those whose turn has not come', () => {
    assert.deepEqual(slots(align([slot(0, 5_000, one), ...Array.from({ length: 20 }, (_, at) => slot(10 + at, Infinity, one))], [call(100, 200)], false)), [0]);
  });

  it('is sure of all in a long line, where a wrong turn at its head would show at its end', () => {
    const many = Array.from({ length: 300 }, (_, at) => slot(at * 10, at * 10 + 10_000, [0, 0, 10]));
    const calls = many.flatMap((_, at) => [call(at * 10 + 3_000, at * 10 + 4_000), call(at * 10 + 3_001, at * 10 + 4_001)]);
    const placed = align(many, calls, false);
    assert.deepEqual(slots(placed), many.flatMap((_, at) => [at, at]));
  });

  it('has nothing to say of nothing', () => {
    assert.deepEqual(align([], [], false), []);
    assert.deepEqual(align([], [call(1, 2)], false), [undefined]);
    assert.deepEqual(align([slot(0, 1, one)], [], false), []);
  });
});
