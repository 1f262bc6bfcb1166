/** Sessions of a process that are not given out. */
import assert from 'node:assert/strict';
import { Held } from '../../../src/sessions/held.ts';
import type { OpenSession } from '../../../src/sessions/open-session.ts';
import type { Spoken } from '../../../src/sessions/spoken.ts';

interface Plain {
  readonly talk: { readonly beganSeq: number };
  overSeq: number;
  wasOpenAt(call: Spoken): boolean;
}

const session = (beganSeq: number): OpenSession & Plain => ({ talk: { beganSeq }, overSeq: 0, wasOpenAt({ beganSeq: at }: Spoken) { return beganSeq < at && (this.overSeq === 0 || at < this.overSeq); } } satisfies Plain) as unknown as OpenSession & Plain;
const callAt = (beganSeq: number): Spoken => ({ beganSeq }) as Spoken;
const began = (sessions: Iterable<OpenSession>): number[] => [...sessions].map(({ talk }) => talk.beganSeq);

describe('sessions of a process that are not given out', () => {
  it('are found in the order in which they began, whichever left, and those that were open at any time as a look at each finds them', () => {
    const held = new Held();
    const all: (OpenSession & Plain)[] = [];
    const left = new Set<OpenSession>();
    let random = 1;
    const any = (below: number): number => (random = (random * 48_271) % 2_147_483_647) % below;
    for (let seq = 1; seq < 1_500; seq += 1) {
      const what = any(3);
      if (what === 0) all.push(session(seq));
      if (what === 0) held.add(all.at(-1) as OpenSession);
      // The first ones are open for long.
      const over = all[Math.min(all.length - 1, 2 + any(all.length))];
      if (what === 1 && over?.overSeq === 0) over.overSeq = seq;
      const given = all[any(all.length)];
      if (what === 2 && given !== undefined && (given.overSeq > 0 || any(20) === 0)) held.remove(given);
      if (what === 2 && given !== undefined && given.block === undefined) left.add(given);
      const inside = all.filter((one) => !left.has(one));
      assert.deepEqual([held.size, held.first, held.last, held.empty], [inside.length, inside[0], inside.at(-1), inside.length === 0]);
      if (seq % 10 > 0) continue;
      assert.deepEqual(began(held), began(inside));
      for (const at of [1, any(seq), any(seq), seq]) {
        assert.deepEqual(began(held.openAt(callAt(at))), began(inside.filter((one) => one.wasOpenAt(callAt(at)))));
        assert.deepEqual(began(held.begunAfter(at)), began(inside.filter(({ talk }) => talk.beganSeq > at)).reverse());
        const openSeq = any(seq);
        const found = new Set(held.begunBefore(at, openSeq));
        const begun = inside.filter(({ talk }) => talk.beganSeq < at);
        assert.deepEqual(began(found), began(begun.filter((one) => found.has(one))));
        assert.ok(begun.every((one) => found.has(one) || (one.overSeq > 0 && one.overSeq < openSeq)));
      }
    }
    assert.ok(left.size > 100 && held.size > 100);
  });

  it('may all leave, from the beginning, the end or the middle on, and others enter', () => {
    const orders: readonly ((at: number) => number)[] = [(at) => at, (at) => 199 - at, (at) => (at + 100) % 200];
    for (const order of orders) {
      const held = new Held();
      const all = Array.from({ length: 200 }, (_, at) => session(1 + at));
      for (const one of all) held.add(one);
      for (let at = 0; at < 199; at += 1) {
        held.remove(all[order(at)] as OpenSession);
        const inside = all.filter(({ block }) => block !== undefined);
        assert.deepEqual([held.first, held.last, began(held.openAt(callAt(1_000)))], [inside[0], inside.at(-1), began(inside)]);
      }
      held.remove(all[order(199)] as OpenSession);
      assert.deepEqual([held.first, held.empty, held.size], [undefined, true, 0]);
      held.add(session(300));
      assert.deepEqual(began(held.openAt(callAt(1_000))), [300]);
    }
  });

  it('passes over those that were all over by then, without a look at each', () => {
    const held = new Held();
    const all = Array.from({ length: 1_000 }, (_, at) => session(1 + 2 * at));
    for (const one of all) held.add(one);
    for (const one of all) one.overSeq = one.talk.beganSeq + 1;
    assert.deepEqual(began(held.openAt(callAt(1_000_000))), []);
    let looked = 0;
    for (const one of all) one.wasOpenAt = () => { looked += 1; return false; };
    held.openAt(callAt(1_000_000));
    assert.ok(looked < 100, `${looked} looked at`);
  });
});
